# SPDX-License-Identifier: BSD-2-Clause
"""Shadow variables in a real guest: their counts, their owners, and how they are freed."""

import os
import re
import time

import pytest

from complaints import complaints
from patches import apply, revert, suture_build

SOURCE = """// SPDX-License-Identifier: GPL-2.0-only
#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/livepatch.h>
#include <linux/seq_file.h>

static char things[2000];

static int new_show(struct seq_file *m, void *v)
{{
	seq_puts(m, "{name}\\n");
	return 0;
}}

static int refuse(void *obj, void *data, void *ctor_data)
{{
	return -EINVAL;
}}

static int mark(void *obj, void *data, void *ctor_data)
{{
	*(int *)data = 42;
	return 0;
}}

/* Whoever calls it: it sleeps, and looks at what it is to destroy. */
static void slow_dtor(void *obj, void *data)
{{
	msleep(5);
	pr_info("{name}: destroyed %d\\n", *(int *)data);
}}

{code}

static struct klp_func funcs[] = {{
	{{.old_name = "cmdline_proc_show", .new_func = new_show}},
	{{}},
}};

static struct klp_object objs[] = {{
	{{.funcs = funcs}},
	{{}},
}};

static struct klp_state states[] = {{
{states}
	{{}},
}};

static struct klp_patch patch = {{
	.mod = THIS_MODULE,
	.objs = objs,
	.states = states,
}};

static int __init patch_init(void)
{{
	(void)refuse, (void)mark, (void)slow_dtor;
	return klp_enable_patch(&patch);
}}

static void __exit patch_exit(void)
{{
}}

module_init(patch_init);
module_exit(patch_exit);
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
"""

ALLOC = "klp_shadow_alloc(&things[i], {}, {}, GFP_KERNEL, {}, NULL)"


@pytest.fixture(scope="module")
def guest(boot_module):
    guest = boot_module(cpus=2)
    guest.load_agent()
    return guest


@pytest.fixture(autouse=True)
def no_complaint(guest):
    guest.check("dmesg -c >/dev/null")
    yield
    assert complaints(guest, "scheduling while") == ""


def make(tmp_path, name, code, states, *options):
    source = os.path.join(tmp_path, name)
    os.makedirs(source)
    with open(os.path.join(source, "Kbuild"), "w") as f:
        f.write(f"obj-m := {name}.o\n")
    with open(os.path.join(source, f"{name}.c"), "w") as f:
        f.write(SOURCE.format(name=name, code=code, states=states))
    bundle = f"{source}.sut"
    status, output = suture_build(source, bundle, *options)
    assert status == 0, output
    return bundle


def shadow(guest, timeout=10, **wanted):
    """What the API says as soon as it is what is wanted: the agent tells four times a second."""
    deadline = time.monotonic() + timeout
    while True:
        status, _ = guest.http("/v1/shadow")
        now = guest.json("/v1/shadow") if status == 200 else {"status": status}
        if all(now.get(key) == value for key, value in wanted.items()):
            return now
        assert time.monotonic() < deadline, (wanted, now)
        time.sleep(0.1)


def test_life(guest, tmp_path):
    """Counted by id, freed with their state by a destructor that sleeps; what leaks stays seen."""
    shadow(guest, count=0, bytes=0, ids=[])
    assert guest.suture("shadow").out == "no shadow variables"
    holder = make(tmp_path, "holder", f"""
static int take(struct klp_patch *patch, struct klp_state *state)
{{
	int i;

	for (i = 0; i < 10; i++)
		if (!{ALLOC.format(7, 16, "mark")})
			return -ENOMEM;
	for (i = 0; i < 3; i++)
		if (!{ALLOC.format(8, 100, "NULL")})
			return -ENOMEM;
	return 0;
}}""", "{.id = 7, .is_shadow = true, .callbacks = {.pre_patch = take, .shadow_dtor = slow_dtor}},")
    apply(guest, holder)
    assert shadow(guest, count=13, bytes=460)["ids"] == [
        {"id": "7", "count": 10, "bytes": 160, "patch": "holder", "is_shadow": True},
        {"id": "8", "count": 3, "bytes": 300, "patch": None, "is_shadow": False}]
    text = guest.suture("shadow").out
    assert re.search(r"^7 +10 +160 +holder$", text, re.M), text
    assert re.search(r"^8 +3 +300 +no patch$", text, re.M), text
    assert re.search(r"^all +13 +460$", text, re.M), text
    metrics = guest.http("/metrics")[1]
    assert "\nsuture_shadow_variables 13\n" in metrics
    assert "\nsuture_shadow_variable_bytes 460\n" in metrics
    status = guest.suture("status").out
    assert re.search(r"^  object +vmlinux, patched$", status, re.M), status
    assert re.search(r"^    cmdline_proc_show 0x[0-9a-f]+ -> 0x[0-9a-f]+$", status, re.M), status
    assert re.search(r"^  state +7, version 0, owned by holder, its shadow", status, re.M), status
    current = guest.json("/v1/status")["current"]
    assert [p["name"] for p in current] == ["holder"]
    assert current[0]["states"][0]["owner"] == "holder"

    revert(guest, "holder")
    assert guest.check("dmesg | grep -c 'holder: destroyed 42'") == "10"
    # the leak
    assert shadow(guest, count=3, bytes=300)["ids"] == [
        {"id": "8", "count": 3, "bytes": 300, "patch": None, "is_shadow": False}]
    assert guest.json("/v1/status")["current"] == []

    sweeper = make(tmp_path, "sweeper", """
static int sweep(struct klp_patch *patch, struct klp_state *state)
{
	klp_shadow_free_all(8, NULL);
	return 0;
}""", "{.id = 1, .callbacks = {.pre_patch = sweep}},")
    apply(guest, sweeper)
    shadow(guest, count=0, bytes=0, ids=[])
    revert(guest, "sweeper")


