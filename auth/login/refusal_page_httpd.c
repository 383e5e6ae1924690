/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/refusal_page_httpd.c - pages of the module's own 403 and 503 */

#include "auth/login/refusal_page_httpd.h"
#include "auth/base/log_httpd.h"
#include "auth/config_httpd.h"
#include "auth/login/challenge_httpd.h"
#include "auth/login/csrf_httpd.h"
#include "auth/login/login_httpd.h"
#include "auth/login/page_httpd.h"
#include "auth/login/session_httpd.h"

#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <http_ssl.h>
#include <mod_core.h>
#include <util_filter.h>

static ap_filter_rec_t *filter_handle;

/* The filter's context. */
struct refusal_page {
    struct eas_page page;
    const char *html;
};

/*
 * Also `ErrorDocument 403 default`, by which an administrator has httpd's own page: core does not
 * return it as a response.
 */
static bool has_other_page(request_rec *r)
{
    const core_dir_config *core = ap_get_core_module_config(r->per_dir_config);
    int index = ap_index_of_response(r->status);

    return ap_response_code_string(r, index) != NULL
           || (core->response_code_exprs != NULL
               && apr_hash_get(core->response_code_exprs, &index, sizeof(index)) != NULL);
}

static bool is_by_this_module(request_rec *r)
{
    const char *type = ap_auth_type(r);

    return type != NULL && ap_cstr_casecmp(type, "EasKcd") == 0;
}

static bool lacks_tls(request_rec *r)
{
    return eas_auth_requires_tls(eas_auth_dir_of(r->per_dir_config))
           && (is_by_this_module(r) || eas_login_handles(r)) && !ap_ssl_conn_is_ssl(r->connection);
}

/* For credentials that nobody verified, the text is that of the form, whoever the user is. */
static enum eas_page_reason reason_of(request_rec *r)
{
    if (r->status == HTTP_FORBIDDEN) {
        return lacks_tls(r) ? EAS_PAGE_NEEDS_TLS : EAS_PAGE_NOT_ALLOWED;
    }
    return r->user == NULL && apr_table_get(r->headers_in, "Authorization") != NULL
               ? EAS_PAGE_TRY_LATER
               : EAS_PAGE_UNAVAILABLE;
}

static const char *destination_of(request_rec *r)
{
    const char *destination = eas_challenge_destination(r);

    return eas_login_is_destination(r, destination) ? destination : "/";
}

static bool has_session(request_rec *r)
{
    struct eas_session_result session;
    struct eas_err err;

    return eas_session_of(r, &session, &err) == EAS_OK && session.state == EAS_SESSION_VALID;
}

/* A user of another module has no way to leave here. */
static void add_way_out(request_rec *r, struct eas_page *page)
{
    struct eas_err err;

    if (page->reason == EAS_PAGE_UNAVAILABLE || page->reason == EAS_PAGE_TRY_LATER) {
        page->action = destination_of(r);
    }
    else if (page->reason == EAS_PAGE_NOT_ALLOWED && is_by_this_module(r)) {
        page->action = eas_login_location(r, EAS_PAGE_NONE, destination_of(r));
        if (has_session(r) && eas_csrf_token(r, &page->token, &err) == EAS_OK) {
            page->logout_action = apr_pstrcat(
                r->pool, eas_auth_login_path(eas_auth_server_of(r->server)), "logout", NULL);
        }
    }
}

static bool wants_page(request_rec *r)
{
    return (r->status == HTTP_FORBIDDEN || r->status == HTTP_SERVICE_UNAVAILABLE)
           && eas_log_has_refused(r, r->status)
           && eas_auth_serves_login(eas_auth_server_of(r->server)) && !has_other_page(r)
           && eas_challenge_has_form(r);
}

/* Runs before httpd begins its own page; only err_headers_out outlives that. */
static void hook_insert_error_filter(request_rec *r)
{
    struct refusal_page *refusal;

    if (!wants_page(r)) {
        return;
    }
    refusal = apr_palloc(r->pool, sizeof(*refusal));
    refusal->page = eas_page_begin(r, reason_of(r));
    refusal->page.kind = EAS_PAGE_REFUSAL;
    refusal->page.username = refusal->page.reason == EAS_PAGE_NOT_ALLOWED ? r->user : NULL;
    add_way_out(r, &refusal->page);
    refusal->html = eas_page_render(r->pool, eas_auth_login_page(eas_auth_server_of(r->server)),
                                    &refusal->page);
    eas_page_set_headers(r);
    apr_table_mergen(r->err_headers_out, "Vary", "Accept-Language");
    ap_add_output_filter_handle(filter_handle, refusal, r, r->connection);
}

/* Discards httpd's page, and sends the module's at its end. */
static apr_status_t page_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    const struct refusal_page *refusal = f->ctx;
    bool at_end = !APR_BRIGADE_EMPTY(bb) && APR_BUCKET_IS_EOS(APR_BRIGADE_LAST(bb));

    apr_brigade_cleanup(bb);
    if (!at_end) {
        return APR_SUCCESS;
    }
    eas_page_set_type(f->r, &refusal->page);
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_pool_create(refusal->html, strlen(refusal->html),
                                                       f->r->pool, bb->bucket_alloc));
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(bb->bucket_alloc));
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, bb);
}

void eas_refusal_page_register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_insert_error_filter(hook_insert_error_filter, NULL, NULL, APR_HOOK_MIDDLE);
    filter_handle =
        ap_register_output_filter("EAS_KCD_REFUSAL_PAGE", page_filter, NULL, AP_FTYPE_RESOURCE);
}
