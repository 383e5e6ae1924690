/* SPDX-License-Identifier: Apache-2.0 */
/* auth/request_httpd.h - what all glue shares: the module's name, the request's record, refusals */

#ifndef EAS_AUTH_REQUEST_HTTPD_H
#define EAS_AUTH_REQUEST_HTTPD_H

#include "auth/base/error.h"
#include "auth/identity.h"

#include <httpd.h>
#include <http_config.h>
#include <http_log.h>

extern module AP_MODULE_DECLARE_DATA eas_kcd_module;
APLOG_USE_MODULE(eas_kcd);

/* Seconds after which a phone may ask again when the trouble is ours. */
#define EAS_RETRY_AFTER "30"

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

/*
 * Logs the error once, with its tag, at the level of its class, sets EAS_KCD_ERROR and, where the
 * trouble is ours, Retry-After.  Returns the HTTP status that the class stands for: 400, 401, 403, 502
 * or 503.
 */
int eas_log_refuse(request_rec *r, const struct eas_err *err);

/* Only logs it and sets EAS_KCD_ERROR: somebody else makes the answer. */
void eas_log_error(request_rec *r, const struct eas_err *err);

/* Logs an error of start-up for a server; the caller stops the start. */
void eas_log_startup(const server_rec *s, const struct eas_err *err);

/* EAS_KCD_KDC_US: adds to what the request has waited for the KDC. */
void eas_request_waited(request_rec *r, apr_interval_time_t waited);

#endif
