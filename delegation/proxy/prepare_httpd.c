/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/prepare_httpd.c - target, user, ticket and body of a request */

#include "delegation/proxy/prepare_httpd.h"
#include "auth/base/counters.h"
#include "auth/authn_httpd.h"
#include "auth/config_httpd.h"
#include "auth/private_httpd.h"
#include "auth/request_httpd.h"
#include "delegation/kerberos/certificate.h"
#include "delegation/kerberos/spn.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <http_ssl.h>

/* mod_ssl's SSLUserName sets this type. */
static bool is_certificates_user(const request_rec *r, const struct eas_delegation_dir *conf)
{
    return conf->delegate_user != NULL
               ? conf->user_of_certificate
               : r->ap_auth_type != NULL && strcmp(r->ap_auth_type, "ClientCert") == 0;
}

/* With `SSLVerifyClient optional_no_ca` mod_ssl accepts any name in a certificate of any issuer. */
static enum eas_rc check_certificate(request_rec *r, struct eas_err *err)
{
    const char *result =
        ap_ssl_var_lookup(r->pool, r->server, r->connection, r, "SSL_CLIENT_VERIFY");

    return result != NULL && strcmp(result, "SUCCESS") == 0
               ? EAS_OK
               : eas_fail(err, EAS_FORBIDDEN, 2072,
                          "the user's name stands in a certificate that is not verified "
                          "(SSL_CLIENT_VERIFY is %s); set SSLVerifyClient require or optional",
                          result != NULL ? result : "empty");
}

/* The KDC, not the text of the certificate, says who the user is. */
static enum eas_rc identity_of_certificate(request_rec *r, const struct eas_identity **out,
                                           struct eas_err *err)
{
    const char *pem;
    enum eas_rc rc = check_certificate(r, err);

    if (rc == EAS_OK) {
        pem = ap_ssl_var_lookup(r->pool, r->server, r->connection, r, "SSL_CLIENT_CERT");
        rc = eas_certificate_identity(r->pool, pem != NULL ? pem : "", out, err);
    }
    return rc;
}

enum eas_rc eas_prepare_identity(request_rec *r, const struct eas_delegation_dir *conf,
                                 const struct eas_identity **out, struct eas_err *err)
{
    const char *name = r->user, *error = NULL;
    enum eas_rc rc = EAS_OK;

    *out = NULL;
    if (eas_delegation_by_certificate(conf)) {
        return identity_of_certificate(r, out, err);
    }
    if (conf->delegate_user != NULL) {
        name = ap_expr_str_exec(r, conf->delegate_user, &error);
        if (error != NULL || name == NULL || *name == '\0') {
            return eas_fail(err, EAS_FORBIDDEN, 2060, "EasKcdDelegateUser gives no user: %s",
                            error != NULL ? error : "empty");
        }
    }
    else {
        *out = eas_request_identity(r);
        if (name == NULL || (*out != NULL && (*out)->authenticated_by != EAS_BY_OTHER)) {
            return EAS_OK;
        }
    }
    if (is_certificates_user(r, conf)) {
        rc = check_certificate(r, err);
    }
    return rc == EAS_OK ? eas_identity_foreign(
               r->pool, name, &eas_auth_server_of(r->server)->authority->realms, out, err)
                        : rc;
}

static void count(enum eas_rc rc, const struct eas_kcd_result *result)
{
    eas_counters_add(rc == EAS_OK
                         ? (enum eas_counter)((int)EAS_COUNTER_TICKET_PROCESS + (int)result->origin)
                         : EAS_COUNTER_TICKET_NONE);
    if (result->waited > 0) {
        eas_counters_observe(EAS_HISTOGRAM_DELEGATION, result->waited);
    }
}

static void set_variables(request_rec *r, const struct eas_kcd_request *request,
                          const struct eas_kcd_result *result)
{
    static const char *const origins[] = { "hit", "shared", "fetched" };

    eas_request_set(r, EAS_REQUEST_SPN, request->spn);
    if (request->identity->certificate.len > 0) {
        eas_request_set(r, EAS_REQUEST_USER, eas_certificate_user(r->pool, result->ticket));
    }
    eas_request_set(r, EAS_REQUEST_TICKET, origins[result->origin]);
}

enum eas_rc eas_prepare_ticket(struct eas_attempt *attempt, struct eas_err *err)
{
    request_rec *r = attempt->r;
    struct eas_kcd_result result;
    enum eas_rc rc;

    attempt->request.refused = attempt->ticket;
    attempt->request.waited = eas_request_of(r)->kdc_waited;
    rc = eas_kcd_ticket(eas_delegation_server_of(r->server)->principal, r->pool, &attempt->request,
                        &result, err);
    eas_request_waited(r, result.waited);
    count(rc, &result);
    if (rc == EAS_OK) {
        attempt->ticket = result.ticket;
        attempt->owner = result.key; /* a connection is shared exactly as its ticket is */
        set_variables(r, &attempt->request, &result);
    }
    return rc;
}

