/* SPDX-License-Identifier: Apache-2.0 */
/* auth/store_httpd.c - what children, generations and gateways know together */

#include "auth/store_httpd.h"
#include "auth/base_httpd.h"
#include "auth/store.h"

#include <apr_escape.h>
#include <apr_shm.h>
#include <apr_strings.h>
#include <ap_provider.h>
#include <ap_socache.h>
#include <util_mutex.h>
#include <openssl/rand.h>

/* Room for some 90 000 live sign-outs, and for some 14 000 evidence tickets of 4 KB; the system commits
 * the pages as they are used. */
#define SIGN_OUTS_BYTES (16 * 1024 * 1024)
#define EVIDENCE_BYTES (64 * 1024 * 1024)

/* How long the provider keeps the record that tells that it is there. */
#define BEACON_FOR apr_time_from_sec(24 * 3600)

#define SECRET_SIZE 32
#define MUTEX_TYPE "eas-kcd-cache"
#define RETAINED_NAME "mod_eas_kcd:shared:1"

/* Outlives graceful restarts, and so may hold neither pointers into this module nor pconf's. */
struct retained {
    unsigned char secret[SECRET_SIZE];
    void *sign_outs;
    void *evidence;
};

/* Of this generation; written before the fork, read by all threads. */
static struct {
    struct eas_keyring *keyring;
    struct eas_store *sign_outs;
    struct eas_store *evidence;
    const ap_socache_provider_t *provider; /* NULL: memory only */
    ap_socache_instance_t *instance;
    apr_global_mutex_t *mutex; /* NULL: the provider needs none */
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
    return rc == EAS_OK ? eas_keyring_create(pconf, secrets, files->nelts, &shared.keyring, err)
                        : rc;
}

static enum eas_rc find_provider(apr_pool_t *pconf, const struct eas_shared_conf *conf,
                                 struct eas_err *err)
{
    const char *error;

    shared.provider = ap_lookup_provider(AP_SOCACHE_PROVIDER_GROUP, conf->provider_name,
                                         AP_SOCACHE_PROVIDER_VERSION);
    if (shared.provider == NULL) {
        return eas_fail(err, EAS_MISCONFIGURED, 3022,
                        "EasKcdCache: there is no socache provider %s; LoadModule "
                        "socache_%s_module (a2enmod socache_%s)",
                        conf->provider_name, conf->provider_name, conf->provider_name);
    }
    if (conf->secret_files == NULL) {
        return eas_fail(err, EAS_MISCONFIGURED, 3023,
                        "EasKcdCache %s shares records with other gateways; they need a secret in "
                        "common: EasKcdSecretFile",
                        conf->provider_name);
    }
    if (conf->provider_args != NULL && ap_strchr_c(conf->provider_args, ',') != NULL) {
        return eas_fail(
            err, EAS_MISCONFIGURED, 3029,
            "EasKcdCache: name one server; with several, the records of one that is away "
            "would be looked for at another, and who signed out would be let in");
    }
    error = shared.provider->create(&shared.instance, conf->provider_args, pconf, pconf);
    return error == NULL ? EAS_OK
                         : eas_fail(err, EAS_MISCONFIGURED, 3024, "EasKcdCache: %s", error);
}

