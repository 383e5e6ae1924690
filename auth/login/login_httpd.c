/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/login_httpd.c - login form: page, log-on, sign-out */

#include "auth/login/login_httpd.h"
#include "auth/base/counters.h"
#include "auth/config_httpd.h"
#include "auth/login/cookie_httpd.h"
#include "auth/login/csrf_httpd.h"
#include "auth/login/destination.h"
#include "auth/login/form_httpd.h"
#include "auth/login/page_httpd.h"
#include "auth/login/session_httpd.h"
#include "auth/login/typed_httpd.h"
#include "auth/password/account_httpd.h"
#include "auth/password/provider_httpd.h"
#include "auth/request_httpd.h"

#include <apr_escape.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <http_ssl.h>
#include <string.h>
#include <util_script.h>

static const char *login_path(const request_rec *r)
{
    return eas_auth_login_path(eas_auth_server_of(r->server));
}

bool eas_login_is_destination(request_rec *r, const char *destination)
{
    return eas_destination_is_local(destination)
           && !eas_destination_is_below(destination, login_path(r));
}

static enum eas_rc check_destination(request_rec *r, const char *destination, struct eas_err *err)
{
    return eas_login_is_destination(r, destination)
               ? EAS_OK
               : eas_fail(err, EAS_MALFORMED, 1093, "the destination is not a path of this site");
}

static const char *location_of(request_rec *r, const char *page, enum eas_page_reason reason,
                               const char *destination)
{
    const char *location = apr_pstrcat(r->pool, login_path(r), page, NULL), *joint = "?";

    if (reason != EAS_PAGE_NONE) {
        location =
            apr_pstrcat(r->pool, location, joint, "reason=", eas_page_reason_name(reason), NULL);
        joint = "&";
    }
    if (eas_login_is_destination(r, destination)) {
        location = apr_pstrcat(r->pool, location, joint,
                               "destination=", apr_pescape_urlencoded(r->pool, destination), NULL);
    }
    return location;
}

const char *eas_login_location(request_rec *r, enum eas_page_reason reason, const char *destination)
{
    return location_of(r, "login", reason, destination);
}

const char *eas_login_change_location(request_rec *r, enum eas_page_reason reason,
                                      const char *destination)
{
    return location_of(r, EAS_PAGE_CHANGE_PATH, reason, destination);
}

enum eas_page_reason eas_login_reason(request_rec *r)
{
    static const enum eas_page_reason others[] = { EAS_PAGE_CHANGED, EAS_PAGE_EXPIRES };
    enum eas_page_reason reason;
    const char *name;
    apr_table_t *args;
    apr_size_t i;

    ap_args_to_table(r, &args);
    name = apr_table_get(args, "reason");
    for (reason = EAS_PAGE_WRONG; name != NULL && reason <= EAS_PAGE_TRY_LATER; reason++) {
        if (strcmp(eas_page_reason_name(reason), name) == 0) {
            return reason;
        }
    }
    for (i = 0; name != NULL && i < sizeof(others) / sizeof(others[0]); i++) {
        if (strcmp(eas_page_reason_name(others[i]), name) == 0) {
            return others[i];
        }
    }
    return EAS_PAGE_NONE;
}

bool eas_login_handles(request_rec *r)
{
    const char *path = login_path(r);

    return eas_auth_serves_login(eas_auth_server_of(r->server))
           && strncmp(r->uri, path, strlen(path)) == 0;
}

int eas_login_redirect(request_rec *r, const char *location)
{
    apr_table_setn(r->headers_out, "Location", location);
    return HTTP_SEE_OTHER;
}

static bool wants_everywhere(request_rec *r)
{
    apr_table_t *args;

    ap_args_to_table(r, &args);
    return apr_table_get(args, "everywhere") != NULL;
}

int eas_login_send(request_rec *r, int status, struct eas_page *page, const char *destination)
{
    const struct eas_template *template = eas_auth_login_page(eas_auth_server_of(r->server));
    const char *html;
    struct eas_err err;

    if (eas_csrf_token(r, &page->token, &err) != EAS_OK) {
        return eas_log_refuse(r, &err);
    }
    page->destination = eas_login_is_destination(r, destination) ? destination : "/";
    eas_typed_take(r, page);
    html = eas_page_render(r->pool, template, page);
    r->status = status;
    eas_page_set_type(r, page);
    apr_table_mergen(r->headers_out, "Vary", "Accept-Language");
    ap_set_content_length(r, (apr_off_t)strlen(html));
    if (!r->header_only) {
        ap_rputs(html, r);
    }
    return OK;
}

