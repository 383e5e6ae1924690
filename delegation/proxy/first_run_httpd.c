/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/first_run_httpd.c - copy of a request, whose memory ends before it parks */

#include "delegation/proxy/first_run_httpd.h"

#include <apr_buckets.h>
#include <apr_strings.h>
#include <http_config.h>
#include <util_filter.h>

/* All zero: fields that a later httpd 2.4 may have at the end. */
#define LATER_FIELDS 256

struct copy {
    request_rec r;
    char after_request[LATER_FIELDS];
    conn_rec c;
    char after_connection[LATER_FIELDS];
};

bool eas_first_run_fits(const request_rec *r)
{
    return r->main == NULL && r->prev == NULL && r->connection->master == NULL && !r->expecting_100
           && apr_table_get(r->subprocess_env, "proxy-nokeepalive") == NULL
           && apr_table_get(r->subprocess_env, "proxy-initial-not-pooled") == NULL
           && apr_table_get(r->subprocess_env, "force-proxy-request-1.0") == NULL;
}

/* A record that a module adds is in the copy's pool. */
static ap_conf_vector_t *copy_records(apr_pool_t *pool, const ap_conf_vector_t *from)
{
    ap_conf_vector_t *to = ap_create_request_config(pool);
    const module *m;

    for (m = ap_top_module; m != NULL; m = m->next) {
        ap_set_module_config(to, m, ap_get_module_config(from, m));
    }
    return to;
}

static void copy_tables(request_rec *to, const request_rec *from)
{
    to->headers_in = apr_table_copy(to->pool, from->headers_in);
    to->headers_out = apr_table_copy(to->pool, from->headers_out);
    to->err_headers_out = apr_table_copy(to->pool, from->err_headers_out);
    to->subprocess_env = apr_table_copy(to->pool, from->subprocess_env);
    to->notes = apr_table_copy(to->pool, from->notes);
    to->trailers_in = apr_table_copy(to->pool, from->trailers_in);
    to->trailers_out = apr_table_copy(to->pool, from->trailers_out);
}

request_rec *eas_first_run_begin(request_rec *r)
{
    apr_pool_t *pool;
    struct copy *copy;

    apr_pool_create(&pool, r->pool);
    apr_pool_tag(pool, "eas_kcd_first_run");
    copy = apr_pcalloc(pool, sizeof(*copy));
    copy->r = *r;
    copy->c = *r->connection;
    copy->c.bucket_alloc = apr_bucket_alloc_create(pool);
    copy->r.pool = pool;
    copy->r.connection = &copy->c;
    copy_tables(&copy->r, r);
    copy->r.request_config = copy_records(pool, r->request_config);
    /* As those of a new request: the first filter that is added finds no others. */
    copy->r.output_filters = copy->r.proto_output_filters = copy->c.output_filters;
    return &copy->r;
}

/* Of the values, too. */
static void take_results(request_rec *r, const request_rec *copy)
{
    r->headers_out = apr_table_clone(r->pool, copy->headers_out);
    r->err_headers_out = apr_table_clone(r->pool, copy->err_headers_out);
    r->subprocess_env = apr_table_clone(r->pool, copy->subprocess_env);
    r->notes = apr_table_clone(r->pool, copy->notes);
    r->status = copy->status;
    r->status_line = apr_pstrdup(r->pool, copy->status_line);
    r->connection->keepalive = copy->connection->keepalive;
}

void eas_first_run_end(request_rec *r, request_rec *copy, bool has_failed)
{
    /* httpd makes them with the first line of the error log, of which the others have the same. */
    if (r->connection->log_id == NULL) {
        r->connection->log_id = apr_pstrdup(r->connection->pool, copy->connection->log_id);
    }
    if (r->log_id == NULL) {
        r->log_id = apr_pstrdup(r->pool, copy->log_id);
    }
    if (has_failed) {
        take_results(r, copy);
    }
    apr_pool_destroy(copy->pool);
}
