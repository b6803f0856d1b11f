# SPDX-License-Identifier: BSD-2-Clause
"""The API of a running monitor with faulty and hostile clients, without an agent or patches. At the
end an agent and patches are loaded, and the answers are compared with docs/api.md."""

import contextlib
import hashlib
import json
import os
import random
import re
import socket
import struct
import subprocess
import time

import pytest

from document import Document
from machine import HELPER, PLATFORM
from patches import TEST_MODULES, apply, make_patch, revert
from test_shadow import ALLOC, make
from waiting import Waiting

OCTETS = b"Content-Type: application/octet-stream\r\n"
DESIRED = "/usr/lib/suture/suture-desired"


@pytest.fixture(scope="module")
def guest(boot_module):
    return boot_module(cpus=1, files={DESIRED: os.path.join(os.path.dirname(HELPER), "suture-desired"),
                                      **{f"/lib/modules/{name}.ko": os.path.join(TEST_MODULES, f"{name}.ko")
                                         for name in ("hidden", "clones")}})


@contextlib.contextmanager
def connection(guest, timeout=60):
    with socket.create_connection(("127.0.0.1", guest.port)) as s:
        s.settimeout(timeout)
        yield s


def read_all(s):
    data = b""
    while block := s.recv(65536):
        data += block
    return data


def exchange(guest, request):
    """Send these bytes; returns all that came back until the monitor closed."""
    with connection(guest) as s:
        s.sendall(request)
        return read_all(s)


def head(method, path, *lines, close=True):
    lines = (b"Host: a",) + lines + ((b"Connection: close",) if close else ())
    return method + b" " + path + b" HTTP/1.1\r\n" + b"".join(x + b"\r\n" for x in lines) + b"\r\n"


def status_of(answer):
    return int(answer.split(b" ", 2)[1])


def pages_in_use(guest):
    return guest.json("/v1/status")["memory"]["used_bytes"] // 4096


@pytest.fixture
def same_memory(guest):
    """After each test the monitor uses as many pages as before."""
    before = pages_in_use(guest)
    yield
    deadline = time.monotonic() + 15
    while pages_in_use(guest) != before:
        assert time.monotonic() < deadline, f"{before} pages before, {pages_in_use(guest)} now"
        time.sleep(0.5)


def test_status(guest):
    status = guest.json("/v1/status")
    assert re.fullmatch("(guest|idle) service", " ".join(c["state"] for c in status["cpus"]))
    assert status["agent"] is False and status["kernel"] is None
    assert status["nic"]["link"] is True and status["nic"]["interrupt"] is (PLATFORM.architecture == "x86")
    assert status["nic"]["rx_dropped"] == 0
    assert sum(status["cpus"][0]["exits"].values()) > 0
    assert status["uptime_us"] < guest.json("/v1/status")["uptime_us"]


def test_no_agent(guest):
    assert guest.http("/v1/info")[0] == 503
    assert guest.json("/v1/patches") == {"patches": [], "wanted": []}


def test_log_is_paged(guest):
    first = guest.json("/v1/log?limit=2")
    assert [line["seq"] for line in first["lines"]] == [1, 2]
    rest = guest.json(f"/v1/log?since={first['next']}")
    assert rest["lines"][0]["seq"] == 3
    assert any("listening on port" in line["text"] for line in rest["lines"])


@pytest.mark.parametrize("request_bytes, status", [
    (head(b"GET", b"/nope"), 404),
    (head(b"DELETE", b"/v1/status"), 405),
    (head(b"DELETE", b"/v1/patches/x"), 404),
    (head(b"POST", b"/v1/patches/x/revert"), 404),
    (head(b"POST", b"/v1/patches/x/revert", b"Origin: http://page"), 403),
    (head(b"POST", b"/v1/patches"), 411),
    (head(b"POST", b"/v1/patches", b"Transfer-Encoding: chunked"), 411),
    (head(b"POST", b"/v1/patches", b"Content-Length: 99999999"), 413),
    (head(b"POST", b"/v1/patches", b"Content-Length: 1", b"Content-Type: text/html"), 415),
    (head(b"POST", b"/v1/patches", b"Content-Length: 3") + b"abc", 400),
    (head(b"GET", b"/v1/log?since=x"), 400),
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/3\r\nHost: a\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nX: " + b"a" * 5000, 431),
])
def test_refusals(guest, same_memory, request_bytes, status):
    answer = exchange(guest, request_bytes)
    assert status_of(answer) == status
    error = json.loads(answer.split(b"\r\n\r\n", 1)[1])["error"]
    assert error["code"].startswith("E") and len(error["message"]) > 10


