/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/verdict.h - decision on a backend's response */

#ifndef EAS_DELEGATION_PROXY_VERDICT_H
#define EAS_DELEGATION_PROXY_VERDICT_H

#include <stdbool.h>
#include <stddef.h>

enum eas_verdict_reply {
    EAS_REPLY_ABSENT, /* no AP-REP */
    EAS_REPLY_RIGHT,  /* the AP-REP to the token */
    EAS_REPLY_WRONG   /* another AP-REP or garbage */
};

struct eas_verdict_facts {
    int status;     /* the backend's */
    bool token;     /* the request had a token */
    bool hides_401; /* the module answers a 401, not the backend */
    enum eas_verdict_reply reply;
    bool connection_authenticated; /* an earlier response on it had a right reply, and said so */
    bool mutual_required;          /* EasKcdMutualAuth required */
};

enum eas_verdict {
    EAS_VERDICT_PASS,         /* to the client, as it is */
    EAS_VERDICT_STATUS_ONLY,  /* an error without mutual authentication: only its status passes */
    EAS_VERDICT_UNAUTHORIZED, /* 401: another ticket, or the module's own challenge */
    EAS_VERDICT_FORBIDDEN,    /* 401 with the AP-REP: 403, since the backend knows the user */
    EAS_VERDICT_REFUSE        /* 502: mutual authentication failed */
};

/*
 * RFC 4559 section 5: a backend that accepts the token sends an AP-REP.  A backend that rejects the
 * request before that (4xx, 5xx) sends none.  One that authenticates the connection sends it once,
 * with `Persistent-Auth: true` (MS-N2HT 2.2).  A wrong AP-REP is always refused.  A 401 beside a
 * right one refuses the user, not the ticket, which a new ticket would not change.
 *
 * An earlier AP-REP alone excuses nothing: a backend with sessions of its own (Tomcat) sends none to
 * a request with its session cookie, and serves the user of that session, whatever the token says.
 */
enum eas_verdict eas_verdict_on(const struct eas_verdict_facts *facts);

/*
 * Whether a status without an AP-REP comes of a token of this length: 431, or the 400 by which
 * http.sys, httpd and nginx answer a head that is too long for them, before they authenticate.
 */
bool eas_verdict_finds_head_long(int status, size_t token_len);

/* How mod_proxy has ended an exchange. */
struct eas_verdict_end {
    int status;        /* returned by its scheme handler: an error */
    bool from_backend; /* the backend's own, as with ProxyErrorOverride */
    bool in_effect;    /* AuthType EasKcd or EasKcdDelegate is */
    bool resolved;     /* DNS has the worker's address, and mod_proxy_http has made the head */
    bool connected;    /* to a new connection */
    bool written;      /* the TLS handshake is over, and the head was sent */
};

/*
 * Whether the status may count against the worker: mod_proxy marks a balancer's member as broken
 * after 500 and 503, and after each status of failonstatus.  The mark hits all users.  So it is for
 * what all users have in common: no address, no connection, no TLS, no answer to `ping=`.
 * mod_proxy_http returns 500 also for a request that it does not send, for a full disk, and for a
 * backend that closes the connection; each of them can be caused by one request.
 */
bool eas_verdict_blames_worker(const struct eas_verdict_end *end);

#endif
