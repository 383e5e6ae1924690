/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/answer_httpd.c - answer to a delegated request, and its status for mod_proxy */

#include "delegation/proxy/answer_httpd.h"
#include "auth/authn_httpd.h"
#include "auth/request_httpd.h"

#include <apr_optional_hooks.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>

/*
 * The result of scheme_handler where the worker is not to blame (verdict.h).  mod_proxy marks none
 * for it, and no failonstatus list has it.  request_status replaces it by the true status.
 */
#define REFUSED 418

/* Note for request_status: the status of the answer. */
#define STATUS_NOTE "eas-kcd:status"

int eas_answer(request_rec *r, int status)
{
    apr_table_setn(r->notes, STATUS_NOTE, apr_itoa(r->pool, status));
    return REFUSED;
}

int eas_answer_refuse(const struct eas_attempt *attempt, struct eas_err *err)
{
    eas_prepare_name_parties(attempt, err);
    return eas_answer(attempt->r, eas_log_refuse(attempt->r, err));
}

void eas_answer_forget(request_rec *r)
{
    if (apr_table_get(r->notes, STATUS_NOTE) != NULL) {
        apr_table_unset(r->notes, STATUS_NOTE);
        apr_table_unset(r->err_headers_out, "Retry-After");
        apr_table_unset(r->subprocess_env, "EAS_KCD_ERROR");
    }
}

int eas_answer_status(const request_rec *r, int status)
{
    const char *note = apr_table_get(r->notes, STATUS_NOTE);

    return status != SUSPENDED && note != NULL ? (int)apr_atoi64(note) : status;
}

static int hook_request_status(int *status, request_rec *r)
{
    const char *note = apr_table_get(r->notes, STATUS_NOTE);

    if (note == NULL) {
        return DECLINED;
    }
    *status = (int)apr_atoi64(note);
    return OK;
}

/* The backend's 401 to a request without a token: without a user, the client gets a challenge. */
static int challenge(const struct eas_attempt *attempt)
{
    request_rec *r = attempt->r;
    struct eas_err err;

    if (r->user != NULL) {
        eas_fail(&err, EAS_MISCONFIGURED, 2067,
                 "the backend requires credentials of %s, a user that is authenticated here; "
                 "EasKcdDelegate On sends it a Kerberos token",
                 r->user);
        return eas_answer_refuse(attempt, &err);
    }
    eas_fail(&err, EAS_DENIED, 2064, "the backend requires a user");
    eas_log_error(r, &err);
    return eas_answer(r, eas_authn_challenge(r));
}

/* An event that is not the request's error. */
static void log_event(const struct eas_attempt *attempt, int level, struct eas_err *event)
{
    eas_prepare_name_parties(attempt, event);
    eas_log_line(attempt->r, level, "EAS%04d: %s", event->tag, event->text);
}

static void log_long_head(const struct eas_attempt *attempt)
{
    struct eas_err event;

    eas_fail(&event, EAS_BACKEND, 2090,
             "the backend answers %d to a request whose Authorization header has %" APR_SIZE_T_FMT
             " bytes, because of the user's many groups; raise the backend's limit (Windows: "
             "MaxFieldLength and MaxRequestBytes; httpd: LimitRequestFieldSize)",
             attempt->response.status, attempt->exchange.token_len);
    log_event(attempt, APLOG_ERR, &event);
}

/* Headers and body may come from a server that is not the backend. */
static int answer_status_only(const struct eas_attempt *attempt)
{
    const struct eas_response *response = &attempt->response;
    request_rec *r = attempt->r;
    const char *number = apr_itoa(r->pool, response->status);
    struct eas_err event;

    eas_fail(&event, EAS_BACKEND, 2055,
             "the backend answers %d without mutual authentication; its headers and body are not "
             "passed on",
             response->status);
    log_event(attempt, APLOG_INFO, &event);
    if (response->retry_after != NULL) {
        apr_table_setn(r->err_headers_out, "Retry-After", response->retry_after);
    }
    if (strncmp(ap_get_status_line(response->status), number, 3) != 0) {
        /* httpd makes 500 of a status that it does not know. */
        r->status_line = apr_pstrcat(r->pool, number, " Refused by the backend", NULL);
        ap_custom_response(r, response->status, "The mail server has refused the request.\n");
    }
    return eas_answer(r, response->status);
}

