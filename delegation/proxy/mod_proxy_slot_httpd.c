/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/mod_proxy_slot_httpd.c - slot as mod_proxy's worker with a pool of one connection */

#include "delegation/proxy/mod_proxy_slot_httpd.h"

#include <stdlib.h>

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
        apr_pool_create_ex(&conn->scpool, conn->pool, NULL, sockets);
        apr_pool_tag(conn->scpool, "eas_kcd_socket");
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