int eas_shared_check(apr_pool_t *pconf, const struct eas_shared_conf *conf, server_rec *s)
{
    struct eas_err err;
    enum eas_rc rc = EAS_OK;

    memset(&shared, 0, sizeof(shared));
    if (conf->provider_name != NULL) {
        rc = find_provider(pconf, conf, &err);
    }
    if (rc == EAS_OK && conf->secret_files != NULL) {
        rc = load_secrets(pconf, conf->secret_files, &err);
    }
    if (rc != EAS_OK) {
        eas_server_refuse(s, &err);
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

void *eas_shared_make_store(server_rec *s, apr_size_t size)
{
    void *memory = eas_shared_memory(s, size);

    if (memory != NULL) {
        eas_store_format(memory, size);
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
        retained->sign_outs = eas_shared_make_store(s, SIGN_OUTS_BYTES);
        retained->evidence = eas_shared_make_store(s, EVIDENCE_BYTES);
        if (RAND_priv_bytes(retained->secret, SECRET_SIZE) != 1) {
            return eas_fail(err, EAS_UNAVAILABLE, 3025, "OpenSSL has no randomness to give");
        }
    }
    if (retained->sign_outs == NULL || retained->evidence == NULL) {
        return eas_fail(err, EAS_UNAVAILABLE, 3026, "no shared memory of %d MB to be had",
                        (SIGN_OUTS_BYTES + EVIDENCE_BYTES) >> 20);
    }
    shared.sign_outs = eas_store_attach(retained->sign_outs, SIGN_OUTS_BYTES);
    shared.evidence = eas_store_attach(retained->evidence, EVIDENCE_BYTES);
    if (shared.keyring != NULL) {
        return EAS_OK;
    }
    secret = eas_secret_make(pconf, (const char *)retained->secret, SECRET_SIZE);
    secrets[0] = secret;
    return eas_keyring_create(pconf, secrets, 1, &shared.keyring, err);
}

static enum eas_rc start_provider(apr_pool_t *pconf, server_rec *s, struct eas_err *err)
{
    /* Names are digests of 32 bytes; sessions live for hours; evidence is the largest. */
    static struct ap_socache_hints hints = { 32, 4096, apr_time_from_sec(8 * 3600) };
    apr_status_t rv = APR_SUCCESS;

    if (shared.provider->flags & AP_SOCACHE_FLAG_NOTMPSAFE) {
        rv = ap_global_mutex_create(&shared.mutex, NULL, MUTEX_TYPE, NULL, s, pconf, 0);
    }
    if (rv == APR_SUCCESS) {
        rv = shared.provider->init(shared.instance, MUTEX_TYPE, &hints, s, pconf);
    }
    return rv == APR_SUCCESS
               ? EAS_OK
               : eas_fail(err, EAS_UNAVAILABLE, 3027, "EasKcdCache: the provider cannot start");
}

int eas_shared_start(apr_pool_t *pconf, server_rec *s)
{
    struct eas_err err;
    enum eas_rc rc = take_up_memory(pconf, s, &err);

    if (rc == EAS_OK && shared.provider != NULL) {
        rc = start_provider(pconf, s, &err);
    }
    if (rc != EAS_OK) {
        eas_server_refuse(s, &err);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return OK;
}

void eas_shared_child_init(apr_pool_t *pchild, server_rec *s)
{
    struct eas_err err;

    if (shared.mutex != NULL
        && apr_global_mutex_child_init(&shared.mutex, apr_global_mutex_lockfile(shared.mutex),
                                       pchild)
               != APR_SUCCESS) {
        eas_fail(&err, EAS_UNAVAILABLE, 3028, "EasKcdCache: no mutex in this child");
        eas_server_refuse(s, &err);
        shared.provider = NULL;
    }
}

const struct eas_keyring *eas_shared_keyring(void)
{
    return shared.keyring;
}

/* Sign-outs have a memory of their own, from which nothing else can push them. */
static struct eas_store *memory_for(enum eas_shared_kind kind)
{
    return kind == EAS_SHARED_REVOKED || kind == EAS_SHARED_NOT_BEFORE ? shared.sign_outs
                                                                       : shared.evidence;
}

/* The name of a record under one of the secrets; the first is the one that records are put under. */
static enum eas_rc name_of(int which, enum eas_shared_kind kind, const void *id, apr_size_t id_len,
                           unsigned char name[EAS_STORE_KEY_SIZE], struct eas_err *err)
{
    unsigned char k = (unsigned char)kind;
    struct eas_seal_part parts[] = { { &k, 1 }, { id, id_len } };

    return eas_seal_mac(shared.keyring, which, EAS_SEAL_RECORD_NAME, parts, 2, name, err);
}

static bool lock_provider(void)
{
    return shared.mutex == NULL || apr_global_mutex_lock(shared.mutex) == APR_SUCCESS;
}

static void unlock_provider(void)
{
    if (shared.mutex != NULL) {
        apr_global_mutex_unlock(shared.mutex);
    }
}

static bool provider_put(request_rec *r, const unsigned char *name, const unsigned char *sealed,
                         apr_size_t len, apr_time_t expires)
{
    apr_status_t rv;

    if (shared.provider == NULL) {
        return true;
    }
    if (!lock_provider()) {
        return false;
    }
    rv = shared.provider->store(shared.instance, r->server, name, EAS_STORE_KEY_SIZE, expires,
                                (unsigned char *)sealed, (unsigned)len, r->pool);
    unlock_provider();
    return rv == APR_SUCCESS;
}

/* What the provider has, or says that it has not. */
static enum eas_shared_answer provider_ask(request_rec *r, const unsigned char *name,
                                           const unsigned char **sealed, apr_size_t *len)
{
    unsigned room = 128 * 1024;
    unsigned char *buffer;
    apr_status_t rv;

    if (shared.provider == NULL) {
        return EAS_SHARED_NONE;
    }
    if (!lock_provider()) {
        return EAS_SHARED_FAILED;
    }
    buffer = apr_palloc(r->pool, room);
    rv = shared.provider->retrieve(shared.instance, r->server, name, EAS_STORE_KEY_SIZE, buffer,
                                   &room, r->pool);
    unlock_provider();
    *sealed = buffer;
    *len = room;
    return rv == APR_SUCCESS            ? EAS_SHARED_FOUND
           : APR_STATUS_IS_NOTFOUND(rv) ? EAS_SHARED_NONE
           : APR_STATUS_IS_ENOMEM(rv)   ? EAS_SHARED_NONE /* too large to be ours */
                                        : EAS_SHARED_FAILED;
}

/* Has the provider the one record that must be there?  If not, can it take it? */
static bool provider_is_up(request_rec *r)
{
    unsigned char name[EAS_STORE_KEY_SIZE];
    const unsigned char *value;
    enum eas_shared_answer answer;
    struct eas_err err;
    apr_size_t len;

    if (name_of(0, EAS_SHARED_BEACON, "", 0, name, &err) != EAS_OK) {
        return false;
    }
    answer = provider_ask(r, name, &value, &len);
    return answer == EAS_SHARED_FOUND
           || (answer == EAS_SHARED_NONE
               && provider_put(r, name, (const unsigned char *)"1", 1,
                               apr_time_now() + BEACON_FOR));
}

/*
 * The sealed bytes from the provider.  mod_socache_redis and mod_socache_memcache say "not found" of
 * everything during the five seconds after a failure in which they leave the server alone (in
 * apr_redis_getp and apr_memcache_getp).  So an absence counts only between two signs of life, which
 * are closer together than that.
 */
static enum eas_shared_answer provider_get(request_rec *r, const unsigned char *name,
                                           const unsigned char **sealed, apr_size_t *len)
{
    enum eas_shared_answer answer;

    if (shared.provider == NULL) {
        return EAS_SHARED_NONE;
    }
    if (!provider_is_up(r)) {
        return EAS_SHARED_FAILED;
    }
    answer = provider_ask(r, name, sealed, len);
    return answer == EAS_SHARED_NONE && !provider_is_up(r) ? EAS_SHARED_FAILED : answer;
}

/* A record is its end, in microseconds, before its value. */
static enum eas_rc seal_record(request_rec *r, const char *binding, const void *value,
                               apr_size_t len, apr_time_t expires, const unsigned char **sealed,
                               apr_size_t *sealed_len, struct eas_err *err)
{
    apr_size_t plain_len = sizeof(expires) + len;
    unsigned char *plain = apr_palloc(r->pool, plain_len);
    enum eas_rc rc;

    memcpy(plain, &expires, sizeof(expires));
    memcpy(plain + sizeof(expires), value, len);
    rc = eas_seal(shared.keyring, r->pool, EAS_SEAL_EVIDENCE, binding, plain, plain_len, sealed,
                  sealed_len, err);
    OPENSSL_cleanse(plain, plain_len);
    return rc;
}

static bool open_record(request_rec *r, const char *binding, const unsigned char *sealed,
                        apr_size_t sealed_len, const unsigned char **value, apr_size_t *len)
{
    struct eas_secret *plain;
    struct eas_err err;
    apr_time_t expires;

    if (eas_unseal(shared.keyring, r->pool, EAS_SEAL_EVIDENCE, binding, sealed, sealed_len, &plain,
                   &err)
            != EAS_OK
        || plain->len < sizeof(expires)) {
        return false;
    }
    memcpy(&expires, plain->bytes, sizeof(expires));
    *value = (const unsigned char *)plain->bytes + sizeof(expires);
    *len = plain->len - sizeof(expires);
    return expires > apr_time_now();
}

enum eas_rc eas_shared_put(request_rec *r, enum eas_shared_kind kind, const void *id,
                           apr_size_t id_len, const void *value, apr_size_t len, apr_time_t expires,
                           struct eas_err *err)
{
    unsigned char name[EAS_STORE_KEY_SIZE];
    const unsigned char *sealed;
    apr_size_t sealed_len;
    enum eas_rc rc = name_of(0, kind, id, id_len, name, err);

    if (rc == EAS_OK) {
        const char *binding = apr_pescape_hex(r->pool, name, sizeof(name), 0);

        rc = seal_record(r, binding, value, len, expires, &sealed, &sealed_len, err);
    }
    if (rc == EAS_OK
        && (!eas_store_put(memory_for(kind), name, sealed, sealed_len, expires)
            | !provider_put(r, name, sealed, sealed_len, expires))) {
        rc = eas_fail(err, EAS_UNAVAILABLE, 1070,
                      "a shared record could not be kept; is the provider of EasKcdCache up?");
    }
    return rc;
}

/* The record of that name, here or at the provider. */
static enum eas_shared_answer get_named(request_rec *r, enum eas_shared_kind kind,
                                        const unsigned char *name, const unsigned char **value,
                                        apr_size_t *len)
{
    const char *binding = apr_pescape_hex(r->pool, name, EAS_STORE_KEY_SIZE, 0);
    const unsigned char *sealed;
    enum eas_shared_answer answer;
    apr_size_t sealed_len;

    if (eas_store_get(memory_for(kind), r->pool, name, apr_time_now(), &sealed, &sealed_len)
        && open_record(r, binding, sealed, sealed_len, value, len)) {
        return EAS_SHARED_FOUND;
    }
    answer = provider_get(r, name, &sealed, &sealed_len);
    if (answer == EAS_SHARED_FOUND && !open_record(r, binding, sealed, sealed_len, value, len)) {
        answer = EAS_SHARED_NONE; /* not ours: as if it were not there */
    }
    return answer;
}

enum eas_shared_answer eas_shared_get(request_rec *r, enum eas_shared_kind kind, const void *id,
                                      apr_size_t id_len, const unsigned char **value,
                                      apr_size_t *len)
{
    enum eas_shared_answer answer = EAS_SHARED_NONE;
    unsigned char name[EAS_STORE_KEY_SIZE];
    struct eas_err err;
    int i;

    /* While a secret is being changed, older records still have the older secret's names. */
    for (i = 0; answer == EAS_SHARED_NONE && i < eas_keyring_size(shared.keyring); i++) {
        answer = name_of(i, kind, id, id_len, name, &err) == EAS_OK
                     ? get_named(r, kind, name, value, len)
                     : EAS_SHARED_FAILED;
    }
    return answer;
}
