/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/mod_proxy_slot_httpd.c - slot as mod_proxy's worker with a pool of one connection */

#include "delegation/proxy/mod_proxy_slot_httpd.h"

#include <apr_allocator.h>
#include <apr_atomic.h>
#include <http_core.h>
#include <stdlib.h>
#include <string.h>

#define POOL_NODE 8192
#define SOCKET_NODE 16384

/* A node that APR has mapped anew is empty: then the allocator has no free one. */
#define BEGINNING 64
#define ROUNDS_MAX 512

static bool is_new(const apr_memnode_t *node)
{
    static const char nothing[BEGINNING];

    return memcmp(node->first_avail, nothing, sizeof(nothing)) == 0;
}

/* Free nodes of the size of a pool's first one, or more, in the order in which to give them back. */
static apr_memnode_t *take_free_nodes(apr_allocator_t *allocator)
{
    apr_memnode_t *first = NULL, **end = &first;
    int i;

    for (i = 0; i < ROUNDS_MAX; i++) {
        *end = apr_allocator_alloc(allocator, POOL_NODE - APR_MEMNODE_T_SIZE);
        if (*end == NULL || is_new(*end)) {
            break; /* the one that has just been mapped serves the next small pool */
        }
        end = &(*end)->next;
    }
    return first;
}

/*
 * A pool for a socket, with a first node of 16 KB.  mod_ssl's struct with a buffer of 8 KB would not
 * fit into one of 8 KB, and would begin a third page of what is touched.  APR has no call for it: the
 * pool takes the only free node.  Another thread's may come in between, which is one of 8 KB then.
 */
static apr_pool_t *make_socket_pool(apr_pool_t *parent, apr_allocator_t *allocator)
{
    apr_memnode_t *others = take_free_nodes(allocator);
    apr_memnode_t *node = apr_allocator_alloc(allocator, SOCKET_NODE - APR_MEMNODE_T_SIZE);
    apr_pool_t *pool = NULL;

    if (node != NULL) {
        apr_allocator_free(allocator, node);
    }
    apr_pool_create_ex(&pool, parent, NULL, allocator);
    apr_pool_tag(pool, "eas_kcd_socket");
    if (others != NULL) {
        apr_allocator_free(allocator, others);
    }
    return pool;
}

/*
 * mod_proxy's connection within the slot, made now: its pool for a socket gets another allocator.  What
 * is read from a socket is of it, too, and would cost a mapping each time.
 */
static void make_connection(proxy_worker *slot, apr_allocator_t *sockets, server_rec *s)
{
    const struct eas_mod_proxy_functions *functions = eas_mod_proxy_functions();
    proxy_conn_rec *conn = NULL;

    if (functions->acquire_connection("EAS", &conn, slot, s) == OK) {
        apr_pool_destroy(conn->scpool);
        conn->scpool = make_socket_pool(conn->pool, sockets);
        functions->release_connection("EAS", conn, s);
    }
}

/*
 * mod_proxy gives each worker allocators of its own, which keep freed memory for its connections.  A
 * slot has one connection, so that its free memory would serve nobody.  Before httpd 2.4.59, slots keep
 * theirs: mod_proxy has dns_pool within cp->pool, and allocates from it under the slot's own lock.
 */
static void set_pools(proxy_worker *slot, const struct eas_mod_proxy_slot_pools *pools, bool keeps,
                      server_rec *s)
{
    proxy_conn_pool *cp = slot->cp;

    if (apr_pool_parent_get(cp->dns_pool) == cp->pool) {
        return;
    }
    cp->conn = NULL; /* mod_proxy makes another one */
    apr_pool_destroy(cp->pool);
    apr_pool_destroy(cp->dns_pool);
    cp->pool = keeps ? pools->connections : pools->unkept;
    cp->dns_pool = pools->addresses;
    if (keeps && pools->sockets != NULL) {
        make_connection(slot, pools->sockets, s);
    }
}

/*
 * The pool is that of a worker without `max=`, which has one connection in cp->conn instead of an
 * apr_reslist (ap_proxy_initialize_worker()).  Where there is no reslist, mod_proxy uses cp->conn,
 * whatever the parameters of the original say (ap_proxy_acquire_connection()).
 */
