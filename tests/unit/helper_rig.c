/* SPDX-License-Identifier: GPL-2.0-only */
#include "helper_rig.h"

#include <unistd.h>

#define RO   SUTURE_SYMBOL_READ_ONLY
#define INIT SUTURE_SYMBOL_INIT

static const char livepatch[] =
	"#define NULL ((void *)0)\n"
	"struct klp_object;\n"
	"struct klp_func { const char *old_name; void *new_func; unsigned long old_sympos;\n"
	"	void *old_func; unsigned long old_size, new_size; };\n"
	"struct klp_callbacks { void *pre_patch, *post_patch, *pre_unpatch, *post_unpatch;\n"
	"	_Bool enabled; };\n"
	"struct klp_object { const char *name; struct klp_func *funcs;\n"
	"	struct klp_callbacks callbacks; void *mod; };\n"
	"struct klp_state { unsigned long id; unsigned version; _Bool shadow, block; void *data;\n"
	"	void *callbacks[5]; };\n"
	"struct klp_patch { void *mod; struct klp_object *objs; struct klp_state *states;\n"
	"	_Bool replace; };\n"
	"#ifdef __aarch64__\n"
	"#define ENABLE(patch) asm volatile(\".pushsection .suture.patches, \\\"a\\\"\\n\"\\\n"
	"	\".quad %0\\n.popsection\" : : \"S\"(patch))\n"
	"#else\n"
	"#define ENABLE(patch) asm volatile(\".pushsection .suture.patches, \\\"a\\\"\\n\"\\\n"
	"	\"movq %0, %%rax\\n.popsection\" : : \"ri\"(patch))\n"
	"#endif\n"
	"#define FUNCS(name, ...) static struct klp_func name[] = { __VA_ARGS__, { } }\n"
	"#define PATCH(...) static struct klp_object objs[] = { __VA_ARGS__, { } };\\\n"
	"	static struct klp_patch patch = { .objs = objs };\\\n"
	"	int init_module(void) { ENABLE(&patch); return 0; }\n"
	"#define SYMBOL(object, name, position) asm(\"__suture_sym.\" #object \".\" #name \".\""
	" #position)\n"
	"#define noinline __attribute__((noinline))\n"
	"#line 1\n";

static const char x86[] = "gcc -mcmodel=kernel -mno-red-zone -fcf-protection=none "
			  "-fno-toplevel-reorder";
static const char arm64[] = "clang --target=aarch64-linux-gnu -mgeneral-regs-only";
static const char *helper_compiler;

