/* SPDX-License-Identifier: Apache-2.0 */
/* auth/request_httpd.h - record of a request */

#ifndef EAS_AUTH_REQUEST_HTTPD_H
#define EAS_AUTH_REQUEST_HTTPD_H

#include "auth/base/log_httpd.h"
#include "auth/identity.h"

#include <httpd.h>

struct eas_query;
struct eas_body;

/* The result of the last evaluated rule (Require eas-…). */
struct eas_rule_result {
    const struct eas_err *refusal; /* the reason, if the rule refuses; else NULL */
    bool unclear;                  /* refuses because it could not be evaluated */
    bool about_device;
};

/* Facts for the event log (auth/events_httpd.h). */
enum eas_request_event {
    EAS_REQUEST_LOCKOUT = 1,  /* of the account, for throttled_for */
    EAS_REQUEST_ADDRESS = 2,  /* of the client's address, for address_throttled_for */
    EAS_REQUEST_SIGN_OUT = 4, /* of the account */
    EAS_REQUEST_UNLOCK = 8,   /* of the account, by an administrator */
    EAS_REQUEST_CHANGE = 16,  /* of the password of `changed` */
};

/* One for each request_rec, in its pool. */
struct eas_request {
    const struct eas_identity *identity; /* from this or another module, or NULL */
    apr_interval_time_t kdc_waited;      /* time spent waiting for KDCs so far */
    bool kdc_waited_shown;               /* by a variable */
    apr_interval_time_t parked;          /* time spent without a thread so far */
    bool authorizing;                    /* the auth_checker hooks of other modules are running */
    bool private_response;               /* no cache may keep the response */
    const struct eas_query *query;       /* of an ActiveSync request, or NULL */
    struct eas_body *body; /* the kept request body (delegation/proxy/body_httpd.h), or NULL */
    int workers_tried;     /* by mod_proxy, for this request */
    bool next_worker;      /* mod_proxy is to try another (delegation/proxy/failover_httpd.h) */
    struct eas_rule_result rule;
    bool needs_user;     /* a rule was evaluated without a user */
    int refused;         /* the status of a refusal by AuthType EasKcd, or 0 */
    bool authn_done;     /* AuthType EasKcd has authenticated the request, or refused it */
    int authn_status;    /* the result of that */
    unsigned events;     /* enum eas_request_event */
    const char *account; /* that these are about, or whose password was refused; NULL: unknown */
    const char *changed; /* the user whose password the request has changed; NULL: none */
    apr_interval_time_t throttled_for;
    apr_interval_time_t address_throttled_for;
};

/* Variables of each request with a user; others are set by apr_table_setn(). */
enum eas_request_variable {
    EAS_REQUEST_USER,
    EAS_REQUEST_ACCOUNT,
    EAS_REQUEST_UPN,
    EAS_REQUEST_AUTH,
    EAS_REQUEST_TRUST,
    EAS_REQUEST_KDC_US,
    EAS_REQUEST_SPN,
    EAS_REQUEST_TICKET
};

/*
 * Sets EAS_KCD_…, as apr_table_setn() does.  That would compare the name with each of the others,
 * which begin alike.
 */
void eas_request_set(request_rec *r, enum eas_request_variable variable, const char *value);

/* The record of the request, which the first call creates. */
struct eas_request *eas_request_of(request_rec *r);

/*
 * The identity that auth/ authenticated for this request, or for its main or previous request:
 * httpd passes r->user to subrequests and internal redirects with the same configuration.  Or NULL.
 */
const struct eas_identity *eas_request_identity(const request_rec *r);

/*
 * If the request is an error page: the status of the refusal before it, else 0.  httpd redirects to
 * an error page internally.  It does not authenticate again under the same configuration, and does
 * not know of the refusal under another one.
 */
int eas_request_refused_before(const request_rec *r);

/* The query, or NULL: not an ActiveSync request, or one without a query, as OPTIONS. */
const struct eas_query *eas_request_query(const request_rec *r);

/* Whether the request is an ActiveSync request (EasKcdParseEas). */
bool eas_request_is_activesync(const request_rec *r);

/*
 * The longest silence of the backend before or during its response (EasKcdCommandTimeout,
 * EasKcdTimeout); 0: that of the worker.
 */
apr_interval_time_t eas_request_timeout(const request_rec *r);

/*
 * The device of a request that the backend may keep waiting, such as a Ping; empty if the query has
 * none.  NULL for all other requests.
 */
const char *eas_request_waiting_device(const request_rec *r);

/*
 * ActiveSync's answer to a Ping that nothing has changed; in the request's pool.  NULL for all other
 * commands.
 */
const char *eas_request_unchanged(const request_rec *r, apr_size_t *len_out);

/* Adds to the request's time of waiting for KDCs, and sets EAS_KCD_KDC_US. */
void eas_request_waited(request_rec *r, apr_interval_time_t waited);

#endif
