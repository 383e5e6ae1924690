/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/backend_httpd.c - the guard on every outgoing connection of the process (I1) */

#include "delegation/backend_httpd.h"
#include "auth/base_httpd.h"

#include <http_connection.h>
#include <stdatomic.h>
#include <util_filter.h>

#define GUARD_FILTER "EAS_KCD_GUARD"

/* What a connection has carried so far. */
struct past {
    bool used;
    bool delegated;      /* some exchange carried a token */
    apr_uint64_t serial; /* of the last exchange */
};

static _Thread_local const struct eas_exchange *current;

static const struct eas_exchange *current_exchange(void)
{
    /* What mod_proxy does on its own account, such as health checks, carries no token. */
    static const struct eas_exchange tokenless = { 0, false };

    return current != NULL ? current : &tokenless;
}

const struct eas_exchange *eas_backend_begin(struct eas_exchange *exchange, bool delegated)
{
    static _Atomic apr_uint64_t last_serial;
    const struct eas_exchange *interrupted = current;

    exchange->serial = atomic_fetch_add(&last_serial, 1) + 1;
    exchange->delegated = delegated;
    current = exchange;
    return interrupted;
}

void eas_backend_end(const struct eas_exchange *interrupted)
{
    current = interrupted;
}

static bool may_carry(const struct past *past, const struct eas_exchange *exchange)
{
    return !past->used || (past->serial == exchange->serial && exchange->serial != 0)
           || (!past->delegated && !exchange->delegated);
}

/* mod_proxy looks whether a pooled connection is still alive by reading ahead without blocking. */
static apr_status_t guard_input(ap_filter_t *f, apr_bucket_brigade *bb, ap_input_mode_t mode,
                                apr_read_type_e block, apr_off_t readbytes)
{
    const struct past *past = f->ctx;

    if (mode == AP_MODE_SPECULATIVE && !may_carry(past, current_exchange())) {
        return APR_ECONNABORTED;
    }
    return ap_get_brigade(f->next, bb, mode, block, readbytes);
}

static bool has_data(const apr_bucket_brigade *bb)
{
    const apr_bucket *b;

    for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb); b = APR_BUCKET_NEXT(b)) {
        if (!APR_BUCKET_IS_METADATA(b)) {
            return true;
        }
    }
    return false;
}

static apr_status_t guard_output(ap_filter_t *f, apr_bucket_brigade *bb)
{
    const struct eas_exchange *exchange = current_exchange();
    struct past *past = f->ctx;

    if (has_data(bb)) {
        if (!may_carry(past, exchange)) {
            ap_log_cerror(APLOG_MARK, APLOG_CRIT, 0, f->c,
                          "EAS2050: refused to reuse a backend connection that belongs to another "
                          "request");
            f->c->aborted = 1; /* lest mod_proxy blame the client */
            apr_brigade_cleanup(bb);
            return APR_ECONNABORTED;
        }
        past->used = true;
        past->delegated = past->delegated || exchange->delegated;
        past->serial = exchange->serial;
    }
    return ap_pass_brigade(f->next, bb);
}

static int pre_connection(conn_rec *c, void *socket)
{
    (void)socket;
    if (c->outgoing) {
        struct past *past = apr_pcalloc(c->pool, sizeof(*past));

        ap_add_input_filter(GUARD_FILTER, past, NULL, c);
        ap_add_output_filter(GUARD_FILTER, past, NULL, c);
    }
    return OK;
}

void eas_backend_register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_pre_connection(pre_connection, NULL, NULL, APR_HOOK_MIDDLE);
    /* Above mod_ssl's, so that they see requests and not TLS records. */
    ap_register_input_filter(GUARD_FILTER, guard_input, NULL, AP_FTYPE_CONNECTION);
    ap_register_output_filter(GUARD_FILTER, guard_output, NULL, AP_FTYPE_CONNECTION);
}