static void compile(const char *folder, const char *source)
{
	char path[128], command[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/p.c", folder);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(livepatch, f);
	fputs(source, f);
	assert_int_equal(fclose(f), 0);
	snprintf(command, sizeof(command),
		 "%s -c -O1 -w -fno-pic -ffreestanding -fno-common -fno-asynchronous-unwind-tables "
		 "-o %s/p.o %s",
		 helper_compiler, folder, path);
	assert_int_equal(system(command), 0);
}

struct payload payload_make(const char *source)
{
	char folder[] = "/tmp/helper.XXXXXX", command[128];
	struct payload p;
	FILE *f;

	assert_non_null(mkdtemp(folder));
	compile(folder, source);
	snprintf(command, sizeof(command), "%s/p.o", folder);
	f = fopen(command, "r");
	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	p.size = (size_t)ftell(f);
	rewind(f);
	p.bytes = malloc(p.size);
	assert_int_equal(fread(p.bytes, 1, p.size, f), p.size);
	fclose(f);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	assert_int_equal(system(command), 0);
	return p;
}

struct payload payload_copy(const struct payload *p, size_t size)
{
	struct payload copy = {malloc(size ? size : 1), size};

	memcpy(copy.bytes, p->bytes, size);
	return copy;
}

/* ---- the agent ---- */

static void answer(const struct kernel *k, struct suture_symbol *s)
{
	const char *where = "";

	s->count = s->exported = s->flags = 0;
	s->address = 0;
	for (size_t i = 0; i < k->nr_symbols; i++) {
		const struct known *known = &k->symbols[i];

		if (strcmp(known->name, s->name) != 0 ||
		    (*s->object && strcmp(known->object, s->object) != 0))
			continue;
		s->count++;
		if (!s->exported &&
		    (known->exported || s->count == (s->position ? s->position : 1))) {
			where = known->object;
			s->address = known->address;
			s->flags = known->flags;
		}
		s->exported |= known->exported;
	}
	if (s->count && !*s->object)
		snprintf(s->object, sizeof(s->object), "%s", where);
}

static int resolve(struct agent *agent, struct suture_resolve *request)
{
	struct kernel *k = (struct kernel *)agent;
	struct suture_symbol *symbols = (struct suture_symbol *)(uintptr_t)request->symbols;

	assert_true(request->count <= SUTURE_MAX_SYMBOLS);
	assert_true(request->count || request->nr_functions);
	k->nr_requests++;
	for (uint32_t i = 0; i < request->nr_functions; i++) {
		size_t length = strlen(k->functions);
		const char(*names)[SUTURE_SYM_LEN] = (const void *)(uintptr_t)request->functions;

		snprintf(k->functions + length, sizeof(k->functions) - length, "%s%s ",
			 length ? "" : " ", names[i]);
	}
	for (uint32_t i = 0; i < request->count; i++)
		answer(k, &symbols[i]);
	request->flags = k->flags;
	return 0;
}

static void *copy_of(su64 from, uint32_t count, size_t size)
{
	void *copy = calloc((size_t)count + 1, size);

	memcpy(copy, (const void *)(uintptr_t)from, count * size);
	return copy;
}

static int late(struct agent *agent, const struct suture_late *request)
{
	struct kernel *k = (struct kernel *)agent;

	assert_null(k->relocs);
	k->late = *request;
	k->relocs = copy_of(request->relocs, request->nr_relocs, sizeof(*k->relocs));
	k->sections = copy_of(request->sections, request->nr_sections, sizeof(*k->sections));
	k->late_symbols = copy_of(request->symbols, request->nr_symbols, sizeof(*k->late_symbols));
	k->holds = copy_of(request->holds, request->nr_holds, sizeof(*k->holds));
	return 0;
}

static bool loaded(struct agent *agent, const char *module)
{
	char word[SUTURE_NAME_LEN + 2];

	snprintf(word, sizeof(word), " %s ", module);
	return strstr(((struct kernel *)agent)->modules, word) != NULL;
}

void kernel_init(struct kernel *k, const struct known *symbols, size_t count, const char *modules)
{
	*k = (struct kernel){
		.agent = {resolve, late, loaded},
		.symbols = symbols,
		.nr_symbols = count,
		.modules = modules,
	};
}

void kernel_free(struct kernel *k)
{
	free(k->relocs);
	free(k->sections);
	free(k->late_symbols);
	free(k->holds);
	k->late = (struct suture_late){0};
	k->relocs = NULL;
	k->sections = NULL;
	k->late_symbols = NULL;
	k->holds = NULL;
}

int payload_prepare(struct payload *p, struct kernel *k, struct failure *f)
{
	struct module m;
	int err = module_open(&m, p->bytes, p->size, f);

	if (!err)
		err = resolve_module(&m, &k->agent, f);
	module_close(&m);
	return err;
}

unsigned int late_count(const struct kernel *k, const char *object, const char *name)
{
	unsigned int count = 0;

	for (uint32_t i = 0; i < k->late.nr_relocs; i++) {
		const struct suture_symbol *s = &k->late_symbols[k->relocs[i].symbol];

		assert_true(k->relocs[i].symbol < k->late.nr_symbols);
		assert_true(k->relocs[i].section < k->late.nr_sections);
		count += !strcmp(s->object, object) && !strcmp(s->name, name);
	}
	return count;
}

bool is_held(const struct kernel *k, const char *module)
{
	for (uint32_t i = 0; i < k->late.nr_holds; i++) {
		if (!strcmp(k->holds[i], module))
			return true;
	}
	return false;
}

/* ---- what the tests have in common ---- */

/* A kernel in which the modules m and n are loaded; those named `absent` are not. */
const struct known all_symbols[NR_SYMBOLS] = {
	{"vmlinux", "printk_", 0xffffffff81000010, 1, RO},
	{"vmlinux", "hidden", 0xffffffff81000020, 0, RO},
	{"vmlinux", "twice", 0xffffffff81000030, 0, 0},
	{"vmlinux", "twice", 0xffffffff81000040, 0, 0},
	{"vmlinux", "gone", 0xffffffff82000000, 0, INIT},
	{"vmlinux", "key_rw", 0xffffffff82100000, 0, 0},
	{"vmlinux", "key_ro", 0xffffffff82200000, 0, RO},
	{"vmlinux", "key_ro_exported", 0xffffffff82200010, 1, RO},
	{"vmlinux", "__SCK__rw", 0xffffffff82100100, 0, 0},
	{"vmlinux", "__SCK__ro", 0xffffffff82200100, 0, RO},
	{"vmlinux", "__SCT__some", 0xffffffff81000100, 1, RO},
	{"m", "m_func", 0xffffffffa0000010, 0, RO},
	{"m", "m_data", 0xffffffffa0002010, 0, 0},
	{"m", "m_exported", 0xffffffffa0000020, 1, RO},
	{"m", "m_init", 0xffffffffa0004000, 0, INIT},
	{"m", "m_key_ro", 0xffffffffa0002020, 0, RO},
	{"m", "both", 0xffffffffa0002030, 0, 0},
	{"m", "shadowed", 0xffffffffa0002040, 1, 0},
	{"n", "n_func", 0xffffffffa0100010, 0, RO},
	{"n", "n_exported", 0xffffffffa0100020, 1, RO},
	{"n", "both", 0xffffffffa0102030, 0, 0},
	{"n", "shadowed", 0xffffffffa0102040, 0, 0},
};

struct kernel kernel;
struct payload payload;
struct failure failure;

int helper_setup(void **state)
{
	(void)state;
	helper_compiler = x86;
	kernel_init(&kernel, all_symbols, NR_SYMBOLS, " m n ");
	failure.text[0] = 0;
	payload = (struct payload){0};
	return 0;
}

int helper_setup_arm64(void **state)
{
	helper_setup(state);
	helper_compiler = arm64;
	return 0;
}

int helper_teardown(void **state)
{
	(void)state;
	kernel_free(&kernel);
	free(payload.bytes);
	return 0;
}

static int try(const char *source)
{
	payload = payload_make(source);
	return payload_prepare(&payload, &kernel, &failure);
}

void taken(const char *source)
{
	int err = try(source);

	if (err)
		print_error("%s\n", failure.text);
	assert_int_equal(err, 0);
}

void refused(const char *source, int err, const char *says)
{
	assert_int_equal(try(source), err);
	if (!strstr(failure.text, says))
		print_error("'%s' is not '%s'\n", failure.text, says);
	assert_non_null(strstr(failure.text, says));
	assert_null(kernel.relocs);
}

/* ---- the file as it is afterwards ---- */

static const Elf64_Shdr *sections(void)
{
	return (const Elf64_Shdr *)(payload.bytes + ((Elf64_Ehdr *)payload.bytes)->e_shoff);
}

const Elf64_Shdr *section(const char *name)
{
	const Elf64_Ehdr *h = (const Elf64_Ehdr *)payload.bytes;
	const char *names = (const char *)payload.bytes + sections()[h->e_shstrndx].sh_offset;

	for (unsigned int i = 0; i < h->e_shnum; i++) {
		if (!strcmp(names + sections()[i].sh_name, name))
			return &sections()[i];
	}
	fail_msg("no section %s", name);
	return NULL;
}

const Elf64_Sym *symbol(const char *name)
{
	const Elf64_Ehdr *h = (const Elf64_Ehdr *)payload.bytes;

	for (unsigned int i = 0; i < h->e_shnum; i++) {
		const Elf64_Shdr *s = &sections()[i];
		const Elf64_Sym *sym = (const Elf64_Sym *)(payload.bytes + s->sh_offset);
		const char *names;

		if (s->sh_type != SHT_SYMTAB)
			continue;
		names = (const char *)payload.bytes + sections()[s->sh_link].sh_offset;
		for (; sym < (const Elf64_Sym *)(payload.bytes + s->sh_offset + s->sh_size);
		     sym++) {
			if (!strcmp(names + sym->st_name, name))
				return sym;
		}
	}
	fail_msg("no symbol %s", name);
	return NULL;
}

void absolute(const char *name, uint64_t address)
{
	const Elf64_Sym *s = symbol(name);

	assert_int_equal(s->st_shndx, SHN_ABS);
	assert_int_equal(s->st_value, address);
}

unsigned int relocations(uint32_t type)
{
	const Elf64_Ehdr *h = (const Elf64_Ehdr *)payload.bytes;
	unsigned int count = 0;

	for (unsigned int i = 0; i < h->e_shnum; i++) {
		const Elf64_Shdr *s = &sections()[i];
		const Elf64_Rela *r = (const Elf64_Rela *)(payload.bytes + s->sh_offset);

		if (s->sh_type != SHT_RELA)
			continue;
		assert_false(s->sh_flags & 0x00100000); /* SHF_RELA_LIVEPATCH */
		for (; r < (const Elf64_Rela *)(payload.bytes + s->sh_offset + s->sh_size); r++)
			count += ELF64_R_TYPE(r->r_info) == type;
	}
	return count;
}
