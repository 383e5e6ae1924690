/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/session_httpd.c - session of a request: validation, start, renewal, end */

#include "auth/login/session_httpd.h"
#include "auth/config_httpd.h"
#include "auth/kerberos/service_tgt.h"
#include "auth/kerberos/ticket.h"
#include "auth/base/cookie.h"
#include "auth/login/cookie_httpd.h"
#include "auth/shared/shared_httpd.h"

#include <apr_strings.h>
#include <http_core.h>
#include <stdlib.h>
#include <string.h>

/* Time until the KDC is asked about a user again.  README states it. */
#define ALIVE_FOR apr_time_from_sec(10 * 60)

/* The same after a KDC gave no answer. */
#define RETRY_CHECK_AFTER apr_time_from_sec(60)

static const struct eas_session_callbacks *callbacks;

void eas_session_set_callbacks(const struct eas_session_callbacks *new_callbacks)
{
    callbacks = new_callbacks;
}

/* Some 12 000 cookies. */
#define MEMORY_BYTES ((apr_size_t)8 << 20)

void eas_session_child_init(apr_pool_t *pool)
{
    eas_module_process()->session = eas_session_memory_create(pool, MEMORY_BYTES);
}

/* The vhost is the ServerName, because other gateways share it. */
static struct eas_session_params params_of(const request_rec *r)
{
    struct eas_session_params params = {
        .keyring = eas_shared_keyring(),
        .vhost = r->server->server_hostname,
        .limits = eas_auth_session_limits(eas_auth_server_of(r->server)),
        .memory = eas_module_process()->session,
    };

    return params;
}

static enum eas_rc fail_unknown(struct eas_err *err)
{
    return eas_fail(err, EAS_UNAVAILABLE, 1071,
                    "the provider of EasKcdCache does not answer: it is unknown whether the "
                    "session was signed out; check the provider");
}

/* The shared records of a session. */
#define KINDS 4
static const enum eas_shared_kind kinds[KINDS] = { EAS_SHARED_REVOKED, EAS_SHARED_NOT_BEFORE,
                                                   EAS_SHARED_ALIVE, EAS_SHARED_EVIDENCE };

/* The user's records are named by the principal, the others by the session's id. */
static struct eas_shared_name plain_name_of(enum eas_shared_kind kind,
                                            const struct eas_session *session)
{
    bool is_users = kind == EAS_SHARED_NOT_BEFORE || kind == EAS_SHARED_ALIVE;
    struct eas_shared_name name = {
        .kind = kind,
        .id = is_users ? eas_bytes_of_text(session->principal)
                       : eas_bytes_make(session->id, sizeof(session->id)),
        .owner = is_users ? eas_bytes_make(NULL, 0) : eas_bytes_of_text(session->principal),
    };

    return name;
}

/* The digests of all names, which are computed once for a cookie; NULL if OpenSSL fails. */
static const unsigned char *digests_of(const struct eas_session *session)
{
    const unsigned char *known = eas_session_memory_names(session->memo, NULL);
    unsigned char *digests;
    apr_size_t i, size;

    if (known != NULL) {
        return known;
    }
    size = eas_shared_digests_size();
    digests = malloc(KINDS * size);
    for (i = 0; digests != NULL && i < KINDS; i++) {
        const struct eas_shared_name name = plain_name_of(kinds[i], session);

        if (!eas_shared_digest_names(&name, digests + i * size)) {
            free(digests);
            digests = NULL;
        }
    }
    return digests != NULL ? eas_session_memory_names(session->memo, digests) : NULL;
}

static struct eas_shared_name name_of(enum eas_shared_kind kind, const struct eas_session *session)
{
    struct eas_shared_name name = plain_name_of(kind, session);
    const unsigned char *digests = session->memo != NULL ? digests_of(session) : NULL;
    apr_size_t i;

    for (i = 0; digests != NULL && i < KINDS; i++) {
        if (kinds[i] == kind) {
            name.digests = digests + i * eas_shared_digests_size();
        }
    }
    return name;
}

