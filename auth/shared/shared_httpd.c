/* SPDX-License-Identifier: Apache-2.0 */
/* auth/shared/shared_httpd.c - Records that processes, server generations and gateways share */

#include "auth/shared/shared_httpd.h"
#include "auth/base/config_tree_httpd.h"
#include "auth/base/log_httpd.h"
#include "auth/base/shm_quota.h"
#include "auth/base/shm_table.h"
#include "auth/shared/retained_httpd.h"
#include "auth/shared/secret_file_httpd.h"
#include "auth/shared/socache_httpd.h"

#include <apr_escape.h>
#include <openssl/crypto.h>

/* Some 90 000 sign-outs, and some 14 000 evidence tickets of 4 KB. */
#define SIGN_OUTS_BYTES ((apr_size_t)16 << 20)
#define EVIDENCE_BYTES ((apr_size_t)64 << 20)

/* Some 14 000 tickets of 4 KB.  The KDC can issue them again, so they evict no other records. */
#define REPRODUCIBLE_BYTES ((apr_size_t)64 << 20)

/* Some 45 000 users. */
#define ALIVE_BYTES ((apr_size_t)8 << 20)

/* Records of one user, so that no user evicts those of others. */
#define SIGN_OUTS_OF_A_USER EAS_SHM_QUOTA_MAX
#define SESSIONS_OF_A_USER 32

#define RETAINED_NAME "mod_eas_kcd:shared:3"

/* Written in check_config and post_config. */
struct eas_shared_state {
    struct eas_keyring *keyring;
    struct eas_shm_table *sign_outs;
    struct eas_shm_table *evidence;
    struct eas_shm_table *reproducible;
    struct eas_shm_table *alive;
};

static struct eas_shared_state *state(void)
{
    return eas_module_process()->shared;
}