/* The caller has logged the error that the status stands for. */
static int send_page(request_rec *r, int status, enum eas_page_reason reason,
                     const char *destination)
{
    struct eas_page page = eas_page_begin(r, reason);

    page.action = apr_pstrcat(r->pool, login_path(r), "login", NULL);
    page.logout_action = apr_pstrcat(r->pool, login_path(r), "logout",
                                     wants_everywhere(r) ? "?everywhere=1" : NULL, NULL);
    page.limits = eas_auth_session_limits(eas_auth_server_of(r->server));
    return eas_login_send(r, status, &page, destination);
}

enum eas_rc eas_login_read_form(request_rec *r, struct eas_form **form_out, struct eas_err *err)
{
    enum eas_rc rc = eas_form_read(r, form_out, err);

    if (rc == EAS_OK && (*form_out)->destination != NULL) {
        rc = check_destination(r, (*form_out)->destination, err);
    }
    return rc == EAS_OK ? eas_csrf_check(r, (*form_out)->token, err) : rc;
}

/*
 * A new log-on ends the old session of the browser, so that no copy of its cookie stays valid.
 * *others_out: the session was another user's, or unreadable.
 */
static enum eas_rc end_old_session(request_rec *r, const char *principal, bool *others_out,
                                   struct eas_err *err)
{
    struct eas_session_result old;
    bool ended;
    enum eas_rc rc = eas_session_of(r, &old, err);

    *others_out = old.state != EAS_SESSION_NONE
                  && (old.session == NULL || strcmp(old.session->principal, principal) != 0);
    return rc == EAS_OK ? eas_session_end(r, &old, false, &ended, err) : rc;
}

static int refuse_with_page(request_rec *r, const struct eas_err *err, enum eas_page_reason reason,
                            const char *destination)
{
    int status = eas_log_refuse(r, err);

    return send_page(r, status, status == HTTP_SERVICE_UNAVAILABLE ? EAS_PAGE_TRY_LATER : reason,
                     destination);
}

int eas_login_refuse_form(request_rec *r, const struct eas_err *err)
{
    return refuse_with_page(
        r, err, eas_csrf_site_of(r) == EAS_CSRF_OTHER ? EAS_PAGE_BAD_ORIGIN : EAS_PAGE_BAD_REQUEST,
        NULL);
}

/* Where a user with the right, but expired password is led. */
static const char *expired_location(request_rec *r, const char *destination)
{
    const struct eas_auth_server *conf = eas_auth_server_of(r->server);

    return conf->password_expired != NULL ? conf->password_expired
           : eas_auth_serves_change(conf)
               ? eas_login_change_location(r, EAS_PAGE_EXPIRED_PASSWORD, destination)
               : eas_login_location(r, EAS_PAGE_EXPIRED_PASSWORD, destination);
}

/* The page has one text for every wrong user name or password; the log has the cause. */
static int log_on_failed(request_rec *r, const struct eas_err *err, bool was_read,
                         const struct eas_form *form)
{
    const char *destination = form != NULL ? form->destination : NULL;

    if (err->rc != EAS_DENIED && err->rc != EAS_UNKNOWN && err->rc != EAS_EXPIRED) {
        return refuse_with_page(r, err,
                                was_read                                ? EAS_PAGE_FORBIDDEN
                                : eas_csrf_site_of(r) == EAS_CSRF_OTHER ? EAS_PAGE_BAD_ORIGIN
                                                                        : EAS_PAGE_BAD_REQUEST,
                                destination);
    }
    eas_log_error(r, err);
    eas_typed_keep(r, form);
    return eas_login_redirect(r, err->rc == EAS_EXPIRED
                                     ? expired_location(r, destination)
                                     : eas_login_location(r, EAS_PAGE_WRONG, destination));
}

static void show_log_on(request_rec *r, const char *principal)
{
    apr_table_setn(r->subprocess_env, "EAS_KCD_AUTH", "form");
    apr_table_setn(r->subprocess_env, "EAS_KCD_USER", principal);
}

