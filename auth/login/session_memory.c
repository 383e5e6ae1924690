/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/session_memory.c - cookies that this process has unsealed lately */

#include "auth/login/session_memory.h"
#include "auth/base/lru.h"
#include "auth/base/siphash.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

/* Names of shared records, and malloc()'s own; for the bound. */
#define ENTRY_OVERHEAD 512

struct eas_session_memory {
    unsigned char key[EAS_SIPHASH_SIZE];
    struct eas_lru *entries;
};

static void retain_memo(void *value)
{
    atomic_fetch_add(&((struct eas_session_memo *)value)->refs, 1);
}

static void release_memo(void *value)
{
    struct eas_session_memo *memo = value;

    if (atomic_fetch_sub(&memo->refs, 1) == 1) {
        free(atomic_load(&memo->record_names));
        free(memo);
    }
}

static apr_status_t release_cleanup(void *memo)
{
    release_memo(memo);
    return APR_SUCCESS;
}

static struct eas_session_memo *to_pool(struct eas_session_memo *memo, apr_pool_t *pool)
{
    if (memo != NULL) {
        apr_pool_cleanup_register(pool, memo, release_cleanup, apr_pool_cleanup_null);
    }
    return memo;
}

static apr_status_t wipe_key(void *data)
{
    struct eas_session_memory *memory = data;

    OPENSSL_cleanse(memory->key, sizeof(memory->key));
    return APR_SUCCESS;
}

struct eas_session_memory *eas_session_memory_create(apr_pool_t *pool, apr_size_t max_bytes)
{
    static const struct eas_lru_ops ops = { retain_memo, release_memo };
    struct eas_session_memory *memory = apr_palloc(pool, sizeof(*memory));

    if (RAND_bytes(memory->key, sizeof(memory->key)) != 1) {
        return NULL;
    }
    apr_pool_cleanup_register(pool, memory, wipe_key, apr_pool_cleanup_null);
    memory->entries = eas_lru_create(pool, max_bytes, ops);
    return memory;
}

/*
 * The text of the name, not its address: modules for many virtual hosts give each request a name of
 * its own.  The NUL ends it, so that "ab" and "c" differ from "a" and "bc".
 */
static void digest(const struct eas_session_memory *memory, const char *vhost, const char *cookie,
                   unsigned char out[EAS_SIPHASH_SIZE])
{
    struct eas_siphash hash;

    eas_siphash_begin(&hash, memory->key);
    eas_siphash_add(&hash, vhost, strlen(vhost) + 1);
    eas_siphash_add(&hash, cookie, strlen(cookie));
    eas_siphash_end(&hash, out);
}

struct eas_session_memo *eas_session_memory_get(struct eas_session_memory *memory,
                                                const char *vhost, const char *cookie,
                                                apr_time_t now, apr_pool_t *pool)
{
    unsigned char key[EAS_SIPHASH_SIZE];

    digest(memory, vhost, cookie, key);
    return to_pool(eas_lru_get(memory->entries, key, sizeof(key), now), pool);
}

struct eas_session_memo *eas_session_memory_put(struct eas_session_memory *memory,
                                                const char *vhost, const char *cookie,
                                                struct eas_bytes plain, apr_time_t expires,
                                                apr_pool_t *pool)
{
    struct eas_session_memo *memo = malloc(sizeof(*memo) + plain.len);
    unsigned char key[EAS_SIPHASH_SIZE];

    if (memo == NULL) {
        return NULL; /* the next request unseals the cookie again */
    }
    atomic_init(&memo->refs, 1);
    atomic_init(&memo->alive_until, 0);
    atomic_init(&memo->record_names, NULL);
    memo->len = plain.len;
    memcpy(memo->plain, plain.at, plain.len);
    digest(memory, vhost, cookie, key);
    eas_lru_put(memory->entries, key, sizeof(key), memo, sizeof(*memo) + plain.len + ENTRY_OVERHEAD,
                expires);
    return to_pool(memo, pool);
}

const unsigned char *eas_session_memory_names(struct eas_session_memo *memo, unsigned char *names)
{
    unsigned char *first = NULL;

    if (names == NULL) {
        return atomic_load(&memo->record_names);
    }
    if (atomic_compare_exchange_strong(&memo->record_names, &first, names)) {
        return names;
    }
    free(names);
    return first;
}
