/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/challenge_httpd.c - challenge: login form, Basic (RFC 7617), Negotiate, or neither */

#include "auth/login/challenge_httpd.h"
#include "auth/config_httpd.h"
#include "auth/login/csrf_httpd.h"
#include "auth/login/destination.h"
#include "auth/login/login_httpd.h"
#include "auth/login/negotiate_httpd.h"
#include "auth/request_httpd.h"

#include <ap_expr.h>
#include <apr_escape.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>

/* The status of IIS and OWA for a script whose session has timed out. */
#define HTTP_LOGIN_TIMEOUT 440

#define EXCHANGE_PATHS "m#^/(Microsoft-Server-ActiveSync|Autodiscover|EWS|MAPI|RPC|OAB)(/|$)#i"

/*
 * The built-in rule of EasKcdFormFor.  It matches the navigation of a browser, by the criteria of the
 * web listener of ISA Server, outside of the paths of Exchange's clients.
 */
static const char eas_challenge_form_rule[] =
    "%{REQUEST_METHOD} in { 'GET', 'HEAD', 'POST' }"
    " && %{HTTP_ACCEPT} =~ m#text/html#i"
    " && %{HTTP_USER_AGENT} =~ /Mozilla|Opera/"
    " && -z %{HTTP:X-Requested-With}"
    " && ( -z %{HTTP:Sec-Fetch-Mode} || %{HTTP:Sec-Fetch-Mode} == 'navigate' )"
    " && %{REQUEST_URI} !~ " EXCHANGE_PATHS;

/* A script in a browser, which can show neither a form nor a password dialog. */
static const char script_rule[] =
    "( -n %{HTTP:X-Requested-With}"
    " || ( -n %{HTTP:Sec-Fetch-Mode} && %{HTTP:Sec-Fetch-Mode} != 'navigate' ) )"
    " && %{REQUEST_URI} !~ " EXCHANGE_PATHS;

/* An invalid session cookie shows that the client is a browser; its other headers do not matter. */
static const char not_exchange_rule[] = "%{REQUEST_URI} !~ " EXCHANGE_PATHS;

/* Written in check_config. */
struct eas_challenge_rules {
    const ap_expr_info_t *form;
    const ap_expr_info_t *script;
    const ap_expr_info_t *not_exchange;
};

const char *eas_challenge_compile(apr_pool_t *pconf, apr_pool_t *ptemp)
{
    struct eas_challenge_rules *rules = apr_pcalloc(pconf, sizeof(*rules));
    const struct {
        const char *text;
        const ap_expr_info_t **out;
    } all[] = { { eas_challenge_form_rule, &rules->form },
                { script_rule, &rules->script },
                { not_exchange_rule, &rules->not_exchange } };
    apr_size_t i;

    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        ap_expr_info_t *info = apr_pcalloc(pconf, sizeof(*info));
        const char *error;

        info->module_index = APLOG_MODULE_INDEX;
        error = ap_expr_parse(pconf, ptemp, info, all[i].text, NULL);
        if (error != NULL) {
            return error;
        }
        *all[i].out = info;
    }
    eas_module_process()->challenge = rules;
    return NULL;
}

/* An expression that fails does not match; the client then gets Basic, which every client knows. */
static bool matches(request_rec *r, const ap_expr_info_t *rule)
{
    const char *error = NULL;

    return ap_expr_exec(r, rule, &error) > 0 && error == NULL;
}

bool eas_challenge_has_form(request_rec *r)
{
    const struct eas_auth_dir *conf = eas_auth_dir_of(r->per_dir_config);

    return matches(r,
                   conf->form_for != NULL ? conf->form_for : eas_module_process()->challenge->form);
}

static int hook_note_auth_failure(request_rec *r, const char *type)
{
    const char *realm = ap_auth_name(r);

    if (ap_cstr_casecmp(type, "EasKcd") != 0) {
        return DECLINED;
    }
    if (realm == NULL) {
        realm = r->server->server_hostname;
    }
    apr_table_unset(r->err_headers_out, "WWW-Authenticate");
    if (eas_negotiate_is_offered(r)) {
        apr_table_addn(r->err_headers_out, "WWW-Authenticate", "Negotiate");
    }
    apr_table_addn(r->err_headers_out, "WWW-Authenticate",
                   apr_pstrcat(r->pool, "Basic realm=\"", ap_escape_quotes(r->pool, realm),
                               "\", charset=\"UTF-8\"", NULL));
    return OK;
}

