/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/flush_httpd.c - filters below TLS: short writes at once */

#include "delegation/proxy/flush_httpd.h"
#include "auth/base/module_httpd.h"
#include "delegation/proxy/client_httpd.h"
#include "delegation/proxy/outgoing_httpd.h"

#include <apr_optional_hooks.h>
#include <mod_ssl_openssl.h>
#include <poll.h>
#include <util_filter.h>

/* httpd writes as much at once anyway. */
#define LONG 4096

static ap_filter_rec_t *filter_handle, *client_filter_handle;

void eas_flush_clients(void)
{
    atomic_bool *flushes = &eas_module_process()->flush;

    if (!atomic_load(flushes)) {
        atomic_store(flushes, true);
    }
}

static bool is_set_aside(const apr_bucket_brigade *bb)
{
    apr_size_t len = 0;
    const apr_bucket *b;

    for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb); b = APR_BUCKET_NEXT(b)) {
        if (APR_BUCKET_IS_FLUSH(b) || b->length >= LONG - len) {
            return false;
        }
        len += b->length;
    }
    return len != 0;
}

static apr_status_t output_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    if (is_set_aside(bb)) {
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_flush_create(bb->bucket_alloc));
    }
    return ap_pass_brigade(f->next, bb);
}

/*
 * Until now, mod_ssl has flushed each write of the handshake.  On a connection of others a FLUSH could
 * block a tunnel.
 */
static int hook_proxy_post_handshake(conn_rec *c, SSL *ssl)
{
    (void)ssl;
    if (eas_outgoing_is_for_user()) {
        ap_add_output_filter_handle(filter_handle, NULL, NULL, c);
    }
    return OK;
}

/* So it is while a third of the send buffer is free, which is more than a short record. */
static bool is_writable(conn_rec *c)
{
    struct pollfd socket = { .fd = eas_client_descriptor(c), .events = POLLOUT };

    return poll(&socket, 1, 0) == 1 && socket.revents == POLLOUT;
}

/*
 * A slow client's data wait as before, as do those behind them: a FLUSH bucket would hold the thread.
 * A connection that is about to end has no use for it.
 */
static apr_status_t client_output_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    conn_rec *c = f->c;

    if (c->keepalive != AP_CONN_CLOSE && !c->data_in_output_filters && is_set_aside(bb)
        && is_writable(c)) {
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_flush_create(bb->bucket_alloc));
    }
    return ap_pass_brigade(f->next, bb);
}

/* Before the handshake's first write: the pool, once made, stays. */
static int hook_pre_handshake(conn_rec *c, SSL *ssl, int is_proxy)
{
    (void)ssl;
    if (!is_proxy && c->master == NULL && atomic_load(&eas_module_process()->flush)) {
        ap_add_output_filter_handle(client_filter_handle, NULL, NULL, c);
    }
    return OK;
}

void eas_flush_register_hooks(apr_pool_t *pool)
{
    (void)pool;
    APR_OPTIONAL_HOOK(ssl, proxy_post_handshake, hook_proxy_post_handshake, NULL, NULL,
                      APR_HOOK_MIDDLE);
    APR_OPTIONAL_HOOK(ssl, pre_handshake, hook_pre_handshake, NULL, NULL, APR_HOOK_MIDDLE);
    client_filter_handle = ap_register_output_filter("EAS_KCD_FLUSH_CLIENT", client_output_filter,
                                                     NULL, AP_FTYPE_NETWORK - 1);
    filter_handle =
        ap_register_output_filter("EAS_KCD_FLUSH", output_filter, NULL, AP_FTYPE_NETWORK - 1);
}
