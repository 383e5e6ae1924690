/* SPDX-License-Identifier: Apache-2.0 */
/* auth/shared/socache_httpd.c - Client of the socache provider of EasKcdCache */

#include "auth/shared/socache_httpd.h"
#include "auth/base/clock.h"
#include "auth/base/log_httpd.h"
#include "auth/base/shm_table.h"
#include "auth/workers/workers.h"

#include <ap_provider.h>
#include <ap_socache.h>
#include <apr_strings.h>
#include <stdatomic.h>
#include <util_mutex.h>

#define LIVENESS_FOR apr_time_from_sec(24 * 3600)

/*
 * For the cache requests of a child: threads, queue, and the time that a caller waits.
 * mod_socache_redis passes RedisTimeout in microseconds to apr_redis, which takes it for seconds;
 * apr_memcache has no time-out.  A server that accepts connections and does not answer would block a
 * thread of httpd for days.
 */
#define PROVIDER_THREADS 8
#define PROVIDER_QUEUE 1024
#define PROVIDER_TIMEOUT apr_time_from_sec(1)

/* The provider is one peer of the workers, with one circuit breaker. */
#define PROVIDER ""

#define MUTEX_TYPE "eas-kcd-cache"

/* Longer values are no records of this module. */
#define VALUE_MAX (128 * 1024)

/* Written in check_config, in post_config, and in child_init. */
struct eas_socache_state {
    const ap_socache_provider_t *provider; /* NULL: none */
    ap_socache_instance_t *instance;
    server_rec *server;        /* the main server, for the provider's log */
    apr_global_mutex_t *mutex; /* NULL: the provider needs none */
    unsigned char liveness_name[EAS_SHM_TABLE_KEY_SIZE];
    struct eas_workers *workers; /* of this child */
};

static struct eas_socache_state *state(void)
{
    return eas_module_process()->socache;
}

enum eas_rc eas_socache_check_config(apr_pool_t *pconf, const char *name, const char *args,
                                     struct eas_err *err)
{
    struct eas_socache_state *cache = apr_pcalloc(pconf, sizeof(*cache));
    const char *error;

    eas_module_process()->socache = cache;
    if (name == NULL) {
        return EAS_OK;
    }
    cache->provider =
        ap_lookup_provider(AP_SOCACHE_PROVIDER_GROUP, name, AP_SOCACHE_PROVIDER_VERSION);
    if (cache->provider == NULL) {
        return eas_fail(err, EAS_MISCONFIGURED, 3022,
                        "EasKcdCache: there is no socache provider %s; LoadModule "
                        "socache_%s_module (a2enmod socache_%s)",
                        name, name, name);
    }
    if (args != NULL && ap_strchr_c(args, ',') != NULL) {
        return eas_fail(
            err, EAS_MISCONFIGURED, 3029,
            "EasKcdCache names several servers; while one is down, its records would be "
            "looked for at another, and signed-out sessions would be valid; name one server");
    }
    error = cache->provider->create(&cache->instance, args, pconf, pconf);
    return error == NULL ? EAS_OK
                         : eas_fail(err, EAS_MISCONFIGURED, 3024, "EasKcdCache: %s", error);
}

enum eas_rc eas_socache_post_config(apr_pool_t *pconf, server_rec *s,
                                    const unsigned char *liveness_name, struct eas_err *err)
{
    /* Length of names (digests), size of the largest values (tickets), and life of a session. */
    struct ap_socache_hints hints = { 32, 4096, apr_time_from_sec(8 * 3600) };
    struct eas_socache_state *cache = state();
    apr_status_t rv = APR_SUCCESS;
    char reason[120];

    if (cache->provider == NULL) {
        return EAS_OK;
    }
    cache->server = s;
    memcpy(cache->liveness_name, liveness_name, sizeof(cache->liveness_name));
    if (cache->provider->flags & AP_SOCACHE_FLAG_NOTMPSAFE) {
        rv = ap_global_mutex_create(&cache->mutex, NULL, MUTEX_TYPE, NULL, s, pconf, 0);
    }
    if (rv == APR_SUCCESS) {
        rv = cache->provider->init(cache->instance, MUTEX_TYPE, &hints, s, pconf);
    }
    return rv == APR_SUCCESS
               ? EAS_OK
               : eas_fail(err, EAS_UNAVAILABLE, 3027, "EasKcdCache: the provider cannot start: %s",
                          apr_strerror(rv, reason, sizeof(reason)));
}

