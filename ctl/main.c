/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct command commands[] = {
	{"status", "", "the monitor, its guest, its patches and what is under way", 0, 0, true,
	 cmd_status},
	{"list", "", "all patches", 0, 0, true, cmd_list},
	{"info", "[NAME]", "the guest's kernel, or a patch with its functions and reports", 0, 1,
	 true, cmd_info},
	{"shadow", "", "shadow variables in the guest, by id", 0, 0, true, cmd_shadow},
	{"log", "", "the monitor's log (--since N)", 0, 0, true, cmd_log},
	{"apply", "FILE", "apply a bundle and wait for the switch", 1, 1, true, cmd_apply},
	{"revert", "NAME", "take a patch off again and unload it", 1, 1, true, cmd_revert},
	{"rollback", "NAME", "back to what the patch replaced, in one switch", 1, 1, true,
	 cmd_rollback},
	{"cancel", "[NAME]", "turn what is under way around", 0, 1, true, cmd_cancel},
	{"clear", "[NAME]", "forget the record of a patch that is reverted or failed, or all", 0, 1,
	 true, cmd_clear},
	{"reboot", "--guest", "the last resort: reset the machine, whatever its guest does", 0, 0,
	 true, cmd_reboot},
	{"build", "[DIR]", "build a bundle from livepatch source or source diffs (-o FILE)", 0, 1,
	 false, cmd_build},
	{"inspect", "FILE", "show what a bundle holds", 1, 1, false, cmd_inspect},
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

int fail(enum exit_code code, const char *fmt, ...)
{
	char *text = NULL, *shown = NULL;
	va_list ap;

	fflush(stdout);
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) >= 0)
		shown = escape(text, "\n\t");
	va_end(ap);
	fprintf(stderr, "suture: %s\n", shown ? shown : "no memory");
	free(shown);
	free(text);
	return code;
}

void *read_file(const char *path, size_t max, size_t *size)
{
	FILE *f = fopen(path, "rb");
	char *data = NULL;
	size_t have = 0, room = 0;

	if (!f) {
		fail(EX_BAD_USAGE, "%s: %s", path, strerror(errno));
		return NULL;
	}
	do {
		char *more;

		room = room ? room * 2 : 65536;
		more = realloc(data, room + 1);
		if (!more) {
			fail(EX_FAILED, "%s: no memory for %zu bytes", path, room);
			goto out;
		}
		data = more;
		have += fread(data + have, 1, room - have, f);
	} while (have == room && have <= max);
	if (ferror(f)) {
		fail(EX_BAD_USAGE, "%s: %s", path, strerror(errno));
		goto out;
	}
	if (have > max) {
		fail(EX_BAD_USAGE, "%s: larger than the %zu bytes that are allowed", path, max);
		goto out;
	}
	data[have] = 0;
	*size = have;
	fclose(f);
	return data;
out:
	fclose(f);
	free(data);
	return NULL;
}

static void usage(FILE *to)
{
	fputs("usage: suture [--host HOST[:PORT]] [--insecure] [--json] COMMAND [ARGUMENTS]\n\n",
	      to);
	for (size_t i = 0; i < NR_COMMANDS; i++)
		fprintf(to, "  %-8s %-6s %s\n", commands[i].name, commands[i].args,
			commands[i].help);
	fputs("\n"
	      "  --host HOST[:PORT]  the monitor (or SUTURE_HOST in the environment); port 8443\n"
	      "  --insecure          plain HTTP, for a monitor with insecure=yes in its "
	      "suture.conf\n"
	      "  --json              print the monitor's answers as JSON\n"
	      "  --timeout SECONDS   apply, revert, rollback, cancel: how long to wait (60)\n"
	      "  --no-wait           the same: return as soon as the monitor has "
	      "begun\n"
	      "  --strict            apply, build: refuse a patch whose new code others do not "
	      "run: "
	      "they\n"
	      "                      call a clone of its function, or nobody calls it\n"
	      "  --from-below        revert: the guest hangs, the monitor does it alone; no "
	      "callback\n"
	      "                      runs, the module stays loaded\n"
	      "  --force             the same, though tasks are in the patch: only the bytes of "
	      "its\n"
	      "                      jumps are checked\n"
	      "  build: -o FILE, --kernel HEADERS, --vmlinuz FILE or --build-id HEX, "
	      "--modules DIR,\n"
	      "         --diff FILE (instead of DIR) and --source DIR_OR_DEB of the kernel,\n"
	      "         --debug VMLINUX, --no-check, --version TEXT, --description TEXT, --cve "
	      "ID,\n"
	      "         --param NAME=VALUE (of the module, for its load); --modules, --cve and\n"
	      "         --param as often as needed\n\n"
	      "Exit codes: 0 done, 1 refused or failed, 2 bad command line or file, 3 monitor not\n"
	      "reached, 4 still under way after --timeout, 5 status: the guest is not well, or\n"
	      "a function of a patch is not in force.\n\n"
	      "Example: suture --host 10.0.2.15 --insecure apply fix.sut\n",
	      to);
}

static bool number(const char *text, unsigned long long max, unsigned long long *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && !errno && *value <= max;
}