static apr_port_t port_of(const apr_uri_t *uri)
{
    return uri->port_str != NULL ? uri->port : apr_uri_port_of_scheme(uri->scheme);
}

/* Whether the text begins with the prefix, behind which *rest_out lies then. */
static bool begins_with(const char *text, const char *prefix, const char **rest_out)
{
    apr_size_t len = strlen(prefix);

    *rest_out = text + len;
    return strncmp(text, prefix, len) == 0;
}

/*
 * Most URLs begin as mod_proxy has made them: `scheme://host`, and `:port` unless that is the
 * scheme's.  False also for others that name the worker.
 */
static bool is_plainly_workers(const proxy_worker_shared *worker, const char *url)
{
    apr_uint32_t port = 0;

    if (*worker->hostname_ex == '\0' || !begins_with(url, worker->scheme, &url)
        || !begins_with(url, "://", &url) || !begins_with(url, worker->hostname_ex, &url)) {
        return false;
    }
    if (url[0] == ':' && apr_isdigit(url[1])) {
        for (url++; apr_isdigit(*url) && port < 65536; url++) {
            port = port * 10 + (apr_uint32_t)(*url - '0');
        }
    }
    else {
        port = apr_uri_port_of_scheme(worker->scheme);
    }
    return port == worker->port && (*url == '/' || *url == '\0');
}

static bool is_parsed_as_workers(request_rec *r, const proxy_worker_shared *worker, const char *url)
{
    apr_uri_t uri;

    return apr_uri_parse(r->pool, url, &uri) == APR_SUCCESS && uri.hostname != NULL
           && ap_cstr_casecmp(uri.scheme, worker->scheme) == 0
           && ap_cstr_casecmp(uri.hostname, worker->hostname_ex) == 0
           && port_of(&uri) == worker->port;
}

static bool is_workers(request_rec *r, const proxy_worker_shared *worker, const char *url)
{
    return (is_plainly_workers(worker, url) || is_parsed_as_workers(r, worker, url))
           /* A socket of the URL, not of the worker (ap_proxy_determine_connection()). */
           && (*worker->uds_path != '\0' || apr_table_get(r->notes, "uds_path") == NULL);
}

/*
 * A rewritten URL may lead to another server than the worker's (as CVE-2021-40438 does), which must
 * not get the user's token.  Nor must a forward proxy: through that, only TLS is end to end.
 */
static enum eas_rc check_target(request_rec *r, const struct eas_scheme_call *call,
                                struct eas_err *err)
{
    const proxy_worker *worker = call->worker;

    if (!is_workers(r, worker->s, call->url)) {
        return eas_fail(
            err, EAS_MISCONFIGURED, 2065,
            "the request is not for the host and port of its worker, %s:%u; "
            "EasKcdDelegate needs a worker for every backend: a ProxyPass, or a <Proxy> "
            "section with ProxySet enablereuse=on in it",
            worker->s->hostname_ex, (unsigned)worker->s->port);
    }
    if (call->proxyhost != NULL && strcmp(worker->s->scheme, "https") != 0) {
        return eas_fail(err, EAS_MISCONFIGURED, 2075,
                        "ProxyRemote would give the user's token to %s; use an https backend, or "
                        "except it by NoProxy",
                        call->proxyhost);
    }
    if (strcmp(worker->s->scheme, "http") != 0 && strcmp(worker->s->scheme, "https") != 0) {
        return eas_fail(err, EAS_MISCONFIGURED, 2062,
                        "EasKcdDelegate cannot send Kerberos tokens to a backend of scheme %s; use "
                        "http or https",
                        worker->s->scheme);
    }
    return EAS_OK;
}

static enum eas_rc first_ticket(struct eas_attempt *attempt, const struct eas_scheme_call *call,
                                struct eas_err *err)
{
    request_rec *r = attempt->r;
    enum eas_rc rc = check_target(r, call, err);

    if (rc == EAS_OK) {
        rc = eas_spn_expand(r->pool, eas_delegation_spn(attempt->conf),
                            call->worker->s->hostname_ex, &attempt->request.spn, err);
    }
    if (rc == EAS_OK) {
        attempt->request.transition = eas_delegation_transitions(attempt->conf);
        rc = eas_prepare_ticket(attempt, err);
    }
    return rc;
}

