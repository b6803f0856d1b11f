/* SPDX-License-Identifier: BSD-2-Clause */
#include "differ.h"
#include "../ctl.h"
#include "../run.h"
#include "refusal.h"

#include <bpf/btf.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#define IN_TREE	  "../deps/kpatch/create-diff-object"
#define INSTALLED "../lib/kpatch/create-diff-object"
/* its exit status: the compiled code is the same */
#define NO_CHANGE 3

/* Its environment has the size of each kind of entry in the kernel's tables. */
static const struct table {
	const char *variable, *type;
} tables[] = {
	{"ALT_STRUCT_SIZE", "alt_instr"},
	{"BUG_STRUCT_SIZE", "bug_entry"},
	{"EX_STRUCT_SIZE", "exception_table_entry"},
	{"JUMP_STRUCT_SIZE", "jump_entry"},
	{"ORC_STRUCT_SIZE", "orc_entry"},
	{"PARA_STRUCT_SIZE", "paravirt_patch_site"},
	{"STATIC_CALL_STRUCT_SIZE", "static_call_site"},
	{"PRINTK_INDEX_STRUCT_SIZE", "pi_entry"},
};

static int find_program(char *path, size_t size)
{
	static const char *const places[] = {"/usr/lib/kpatch/create-diff-object",
					     "/usr/libexec/kpatch/create-diff-object",
					     "/usr/local/libexec/kpatch/create-diff-object"};
	const char *given = getenv("SUTURE_CREATE_DIFF_OBJECT");

	if (given) {
		snprintf(path, size, "%s", given);
		return access(path, X_OK)
			       ? fail(EX_BAD_USAGE, "SUTURE_CREATE_DIFF_OBJECT: %s cannot be run",
				      given)
			       : EX_DONE;
	}
	if (run_find_own(path, size, IN_TREE, INSTALLED))
		return EX_DONE;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, size, "%s", places[i]);
		if (!access(path, X_OK))
			return EX_DONE;
	}
	return fail(EX_BAD_USAGE,
		    "create-diff-object, which compares objects, is not here: install kpatch-build "
		    "(Debian sid has it; version 0.9.11), or set SUTURE_CREATE_DIFF_OBJECT to its "
		    "path");
}

int differ_prepare(char *path, size_t size, const struct kernel *k)
{
	char text[16];

	if (!k->btf)
		return fail(EX_BAD_USAGE,
			    "%s: has no type information (BTF), which a build from a diff needs",
			    k->image_path);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		int id = btf__find_by_name_kind(k->btf, tables[i].type, BTF_KIND_STRUCT);
		long long bytes = id > 0 ? btf__resolve_size(k->btf, (unsigned)id) : -1;

		snprintf(text, sizeof(text), "%lld", bytes);
		if (bytes > 0)
			setenv(tables[i].variable, text, 1);
	}
	return find_program(path, size);
}

int differ_run(const char *path, const struct differ *d, bool *changed)
{
	const char *argv[] = {path,	  d->original, d->patched, d->target, d->symbols,
			      d->exports, "suture",    d->output,  NULL};
	int status = run(argv, d->log);

	*changed = status == 0;
	if (status == 0 || status == NO_CHANGE)
		return EX_DONE;
	return refusal_show(d->name, d->log);
}