/* The new session's cookie would not survive Clear-Site-Data, so the user logs on once more. */
static int change_user(request_rec *r, const char *principal, const char *destination)
{
    show_log_on(r, principal);
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                  "EAS1097: %s logged on in a browser with the session of another user, or an "
                  "unreadable one; it has ended, and the browser deletes the site's cookies",
                  principal);
    eas_cookie_clear(r);
    return eas_login_redirect(r, eas_login_location(r, EAS_PAGE_OTHER_SESSION, destination));
}

/* Where a user goes after the log-on: by way of the warning of an expiring password. */
static const char *way_in(request_rec *r, const struct eas_identity *identity,
                          const char *destination)
{
    const struct eas_auth_server *conf = eas_auth_server_of(r->server);
    int days = eas_account_password_days(r, identity);
    bool warns = eas_auth_serves_change(conf) && days >= 0
                 && apr_time_from_sec((apr_time_t)days * 86400) < eas_auth_password_warn(conf);

    return warns                 ? eas_login_change_location(r, EAS_PAGE_EXPIRES, destination)
           : destination != NULL ? destination
                                 : "/";
}

int eas_login_enter(request_rec *r, const struct eas_identity *identity,
                    const struct eas_form *form)
{
    struct eas_err err;
    bool others_session = false;
    enum eas_rc rc = end_old_session(r, identity->principal, &others_session, &err);

    if (rc == EAS_OK && others_session) {
        return change_user(r, identity->principal, form->destination);
    }
    if (rc == EAS_OK) {
        rc = eas_session_start(r, identity, form->trusted, &err);
    }
    if (rc != EAS_OK) {
        return log_on_failed(r, &err, true, form);
    }
    eas_counters_add(EAS_COUNTER_SESSION_BEGUN);
    show_log_on(r, identity->principal);
    eas_session_show_trust(r, form->trusted);
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "EAS1094: %s logged on", identity->principal);
    return eas_login_redirect(r, way_in(r, identity, form->destination));
}

static int log_on(request_rec *r)
{
    const struct eas_identity *identity;
    struct eas_credentials credentials;
    struct eas_form *form = NULL;
    struct eas_err err;
    enum eas_rc rc = eas_login_read_form(r, &form, &err);
    bool was_read = rc == EAS_OK;

    if (rc == EAS_OK) {
        credentials.name = form->username;
        credentials.name_len = form->username_len;
        credentials.password = form->password;
        rc = eas_provider_verify(r, &credentials, &identity, &err);
        eas_counters_log_on(EAS_COUNTERS_BY_FORM, rc);
    }
    return rc == EAS_OK ? eas_login_enter(r, identity, form)
                        : log_on_failed(r, &err, was_read, form);
}

/* The same rules hold for the query string as for the form: no duplicates, no NUL. */
static enum eas_rc read_args(request_rec *r, const char **destination, struct eas_err *err)
{
    struct eas_form *form = NULL;
    enum eas_rc rc = EAS_OK;

    if (r->args != NULL) {
        rc = eas_form_parse(r->pool, "application/x-www-form-urlencoded", r->args, strlen(r->args),
                            &form, err);
    }
    if (rc == EAS_DENIED) {
        rc = EAS_OK; /* a query string needs no user name and no password */
    }
    if (rc == EAS_OK && form != NULL && form->destination != NULL) {
        *destination = form->destination;
        rc = check_destination(r, form->destination, err);
    }
    return rc;
}

static int show_form(request_rec *r)
{
    const char *destination = NULL;
    struct eas_err err;

    if (read_args(r, &destination, &err) != EAS_OK) {
        return refuse_with_page(r, &err, EAS_PAGE_BAD_REQUEST, NULL);
    }
    return send_page(r, HTTP_OK, eas_login_reason(r), destination);
}

/* The sign-out page has a token, which tells where the browser hides its origin. */
static bool is_sign_out_of_this_site(request_rec *r)
{
    enum eas_csrf_site site = eas_csrf_site_of(r);
    struct eas_form *form = NULL;
    struct eas_err err;

    if (site == EAS_CSRF_HIDDEN && r->method_number == M_POST) {
        eas_login_read_form(r, &form, &err);
        return form != NULL && eas_csrf_check(r, form->token, &err) == EAS_OK;
    }
    ap_discard_request_body(r);
    return site == EAS_CSRF_OWN;
}

