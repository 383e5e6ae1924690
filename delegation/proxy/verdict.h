/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/verdict.h - what becomes of a backend's response */

#ifndef EAS_DELEGATION_PROXY_VERDICT_H
#define EAS_DELEGATION_PROXY_VERDICT_H

#include <stdbool.h>

/* What the response says of the one who made it. */
enum eas_verdict_reply {
    EAS_REPLY_ABSENT, /* no AP-REP */
    EAS_REPLY_RIGHT,  /* the AP-REP to our token */
    EAS_REPLY_WRONG   /* something else in its place */
};

struct eas_verdict_facts {
    int status;     /* the backend's */
    bool token;     /* the request carried a token of ours */
    bool concerned; /* a 401 is ours to answer, token or not */
    enum eas_verdict_reply reply;
    bool proved_before; /* on this connection, to this identity */
    bool required;      /* EasKcdMutualAuth required */
};

enum eas_verdict {
    EAS_VERDICT_PASS,        /* to the client, as it is */
    EAS_VERDICT_STATUS_ONLY, /* a failure by somebody unproved: its status, and nothing else of it */
    EAS_VERDICT_UNAUTHORIZED, /* 401: a stale ticket, or our own challenge */
    EAS_VERDICT_REFUSE        /* 502: mutual authentication failed */
};

/*
 * RFC 4559 section 5: who accepts a token proves itself in the response.  Who rejects the request
 * before that (4xx, 5xx) cannot, and a backend that authenticates the connection does it once only; a
 * wrong proof is never right.
 */
enum eas_verdict eas_verdict_on(const struct eas_verdict_facts *facts);

#endif
