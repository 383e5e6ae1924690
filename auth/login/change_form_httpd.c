/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/change_form_httpd.c - form for a new password, below EasKcdLoginPath */

#include "auth/login/change_form_httpd.h"
#include "auth/base/counters.h"
#include "auth/config_httpd.h"
#include "auth/login/login_httpd.h"
#include "auth/login/page_httpd.h"
#include "auth/login/session_httpd.h"
#include "auth/login/typed_httpd.h"
#include "auth/password/account_httpd.h"
#include "auth/password/provider_httpd.h"
#include "auth/request_httpd.h"

#include <apr_strings.h>
#include <http_config.h>
#include <http_protocol.h>
#include <openssl/crypto.h>
#include <string.h>

static int send_form(request_rec *r, int status, enum eas_page_reason reason,
                     const struct eas_form *form, const char *detail)
{
    struct eas_page page = eas_page_begin(r, reason);

    page.kind = EAS_PAGE_CHANGE;
    page.action = apr_pstrcat(r->pool, eas_auth_login_path(eas_auth_server_of(r->server)),
                              EAS_PAGE_CHANGE_PATH, NULL);
    page.username = form->username;
    page.trusted = form->trusted;
    page.detail = detail;
    return eas_login_send(r, status, &page, form->destination);
}

/* Of a user with a session, the name is known, and when the password expires. */
static int send_form_of_session(request_rec *r, const struct eas_session_result *found,
                                const char *destination)
{
    struct eas_page page = eas_page_begin(r, eas_login_reason(r));
    int days = eas_account_password_days(r, found->identity);

    page.kind = EAS_PAGE_CHANGE;
    page.action = apr_pstrcat(r->pool, eas_auth_login_path(eas_auth_server_of(r->server)),
                              EAS_PAGE_CHANGE_PATH, NULL);
    page.username = found->session->principal;
    page.trusted = found->session->is_private;
    page.days = days;
    if (page.reason == EAS_PAGE_EXPIRES && days < 0) {
        page.reason = EAS_PAGE_NONE;
    }
    return eas_login_send(r, HTTP_OK, &page, destination);
}

static int show_form(request_rec *r)
{
    struct eas_form *form = apr_pcalloc(r->pool, sizeof(*form));
    enum eas_page_reason reason = eas_login_reason(r);
    struct eas_session_result found;
    struct eas_err err;

    /* A query string has no password; what else is wrong with it counts as no destination. */
    if (r->args != NULL) {
        eas_form_parse(r->pool, "application/x-www-form-urlencoded", r->args, strlen(r->args),
                       &form, &err);
    }
    form->username = NULL;
    if (reason != EAS_PAGE_EXPIRED_PASSWORD && eas_session_of(r, &found, &err) == EAS_OK
        && found.state == EAS_SESSION_VALID) {
        return send_form_of_session(r, &found, form->destination);
    }
    if (reason != EAS_PAGE_WRONG && reason != EAS_PAGE_EXPIRED_PASSWORD) {
        reason = EAS_PAGE_NONE;
    }
    return send_form(r, HTTP_OK, reason, form, NULL);
}

static bool is_same(const struct eas_secret *a, const struct eas_secret *b)
{
    return a != NULL && b != NULL && a->len == b->len
           && CRYPTO_memcmp(a->bytes, b->bytes, a->len) == 0;
}

static int refuse(request_rec *r, const struct eas_err *err, const struct eas_form *form,
                  const struct eas_password_change *change)
{
    if (err->rc == EAS_DENIED && change->reason != NULL) {
        eas_log_error(r, err);
        return send_form(r, HTTP_UNPROCESSABLE_ENTITY, EAS_PAGE_NOT_ACCEPTED, form, change->reason);
    }
    if (err->rc == EAS_DENIED || err->rc == EAS_UNKNOWN || err->rc == EAS_EXPIRED) {
        eas_log_error(r, err);
        eas_typed_keep(r, form);
        return eas_login_redirect(r,
                                  eas_login_change_location(r, EAS_PAGE_WRONG, form->destination));
    }
    return send_form(r, eas_log_refuse(r, err),
                     err->rc == EAS_FORBIDDEN ? EAS_PAGE_NOT_ALLOWED : EAS_PAGE_TRY_LATER, form,
                     NULL);
}

