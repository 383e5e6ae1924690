/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/resumption.h - decisions about a TLS session with a backend: resumed, and until when */

#ifndef EAS_DELEGATION_PROXY_RESUMPTION_H
#define EAS_DELEGATION_PROXY_RESUMPTION_H

#include <apr_time.h>
#include <stdbool.h>

/* Of the handshake that has made a session. */
struct eas_resumption_facts {
    bool resumed;         /* it has verified nothing by itself */
    bool resumable;       /* the backend has given a ticket or an id */
    bool verifies;        /* SSLProxyVerify asks for a verified certificate */
    bool verified;        /* ... and the backend has one */
    bool revocation;      /* certificates are looked up in lists of revoked ones */
    bool tls13;           /* TLS 1.3 or later */
    bool extended_secret; /* the extended master secret of earlier versions (RFC 7627) */
};

/* Whether the session may be resumed at all. */
bool eas_resumption_permits(const struct eas_resumption_facts *facts);

/* A remembered session; zeroed at first.  The times are those of eas_clock_now(). */
struct eas_resumption {
    apr_time_t since;     /* the beginning of its full handshake; 0: there is none */
    apr_time_t forgotten; /* the last refusal */
    apr_time_t barred;    /* none is remembered before that time */
    unsigned refusals;    /* of connections that had resumed, without a success between them */
};

/*
 * Whether the session of a full handshake that began then is remembered; if so, it is from now on.
 * A handshake that began before a refusal may have brought the same certificate.
 */
bool eas_resumption_begin(struct eas_resumption *session, apr_time_t since, apr_time_t now);

/* Five minutes from the full handshake, which resumptions do not renew. */
bool eas_resumption_is_current(const struct eas_resumption *session, apr_time_t now);

/*
 * A connection has failed, so its session is forgotten.  counts: the connection had resumed it, and
 * resumption may be the reason.  After two of these in a row, none is remembered for five minutes: a
 * backend that cannot do it costs no further requests.
 */
void eas_resumption_fail(struct eas_resumption *session, bool counts, apr_time_t now);

/* A connection that had resumed it has served a request. */
void eas_resumption_succeed(struct eas_resumption *session);

#endif
