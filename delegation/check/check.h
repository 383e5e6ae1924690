/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/check.h - what the steps of eas-kcd-check share */

#ifndef EAS_DELEGATION_CHECK_CHECK_H
#define EAS_DELEGATION_CHECK_CHECK_H

#include "auth/base/secret.h"
#include "auth/kerberos/service_tgt.h"
#include "delegation/check/options.h"
#include "delegation/check/report.h"

/* All memory is in pool, for the life of the program. */
struct eas_check {
    apr_pool_t *pool;
    const struct eas_options *options;
    int n_spns; /* of all walks */
    struct eas_report *report;
    struct eas_finding_names names; /* as far as they are known */
    struct eas_realms realms;       /* of users */
    struct eas_keytab *keytab;      /* NULL until its step has passed */
    struct eas_service_tgt *service_tgt;
    struct eas_armor *armor;
    struct eas_secret *password; /* of the user, or NULL */
    struct eas_ticket *evidence; /* of the user; NULL: none */
    bool from_password;          /* the evidence */
    bool user_sensitive, user_protected;
    bool may_transition; /* the gateway's account */
};

#endif
