/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/prepare_httpd.h - target, user, ticket and body of a request */

#ifndef EAS_DELEGATION_PROXY_PREPARE_HTTPD_H
#define EAS_DELEGATION_PROXY_PREPARE_HTTPD_H

#include "delegation/config_httpd.h"
#include "delegation/proxy/body_httpd.h"
#include "delegation/proxy/response_httpd.h"

/* The arguments of mod_proxy's scheme_handler hook. */
struct eas_scheme_call {
    proxy_worker *worker;
    proxy_server_conf *conf;
    char *url;
    const char *proxyhost;
    apr_port_t proxyport;
};

/* In the request's pool. */
struct eas_attempt {
    request_rec *r;
    const struct eas_delegation_dir *conf;
    struct eas_kcd_request request;
    const char *owner;               /* of the backend connection; NULL: none */
    const struct eas_ticket *ticket; /* NULL: the request gets no token */
    struct eas_body *body;           /* NULL without a token */
    int tries;                       /* at this worker */
    struct eas_scheme_call call;
    struct eas_slot *slot; /* its lease during an exchange, or NULL */
    struct eas_park_owner park;
    bool fresh;                   /* not on a kept connection: the backend has closed one */
    struct eas_exchange exchange; /* the last; an attempt can have two */
    struct eas_response response; /* to that exchange */
};

/*
 * The user of EasKcdDelegateCertificate or EasKcdDelegateUser, else the one that AuthType EasKcd
 * authenticated, else that of another module.  *out is NULL without a user.  EAS_OK or
 * EAS_FORBIDDEN.
 */
enum eas_rc eas_prepare_identity(request_rec *r, const struct eas_delegation_dir *conf,
                                 const struct eas_identity **out, struct eas_err *err);

/*
 * Determines the user and gets the ticket.  May block for the KDC.  EAS_OK also without a user or
 * delegation: there is no ticket then.
 */
enum eas_rc eas_prepare_attempt(struct eas_attempt *attempt, request_rec *r,
                                const struct eas_scheme_call *call, struct eas_err *err);

/* Refuses what no backend gets, before a worker can be blamed for it.  OK, or an HTTP status. */
int eas_prepare_check(const struct eas_attempt *attempt);

/* Reads the body of a request with a ticket.  May block for the client.  OK, or an HTTP status. */
int eas_prepare_body(struct eas_attempt *attempt);

/* Sets what the exchanges and responses of the attempt have in common. */
void eas_prepare_exchange(struct eas_attempt *attempt);

/* Gets a ticket, or another one if the attempt has one.  May block for the KDC. */
enum eas_rc eas_prepare_ticket(struct eas_attempt *attempt, struct eas_err *err);

/* Adds the user and the service of the attempt, if they are known, to the text of an error. */
void eas_prepare_name_parties(const struct eas_attempt *attempt, struct eas_err *err);

#endif
