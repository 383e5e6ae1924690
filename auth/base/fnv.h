/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/fnv.h - FNV-1a, a hash without a key */

#ifndef EAS_AUTH_BASE_FNV_H
#define EAS_AUTH_BASE_FNV_H

#include <stddef.h>
#include <stdint.h>

/* For tables where a collision that a client makes costs little, or whose keys no client chooses. */

#define EAS_FNV_FIRST UINT64_C(0xcbf29ce484222325)

/* The hash of what `value` is the hash of, followed by these octets. */
uint64_t eas_fnv(uint64_t value, const void *octets, size_t len);

/* Of keys that are long: eight octets at a time.  Another value than that of eas_fnv(). */
uint64_t eas_fnv_words(const void *octets, size_t len);

/* Of a text, whose letter case does not count (ASCII). */
uint64_t eas_fnv_folded(const char *text);

#endif