enum long_option {
	OPT_INSECURE = 256,
	OPT_NO_WAIT,
	OPT_STRICT,
	OPT_FROM_BELOW,
	OPT_FORCE,
	OPT_GUEST,
	OPT_KERNEL,
	OPT_BUILD_ID,
	OPT_VMLINUZ,
	OPT_MODULES,
	OPT_DEBUG,
	OPT_DIFF,
	OPT_SOURCE,
	OPT_NO_CHECK,
	OPT_VERSION,
	OPT_DESCRIPTION,
	OPT_PARAM,
	OPT_CVE,
	OPT_SINCE
};

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{"host", required_argument, NULL, 'H'},
		{"json", no_argument, NULL, 'j'},
		{"insecure", no_argument, NULL, OPT_INSECURE},
		{"timeout", required_argument, NULL, 't'},
		{"no-wait", no_argument, NULL, OPT_NO_WAIT},
		{"strict", no_argument, NULL, OPT_STRICT},
		{"from-below", no_argument, NULL, OPT_FROM_BELOW},
		{"force", no_argument, NULL, OPT_FORCE},
		{"guest", no_argument, NULL, OPT_GUEST},
		{"output", required_argument, NULL, 'o'},
		{"kernel", required_argument, NULL, OPT_KERNEL},
		{"build-id", required_argument, NULL, OPT_BUILD_ID},
		{"vmlinuz", required_argument, NULL, OPT_VMLINUZ},
		{"modules", required_argument, NULL, OPT_MODULES},
		{"debug", required_argument, NULL, OPT_DEBUG},
		{"diff", required_argument, NULL, OPT_DIFF},
		{"source", required_argument, NULL, OPT_SOURCE},
		{"no-check", no_argument, NULL, OPT_NO_CHECK},
		{"version", required_argument, NULL, OPT_VERSION},
		{"description", required_argument, NULL, OPT_DESCRIPTION},
		{"param", required_argument, NULL, OPT_PARAM},
		{"cve", required_argument, NULL, OPT_CVE},
		{"since", required_argument, NULL, OPT_SINCE},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	unsigned long long v;
	int c;

	while ((c = getopt_long(argc, argv, "H:jt:o:h", longs, NULL)) != -1) {
		switch (c) {
		case 'H':
			o->host = optarg;
			break;
		case 'j':
			o->json = true;
			break;
		case OPT_INSECURE:
			o->insecure = true;
			break;
		case 't':
			if (!number(optarg, 86400, &v))
				return fail(EX_BAD_USAGE, "--timeout %s: give seconds, 0 to 86400",
					    optarg);
			o->timeout_s = (unsigned)v;
			break;
		case OPT_NO_WAIT:
			o->no_wait = true;
			break;
		case OPT_STRICT:
			o->strict = true;
			break;
		case OPT_FROM_BELOW:
			o->from_below = true;
			break;
		case OPT_FORCE:
			o->force = true;
			break;
		case OPT_GUEST:
			o->guest = true;
			break;
		case 'o':
			o->output = optarg;
			break;
		case OPT_KERNEL:
			o->kernel = optarg;
			break;
		case OPT_BUILD_ID:
			o->build_id = optarg;
			break;
		case OPT_VMLINUZ:
			o->vmlinuz = optarg;
			break;
		case OPT_MODULES:
			if (o->nr_modules == MODULE_FOLDERS)
				return fail(EX_BAD_USAGE, "--modules %s: at most %u folders",
					    optarg, MODULE_FOLDERS);
			o->modules[o->nr_modules++] = optarg;
			break;
		case OPT_DEBUG:
			o->debug = optarg;
			break;
		case OPT_DIFF:
			if (o->nr_diffs == DIFFS)
				return fail(EX_BAD_USAGE, "--diff %s: at most %u diffs", optarg,
					    DIFFS);
			o->diffs[o->nr_diffs++] = optarg;
			break;
		case OPT_SOURCE:
			o->source = optarg;
			break;
		case OPT_NO_CHECK:
			o->no_check = true;
			break;
		case OPT_VERSION:
			o->version = optarg;
			break;
		case OPT_DESCRIPTION:
			o->description = optarg;
			break;
		case OPT_PARAM:
			if (params_add(&o->params, optarg))
				return EX_BAD_USAGE;
			break;
		case OPT_CVE:
			if (cves_add(&o->cves, optarg))
				return EX_BAD_USAGE;
			break;
		case OPT_SINCE:
			if (!number(optarg, ~0ull >> 1, &o->since))
				return fail(EX_BAD_USAGE, "--since %s: give a line number", optarg);
			break;
		case 'h':
			usage(stdout);
			exit(EX_DONE);
		default:
			return fail(EX_BAD_USAGE, "see suture --help");
		}
	}
	return EX_DONE;
}

int main(int argc, char **argv)
{
	struct options o = {.host = getenv("SUTURE_HOST"), .timeout_s = 60};
	const struct command *c = NULL;
	int r = parse_options(argc, argv, &o);

	if (r)
		return r;
	if (optind == argc) {
		usage(stderr);
		return EX_BAD_USAGE;
	}
	for (size_t i = 0; i < NR_COMMANDS; i++)
		if (!strcmp(commands[i].name, argv[optind]))
			c = &commands[i];
	if (!c)
		return fail(EX_BAD_USAGE, "no command '%s': see suture --help", argv[optind]);
	if (argc - optind - 1 < c->min_args || argc - optind - 1 > c->max_args)
		return fail(EX_BAD_USAGE, "usage: suture %s %s", c->name, c->args);
	if (c->remote && (!o.host || !*o.host))
		return fail(EX_BAD_USAGE,
			    "%s needs to know the monitor: --host HOST[:PORT] or SUTURE_HOST",
			    c->name);
	return c->run(&o, argv + optind + 1);
}
