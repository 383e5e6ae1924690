/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/conn_pools_httpd.c - connection pools of a backend, one for several owners */

#include "delegation/proxy/conn_pools_httpd.h"
#include "auth/request_httpd.h"

#include <apr_hash.h>
#include <apr_optional.h>
#include <apr_shm.h>
#include <apr_thread_mutex.h>
#include <mod_watchdog.h>
#include <pthread.h>
#include <stdatomic.h>

/* Half of IIS's default, so that IIS seldom closes a connection as a request is sent. */
#define MAX_IDLE apr_time_from_sec(60)

#define REAP_INTERVAL apr_time_from_sec(1)

/* Counters of eviction requests.  Two backends with the same counter evict together. */
#define COUNTERS 256
#define WATCHDOG_NAME "_eas_kcd_reaper_"

struct eas_conn_pools {
    struct eas_conn_pools *next;
    proxy_worker *worker;
    struct eas_connections *connections;
    atomic_bool reported;
    apr_uint32_t satisfied;          /* eviction requests so far; of the reaper's thread */
    _Atomic(proxy_worker *) slots[]; /* NULL before the first use */
};

/* Eviction requests of all children, to all children; in shared memory.  NULL: there is none. */
struct eas_conn_pools_counter {
    _Atomic apr_uint32_t requests;
};

static struct eas_conn_pools_counter *counters(void)
{
    return eas_module_process()->conn_pools;
}

/*
 * Held by the reaper while it works.  Statically initialised: the thread of mod_watchdog is in a
 * pool of the process, and outlives the pool of the child.
 */
static pthread_mutex_t reaping = PTHREAD_MUTEX_INITIALIZER;

/* Of this child.  Pools and slots live as long as it, so only making them needs the mutex. */
static struct {
    apr_pool_t *pool; /* under the mutex */
    apr_thread_mutex_t *mutex;
    _Atomic(struct eas_conn_pools *) all;
    server_rec *server;
    int n;
    bool has_reaper; /* under reaping */
} child;

static apr_status_t stop_reaper(void *data)
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
    apr_pool_pre_cleanup_register(pchild, NULL, stop_reaper);
}

static _Atomic apr_uint32_t *eviction_requests_for(const struct eas_conn_pools *pools)
{
    return &counters()[pools->worker->s->hash.def % COUNTERS].requests;
}

/* mod_proxy's own limits: `max=` connections, idle for `ttl=`. */
static struct eas_conn_pools *make_pools(proxy_worker *worker)
{
    apr_size_t size = sizeof(struct eas_conn_pools) + (apr_size_t)child.n * sizeof(proxy_worker *);
    struct eas_conn_pools *pools = apr_pcalloc(child.pool, size);

    pools->worker = worker;
    pools->satisfied = counters() != NULL ? atomic_load(eviction_requests_for(pools)) : 0;
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
    return atomic_exchange(&pools->reported, true) ? NULL : pools->worker->s->name_ex;
}

/* If this child has no idle connection to close, it asks the other children. */
static void reap_pools(struct eas_conn_pools *pools, apr_time_t now)
{
    unsigned unsatisfied = eas_connections_reap(pools->connections, now);
    apr_uint32_t requests;

    if (counters() == NULL) {
        return;
    }
    requests = atomic_load(eviction_requests_for(pools));
    eas_connections_evict(pools->connections, requests - pools->satisfied);
    if (unsatisfied > 0) {
        requests = atomic_fetch_add(eviction_requests_for(pools), unsatisfied) + unsatisfied;
    }
    pools->satisfied = requests;
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
    APR_OPTIONAL_FN_TYPE(ap_watchdog_register_callback) *register_callback =
        APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_register_callback);
    const apr_size_t size = COUNTERS * sizeof(struct eas_conn_pools_counter);
    ap_watchdog_t *watchdog;
    apr_shm_t *shm;

    if (apr_shm_create(&shm, size, NULL, pconf) == APR_SUCCESS) {
        eas_module_process()->conn_pools = memset(apr_shm_baseaddr_get(shm), 0, size);
    }

    /* Without mod_watchdog, idle connections are closed as exchanges with their backend end. */
    if (get != NULL && register_callback != NULL
        && get(&watchdog, WATCHDOG_NAME, 0, 0, pconf) == APR_SUCCESS) {
        register_callback(watchdog, REAP_INTERVAL, NULL, reap);
    }
}