/* The sessions of the user end, also that of the browser; a thief's must not outlive the change. */
static bool end_sessions(request_rec *r, const char *principal)
{
    struct eas_err err;
    bool ended = eas_session_end_user(r, principal, &err) == EAS_OK;

    if (!ended) {
        eas_log_error(r, &err);
    }
    return ended;
}

static void note_change(request_rec *r, const char *principal, bool ended)
{
    eas_request_of(r)->events |= EAS_REQUEST_CHANGE;
    eas_request_of(r)->changed = principal;
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                  "EAS1330: %s changed the password; the sessions of the user %s", principal,
                  ended ? "have ended" : "may have ended at this gateway alone");
}

/* A domain controller that does not know the new password yet refuses it, which leaves no trace. */
static int log_on_anew(request_rec *r, const struct eas_form *form)
{
    const struct eas_credentials credentials = { form->username, form->username_len,
                                                 form->new_password };
    const struct eas_identity *identity;
    struct eas_err err;
    enum eas_rc rc = eas_provider_verify(r, &credentials, &identity, &err);

    eas_counters_log_on(EAS_COUNTERS_BY_FORM, rc);
    if (rc != EAS_OK) {
        eas_log_error(r, &err);
        return eas_login_redirect(r, eas_login_location(r, EAS_PAGE_CHANGED, form->destination));
    }
    return eas_login_enter(r, identity, form);
}

static int change_password(request_rec *r)
{
    struct eas_password_change change = { NULL, NULL };
    struct eas_form *form = NULL;
    struct eas_err err;
    bool ended = false;
    enum eas_rc rc = eas_login_read_form(r, &form, &err);

    if (rc == EAS_DENIED && form != NULL) {
        return refuse(r, &err, form, &change);
    }
    if (rc != EAS_OK) {
        return eas_login_refuse_form(r, &err);
    }
    if (!is_same(form->new_password, form->again)) {
        eas_fail(&err, EAS_DENIED, 1169, "the two new passwords are not the same, or empty");
        eas_log_error(r, &err);
        return send_form(r, HTTP_UNPROCESSABLE_ENTITY, EAS_PAGE_DIFFER, form, NULL);
    }
    eas_secret_wipe(form->again);
    rc = eas_provider_change(
        r, &(struct eas_credentials){ form->username, form->username_len, form->password },
        form->new_password, &change, &err);
    if (rc == EAS_OK || (change.principal != NULL && eas_password_may_have_changed(&err))) {
        ended = end_sessions(r, change.principal);
    }
    if (rc != EAS_OK) {
        eas_secret_wipe(form->new_password);
        return refuse(r, &err, form, &change);
    }
    note_change(r, change.principal, ended);
    return log_on_anew(r, form);
}

static int hook_handler(request_rec *r)
{
    const struct eas_auth_server *conf = eas_auth_server_of(r->server);
    int status;

    if (!eas_login_handles(r) || !eas_auth_serves_change(conf)
        || strcmp(r->uri + strlen(eas_auth_login_path(conf)), EAS_PAGE_CHANGE_PATH) != 0) {
        return DECLINED;
    }
    status = eas_login_begin(r);
    return status != OK ? status : r->method_number == M_POST ? change_password(r) : show_form(r);
}

void eas_change_form_register_hooks(apr_pool_t *pool)
{
    (void)pool;
    /* Before the handler of all that lies below the login path. */
    ap_hook_handler(hook_handler, NULL, NULL, APR_HOOK_REALLY_FIRST - 1);
}