void eas_socache_child_init(apr_pool_t *pchild, server_rec *s)
{
    struct eas_workers_limits limits = { .share = PROVIDER_THREADS,
                                         .queued = PROVIDER_QUEUE,
                                         .stalled = PROVIDER_THREADS,
                                         .failures = 1 };
    struct eas_socache_state *cache = state();
    struct eas_err err;

    if (cache->mutex != NULL
        && apr_global_mutex_child_init(&cache->mutex, apr_global_mutex_lockfile(cache->mutex),
                                       pchild)
               != APR_SUCCESS) {
        eas_fail(&err, EAS_UNAVAILABLE, 3028,
                 "EasKcdCache: this child process cannot use the mutex");
        eas_log_startup(s, &err);
        cache->provider = NULL;
    }
    if (cache->provider != NULL) {
        cache->workers = eas_workers_create(pchild, limits);
    }
}

static bool lock_provider(const struct eas_socache_state *cache)
{
    return cache->mutex == NULL || apr_global_mutex_lock(cache->mutex) == APR_SUCCESS;
}

static void unlock_provider(const struct eas_socache_state *cache)
{
    if (cache->mutex != NULL) {
        apr_global_mutex_unlock(cache->mutex);
    }
}

static bool provider_put(apr_pool_t *pool, const unsigned char *name, struct eas_bytes sealed,
                         apr_time_t expires)
{
    const struct eas_socache_state *cache = state();
    apr_status_t rv;

    if (!lock_provider(cache)) {
        return false;
    }
    rv = cache->provider->store(cache->instance, cache->server, name, EAS_SHM_TABLE_KEY_SIZE,
                                expires, (unsigned char *)sealed.at, (unsigned)sealed.len, pool);
    unlock_provider(cache);
    return rv == APR_SUCCESS;
}

static enum eas_shared_answer provider_retrieve(apr_pool_t *pool, const unsigned char *name,
                                                struct eas_bytes *sealed)
{
    const struct eas_socache_state *cache = state();
    unsigned len = VALUE_MAX;
    unsigned char *buffer;
    apr_status_t rv;

    if (!lock_provider(cache)) {
        return EAS_SHARED_FAILED;
    }
    buffer = apr_palloc(pool, len);
    rv = cache->provider->retrieve(cache->instance, cache->server, name, EAS_SHM_TABLE_KEY_SIZE,
                                   buffer, &len, pool);
    unlock_provider(cache);
    *sealed = eas_bytes_make(buffer, len);
    return rv == APR_SUCCESS            ? EAS_SHARED_FOUND
           : APR_STATUS_IS_NOTFOUND(rv) ? EAS_SHARED_NONE
           : APR_STATUS_IS_ENOMEM(rv)   ? EAS_SHARED_NONE /* longer than VALUE_MAX */
                                        : EAS_SHARED_FAILED;
}

/* Whether the provider has the liveness record, or can store it. */
static bool provider_is_up(apr_pool_t *pool)
{
    const unsigned char *name = state()->liveness_name;
    struct eas_bytes ignored;
    enum eas_shared_answer answer = provider_retrieve(pool, name, &ignored);

    return answer == EAS_SHARED_FOUND
           || (answer == EAS_SHARED_NONE
               && provider_put(pool, name, eas_bytes_of_text("1"), apr_time_now() + LIVENESS_FOR));
}

/*
 * For five seconds after a failure, mod_socache_redis and mod_socache_memcache leave the server
 * alone and answer "not found" to all requests (apr_redis_getp, apr_memcache_getp).  So an absence
 * counts only between two answers of the liveness record, which are less than five seconds apart.
 */
static enum eas_shared_answer provider_get(apr_pool_t *pool, const unsigned char *name,
                                           struct eas_bytes *sealed)
{
    enum eas_shared_answer answer;

