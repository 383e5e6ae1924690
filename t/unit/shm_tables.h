/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/shm_tables.h - keys, values and memory for tests of auth/base/shm_table */

#ifndef EAS_T_UNIT_SHM_TABLES_H
#define EAS_T_UNIT_SHM_TABLES_H

#include "t/unit/unit.h"

#include "auth/base/shm_table.h"

#include <apr_shm.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define NEVER APR_INT64_MAX
#define KB 1024
#define MARGIN 256

/* The overhead of a record, from the header. */
#define RECORD_SIZE 56

/* The values that look() reads begin with their version and id. */
#define VALUE_MIN 16
#define VALUE_MAX 4096

/*
 * The limit for a lock after its owner was killed: a second on an idle machine.  A process that
 * waits longer has lost its wake-up.
 */
#define PATIENCE_MS 5000

/* --- keys, values and memory --- */

static inline uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* The same numbers in every run. */
static inline uint64_t below(uint64_t *seed, uint64_t limit)
{
    return mix((*seed)++) % limit;
}

static inline void make_key(unsigned char key[EAS_SHM_TABLE_KEY_SIZE], uint64_t id)
{
    unsigned i;

    for (i = 0; i < EAS_SHM_TABLE_KEY_SIZE / 8; i++) {
        uint64_t word = mix(id * 4 + i);

        memcpy(key + 8 * i, &word, 8);
    }
}

/* A value that differs in each part from those of other ids, versions and lengths. */
static inline void fill(unsigned char *value, apr_size_t len, uint64_t id, uint64_t version)
{
    uint64_t words[2] = { version, id }, seed = mix(mix(mix(id) + version) + len);
    apr_size_t i;

    for (i = 0; i < len; i += 8) {
        uint64_t word = i < sizeof(words) ? words[i / 8] : mix(seed + i);

        memcpy(value + i, &word, len - i < 8 ? len - i : 8);
    }
}

static inline bool put(struct eas_shm_table *table, uint64_t id, uint64_t version, apr_size_t len,
                       apr_time_t expires)
{
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE], *value = malloc(len + 1);
    bool kept;

    make_key(key, id);
    fill(value, len, id, version);
    kept = eas_shm_table_put(table, key, value, len, expires);
    memset(value, 0xee, len);
    free(value);
    return kept;
}

static inline void drop(struct eas_shm_table *table, uint64_t id)
{
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE];

    make_key(key, id);
    eas_shm_table_drop(table, key);
}

static inline bool is_value(const unsigned char *value, apr_size_t len, uint64_t id,
                            uint64_t version)
{
    unsigned char *expected = malloc(len + 1);
    bool same;

    fill(expected, len, id, version);
    same = memcmp(value, expected, len) == 0;
    free(expected);
    return same;
}

enum seen { NOTHING, WHOLE, OTHER };

/* WHOLE if the id has the value of this version and length. */
static inline enum seen see(struct eas_shm_table *table, apr_pool_t *pool, uint64_t id,
                            uint64_t version, apr_size_t len, apr_time_t now)
{
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE];
    const unsigned char *value;
    apr_size_t found;

    make_key(key, id);
    if (!eas_shm_table_get(table, pool, key, now, &value, &found)) {
        return NOTHING;
    }
    return found == len && is_value(value, len, id, version) ? WHOLE : OTHER;
}

/* WHOLE if the id has the value of any version. */
static inline enum seen look(struct eas_shm_table *table, apr_pool_t *pool, uint64_t id,
                             uint64_t *version)
{
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE];
    const unsigned char *value;
    apr_size_t found;

    make_key(key, id);
    if (!eas_shm_table_get(table, pool, key, 1, &value, &found)) {
        return NOTHING;
    }
    if (found < VALUE_MIN) {
        return OTHER;
    }
    memcpy(version, value, 8);
    return is_value(value, found, id, *version) ? WHOLE : OTHER;
}

/* New shared memory, and a margin behind it that must not change. */
static inline void *make_memory(apr_pool_t *pool, apr_size_t size)
{
    apr_shm_t *shm;
    void *memory;

    assert_int_equal(apr_shm_create(&shm, size + MARGIN, NULL, pool), APR_SUCCESS);
    memory = apr_shm_baseaddr_get(shm);
    memset((unsigned char *)memory + size, 0xa5, MARGIN);
    return memory;
}

static inline void assert_margin(const void *memory, apr_size_t size)
{
    unsigned char margin[MARGIN];

    memset(margin, 0xa5, sizeof(margin));
    assert_memory_equal((const unsigned char *)memory + size, margin, sizeof(margin));
}

static inline struct eas_shm_table *make_table(apr_pool_t *pool, apr_size_t size)
{
    void *memory = make_memory(pool, size);
    struct eas_shm_table *table;

    eas_shm_table_format(memory, size);
    table = eas_shm_table_attach(memory, size);
    assert_non_null(table);
    return table;
}

static inline apr_pool_t *make_subpool(apr_pool_t *pool)
{
    apr_pool_t *out;

    assert_int_equal(apr_pool_create(&out, pool), APR_SUCCESS);
    return out;
}

#endif
