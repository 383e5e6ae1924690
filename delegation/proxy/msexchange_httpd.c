/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/msexchange_httpd.c - statuses and headers of Exchange, unknown to httpd */

#include "delegation/proxy/msexchange_httpd.h"
#include "auth/request_httpd.h"
#include "delegation/config_httpd.h"
#include "delegation/proxy/mod_proxy_httpd.h"

#include <apr_optional_hooks.h>
#include <apr_strings.h>
#include <http_protocol.h>
#include <http_request.h>
#include <util_filter.h>

#define X_MS_LOCATION "X-MS-Location"

static ap_filter_rec_t *exchange_filter_handle;

/* NULL for a status that httpd knows. */
static const char *status_line_of(int status)
{
    switch (status) {
    case 449:
        return "449 Retry after sending a PROVISION command";
    case 451:
        return "451 Redirect";
    case 456:
        return "456 Account Blocked";
    case 457:
        return "457 Password Expired";
    default:
        return NULL;
    }
}

/* "449 " has none. */
static bool has_reason(const char *line, int status)
{
    return line != NULL && apr_atoi64(line) == status && strlen(line) > 4;
}

static void map_location(request_rec *r, apr_table_t *headers)
{
    const char *location = apr_table_get(headers, X_MS_LOCATION);

    if (location != NULL) {
        apr_table_setn(headers, X_MS_LOCATION, eas_mod_proxy_reverse_map(r, location));
    }
}

static apr_status_t exchange_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    request_rec *r = f->r;

    if (status_line_of(r->status) != NULL && !has_reason(r->status_line, r->status)) {
        r->status_line = status_line_of(r->status);
    }
    map_location(r, r->headers_out);
    map_location(r, r->err_headers_out);
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, bb);
}

static bool is_in_effect(request_rec *r)
{
    return r->proxyreq == PROXYREQ_REVERSE
           && (eas_request_is_activesync(r)
               || eas_delegation_is_on(eas_delegation_dir_of(r->per_dir_config)));
}

/* On the response, or on the error page instead of it. */
static void hook_insert_filter(request_rec *r)
{
    request_rec *q = r;

    while (q != NULL && !is_in_effect(q)) {
        q = q->prev;
    }
    if (q != NULL) {
        ap_add_output_filter_handle(exchange_filter_handle, NULL, r, r->connection);
    }
}

/* With ProxyErrorOverride, httpd takes the title of its page from the status line. */
/* NOLINTNEXTLINE(readability-non-const-parameter): the hook's signature */
static int hook_request_status(int *status, request_rec *r)
{
    if (is_in_effect(r) && status_line_of(*status) != NULL
        && !has_reason(r->status_line, *status)) {
        r->status_line = status_line_of(*status);
    }
    return DECLINED;
}

void eas_msexchange_register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_insert_filter(hook_insert_filter, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_insert_error_filter(hook_insert_filter, NULL, NULL, APR_HOOK_MIDDLE);
    APR_OPTIONAL_HOOK(proxy, request_status, hook_request_status, NULL, NULL, APR_HOOK_MIDDLE);
    exchange_filter_handle =
        ap_register_output_filter("EAS_KCD_EXCHANGE", exchange_filter, NULL, AP_FTYPE_CONTENT_SET);
}