def test_refusal_is_read_though_the_body_comes(guest, same_memory):
    """A client that sends 4 MB without asking still learns why they are not wanted."""
    answer = exchange(guest, head(b"POST", b"/v1/nope", b"Content-Length: 4000000") +
                      bytes(4000000))
    assert status_of(answer) == 404


def test_upload_is_quick(guest, same_memory, measured):
    """2 MB that turn out to be no bundle, refused only when all of them are there."""
    start = time.monotonic()
    answer = exchange(guest, head(b"POST", b"/v1/patches", b"Content-Length: 2000000",
                                  OCTETS.strip()) + os.urandom(2000000))
    took = time.monotonic() - start
    assert status_of(answer) == 400 and b"EBADMSG" in answer
    measured(f"upload of 2 MB: {took:.2f} s")
    assert took < 10  # seconds, on a machine that is busy with other tests as well


def wait_pages(guest, right):
    deadline = time.monotonic() + 15
    while not right(pages := pages_in_use(guest)):
        assert time.monotonic() < deadline, pages
        time.sleep(0.1)


def test_uploads_that_break_off(guest, same_memory):
    for reset in True, False:
        # one upload at a time: the one before is seen to have ended a while after it did
        wait_pages(guest, lambda pages: pages < 2000)
        with connection(guest) as s:
            s.sendall(head(b"POST", b"/v1/patches", b"Content-Length: 9000000") + bytes(1000000))
            wait_pages(guest, lambda pages: pages > 2000)
            if reset:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_connections_that_do_nothing(guest, same_memory):
    """They are ended in time, and do not keep others out."""
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(connection(guest)) for _ in range(12)]
        assert guest.http("/v1/patches")[0] == 200
        start = time.monotonic()
        for s in idle:
            with contextlib.suppress(ConnectionResetError):
                assert s.recv(1) == b""
        # 10 s of the monitor's clock
        assert time.monotonic() - start < 40


def test_connections_of_one_byte(guest, same_memory, measured):
    """They do not keep others out, though all have the same address."""
    with contextlib.ExitStack() as stack:
        served = 0
        for _ in range(24):
            s = stack.enter_context(connection(guest))
            s.sendall(b"G")
            served += guest.http("/v1/patches")[0] == 200
        measured(f"{served} of 24 requests served beside connections of one byte")
        assert served == 24


def test_a_trickled_upload_gives_way(guest, same_memory, measured):
    """An upload of which a byte comes now and then does not hold the slot."""
    with connection(guest) as s:
        s.sendall(head(b"POST", b"/v1/patches", b"Content-Length: 9000000", OCTETS.strip()) + b"x")
        wait_pages(guest, lambda pages: pages > 2000)
        start = time.monotonic()
        while (answer := status_of(exchange(guest, head(b"POST", b"/v1/patches", b"Content-Length: 3",
                                                        OCTETS.strip()) + b"abc"))) == 503:
            s.sendall(b"x")
            assert time.monotonic() - start < 30
            time.sleep(0.2)
        measured(f"a trickled upload held the slot for {time.monotonic() - start:.1f} s")
        assert answer == 400
        assert status_of(read_all(s)) == 408


def counters(guest):
    """What must be as before when all connections are gone."""
    status, metrics = guest.json("/v1/status"), guest.http("/metrics")[1]
    return {"memory": status["memory"]["used_bytes"], "patches": guest.json("/v1/patches"),
            "dropped": status["nic"]["rx_dropped"], "connections": re.search(r"^suture_http_connections (\d+)$", metrics, re.M)[1]}


