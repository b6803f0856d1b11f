/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/chacha.h"
#include "lib/string.h"

#define DOUBLE_ROUNDS 10

static u32 rotate_left(u32 v, u32 n)
{
	return v << n | v >> (32 - n);
}

static void quarter_round(u32 s[16], u32 a, u32 b, u32 c, u32 d)
{
	s[a] += s[b];
	s[d] = rotate_left(s[d] ^ s[a], 16);
	s[c] += s[d];
	s[b] = rotate_left(s[b] ^ s[c], 12);
	s[a] += s[b];
	s[d] = rotate_left(s[d] ^ s[a], 8);
	s[c] += s[d];
	s[b] = rotate_left(s[b] ^ s[c], 7);
}

void chacha_block(const u32 key[CHACHA_KEY_WORDS], const u32 input[CHACHA_INPUT_WORDS],
		  u8 out[CHACHA_BLOCK])
{
	u32 start[16], s[16];

	memcpy(start, "expand 32-byte k", 16);
	memcpy(start + 4, key, 32);
	memcpy(start + 12, input, 16);
	memcpy(s, start, sizeof(s));
	for (u32 i = 0; i < DOUBLE_ROUNDS; i++)
		for (u32 j = 0; j < 8; j++) /* 4 columns, then 4 diagonals */
			quarter_round(s, j % 4, 4 + (j + j / 4) % 4, 8 + (j + j / 4 * 2) % 4,
				      12 + (j + j / 4 * 3) % 4);
	for (u32 i = 0; i < 16; i++)
		s[i] += start[i];
	memcpy(out, s, CHACHA_BLOCK); /* all architectures are little-endian */
}
