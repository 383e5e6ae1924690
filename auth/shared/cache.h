/* SPDX-License-Identifier: Apache-2.0 */
/* auth/shared/cache.h - where child processes and gateways leave what others may have use for */

#ifndef EAS_AUTH_SHARED_CACHE_H
#define EAS_AUTH_SHARED_CACHE_H

#include <apr_pools.h>
#include <apr_time.h>
#include <stdbool.h>

/*
 * How far is looked: in the memory here, which never waits; or also where other gateways leave
 * theirs, which may wait for a network.
 */
enum eas_shared_cache_reach { EAS_SHARED_CACHE_LOCAL, EAS_SHARED_CACHE_REMOTE };

/*
 * Records of one kind, sealed by whoever keeps the shelf.  What is put may be lost, so nothing may
 * depend on it.  Thread-safe; the id is bytes of the user's choice.
 */
struct eas_shared_cache {
    /* Copies into pool what is found, and tells when it ends. */
    bool (*find)(const struct eas_shared_cache *shared_cache, apr_pool_t *pool, const void *id,
                 apr_size_t id_len, enum eas_shared_cache_reach reach, const unsigned char **value,
                 apr_size_t *len, apr_time_t *expires);

    /* In both places; may wait for a network.  Scratch is in pool. */
    void (*put)(const struct eas_shared_cache *shared_cache, apr_pool_t *pool, const void *id,
                apr_size_t id_len, const void *value, apr_size_t len, apr_time_t expires);

    int kind; /* for the functions */
};

#endif
