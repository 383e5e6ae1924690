/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/conn_pools_httpd.c - connection pools of a backend, of one connection each */

#include "delegation/proxy/conn_pools_httpd.h"
#include "auth/base/clock.h"
#include "auth/base/counters.h"
#include "auth/base/thread.h"
#include "auth/request_httpd.h"

#include <ap_mpm.h>
#include <apr_optional.h>
#include <apr_shm.h>
#include <mod_watchdog.h>
#include <mpm_common.h>
#include <pthread.h>
#include <stdatomic.h>

/* Half of IIS's default, so that IIS seldom closes a connection as a request is sent. */
#define MAX_IDLE apr_time_from_sec(60)

#define REAP_INTERVAL apr_time_from_sec(1)
#define STOP_LOCK (APR_USEC_PER_SEC / 10)

/* To APR, 0 is no limit. */
#define KEEP_NOTHING 1

/* New slots share an address that is not older, so that they follow a change of DNS. */
#define MAX_ADDRESS_AGE apr_time_from_sec(10)

/* Counters of eviction requests.  Two backends with the same counter evict together. */
#define COUNTERS 256
#define WATCHDOG_NAME "_eas_kcd_reaper_"

struct eas_conn_pools {
    struct eas_conn_pools *next;
    proxy_worker *worker;
    struct eas_connections *connections;
    struct eas_slots *slots;      /* whose handles are workers */
    unsigned spare;               /* idle connections that may be older than max_idle */
    apr_interval_time_t max_idle; /* of the others */
    bool has_limit;               /* of its own: `max=` */
    bool shares;                  /* slots share addresses */
    proxy_worker *resolver; /* the last slot with an address of its own; under child's mutex */
    apr_time_t resolver_since;
    atomic_bool reported;
    apr_uint32_t satisfied; /* eviction requests so far; of the reaper's thread */
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
    struct eas_mod_proxy_slot_pools pools;
    apr_socket_t *silent; /* nothing comes to it; or NULL */
    apr_thread_mutex_t *mutex;
    _Atomic(struct eas_conn_pools *) all;
    server_rec *server;
    int n;
    int default_max;        /* mod_proxy's for `max=`; under the mutex, 0: not asked yet */
    bool has_reaper;        /* under reaping */
    _Atomic bool is_ending; /* the reaper closes no further connection */
} child;

/* prefork runs this in a signal handler, which may have interrupted what the reaper waits for. */
static apr_status_t stop_reaper(void *data)
{
    (void)data;
    atomic_store(&child.is_ending, true);
    if (eas_clock_lock(&reaping, eas_clock_now() + STOP_LOCK) == 0) {
        child.has_reaper = false;
        pthread_mutex_unlock(&reaping);
    }
    return APR_SUCCESS;
}

/*
 * A pool with an allocator that threads share: prefork's is not locked, and the reaper closes
 * connections.
 */
static apr_pool_t *make_pool(apr_pool_t *parent, apr_pool_t *pchild, apr_size_t max_free)
{
    apr_allocator_t *allocator;
    apr_pool_t *pool = NULL;

    if (apr_allocator_create(&allocator) == APR_SUCCESS
        && apr_pool_create_ex(&pool, parent, NULL, allocator) == APR_SUCCESS) {
        apr_allocator_mutex_set(allocator, eas_thread_make_mutex(pchild));
        apr_allocator_max_free_set(allocator, max_free);
        apr_allocator_owner_set(allocator, pool);
        return pool;
    }
    abort(); /* as httpd does without memory */
}

/* A pool ends its newest child first. */
static void make_child_pools(apr_pool_t *pchild)
{
    struct eas_mod_proxy_slot_pools *pools = &child.pools;

    child.pool = pools->slots = make_pool(pchild, pchild, ap_max_mem_free);
    pools->sockets = apr_pool_allocator_get(child.pool);
    pools->addresses = make_pool(child.pool, pchild, KEEP_NOTHING);
    apr_pool_create_unmanaged_ex(&pools->references, NULL, NULL);
    apr_pool_create(&pools->unkept, child.pool);
    pools->connections = make_pool(child.pool, pchild, KEEP_NOTHING);
}

