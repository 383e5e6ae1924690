/* SPDX-License-Identifier: Apache-2.0 */
/* auth/shared/shared_httpd.c - what children, generations and gateways know together */

#include "auth/shared/shared_httpd.h"
#include "auth/base/log_httpd.h"
#include "auth/shared/socache_httpd.h"
#include "auth/base/shm_table.h"

#include <apr_escape.h>
#include <apr_shm.h>
#include <apr_strings.h>
#include <openssl/rand.h>

/* Room for some 90 000 live sign-outs, and for some 14 000 evidence tickets of 4 KB; the system commits
 * the pages as they are used. */
#define SIGN_OUTS_BYTES (16 * 1024 * 1024)
#define EVIDENCE_BYTES (64 * 1024 * 1024)

/* What can be had again from the KDC, some 14 000 tickets of 4 KB, pushes out nothing else. */
#define SPARES_BYTES (64 * 1024 * 1024)

#define SECRET_SIZE 32
#define RETAINED_NAME "mod_eas_kcd:shared:2"

/* Outlives graceful restarts, and so may hold neither pointers into this module nor pconf's. */
struct retained {
    unsigned char secret[SECRET_SIZE];
    void *sign_outs;
    void *evidence;
    void *spares;
};

/* Of this generation; written before the fork, read by all threads. */
static struct {
    struct eas_keyring *keyring;
    struct eas_shm_table *sign_outs;
    struct eas_shm_table *evidence;
    struct eas_shm_table *spares;
    server_rec *server; /* the main one, for the provider's log */
} shared;

static enum eas_rc read_secret(apr_pool_t *pool, const char *path, struct eas_secret **out,
                               struct eas_err *err)
{
    char buffer[4096];
    apr_size_t len = sizeof(buffer);
    apr_file_t *file;
    apr_finfo_t finfo;
    apr_status_t rv = apr_file_open(&file, path, APR_FOPEN_READ, APR_FPROT_OS_DEFAULT, pool);

    if (rv == APR_SUCCESS) {
        rv = apr_file_info_get(&finfo, APR_FINFO_PROT, file);
    }
    if (rv != APR_SUCCESS || apr_file_read_full(file, buffer, sizeof(buffer), &len) != APR_EOF) {
        return eas_fail(err, EAS_MISCONFIGURED, 3020,
                        "EasKcdSecretFile %s cannot be read or is over 4 KB; make it with "
                        "`openssl rand -out %s 48`",
                        path, path);
    }
    apr_file_close(file);
    if (finfo.protection & (APR_FPROT_WREAD | APR_FPROT_WWRITE | APR_FPROT_GWRITE)) {
        return eas_fail(
            err, EAS_MISCONFIGURED, 3021,
            "EasKcdSecretFile %s can be read by everybody or written by others; chmod 600", path);
    }
    *out = eas_secret_make(pool, buffer, len);
    OPENSSL_cleanse(buffer, sizeof(buffer));
    return EAS_OK;
}

static enum eas_rc load_secrets(apr_pool_t *pconf, const apr_array_header_t *files,
                                struct eas_err *err)
{
    const struct eas_secret **secrets =
        apr_pcalloc(pconf, (apr_size_t)files->nelts * sizeof(*secrets));
    enum eas_rc rc = EAS_OK;
    int i;

    for (i = 0; rc == EAS_OK && i < files->nelts; i++) {
        struct eas_secret *secret = NULL;

        rc = read_secret(pconf, APR_ARRAY_IDX(files, i, const char *), &secret, err);
        secrets[i] = secret;
    }
    return rc == EAS_OK
               ? eas_seal_keyring_create(pconf, secrets, files->nelts, &shared.keyring, err)
               : rc;
}

