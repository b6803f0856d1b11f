# SPDX-License-Identifier: BSD-2-Clause
"""Control characters in names from a hostile guest or peer never reach the operator's terminal. No
machine: the monitor is an HTTP server of the test."""

import hashlib
import http.server
import json
import re
import subprocess
import threading

import pytest

from machine import SUTURE

# ESC, BEL, carriage return, backspace, DEL, and CSI as one character (U+009B)
EVIL = "x\x1b[2J\x07\r\x08\x7f\u009b31m\ny"
SHOWN = r"x\x1b[2J\x07\x0d\x08\x7f\x9b31m\x0ay"
REPORT = {"attempts": 3, "reason": EVIL, "blocker": {
    "pid": 7, "comm": EVIL, "func": EVIL, "where": EVIL, "address": "0x1", "symbol": EVIL,
    "stack": [{"address": "0x1", "func": EVIL, "symbol": EVIL}]}}
PATCH = {"name": EVIL, "version": EVIL, "phase": "failed", "final": True, "error": EVIL, "why": EVIL,
         "apply": REPORT, "revert": REPORT,
         "objects": [{"name": EVIL, "loaded": True, "patched": True}],
         "functions_not_in_force": 1,
         "functions": [{"object": EVIL, "name": EVIL, "old": EVIL, "new": EVIL},
                       {"object": EVIL, "name": EVIL, "old": EVIL, "new": EVIL, "redirected": True,
                        "not_in_force": EVIL}],
         "states": [{"id": EVIL, "version": 1, "owner": EVIL}]}
ANSWERS = {
    "/v1/status": {"version": EVIL, "cpus": [{"id": 1, "state": "dead", "why": EVIL},
                                             {"id": 2, "state": EVIL}],
                   "agent": True, "kernel": {"release": EVIL, "build_id": EVIL},
                   "transition": {"patch": EVIL, "phase": EVIL, **REPORT}, "current": [PATCH]},
    "/v1/info": {"kernel": {"release": EVIL, "build_id": EVIL}},
    "/v1/patches": {"patches": [PATCH]},
    "/v1/patches/fix": PATCH,
    "/v1/shadow": {"count": 1, "ids": [{"id": EVIL, "count": 1, "bytes": 1, "patch": EVIL}],
                   "more": {"count": 0}},
    "/v1/audit": {"seq": 1, "chain": EVIL, "records": [{"seq": 1, "text": EVIL, "chain": EVIL}]},
    "/v1/log?since=0": {"next": 2, "lines": [{"seq": 1, "level": EVIL, "text": EVIL}]},
    "/v1/log?since=2": {"next": 2, "lines": []},
}


class Monitor(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        answer = ANSWERS.get(self.path, {"error": {"code": EVIL, "message": EVIL}})
        body = json.dumps(answer).encode()
        self.send_response(200 if self.path in ANSWERS else 409)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def monitor():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Monitor)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def suture(port, *arguments):
    done = subprocess.run([SUTURE, "--host", f"127.0.0.1:{port}", "--insecure", *arguments],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30)
    return done.stdout.decode(), done.stderr.decode()


def assert_json(text):
    """One value after the other, with the strings as the monitor sent them."""
    decoder = json.JSONDecoder()
    while text := text.strip():
        value, end = decoder.raw_decode(text)
        text = text[end:]
        assert SHOWN not in json.dumps(value, ensure_ascii=False).replace("\\\\", "\\")


COMMANDS = [["status"], ["list"], ["info"], ["info", "fix"], ["shadow"], ["log"], ["audit"], ["revert", "fix"],
            ["cancel", "fix"], ["info", "nothing"]]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_control_characters(monitor, command):
    for options in [], ["--json"]:
        out, err = suture(monitor, *options, *command)
        for text in out, err:
            assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text), (options, text)
        if not options:
            assert SHOWN in out + err, (out, err)
        else:
            assert_json(out)


def chained(texts):
    """An answer of /v1/audit with these records."""
    chain, records = bytes(32), []
    for text in texts:
        chain = hashlib.sha256(chain + text.encode()).digest()
        records.append({"seq": len(records) + 1, "text": text, "chain": chain.hex()})
    return {"seq": len(records), "chain": chain.hex(), "records": records}


@pytest.mark.parametrize("change, why", [
    (lambda log: None, None),
    (lambda log: log["records"][1].update(text="2 0 404 'you' POST /v1/reboot"), "record 2 does not follow"),
    (lambda log: log["records"].pop(1), "record 3 does not follow"),
    (lambda log: log["records"].pop(2), "the log was cut"),
    (lambda log: log["records"][0].update(text="1"), "record 1 does not follow"),
    (lambda log: log["records"].pop(0), None)], ids=["good", "text", "left-out", "cut", "first", "older-gone"])
def test_audit_is_verified(monitor, monkeypatch, change, why):
    """The command sees a record that was changed, left out or cut off; the oldest may be gone."""
    log = chained([f"{n} 0 202 'me' POST /v1/patches/fix/revert" for n in (1, 2, 3)])
    change(log)
    monkeypatch.setitem(ANSWERS, "/v1/audit", log)
    _, err = suture(monitor, "audit")
    assert (why in err) if why else (err == ""), err