/* When the user last signed out everywhere; 0: never. */
static enum eas_rc get_not_before(request_rec *r, const struct eas_session *session,
                                  apr_time_t *not_before, struct eas_err *err)
{
    const struct eas_shared_name name = name_of(EAS_SHARED_NOT_BEFORE, session);

    return eas_shared_get_latest(r->pool, &name, not_before) == EAS_SHARED_FAILED
               ? fail_unknown(err)
               : EAS_OK;
}

/* Revoked: signed out, or begun before its user signed out everywhere. */
static enum eas_rc check_revoked(request_rec *r, const struct eas_session *session, bool *revoked,
                                 struct eas_err *err)
{
    const struct eas_shared_name name = name_of(EAS_SHARED_REVOKED, session);
    struct eas_bytes value;
    apr_time_t not_before, ignored;
    enum eas_shared_answer one = eas_shared_get(r->pool, &name, &value, &ignored);
    enum eas_rc rc;

    *revoked = one == EAS_SHARED_FOUND;
    if (one != EAS_SHARED_NONE) {
        return one == EAS_SHARED_FOUND ? EAS_OK : fail_unknown(err);
    }
    rc = get_not_before(r, session, &not_before, err);
    if (rc == EAS_OK) {
        *revoked = session->started <= not_before;
    }
    return rc;
}

/*
 * A request finds the evidence in its process's own cache, so the shared record looks unused.  It
 * is moved on here, and put back if it was evicted: the next reload empties the other cache.
 */
static void keep_evidence(request_rec *r, const struct eas_shared_name *name,
                          const struct eas_ticket *evidence)
{
    const unsigned char *ticket;
    struct eas_err ignored;
    apr_size_t len;

    if (!eas_shared_keeps(r->pool, name)
        && eas_ticket_marshal(evidence, r->pool, &ticket, &len, &ignored) == EAS_OK) {
        eas_shared_refresh(r->pool, name, eas_bytes_make(ticket, len), eas_ticket_end(evidence));
    }
}

/* The evidence ticket of a session, or NULL: in the password cache, then in the shared cache. */
static enum eas_rc find_any_evidence(request_rec *r, const struct eas_session *session,
                                     struct eas_ticket **out, struct eas_err *err)
{
    const struct eas_verifier *verifier = eas_auth_server_of(r->server)->verifier;
    const struct eas_bytes id = eas_bytes_make(session->id, sizeof(session->id));
    const struct eas_password_cache_key key = eas_password_cache_session_key(id);
    const struct eas_shared_name name = name_of(EAS_SHARED_EVIDENCE, session);
    struct eas_identity *cached;
    struct eas_bytes value;
    enum eas_shared_answer answer;
    struct eas_ticket *ticket;
    apr_time_t ignored;

    *out = NULL;
    cached = verifier->cache != NULL
                 ? eas_password_cache_get(verifier->cache, &key, apr_time_now(), r->pool)
                 : NULL;
    if (cached != NULL) {
        *out = cached->evidence;
        keep_evidence(r, &name, *out);
        return EAS_OK;
    }
    answer = eas_shared_get(r->pool, &name, &value, &ignored);
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

/* Evidence of which the KDC has forgotten the key is none. */
static enum eas_rc find_evidence(request_rec *r, const struct eas_session *session,
                                 struct eas_ticket **out, struct eas_err *err)
{
    const struct eas_authority *authority = eas_auth_server_of(r->server)->authority;
    enum eas_rc rc = find_any_evidence(r, session, out, err);

    if (rc == EAS_OK && *out != NULL && authority != NULL
        && eas_service_tgt_is_void(authority->service_tgt, *out)) {
        *out = NULL;
    }
    return rc;
}

/* Whether the KDC has lately called the user valid, or gave no answer. */
static bool is_alive(request_rec *r, const struct eas_session *session)
{
    struct eas_session_memo *memo = session->memo;
    struct eas_shared_name name;
    struct eas_bytes value;
    apr_time_t until;
    enum eas_shared_answer answer;

    if (memo != NULL && atomic_load(&memo->alive_until) > apr_time_now()) {
        return true;
    }
    name = name_of(EAS_SHARED_ALIVE, session);
    answer = eas_shared_get(r->pool, &name, &value, &until);
    if (answer == EAS_SHARED_FOUND && memo != NULL) {
        atomic_store(&memo->alive_until, until);
    }
    return answer != EAS_SHARED_NONE;
}

/* Every ten minutes, so that the sessions of a user end after AD has disabled the user. */
static enum eas_rc check_user(request_rec *r, const struct eas_session *session,
                              struct eas_err *err)
{
    struct eas_shared_name name;
    struct eas_err ignored;
    apr_interval_time_t before = eas_request_of(r)->kdc_waited, waited = before;
    enum eas_rc rc;

