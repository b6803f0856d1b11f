/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mutations: a build with MUTATE=name omits one of the checks that make a switch safe. `make
 * check-mutants` shows that a test fails in each such build (tests/unit/mutants.txt has the list).
 * In any other build MUTATION() is the constant 0.
 */
#ifndef LIB_MUTATE_H
#define LIB_MUTATE_H

#define MUTATION(name) MUTATE_IS_ON(SUTURE_MUTATE_##name)

/* 1 if the macro is defined as 1, 0 if it is not defined. */
#define MUTATE_IS_ON(macro)		    MUTATE_PASTE(macro)
#define MUTATE_PASTE(value)		    MUTATE_PICK(MUTATE_SHIFT_##value)
#define MUTATE_PICK(shift)		    MUTATE_SECOND(shift 1, 0, 0)
#define MUTATE_SECOND(ignored, second, ...) second
#define MUTATE_SHIFT_1			    0,

#endif
