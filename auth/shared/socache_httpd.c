/* SPDX-License-Identifier: Apache-2.0 */
/* auth/shared/socache_httpd.c - the provider of EasKcdCache, which may be slow, away or silent */

#include "auth/shared/socache_httpd.h"
#include "auth/base/log_httpd.h"
#include "auth/workers/workers.h"
#include "auth/base/shm_table.h"

#include <ap_provider.h>
#include <ap_socache.h>
#include <apr_atomic.h>
#include <apr_strings.h>
#include <util_mutex.h>

/* How long the provider keeps the record that tells that it is there. */
#define BEACON_FOR apr_time_from_sec(24 * 3600)

/*
 * Threads of a child that speak with the provider, what may wait for them, and how long anybody does.
 * mod_socache_redis hands RedisTimeout in microseconds to apr_redis, which takes it for seconds: a
 * redis that accepts connections and says nothing would hold a worker for days.
 */
#define PROVIDER_THREADS 8
#define PROVIDER_QUEUE 1024
#define PROVIDER_STALLED 8
#define PROVIDER_TIMEOUT apr_time_from_sec(1)

/* There is one provider: what fails says nothing of any realm. */
#define PROVIDER_REALM ""

#define MUTEX_TYPE "eas-kcd-cache"

/* Of this generation; written before the fork and in child_init, read by all threads. */
static struct {
    const ap_socache_provider_t *provider; /* NULL: none */
    ap_socache_instance_t *instance;
    server_rec *server;        /* the main one, for the provider's log */
    apr_global_mutex_t *mutex; /* NULL: the provider needs none */
    unsigned char beacon[EAS_SHM_TABLE_KEY_SIZE];
    struct eas_workers *runners; /* of this child */
} cache;

enum eas_rc eas_socache_check_config(apr_pool_t *pconf, const char *name, const char *args,
                                     struct eas_err *err)
{
    const char *error;

    memset(&cache, 0, sizeof(cache));
    if (name == NULL) {
        return EAS_OK;
    }
    cache.provider =
        ap_lookup_provider(AP_SOCACHE_PROVIDER_GROUP, name, AP_SOCACHE_PROVIDER_VERSION);
    if (cache.provider == NULL) {
        return eas_fail(err, EAS_MISCONFIGURED, 3022,
                        "EasKcdCache: there is no socache provider %s; LoadModule "
                        "socache_%s_module (a2enmod socache_%s)",
                        name, name, name);
    }
    if (args != NULL && ap_strchr_c(args, ',') != NULL) {
        return eas_fail(
            err, EAS_MISCONFIGURED, 3029,
            "EasKcdCache: name one server; with several, the records of one that is away "
            "would be looked for at another, and who signed out would be let in");
    }
    error = cache.provider->create(&cache.instance, args, pconf, pconf);
    return error == NULL ? EAS_OK
                         : eas_fail(err, EAS_MISCONFIGURED, 3024, "EasKcdCache: %s", error);
}

enum eas_rc eas_socache_post_config(apr_pool_t *pconf, server_rec *s, const unsigned char *beacon,
                                    struct eas_err *err)
{
    /* Names are digests of 32 bytes; sessions live for hours; evidence is the largest. */
    static struct ap_socache_hints hints = { 32, 4096, apr_time_from_sec(8 * 3600) };
    apr_status_t rv = APR_SUCCESS;

    if (cache.provider == NULL) {
        return EAS_OK;
    }
    cache.server = s;
    memcpy(cache.beacon, beacon, sizeof(cache.beacon));
    if (cache.provider->flags & AP_SOCACHE_FLAG_NOTMPSAFE) {
        rv = ap_global_mutex_create(&cache.mutex, NULL, MUTEX_TYPE, NULL, s, pconf, 0);
    }
    if (rv == APR_SUCCESS) {
        rv = cache.provider->init(cache.instance, MUTEX_TYPE, &hints, s, pconf);
    }
    return rv == APR_SUCCESS
               ? EAS_OK
               : eas_fail(err, EAS_UNAVAILABLE, 3027, "EasKcdCache: the provider cannot start");
}