int eas_shared_check_config(apr_pool_t *pconf, const struct eas_shared_conf *conf, server_rec *s)
{
    struct eas_err err;
    enum eas_rc rc = EAS_OK;

    memset(&shared, 0, sizeof(shared));
    if (conf->provider_name != NULL && conf->secret_files == NULL) {
        rc = eas_fail(&err, EAS_MISCONFIGURED, 3023,
                      "EasKcdCache %s shares records with other gateways; they need a secret in "
                      "common: EasKcdSecretFile",
                      conf->provider_name);
    }
    if (rc == EAS_OK) {
        rc = eas_socache_check_config(pconf, conf->provider_name, conf->provider_args, &err);
    }
    if (rc == EAS_OK && conf->secret_files != NULL) {
        rc = load_secrets(pconf, conf->secret_files, &err);
    }
    if (rc != EAS_OK) {
        eas_log_startup(s, &err);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return OK;
}

void *eas_shared_memory(server_rec *s, apr_size_t size)
{
    apr_shm_t *shm;

    return apr_shm_create(&shm, size, NULL, s->process->pool) == APR_SUCCESS
               ? apr_shm_baseaddr_get(shm)
               : NULL;
}

void *eas_shared_make_table(server_rec *s, apr_size_t size)
{
    void *memory = eas_shared_memory(s, size);

    if (memory != NULL) {
        eas_shm_table_format(memory, size);
    }
    return memory;
}

static enum eas_rc take_up_memory(apr_pool_t *pconf, server_rec *s, struct eas_err *err)
{
    struct retained *retained = ap_retained_data_get(RETAINED_NAME);
    struct eas_secret *secret;
    const struct eas_secret *secrets[1];

    if (retained == NULL) {
        retained = ap_retained_data_create(RETAINED_NAME, sizeof(*retained));
        retained->sign_outs = eas_shared_make_table(s, SIGN_OUTS_BYTES);
        retained->evidence = eas_shared_make_table(s, EVIDENCE_BYTES);
        retained->spares = eas_shared_make_table(s, SPARES_BYTES);
        if (RAND_priv_bytes(retained->secret, SECRET_SIZE) != 1) {
            return eas_fail(err, EAS_UNAVAILABLE, 3025, "OpenSSL has no randomness to give");
        }
    }
    if (retained->sign_outs == NULL || retained->evidence == NULL || retained->spares == NULL) {
        return eas_fail(err, EAS_UNAVAILABLE, 3026, "no shared memory of %d MB to be had",
                        (SIGN_OUTS_BYTES + EVIDENCE_BYTES + SPARES_BYTES) >> 20);
    }
    shared.sign_outs = eas_shm_table_attach(retained->sign_outs, SIGN_OUTS_BYTES);
    shared.evidence = eas_shm_table_attach(retained->evidence, EVIDENCE_BYTES);
    shared.spares = eas_shm_table_attach(retained->spares, SPARES_BYTES);
    if (shared.keyring != NULL) {
        return EAS_OK;
    }
    secret = eas_secret_make(pconf, (const char *)retained->secret, SECRET_SIZE);
    secrets[0] = secret;
    return eas_seal_keyring_create(pconf, secrets, 1, &shared.keyring, err);
}

/* The name of a record under one of the secrets; the first is the one that records are put under. */
static enum eas_rc name_of(int which, enum eas_shared_kind kind, const void *id, apr_size_t id_len,
                           unsigned char name[EAS_SHM_TABLE_KEY_SIZE], struct eas_err *err)
{
    unsigned char k = (unsigned char)kind;
    struct eas_bytes parts[] = { { &k, 1 }, { id, id_len } };

    return eas_seal_mac(shared.keyring, which, EAS_SEAL_RECORD_NAME, parts, 2, name, err);
}

int eas_shared_post_config(apr_pool_t *pconf, server_rec *s)
{
    unsigned char beacon[EAS_SHM_TABLE_KEY_SIZE];
    struct eas_err err;
    enum eas_rc rc = take_up_memory(pconf, s, &err);

    if (rc == EAS_OK) {
        rc = name_of(0, EAS_SHARED_LIVENESS, "", 0, beacon, &err);
    }
    if (rc == EAS_OK) {
        rc = eas_socache_post_config(pconf, s, beacon, &err);
    }
    if (rc != EAS_OK) {
        eas_log_startup(s, &err);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return OK;
}

const struct eas_keyring *eas_shared_keyring(void)
{
    return shared.keyring;
}

/* Sign-outs have a memory of their own, from which nothing else can push them; so has evidence. */
static struct eas_shm_table *memory_for(enum eas_shared_kind kind)
{
    switch (kind) {
    case EAS_SHARED_REVOKED:
    case EAS_SHARED_NOT_BEFORE:
        return shared.sign_outs;
    case EAS_SHARED_PASSWORD:
    case EAS_SHARED_TICKET:
        return shared.spares;
    case EAS_SHARED_ALIVE:
    case EAS_SHARED_EVIDENCE:
    case EAS_SHARED_LIVENESS:
        break;
    }
    return shared.evidence;
}

/* What was found; in the pool that it was asked for. */
struct record {
    const unsigned char *value;
    apr_size_t len;
    apr_time_t expires;
};

/* Sealed, a record is its end, in microseconds, before its value. */
static enum eas_rc seal_record(apr_pool_t *pool, const char *binding, const void *value,
                               apr_size_t len, apr_time_t expires, const unsigned char **sealed,
                               apr_size_t *sealed_len, struct eas_err *err)
{
    apr_size_t plain_len = sizeof(expires) + len;
    unsigned char *plain = apr_palloc(pool, plain_len);
    struct eas_bytes out;
    enum eas_rc rc;

    memcpy(plain, &expires, sizeof(expires));
    memcpy(plain + sizeof(expires), value, len);
    rc = eas_seal(shared.keyring, pool, EAS_SEAL_EVIDENCE, binding,
                  eas_bytes_make(plain, plain_len), &out, err);
    OPENSSL_cleanse(plain, plain_len);
    if (rc == EAS_OK) {
        *sealed = out.at;
        *sealed_len = out.len;
    }
    return rc;
}

static bool open_record(apr_pool_t *pool, const char *binding, const unsigned char *sealed,
                        apr_size_t sealed_len, struct record *record)
{
    struct eas_secret *plain;
    struct eas_err err;

    if (eas_unseal(shared.keyring, pool, EAS_SEAL_EVIDENCE, binding,
                   eas_bytes_make(sealed, sealed_len), &plain, &err)
            != EAS_OK
        || plain->len < sizeof(record->expires)) {
        return false;
    }
    memcpy(&record->expires, plain->bytes, sizeof(record->expires));
    record->value = (const unsigned char *)plain->bytes + sizeof(record->expires);
    record->len = plain->len - sizeof(record->expires);
    return record->expires > apr_time_now();
}

enum eas_rc eas_shared_put(apr_pool_t *pool, enum eas_shared_kind kind, const void *id,
                           apr_size_t id_len, const void *value, apr_size_t len, apr_time_t expires,
                           struct eas_err *err)
{
    unsigned char name[EAS_SHM_TABLE_KEY_SIZE];
    const unsigned char *sealed;
    apr_size_t sealed_len;
    enum eas_rc rc = name_of(0, kind, id, id_len, name, err);

    if (rc == EAS_OK) {
        const char *binding = apr_pescape_hex(pool, name, sizeof(name), 0);

        rc = seal_record(pool, binding, value, len, expires, &sealed, &sealed_len, err);
    }
    if (rc == EAS_OK
        && (!eas_shm_table_put(memory_for(kind), name, sealed, sealed_len, expires)
            | !eas_socache_put(pool, name, sealed, sealed_len, expires))) {
        rc = eas_fail(err, EAS_UNAVAILABLE, 1070,
                      "a shared record could not be kept; is the provider of EasKcdCache up?");
    }
    return rc;
}

/* The record of that name, in memory. */
static bool find_here(apr_pool_t *pool, enum eas_shared_kind kind, const unsigned char *name,
                      struct record *record)
{
    const unsigned char *sealed;
    apr_size_t len;

    return eas_shm_table_get(memory_for(kind), pool, name, apr_time_now(), &sealed, &len)
           && open_record(pool, apr_pescape_hex(pool, name, EAS_SHM_TABLE_KEY_SIZE, 0), sealed, len,
                          record);
}

/* The record of that name, at the provider. */
static enum eas_shared_answer find_there(apr_pool_t *pool, const unsigned char *name,
                                         struct record *record)
{
    const unsigned char *sealed;
    apr_size_t len;
    enum eas_shared_answer answer = eas_socache_get(pool, name, &sealed, &len);

    if (answer == EAS_SHARED_FOUND
        && !open_record(pool, apr_pescape_hex(pool, name, EAS_SHM_TABLE_KEY_SIZE, 0), sealed, len,
                        record)) {
        answer = EAS_SHARED_NONE; /* not ours: as if it were not there */
    }
    return answer;
}

static enum eas_shared_answer find(apr_pool_t *pool, enum eas_shared_kind kind, const void *id,
                                   apr_size_t id_len, bool also_there, struct record *record)
{
    enum eas_shared_answer answer = EAS_SHARED_NONE;
    unsigned char name[EAS_SHM_TABLE_KEY_SIZE];
    struct eas_err err;
    int i;

    /* While a secret is being changed, older records still have the older secret's names. */
    for (i = 0; answer == EAS_SHARED_NONE && i < eas_seal_keyring_size(shared.keyring); i++) {
        if (name_of(i, kind, id, id_len, name, &err) != EAS_OK) {
            return EAS_SHARED_FAILED;
        }
        if (find_here(pool, kind, name, record)) {
            return EAS_SHARED_FOUND;
        }
        if (also_there) {
            answer = find_there(pool, name, record);
        }
    }
    return answer;
}

enum eas_shared_answer eas_shared_get(apr_pool_t *pool, enum eas_shared_kind kind, const void *id,
                                      apr_size_t id_len, const unsigned char **value,
                                      apr_size_t *len)
{
    struct record record;
    enum eas_shared_answer answer = find(pool, kind, id, id_len, true, &record);

    if (answer == EAS_SHARED_FOUND) {
        *value = record.value;
        *len = record.len;
    }
    return answer;
}

/* --- shelves ----------------------------------------------------------------------------------- */

static bool find_on_shelf(const struct eas_shared_cache *shared_cache, apr_pool_t *pool,
                          const void *id, apr_size_t id_len, enum eas_shared_cache_reach reach,
                          const unsigned char **value, apr_size_t *len, apr_time_t *expires)
{
    bool also_there = reach == EAS_SHARED_CACHE_REMOTE;
    struct record record;

    if (find(pool, (enum eas_shared_kind)shared_cache->kind, id, id_len, also_there, &record)
        != EAS_SHARED_FOUND) {
        return false;
    }
    *value = record.value;
    *len = record.len;
    *expires = record.expires;
    return true;
}

static void put_shared(const struct eas_shared_cache *shared_cache, apr_pool_t *pool,
                       const void *id, apr_size_t id_len, const void *value, apr_size_t len,
                       apr_time_t expires)
{
    struct eas_err ignored;

    eas_shared_put(pool, (enum eas_shared_kind)shared_cache->kind, id, id_len, value, len, expires,
                   &ignored);
}

const struct eas_shared_cache *eas_shared_cache(enum eas_shared_kind kind)
{
    static const struct eas_shared_cache proofs = { find_on_shelf, put_shared,
                                                    EAS_SHARED_PASSWORD };
    static const struct eas_shared_cache tickets = { find_on_shelf, put_shared, EAS_SHARED_TICKET };

    return kind == EAS_SHARED_PASSWORD ? &proofs : &tickets;
}
