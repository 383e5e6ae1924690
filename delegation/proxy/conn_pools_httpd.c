/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/conn_pools_httpd.c - for each backend, connection pools that identities are spread over */

#include "delegation/proxy/conn_pools_httpd.h"
#include "auth/request_httpd.h"

#include <apr_atomic.h>
#include <apr_hash.h>
#include <apr_optional.h>
#include <apr_shm.h>
#include <apr_thread_mutex.h>
#include <mod_watchdog.h>
#include <pthread.h>
#include <stdatomic.h>

/* Half of what IIS grants an idle connection by default, so that it is seldom closed under a request. */
#define MAX_IDLE apr_time_from_sec(60)

#define REAP_INTERVAL apr_time_from_sec(1)

/* Backends that the children can tell each other of; two that share a place are relieved together. */
#define PLACES 256
#define WATCHDOG_NAME "_eas_kcd_reaper_"

struct eas_conn_pools {
    struct eas_conn_pools *next;
    proxy_worker *worker;
    struct eas_connections *connections;
    volatile apr_uint32_t reported;
    apr_uint32_t relieved; /* how far the child has followed the calls; of the reaper's thread */
    _Atomic(proxy_worker *) slots[]; /* NULL: not needed yet */
};

/* How often a child has called for the others' idle connections to be closed; shared by all. */
static volatile apr_uint32_t *calls;

/*
 * Held by the reaper while it works.  mod_watchdog keeps its thread in a pool of the process, which
 * goes after the child's.
 */
static pthread_mutex_t reaping = PTHREAD_MUTEX_INITIALIZER;

/* Of this child.  What is made stays, so that only making needs the mutex: each request looks here. */
static struct {
    apr_pool_t *pool; /* under the mutex */
    apr_thread_mutex_t *mutex;
    _Atomic(struct eas_conn_pools *) all;
    server_rec *server;
    int n;
    bool has_reaper; /* under reaping */
} child;

static apr_status_t dismiss_reaper(void *data)
{
    (void)data;
    pthread_mutex_lock(&reaping);
    child.has_reaper = false;
    pthread_mutex_unlock(&reaping);
    return APR_SUCCESS;
}

void eas_conn_pools_child_init(apr_pool_t *pchild, server_rec *main_server, int n)
{
    pthread_mutex_lock(&reaping);
    apr_pool_create(&child.pool, pchild);
    apr_thread_mutex_create(&child.mutex, APR_THREAD_MUTEX_DEFAULT, pchild);
    atomic_store(&child.all, NULL);
    child.server = main_server;
    child.n = n;
    child.has_reaper = true;
    pthread_mutex_unlock(&reaping);
    apr_pool_pre_cleanup_register(pchild, NULL, dismiss_reaper);
}

static volatile apr_uint32_t *calls_for(const struct eas_conn_pools *pools)
{
    return &calls[pools->worker->s->hash.def % PLACES];
}

/* As many as mod_proxy itself would keep (`max=`), for as long as it is told to (`ttl=`). */
static struct eas_conn_pools *make_pools(proxy_worker *worker)
{
    apr_size_t size = sizeof(struct eas_conn_pools) + (apr_size_t)child.n * sizeof(proxy_worker *);
    struct eas_conn_pools *pools = apr_pcalloc(child.pool, size);

    pools->worker = worker;
    pools->relieved = calls != NULL ? apr_atomic_read32(calls_for(pools)) : 0;
    pools->connections =
        eas_connections_create(child.pool, worker->s->hmax > 0 ? (unsigned)worker->s->hmax : 1,
                               worker->s->ttl > 0 ? worker->s->ttl : MAX_IDLE);
    return pools;
}

static struct eas_conn_pools *find_pools(const proxy_worker *worker)
{
    struct eas_conn_pools *pools = atomic_load(&child.all);

    while (pools != NULL && pools->worker != worker) {
        pools = pools->next;
    }
    return pools;
}

