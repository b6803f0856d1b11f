/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/sha256.h"
#include "lib/string.h"

#define BLOCK 64u

/* FIPS 180-4, 4.2.2: the first 32 bits of the fractions of the first 64 primes' cube roots */
static const u32 constants[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2};

static u32 rotate_right(u32 x, u32 n)
{
	return x >> n | x << (32 - n);
}

static u32 load_big_endian(const u8 *p)
{
	return (u32)p[0] << 24 | (u32)p[1] << 16 | (u32)p[2] << 8 | p[3];
}

/* 6.2.2 */
static void add_block(u32 h[8], const u8 *block)
{
	u32 w[64], v[8];

	for (u32 t = 0; t < 16; t++)
		w[t] = load_big_endian(block + 4 * t);
	for (u32 t = 16; t < 64; t++) {
		u32 a = w[t - 15], b = w[t - 2];

		w[t] = w[t - 16] + w[t - 7] + (rotate_right(a, 7) ^ rotate_right(a, 18) ^ a >> 3) +
		       (rotate_right(b, 17) ^ rotate_right(b, 19) ^ b >> 10);
	}
	memcpy(v, h, sizeof(v));
	for (u32 t = 0; t < 64; t++) {
		u32 e = v[4], a = v[0], t1, t2;

		t1 = v[7] + (rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25)) +
		     ((e & v[5]) ^ (~e & v[6])) + constants[t] + w[t];
		t2 = (rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22)) +
		     ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
		for (u32 i = 7; i > 0; i--)
			v[i] = v[i - 1];
		v[4] += t1;
		v[0] = t1 + t2;
	}
	for (u32 i = 0; i < 8; i++)
		h[i] += v[i];
}

void sha256(const void *data, size_t size, u8 digest[SHA256_SIZE])
{
	u32 h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
	u8 last[2 * BLOCK] = {0};
	const u8 *p = data;
	size_t rest = size % BLOCK, padded = rest < BLOCK - 8 ? BLOCK : 2 * BLOCK;

	for (; p < (const u8 *)data + (size - rest); p += BLOCK)
		add_block(h, p);
	memcpy(last, p, rest);
	last[rest] = 0x80;
	for (u32 i = 0; i < 8; i++)
		last[padded - 1 - i] = (u8)((u64)size * 8 >> 8 * i);
	for (size_t i = 0; i < padded; i += BLOCK)
		add_block(h, last + i);
	for (u32 i = 0; i < SHA256_SIZE; i++)
		digest[i] = (u8)(h[i / 4] >> (24 - 8 * (i % 4)));
}
