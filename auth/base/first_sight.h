/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/first_sight.h - tables of hashes in shared memory: is it the first time, or another? */

#ifndef EAS_AUTH_BASE_FIRST_SIGHT_H
#define EAS_AUTH_BASE_FIRST_SIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A lossy set.  A set of eight that is full gives a place of its own to a new hash, and the hash
 * before it is new again.  Without locks; for threads and processes.
 */
#define EAS_FIRST_SIGHT_PLACES 65536
#define EAS_FIRST_SIGHT_SIZE (EAS_FIRST_SIGHT_PLACES * sizeof(uint64_t))

/* A hash of some texts, which are told apart from each other's parts.  The last is NULL. */
uint64_t eas_first_sight_hash(const char *const texts[]);

/* True if the hash was not in the memory, which is all zero at first; it is now. */
bool eas_first_sight(void *memory, uint64_t hash);

/*
 * The latest value of each name, for 64 names; a further one has none.  True if the name had another
 * value before; it has this one now.  The memory is all zero at first.
 */
#define EAS_FIRST_SIGHT_NAMES 64
#define EAS_FIRST_SIGHT_VALUES_SIZE (EAS_FIRST_SIGHT_NAMES * sizeof(uint64_t[2]))

bool eas_first_sight_is_other(void *memory, uint64_t name, uint64_t value);

#endif
