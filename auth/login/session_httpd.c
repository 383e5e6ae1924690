/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/session_httpd.c - the session that a request's cookie carries, and its beginning and end */

#include "auth/login/session_httpd.h"
#include "auth/config_httpd.h"
#include "auth/login/cookie.h"
#include "auth/login/cookie_httpd.h"
#include "auth/shared/shared_httpd.h"
#include "auth/kerberos/ticket.h"

#include <apr_strings.h>
#include <http_core.h>

/* How long the KDC's word that an account is good is believed.  README names it. */
#define ALIVE_FOR apr_time_from_sec(10 * 60)

/* How soon to ask again a KDC that could not say. */
#define ASK_AGAIN_AFTER apr_time_from_sec(60)

/* Cookies are bound to the virtual host by the name that other gateways give it too. */
static const char *binding_of(const request_rec *r)
{
    return r->server->server_hostname;
}

/* Signed out, here or everywhere? */
static enum eas_rc check_revoked(request_rec *r, const struct eas_session *session, bool *revoked,
                                 struct eas_err *err)
{
    struct eas_bytes value;
    apr_time_t not_before;
    enum eas_shared_answer one = eas_shared_get(
        r->pool, EAS_SHARED_REVOKED, eas_bytes_make(session->id, sizeof(session->id)), &value);
    enum eas_shared_answer all = one == EAS_SHARED_NONE
                                     ? eas_shared_get(r->pool, EAS_SHARED_NOT_BEFORE,
                                                      eas_bytes_of_text(session->principal), &value)
                                     : EAS_SHARED_NONE;

    if (one == EAS_SHARED_FAILED || all == EAS_SHARED_FAILED) {
        return eas_fail(err, EAS_UNAVAILABLE, 1071,
                        "the provider of EasKcdCache cannot say whether a session was signed out");
    }
    *revoked = one == EAS_SHARED_FOUND;
    if (all == EAS_SHARED_FOUND && value.len == sizeof(not_before)) {
        memcpy(&not_before, value.at, sizeof(not_before));
        *revoked = session->started <= not_before;
    }
    return EAS_OK;
}

/* The evidence ticket of a session, or NULL: in the password cache, then in the shared cache. */
static enum eas_rc find_evidence(request_rec *r, const struct eas_session *session,
                                 struct eas_ticket **out, struct eas_err *err)
{
    const struct eas_verifier *verifier = eas_auth_server_of(r->server)->verifier;
    const struct eas_bytes id = eas_bytes_make(session->id, sizeof(session->id));
    const struct eas_password_cache_key key = eas_password_cache_session_key(id);
    struct eas_identity *cached;
    struct eas_bytes value;
    enum eas_shared_answer answer;
    struct eas_ticket *ticket;

    *out = NULL;
    cached = verifier->cache != NULL
                 ? eas_password_cache_get(verifier->cache, &key, apr_time_now(), r->pool)
                 : NULL;
    if (cached != NULL) {
        *out = cached->evidence;
        return EAS_OK;
    }
    answer = eas_shared_get(r->pool, EAS_SHARED_EVIDENCE, id, &value);
    if (answer == EAS_SHARED_FAILED) {
        return eas_fail(err, EAS_UNAVAILABLE, 1072,
                        "the provider of EasKcdCache cannot give a session's evidence");
    }
    if (answer == EAS_SHARED_NONE) {
        return EAS_OK;
    }
    ticket = eas_ticket_unmarshal(value.at, value.len);
    if (ticket == NULL || eas_ticket_stale_at(ticket) <= apr_time_now()) {
        eas_ticket_unref(ticket);
        return EAS_OK;
    }
    eas_ticket_to_pool(ticket, r->pool);
    if (verifier->cache != NULL) {
        struct eas_identity identity = { session->principal, EAS_BY_SESSION, ticket, { 0 } };
        struct eas_password_version any = { NULL, 0 }; /* a new password ends no session */

        eas_password_cache_put(verifier->cache, &key, &identity, any, session->end);
    }
    *out = ticket;
    return EAS_OK;
}

/* An account that AD has disabled loses its sessions: the KDC is asked every ten minutes. */
static enum eas_rc check_account(request_rec *r, const struct eas_session *session,
                                 struct eas_err *err)
{
    const struct eas_auth_callbacks *back = eas_auth_callbacks();
    const struct eas_bytes principal = eas_bytes_of_text(session->principal);
    struct eas_bytes value;
    struct eas_err ignored;
    apr_interval_time_t before = eas_request_of(r)->kdc_waited, waited = before;
    enum eas_rc rc;

    if (!session->has_evidence
        || eas_shared_get(r->pool, EAS_SHARED_ALIVE, principal, &value) != EAS_SHARED_NONE) {
        return EAS_OK;
    }
    rc = back->check_account(r->server, r->pool, session->principal, &waited, err);
    eas_request_waited(r, waited - before);
    if (rc == EAS_FORBIDDEN) {
        return rc;
    }
    /* A KDC that cannot say ends nobody's session; it is asked again before long. */
    eas_shared_put(r->pool, EAS_SHARED_ALIVE, principal, eas_bytes_of_text(""),
                   apr_time_now() + (rc == EAS_OK ? ALIVE_FOR : ASK_AGAIN_AFTER), &ignored);
    return EAS_OK;
}

static const struct eas_identity *identity_of(request_rec *r, const struct eas_session *session,
                                              struct eas_ticket *evidence)
{
    struct eas_identity *identity = apr_pcalloc(r->pool, sizeof(*identity));
    const char *at = strrchr(session->principal, '@');

