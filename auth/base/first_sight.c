/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/first_sight.c - tables of hashes in shared memory: is it the first time, or another? */

#include "auth/base/first_sight.h"
#include "auth/base/fnv.h"

#include <stdatomic.h>
#include <string.h>

#define WAYS 8

/* With the NUL of each text. */
uint64_t eas_first_sight_hash(const char *const texts[])
{
    uint64_t hash = EAS_FNV_FIRST;
    int i;

    for (i = 0; texts[i] != NULL; i++) {
        hash = eas_fnv(hash, texts[i], strlen(texts[i]) + 1);
    }
    return hash != 0 ? hash : 1;
}

bool eas_first_sight(void *memory, uint64_t hash)
{
    _Atomic(uint64_t) *set =
        (_Atomic(uint64_t) *)memory + (hash >> 8) % (EAS_FIRST_SIGHT_PLACES / WAYS) * WAYS;
    int i;

    for (i = 0; i < WAYS; i++) {
        uint64_t found = atomic_load_explicit(&set[i], memory_order_relaxed);

        if (found == 0 && atomic_compare_exchange_strong(&set[i], &found, hash)) {
            return true;
        }
        if (found == hash) {
            return false;
        }
    }
    atomic_store_explicit(&set[hash % WAYS], hash, memory_order_relaxed);
    return true;
}

bool eas_first_sight_is_other(void *memory, uint64_t name, uint64_t value)
{
    struct {
        _Atomic(uint64_t) name, value;
    } *places = memory;
    int i;

    for (i = 0; i < EAS_FIRST_SIGHT_NAMES; i++) {
        uint64_t found = 0, before;

        if (atomic_compare_exchange_strong(&places[i].name, &found, name) || found == name) {
            before = atomic_exchange(&places[i].value, value);
            return before != 0 && before != value;
        }
    }
    return false;
}
