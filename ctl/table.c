/* SPDX-License-Identifier: BSD-2-Clause */
#include "table.h"
#include "ctl.h"

#include <string.h>

#define NR_OF(table) (sizeof(table) / sizeof((table)[0]))

static int cmd_help(const struct options *o, char **args)
{
	const struct command *c = args[0] ? command_find(args[0]) : NULL;

	(void)o;
	if (args[0] && !c)
		return fail(EX_BAD_USAGE, "no command '%s': see suture --help", args[0]);
	if (c)
		help_command(stdout, c);
	else
		help_all(stdout);
	return EX_DONE;
}

const struct command commands[] = {
	{"status", "", "the monitor, its guest, its patches and what is under way",
	 "Exits with 5 if the guest is not well, or a function of a patch is not in force.", 0, 0,
	 true, cmd_status},
	{"list", "", "all patches", NULL, 0, 0, true, cmd_list},
	{"info", "[NAME]", "the guest's kernel, or a patch: functions, reports", NULL, 0, 1, true,
	 cmd_info},
	{"shadow", "", "shadow variables in the guest, by id", NULL, 0, 0, true, cmd_shadow},
	{"log", "", "the monitor's log",
	 "Times are those of this machine: the monitor has no clock, only the time since its "
	 "start.",
	 0, 0, true, cmd_log},
	{"audit", "", "who changed what since the boot; is a record missing?",
	 "Exits with 1 if a record does not follow the one before it. Keep the head: a later "
	 "answer "
	 "must contain it.",
	 0, 0, true, cmd_audit},
	{"apply", "FILE", "apply a bundle and wait for the switch",
	 "A task that is in a function that changes is waited for, and named. When --timeout is "
	 "over, the apply is turned around, so that nothing of the patch is left; with --no-cancel "
	 "the monitor goes on trying. Ctrl-C ends the waiting only.",
	 1, 1, true, cmd_apply},
	{"revert", "NAME", "take a patch off again and unload it",
	 "When --timeout is over, the revert is turned around, and the patch stays applied; with "
	 "--no-cancel, and with --from-below, the monitor goes on trying.",
	 1, 1, true, cmd_revert},
	{"rollback", "NAME", "back to what the patch replaced, in one switch", NULL, 1, 1, true,
	 cmd_rollback},
	{"cancel", "[NAME]", "turn what is under way around", NULL, 0, 1, true, cmd_cancel},
	{"clear", "[NAME]", "forget the record of a patch that is off, or all of them", NULL, 0, 1,
	 true, cmd_clear},
	{"reboot", "--guest", "the last resort: reset the machine, whatever its guest does", NULL,
	 0, 0, true, cmd_reboot},
	{"build", "[DIR]", "build a bundle from livepatch source, or from source diffs",
	 "DIR has the source and a Kbuild file; with --diff and --source it is not given. The "
	 "bundle is for one kernel, which --vmlinuz or --build-id names.",
	 0, 1, false, cmd_build},
	{"try", "DIR|FILE", "apply a patch to a guest of its own in QEMU, and revert it",
	 "DIR is built for the guest's kernel; FILE is a bundle for it. The guest boots under the "
	 "monitor with new keys, --run is run in it before the patch, with it and after it, and "
	 "all "
	 "is removed at the end. No other machine is touched.",
	 1, 1, false, cmd_try},
	{"vm", "", "a guest under the monitor in QEMU, with its console here",
	 "It says how another terminal talks to it. exit in its shell, or Ctrl-A X, ends it.", 0, 0,
	 false, cmd_vm},
	{"inspect", "FILE", "show what a bundle holds", NULL, 1, 1, false, cmd_inspect},
	{"sign", "FILE", "sign a bundle", NULL, 1, 1, false, cmd_sign},
	{"verify", "[FILE]", "is the bundle signed by one of these keys?",
	 "Or, with --running: is the code of a patch in the guest's memory that of its bundle? "
	 "Exit "
	 "status 1 says that it is not.",
	 0, 1, false, cmd_verify},
	{"enable", "FILE", "on the guest: apply this bundle at each boot",
	 "Needs the agent's package on this machine, and guest_may_apply=yes in the monitor's "
	 "configuration. `suture list` shows what has become of it after a boot.",
	 1, 1, false, cmd_enable},
	{"disable", "NAME", "on the guest: do not apply it at boots any more", NULL, 1, 1, false,
	 cmd_disable},
	{"keys", "DIR HOST...", "make all keys and certificates, in a new folder",
	 "For monitors that are called by these names or IPv4 addresses: a certificate authority, "
	 "the monitor's key and certificate, a client's for each role, and a key that signs "
	 "bundles.",
	 2, 64, false, cmd_keys},
	{"contexts", "", "the contexts that there are: which monitor, and as whom",
	 "They are sections of SUTURE_CONFIG or ~/.config/suture/contexts, with host, ca, cert "
	 "and key.",
	 0, 0, false, cmd_contexts},
	{"check-config", "FILE", "would the monitor take this suture.conf?", NULL, 1, 1, false,
	 cmd_check_config},
	{"help", "[COMMAND]", "this list, or a command with its options", NULL, 0, 1, false,
	 cmd_help},
	{"completion", "SHELL", "print the completion for bash, zsh or fish", NULL, 1, 1, false,
	 cmd_completion},
	{"man", "", "print the manual page: suture man | man -l -", NULL, 0, 0, false, cmd_man},
};
const size_t nr_commands = NR_OF(commands);