    if (!session->has_evidence || is_alive(r, session)) {
        return EAS_OK;
    }
    rc = callbacks->check_user(r->server, r->pool, session->principal, &waited, err);
    eas_request_waited(r, waited - before);
    if (rc == EAS_FORBIDDEN) {
        return rc;
    }
    /* Without an answer of the KDC the session continues; the next check comes sooner. */
    name = name_of(EAS_SHARED_ALIVE, session);
    eas_shared_put(r->pool, &name, eas_bytes_of_text(""),
                   apr_time_now() + (rc == EAS_OK ? ALIVE_FOR : RETRY_CHECK_AFTER), &ignored);
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

/* For a session whose cookie is good. */
static enum eas_rc validate_session(request_rec *r, struct eas_session_result *result,
                                    struct eas_err *err)
{
    struct eas_session *session = result->session;
    struct eas_ticket *evidence = NULL;
    bool revoked = false;
    enum eas_rc rc = check_revoked(r, session, &revoked, err);

    if (rc != EAS_OK) {
        return rc;
    }
    result->state = EAS_SESSION_INVALID;
    if (revoked) {
        return EAS_OK;
    }
    result->is_live = true;
    if (check_user(r, session, err) != EAS_OK) {
        eas_log_error(r, err);
        return EAS_OK;
    }
    if (session->has_evidence) {
        rc = find_evidence(r, session, &evidence, err);
        if (rc != EAS_OK) {
            return rc;
        }
        if (evidence == NULL && !callbacks->acts_without_evidence(r)) {
            result->state = EAS_SESSION_EXPIRED;
            return EAS_OK;
        }
    }
    result->state = EAS_SESSION_VALID;
    result->identity = identity_of(r, session, evidence);
    return EAS_OK;
}

enum eas_rc eas_session_of(request_rec *r, struct eas_session_result *result_out,
                           struct eas_err *err)
{
    struct eas_session_params params;
    const char *value = NULL;
    enum eas_cookie_count count = eas_cookie_find(
        r->pool, eas_cookie_header(r->pool, r->headers_in), eas_cookie_name(r), &value);
    enum eas_rc rc;

    *result_out = (struct eas_session_result){
        .state = count == EAS_COOKIE_NONE ? EAS_SESSION_NONE : EAS_SESSION_INVALID,
    };
    if (count != EAS_COOKIE_ONE) {
        return EAS_OK;
    }
    params = params_of(r);
    rc = eas_session_unseal(&params, r->pool, value, apr_time_now(), &result_out->session, err);
    if (rc == EAS_OK) {
        return validate_session(r, result_out, err);
    }
    if (rc == EAS_EXPIRED) {
        result_out->state = EAS_SESSION_EXPIRED;
    }
    return rc == EAS_UNAVAILABLE ? rc : EAS_OK;
}

static enum eas_rc set_session_cookie(request_rec *r, const struct eas_session_params *params,
                                      const struct eas_session *session, struct eas_err *err)
{
    const char *value;
    enum eas_rc rc = eas_session_seal(params, r->pool, session, &value, err);

    if (rc == EAS_OK) {
        eas_cookie_add(r, eas_cookie_name(r), value);
    }
    return rc;
}

void eas_session_renew(request_rec *r, struct eas_session *session)
{
    struct eas_session_params params = params_of(r);
    apr_time_t now = apr_time_now();
    struct eas_err err;

    if (apr_table_get(r->subprocess_env, "eas-kcd-no-renew") == NULL
        && eas_session_wants_renewal(&params, session, now)) {
        session->seen = now;
        if (set_session_cookie(r, &params, session, &err) != EAS_OK) {
            eas_log_error(r, &err); /* not refused: the old cookie is still valid */
        }
    }
}

void eas_session_show_trust(request_rec *r, bool is_private)
{
    eas_request_set(r, EAS_REQUEST_TRUST, is_private ? "private" : "public");
}

static enum eas_rc store_evidence(request_rec *r, const struct eas_session *session,
                                  struct eas_ticket *evidence, struct eas_err *err)
{
    const struct eas_shared_name name = name_of(EAS_SHARED_EVIDENCE, session);
    const unsigned char *ticket;
    apr_size_t len;
    enum eas_rc rc = eas_ticket_marshal(evidence, r->pool, &ticket, &len, err);

