/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/backend.c - steps about a backend: TLS, its challenge, a token */

#include "delegation/check/backend.h"
#include "delegation/check/answer.h"
#include "delegation/check/http.h"
#include "auth/kerberos/spnego.h"
#include "delegation/kerberos/token.h"

#include <apr_strings.h>
#include <string.h>

struct backend {
    struct eas_check *check;
    struct eas_finding_names names;
    struct eas_http_target target;
    const struct eas_ticket *ticket;
    const char *url;
};

/* Each request has a connection of its own. */
static enum eas_http_problem connect_to(const struct backend *backend, struct eas_http **http_out,
                                        const char **detail_out)
{
    const struct eas_options *options = backend->check->options;

    return eas_http_open(backend->check->pool, &backend->target, options->ca_file, options->timeout,
                         http_out, detail_out);
}

static bool check_connection(const struct backend *backend)
{
    static const enum eas_finding findings[] = {
        [EAS_HTTP_OPEN] = EAS_FINDING_NONE,          [EAS_HTTP_DOWN] = EAS_FINDING_BACKEND_DOWN,
        [EAS_HTTP_NO_TLS] = EAS_FINDING_BACKEND_TLS, [EAS_HTTP_CHAIN] = EAS_FINDING_TLS_CHAIN,
        [EAS_HTTP_NAME] = EAS_FINDING_TLS_NAME,
    };
    struct eas_report *report = backend->check->report;
    enum eas_http_problem problem;
    struct eas_http *http;
    const char *detail;

    eas_report_begin(report, "connection", backend->url);
    problem = connect_to(backend, &http, &detail);
    if (problem == EAS_HTTP_OPEN) {
        eas_report_pass(report, detail);
    }
    else {
        eas_report_find(report, findings[problem], &backend->names, detail);
    }
    return problem == EAS_HTTP_OPEN;
}

static bool check_challenge(const struct backend *backend)
{
    struct eas_report *report = backend->check->report;
    struct eas_http_response response;
    enum eas_finding finding;
    struct eas_http *http;
    const char *detail;

    eas_report_begin(report, "challenge", backend->url);
    if (connect_to(backend, &http, &detail) != EAS_HTTP_OPEN
        || !eas_http_exchange(http, NULL, &response)) {
        eas_report_find(report, EAS_FINDING_BACKEND_ANSWER, &backend->names, "");
        return false;
    }
    finding = eas_answer_offer(&response);
    detail = apr_psprintf(backend->check->pool, "status %d", response.status);
    if (finding == EAS_FINDING_NONE) {
        eas_report_pass(report, detail);
    }
    else {
        eas_report_find(report, finding, &backend->names, detail);
    }
    return finding == EAS_FINDING_NONE;
}

struct reply {
    apr_pool_t *pool;
    struct eas_pending_ap *pending;
    enum eas_answer_reply reply;
};

static int read_reply(void *data, const char *name, const char *value)
{
    struct reply *reply = data;
    const char *challenge = eas_spnego_next_challenge(reply->pool, &value);
    struct eas_err err;

    (void)name;
    if (challenge != NULL && eas_token_is_reply(reply->pool, challenge)) {
        reply->reply = eas_token_verify(reply->pool, reply->pending, challenge, &err) == EAS_OK
                           ? EAS_ANSWER_RIGHT_REPLY
                           : EAS_ANSWER_WRONG_REPLY;
    }
    return challenge == NULL;
}

/* One request with a token, bound or not.  GSSAPI's: a second opinion to the module's own. */
static enum eas_finding try_token(const struct backend *backend, bool bound,
                                  const char **detail_out)
{
    apr_pool_t *pool = backend->check->pool;
    struct reply reply = { .pool = pool };
    struct eas_token_request request = { .by = EAS_TOKEN_GSSAPI, .ticket = backend->ticket };
    struct eas_http_response response;
    struct eas_token token;
    struct eas_http *http;
    struct eas_err err;

    if (connect_to(backend, &http, detail_out) != EAS_HTTP_OPEN) {
        return EAS_FINDING_BACKEND_DOWN;
    }
    request.binding = bound ? eas_http_binding(http) : eas_bytes_make("", 0);
    if (eas_token_make(eas_token_maker_create(pool), pool, &request, &token, &err) != EAS_OK) {
        *detail_out = apr_pstrdup(pool, err.text);
        return EAS_FINDING_TOKEN_LOCAL;
    }
    reply.pending = token.pending;
    if (!eas_http_exchange(http, token.value, &response)) {
        *detail_out = "";
        return EAS_FINDING_BACKEND_ANSWER;
    }
    apr_table_do(read_reply, &reply, response.headers, "WWW-Authenticate", NULL);
    *detail_out = apr_psprintf(pool, "status %d, %" APR_SIZE_T_FMT " octets of header",
                               response.status, token.len);
    return eas_answer_token(response.status, reply.reply, token.len);
}

static void check_token(const struct backend *backend)
{
    struct eas_report *report = backend->check->report;
    const char *detail, *ignored;
    enum eas_finding finding;

    eas_report_begin(report, "token", backend->url);
    finding = try_token(backend, true, &detail);
    if (finding == EAS_FINDING_TOKEN_REFUSED && backend->target.tls
        && try_token(backend, false, &ignored) == EAS_FINDING_NONE) {
        finding = EAS_FINDING_BINDING_REFUSED;
    }
    if (finding == EAS_FINDING_NONE) {
        eas_report_pass(
            report, apr_pstrcat(backend->check->pool, detail, ", AP-REP verified by GSSAPI", NULL));
    }
    else {
        eas_report_find(report, finding, &backend->names, detail);
    }
}

void eas_backend_check(struct eas_check *check, const char *url, const char *spn,
                       const struct eas_ticket *ticket)
{
    struct backend backend = {
        .check = check, .names = check->names, .ticket = ticket, .url = url
    };

    if (!eas_http_parse(check->pool, url, &backend.target)) {
        return; /* the options are checked before */
    }
    backend.names.host = backend.target.host;
    backend.names.spn = spn;
    if (check_connection(&backend) && check_challenge(&backend) && ticket != NULL) {
        check_token(&backend);
    }
}