static int add_modules(struct options *o, const char *given)
{
	if (o->nr_modules == MODULE_FOLDERS)
		return fail(EX_BAD_USAGE, "--modules %s: at most %u folders", given,
			    MODULE_FOLDERS);
	o->modules[o->nr_modules++] = given;
	return EX_DONE;
}

static int add_diff(struct options *o, const char *given)
{
	if (o->nr_diffs == DIFFS)
		return fail(EX_BAD_USAGE, "--diff %s: at most %u diffs", given, DIFFS);
	o->diffs[o->nr_diffs++] = given;
	return EX_DONE;
}

static int add_param(struct options *o, const char *given)
{
	return params_add(&o->params, given) ? EX_BAD_USAGE : EX_DONE;
}

static int add_cve(struct options *o, const char *given)
{
	return cves_add(&o->cves, given) ? EX_BAD_USAGE : EX_DONE;
}

static int add_key(struct options *o, const char *given)
{
	if (o->nr_keys == TRUSTED_KEYS)
		return fail(EX_BAD_USAGE, "--key %s: at most %u keys", given, TRUSTED_KEYS);
	o->keys[o->nr_keys++] = given;
	return EX_DONE;
}

static int set_format(struct options *o, const char *given)
{
	static const struct {
		const char *name;
		bool json, yaml, wide;
	} formats[] = {
		{.name = "table"},
		{.name = "wide", .wide = true},
		{.name = "json", .json = true},
		{.name = "yaml", .json = true, .yaml = true},
	};

	for (size_t i = 0; i < NR_OF(formats); i++) {
		if (strcmp(formats[i].name, given) != 0)
			continue;
		o->json |= formats[i].json;
		o->yaml = formats[i].yaml;
		o->wide = formats[i].wide;
		return EX_DONE;
	}
	return fail(EX_BAD_USAGE, "-o %s: there are table, wide, json and yaml", given);
}

#define WAITING " apply revert rollback cancel "
#define SHOWING                                                                                    \
	" status list info shadow log audit apply revert rollback cancel clear reboot inspect "    \
	"verify "
#define REMOTE                                                                                     \
	" status list info shadow log audit apply revert rollback cancel clear reboot verify "

#define SET(member)    OPTION_SET, offsetof(struct options, member), 0, NULL
#define TEXT(member)   OPTION_TEXT, offsetof(struct options, member), 0, NULL
#define NUMBER(member) OPTION_NUMBER, offsetof(struct options, member)
#define CALL(function) OPTION_CALL, 0, 0, function