/* The page leads back to that of the link, if it is one of this site. */
static int ask_to_sign_out(request_rec *r)
{
    const char *referer = apr_table_get(r->headers_in, "Referer");

    return send_page(r, HTTP_OK, EAS_PAGE_CONFIRM_LOGOUT,
                     referer != NULL ? eas_csrf_own_path(r, referer) : NULL);
}

static int sign_out(request_rec *r)
{
    struct eas_session_result found;
    struct eas_err err;
    enum eas_rc rc;
    bool ended;

    if (!is_sign_out_of_this_site(r)) {
        return ask_to_sign_out(r);
    }
    rc = eas_session_of(r, &found, &err);
    /* A link or a redirect may lead here against the user's will, also from the same site. */
    if (rc == EAS_OK && r->method_number != M_POST && found.session != NULL) {
        return ask_to_sign_out(r);
    }
    /* An expired session, too: where delegation needs no evidence it may still be valid. */
    if (rc == EAS_OK) {
        rc = eas_session_end(r, &found, wants_everywhere(r), &ended, &err);
        if (rc == EAS_OK && ended) {
            eas_counters_add(EAS_COUNTER_SESSION_SIGNED_OUT);
            eas_request_of(r)->events |= EAS_REQUEST_SIGN_OUT;
            eas_request_of(r)->account = found.session->principal;
            ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "EAS1095: %s signed out",
                          found.session->principal);
        }
    }
    if (rc != EAS_OK) {
        return refuse_with_page(r, &err, EAS_PAGE_BAD_REQUEST, NULL);
    }
    eas_cookie_clear(r);
    return eas_login_redirect(r, eas_login_location(r, EAS_PAGE_SIGNED_OUT, NULL));
}

static int check_tls(request_rec *r)
{
    struct eas_err err;

    if (eas_auth_requires_tls(eas_auth_dir_of(r->per_dir_config))
        && !ap_ssl_conn_is_ssl(r->connection)) {
        eas_fail(
            &err, EAS_FORBIDDEN, 1096,
            "the log-on came over plain HTTP; use https, or EasKcdRequireTLS Off where TLS ends "
            "before httpd");
        return eas_log_refuse(r, &err);
    }
    return OK;
}

int eas_login_begin(request_rec *r)
{
    int status;

    eas_page_set_headers(r);
    status = check_tls(r);
    if (status == OK) {
        ap_allow_standard_methods(r, REPLACE_ALLOW, M_GET, M_POST, -1);
        status =
            r->method_number == M_GET || r->method_number == M_POST ? OK : HTTP_METHOD_NOT_ALLOWED;
    }
    return status;
}

static int hook_handler(request_rec *r)
{
    const char *rest;
    int status;

    if (!eas_login_handles(r)) {
        return DECLINED;
    }
    status = eas_login_begin(r);
    if (status != OK) {
        return status;
    }
    rest = r->uri + strlen(login_path(r));
    if (strcmp(rest, "login") == 0) {
        return r->method_number == M_POST ? log_on(r) : show_form(r);
    }
    if (strcmp(rest, "logout") == 0) {
        return sign_out(r);
    }
    return strcmp(rest, EAS_PAGE_LOGO) == 0 && r->method_number == M_GET ? eas_page_send_logo(r)
                                                                         : HTTP_NOT_FOUND;
}

/* Before mod_proxy translates the path, or matches an encoded path, below `ProxyPass /`. */
static int hook_translate_name(request_rec *r)
{
    if (!eas_login_handles(r)) {
        return DECLINED;
    }
    r->filename = apr_pstrcat(r->pool, "eas-kcd:", r->uri, NULL);
    return OK;
}

/* The filename is no path of a file. */
static int hook_map_to_storage(request_rec *r)
{
    return eas_login_handles(r) ? OK : DECLINED;
}

void eas_login_register_hooks(apr_pool_t *pool)
{
    ap_hook_pre_translate_name(hook_translate_name, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_translate_name(hook_translate_name, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_map_to_storage(hook_map_to_storage, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_handler(hook_handler, NULL, NULL, APR_HOOK_REALLY_FIRST);
}
