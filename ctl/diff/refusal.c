/* SPDX-License-Identifier: BSD-2-Clause */
#include "refusal.h"
#include "../buildlog.h"
#include "../ctl.h"

#include <stdlib.h>
#include <string.h>

#define LOG_MAX	 ((size_t)4 << 20)
#define WORD_MAX 128u

#define NO_REDIRECT                                                                                \
	"notrace or entry code cannot be replaced, it has no place for a redirect: change its "    \
	"callers, or what it calls"

#define INIT_GONE                                                                                  \
	"__init code or data changes, which has run and is gone in a running kernel: leave it "    \
	"out of the diff, and do what it should have done in a callback (--callbacks FILE)"
#define VALUE_THERE                                                                                \
	"the initial value of a variable changes, and the running kernel has the variable "        \
	"already: leave it out of the diff, and set it in a callback (--callbacks FILE)"
#define TABLE_THERE                                                                                \
	"a constant table or value changes, and the running kernel has it already: leave it out "  \
	"of the diff, and change the functions that the table names, or that read the value"
#define PARAMETER                                                                                  \
	"a module parameter changes or is new, and the running kernel has read the parameters "    \
	"already: leave it out of the diff; a callback (--callbacks FILE) can set its variable"

/* In a line of the output: a word stands between `before` and `behind`. */
static const struct reason {
	const char *before, *prefix, *behind; /* prefix: what the word begins with */
	const char *why;
} reasons[] = {
	{"changed section ", ".init", " not selected", INIT_GONE},
	{"changed section ", ".rela.init", " not selected", INIT_GONE},
	{"changed section ", ".exit", " not selected",
	 "__exit code changes, which cannot be replaced"},
	{"changed section ", ".rela.exit", " not selected",
	 "__exit code changes, which cannot be replaced"},
	{"data section ", "", " selected for inclusion", VALUE_THERE},
	{"changed section ", ".data", " not selected", VALUE_THERE},
	{"changed section ", ".rela.data", " not selected", VALUE_THERE},
	{"changed section ", ".noinstr.text", " not selected", NO_REDIRECT},
	{"changed section ", ".rela.noinstr.text", " not selected", NO_REDIRECT},
	{"changed section ", ".entry.text", " not selected", NO_REDIRECT},
	{"changed section ", ".rela.entry.text", " not selected", NO_REDIRECT},
	{"changed section ", "__param", " not selected", PARAMETER},
	{"changed section ", ".rela__param", " not selected", PARAMETER},
	{"changed section ", ".rodata.", " not selected", TABLE_THERE},
	{"changed section ", ".rela.rodata.", " not selected", TABLE_THERE},
	{"changed section ", "", " not selected",
	 "data changes that no function of the change uses: the running kernel has it already"},
	{"changed section ", "", " is part of a section group",
	 "a section that is part of a group changes"},
	{"object size mismatch: ", "", "",
	 "a variable's size changes, and the running kernel has it with the old size: use a new "
	 "one, "
	 "or a shadow variable (klp_shadow_alloc())"},
	{"symbol changed sections: ", "", "",
	 "it moves to another section, as code or data that is freed after boot, or read-only"},
	{"reference to static local variable ", "", " in ",
	 "the function no longer uses its static variable, whose value it has to go on with"},
	{"function ", "", " doesn't have patchable function entry", NO_REDIRECT},
	{"function ", "", " has no fentry/mcount call", NO_REDIRECT},
	{"Found a jump label at ", "", ", using key",
	 "it uses a static key of a module, or one that is not in the kernel's table of symbols, "
	 "in a "
	 "jump: use static_key_enabled() in the diff"},
	{"Found a static call at ", "", ", using key",
	 "it uses a static call of a module: call its target through static_call_query() in the "
	 "diff"},
	{"unsupported klp relocation reference to symbol '", "", "'",
	 "a table that the kernel's loader reads refers to it, which a module's patch cannot have"},
};

#define NR_REASONS (sizeof(reasons) / sizeof(reasons[0]))

/* The word of the line that the reason is for. False: it is not that reason. */
static bool find_word(const struct reason *r, const char *line, char word[WORD_MAX])
{
	const char *at = strstr(line, r->before), *end;

	if (!at)
		return false;
	at += strlen(r->before);
	end = *r->behind ? strstr(at, r->behind) : at + strcspn(at, " \n");
	if (!end || strncmp(at, r->prefix, strlen(r->prefix)) != 0)
		return false;
	snprintf(word, WORD_MAX, "%.*s", (int)(end - at), at);
	return true;
}

/* The name of the function or variable that has the section for itself; else the section's. */
static const char *without_section(const char *word)
{
	static const char *const starts[] = {".init.text.", ".init.data.", ".exit.text.", ".data.",
					     ".bss.",	    ".text.",	   ".rodata."};

	if (!strncmp(word, ".rela", 5))
		word += 5;
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		size_t n = strlen(starts[i]);

		if (!strncmp(word, starts[i], n) && word[n] && word[n] != '.')
			return word + n;
	}
	return word;
}

int refusal_show(const char *object, const char *log)
{
	size_t size;
	char *text = read_file(log, LOG_MAX, &size), *rest = text, *line, word[WORD_MAX];
	char last[WORD_MAX] = "";
	unsigned known = 0;

	while (text && (line = strsep(&rest, "\n")) != NULL)
		for (size_t i = 0; i < NR_REASONS; i++) {
			if (!find_word(&reasons[i], line, word))
				continue;
			/* a section and its relocations are one reason */
			if (!known++ || strcmp(last, without_section(word)) != 0)
				fail(EX_BAD_USAGE, "%s: %s: %s", object, without_section(word),
				     reasons[i].why);
			snprintf(last, sizeof(last), "%s", without_section(word));
			break;
		}
	free(text);
	if (!known)
		buildlog_show(log);
	return fail(EX_BAD_USAGE, "%s: the change cannot be made into a patch: see above", object);
}