proxy_worker *eas_mod_proxy_slot_make(const struct eas_mod_proxy_slot_pools *pools,
                                      proxy_worker *worker, server_rec *s)
{
    const struct eas_mod_proxy_functions *functions = eas_mod_proxy_functions();
    apr_pool_t *pool = pools->slots;
    proxy_worker_shared *replaced;
    proxy_worker *slot;
    bool is_good;

    /* Any URL: it goes into the shared part of 2 KB, which is replaced by the original's. */
    if (functions->define_worker(pool, &slot, NULL, NULL, "http://slot.invalid/", 1) != NULL) {
        return NULL;
    }
    slot->s->hmax = 0;
    slot->s->status |= PROXY_WORKER_INITIALIZED; /* no defaults */
    slot->hash = worker->hash;
    slot->balancer = worker->balancer;
    slot->section_config = worker->section_config;
    is_good = functions->initialize_worker(slot, s, pool) == APR_SUCCESS && slot->cp->res == NULL;
    if (is_good) {
        set_pools(slot, pools, eas_mod_proxy_keeps(worker), s);
    }
    replaced = slot->s;
    slot->s = worker->s;
    free(replaced); /* mod_proxy has it from malloc() by that last argument */
    return is_good ? slot : NULL;
}

bool eas_mod_proxy_slot_may_share(const proxy_worker *worker, const server_rec *main_server)
{
#if EAS_MOD_PROXY_HAS_ADDRESSES
    return eas_mod_proxy_functions()->determine_address != NULL && eas_mod_proxy_keeps(worker)
           && worker->s->address_ttl < 0 && *worker->s->uds_path == '\0'
           && !eas_mod_proxy_has_remotes(main_server);
#else
    (void)worker;
    (void)main_server;
    return false;
#endif
}

#if EAS_MOD_PROXY_HAS_ADDRESSES
/* Whether no two are of one family. */
static bool is_single(const apr_sockaddr_t *address)
{
    const apr_sockaddr_t *other;

    for (; address != NULL; address = address->next) {
        for (other = address->next; other != NULL; other = other->next) {
            if (other->family == address->family) {
                return false;
            }
        }
    }
    return true;
}
#endif

/*
 * mod_proxy gives a connection the address of its worker, and counts it until the end of the
 * connection's pool.  Here the slot takes that count over: mod_proxy ends it as the slot gets another
 * address.  So the pool never ends.
 */
void eas_mod_proxy_slot_share(proxy_worker *slot, proxy_worker *from, apr_pool_t *references,
                              server_rec *s)
{
#if EAS_MOD_PROXY_HAS_ADDRESSES
    const proxy_worker_shared *shared = from->s;
    proxy_conn_rec *conn = slot->cp->conn, before;

    if (conn == NULL || apr_atomic_casptr((void *)&from->address, NULL, NULL) == NULL
        || from->cp->addr == NULL || !is_single(from->cp->addr)) {
        return;
    }
    before = *conn;
    conn->worker = from;
    conn->pool = references;
    if (eas_mod_proxy_functions()->determine_address("EAS", conn, shared->hostname_ex, shared->port,
                                                     0, NULL, s)
        == APR_SUCCESS) {
        slot->address = conn->address;
    }
    conn->worker = before.worker;
    conn->pool = before.pool;
    conn->address = before.address;
    conn->addr = before.addr;
    conn->hostname = before.hostname;
    conn->port = before.port;
#else
    (void)slot;
    (void)from;
    (void)references;
    (void)s;
#endif
}

void eas_mod_proxy_slot_hide_end(const proxy_worker *slot, apr_socket_t *silent)
{
    if (silent != NULL && eas_mod_proxy_slot_is_open(slot) && slot->cp->conn->connection != NULL) {
        slot->cp->conn->sock = silent;
    }
}

/* mod_proxy may have closed the connection, or made another one. */
void eas_mod_proxy_slot_show_end(const proxy_worker *slot, const apr_socket_t *silent)
{
    if (eas_mod_proxy_slot_is_open(slot) && slot->cp->conn->sock == silent) {
        slot->cp->conn->sock = ap_get_conn_socket(slot->cp->conn->connection);
    }
}

bool eas_mod_proxy_slot_is_open(const proxy_worker *slot)
{
    const proxy_conn_rec *conn = slot->cp->res == NULL ? slot->cp->conn : NULL;

    return conn != NULL && conn->sock != NULL; /* without a conn_rec for AJP */
}

void eas_mod_proxy_slot_close(proxy_worker *slot, server_rec *s)
{
    if (eas_mod_proxy_slot_is_open(slot)) {
        proxy_conn_rec *conn = slot->cp->conn;

        slot->cp->conn = NULL;
        conn->close = 1;
        eas_mod_proxy_functions()->release_connection("EAS", conn, s);
    }
}