def test_many_ids(guest, tmp_path, measured):
    """More ids than a report has room for: the rest is counted, and said to be more."""
    many = make(tmp_path, "many", f"""
static int take(struct klp_patch *patch, struct klp_state *state)
{{
	int i;

	for (i = 0; i < 1500; i++)
		if (!{ALLOC.format("1000000 - i", 8, "NULL")})
			return -ENOMEM;
	return 0;
}}

static void give_back(struct klp_patch *patch, struct klp_state *state)
{{
	int i;

	for (i = 0; i < 1500; i++)
		klp_shadow_free(&things[i], 1000000 - i, NULL);
}}""", "{.id = 1, .callbacks = {.pre_patch = take, .post_unpatch = give_back}},")
    apply(guest, many)
    now = shadow(guest, count=1500, bytes=12000)
    ids = [int(i["id"]) for i in now["ids"]]
    assert len(ids) == 1024 and ids == sorted(set(ids))
    assert now["more"] == {"count": 476, "bytes": 3808}
    text = guest.suture("shadow").out
    assert re.search(r"^others +476 +3808 +too many ids", text, re.M), text[-300:]
    revert(guest, "many")
    shadow(guest, count=0, bytes=0, ids=[], more={"count": 0, "bytes": 0})


def test_out_of_memory(guest, tmp_path, measured):
    """What cannot be allocated or constructed leaves nothing behind, and can be had later."""
    greedy = make(tmp_path, "greedy", """
#define QUIET (GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY)

static void *holes[1024];

static int greedy(struct klp_patch *patch, struct klp_state *state)
{
	unsigned long sizes[] = {KMALLOC_MAX_SIZE, 1ul << 40, ~0ul, ~0ul - 40};
	int i, n, got;

	for (i = 1; i < ARRAY_SIZE(sizes); i++) {
		if (klp_shadow_alloc(&things[0], 5, sizes[i], QUIET, NULL, NULL) ||
		    klp_shadow_get_or_alloc(&things[0], 5, sizes[i], QUIET, NULL, NULL))
			return -EIO;
	}
	if (klp_shadow_alloc(&things[0], 5, 8, GFP_KERNEL, refuse, NULL) ||
	    klp_shadow_get_or_alloc(&things[0], 5, 8, GFP_KERNEL, refuse, NULL) ||
	    klp_shadow_get(&things[0], 5))
		return -EEXIST;
	/* All the memory there is, but for holes that are too small: other processes live on them. */
	for (i = 0; i < ARRAY_SIZE(holes); i++)
		holes[i] = (void *)__get_free_pages(QUIET, get_order(64 << 10));
	for (i = 0; i < ARRAY_SIZE(holes); i += 2)
		free_pages((unsigned long)holes[i], get_order(64 << 10));
	for (n = 0; n < ARRAY_SIZE(things); n++)
		if (!klp_shadow_alloc(&things[n], 6, 1 << 20, QUIET, mark, NULL))
			break;
	for (i = 0, got = 0; i < ARRAY_SIZE(things); i++)
		got += !!klp_shadow_get(&things[i], 6);
	klp_shadow_free_all(6, NULL);
	for (i = 1; i < ARRAY_SIZE(holes); i += 2)
		free_pages((unsigned long)holes[i], get_order(64 << 10));
	if (n == ARRAY_SIZE(things) || got != n)
		return -E2BIG;
	pr_info("greedy: %d of a megabyte\\n", n);
	for (i = 0; i < ARRAY_SIZE(things); i++)
		if (klp_shadow_get(&things[i], 6))
			return -EEXIST;
	if (!klp_shadow_alloc(&things[0], 5, 8, GFP_KERNEL, mark, NULL))
		return -ENOMEM;
	return 0;
}""", "{.id = 5, .is_shadow = true, .callbacks = {.pre_patch = greedy}},")
    apply(guest, greedy)
    measured(guest.check("dmesg | grep -o 'greedy: .*'"))
    shadow(guest, count=1, bytes=8)
    revert(guest, "greedy")
    shadow(guest, count=0, bytes=0)
    assert guest.check("echo alive") == "alive"


def test_left_behind(guest, tmp_path):
    """What patches leave goes with the agent, which says so; a new one begins at zero."""
    leaky = make(tmp_path, "leaky", f"""
static int take(struct klp_patch *patch, struct klp_state *state)
{{
	int i;

	for (i = 0; i < 5; i++)
		if (!{ALLOC.format(2, 10, "NULL")})
			return -ENOMEM;
	return 0;
}}""", "{.id = 1, .callbacks = {.pre_patch = take}},")
    apply(guest, leaky)
    revert(guest, "leaky")
    shadow(guest, count=5, bytes=50)
    guest.check("rmmod suture")
    assert "5 shadow variables (50 bytes) were left" in guest.check("dmesg")
    result = guest.suture("shadow")
    assert result.status == 1 and "has not counted shadow variables" in result.out
    guest.load_agent()
    shadow(guest, count=0, bytes=0, ids=[])
