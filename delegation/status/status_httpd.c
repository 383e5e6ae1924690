/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/status/status_httpd.c - SetHandler eas-kcd-status */

#include "delegation/status/status_httpd.h"
#include "auth/base/log_httpd.h"
#include "auth/shared/shared_httpd.h"
#include "delegation/status/act_httpd.h"
#include "delegation/status/admit.h"
#include "delegation/status/form_token.h"
#include "delegation/status/gather_httpd.h"
#include "delegation/status/html.h"
#include "delegation/status/json.h"
#include "delegation/status/line.h"
#include "delegation/status/prometheus.h"

#include <apr_optional_hooks.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mod_status.h>
#include <string.h>

#define HANDLER "eas-kcd-status"

/*
 * An administrator: a user without whom `Require` lets nobody in.  Where it lets in others, too, any
 * user of the mail system may have logged on.
 */
static bool is_administrator(request_rec *r)
{
    char *user = r->user;
    bool required;

    if (user == NULL || r->main != NULL || r->prev != NULL) {
        return false;
    }
    r->user = NULL;
    required = ap_some_authn_required(r);
    r->user = user;
    return required;
}

/* A proxy's address is not the client's. */
static bool came_through_proxy(const request_rec *r)
{
    static const char *const headers[] = { "X-Forwarded-For",
                                           "X-Forwarded-Host",
                                           "X-Forwarded-Proto",
                                           "X-Real-IP",
                                           "X-Client-IP",
                                           "Forwarded",
                                           "Via" };
    size_t i = 0;

    while (i < sizeof(headers) / sizeof(headers[0])
           && apr_table_get(r->headers_in, headers[i]) == NULL) {
        i++;
    }
    return i < sizeof(headers) / sizeof(headers[0]);
}

static int check_client(request_rec *r)
{
    struct eas_err err;

    if (eas_admit_is_private(r->useragent_ip) && !came_through_proxy(r)) {
        return OK;
    }
    eas_fail(&err, EAS_FORBIDDEN, 2200,
             "the status shows numbers only to an administrator, or to a client of a private "
             "network that asks without a proxy; let `Require user` or `Require group` decide");
    return eas_log_refuse(r, &err);
}

static void set_headers(request_rec *r, const char *csp)
{
    r->no_cache = 1; /* CacheStoreNoStore makes mod_cache ignore no-store */
    apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->err_headers_out, "Content-Security-Policy", csp);
    apr_table_setn(r->err_headers_out, "X-Frame-Options", "DENY");
    apr_table_setn(r->err_headers_out, "X-Content-Type-Options", "nosniff");
    apr_table_setn(r->err_headers_out, "Referrer-Policy", "no-referrer");
}

/* `?name`, or `?name=`, as Prometheus sends it. */
static bool wants(const request_rec *r, const char *name)
{
    size_t len = strlen(name);

    return r->args != NULL && strncmp(r->args, name, len) == 0
           && (r->args[len] == '\0' || r->args[len] == '=');
}

static int answer(request_rec *r, const struct eas_snapshot *snapshot)
{
    const char *csp = eas_html_csp(r->pool), *text;

    set_headers(r, csp != NULL ? csp : "default-src 'none'");
    if (wants(r, "prometheus")) {
        ap_set_content_type(r, EAS_PROMETHEUS_TYPE);
        text = eas_prometheus_write(r->pool, snapshot);
    }
    else if (wants(r, "json")) {
        ap_set_content_type(r, "application/json");
        text = eas_json_write(r->pool, snapshot);
    }
    else {
        ap_set_content_type(r, "text/html; charset=utf-8");
        text = eas_html_write(r->pool, snapshot);
    }
    ap_set_content_length(r, (apr_off_t)strlen(text));
    if (!r->header_only) {
        ap_rputs(text, r);
    }
    return OK;
}

static int show(request_rec *r, bool administrator, int status, const char *message)
{
    struct eas_snapshot snapshot = eas_gather(r);
    struct eas_err err;

    if (status != OK) {
        r->status = status;
    }
    if (!administrator) {
        eas_snapshot_redact(&snapshot);
        return answer(r, &snapshot);
    }
    if (eas_form_token_make(eas_shared_keyring(), r->pool, r->user, snapshot.now, &snapshot.token,
                            &err)
        != EAS_OK) {
        return eas_log_refuse(r, &err);
    }
    snapshot.user = r->user;
    snapshot.message = message;
    return answer(r, &snapshot);
}

static int hook_handler(request_rec *r)
{
    const char *message = NULL;
    bool administrator;
    int status;

    if (r->handler == NULL || strcmp(r->handler, HANDLER) != 0) {
        return DECLINED;
    }
    ap_allow_standard_methods(r, REPLACE_ALLOW, M_GET, M_POST, -1);
    if (r->method_number != M_GET && r->method_number != M_POST) {
        return HTTP_METHOD_NOT_ALLOWED;
    }
    administrator = is_administrator(r);
    status = administrator ? OK : check_client(r);
    if (status == OK && r->method_number == M_POST) {
        status = eas_act(r, administrator, &message);
    }
    if (status != OK && message == NULL) {
        return status;
    }
    return show(r, administrator, status, message);
}

static int hook_status(request_rec *r, int flags)
{
    struct eas_snapshot snapshot = eas_gather(r);

    ap_rputs(eas_line_write(r->pool, &snapshot, (flags & AP_STATUS_SHORT) != 0), r);
    return OK;
}

void eas_status_register_hooks(apr_pool_t *pool)
{
    (void)pool;
    /* An optional hook works without mod_status. */
    APR_OPTIONAL_HOOK(ap, status_hook, hook_status, NULL, NULL, APR_HOOK_MIDDLE);
    /* Before mod_proxy's, below `ProxyPass /`. */
    ap_hook_handler(hook_handler, NULL, NULL, APR_HOOK_REALLY_FIRST);
}
