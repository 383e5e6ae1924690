/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/status/act_httpd.c - an administrator's acts: sign a user out, unlock one */

#include "delegation/status/act_httpd.h"
#include "auth/base/counters.h"
#include "auth/base/log_httpd.h"
#include "auth/base/notes.h"
#include "auth/config_httpd.h"
#include "auth/login/csrf_httpd.h"
#include "auth/login/session_httpd.h"
#include "auth/password/throttle_httpd.h"
#include "auth/shared/shared_httpd.h"
#include "delegation/status/form_token.h"

#include <apr_strings.h>
#include <http_core.h>
#include <http_main.h>
#include <http_protocol.h>

#define FORM_MAX 4096
#define FIELDS_MAX 8

struct form {
    const char *token;
    const char *sign_out; /* one of these two, not empty */
    const char *unlock;
};

/* NULL if the value has a NUL. */
static const char *value_of(request_rec *r, const ap_form_pair_t *pair)
{
    apr_off_t len;
    apr_size_t size;
    char *value;

    if (apr_brigade_length(pair->value, 1, &len) != APR_SUCCESS) {
        return NULL;
    }
    size = (apr_size_t)len;
    value = apr_palloc(r->pool, size + 1);
    apr_brigade_flatten(pair->value, value, &size);
    value[size] = '\0';
    return strlen(value) == size ? value : NULL;
}

/* False for a field that is there twice, or is unreadable. */
static bool take_field(request_rec *r, const ap_form_pair_t *pair, struct form *form)
{
    const char **field = strcmp(pair->name, "token") == 0     ? &form->token
                         : strcmp(pair->name, "signout") == 0 ? &form->sign_out
                         : strcmp(pair->name, "unlock") == 0  ? &form->unlock
                                                              : NULL;

    if (field == NULL) {
        return true;
    }
    if (*field != NULL) {
        return false;
    }
    *field = value_of(r, pair);
    return *field != NULL;
}

static bool is_set(const char *text)
{
    return text != NULL && *text != '\0';
}

/* With the realm as virtual hosts have it, since that of a session is the same; NULL: none has. */
static const char *with_our_realm(request_rec *r, const char *user)
{
    const char *at = strrchr(user, '@'), *realm = NULL;
    const server_rec *s;

    for (s = ap_server_conf; at != NULL && s != NULL && realm == NULL; s = s->next) {
        const struct eas_authority *authority = eas_auth_server_of(s)->authority;

        realm = authority != NULL ? eas_identity_realm(&authority->realms, at + 1) : NULL;
    }
    return realm != NULL ? apr_psprintf(r->pool, "%.*s@%s", (int)(at - user), user, realm) : NULL;
}

static enum eas_rc read_form(request_rec *r, struct form *form, struct eas_err *err)
{
    apr_array_header_t *pairs = NULL;
    bool good = ap_parse_form_data(r, NULL, &pairs, FIELDS_MAX, FORM_MAX) == OK;
    int i;

    memset(form, 0, sizeof(*form));
    for (i = 0; good && pairs != NULL && i < pairs->nelts; i++) {
        good = take_field(r, &APR_ARRAY_IDX(pairs, i, ap_form_pair_t), form);
    }
    good = good && is_set(form->sign_out) != is_set(form->unlock);
    /* No session has a name without a realm of ours: an administrator must not believe one ended. */
    if (good && is_set(form->sign_out)) {
        form->sign_out = with_our_realm(r, form->sign_out);
        good = form->sign_out != NULL;
    }
    return good ? EAS_OK
                : eas_fail(err, EAS_MALFORMED, 2203,
                           "the form must have either signout=USER@REALM, with a realm of the "
                           "configuration, or unlock=USER");
}

static enum eas_rc check_form(request_rec *r, const struct form *form, struct eas_err *err)
{
    const char *token = eas_csrf_site_of(r) == EAS_CSRF_OTHER ? NULL : form->token;

    return eas_form_token_check(eas_shared_keyring(), r->pool, r->user, apr_time_now(), token, err);
}

static int sign_out(request_rec *r, const char *user, const char **message_out)
{
    struct eas_err err;

    if (eas_session_end_user(r, user, &err) != EAS_OK) {
        return eas_log_refuse(r, &err);
    }
    eas_counters_add(EAS_COUNTER_SESSION_SIGNED_OUT);
    eas_request_of(r)->events |= EAS_REQUEST_SIGN_OUT;
    eas_request_of(r)->account = user;
    ap_log_rerror(APLOG_MARK, APLOG_NOTICE, 0, r, "EAS2204: %s ended all sessions of %s", r->user,
                  user);
    *message_out = apr_psprintf(r->pool, "All sessions of %s have ended.", user);
    return OK;
}

static int unlock(request_rec *r, const char *user, const char **message_out)
{
    apr_time_t now = apr_time_now();
    struct eas_notes_throttled note;

    if (!eas_notes_find(user, now, &note)
        || !eas_lockout_forgive(eas_throttle()->lockout_records, note.key, now)) {
        *message_out = apr_psprintf(r->pool, "%s is not locked here.", user);
        return HTTP_NOT_FOUND;
    }
    eas_notes_drop(user);
    eas_request_of(r)->events |= EAS_REQUEST_UNLOCK;
    eas_request_of(r)->account = apr_pstrdup(r->pool, note.user);
    ap_log_rerror(APLOG_MARK, APLOG_NOTICE, 0, r, "EAS2205: %s ended the lockout of %s", r->user,
                  note.user);
    *message_out = apr_psprintf(r->pool, "The lockout of %s has ended.", note.user);
    return OK;
}

int eas_act(request_rec *r, bool administrator, const char **message_out)
{
    struct eas_err err;
    struct form form;
    enum eas_rc rc;

    if (!administrator) {
        eas_fail(&err, EAS_FORBIDDEN, 2201,
                 "only an administrator may sign users out and unlock them; let `Require user` or "
                 "`Require group` alone decide about the client");
        return eas_log_refuse(r, &err);
    }
    rc = read_form(r, &form, &err);
    if (rc == EAS_OK) {
        rc = check_form(r, &form, &err);
    }
    if (rc != EAS_OK) {
        return eas_log_refuse(r, &err);
    }
    return is_set(form.sign_out) ? sign_out(r, form.sign_out, message_out)
                                 : unlock(r, form.unlock, message_out);
}