def test_a_thousand_connections(guest, same_memory, measured):
    """Opened and dropped at any point of a request, by a close or a reset: the monitor is as before."""
    before = counters(guest)
    begun = [b"", b"G", head(b"GET", b"/v1/log", close=False) * 3, head(b"GET", b"/nope"),
             head(b"POST", b"/v1/patches", b"Content-Length: 70000") + b"abc"]
    start = time.monotonic()
    for i in range(1000):
        with connection(guest) as s, contextlib.suppress(OSError):
            # its answer says that QEMU has accepted the connection: it drops SYNs while it has not
            s.sendall(head(b"HEAD", b"/v1/patches", close=False))
            assert s.recv(1000).startswith(b"HTTP/1.1 200 ")
            s.sendall(begun[i % len(begun)])
            if i % 2:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if i % 100 == 99:
            assert guest.http("/v1/patches")[0] == 200
    measured(f"1000 connections opened and dropped in {time.monotonic() - start:.0f} s")
    deadline = time.monotonic() + 40
    while (now := counters(guest)) != before:
        assert time.monotonic() < deadline, (before, now)
        time.sleep(0.5)


SLOW = {"headers": ("-H", "-u", "/v1/status", "-x", "24", "-i", "1"),
        "body": ("-B", "-u", "/v1/patches", "-s", "8000000", "-f", "application/octet-stream", "-x", "10", "-i", "1"),
        "read": ("-X", "-u", "/v1/log", "-w", "256", "-y", "512", "-n", "2", "-z", "16", "-k", "8")}


@pytest.mark.parametrize("mode", SLOW)
def test_slowhttptest(guest, same_memory, measured, tmp_path, mode):
    """Its verdict: the service answered its probe; and while it runs an operator is served."""
    args = list(SLOW[mode])
    args[2] = f"http://127.0.0.1:{guest.port}{args[2]}"
    statuses = []
    output = tmp_path / "slowhttptest"
    with open(output, "w", encoding="utf-8") as out, \
            subprocess.Popen(["slowhttptest", *args, "-c", "100", "-r", "50", "-l", "8", "-p", "3", "-v", "1"],
                             stdout=out) as attack:
        while attack.poll() is None:
            statuses.append(guest.http("/v1/patches")[0])
            time.sleep(0.2)
    text = re.sub(r"\x1b\[[0-9;]*m", "", output.read_text(encoding="utf-8"))
    verdicts = re.findall(r"service available:\s+(\w+)", text)
    measured(f"slowhttptest, slow {mode}: service available: {' '.join(verdicts)}; "
             f"{statuses.count(200)} of {len(statuses)} requests served")
    assert verdicts and set(verdicts) == {"YES"}, text[-2000:]
    assert len(statuses) > 5 and set(statuses) == {200}


def test_noise(guest, same_memory):
    """Damaged requests, cut off anywhere, by peers that close or reset at any time."""
    chance = random.Random(2)
    good = [head(b"GET", b"/v1/status", close=False), head(b"GET", b"/metrics"),
            head(b"POST", b"/v1/patches", b"Content-Length: 30") + b"0123456789"]
    for _ in range(150):
        request = bytearray(b"".join(chance.choices(good, k=3)))
        for _ in range(chance.randrange(6)):
            request[chance.randrange(len(request))] = chance.randrange(256)
        with connection(guest, timeout=0.02) as s, contextlib.suppress(OSError):
            s.sendall(request[:chance.randrange(len(request))])
            if chance.random() < 0.5:
                s.recv(1000)
            if chance.random() < 0.3:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert guest.http("/v1/patches")[0] == 200
    assert guest.check("echo alive") == "alive"


# ---- docs/api.md ----

@pytest.fixture(scope="module")
def document():
    return Document()


