/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The EFI binding that <efi.h> includes from the folder of the compiler's target. The calling
 * convention is the compiler's own (UEFI 2.10, 2.3.1).
 */
#ifndef NEUTRAL_EFIBIND_H
#define NEUTRAL_EFIBIND_H

#include <stdint.h>

typedef uint64_t UINT64, UINTN;
typedef int64_t INT64, INTN;
typedef uint32_t UINT32;
typedef int32_t INT32;
typedef uint16_t UINT16;
typedef int16_t INT16;
typedef uint8_t UINT8;
typedef int8_t INT8;
typedef __WCHAR_TYPE__ WCHAR;

#define VOID	 void
#define VOLATILE volatile
#define EFIAPI
#define EFI_FUNCTION
#define INTERFACE_DECL(x) struct x
#define EFI_ERROR_MASK	  0x8000000000000000
#define EFIERR(a)	  (EFI_ERROR_MASK | (a))

#endif
