/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/exchange_httpd.h - a request to a backend and its response */

#ifndef EAS_DELEGATION_PROXY_EXCHANGE_HTTPD_H
#define EAS_DELEGATION_PROXY_EXCHANGE_HTTPD_H

#include "delegation/kcd.h"
#include "delegation/proxy/connection.h"
#include "delegation/proxy/long_polls.h"
#include "delegation/proxy/park_httpd.h"

#include <httpd.h>

/* In one thread.  The filter is that of outgoing_httpd.h, and await_httpd.h waits for it. */
struct eas_exchange {
    request_rec *r;
    request_rec *run;  /* as mod_proxy_http sees it: r, or a copy (first_run_httpd.h) */
    const char *owner; /* of the connection; NULL: none */
    struct eas_connections *connections; /* of the backend */
    apr_interval_time_t timeout;         /* of the backend's socket */

    /* In a user's name. */
    const struct eas_ticket *ticket; /* NULL: without a token */
    const struct eas_kcd_principal *principal;
    bool bind;       /* the token to the TLS channel; without that, none is sent */
    bool may_resume; /* TLS sessions with the backend */
    enum eas_token_by token_by;
    const struct eas_long_poll *poll; /* NULL: nothing limits it */

    struct eas_park_owner *park; /* NULL: it keeps its thread */

    bool resolved; /* mod_proxy_http has made the head; set by the proxy's fixups */

    /* Set by the filter. */
    apr_uint64_t serial;               /* never used twice in a process */
    struct eas_connection *connection; /* the last that was written to; a reference, or NULL */
    bool pooled;                       /* ... and had carried another exchange */
    bool resumed;                      /* it has offered a TLS session that was not declined */
    bool drained;                      /* no filter holds data of it: poll() sees all that comes */
    bool connected;                    /* mod_proxy has made a new connection */
    bool written;                      /* ... or found one, and has begun to write */
    bool body_sent;                    /* more than a head that awaits 100 (Continue) */
    bool got_response;                 /* the backend has sent something on it */
    bool responding;                   /* its final response has begun */
    bool interim;                      /* the head of one before that has, and has not ended */
    bool ended;                        /* by the client, before that */
    bool dismissed;                    /* ... because this process ends */
    bool parked;                       /* mod_proxy got an empty response meanwhile */
    bool postponed;                    /* ... and runs again at once, to read the response */
    bool given_up;                     /* nothing was sent: the copy does not fit */
    bool replayed;                     /* mod_proxy runs again, and has not read yet */
    apr_time_t since;               /* the wait for the response has lasted; 0: it has not begun */
    unsigned lines;                 /* of the empty response, that mod_proxy has read */
    bool released;                  /* it has ended well */
    bool send_incomplete;           /* a part of the request could not be written */
    struct eas_pending_ap *pending; /* of the last token */
    apr_size_t token_len;           /* of its Authorization header */
    struct eas_err failure;         /* the filter's refusal; otherwise rc is EAS_OK */
    struct eas_err tls_failure;     /* of the handshake, likewise */
};

#endif
