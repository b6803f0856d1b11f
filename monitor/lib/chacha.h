/* SPDX-License-Identifier: BSD-2-Clause */
/* The ChaCha20 block function (RFC 8439, 2.3): numbers at random from a secret. */
#ifndef LIB_CHACHA_H
#define LIB_CHACHA_H

#include "lib/types.h"

#define CHACHA_KEY_WORDS   8
#define CHACHA_INPUT_WORDS 4 /* the RFC's block counter and nonce */
#define CHACHA_BLOCK	   64

/* Fill out with the block of this key and input. The same input gives the same block. */
void chacha_block(const u32 key[CHACHA_KEY_WORDS], const u32 input[CHACHA_INPUT_WORDS],
		  u8 out[CHACHA_BLOCK]);

#endif