struct eas_conn_pools *eas_conn_pools_of(proxy_worker *worker)
{
    struct eas_conn_pools *pools = find_pools(worker);

    if (pools != NULL) {
        return pools;
    }
    apr_thread_mutex_lock(child.mutex);
    pools = find_pools(worker);
    if (pools == NULL) {
        pools = make_pools(worker);
        pools->next = atomic_load(&child.all);
        atomic_store(&child.all, pools);
    }
    apr_thread_mutex_unlock(child.mutex);
    return pools;
}

struct eas_connections *eas_conn_pools_connections(const struct eas_conn_pools *pools)
{
    return pools->connections;
}

/* Under the mutex. */
static proxy_worker *make_slot(const struct eas_conn_pools *pools)
{
    proxy_worker *slot = eas_mod_proxy_make_slot(child.pool, pools->worker, child.server);

    return slot != NULL ? slot : pools->worker;
}

proxy_worker *eas_conn_pools_worker_for(struct eas_conn_pools *pools, const char *owner)
{
    apr_ssize_t len = APR_HASH_KEY_STRING;
    unsigned n = apr_hashfunc_default(owner, &len) % (unsigned)child.n;
    proxy_worker *found = atomic_load(&pools->slots[n]);

    if (found != NULL) {
        return found;
    }
    apr_thread_mutex_lock(child.mutex);
    found = atomic_load(&pools->slots[n]);
    if (found == NULL) {
        found = make_slot(pools);
        atomic_store(&pools->slots[n], found);
    }
    apr_thread_mutex_unlock(child.mutex);
    return found;
}

const char *eas_conn_pools_report(struct eas_conn_pools *pools)
{
    return apr_atomic_cas32(&pools->reported, 1, 0) == 0 ? pools->worker->s->name_ex : NULL;
}

/* One backend's connections; what this child cannot do about its starving, the others are called for. */
static void reap_pools(struct eas_conn_pools *pools, apr_time_t now)
{
    unsigned unmet = eas_connections_reap(pools->connections, now);
    apr_uint32_t called;

    if (calls == NULL) {
        return;
    }
    called = apr_atomic_read32(calls_for(pools));
    eas_connections_evict(pools->connections, called - pools->relieved);
    if (unmet > 0) {
        called = apr_atomic_add32(calls_for(pools), unmet) + unmet;
    }
    pools->relieved = called;
}

static void reap_all(void)
{
    struct eas_conn_pools *pools;
    apr_time_t now = apr_time_now();

    for (pools = atomic_load(&child.all); pools != NULL; pools = pools->next) {
        reap_pools(pools, now);
    }
}

static apr_status_t reap(int state, void *data, apr_pool_t *pool)
{
    (void)data;
    (void)pool;
    pthread_mutex_lock(&reaping);
    if (state == AP_WATCHDOG_STATE_RUNNING && child.has_reaper) {
        reap_all();
    }
    pthread_mutex_unlock(&reaping);
    return APR_SUCCESS;
}

void eas_conn_pools_post_config(apr_pool_t *pconf)
{
    APR_OPTIONAL_FN_TYPE(ap_watchdog_get_instance) *get =
        APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_get_instance);
    APR_OPTIONAL_FN_TYPE(ap_watchdog_register_callback) *enlist =
        APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_register_callback);
    ap_watchdog_t *watchdog;
    apr_shm_t *shm;

    calls = NULL;
    if (apr_shm_create(&shm, PLACES * sizeof(*calls), NULL, pconf) == APR_SUCCESS) {
        calls = apr_shm_baseaddr_get(shm);
        memset((void *)calls, 0, PLACES * sizeof(*calls));
    }

    /* Without it, idle connections are closed when a request ends that went the same way. */
    if (get != NULL && enlist != NULL
        && get(&watchdog, WATCHDOG_NAME, 0, 0, pconf) == APR_SUCCESS) {
        enlist(watchdog, REAP_INTERVAL, NULL, reap);
    }
}