/* Octets of a URL in a message. */
#define SHOWN_URL 80

/* Without its query, in which names and tokens may stand. */
static const char *shown(request_rec *r, const char *url)
{
    int len = (int)strcspn(url, "?");

    return apr_psprintf(r->pool, "%.*s", len < SHOWN_URL ? len : SHOWN_URL, url);
}

/* The kind of a response without an AP-REP, and the cure. */
static const char *unproven(request_rec *r, const struct eas_response *response)
{
    const char *target = response->location != NULL ? shown(r, response->location) : "";

    if (response->bare) {
        return "its reply has the state of the negotiation alone, which proves nothing; if the "
               "acceptor can do no better (gokrb5), use https and set EasKcdMutualAuth optional";
    }
    if (response->offer == EAS_OFFER_FORM) {
        return apr_psprintf(r->pool,
                            "a log-on form of the backend's own is on (%s); switch it off "
                            "(Set-OwaVirtualDirectory -FormsAuthentication $false "
                            "-WindowsAuthentication $true, and Set-EcpVirtualDirectory)",
                            target);
    }
    if (response->status / 100 == 3 && response->location != NULL) {
        return apr_psprintf(
            r->pool,
            "it leads to %s before it asks for a user; let ProxyPass lead there, or "
            "redirect in httpd",
            target);
    }
    return "the backend serves this to anybody, or by a session of its own; switch anonymous "
           "authentication off for it and Windows authentication on, and Tomcat's cache off";
}

static void fail_unproven(const struct eas_attempt *attempt, struct eas_err *err)
{
    const struct eas_response *response = &attempt->response;

    eas_fail(err, EAS_BACKEND, 2052,
             "mutual authentication failed: the backend answers %d to %s without an AP-REP; %s",
             response->status, shown(attempt->r, attempt->call.url),
             unproven(attempt->r, response));
}

void eas_answer_fail_refused(const struct eas_attempt *attempt, bool renewed, struct eas_err *err)
{
    static const struct {
        const char *cause, *cure;
    } texts[] = {
        [EAS_OFFER_NOTHING] = { "answers 401 to a Kerberos token and offers no authentication",
                                "enable Windows authentication for this path, or read the log of "
                                "the application" },
        [EAS_OFFER_BASIC] = { "offers Basic alone, and reads no Kerberos token",
                              "enable Windows authentication for this path "
                              "(Set-ActiveSyncVirtualDirectory -WindowsAuthEnabled $true)" },
        [EAS_OFFER_NTLM] = { "offers NTLM without Negotiate, and reads no Kerberos token",
                             "add Negotiate to the providers of Windows authentication in IIS" },
        [EAS_OFFER_NEGOTIATE] = { "does not accept the Kerberos token",
                                  "check that the service principal name is registered to the "
                                  "account that runs the backend, and to no other (setspn -X), and "
                                  "that the clocks agree" },
    };
    enum eas_offer offer = attempt->response.offer;
    const char *more = !renewed ? ", and the request is too long to be repeated (EasKcdRetryBody)"
                       : offer == EAS_OFFER_NEGOTIATE
                           ? ", although its ticket has just been renewed"
                           : "";

    eas_fail(err, EAS_UNAVAILABLE, 2063, "the backend %s%s; %s (%s)", texts[offer].cause, more,
             texts[offer].cure, shown(attempt->r, attempt->call.url));
}

/* As nginx logs it: "client closed request". */
#define CLIENT_LEFT 499

/* Nothing is written to the client.  An error page would make another request. */
static int end_request(const struct eas_attempt *attempt)
{
    request_rec *r = attempt->r;
    struct eas_err err;

    eas_fail(&err, EAS_MALFORMED, 2080,
             "the client has closed its connection before the backend's response; the request to "
             "the backend is aborted");
    eas_prepare_name_parties(attempt, &err);
    eas_log_error(r, &err);
    r->connection->aborted = 1;
    r->status = CLIENT_LEFT;
    return DONE;
}

/*
 * A Ping comes back, to another process, without any harm.  A Sync can carry changes of the client's,
 * which no answer but the backend's confirms.
 */