void eas_socache_child_init(apr_pool_t *pchild, server_rec *s)
{
    struct eas_workers_limits limits = { PROVIDER_THREADS, PROVIDER_THREADS, PROVIDER_QUEUE,
                                         PROVIDER_STALLED };
    struct eas_err err;

    if (cache.mutex != NULL
        && apr_global_mutex_child_init(&cache.mutex, apr_global_mutex_lockfile(cache.mutex), pchild)
               != APR_SUCCESS) {
        eas_fail(&err, EAS_UNAVAILABLE, 3028, "EasKcdCache: no mutex in this child");
        eas_log_startup(s, &err);
        cache.provider = NULL;
    }
    if (cache.provider != NULL) {
        cache.runners = eas_workers_create(pchild, limits);
    }
}

static bool lock_provider(void)
{
    return cache.mutex == NULL || apr_global_mutex_lock(cache.mutex) == APR_SUCCESS;
}

static void unlock_provider(void)
{
    if (cache.mutex != NULL) {
        apr_global_mutex_unlock(cache.mutex);
    }
}

static bool provider_put(apr_pool_t *pool, const unsigned char *name, const unsigned char *sealed,
                         apr_size_t len, apr_time_t expires)
{
    apr_status_t rv;

    if (!lock_provider()) {
        return false;
    }
    rv = cache.provider->store(cache.instance, cache.server, name, EAS_SHM_TABLE_KEY_SIZE, expires,
                               (unsigned char *)sealed, (unsigned)len, pool);
    unlock_provider();
    return rv == APR_SUCCESS;
}

/* What the provider has, or says that it has not. */
static enum eas_shared_answer provider_ask(apr_pool_t *pool, const unsigned char *name,
                                           const unsigned char **sealed, apr_size_t *len)
{
    unsigned room = 128 * 1024;
    unsigned char *buffer;
    apr_status_t rv;

    if (!lock_provider()) {
        return EAS_SHARED_FAILED;
    }
    buffer = apr_palloc(pool, room);
    rv = cache.provider->retrieve(cache.instance, cache.server, name, EAS_SHM_TABLE_KEY_SIZE,
                                  buffer, &room, pool);
    unlock_provider();
    *sealed = buffer;
    *len = room;
    return rv == APR_SUCCESS            ? EAS_SHARED_FOUND
           : APR_STATUS_IS_NOTFOUND(rv) ? EAS_SHARED_NONE
           : APR_STATUS_IS_ENOMEM(rv)   ? EAS_SHARED_NONE /* too large to be ours */
                                        : EAS_SHARED_FAILED;
}

/* Has the provider the one record that must be there?  If not, can it take it? */
static bool provider_is_up(apr_pool_t *pool)
{
    const unsigned char *value;
    apr_size_t len;
    enum eas_shared_answer answer = provider_ask(pool, cache.beacon, &value, &len);

    return answer == EAS_SHARED_FOUND
           || (answer == EAS_SHARED_NONE
               && provider_put(pool, cache.beacon, (const unsigned char *)"1", 1,
                               apr_time_now() + BEACON_FOR));
}

/*
 * The sealed bytes from the provider.  mod_socache_redis and mod_socache_memcache say "not found" of
 * everything during the five seconds after a failure in which they leave the server alone (in
 * apr_redis_getp and apr_memcache_getp).  So an absence counts only between two signs of life, which
 * are closer together than that.
 */
static enum eas_shared_answer provider_get(apr_pool_t *pool, const unsigned char *name,
                                           const unsigned char **sealed, apr_size_t *len)
{
    enum eas_shared_answer answer;

    if (!provider_is_up(pool)) {
        return EAS_SHARED_FAILED;
    }
    answer = provider_ask(pool, name, sealed, len);
    return answer == EAS_SHARED_NONE && !provider_is_up(pool) ? EAS_SHARED_FAILED : answer;
}