    if (!provider_is_up(pool)) {
        return EAS_SHARED_FAILED;
    }
    answer = provider_retrieve(pool, name, sealed);
    return answer == EAS_SHARED_NONE && !provider_is_up(pool) ? EAS_SHARED_FAILED : answer;
}

/* --- cache requests, which workers run -------------------------------------------------------- */

struct request {
    apr_pool_t *pool;
    bool puts;
    unsigned char name[EAS_SHM_TABLE_KEY_SIZE];
    struct eas_bytes sealed; /* argument of put, result of get */
    apr_time_t expires;
    enum eas_shared_answer answer;
};

static void *prepare(apr_pool_t *pool, const void *arguments)
{
    struct request *request = apr_pmemdup(pool, arguments, sizeof(*request));

    request->pool = pool;
    if (request->puts) {
        request->sealed.at = apr_pmemdup(pool, request->sealed.at, request->sealed.len);
    }
    return request;
}

static enum eas_rc run(struct eas_job *job, void *data, struct eas_err *err)
{
    struct request *request = data;
    apr_time_t began = eas_clock_now();
    bool is_late;

    (void)err;
    eas_job_open(job);
    if (!eas_job_send(job, eas_bytes_of_text(PROVIDER))) {
        return EAS_OK; /* the answer is EAS_SHARED_FAILED */
    }
    if (request->puts) {
        request->answer =
            provider_put(request->pool, request->name, request->sealed, request->expires)
                ? EAS_SHARED_FOUND
                : EAS_SHARED_FAILED;
    }
    else {
        request->answer = provider_get(request->pool, request->name, &request->sealed);
    }
    is_late = eas_clock_now() - began >= PROVIDER_TIMEOUT;
    eas_job_receive(job, !is_late                               ? EAS_PEER_ANSWERED
                         : request->answer != EAS_SHARED_FAILED ? EAS_PEER_ANSWERED_LATE
                                                                : EAS_PEER_SILENT);
    return EAS_OK;
}

/* Concurrent requests to get the same name share one job.  Each request to put has its own. */
static enum eas_shared_answer dispatch(apr_pool_t *pool, struct request *request)
{
    static _Atomic(apr_uint32_t) puts;
    struct {
        apr_uint32_t kind, number;
        unsigned char name[EAS_SHM_TABLE_KEY_SIZE];
    } key = { request->puts, request->puts ? atomic_fetch_add(&puts, 1) : 0, { 0 } };
    struct eas_workers_task task = {
        .peer = PROVIDER,
        .prepare = prepare,
        .run = run,
        .key = eas_bytes_make(&key, sizeof(key)),
        .input = request,
    };
    apr_interval_time_t waited = 0;
    struct eas_job *job;
    struct eas_err ignored;

    if (state()->provider == NULL) {
        return EAS_SHARED_NONE;
    }
    memcpy(key.name, request->name, sizeof(key.name));
    eas_workers_run(state()->workers, &task, PROVIDER_TIMEOUT, &job, &waited, &ignored);
    if (job == NULL) {
        return EAS_SHARED_FAILED;
    }
    *request = *(const struct request *)eas_job_copy(job);
    if (request->answer == EAS_SHARED_FOUND && !request->puts) {
        request->sealed.at = apr_pmemdup(pool, request->sealed.at, request->sealed.len);
    }
    eas_job_release(job);
    return request->answer;
}

bool eas_socache_put(apr_pool_t *pool, const unsigned char *name, struct eas_bytes sealed,
                     apr_time_t expires)
{
    struct request request = {
        .puts = true, .sealed = sealed, .expires = expires, .answer = EAS_SHARED_FAILED
    };

    memcpy(request.name, name, sizeof(request.name));
    return dispatch(pool, &request) != EAS_SHARED_FAILED;
}

enum eas_shared_answer eas_socache_get(apr_pool_t *pool, const unsigned char *name,
                                       struct eas_bytes *sealed)
{
    struct request request = { .puts = false, .answer = EAS_SHARED_FAILED };
    enum eas_shared_answer answer;

    memcpy(request.name, name, sizeof(request.name));
    answer = dispatch(pool, &request);
    *sealed = request.sealed;
    return answer;
}
