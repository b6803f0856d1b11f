# SPDX-License-Identifier: BSD-2-Clause
"""Files that a machine boots from: the EFI system partition, and archives for the initramfs."""

import lzma
import os
import shutil
import subprocess
import tempfile


def run(*command, **options):
    """Run a tool of the host; its output is shown only if it fails."""
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
                            **options)
    if result.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {result.stdout.decode()}")
    return result.stdout


def make_esp(path, files):
    """A FAT file system in the file `path`, with {path in it: file of the host, or bytes}."""
    with tempfile.TemporaryDirectory() as tree:
        total = 0
        for name, source in files.items():
            target = os.path.join(tree, name.strip("\\/").replace("\\", "/"))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if isinstance(source, bytes):
                with open(target, "wb") as out:
                    out.write(source)
            else:
                shutil.copyfile(source, target)
            total += os.path.getsize(target)
        sectors = (total // 512 + 16384) // 2048 * 2048 + 2048
        if os.path.exists(path):
            os.unlink(path)
        run("mformat", "-C", "-i", path, "-T", str(sectors), "-h", "16", "-s", "63", "::")
        run("mcopy", "-s", "-i", path, *[os.path.join(tree, d) for d in os.listdir(tree)], "::")


def kernel_module(path):
    """A module of the kernel, named without what compresses it: a file of the host, or bytes; None: the
    kernel has it built in."""
    if os.path.exists(path):
        return path
    if not os.path.exists(f"{path}.xz"):
        return None
    with lzma.open(f"{path}.xz") as compressed:
        return compressed.read()


def make_cpio(files):
    """A cpio archive (bytes) of {absolute path in the guest: file of the host, or bytes}."""
    with tempfile.TemporaryDirectory() as tree:
        names = set()
        for name, source in files.items():
            name = name.lstrip("/")
            target = os.path.join(tree, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if isinstance(source, bytes):
                with open(target, "wb") as out:
                    out.write(source)
                os.chmod(target, 0o755)
            else:
                shutil.copy(source, target)
            while name:
                names.add(name)
                name = os.path.dirname(name)
        listing = "".join(f"{name}\n" for name in sorted(names)).encode()
        return subprocess.run(["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"], input=listing,
                              stdout=subprocess.PIPE, cwd=tree, check=True, timeout=60).stdout


def make_grub(path, config, modules):
    """A GRUB of the `modules` in the folder (.../x86_64-efi) in the file `path`, with its configuration
    inside."""
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as cfg:
        cfg.write(config)
        cfg.flush()
        run("grub-mkstandalone", "-O", os.path.basename(modules), "-d", modules, "-o", path,
            "--modules=part_gpt part_msdos fat linux normal search", "--install-modules="
            "part_gpt part_msdos fat linux normal search echo", "--locales=", "--fonts=",
            "--themes=", f"boot/grub/grub.cfg={cfg.name}")
