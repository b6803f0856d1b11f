# SPDX-License-Identifier: BSD-2-Clause
"""Fixtures: `boot` starts machines that end with the test, `boot_module` with the test file;
`bundles` is a folder for the test file's bundles, `demo` the bundle of examples/demo; tests use a
machine of `shared` one after the other."""

import contextlib
import os
import re
import shutil

import pytest

from machine import LOGS, PLATFORM, Machine
from patches import example
from platforms import PLATFORMS


def starter(request, name):
    """A function boot(**options) -> Machine in user space (wait=False: just started)."""
    machines = []
    logs = os.path.join(LOGS, re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_"))
    shutil.rmtree(logs, ignore_errors=True)

    def boot(wait=True, **options):
        folder = logs if not machines else f"{logs}.{len(machines)}"
        machine = Machine(folder, **options)
        machines.append(machine)
        machine.start()
        return machine.wait_ready() if wait else machine

    def finish():
        for machine in machines:
            machine.stop()

    request.addfinalizer(finish)
    return boot


@pytest.fixture
def boot(request):
    return starter(request, f"{request.node.module.__name__}.{request.node.name}")


@pytest.fixture(scope="module")
def boot_module(request):
    return starter(request, os.path.splitext(os.path.basename(request.node.name))[0])


@pytest.fixture(scope="module")
def shared(boot_module):
    """A function shared(prepared) -> context with a machine: prepared(boot) makes it for the first
    test. If an assertion in the context fails, the machine is not used again."""
    kept = []

    @contextlib.contextmanager
    def lend(prepared):
        machine = kept.pop() if kept else prepared(boot_module)
        try:
            yield machine
        except AssertionError:
            machine.stop()
            raise
        kept.append(machine)

    return lend


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    return str(tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return example(str(tmp_path_factory.mktemp("demo")), "demo")


@pytest.fixture
def measured(record_property):
    """A function that takes one line with a figure; all are printed at the end."""
    return lambda line: record_property("measured", line)


# a test for some machines alone has their kinds as marks, with the reason (mk/lint-tests.py)
KINDS = sorted({kind for platform in PLATFORMS.values() for kind in platform.kinds})


def pytest_configure(config):
    for name in KINDS:
        config.addinivalue_line("markers", f"{name}(why): a test for {name} alone")
    config.addinivalue_line("markers", "qemu(why): a test that needs QEMU")


def pytest_runtest_setup(item):
    wanted = {name: mark.args[0] for name in KINDS if (mark := item.get_closest_marker(name))}
    if wanted and not wanted.keys() & PLATFORM.kinds:
        pytest.skip("; ".join(f"only {name}: {why}" for name, why in wanted.items()))
    needs = item.get_closest_marker("qemu")
    if needs and PLATFORM.emulator != "QEMU":
        pytest.skip(f"needs QEMU: {needs.args[0]}")


def pytest_terminal_summary(terminalreporter):
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) == "call":
                for name, line in report.user_properties:
                    terminalreporter.write_line(f"{name} {line}")
