/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/response_httpd.h - filter on a backend's response */

#ifndef EAS_DELEGATION_PROXY_RESPONSE_HTTPD_H
#define EAS_DELEGATION_PROXY_RESPONSE_HTTPD_H

#include "delegation/kerberos/offer.h"
#include "delegation/proxy/conn_pools_httpd.h"
#include "delegation/proxy/outgoing_httpd.h"
#include "delegation/proxy/verdict.h"

#include <httpd.h>

enum eas_response_state {
    EAS_RESPONSE_NONE,     /* there was none: mod_proxy's status counts */
    EAS_RESPONSE_PASSED,   /* passed to the client, or mod_proxy makes an error page of it */
    EAS_RESPONSE_WITHHELD, /* by the decision; the client got nothing */
    EAS_RESPONSE_BROKEN,   /* the backend closed the connection instead; the client got nothing */
    EAS_RESPONSE_UNWANTED  /* the exchange was ended before the response */
};

/* The response to one exchange; in the request's pool. */
struct eas_response {
    /* Set by the caller. */
    struct eas_exchange *exchange;
    struct eas_conn_pools *pools;
    bool in_effect;       /* AuthType EasKcd or EasKcdDelegate is */
    bool hides_401;       /* the client does not get the backend's 401 */
    bool mutual_required; /* EasKcdMutualAuth */

    /* Set by the functions. */
    enum eas_response_state state;
    enum eas_verdict verdict;
    int status;                 /* the backend's */
    const char *retry_after;    /* of a response that does not pass: the backend's, or NULL */
    const char *location;       /* likewise */
    enum eas_offer offer;       /* likewise: by which the backend asks for a user */
    bool bare;                  /* a reply to the token has a state alone */
    bool long_head;             /* the backend refuses the length of the request's head */
    struct eas_err err;         /* the reason of EAS_VERDICT_REFUSE; of a missing AP-REP, none */
    apr_off_t discarded;        /* octets of a body that does not pass */
    struct ap_filter_t *filter; /* while it is in the chain */
    struct {                    /* of the request, before the exchange */
        int status;
        const char *status_line;
        apr_table_t *headers_out;
        apr_table_t *err_headers_out;
    } before;
};

/* Before mod_proxy runs: saves the request's headers and adds the filter. */
void eas_response_expect(request_rec *r, struct eas_response *response);

/* After mod_proxy has returned this status. */
void eas_response_end(request_rec *r, struct eas_response *response, int returned);

/*
 * Whether mod_proxy_http has failed because the backend has no address, or its TLS fails.  *err is
 * the reason.  mod_proxy's error notes, which name the backend to the client, are removed.
 */
bool eas_response_is_impossible(request_rec *r, const struct eas_exchange *exchange,
                                const char *backend, struct eas_err *err);

/* Whether the backend has not answered `Expect: 100-continue`, by which ping= tests it. */
bool eas_response_lacks_continue(const struct eas_response *response, int returned);

/* Whether the status is the backend's, with ProxyErrorOverride. */
bool eas_response_is_overridden(const request_rec *r);

/* Discards a response of which the client got nothing, before another one. */
void eas_response_discard(request_rec *r, const struct eas_response *response);

void eas_response_register_hooks(apr_pool_t *pool);

#endif
