/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/response_httpd.h - a backend's response: whether it is believed, and what of it passes */

#ifndef EAS_DELEGATION_PROXY_RESPONSE_HTTPD_H
#define EAS_DELEGATION_PROXY_RESPONSE_HTTPD_H

#include "delegation/proxy/outgoing_httpd.h"
#include "delegation/proxy/conn_pools_httpd.h"
#include "delegation/proxy/verdict.h"

#include <httpd.h>

/* What becomes of a response as a whole. */
enum eas_response_state {
    EAS_RESPONSE_NONE,     /* there was none: what mod_proxy says of that stands */
    EAS_RESPONSE_PASSED,   /* on its way to the client, or mod_proxy makes an error page of it */
    EAS_RESPONSE_WITHHELD, /* by its verdict; the client has seen nothing */
    EAS_RESPONSE_BROKEN    /* the backend hung up without one; the client has seen nothing */
};

/* The response to one try of one worker; in the request's pool. */
struct eas_response {
    /* Set by the caller. */
    struct eas_exchange *exchange;
    struct eas_conn_pools *pools;
    bool guarded;   /* AuthType EasKcd or EasKcdDelegate is in effect */
    bool concerned; /* a 401 is not for the client to see */
    bool required;  /* EasKcdMutualAuth */

    /* Filled in. */
    enum eas_response_state state;
    enum eas_verdict verdict;
    int status;                 /* the backend's */
    const char *retry_after;    /* the backend's, or NULL */
    struct eas_err err;         /* why it is refused */
    struct ap_filter_t *filter; /* while it is in the chain */
    struct {                    /* as before the try */
        int status;
        apr_table_t *headers_out;
        apr_table_t *err_headers_out;
    } before;
};

/* Before mod_proxy runs: remembers what is there, and watches the response come. */
void eas_response_expect(request_rec *r, struct eas_response *response);

/* After it has run, with what it has returned. */
void eas_response_end(request_rec *r, struct eas_response *response, int returned);

/* Forgets a response that nobody has seen, so that another can be made. */
void eas_response_forget(request_rec *r, const struct eas_response *response);

void eas_response_register_hooks(apr_pool_t *pool);

#endif
