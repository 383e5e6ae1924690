/* SPDX-License-Identifier: Apache-2.0 */
/* auth/request_httpd.h - the module's record of a request */

#ifndef EAS_AUTH_REQUEST_HTTPD_H
#define EAS_AUTH_REQUEST_HTTPD_H

#include "auth/base/log_httpd.h"
#include "auth/identity.h"

#include <httpd.h>

struct eas_query;
struct eas_body;

/* What the last of our rules (Require eas-…) said that was looked at. */
struct eas_rule_result {
    const char *text;  /* the rule, if it refuses; else NULL */
    const char *value; /* what the request has for it, or NULL */
    bool unclear;      /* refused because it could not be judged */
    bool about_device;
};

/* What the module knows about a request; one for each request_rec, in its pool. */
struct eas_request {
    const struct eas_identity *identity; /* proved by us or taken from another module, or NULL */
    apr_interval_time_t kdc_waited;      /* microseconds spent waiting for the KDC so far */
    bool authorizing;                    /* the other modules' auth_checker hooks are running */
    bool private_response;               /* no cache may keep the response */
    const struct eas_query *query;       /* what an ActiveSync request asks for, or NULL */
    struct eas_body *body;               /* what is kept of it for the backends, or NULL */
    struct eas_rule_result rule;
    bool wants_user; /* a rule of ours was looked at before there was a user */
    int refused;     /* the status by which AuthType EasKcd refused, or 0 */
};

/* The request's record; made at the first call. */
struct eas_request *eas_request_of(request_rec *r);

/*
 * Whom our own half proved for this request, or for the one that it is part of: httpd hands r->user
 * on to subrequests and internal redirects below the same configuration.  NULL if nobody.
 */
const struct eas_identity *eas_request_identity(const request_rec *r);

/*
 * The status by which the request was refused whose error page this one is, or 0: httpd redirects to
 * error pages internally, and neither asks for a user again below the same configuration nor knows
 * below another that the answer is no.
 */
int eas_request_refused_before(const request_rec *r);

/* The query of an ActiveSync request; NULL if it is none or has none, as OPTIONS. */
const struct eas_query *eas_request_query(const request_rec *r);

/* Whether the request is read as ActiveSync's (EasKcdParseEas). */
bool eas_request_is_activesync(const request_rec *r);

/*
 * How long the backend may be silent before or during its response (EasKcdCommandTimeout); 0 if the
 * request is not ActiveSync's.
 */
apr_interval_time_t eas_request_timeout(const request_rec *r);

/* EAS_KCD_KDC_US: adds to what the request has waited for the KDC. */
void eas_request_waited(request_rec *r, apr_interval_time_t waited);

#endif