    return rc == EAS_OK ? eas_shared_put(r->pool, &name, eas_bytes_make(ticket, len),
                                         eas_ticket_end(evidence), err)
                        : rc;
}

enum eas_rc eas_session_start(request_rec *r, const struct eas_identity *identity, bool is_private,
                              struct eas_err *err)
{
    struct eas_session_params params = params_of(r);
    struct eas_session session = {
        .principal = identity->principal,
        .is_private = is_private,
        .has_evidence = identity->evidence != NULL,
    };
    apr_time_t not_before;
    enum eas_rc rc = eas_session_begin(&params, &session, apr_time_now(), err);

    if (rc == EAS_OK && session.has_evidence) {
        rc = store_evidence(r, &session, identity->evidence, err);
    }
    if (rc == EAS_OK) {
        rc = get_not_before(r, &session, &not_before, err);
    }
    if (rc == EAS_OK) {
        eas_session_start_after(&session, not_before);
    }
    return rc == EAS_OK ? set_session_cookie(r, &params, &session, err) : rc;
}

/* The record's time never goes back, and the session that asks for it ends, too. */
static enum eas_rc end_everywhere(request_rec *r, const struct eas_session *session, apr_time_t now,
                                  struct eas_err *err)
{
    const struct eas_shared_name name = name_of(EAS_SHARED_NOT_BEFORE, session);
    apr_interval_time_t longest = eas_auth_server_of(r->server)->longest_session;
    apr_time_t not_before = 0;
    struct eas_err ignored;
    enum eas_rc rc = get_not_before(r, session, &not_before, err), kept;

    not_before = not_before > session->started ? not_before : session->started;
    not_before = not_before > now ? not_before : now;
    /* Without an answer of the provider, this gateway keeps the record at least. */
    kept = eas_shared_put(r->pool, &name, eas_bytes_make(&not_before, sizeof(not_before)),
                          not_before + longest, rc == EAS_OK ? err : &ignored);
    return rc != EAS_OK ? rc : kept;
}

/* A user with too many sign-outs signs out everywhere: none is replaced while its session lasts. */
static enum eas_rc end_one(request_rec *r, const struct eas_session *session, apr_time_t now,
                           struct eas_err *err)
{
    const struct eas_shared_name name = name_of(EAS_SHARED_REVOKED, session);
    apr_interval_time_t longest = eas_auth_server_of(r->server)->longest_session;

    return eas_shared_is_full(&name) ? end_everywhere(r, session, now, err)
                                     : eas_shared_put(r->pool, &name, eas_bytes_of_text(""),
                                                      session->started + longest, err);
}

enum eas_rc eas_session_end(request_rec *r, const struct eas_session_result *found, bool everywhere,
                            bool *ended_out, struct eas_err *err)
{
    const struct eas_session *session = found->session;
    apr_time_t now = apr_time_now();
    bool over = session == NULL || session->end <= now;
    enum eas_rc rc = over ? EAS_OK : check_revoked(r, session, &over, err);

    *ended_out = rc == EAS_OK && !over;
    if (!*ended_out) {
        return rc;
    }
    rc = everywhere && found->is_live ? end_everywhere(r, session, now, err)
                                      : end_one(r, session, now, err);
    if (rc == EAS_OK) {
        const struct eas_shared_name evidence = name_of(EAS_SHARED_EVIDENCE, session);

        eas_shared_release(&evidence);
    }
    return rc;
}

enum eas_rc eas_session_end_user(request_rec *r, const char *principal, struct eas_err *err)
{
    const struct eas_session session = { .principal = principal };

    return end_everywhere(r, &session, apr_time_now(), err);
}