/* --- errands to the provider, which others run ------------------------------------------------- */

struct errand {
    apr_pool_t *pool;
    bool puts;
    unsigned char name[EAS_SHM_TABLE_KEY_SIZE];
    const unsigned char *sealed; /* to be put, or what was found */
    apr_size_t len;
    apr_time_t expires;
    enum eas_shared_answer answer;
};

static void *prepare_errand(apr_pool_t *pool, const void *ask)
{
    struct errand *errand = apr_pmemdup(pool, ask, sizeof(*errand));

    errand->pool = pool;
    if (errand->puts) {
        errand->sealed = apr_pmemdup(pool, errand->sealed, errand->len);
    }
    return errand;
}

static enum eas_rc run_errand(struct eas_job *job, void *data, struct eas_err *err)
{
    struct errand *errand = data;
    apr_time_t began = apr_time_now();

    (void)err;
    eas_job_open(job);
    if (!eas_job_send(job, eas_bytes_of_text(PROVIDER_REALM))) {
        return EAS_OK; /* with the answer that it failed */
    }
    if (errand->puts) {
        errand->answer =
            provider_put(errand->pool, errand->name, errand->sealed, errand->len, errand->expires)
                ? EAS_SHARED_FOUND
                : EAS_SHARED_FAILED;
    }
    else {
        errand->answer = provider_get(errand->pool, errand->name, &errand->sealed, &errand->len);
    }
    /* What it says too late tells nothing good about it. */
    eas_job_receive(job, apr_time_now() - began < PROVIDER_TIMEOUT);
    return EAS_OK;
}

/* Who looks for the same shares an errand; who puts has one of his own. */
static enum eas_shared_answer dispatch(apr_pool_t *pool, struct errand *errand)
{
    static volatile apr_uint32_t puts;
    struct {
        apr_uint32_t kind, number;
        unsigned char name[EAS_SHM_TABLE_KEY_SIZE];
    } key = { errand->puts, errand->puts ? apr_atomic_inc32(&puts) : 0, { 0 } };
    struct eas_workers_task task = {
        .peer = PROVIDER_REALM,
        .timeout = PROVIDER_TIMEOUT,
        .prepare = prepare_errand,
        .run = run_errand,
        .key = eas_bytes_make(&key, sizeof(key)),
        .input = errand,
    };
    apr_interval_time_t waited = 0;
    struct eas_job *job;
    struct eas_err ignored;

    if (cache.provider == NULL) {
        return EAS_SHARED_NONE;
    }
    memcpy(key.name, errand->name, sizeof(key.name));
    eas_workers_run(cache.runners, &task, PROVIDER_TIMEOUT, &job, &waited, &ignored);
    if (job == NULL) {
        return EAS_SHARED_FAILED;
    }
    *errand = *(const struct errand *)eas_job_copy(job);
    if (errand->answer == EAS_SHARED_FOUND && !errand->puts) {
        errand->sealed = apr_pmemdup(pool, errand->sealed, errand->len);
    }
    eas_job_release(job);
    return errand->answer;
}

bool eas_socache_put(apr_pool_t *pool, const unsigned char *name, const unsigned char *sealed,
                     apr_size_t len, apr_time_t expires)
{
    struct errand errand = { pool, true, { 0 }, sealed, len, expires, EAS_SHARED_FAILED };

    memcpy(errand.name, name, sizeof(errand.name));
    return dispatch(pool, &errand) != EAS_SHARED_FAILED;
}

enum eas_shared_answer eas_socache_get(apr_pool_t *pool, const unsigned char *name,
                                       const unsigned char **sealed, apr_size_t *len)
{
    struct errand errand = { pool, false, { 0 }, NULL, 0, 0, EAS_SHARED_FAILED };
    enum eas_shared_answer answer;

    memcpy(errand.name, name, sizeof(errand.name));
    answer = dispatch(pool, &errand);
    *sealed = errand.sealed;
    *len = errand.len;
    return answer;
}
