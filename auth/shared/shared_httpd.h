/* SPDX-License-Identifier: Apache-2.0 */
/* auth/shared/shared_httpd.h - Records that processes, server generations and gateways share */

#ifndef EAS_AUTH_SHARED_SHARED_HTTPD_H
#define EAS_AUTH_SHARED_SHARED_HTTPD_H

#include "auth/base/bytes.h"
#include "auth/base/seal.h"
#include "auth/shared/cache.h"
#include "auth/shared/socache_httpd.h"

#include <http_config.h>
#include <httpd.h>

/*
 * A record has two places: shared memory of all child processes, which outlives graceful restarts,
 * and the provider of EasKcdCache, which gateways may share.  The segments of mod_socache_shmcb do
 * not outlive a graceful restart.
 *
 * A record is sealed under a keyed digest as its name; kind, name and expiry are inside the seal.
 * A host that can write to the provider can neither read, exchange nor prolong a record.
 *
 * auth/README states for each kind: mutable or not, author, quota, and the effect of its loss.  A
 * kind's number is a part of the names, so a new kind comes last.
 */
enum eas_shared_kind {
    EAS_SHARED_REVOKED,    /* a session that was signed out */
    EAS_SHARED_NOT_BEFORE, /* a user who signed out everywhere: older sessions are invalid */
    EAS_SHARED_ALIVE,      /* a user whom the KDC lately called valid */
    EAS_SHARED_EVIDENCE,   /* a session's evidence ticket */
    EAS_SHARED_LIVENESS,   /* liveness record: exists while the provider works */
    EAS_SHARED_PASSWORD,   /* a verified user with evidence, by digest of the credentials */
    EAS_SHARED_TICKET,     /* a user's ticket for a backend */
    EAS_SHARED_LIST        /* list of the records under an owner's quota; local only */
};

/* The name of a record. */
struct eas_shared_name {
    enum eas_shared_kind kind;
    struct eas_bytes id;
    struct eas_bytes owner;       /* the principal whose quota it counts to; empty: none */
    const unsigned char *digests; /* of eas_shared_digest_names(), or NULL */
};

/* Settings of the main server, set by the directives. */
struct eas_shared_conf {
    const char *provider_name; /* NULL: shared memory only */
    const char *provider_args;
    apr_array_header_t *secret_files; /* of const char *; NULL: a random secret */
};

/* In check_config: finds the provider and reads the secret files.  OK, or 500 after logging. */
int eas_shared_check_config(apr_pool_t *pconf, const struct eas_shared_conf *conf, server_rec *s);

/* In post_config: attaches the shared memory and the random secret.  OK, or 500 after logging. */
int eas_shared_post_config(apr_pool_t *pconf, server_rec *s);

/* The keyring of this server; valid after eas_shared_post_config(). */
const struct eas_keyring *eas_shared_keyring(void);

/* The cache of EAS_SHARED_PASSWORD or EAS_SHARED_TICKET.  Lives as long as the module is loaded. */
const struct eas_shared_cache *eas_shared_cache(enum eas_shared_kind kind);

/*
 * Keeps a record until expires, in shared memory and at the provider.  EAS_OK, or EAS_UNAVAILABLE
 * if one of the two could not take it.  May wait for the provider's network.  Scratch is in pool.
 */
enum eas_rc eas_shared_put(apr_pool_t *pool, const struct eas_shared_name *of,
                           struct eas_bytes value, apr_time_t expires, struct eas_err *err);

/*
 * The keyed digests that name the record under each secret, for many look-ups of one record.  out
 * has eas_shared_digests_size() bytes.  False if OpenSSL fails.
 */
apr_size_t eas_shared_digests_size(void);
bool eas_shared_digest_names(const struct eas_shared_name *of, unsigned char *out);

/* Whether this gateway's memory has the record.  If so, its eviction is put off. */
bool eas_shared_keeps(apr_pool_t *pool, const struct eas_shared_name *of);

/* Keeps a record in this gateway's memory alone, where it was evicted.  Scratch is in pool. */
void eas_shared_refresh(apr_pool_t *pool, const struct eas_shared_name *of, struct eas_bytes value,
                        apr_time_t expires);

/* Whether a further record would replace a live one of the same owner. */
bool eas_shared_is_full(const struct eas_shared_name *of);

/* Lets the owner's next record take the place of this one in this gateway's memory. */
void eas_shared_release(const struct eas_shared_name *of);

/*
 * The value of an immutable record, in pool, and the time at which it expires: the first place that
 * has it answers.  EAS_SHARED_FAILED: the provider gives no answer.
 */
enum eas_shared_answer eas_shared_get(apr_pool_t *pool, const struct eas_shared_name *of,
                                      struct eas_bytes *value, apr_time_t *expires);

/*
 * The latest of the times (apr_time_t) that all places hold of a mutable record, under all secrets:
 * gateways write it independently.  0 without one.  EAS_SHARED_FAILED if one place gives no answer.
 */
enum eas_shared_answer eas_shared_get_latest(apr_pool_t *pool, const struct eas_shared_name *of,
                                             apr_time_t *latest_out);

#endif