    identity->principal = session->principal;
    identity->authenticated_by = EAS_BY_OTHER;
    if (session->has_evidence && at != NULL) {
        identity->authenticated_by = EAS_BY_SESSION;
        identity->evidence = evidence;
        identity->login.user =
            apr_pstrmemdup(r->pool, session->principal, (apr_size_t)(at - session->principal));
        identity->login.realm = at + 1;
    }
    return identity;
}

/* A session whose cookie opened: is it still one? */
static enum eas_rc judge(request_rec *r, struct eas_session *session,
                         enum eas_session_state *state_out,
                         const struct eas_identity **identity_out, struct eas_err *err)
{
    struct eas_ticket *evidence = NULL;
    bool revoked = false;
    enum eas_rc rc = check_revoked(r, session, &revoked, err);

    if (rc != EAS_OK) {
        return rc;
    }
    *state_out = EAS_SESSION_DEAD;
    if (revoked) {
        return EAS_OK;
    }
    if (check_account(r, session, err) != EAS_OK) {
        eas_log_error(r, err);
        return EAS_OK;
    }
    if (session->has_evidence) {
        rc = find_evidence(r, session, &evidence, err);
        if (rc != EAS_OK) {
            return rc;
        }
        if (evidence == NULL && !eas_auth_callbacks()->acts_without_evidence(r)) {
            *state_out = EAS_SESSION_OVER;
            return EAS_OK;
        }
    }
    *state_out = EAS_SESSION_LIVE;
    *identity_out = identity_of(r, session, evidence);
    return EAS_OK;
}

enum eas_rc eas_session_of(request_rec *r, enum eas_session_state *state_out,
                           struct eas_session **session_out,
                           const struct eas_identity **identity_out, struct eas_err *err)
{
    const struct eas_auth_server *conf = eas_auth_server_of(r->server);
    const char *value = NULL;
    enum eas_cookie_count count = eas_cookie_find(r->pool, apr_table_get(r->headers_in, "Cookie"),
                                                  eas_cookie_name(r), &value);
    enum eas_rc rc;

    *session_out = NULL;
    *state_out = count == EAS_COOKIE_NONE ? EAS_SESSION_NONE : EAS_SESSION_DEAD;
    if (count != EAS_COOKIE_ONE) {
        return EAS_OK;
    }
    rc = eas_session_unseal(eas_shared_keyring(), r->pool, value, binding_of(r),
                            eas_auth_session_limits(conf), apr_time_now(), session_out, err);
    if (rc == EAS_OK) {
        return judge(r, *session_out, state_out, identity_out, err);
    }
    if (rc == EAS_EXPIRED) {
        *state_out = EAS_SESSION_OVER;
    }
    return rc == EAS_UNAVAILABLE ? rc : EAS_OK;
}

static enum eas_rc set_session_cookie(request_rec *r, const struct eas_session *session,
                                      struct eas_err *err)
{
    const char *value;
    enum eas_rc rc =
        eas_session_seal(eas_shared_keyring(), r->pool, session, binding_of(r), &value, err);

    if (rc == EAS_OK) {
        eas_cookie_add(r, eas_cookie_name(r), value);
    }
    return rc;
}

void eas_session_renew(request_rec *r, struct eas_session *session)
{
    const struct eas_session_limits *limits =
        eas_auth_session_limits(eas_auth_server_of(r->server));
    struct eas_err err;
    apr_time_t now = apr_time_now();

    if (apr_table_get(r->subprocess_env, "eas-kcd-no-renew") == NULL
        && eas_session_wants_renewal(session, limits, now)) {
        session->seen = now;
        if (set_session_cookie(r, session, &err) != EAS_OK) {
            eas_log_refuse(r, &err); /* logged; the old cookie is good for a while yet */
        }
    }
}

enum eas_rc eas_session_start(request_rec *r, const struct eas_identity *identity, bool is_private,
                              struct eas_err *err)
{
    const struct eas_session_limits *limits =
        eas_auth_session_limits(eas_auth_server_of(r->server));
    struct eas_session *session;
    const unsigned char *ticket;
    apr_size_t len;
    enum eas_rc rc;

    rc = eas_session_begin(r->pool, identity->principal, is_private, identity->evidence != NULL,
                           limits, apr_time_now(), &session, err);
    if (rc == EAS_OK && identity->evidence != NULL) {
        rc = eas_ticket_marshal(identity->evidence, r->pool, &ticket, &len, err);
        if (rc == EAS_OK) {
            rc = eas_shared_put(
                r->pool, EAS_SHARED_EVIDENCE, eas_bytes_make(session->id, sizeof(session->id)),
                eas_bytes_make(ticket, len), eas_ticket_end(identity->evidence), err);
        }
    }
    return rc == EAS_OK ? set_session_cookie(r, session, err) : rc;
}

enum eas_rc eas_session_end(request_rec *r, const struct eas_session *session, bool everywhere,
                            struct eas_err *err)
{
    apr_time_t now = apr_time_now();

    if (everywhere) {
        return eas_shared_put(r->pool, EAS_SHARED_NOT_BEFORE, eas_bytes_of_text(session->principal),
                              eas_bytes_make(&now, sizeof(now)),
                              now + eas_auth_server_of(r->server)->longest_session, err);
    }
    return eas_shared_put(r->pool, EAS_SHARED_REVOKED,
                          eas_bytes_make(session->id, sizeof(session->id)), eas_bytes_of_text(""),
                          session->started + eas_auth_server_of(r->server)->longest_session, err);
}
