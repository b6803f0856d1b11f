/* SPDX-License-Identifier: BSD-2-Clause */
#include "tls/platform.h"
#include "arch/platform.h"
#include "arch/time.h"
#include "core/log.h"
#include "core/pool.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mbedtls/ctr_drbg.h"
#include "mbedtls/memory_buffer_alloc.h"
#include "mbedtls/platform_time.h"
#include "mbedtls/platform_util.h"
#include "psa/crypto.h"

/* 20 sessions of 38 KiB while they shake hands, keys, certificates. */
#define HEAP_PAGES 224u

#define DAY_S 86400u

static struct {
	bool ready;
	void *heap;
	u64 utc_s; /* at arch_time_us() == 0; 0: not known */
	mbedtls_ctr_drbg_context drbg;
} platform;

/* ---- random numbers ---- */

static int fetch_entropy(void *ctx, unsigned char *buf, size_t len)
{
	(void)ctx;
	return arch_random(buf, len) ? MBEDTLS_ERR_CTR_DRBG_ENTROPY_SOURCE_FAILED : 0;
}

int tls_random(void *ctx, unsigned char *buf, size_t len)
{
	(void)ctx;
	while (len) {
		size_t n = MIN(len, (size_t)MBEDTLS_CTR_DRBG_MAX_REQUEST);
		int err = mbedtls_ctr_drbg_random(&platform.drbg, buf, n);

		if (err)
			return err;
		buf += n;
		len -= n;
	}
	return 0;
}

psa_status_t mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t *ctx, u8 *buf,
					     size_t size, size_t *len)
{
	(void)ctx;
	*len = size;
	return tls_random(NULL, buf, size) ? PSA_ERROR_INSUFFICIENT_ENTROPY : PSA_SUCCESS;
}

static int seed_generator(const struct boot_info *bi)
{
	if (!bi->has_seed && !arch_random_is_good())
		return -EIO;
	mbedtls_ctr_drbg_init(&platform.drbg);
	return mbedtls_ctr_drbg_seed(&platform.drbg, fetch_entropy, NULL, bi->seed,
				     bi->has_seed ? sizeof(bi->seed) : 0)
		       ? -EIO
		       : 0;
}

/* ---- the time of day ---- */

u64 tls_utc(void)
{
	return platform.utc_s ? platform.utc_s + arch_time_us() / 1000000 : 0;
}

long tls_platform_time(long *t)
{
	long now = (long)tls_utc();

	if (t)
		*t = now;
	return now;
}

mbedtls_ms_time_t mbedtls_ms_time(void)
{
	return (mbedtls_ms_time_t)(arch_time_us() / 1000);
}

/* Year, month and day of a day since 1970-01-01, by the Gregorian calendar's cycle of 400 years,
 * which is counted from March. */
struct tm *mbedtls_platform_gmtime_r(const mbedtls_time_t *t, struct tm *tm)
{
	u64 s = (u64)*t, days = s / DAY_S + 719468;
	u64 cycle = days / 146097, day = days % 146097;
	u64 year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	u64 in_year = day - (365 * year + year / 4 - year / 100);
	u64 month = (5 * in_year + 2) / 153; /* 0 is March */

	*tm = (struct tm){
		.tm_sec = (int)(s % 60),
		.tm_min = (int)(s / 60 % 60),
		.tm_hour = (int)(s / 3600 % 24),
		.tm_mday = (int)(in_year - (153 * month + 2) / 5 + 1),
		.tm_mon = (int)(month < 10 ? month + 2 : month - 10),
		.tm_year = (int)(year + 400 * cycle + (month >= 10) - 1900),
	};
	return tm;
}

/* ---- the rest ---- */

/* A call that the compiler does not know the end of keeps its stores. */
void mbedtls_platform_zeroize(void *buf, size_t len)
{
	if (len)
		memset(buf, 0, len);
	__asm__ volatile("" ::"r"(buf) : "memory");
}

int tls_platform_snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vformat(buf, size, fmt, ap);
	va_end(ap);
	return n;
}

/* The allocator's lists are damaged. */
void tls_platform_exit(int status)
{
	(void)status;
	log_error("mbedTLS: its memory is damaged");
	__builtin_trap();
}

struct tls_memory tls_memory(void)
{
	struct tls_memory m = {0};
	size_t blocks;

	if (platform.ready) {
		mbedtls_memory_buffer_alloc_cur_get(&m.used, &blocks);
		mbedtls_memory_buffer_alloc_max_get(&m.peak, &blocks);
	}
	return m;
}

static void free_heap(void)
{
	mbedtls_memory_buffer_alloc_free();
	pool_free(platform.heap, HEAP_PAGES);
}

int tls_platform_init(const struct boot_info *bi)
{
	int err;

	if (platform.ready)
		return 0;
	platform.heap = pool_alloc(HEAP_PAGES);
	if (!platform.heap)
		return -ENOMEM;
	platform.utc_s = bi->utc_s;
	mbedtls_memory_buffer_alloc_init(platform.heap, HEAP_PAGES * PAGE_SIZE);
	err = seed_generator(bi);
	if (!err && psa_crypto_init() != PSA_SUCCESS)
		err = -ENOMEM;
	if (err) {
		free_heap();
		return err;
	}
	platform.ready = true;
	return 0;
}

void tls_platform_end(void)
{
	if (!platform.ready)
		return;
	mbedtls_psa_crypto_free();
	mbedtls_ctr_drbg_free(&platform.drbg);
	free_heap();
	platform.ready = false;
}
