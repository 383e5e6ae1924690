/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/coalesce_httpd.c - filter above the TLS of a client: head and body in one bucket */

#include "delegation/proxy/coalesce_httpd.h"
#include "delegation/config_httpd.h"
#include "delegation/proxy/coalesce.h"
#include "delegation/proxy/flush_httpd.h"
#include "delegation/proxy/park_httpd.h"

#include <http_config.h>
#include <http_request.h>
#include <http_ssl.h>
#include <string.h>
#include <util_filter.h>

/* As httpd keeps a filter's name, in lower case. */
#define MOD_SSL_FILTER "ssl/tls coalescing filter"

static ap_filter_rec_t *filter_handle;

/*
 * mod_proxy takes mod_ssl's filter away from a connection that becomes a tunnel, whose data must not
 * wait (ap_proxy_tunnel_create()).
 */
static bool mod_ssl_waits(const ap_filter_t *f)
{
    while (f != NULL && strcmp(f->frec->name, MOD_SSL_FILTER) != 0) {
        f = f->next;
    }
    return f != NULL;
}

static apr_status_t output_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    if (!mod_ssl_waits(f->next)) {
        eas_coalesce_release(f->ctx, bb);
    }
    else if (!eas_coalesce_stream(f->ctx, bb)) {
        return APR_SUCCESS;
    }
    return ap_pass_brigade(f->next, bb);
}

static bool has_filter(const conn_rec *c)
{
    const ap_filter_t *f = c->output_filters;

    while (f != NULL && f->frec != filter_handle) {
        f = f->next;
    }
    return f != NULL;
}

/* Before a request can be refused: its answer, too, would make mod_ssl's buffer. */
static int hook_post_perdir_config(request_rec *r)
{
    const struct eas_delegation_dir *conf = eas_delegation_dir_of(r->per_dir_config);
    conn_rec *c = r->connection;

    if (c->master == NULL && eas_delegation_is_on(conf) && ap_ssl_conn_is_ssl(c)
        && eas_park_is_possible() && eas_delegation_parks(conf, true) && !has_filter(c)) {
        eas_flush_clients();
        /* With the request, whose filters come before those of the connection. */
        ap_add_output_filter_handle(filter_handle,
                                    apr_pcalloc(c->pool, sizeof(struct eas_coalesce_held)), r, c);
    }
    return DECLINED;
}

void eas_coalesce_register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_post_perdir_config(hook_post_perdir_config, NULL, NULL, APR_HOOK_FIRST);
    /* Above the one of mod_ssl that waits. */
    filter_handle =
        ap_register_output_filter("EAS_KCD_COALESCE", output_filter, NULL, AP_FTYPE_CONNECTION + 3);
}
