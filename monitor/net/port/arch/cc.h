/* SPDX-License-Identifier: BSD-2-Clause */
/* What lwIP asks of compiler and platform (lwip/arch.h). */
#ifndef NET_PORT_ARCH_CC_H
#define NET_PORT_ARCH_CC_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

/* lwIP defines ssize_t unless this is there; <sys/types.h> has it. */
#ifndef SSIZE_MAX
#define SSIZE_MAX LONG_MAX
#endif

/* The heap of MEM_SIZE bytes and lwIP's bookkeeping; set by net_init() before lwip_init(). */
extern uint8_t *net_heap;

/* A random number that a peer cannot guess. */
uint32_t net_random(void);
uint32_t net_isn(void);

/* An assertion of lwIP failed: logged. */
void net_assert_failed(const char *what, const char *file, int line);

#define LWIP_RAND()		net_random()
#define LWIP_PLATFORM_DIAG(x)	((void)0)
#define LWIP_PLATFORM_ASSERT(x) net_assert_failed(x, __FILE__, __LINE__)

#define LWIP_NO_UNISTD_H   1
#define LWIP_NO_CTYPE_H	   1
#define LWIP_NO_INTTYPES_H 1

#define U16_F "u"
#define S16_F "d"
#define X16_F "x"
#define U32_F "u"
#define S32_F "d"
#define X32_F "x"
#define SZT_F "zu"
#define X8_F  "02x"

#endif
