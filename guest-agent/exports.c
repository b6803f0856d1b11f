// SPDX-License-Identifier: GPL-2.0-only
/*
 * The functions that payloads may call. They are declared here with nothing but the language's own
 * types, so that the checksums that modversions makes of these declarations are the same for every
 * kernel: payloads are built with those of include/Module.symvers, and fit every suture.ko of this
 * interface.
 */
#include <linux/export.h>

struct klp_patch;
struct klp_state;

int suture_klp_enable_patch(struct klp_patch *patch);
EXPORT_SYMBOL_GPL(suture_klp_enable_patch);

struct klp_state *suture_klp_get_state(struct klp_patch *patch, unsigned long id);
EXPORT_SYMBOL_GPL(suture_klp_get_state);

struct klp_state *suture_klp_get_prev_state(unsigned long id);
EXPORT_SYMBOL_GPL(suture_klp_get_prev_state);

void *suture_klp_shadow_get(void *obj, unsigned long id);
EXPORT_SYMBOL_GPL(suture_klp_shadow_get);

void *suture_klp_shadow_alloc(void *obj, unsigned long id, unsigned long size, unsigned int gfp,
			      int (*ctor)(void *obj, void *data, void *ctor_data), void *ctor_data);
EXPORT_SYMBOL_GPL(suture_klp_shadow_alloc);

void *suture_klp_shadow_get_or_alloc(void *obj, unsigned long id, unsigned long size,
				     unsigned int gfp,
				     int (*ctor)(void *obj, void *data, void *ctor_data),
				     void *ctor_data);
EXPORT_SYMBOL_GPL(suture_klp_shadow_get_or_alloc);

void suture_klp_shadow_free(void *obj, unsigned long id, void (*dtor)(void *obj, void *data));
EXPORT_SYMBOL_GPL(suture_klp_shadow_free);

void suture_klp_shadow_free_all(unsigned long id, void (*dtor)(void *obj, void *data));
EXPORT_SYMBOL_GPL(suture_klp_shadow_free_all);