const struct option_row option_rows[] = {
	{"host", 'H', "HOST[:PORT]", REMOTE,
	 "the monitor (or SUTURE_HOST in the environment); port 8443", TEXT(host)},
	{"context", 0, "NAME", REMOTE,
	 "which monitor, and as whom (or SUTURE_CONTEXT in the environment)", TEXT(context)},
	{"insecure", 0, NULL, REMOTE,
	 "plain HTTP, for a monitor with insecure=yes in its suture.conf", SET(insecure)},
	{"json", 'j', NULL, SHOWING, "the same as -o json: the answers as they are", SET(json)},
	{"output", 'o', "table|wide|json|yaml", SHOWING, "how to print what is shown",
	 CALL(set_format)},
	{"output", 'o', "FILE", " build sign ", "the bundle to write", TEXT(output)},
	{"timeout", 't', "SECONDS", WAITING, "how long to wait (60)", NUMBER(timeout_s), 86400,
	 NULL},
	{"no-cancel", 0, NULL, WAITING, "let the monitor go on when --timeout is over",
	 SET(no_cancel)},
	{"no-wait", 0, NULL, WAITING, "return as soon as the monitor has begun", SET(no_wait)},
	{"strict", 0, NULL, " apply build ",
	 "refuse a patch whose new code others do not run: they call a clone of its function, or "
	 "nobody calls it",
	 SET(strict)},
	{"allow-downgrade", 0, NULL, " apply ",
	 "take an older version of the patch than one that was there", SET(allow_downgrade)},
	{"from-below", 0, NULL, " revert rollback ",
	 "the guest hangs, the monitor does it alone; no callback runs, the module stays loaded",
	 SET(from_below)},
	{"force", 0, NULL, " revert rollback ",
	 "with --from-below, though tasks are in the patch: only the bytes of its jumps are "
	 "checked",
	 SET(force)},
	{"force", 0, NULL, " enable ",
	 "also if it is locked out, because a crash or a hang followed it", SET(force)},
	{"guest", 0, NULL, " reboot ", "the guest is not asked", SET(guest)},
	{"since", 0, "NUMBER", " log ", "begin with this line's number", NUMBER(since), ~0ull >> 1,
	 NULL},
	{"follow", 'f', NULL, " log ", "wait for more lines, until Ctrl-C", SET(follow)},
	{"key", 0, "FILE", " sign verify ",
	 "sign: the private key, or its pkcs11: URI; verify: a trusted public key or certificate, "
	 "as "
	 "often as needed",
	 CALL(add_key)},
	{"running", 0, "NAME", " verify ",
	 "ask the monitor to compare that patch's code in the guest with its bundle",
	 TEXT(running)},
	{"days", 0, "NUMBER", " sign keys ",
	 "the bundle is refused, or the certificates expire, after so many days", NUMBER(days),
	 36500, NULL},
	{"run", 0, "COMMAND", " try ", "what shows in the guest whether the patch is applied",
	 TEXT(run)},
	{"keep", 0, NULL, " try ", "the patch stays applied, and the guest there until Ctrl-C",
	 SET(keep)},
	{"kernel", 0, "RELEASE", " try vm ",
	 "Debian's kernel of that name, fetched if it is not there (this machine's, if it has "
	 "headers)",
	 TEXT(kernel)},
	{"kernel", 0, "HEADERS|RELEASE", " build ",
	 "folder of the kernel's headers, or a release of Debian's, which apt fetches",
	 TEXT(kernel)},
	{"vmlinuz", 0, "FILE", " build ", "the kernel's image, with its build-id", TEXT(vmlinuz)},
	{"build-id", 0, "HEX", " build ", "the build-id, if there is no image", TEXT(build_id)},
	{"modules", 0, "DIR", " build ", "folder with the kernel's modules; as often as needed",
	 CALL(add_modules)},
	{"diff", 0, "FILE", " build ", "a source diff, instead of DIR; as often as needed",
	 CALL(add_diff)},
	{"callbacks", 0, "FILE", " build ", "for --diff: a C file with callbacks and states",
	 TEXT(callbacks)},
	{"source", 0, "DIR|DEB", " build ", "for --diff: the source that the kernel was built from",
	 TEXT(source)},
	{"debug", 0, "VMLINUX", " build ", "vmlinux with debug information", TEXT(debug)},
	{"no-check", 0, NULL, " build ", "warn where a payload does not fit, and build it",
	 SET(no_check)},
	{"version", 0, "TEXT", " build ", "version of the patch", TEXT(version)},
	{"description", 0, "TEXT", " build ", "what it does, in a line", TEXT(description)},
	{"cve", 0, "ID[,ID...]", " build ", "what it fixes; as often as needed", CALL(add_cve)},
	{"param", 0, "NAME=VALUE", " build ",
	 "parameter of the module, for its load; as often as needed", CALL(add_param)},
};
const size_t nr_option_rows = NR_OF(option_rows);
_Static_assert(NR_OF(option_rows) <= OPTION_ROWS_MAX, "room in options_parse()");

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < nr_commands; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

bool option_is_for(const struct option_row *row, const struct command *c)
{
	char name[32];

	snprintf(name, sizeof(name), " %s ", c->name);
	return !row->commands || strstr(row->commands, name);
}
