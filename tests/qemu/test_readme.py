# SPDX-License-Identifier: BSD-2-Clause
"""README's first patch, as it stands there: each block of commands is run by a shell."""

import os
import re
import shutil
import subprocess
import time

import pytest

from machine import BUILD, TOP

pytestmark = pytest.mark.x86("of the machine that the tests run on")

SECTION = "## A first patch in five minutes"


@pytest.fixture(scope="module")
def blocks():
    with open(os.path.join(TOP, "README.md"), encoding="utf-8") as f:
        section = f.read().split(SECTION)[1].split("\n## ")[0]
    blocks = ["".join(line + "\n" for line in block.splitlines()) for block in
              re.findall(r"(?:^ {4}.*\n)+", section, re.M)]
    assert len(blocks) == 3 and "suture try" in blocks[0] and blocks[1].split() == ["suture", "vm"]
    return blocks


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A stranger's, who has nothing yet. The kernel is the one that the tree's tests have."""
    home = tmp_path_factory.mktemp("home")
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "GUEST") if name in os.environ}
    yield {**kept, "HOME": str(home), "PATH": f"{BUILD}/ctl:{os.environ['PATH']}"}
    # the agent's build folder has links to the tree
    shutil.rmtree(home)


def run(script, environment, timeout):
    done = subprocess.run(["sh", "-ec", script], cwd=TOP, env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          timeout=timeout)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_try(blocks, environment):
    """One command: what the patch changes is seen before, with and after it."""
    shown = run(blocks[0], environment, timeout=900)
    before, patched, after = re.findall(r"^guest# cat /proc/cmdline\n {4}(.*)", shown, re.M)
    assert "rdinit=/init" in before and patched == "hello from a live patch" and after == before, shown
    assert "hello was applied and reverted" in shown


def wait_for(path, text, process):
    deadline = time.monotonic() + 600
    while not os.path.exists(path) or text not in open(path, errors="replace").read():
        assert process.poll() is None and time.monotonic() < deadline, f"no {text!r} in {path}"
        time.sleep(0.5)


def test_by_hand(blocks, environment):
    """A guest, and its operator in another terminal."""
    folder = os.path.join(environment["HOME"], ".cache/suture/vm")
    with subprocess.Popen(["sh", "-c", f"exec {blocks[1].strip()}"], cwd=TOP, env=environment, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as guest:
        try:
            wait_for(os.path.join(folder, "console.log"), "GUEST READY", guest)
            second = subprocess.run(["suture", "vm"], cwd=TOP, env=environment, capture_output=True, text=True, timeout=60)
            assert second.returncode == 1 and "runs already" in second.stderr
            shown = run(blocks[2], environment, timeout=300)
            assert "hello applied" in shown and "hello reverted" in shown
            # its console is a shell
            output, _ = guest.communicate(b"poweroff -f\n", timeout=120)
            assert guest.returncode == 0, output
        finally:
            guest.terminate()
    assert not os.path.exists(folder)
