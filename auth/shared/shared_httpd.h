/* SPDX-License-Identifier: Apache-2.0 */
/* auth/shared/shared_httpd.h - what children, generations and gateways know together */

#ifndef EAS_AUTH_SHARED_SHARED_HTTPD_H
#define EAS_AUTH_SHARED_SHARED_HTTPD_H

#include "auth/base/seal.h"
#include "auth/shared/cache.h"
#include "auth/shared/socache_httpd.h"

#include <httpd.h>
#include <http_config.h>

/*
 * Two places behind one door: memory of our own, which all children share and which outlives graceful
 * restarts (httpd makes the segments of mod_socache_shmcb anew at each), and, where EasKcdCache names
 * a provider that other gateways share too, that provider.  Everything is sealed, named by keyed
 * digests, and carries its kind, name and end inside, so that whoever can write to the provider can
 * neither read nor exchange nor prolong a record.
 */
enum eas_shared_kind {
    EAS_SHARED_REVOKED,    /* a session that was signed out */
    EAS_SHARED_NOT_BEFORE, /* a user who signed out everywhere: sessions begun earlier are dead */
    EAS_SHARED_ALIVE,      /* an account that the KDC has lately called good */
    EAS_SHARED_EVIDENCE,   /* a session's evidence ticket */
    EAS_SHARED_LIVENESS,   /* there whenever the provider is */
    EAS_SHARED_PASSWORD,   /* a proved password's user and evidence, by its digest */
    EAS_SHARED_TICKET      /* a user's ticket for a backend */
};

/* Settings of the whole server, filled in by the directives' handlers. */
struct eas_shared_conf {
    const char *provider_name; /* NULL: memory only */
    const char *provider_args;
    apr_array_header_t *secret_files; /* of const char *, or NULL: a random secret */
};

/* In check_config: the provider exists, the secret files are good.  OK or 500 after logging. */
int eas_shared_check_config(apr_pool_t *pconf, const struct eas_shared_conf *conf, server_rec *s);

/* In post_config: takes up or makes the memory and the random secret.  OK or 500 after logging. */
int eas_shared_post_config(apr_pool_t *pconf, server_rec *s);

/*
 * Anonymous shared memory of the process's pool, which outlives pconf, for whoever has records of its
 * own to keep over graceful restarts; all zero.  NULL if there is none.
 */
void *eas_shared_memory(server_rec *s, apr_size_t size);

/* The same, formatted as an empty store of auth/base/shm_table.h. */
void *eas_shared_make_table(server_rec *s, apr_size_t size);

/* The keys of this server; there after eas_shared_post_config(). */
const struct eas_keyring *eas_shared_keyring(void);

/* The shelf for records of a kind that may be lost; lives as long as this generation. */
const struct eas_shared_cache *eas_shared_cache(enum eas_shared_kind kind);

/*
 * Keeps value under (kind, id) until expires, here and at the provider.  EAS_OK or EAS_UNAVAILABLE
 * if any of the two could not take it.  May wait for the provider's network.  Scratch is in pool.
 */
enum eas_rc eas_shared_put(apr_pool_t *pool, enum eas_shared_kind kind, const void *id,
                           apr_size_t id_len, const void *value, apr_size_t len, apr_time_t expires,
                           struct eas_err *err);

/* The value under (kind, id), in pool.  EAS_SHARED_FAILED: the provider cannot say. */
enum eas_shared_answer eas_shared_get(apr_pool_t *pool, enum eas_shared_kind kind, const void *id,
                                      apr_size_t id_len, const unsigned char **value,
                                      apr_size_t *len);

#endif
