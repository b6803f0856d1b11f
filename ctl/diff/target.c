/* SPDX-License-Identifier: BSD-2-Clause */
#include "target.h"
#include "../ctl.h"
#include "../names.h"

#include <string.h>

int target_open(struct target *t, const struct kernel *k, const char *name)
{
	const char *path;

	*t = (struct target){.kernel = k};
	if (!names_copy(t->name, sizeof(t->name), name))
		return fail(EX_BAD_USAGE, "%s: the name of a module is too long", name);
	t->is_module = strcmp(name, "vmlinux") != 0;
	t->machine = k->image.machine;
	if (!t->is_module)
		return EX_DONE;
	path = modules_find(&k->modules, t->name);
	if (!path)
		return fail(EX_BAD_USAGE,
			    "the module %s of Linux %s is not here: name the folder with its "
			    "modules with --modules DIR",
			    t->name, k->release);
	if (module_open(&t->file, path) || fields_read(&t->fields, &t->file.ko))
		return fail(EX_BAD_USAGE, "%s: not a 64-bit kernel module", path);
	return EX_DONE;
}

void target_close(struct target *t)
{
	fields_free(&t->fields);
	module_close(&t->file);
}

static bool next_in_module(const struct target *t, const char *name, struct target_symbol *s)
{
	struct ko_symbol found;

	while ((s->index = ko_next_named(&t->file.ko, name, s->index, &found)) != 0) {
		if (!ko_is_defined(&found))
			continue;
		s->position++;
		s->is_global = GELF_ST_BIND(found.sym.st_info) != STB_LOCAL;
		s->place = (struct place){found.sym.st_shndx, found.sym.st_value};
		return true;
	}
	return false;
}

bool target_next(const struct target *t, const char *name, struct target_symbol *s)
{
	if (t->is_module)
		return next_in_module(t, name, s);
	s->ksym = kallsyms_find(&t->kernel->syms, name, s->ksym);
	if (!s->ksym)
		return false;
	s->position++;
	s->is_global = strchr("ABDRTVWvw", s->ksym->type) != NULL;
	s->place = (struct place){0, s->ksym->address};
	return true;
}

unsigned target_position(const struct target *t, const char *name, struct place place,
			 unsigned *count)
{
	struct target_symbol s = {0};
	unsigned found = 0, all = 0;

	for (; target_next(t, name, &s); all++)
		if (!found && s.place.section == place.section && s.place.at == place.at)
			found = s.position;
	if (count)
		*count = all;
	return found;
}

const unsigned char *target_bytes(const struct target *t, struct place place, uint64_t size)
{
	Elf_Data *d;

	if (!t->is_module) {
		struct extent e = image_bytes(&t->kernel->image, place.at, size);

		return e.size == size ? e.data : NULL;
	}
	d = elf_getdata(elf_getscn(t->file.ko.elf, place.section), NULL);
	if (!d || !d->d_buf || place.at > d->d_size || size > d->d_size - place.at)
		return NULL;
	return (const unsigned char *)d->d_buf + place.at;
}

static const struct field *field_at(const struct target *t, struct place place)
{
	const struct field *f = place.section < t->fields.count
					? fields_from(&t->fields, place.section, place.at)
					: NULL;

	return f && f->offset == place.at ? f : NULL;
}

bool target_has_field(const struct target *t, struct place place, unsigned size)
{
	const struct field *f;

	if (!t->is_module)
		return true;
	f = field_at(t, place);
	return f && fields_size(t->machine, f->type) == size;
}

bool target_reference(const struct target *t, struct place place, const struct field *field,
		      struct reference *r)
{
	const struct field *own;
	struct ko_symbol s;
	const unsigned char *bytes;

	*r = (struct reference){0};
	if (!t->is_module) {
		bytes = target_bytes(t, place, fields_size(t->machine, field->type));
		if (!bytes ||
		    !fields_address(t->machine, field->type, bytes, place.at, &r->place.at))
			return false;
		r->place.at -= (uint64_t)field->addend;
		return true;
	}
	own = field_at(t, place);
	if (!own || !ko_symbol(&t->file.ko, own->symbol, &s))
		return false;
	if (s.sym.st_shndx == SHN_UNDEF)
		r->name = s.name;
	r->place = (struct place){s.sym.st_shndx,
				  s.sym.st_value + (uint64_t)(own->addend - field->addend)};
	return true;
}
