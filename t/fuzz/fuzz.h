/* SPDX-License-Identifier: Apache-2.0 */
/* t/fuzz/fuzz.h - fuzz target, for libFuzzer (make fuzz) and for replay.c (make check) */

#ifndef EAS_T_FUZZ_FUZZ_H
#define EAS_T_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* The target's directory below t/fuzz/corpus. */
extern const char fuzz_corpus[];

/* Runs the target with one input; aborts if a result is wrong. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
