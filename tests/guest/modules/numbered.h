/* SPDX-License-Identifier: GPL-2.0-only */
/* Functions NAME_0000() to NAME_7777(), octal, each of which returns its number. */
#ifndef NUMBERED_H
#define NUMBERED_H

#include <linux/compiler.h>

#define NUMBERED(name, n, attributes)                                                              \
	static __attribute__((noipa)) attributes int name##_##n(void)                              \
	{                                                                                          \
		barrier();                                                                         \
		return 0##n;                                                                       \
	}

#define EIGHT(what, n)                                                                             \
	what(n##0) what(n##1) what(n##2) what(n##3) what(n##4) what(n##5) what(n##6) what(n##7)
#define EIGHT_2(what, n)                                                                           \
	EIGHT(what, n##0)                                                                          \
	EIGHT(what, n##1)                                                                          \
	EIGHT(what, n##2)                                                                          \
	EIGHT(what, n##3)                                                                          \
	EIGHT(what, n##4)                                                                          \
	EIGHT(what, n##5)                                                                          \
	EIGHT(what, n##6)                                                                          \
	EIGHT(what, n##7)
#define EIGHT_3(what, n)                                                                           \
	EIGHT_2(what, n##0)                                                                        \
	EIGHT_2(what, n##1)                                                                        \
	EIGHT_2(what, n##2)                                                                        \
	EIGHT_2(what, n##3)                                                                        \
	EIGHT_2(what, n##4)                                                                        \
	EIGHT_2(what, n##5)                                                                        \
	EIGHT_2(what, n##6)                                                                        \
	EIGHT_2(what, n##7)
/* what(0000) to what(1777) */
#define THOUSAND(what) EIGHT_3(what, 0) EIGHT_3(what, 1)
/* what(0000) to what(7777) */
#define ALL_NUMBERS(what)                                                                          \
	EIGHT_3(what, 0)                                                                           \
	EIGHT_3(what, 1)                                                                           \
	EIGHT_3(what, 2)                                                                           \
	EIGHT_3(what, 3)                                                                           \
	EIGHT_3(what, 4)                                                                           \
	EIGHT_3(what, 5)                                                                           \
	EIGHT_3(what, 6)                                                                           \
	EIGHT_3(what, 7)

#endif
