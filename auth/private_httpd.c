/* SPDX-License-Identifier: Apache-2.0 */
/* auth/private_httpd.c - Cache-Control: private for responses that a log-on changes */

#include "auth/private_httpd.h"
#include "auth/request_httpd.h"

#include <apr_strings.h>
#include <http_protocol.h>
#include <http_request.h>
#include <util_filter.h>

static ap_filter_rec_t *filter_handle;

/* Adds `private`, and removes the directives that contradict it. */
static const char *private_cache_control(apr_pool_t *pool, const char *value)
{
    char *token, *last, *copy = apr_pstrdup(pool, value);
    const char *result = "private";

    for (token = apr_strtok(copy, ", \t", &last); token != NULL;
         token = apr_strtok(NULL, ", \t", &last)) {
        if (ap_cstr_casecmp(token, "public") != 0 && ap_cstr_casecmp(token, "private") != 0
            && ap_cstr_casecmpn(token, "s-maxage", 8) != 0) {
            result = apr_pstrcat(pool, result, ", ", token, NULL);
        }
    }
    return result;
}

/*
 * All lines of both tables as one: a backend may spread no-store and others over several, and
 * mod_headers writes into either table.
 */
static const char *all_lines(request_rec *r, const char *name)
{
    const char *lines = apr_table_getm(r->pool, r->headers_out, name);
    const char *always = apr_table_getm(r->pool, r->err_headers_out, name);

    return apr_pstrcat(r->pool, lines != NULL ? lines : "", ", ", always != NULL ? always : "",
                       NULL);
}

/* The browser's own cache has no use for the response after the log-on. */
static void vary_by_credentials(request_rec *r)
{
    static const char *const names[] = { "Cookie", "Authorization" };
    const char *value = all_lines(r, "Vary");
    apr_size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]) && !ap_find_token(r->pool, value, "*"); i++) {
        if (!ap_find_token(r->pool, value, names[i])) {
            apr_table_mergen(r->headers_out, "Vary", names[i]);
        }
    }
}

static apr_status_t private_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    request_rec *r = f->r;
    const char *value = apr_table_get(r->headers_out, "Cache-Control") == NULL
                                && apr_table_get(r->err_headers_out, "Cache-Control") == NULL
                            ? ""
                            : all_lines(r, "Cache-Control");

    /* Without a user, no-store says all that is needed. */
    if (r->user != NULL || !ap_find_token(r->pool, value, "no-store")) {
        apr_table_unset(r->err_headers_out, "Cache-Control");
        apr_table_setn(r->headers_out, "Cache-Control", private_cache_control(r->pool, value));
        if (r->user == NULL) {
            vary_by_credentials(r);
        }
    }
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, bb);
}

static bool has_filter(const request_rec *r)
{
    const ap_filter_t *f = r->output_filters;

    while (f != NULL && (f->frec != filter_handle || f->r != r)) {
        f = f->next;
    }
    return f != NULL;
}

/* For the marked response, and for its error page. */
static void hook_insert_filter(request_rec *r)
{
    const request_rec *q;

    for (q = r; q != NULL; q = q->prev) {
        const struct eas_request *request =
            ap_get_module_config(q->request_config, &eas_kcd_module);

        if (request != NULL && request->private_response) {
            if (!has_filter(r)) {
                ap_add_output_filter_handle(filter_handle, NULL, r, r->connection);
            }
            return;
        }
    }
}

void eas_private_mark(request_rec *r)
{
    struct eas_request *request = eas_request_of(r);

    r->no_cache = 1;
    if (!request->private_response) {
        request->private_response = true;
        hook_insert_filter(r);
    }
}

void eas_private_register_hooks(apr_pool_t *pool)
{
    ap_hook_insert_filter(hook_insert_filter, NULL, NULL, APR_HOOK_MIDDLE);
    /* An error page has its own filter chain. */
    ap_hook_insert_error_filter(hook_insert_filter, NULL, NULL, APR_HOOK_MIDDLE);
    filter_handle =
        ap_register_output_filter("EAS_KCD_PRIVATE", private_filter, NULL, AP_FTYPE_CONTENT_SET);
}