static int dismiss(const struct eas_attempt *attempt)
{
    request_rec *r = attempt->r;
    struct eas_err err;
    apr_size_t len;
    const char *body = eas_request_unchanged(r, &len);

    if (body == NULL) {
        eas_fail(&err, EAS_UNAVAILABLE, 2092,
                 "this httpd process ends, and with it the request to the backend; the client can "
                 "repeat it");
        return eas_answer_refuse(attempt, &err);
    }
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r,
                  "EAS2093: this httpd process ends; the client is told that nothing has changed");
    r->connection->keepalive = AP_CONN_CLOSE;
    ap_set_content_type(r, "application/vnd.ms-sync.wbxml");
    ap_set_content_length(r, (apr_off_t)len);
    ap_rwrite(body, (int)len, r);
    return OK;
}

int eas_answer_conclude(struct eas_attempt *attempt, int status)
{
    struct eas_response *response = &attempt->response;
    request_rec *r = attempt->r;
    struct eas_err err;

    if (response->long_head) {
        log_long_head(attempt);
    }
    if (response->state == EAS_RESPONSE_PASSED) {
        return status;
    }
    if (attempt->exchange.failure.rc != EAS_OK) {
        eas_response_discard(r, response);
        return eas_answer_refuse(attempt, &attempt->exchange.failure);
    }
    if (attempt->exchange.ended) {
        eas_response_discard(r, response);
        return attempt->exchange.dismissed ? dismiss(attempt) : end_request(attempt);
    }
    if (response->state == EAS_RESPONSE_NONE) {
        return status;
    }
    eas_response_discard(r, response);
    if (response->state == EAS_RESPONSE_BROKEN) {
        eas_fail(&err, EAS_UNAVAILABLE, 2057,
                 "the backend closed the connection without a response");
        return eas_answer_refuse(attempt, &err);
    }
    switch (response->verdict) {
    case EAS_VERDICT_UNAUTHORIZED:
        return challenge(attempt);
    case EAS_VERDICT_REFUSE:
        if (response->err.rc == EAS_OK) {
            fail_unproven(attempt, &response->err);
        }
        return eas_answer_refuse(attempt, &response->err);
    case EAS_VERDICT_FORBIDDEN:
        eas_fail(&err, EAS_FORBIDDEN, 2074,
                 "the backend knows the user, and refuses the request; give the user the right to "
                 "it at the backend");
        return eas_answer_refuse(attempt, &err);
    case EAS_VERDICT_STATUS_ONLY:
        return answer_status_only(attempt);
    case EAS_VERDICT_PASS:
        break;
    }
    return status;
}

int eas_answer_hide(const struct eas_attempt *attempt, int status)
{
    const struct eas_exchange *exchange = &attempt->exchange;
    request_rec *r = attempt->r;
    const struct eas_verdict_end end = {
        .status = status,
        .from_backend = eas_response_is_overridden(r),
        .in_effect = attempt->response.in_effect,
        .resolved = exchange->resolved,
        .connected = exchange->connected,
        .written = exchange->written,
    };
    struct eas_err err;

    if (status == DECLINED && end.in_effect) {
        /* mod_proxy would run the other handlers again, with the client's credentials. */
        eas_fail(&err, EAS_MISCONFIGURED, 2084,
                 "no module of httpd serves %s; https needs mod_ssl (a2enmod ssl)",
                 attempt->call.url);
        return eas_answer_refuse(attempt, &err);
    }
    if (status == HTTP_INTERNAL_SERVER_ERROR && end.in_effect && !end.from_backend
        && eas_response_is_impossible(r, exchange, attempt->call.worker->s->hostname_ex, &err)) {
        eas_answer_refuse(attempt, &err);
        return status; /* for which mod_proxy marks the member; the answer is another */
    }
    if (end.in_effect && eas_response_lacks_continue(&attempt->response, status)) {
        eas_fail(&err, EAS_UNAVAILABLE, 2111,
                 "%s does not answer Expect: 100-continue within the ping= of its worker, and gets "
                 "no body; if it knows no such requests, remove ping=",
                 attempt->call.worker->s->name_ex);
        eas_answer_refuse(attempt, &err);
        return status;
    }
    return status == DECLINED || status == DONE || status == REFUSED || status == SUSPENDED
                   || eas_verdict_blames_worker(&end)
               ? status
               : eas_answer(r, status);
}

void eas_answer_register_hooks(apr_pool_t *pool)
{
    (void)pool;
    APR_OPTIONAL_HOOK(proxy, request_status, hook_request_status, NULL, NULL, APR_HOOK_REALLY_LAST);
}
