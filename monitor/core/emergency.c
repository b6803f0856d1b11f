/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/emergency.h"
#include "arch/platform.h"
#include "core/log.h"

#define WORDS_SHOWN 12

void emergency(const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vformat(line, sizeof(line), fmt, ap);
	va_end(ap);
	for (const char *at = line; *at; at++)
		arch_debug_putc(*at);
	arch_debug_putc('\n');
}

void emergency_stack(const u64 *sp, u64 image, u64 size)
{
	u32 words = (PAGE_SIZE - ((uintptr_t)sp & ~PAGE_MASK)) / sizeof(*sp);

	for (u32 i = 0, shown = 0; i < words && shown < WORDS_SHOWN; i++) {
		if (sp[i] - image >= size)
			continue;
		emergency("  stack +%#x: image+%#llx", i * 8, (unsigned long long)(sp[i] - image));
		shown++;
	}
}