@pytest.fixture(scope="module")
def holder(tmp_path_factory):
    """A patch with a state and a shadow variable."""
    return make(str(tmp_path_factory.mktemp("api")), "holder", f"""
static int take(struct klp_patch *patch, struct klp_state *state)
{{
	int i = 0;

	return {ALLOC.format(7, 16, "mark")} ? 0 : -ENOMEM;
}}""", "{.id = 7, .is_shadow = true, .callbacks = {.pre_patch = take, .shadow_dtor = slow_dtor}},", "--cve", "CVE-2026-1234")


@pytest.fixture(scope="module")
def blocked(bundles):
    """A patch that waits for a thread, and one of whose functions has a clone that others call."""
    return make_patch(bundles, "blocked", """
        static int new_value(void)
        {
            return 2;
        }
    """, {"hidden": {"hidden_inner": "new_value"}, "clones": {"clones_value": "new_value"}})


def look(guest, document, *routes):
    for route in routes:
        document.answer(route, guest.json(route))


def wait_json(guest, route, right):
    """Poll until the answer meets the condition; return it."""
    deadline = time.monotonic() + 30
    while True:
        status, body = guest.http(route)
        if status == 200 and right(json.loads(body)):
            return json.loads(body)
        assert time.monotonic() < deadline, body
        time.sleep(0.1)


def has_stack(status):
    blocker = (status["transition"] or {}).get("blocker")
    return blocker and blocker["symbol"] and blocker["stack"]


def test_members_are_documented(guest, document, holder, blocked):
    """Each member of an answer is in docs/api.md, and each that is there was in an answer."""
    look(guest, document, "/v1/status", "/v1/patches", "/v1/log")
    guest.load_agent()
    guest.check("insmod /lib/modules/hidden.ko; insmod /lib/modules/clones.ko")
    apply(guest, holder)
    assert apply(guest, holder) == "holder is applied already"
    with open(holder, "rb") as f:
        digest = hashlib.sha256(f.read()).hexdigest()
    kept = guest.json("/v1/patches/holder")
    assert (kept["sha256"], kept["cves"]) == (digest, ["CVE-2026-1234"])
    assert re.search(rf"^holder .* CVE-2026-1234 .*{digest[:12]}", guest.suture("list", "-o", "wide").out, re.M)
    guest.check("echo outer >/proc/hidden; sleep 0.3")
    with Waiting(guest, "apply", blocked) as applying:
        document.answer("/v1/status", wait_json(guest, "/v1/status", has_stack))
        guest.check("echo wake >/proc/hidden")
        applying.succeeds()
    document.answer("/v1/shadow", wait_json(guest, "/v1/shadow", lambda answer: answer["count"]))
    # the guest wants a patch that the monitor refuses
    guest.shell(f"mkdir -p /etc/suture/patches.d; echo odd >/etc/suture/patches.d/0001-odd.sut; {DESIRED} boot")
    look(guest, document, "/v1/status", "/v1/info", "/v1/patches", "/v1/log", "/v1/audit")
    for patch in "holder", "blocked":
        document.answer("PATCH", guest.json(f"/v1/patches/{patch}"))
    assert not document.problems, "\n".join(document.problems)
    assert not document.never_seen(), "documented, and in no answer"


def test_metrics_are_documented(guest, document):
    """Their names as well, which follow Prometheus's conventions."""
    text = guest.http("/metrics")[1]
    documented = document.metrics()
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    assert types.keys() == documented.keys()
    assert re.findall(r"^# HELP (\S+) \S.*\.$", text, re.M) == list(types)
    for name, kind in types.items():
        assert (kind == "counter") == name.endswith("_total"), name
    for name, labels in re.findall(r"^(suture_\w+)(?:\{(.*)\})? \S+$", text, re.M):
        labels = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        assert labels.keys() == documented[name].keys(), name
        for label, value in labels.items():
            assert value in (documented[name][label] or {value}), (name, label)
    classes = set(guest.json("/v1/status")["cpus"][0]["exits"])
    assert set(re.findall(r'^suture_exits_total\{.*class="(\w+)"', text, re.M)) == classes


def test_patches_go(guest):
    revert(guest, "blocked")
    revert(guest, "holder")
    assert guest.check("rmmod hidden clones suture; cut -d' ' -f1 /proc/modules") == ""