enum eas_rc eas_prepare_attempt(struct eas_attempt *attempt, request_rec *r,
                                const struct eas_scheme_call *call, struct eas_err *err)
{
    const struct eas_identity *identity;
    enum eas_rc rc;

    memset(attempt, 0, sizeof(*attempt));
    attempt->r = attempt->exchange.r = r;
    attempt->call = *call;
    attempt->conf = eas_delegation_dir_of(r->per_dir_config);
    attempt->response.exchange = &attempt->exchange;
    attempt->response.in_effect = eas_delegation_is_on(attempt->conf) || eas_authn_in_effect(r);
    if (attempt->response.in_effect) {
        eas_private_mark(r);
    }
    else {
        attempt->owner = eas_outgoing_client_owner(r);
    }
    if (!eas_delegation_is_on(attempt->conf)) {
        return EAS_OK;
    }
    if (eas_auth_server_of(r->server)->authority == NULL) {
        return eas_fail(err, EAS_MISCONFIGURED, 2061,
                        "EasKcdDelegate needs EasKcdKeytab in this virtual host or outside");
    }
    rc = eas_prepare_identity(r, attempt->conf, &identity, err);
    if (rc == EAS_OK && identity != NULL) {
        if (identity != eas_request_identity(r)) {
            apr_table_unset(r->subprocess_env, "EAS_KCD_ACCOUNT");
            apr_table_unset(r->subprocess_env, "EAS_KCD_UPN");
        }
        if (identity != eas_request_of(r)->identity) { /* it has the variable from its log-on */
            eas_request_set(r, EAS_REQUEST_USER, identity->principal);
        }
        if (identity->authenticated_by == EAS_BY_OTHER && eas_request_identity(r) == NULL) {
            eas_request_set(r, EAS_REQUEST_AUTH, "other");
        }
        attempt->request.identity = identity;
        rc = first_ticket(attempt, call, err);
    }
    return rc;
}

void eas_prepare_name_parties(const struct eas_attempt *attempt, struct eas_err *err)
{
    const struct eas_identity *identity = attempt->request.identity;
    apr_size_t len = strlen(err->text);

    if (identity != NULL) {
        apr_snprintf(err->text + len, sizeof(err->text) - len, " (user %s, service %s)",
                     identity->principal,
                     attempt->request.spn != NULL ? attempt->request.spn : "unknown");
    }
}

/*
 * RFC 9112 sections 6.1 and 6.3.  httpd has refused what does not end in chunked, and mod_proxy_http
 * sends nothing but chunked.
 */
static int check_transfer_coding(const struct eas_attempt *attempt)
{
    request_rec *r = attempt->r;
    const char *value = apr_table_get(r->headers_in, "Transfer-Encoding");
    int chunked = 0;
    char *last, *coding;
    struct eas_err err;

    if (value == NULL || ap_cstr_casecmp(value, "chunked") == 0) {
        return OK;
    }
    for (coding = apr_strtok(apr_pstrdup(r->pool, value), ", \t", &last); coding != NULL;
         coding = apr_strtok(NULL, ", \t", &last)) {
        chunked += ap_cstr_casecmp(coding, "chunked") == 0;
    }
    eas_fail(&err, EAS_MALFORMED, 2085,
             "the transfer coding of the request is %s, and only chunked is supported", value);
    eas_prepare_name_parties(attempt, &err);
    eas_log_error(r, &err);
    return chunked > 1 ? HTTP_BAD_REQUEST : HTTP_NOT_IMPLEMENTED;
}

/* TRACE, and TRACK of IIS, return the token to the client. */
static bool reflects_headers(const request_rec *r)
{
    return r->method_number == M_TRACE || strcmp(r->method, "TRACK") == 0;
}

int eas_prepare_check(const struct eas_attempt *attempt)
{
    if (attempt->ticket != NULL && reflects_headers(attempt->r)) {
        return HTTP_METHOD_NOT_ALLOWED;
    }
    return attempt->response.in_effect ? check_transfer_coding(attempt) : OK;
}

int eas_prepare_body(struct eas_attempt *attempt)
{
    struct eas_request *record = eas_request_of(attempt->r);
    int status = OK;

    /* One body for all workers: it can be read once. */
    if (record->body == NULL) {
        status = eas_body_keep(attempt->r, eas_delegation_retry_body(attempt->conf), &record->body);
    }
    attempt->body = record->body;
    return status;
}

void eas_prepare_exchange(struct eas_attempt *attempt)
{
    const struct eas_scheme_call *call = &attempt->call;
    request_rec *r = attempt->r;
    const struct eas_delegation_server *server = eas_delegation_server_of(r->server);

    attempt->response.pools = eas_conn_pools_of(call->worker);
    attempt->response.hides_401 = attempt->ticket != NULL || eas_authn_in_effect(r);
    attempt->response.mutual_required = eas_delegation_requires_mutual(attempt->conf);
    attempt->exchange.owner = attempt->owner;
    attempt->exchange.principal = server->principal;
    attempt->exchange.bind =
        eas_delegation_binds(attempt->conf) && strcmp(call->worker->s->scheme, "https") == 0;
    attempt->exchange.may_resume = attempt->ticket != NULL && eas_delegation_resumes(attempt->conf);
    attempt->exchange.token_by = eas_delegation_token_by(server, attempt->conf);
    attempt->exchange.connections = eas_conn_pools_connections(attempt->response.pools);
    attempt->exchange.timeout = eas_request_timeout(r);
    if (attempt->exchange.timeout == 0) {
        attempt->exchange.timeout = eas_mod_proxy_timeout(call->worker, call->conf, r->server);
    }
}