void eas_conn_pools_child_init(apr_pool_t *pchild, server_rec *main_server, int n)
{
    pthread_mutex_lock(&reaping);
    make_child_pools(pchild);
    child.silent = NULL;
    (void)apr_socket_create(&child.silent, APR_INET, SOCK_DGRAM, APR_PROTO_UDP, pchild);
    child.mutex = eas_thread_make_mutex(pchild);
    atomic_store(&child.all, NULL);
    child.server = main_server;
    child.n = n;
    child.default_max = 0;
    child.has_reaper = true;
    atomic_store(&child.is_ending, false);
    pthread_mutex_unlock(&reaping);
    apr_pool_pre_cleanup_register(pchild, NULL, stop_reaper);
}

static _Atomic apr_uint32_t *eviction_requests_for(const struct eas_conn_pools *pools)
{
    return &counters()[pools->worker->s->hash.def % COUNTERS].requests;
}

static apr_status_t unref_connections(void *data)
{
    eas_connections_unref(data);
    return APR_SUCCESS;
}

/*
 * mod_proxy's default for `max=` is the number of threads, mod_http2's included, so that no request
 * ever waits.  Identities may be more than that, a limit that protects the backend may be less.
 */
static bool has_limit(const proxy_worker *worker)
{
    int max = worker->s->hmax;

    return max != 0 && (max < child.default_max || (max > child.default_max && max > child.n));
}

static unsigned max_connections(const proxy_worker *worker)
{
    if (worker->s->hmax == 0) {
        return 1; /* one thread, as with prefork */
    }
    return (unsigned)(has_limit(worker) || worker->s->hmax > child.n ? worker->s->hmax : child.n);
}

/* mod_proxy's default for `smax=` is that of `max=`. */
static unsigned spare_connections(const proxy_worker *worker)
{
    return worker->s->smax > 0 && worker->s->smax < worker->s->hmax ? (unsigned)worker->s->smax : 0;
}

static struct eas_conn_pools *make_pools(proxy_worker *worker)
{
    struct eas_conn_pools *pools = apr_pcalloc(child.pool, sizeof(*pools));

