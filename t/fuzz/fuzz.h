/* SPDX-License-Identifier: Apache-2.0 */
/* t/fuzz/fuzz.h - what a fuzz target gives: to libFuzzer (make fuzz), and to replay.c (make check) */

#ifndef EAS_T_FUZZ_FUZZ_H
#define EAS_T_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* The directory below t/fuzz/corpus with the target's input. */
extern const char fuzz_corpus[];

/* Feeds a target; aborts where the answer is one that must not be. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
