# SPDX-License-Identifier: BSD-2-Clause
"""`suture build --kernel RELEASE` (docs/author.md), without fetching something."""

import os
import time

from machine import KBUILD
from patches import write_patch
from test_build import NEW_SHOW, SHOW, built, refused, suture


def keep(cache, name, size_gb, hours):
    """A folder of the cache, last used so many hours ago."""
    (cache / name).mkdir(parents=True)
    (cache / name / "ready").write_text(str(size_gb << 20))
    os.utime(cache / name / "ready", (0, time.time() - hours * 3600))
    return cache / name


def test_release(tmp_path, monkeypatch):
    """--kernel RELEASE has its files from the cache; those used longest ago leave it for new ones."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("SUTURE_CACHE_GB", "2")
    cache, source = tmp_path / "suture", write_patch(str(tmp_path), "kept", NEW_SHOW, SHOW)
    oldest, old = keep(cache, "6.1.0-1-cloud-amd64", 1, 3), keep(cache, "6.1.0-2-cloud-amd64", 1, 2)
    new = cache / "6.1.0-3-cloud-amd64"
    new.mkdir()
    os.symlink(os.path.dirname(os.path.abspath(KBUILD)), new / "kernel")
    assert "removing" in built(suture(source, "--kernel", new.name), "1 functions in 1 objects")
    assert not oldest.exists() and old.exists()
    assert "fetching" not in built(suture(source, "--kernel", new.name))


def test_no_release(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    refused(suture("nowhere", "--kernel", "4.19.0-1-amd64"),
            r"(?s)4.19.0-1-amd64 is none of Debian's .*--kernel 4.19.0-1-amd64: it cannot be fetched")