    if (child.default_max == 0) {
        child.default_max = eas_mod_proxy_default_max(child.pool, child.server);
    }
    pools->worker = worker;
    pools->satisfied = counters() != NULL ? atomic_load(eviction_requests_for(pools)) : 0;
    pools->slots = eas_slots_create(child.pool, max_connections(worker));
    pools->has_limit = has_limit(worker);
    pools->shares = eas_mod_proxy_slot_may_share(worker, child.server);
    pools->spare = spare_connections(worker);
    pools->max_idle = worker->s->ttl > 0 ? worker->s->ttl : MAX_IDLE;
    pools->connections = eas_connections_create();
    apr_pool_cleanup_register(child.pool, pools->connections, unref_connections,
                              apr_pool_cleanup_null);
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

/* Under the mutex, where nothing may wait for DNS: a slot without an address looks it up itself. */
static void share_address(struct eas_conn_pools *pools, proxy_worker *worker)
{
    apr_time_t now = eas_clock_now();

    if (pools->resolver != NULL && now - pools->resolver_since < MAX_ADDRESS_AGE) {
        eas_mod_proxy_slot_share(worker, pools->resolver, child.pools.references, child.server);
    }
    else {
        pools->resolver = worker;
        pools->resolver_since = now;
    }
}

/* With the worker's own pool if mod_proxy can make no other: there most connections are closed. */
static proxy_worker *make_worker(struct eas_conn_pools *pools)
{
    proxy_worker *worker;

    apr_thread_mutex_lock(child.mutex);
    worker = eas_mod_proxy_slot_make(&child.pools, pools->worker, child.server);
    if (worker != NULL && pools->shares) {
        share_address(pools, worker);
    }
    apr_thread_mutex_unlock(child.mutex);
    return worker != NULL ? worker : pools->worker;
}

static void close_connection(struct eas_slot *slot)
{
    eas_mod_proxy_slot_close(slot->handle, child.server);
}

/* Returns whether there was one to close. */
static bool close_oldest(struct eas_conn_pools *pools, apr_time_t idle_before, unsigned spare)
{
    struct eas_slot *slot = eas_slots_take_idle(pools->slots, idle_before, spare);

    if (slot != NULL) {
        close_connection(slot);
        eas_slots_put(pools->slots, slot, false, 0);
    }
    return slot != NULL;
}

apr_interval_time_t eas_conn_pools_patience(const struct eas_conn_pools *pools,
                                            apr_interval_time_t timeout)
{
    const proxy_worker_shared *limits = pools->worker->s;

    return limits->acquire_set ? limits->acquire : timeout;
}

struct eas_slot *eas_conn_pools_take(struct eas_conn_pools *pools, const char *owner,
                                     apr_interval_time_t max_wait, bool fresh,
                                     proxy_worker **worker_out)
{
    bool close_first;
    struct eas_slot *slot = eas_slots_take(pools->slots, owner, max_wait, &close_first);

    if (slot == NULL) {
        return NULL;
    }
    if (slot->handle == NULL) {
        slot->handle = make_worker(pools);
    }
    if (close_first || (fresh && slot->kept)) {
        close_connection(slot);
    }
    eas_counters_adjust(EAS_GAUGE_CONNECTIONS_BUSY, 1);
    eas_counters_add(slot->kept && !close_first && !fresh ? EAS_COUNTER_EXCHANGE_KEPT
                                                          : EAS_COUNTER_EXCHANGE_NEW);
    *worker_out = slot->handle;
#ifdef EAS_TEST_NO_VETO
    *worker_out = pools->worker; /* where connections of other owners are */
#endif
    return slot;
}

void eas_conn_pools_set_aside(struct eas_conn_pools *pools, struct eas_slot *slot)
{
    if (!pools->has_limit) {
        eas_slots_set_aside(pools->slots, slot);
    }
}

void eas_conn_pools_resume(struct eas_slot *slot)
{
    eas_mod_proxy_slot_hide_end(slot->handle, child.silent);
}

void eas_conn_pools_put(struct eas_conn_pools *pools, struct eas_slot *slot, bool released)
{
    apr_time_t now = eas_clock_now();
    bool kept = released && eas_mod_proxy_slot_is_open(slot->handle);

    eas_mod_proxy_slot_show_end(slot->handle, child.silent);
    if (!kept) {
        close_connection(slot);
    }
    eas_counters_adjust(EAS_GAUGE_CONNECTIONS_BUSY, -1);
    eas_slots_put(pools->slots, slot, kept, now);
    close_oldest(pools, now - pools->max_idle, pools->spare);
}

const char *eas_conn_pools_report(struct eas_conn_pools *pools)
{
    return atomic_exchange(&pools->reported, true) ? NULL : pools->worker->s->name_ex;
}

/* Closes n idle connections; returns how many were missing. */
static unsigned evict(struct eas_conn_pools *pools, apr_time_t now, unsigned n)
{
    while (n > 0 && !atomic_load(&child.is_ending) && close_oldest(pools, now, 0)) {
        n--;
    }
    return n;
}

/* If this child has no idle connection to close, it asks the other children. */
static void reap_pools(struct eas_conn_pools *pools, apr_time_t now)
{
    unsigned unsatisfied;
    apr_uint32_t requests;

    while (!atomic_load(&child.is_ending)
           && close_oldest(pools, now - pools->max_idle, pools->spare)) {
    }
    unsatisfied = evict(pools, now, eas_connections_requests(pools->connections, now));
    if (counters() == NULL) {
        return;
    }
    requests = atomic_load(eviction_requests_for(pools));
    (void)evict(pools, now, requests - pools->satisfied);
    if (unsatisfied > 0) {
        requests = atomic_fetch_add(eviction_requests_for(pools), unsatisfied) + unsatisfied;
    }
    pools->satisfied = requests;
}

static void reap_all(void)
{
    struct eas_conn_pools *pools;
    apr_time_t now = eas_clock_now();

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