int eas_shared_check_config(apr_pool_t *pconf, const struct eas_shared_conf *conf, server_rec *s)
{
    const char *directive = "EasKcdCache";
    struct eas_err err;
    enum eas_rc rc = EAS_OK;

    eas_module_process()->shared = apr_pcalloc(pconf, sizeof(struct eas_shared_state));
    if (conf->provider_name != NULL && conf->secret_files == NULL) {
        rc = eas_fail(&err, EAS_MISCONFIGURED, 3023,
                      "EasKcdCache %s shares records with other gateways, which need a secret in "
                      "common; set EasKcdSecretFile",
                      conf->provider_name);
    }
    if (rc == EAS_OK) {
        rc = eas_socache_check_config(pconf, conf->provider_name, conf->provider_args, &err);
    }
    if (rc == EAS_OK && conf->secret_files != NULL) {
        directive = "EasKcdSecretFile";
        rc = eas_secret_file_keyring(pconf, conf->secret_files, &state()->keyring, &err);
    }
    if (rc != EAS_OK) {
        eas_config_tree_name_place(pconf, s, directive, &err);
        eas_log_startup(s, &err);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return OK;
}

static enum eas_rc attach_memory(apr_pool_t *pconf, server_rec *s, struct eas_err *err)
{
    enum { SIGN_OUTS, EVIDENCE, REPRODUCIBLE, ALIVE };
    static const struct eas_retained_layout layout[EAS_RETAINED_SEGMENTS] = {
        [SIGN_OUTS] = { SIGN_OUTS_BYTES, true },
        [EVIDENCE] = { EVIDENCE_BYTES, true },
        [REPRODUCIBLE] = { REPRODUCIBLE_BYTES, true },
        [ALIVE] = { ALIVE_BYTES, true },
    };
    const struct eas_retained *retained = eas_retained_attach(s, RETAINED_NAME, layout);

    if (retained == NULL) {
        return eas_fail(err, EAS_UNAVAILABLE, 3025, "OpenSSL provides no random bytes");
    }
    if (!retained->is_complete) {
        return eas_fail(
            err, EAS_UNAVAILABLE, 3026, "the system has no shared memory of %d MB",
            (int)((SIGN_OUTS_BYTES + EVIDENCE_BYTES + REPRODUCIBLE_BYTES + ALIVE_BYTES) >> 20));
    }
    state()->sign_outs = eas_shm_table_attach(retained->segments[SIGN_OUTS], SIGN_OUTS_BYTES);
    state()->evidence = eas_shm_table_attach(retained->segments[EVIDENCE], EVIDENCE_BYTES);
    state()->reproducible =
        eas_shm_table_attach(retained->segments[REPRODUCIBLE], REPRODUCIBLE_BYTES);
    state()->alive = eas_shm_table_attach(retained->segments[ALIVE], ALIVE_BYTES);
    eas_retained_watch(pconf, state()->sign_outs, "sign-outs");
    eas_retained_watch(pconf, state()->evidence, "the evidence of sessions");
    return state()->keyring != NULL ? EAS_OK
                                    : eas_retained_keyring(retained, pconf, &state()->keyring, err);
}

/* The name of a record under one of the secrets.  Records are kept under the first. */
static enum eas_rc name_of(int secret, const struct eas_shared_name *of,
                           unsigned char name[EAS_SHM_TABLE_KEY_SIZE], struct eas_err *err)
{
    unsigned char k = (unsigned char)of->kind;
    const struct eas_bytes parts[] = { { &k, 1 }, of->id };

    if (of->digests != NULL) {
        memcpy(name, of->digests + (apr_size_t)secret * EAS_SHM_TABLE_KEY_SIZE,
               EAS_SHM_TABLE_KEY_SIZE);
        return EAS_OK;
    }
    return eas_seal_mac(state()->keyring, secret, EAS_SEAL_RECORD_NAME, parts, 2, name, err);
}

apr_size_t eas_shared_digests_size(void)
{
    return (apr_size_t)eas_seal_keyring_size(state()->keyring) * EAS_SHM_TABLE_KEY_SIZE;
}

bool eas_shared_digest_names(const struct eas_shared_name *of, unsigned char *out)
{
    struct eas_err ignored;
    int i;

    for (i = 0; i < eas_seal_keyring_size(state()->keyring); i++) {
        if (name_of(i, of, out + (apr_size_t)i * EAS_SHM_TABLE_KEY_SIZE, &ignored) != EAS_OK) {
            return false;
        }
    }
    return true;
}

int eas_shared_post_config(apr_pool_t *pconf, server_rec *s)
{
    const struct eas_shared_name liveness = { .kind = EAS_SHARED_LIVENESS,
                                              .id = eas_bytes_of_text("") };
    unsigned char liveness_name[EAS_SHM_TABLE_KEY_SIZE];
    struct eas_err err;
    enum eas_rc rc = attach_memory(pconf, s, &err);

    if (rc == EAS_OK) {
        rc = name_of(0, &liveness, liveness_name, &err);
    }
    if (rc == EAS_OK) {
        rc = eas_socache_post_config(pconf, s, liveness_name, &err);
    }
    if (rc != EAS_OK) {
        eas_log_startup(s, &err);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return OK;
}

const struct eas_keyring *eas_shared_keyring(void)
{
    return state()->keyring;
}

/* Records of one table evict none of another. */
static struct eas_shm_table *table_of(enum eas_shared_kind kind)
{
    switch (kind) {
    case EAS_SHARED_REVOKED:
    case EAS_SHARED_NOT_BEFORE:
        return state()->sign_outs;
    case EAS_SHARED_PASSWORD:
    case EAS_SHARED_TICKET:
        return state()->reproducible;
    case EAS_SHARED_ALIVE:
        return state()->alive;
    case EAS_SHARED_EVIDENCE:
    case EAS_SHARED_LIVENESS:
    case EAS_SHARED_LIST:
        break;
    }
    return state()->evidence;
}

struct record {
    struct eas_bytes value; /* in the caller's pool */
    apr_time_t expires;
};

static const char *binding_of(apr_pool_t *pool, const unsigned char *name)
{
    return apr_pescape_hex(pool, name, EAS_SHM_TABLE_KEY_SIZE, 0);
}

/* The plain text is the expiry, in microseconds, before the value. */
static enum eas_rc seal_record(apr_pool_t *pool, const unsigned char *name,
                               const struct record *record, struct eas_bytes *sealed,
                               struct eas_err *err)
{
    apr_size_t len = sizeof(record->expires) + record->value.len;
    unsigned char *plain = apr_palloc(pool, len);
    enum eas_rc rc;

    memcpy(plain, &record->expires, sizeof(record->expires));
    memcpy(plain + sizeof(record->expires), record->value.at, record->value.len);
    rc = eas_seal(state()->keyring, pool, EAS_SEAL_EVIDENCE, binding_of(pool, name),
                  eas_bytes_make(plain, len), sealed, err);
    OPENSSL_cleanse(plain, len);
    return rc;
}

/* False for bytes that are no record of this name, and for an expired record. */
static bool unseal_record(apr_pool_t *pool, const unsigned char *name, struct eas_bytes sealed,
                          struct record *record)
{
    struct eas_secret *plain;
    struct eas_err err;

    if (eas_unseal(state()->keyring, pool, EAS_SEAL_EVIDENCE, binding_of(pool, name), sealed,
                   &plain, &err)
            != EAS_OK
        || plain->len < sizeof(record->expires)) {
        return false;
    }
    memcpy(&record->expires, plain->bytes, sizeof(record->expires));
    record->value = eas_bytes_make(plain->bytes + sizeof(record->expires),
                                   plain->len - sizeof(record->expires));
    return record->expires > apr_time_now();
}

/* The quota of a record's owner.  A limit of 0: none. */
static enum eas_rc quota_of(const struct eas_shared_name *of, struct eas_shm_quota *quota,
                            struct eas_err *err)
{
    static const unsigned limits[] = {
        [EAS_SHARED_REVOKED] = SIGN_OUTS_OF_A_USER,
        [EAS_SHARED_EVIDENCE] = SESSIONS_OF_A_USER,
        [EAS_SHARED_LIST] = 0,
    };
    unsigned char kind = (unsigned char)of->kind, list = EAS_SHARED_LIST;
    const struct eas_bytes parts[] = { { &list, 1 }, { &kind, 1 }, of->owner };

    quota->limit = of->owner.len > 0 ? limits[of->kind] : 0;
    return quota->limit > 0 ? eas_seal_mac(state()->keyring, 0, EAS_SEAL_RECORD_NAME, parts, 3,
                                           quota->owner, err)
                            : EAS_OK;
}

static bool put_local(const struct eas_shared_name *of, const unsigned char *name,
                      struct eas_bytes sealed, apr_time_t expires)
{
    struct eas_shm_table *table = table_of(of->kind);
    struct eas_shm_quota quota;
    struct eas_err ignored;

    if (quota_of(of, &quota, &ignored) != EAS_OK) {
        return false;
    }
    return quota.limit > 0 ? eas_shm_quota_put(table, &quota, name, sealed, apr_time_now(), expires)
                           : eas_shm_table_put(table, name, sealed.at, sealed.len, expires);
}

enum eas_rc eas_shared_put(apr_pool_t *pool, const struct eas_shared_name *of,
                           struct eas_bytes value, apr_time_t expires, struct eas_err *err)
{
    const struct record record = { value, expires };
    unsigned char name[EAS_SHM_TABLE_KEY_SIZE];
    struct eas_bytes sealed;
    enum eas_rc rc = name_of(0, of, name, err);

    if (rc == EAS_OK) {
        rc = seal_record(pool, name, &record, &sealed, err);
    }
    if (rc == EAS_OK
        && (!put_local(of, name, sealed, expires)
            | !eas_socache_put(pool, name, sealed, expires))) {
        rc = eas_fail(err, EAS_UNAVAILABLE, 1070,
                      "a shared record could not be kept; check the provider of EasKcdCache");
    }
    return rc;
}

void eas_shared_refresh(apr_pool_t *pool, const struct eas_shared_name *of, struct eas_bytes value,
                        apr_time_t expires)
{
    const struct record record = { value, expires };
    unsigned char name[EAS_SHM_TABLE_KEY_SIZE];
    struct eas_bytes sealed;
    struct eas_err ignored;

    if (name_of(0, of, name, &ignored) == EAS_OK
        && seal_record(pool, name, &record, &sealed, &ignored) == EAS_OK) {
        put_local(of, name, sealed, expires);
    }
}

bool eas_shared_keeps(apr_pool_t *pool, const struct eas_shared_name *of)
{
    unsigned char name[EAS_SHM_TABLE_KEY_SIZE];
    struct eas_bytes sealed = { NULL, 0 };
    struct eas_err ignored;

    return name_of(0, of, name, &ignored) == EAS_OK
           && eas_shm_table_get(table_of(of->kind), pool, name, apr_time_now(), &sealed.at,
                                &sealed.len);
}

bool eas_shared_is_full(const struct eas_shared_name *of)
{
    struct eas_shm_quota quota;
    struct eas_err ignored;

    return quota_of(of, &quota, &ignored) == EAS_OK && quota.limit > 0
           && eas_shm_quota_is_full(table_of(of->kind), &quota, apr_time_now());
}

void eas_shared_release(const struct eas_shared_name *of)
{
    unsigned char name[EAS_SHM_TABLE_KEY_SIZE];
    struct eas_shm_quota quota;
    struct eas_err ignored;

    if (name_of(0, of, name, &ignored) == EAS_OK && quota_of(of, &quota, &ignored) == EAS_OK
        && quota.limit > 0) {
        eas_shm_quota_release(table_of(of->kind), &quota, name, apr_time_now());
    }
}

static bool find_local(apr_pool_t *pool, enum eas_shared_kind kind, const unsigned char *name,
                       struct record *record)
{
    struct eas_bytes sealed = { NULL, 0 };

    return eas_shm_table_get(table_of(kind), pool, name, apr_time_now(), &sealed.at, &sealed.len)
           && unseal_record(pool, name, sealed, record);
}

static enum eas_shared_answer find_remote(apr_pool_t *pool, const unsigned char *name,
                                          struct record *record)
{
    struct eas_bytes sealed;
    enum eas_shared_answer answer = eas_socache_get(pool, name, &sealed);

    /* Bytes that are no valid record count as absent. */
    return answer == EAS_SHARED_FOUND && !unseal_record(pool, name, sealed, record)
               ? EAS_SHARED_NONE
               : answer;
}

static enum eas_shared_answer find(apr_pool_t *pool, const struct eas_shared_name *of,
                                   enum eas_shared_cache_reach reach, struct record *record)
{
    enum eas_shared_answer answer = EAS_SHARED_NONE;
    unsigned char name[EAS_SHM_TABLE_KEY_SIZE];
    struct eas_err err;
    int i;

    /* While a secret is replaced, older records have names of the older secret. */
    for (i = 0; answer == EAS_SHARED_NONE && i < eas_seal_keyring_size(state()->keyring); i++) {
        if (name_of(i, of, name, &err) != EAS_OK) {
            return EAS_SHARED_FAILED;
        }
        if (find_local(pool, of->kind, name, record)) {
            return EAS_SHARED_FOUND;
        }
        if (reach == EAS_SHARED_CACHE_REMOTE) {
            answer = find_remote(pool, name, record);
        }
    }
    return answer;
}

enum eas_shared_answer eas_shared_get(apr_pool_t *pool, const struct eas_shared_name *of,
                                      struct eas_bytes *value, apr_time_t *expires)
{
    struct record record;
    enum eas_shared_answer answer = find(pool, of, EAS_SHARED_CACHE_REMOTE, &record);

    if (answer == EAS_SHARED_FOUND) {
        *value = record.value;
        *expires = record.expires;
    }
    return answer;
}

static bool take_later(const struct record *record, apr_time_t *latest)
{
    apr_time_t when;

    if (record->value.len != sizeof(when)) {
        return false;
    }
    memcpy(&when, record->value.at, sizeof(when));
    if (when > *latest) {
        *latest = when;
    }
    return true;
}

enum eas_shared_answer eas_shared_get_latest(apr_pool_t *pool, const struct eas_shared_name *of,
                                             apr_time_t *latest_out)
{
    enum eas_shared_answer remote, answer = EAS_SHARED_NONE;
    unsigned char name[EAS_SHM_TABLE_KEY_SIZE];
    struct record record;
    struct eas_err err;
    int i;

    *latest_out = 0;
    for (i = 0; i < eas_seal_keyring_size(state()->keyring); i++) {
        if (name_of(i, of, name, &err) != EAS_OK) {
            return EAS_SHARED_FAILED;
        }
        if (find_local(pool, of->kind, name, &record) && take_later(&record, latest_out)) {
            answer = EAS_SHARED_FOUND;
        }
        remote = find_remote(pool, name, &record);
        if (remote == EAS_SHARED_FAILED) {
            return EAS_SHARED_FAILED;
        }
        if (remote == EAS_SHARED_FOUND && take_later(&record, latest_out)) {
            answer = EAS_SHARED_FOUND;
        }
    }
    return answer;
}

/* --- struct eas_shared_cache ------------------------------------------------------------------ */

static bool find_in_cache(const struct eas_shared_cache *cache, apr_pool_t *pool,
                          struct eas_bytes id, enum eas_shared_cache_reach reach,
                          struct eas_bytes *value, apr_time_t *expires)
{
    const struct eas_shared_name of = { .kind = (enum eas_shared_kind)cache->kind, .id = id };
    struct record record;

    if (find(pool, &of, reach, &record) != EAS_SHARED_FOUND) {
        return false;
    }
    *value = record.value;
    *expires = record.expires;
    return true;
}

static void put_in_cache(const struct eas_shared_cache *cache, apr_pool_t *pool,
                         struct eas_bytes id, struct eas_bytes value, apr_time_t expires)
{
    const struct eas_shared_name of = { .kind = (enum eas_shared_kind)cache->kind, .id = id };
    struct eas_err ignored;

    eas_shared_put(pool, &of, value, expires, &ignored);
}

const struct eas_shared_cache *eas_shared_cache(enum eas_shared_kind kind)
{
    static const struct eas_shared_cache users = { find_in_cache, put_in_cache,
                                                   EAS_SHARED_PASSWORD };
    static const struct eas_shared_cache tickets = { find_in_cache, put_in_cache,
                                                     EAS_SHARED_TICKET };

    return kind == EAS_SHARED_PASSWORD ? &users : &tickets;
}
