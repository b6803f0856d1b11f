# SPDX-License-Identifier: BSD-2-Clause
"""Apply and revert, ours and Linux's own, and how long they take."""

import re
import statistics
import time

from machine import GuestError
from patches import LIVEPATCH

APPLY_LIMIT = 60  # seconds
LOG_SECONDS = 2  # in which the log can take the lines of two operations more

# Of an apply, in the order of the monitor's log: what ends with a line of this text.
PHASES = (("wake-up of the agent", "loading"), ("load of the payload", "enabling"),
          ("declaration and callbacks", "patching"), ("attempts", "completing"), ("end", "applied"))


def seconds(do, *arguments, **options):
    start = time.monotonic()
    result = do(*arguments, **options)
    return time.monotonic() - start, result


def log_position(guest):
    position = 0
    while True:
        answer = guest.json(f"/v1/log?since={position}")
        if not answer["lines"]:
            return answer["next"]
        position = answer["next"]


def breakdown(guest, since, name, total_ms):
    """Of an apply whose lines are in the log: {part: ms}; None: they are not. Needs log_level=debug."""
    lines = guest.json(f"/v1/log?since={since}")["lines"]
    begin = last = next((line["time_us"] for line in lines if f"'{name}' uploaded" in line["text"]), None)
    parts = {}
    for part, text in PHASES:
        at = next((line["time_us"] for line in lines if line["text"] == f"patch '{name}': {text}"), None)
        if at is None or last is None:
            return None
        parts[part] = (at - last) / 1000
        last = at
    # the rest: the command's start, the connection and the upload, and until it sees the end
    return {"the command, with upload": total_ms - (last - begin) / 1000, **parts}


def patch_once(guest, bundle, name="demo", timed=False):
    """Apply and revert: {apply_ms, revert_ms, attempts, pause_us, words, tasks, cpu_ms}; apply_ms is
    None if it did not succeed in time; cpu_ms: of the emulator, for the apply. timed: with parts, the
    apply's breakdown."""
    if timed:
        time.sleep(LOG_SECONDS)
    since = log_position(guest) if timed else 0
    cpu = guest.cpu_seconds()
    took, result = seconds(guest.suture, "--timeout", str(APPLY_LIMIT), "apply", bundle,
                           timeout=2 * APPLY_LIMIT)
    cpu = guest.cpu_seconds() - cpu
    report = guest.json(f"/v1/patches/{name}")["apply"]
    once = {"attempts": report["attempts"], "pause_us": report["pause_max_us"],
            "words": report["words_checked"],
            "tasks": report["tasks_checked"] - report["tasks_before_pause"],
            "cpu_ms": cpu * 1000, "apply_ms": None, "revert_ms": None}
    if result.status == 4:
        guest.suture("cancel", name, timeout=2 * APPLY_LIMIT)
        return once
    if result.status:
        raise GuestError(f"suture apply: {result}")
    once["apply_ms"] = took * 1000
    if timed:
        once["parts"] = breakdown(guest, since, name, took * 1000)
    took, result = seconds(guest.suture, "--timeout", str(APPLY_LIMIT), "revert", name,
                           timeout=2 * APPLY_LIMIT)
    if result.status == 0:
        once["revert_ms"] = took * 1000
    return once


def median_of(rounds, key):
    values = [one[key] for one in rounds]
    if None in values:
        return None
    return max(values) if key == "attempts" else statistics.median(values)


def patch_often(guest, bundle, rounds, timed=False):
    """The medians; of attempts the most. None where a round did not succeed. Of the parts the means,
    which can be added up."""
    found = []
    while len(found) < rounds:
        found.append(patch_once(guest, bundle, timed=timed))
        if found[-1]["revert_ms"] is None:
            break
    result = {key: median_of(found, key) for key in found[0] if key != "parts"}
    parts = [one["parts"] for one in found if one.get("parts")]
    if parts:
        result["parts"] = {part: statistics.mean(one[part] for one in parts) for part in parts[0]}
    return {**result, "rounds": found}


def settle(guest):
    """What did not end in time ends when its tasks are gone."""
    end = time.monotonic() + 2 * APPLY_LIMIT
    while guest.json("/v1/patches/demo")["phase"] not in ("reverted", "failed"):
        if time.monotonic() > end:
            raise GuestError("the patch does not come off")
        time.sleep(0.2)


def livepatch_often(guest, rounds):
    """Linux's own: {apply_ms, revert_ms}, the medians; empty in kernels without it."""
    found = []
    for _ in range(rounds if LIVEPATCH else 0):
        said = guest.check("livepatch /lib/modules/nativeklp.ko nativeklp", timeout=300)
        found.append([int(us) / 1000 for us in re.findall(r"(\d+) us", said)])
    return {key: statistics.median(values) for key, values in
            zip(("apply_ms", "revert_ms"), zip(*found))}


class Crowd:
    """Tasks that sleep: processes or kernel threads."""

    def __init__(self, guest, kind, count):
        self.guest, self.kind, self.count = guest, kind, count

    def __enter__(self):
        if self.count and self.kind == "processes":
            self.guest.check(f"crowd {self.count}", timeout=300)
        elif self.count:
            self.guest.check(f"insmod /lib/modules/throng.ko threads={self.count}", timeout=300)
        return self

    def __exit__(self, *unused):
        if self.count and self.kind == "processes":
            self.guest.check("killall -9 crowd; while pidof crowd >/dev/null; do sleep 0.2; done",
                             timeout=300)
        elif self.count:
            self.guest.check("rmmod throng", timeout=300)
