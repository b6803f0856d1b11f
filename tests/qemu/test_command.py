# SPDX-License-Identifier: BSD-2-Clause
"""The operator's command by itself: help, completions, and how it waits. No machine: the monitor is an
HTTP server of the test."""

import glob
import http.server
import json
import os
import pty
import re
import signal
import subprocess
import threading
import time

import pytest

from machine import SUTURE, TOP

REPORT = {"attempts": 3, "reason": "", "blocker": None}


class Monitor(http.server.ThreadingHTTPServer):
    """A monitor with one patch, whose revert stays in transition until it is cancelled."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.phase, self.cancels, self.log = "unpatching", 0, ["first"]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def answer(self, method, path):
        if path.endswith("/revert"):
            self.phase = "unpatching"
        if path.endswith("/cancel"):
            self.cancels += 1
            self.phase = "applied"
        if path.startswith("/v1/log"):
            since = max(int(path.split("=")[1]), 1)
            lines = [{"seq": n, "time_us": n * 1000000, "level": "info", "text": text}
                     for n, text in enumerate(self.log, 1) if n >= since]
            return {"next": len(self.log) + 1, "lines": lines}
        if path == "/v1/status":
            return {"uptime_us": 3600 * 1000000, "guest": {"why": ""}, "current": []}
        return {"name": "fix", "phase": self.phase, "final": self.phase == "applied", "why": "by hand",
                "replace": False, "stack_order": 1, "apply": REPORT, "revert": REPORT, "empty": [], "list": [1, {"a": 2, "b": []}, [3]]}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(self.server.answer(self.command, self.path)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def monitor():
    server = Monitor()
    yield server
    server.shutdown()
    server.server_close()


def start(monitor, *arguments, **more):
    return subprocess.Popen([SUTURE, "--host", f"127.0.0.1:{monitor.server_port}", "--insecure", *arguments],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def run(*arguments):
    return subprocess.run([SUTURE, *arguments], capture_output=True, text=True, timeout=20)


def commands():
    """Their names, in the order of the help."""
    return re.findall(r"^  ([a-z]+)\b", run("--help").stdout, re.M)


def options(command):
    return set(re.findall(r"^  (?:-.,)? ?--([a-z-]+)", run("help", command).stdout, re.M))


def test_help_fits_a_screen():
    text = run("--help").stdout
    assert len(text.splitlines()) <= 40 and max(map(len, text.splitlines())) < 85
    assert {"status", "apply", "build", "completion"} <= set(commands())


def test_version():
    version = re.search(r'MONITOR_VERSION "(.*)"', open(os.path.join(TOP, "monitor/core/version.h")).read())[1]
    assert run("--version").stdout == f"suture {version}\n"


DOCUMENTS = sorted(glob.glob(os.path.join(TOP, "*.md")) + glob.glob(os.path.join(TOP, "docs", "*.md")))


def shown_commands():
    """(document, line) of each `suture ...` in a code block of a document."""
    for path in DOCUMENTS:
        with open(path, encoding="utf-8") as f:
            text = re.sub(r"^```\n(.*?)^```", lambda m: re.sub("^", "    ", m[1], flags=re.M), f.read(), flags=re.M | re.S)
        for line in re.findall(r"^ {4}(?:\$ )?(?:[A-Z_]+=\S+ +)*((?:build/ctl/)?suture .*)", text.replace("\\\n", " "), re.M):
            yield os.path.basename(path), line


def test_documents_show_what_there_is():
    """Each command of the documents exists, with the options that it is shown with; none needs --insecure."""
    shown = list(shown_commands())
    known = {name: options(name) for name in commands()}
    assert {"README.md", "security.md"} <= {document for document, _ in shown}
    for document, line in shown:
        words = re.sub(r"'[^']*'|\s#.*| - [A-Z].*", " ", line).split()
        names = [word for word in words[1:] if word in known]
        if words[1].startswith("--") and words[1] == "--version":
            continue
        assert names, f"{document}: {line}: no such command"
        given = {word[2:].split("=")[0] for word in words if word.startswith("--")}
        assert given <= known[names[0]] and "insecure" not in given, f"{document}: {line}: {given - known[names[0]]}"


@pytest.mark.parametrize("arguments, says", [
    (["list", "--strict"], "list takes no --strict"), (["--cve", "CVE-2026-1234", "list"], "list takes no --cve"),
    (["build", "--timeout", "3", "x"], "build takes no --timeout"),
    (["--host", "a", "revert", "x", "--timeout", "3x"], "--timeout 3x: give a number"),
    (["--host", "a", "list", "-o", "xml"], "there are table, wide, json and yaml"),
    (["completion", "csh"], "no completion for 'csh'"), (["help", "nothing"], "no command 'nothing'"),
    (["revert"], "usage: suture revert NAME")])
def test_refusals(arguments, says):
    done = run(*arguments)
    assert done.returncode == 2 and says in done.stderr, done


def test_manual_has_all():
    page = run("man").stdout.replace("\\-", "-")
    for command in commands():
        assert f".SS {command}" in page
        assert all(f"--{option}" in page for option in options(command) - {"help"}), command
    assert not re.search(r"^'", page, re.M)


def bash_completes(*words):
    script = (f'eval "$({SUTURE} completion bash)"; COMP_WORDS=(suture {" ".join(words)}); '
              f"COMP_CWORD={len(words)}; _suture; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
    return set(subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.split())


def test_bash_completion():
    assert bash_completes("re") == {"revert", "reboot"}
    assert bash_completes("--insecure", "apply", "--no") == {"--no-cancel", "--no-wait"}
    assert bash_completes("log", "--f") == {"--follow"}


def test_completions_have_all():
    for shell in "bash", "zsh", "fish":
        text = run("completion", shell).stdout
        assert all(name in text for name in commands()), shell


def test_timeout_turns_around(monitor):
    out, err = (p := start(monitor, "--timeout", "0", "revert", "fix")).communicate(timeout=20)
    assert (p.returncode, monitor.cancels) == (1, 1) and "turning it around" in err, (out, err)


def test_no_cancel(monitor):
    out, err = (p := start(monitor, "--timeout", "0", "--no-cancel", "revert", "fix")).communicate(timeout=20)
    assert (p.returncode, monitor.cancels) == (4, 0) and "the monitor goes on" in err, (out, err)


def test_interrupt(monitor):
    with start(monitor, "revert", "fix") as waiting:
        assert "unpatching" in waiting.stderr.readline()
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(10) == 4
        assert "suture cancel fix" in waiting.stderr.read() and not monitor.cancels


def test_terminal_has_one_line(monitor):
    """On a terminal the progress stays on one line, which is gone at the end."""
    terminal, tty = pty.openpty()
    with subprocess.Popen([SUTURE, "--host", f"127.0.0.1:{monitor.server_port}", "--insecure", "revert", "fix"],
                          stdout=subprocess.DEVNULL, stderr=tty) as waiting:
        os.close(tty)
        shown = ""
        while "attempt 3, 2 s" not in shown:
            shown += os.read(terminal, 1000).decode()
        monitor.phase = "applied"
        waiting.wait(10)
    while "suture:" not in shown:
        shown += os.read(terminal, 1000).decode()
    os.close(terminal)
    assert "\n" not in shown.split("suture:")[0] and "\r\x1b[Ksuture:" in shown, shown


def test_log_follows(monitor):
    began = time.time() - 3600
    with start(monitor, "log", "--follow") as following:
        first = following.stdout.readline()
        monitor.log.append("second")
        second = following.stdout.readline()
        following.send_signal(signal.SIGINT)
        assert following.wait(10) == 0
    assert "first" in first and "second" in second
    number, date, clock = second.split()[:3]
    told = time.mktime(time.strptime(f"{date} {clock[:8]}", "%Y-%m-%d %H:%M:%S"))
    assert number == "2" and abs(told - began - 2) < 10, second


def test_yaml(monitor):
    out = start(monitor, "info", "fix", "-o", "yaml").communicate(timeout=20)[0]
    assert out.startswith('---\nname: "fix"\nphase: "unpatching"\nfinal: false\n'), out
    assert 'apply:\n  attempts: 3\n  reason: ""\n  blocker: null\n' in out
    assert out.endswith("empty: []\nlist:\n  - 1\n  - a: 2\n    b: []\n  - - 3\n"), out


def test_install(tmp_path):
    subprocess.run(["make", "-s", "-C", TOP, "install-ctl", f"DESTDIR={tmp_path}", "PREFIX=/usr"], check=True,
                   stdout=subprocess.DEVNULL)
    installed = {str(p.relative_to(tmp_path / "usr")) for p in tmp_path.rglob("*") if p.is_file()}
    assert installed == {"bin/suture", "share/man/man1/suture.1", "share/bash-completion/completions/suture",
                         "share/zsh/vendor-completions/_suture", "share/fish/vendor_completions.d/suture.fish",
                         *(f"share/suture/{name}" for name in (
                             "diff/prepare.sh",
                             *(f"debian/{script}" for script in ("apt.sh", "fetch.sh", "guest-kernel.sh", "source-deb.sh")),
                             "guest/guest.sh", "guest/guest-shell", "guest/init", "guest/initramfs.sh",
                             "include/linux/livepatch.h", "include/Module.symvers"))}
