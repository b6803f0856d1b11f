# SPDX-License-Identifier: BSD-2-Clause
"""The Debian packages of `make deb`: what is installed works as it lies there. No machine; make check-deb."""

import glob
import os
import re
import subprocess

import pytest

from machine import AGENT, BUILD, KBUILD, KERNEL, TOP

pytestmark = pytest.mark.x86("of make check-deb, which builds the packages on the host")

RELEASE = re.search(r'MONITOR_VERSION "(.*)"', open(os.path.join(TOP, "monitor/core/version.h")).read())[1]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("root")
    packages = sorted(glob.glob(os.path.join(BUILD, "deb", "*.deb")))
    assert [os.path.basename(p).split("_")[:2] for p in packages] == [
        [name, RELEASE] for name in ("suture-agent-dkms", "suture-monitor", "suture")], "run make deb first"
    for package in packages:
        subprocess.run(["dpkg", "-x", package, folder], check=True)
    return folder


def test_command_builds_a_patch(root, tmp_path):
    """The installed command has the headers that it needs."""
    bundle = tmp_path / "hello.sut"
    subprocess.run([root / "usr/bin/suture", "build", os.path.join(TOP, "examples/hello"), "--kernel", KBUILD,
                    "--vmlinuz", KERNEL, "-o", bundle], check=True, timeout=120)
    assert bundle.exists()


def test_images(root):
    for name in "suture.efi", "sutureaa64.efi":
        assert (root / "usr/lib/suture" / name).read_bytes().startswith(b"MZ")


def test_service_can_start(root):
    """The program of each unit is there."""
    for unit in (root / "lib/systemd/system").iterdir():
        program = re.search(r"^ExecStart=(\S+)", unit.read_text(), re.M)[1]
        assert program == "/sbin/modprobe" or (root / program.lstrip("/")).exists(), unit


def test_dkms_builds_the_module(root, tmp_path):
    """As DKMS builds it on a machine: for the guest's kernel, out of what the package has."""
    release = open(os.path.join(os.path.dirname(KBUILD), "release")).read().strip()
    done = subprocess.run(["dkms", "build", "-m", "suture-agent", "-v", RELEASE, "-k", release,
                           "--kernelsourcedir", KBUILD, "--sourcetree", root / "usr/src", "--dkmstree", tmp_path],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
    logs = "".join(open(log).read() for log in glob.glob(f"{tmp_path}/**/make.log", recursive=True))
    assert done.returncode == 0, done.stdout + logs
    built = glob.glob(f"{tmp_path}/**/module/suture.ko*", recursive=True)

    def magic(module):
        return subprocess.run(["modinfo", "-F", "vermagic", module], capture_output=True, text=True, check=True).stdout

    assert len(built) == 1 and magic(built[0]) == magic(AGENT)