static int challenge_basic(request_rec *r)
{
    ap_note_auth_failure(r);
    return HTTP_UNAUTHORIZED;
}

static int challenge_script(request_rec *r)
{
    /* httpd has no text for 440, and would send that of 500 in status line and page. */
    r->status_line = "440 Login Time-out";
    ap_custom_response(r, HTTP_LOGIN_TIMEOUT, "The session has ended.\n");
    apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
    return HTTP_LOGIN_TIMEOUT;
}

/*
 * After a POST, the URL expects a form that the browser will not send again.  The page of that form
 * can be loaded again, or else the directory.
 */
static const char *safe_destination(request_rec *r, const request_rec *initial)
{
    const char *referer = apr_table_get(r->headers_in, "Referer"), *path = NULL;
    const char *end = initial->unparsed_uri + strcspn(initial->unparsed_uri, "?");

    if (referer != NULL) {
        path = eas_csrf_own_path(r, referer);
    }
    if (path != NULL && eas_login_is_destination(r, path)) {
        return path;
    }
    while (end > initial->unparsed_uri && end[-1] != '/') {
        end--;
    }
    return apr_pstrmemdup(r->pool, initial->unparsed_uri,
                          (apr_size_t)(end - initial->unparsed_uri));
}

/* The URL of the browser, not that of an internal redirect. */
static const request_rec *initial_of(const request_rec *r)
{
    while (r->prev != NULL) {
        r = r->prev;
    }
    return r;
}

const char *eas_challenge_destination(request_rec *r)
{
    const request_rec *initial = initial_of(r);

    return initial->method_number == M_GET /* also HEAD's */ ? initial->unparsed_uri
                                                             : safe_destination(r, initial);
}

static const char *form_for(request_rec *r, enum eas_page_reason reason)
{
    return eas_login_location(r,
                              initial_of(r)->method_number == M_GET ? reason : EAS_PAGE_NOT_TAKEN,
                              eas_challenge_destination(r));
}

static int challenge_form(request_rec *r, const char *form)
{
    apr_table_setn(r->headers_out, "Location", form);
    apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
    return HTTP_MOVED_TEMPORARILY;
}

/*
 * A browser that has a ticket sends the request again, and shows no page.  Any other browser shows
 * this one, and goes on to the form.
 */
static int challenge_negotiate(request_rec *r, const char *form)
{
    const char *link = ap_escape_html(r->pool, form);

    apr_table_setn(r->err_headers_out, "WWW-Authenticate", "Negotiate");
    apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
    ap_custom_response(r, HTTP_UNAUTHORIZED,
                       apr_pstrcat(r->pool,
                                   "<!DOCTYPE html>\n<html lang=\"en\"><head>"
                                   "<meta http-equiv=\"refresh\" content=\"0; url=",
                                   link, "\"><title>Sign in</title></head><body><p><a href=\"",
                                   link, "\">Sign in</a></p></body></html>\n", NULL));
    return HTTP_UNAUTHORIZED;
}

/* A browser sends a ticket with each request for which it is asked, also with those of scripts. */
static int challenge_script_by_negotiate(request_rec *r)
{
    apr_table_setn(r->err_headers_out, "WWW-Authenticate", "Negotiate");
    apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
    return HTTP_UNAUTHORIZED;
}

int eas_challenge(request_rec *r, enum eas_page_reason reason, bool had_session)
{
    const struct eas_auth_dir *conf = eas_auth_dir_of(r->per_dir_config);
    const struct eas_challenge_rules *rules = eas_module_process()->challenge;
    /* The user of an ended session has logged on by the form before. */
    bool negotiate = !had_session && eas_negotiate_is_offered(r);

    if (eas_auth_challenge(conf) == EAS_CHALLENGE_BASIC) {
        return challenge_basic(r);
    }
    if (eas_challenge_has_form(r)) {
        return (negotiate ? challenge_negotiate : challenge_form)(r, form_for(r, reason));
    }
    if (eas_auth_challenge(conf) == EAS_CHALLENGE_FORM) {
        return HTTP_FORBIDDEN;
    }
    if (matches(r, rules->script) || (had_session && matches(r, rules->not_exchange))) {
        return negotiate ? challenge_script_by_negotiate(r) : challenge_script(r);
    }
    return challenge_basic(r);
}

void eas_challenge_register_hooks(apr_pool_t *pool)
{
    ap_hook_note_auth_failure(hook_note_auth_failure, NULL, NULL, APR_HOOK_MIDDLE);
}
