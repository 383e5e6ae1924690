/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/walk.c - the steps of eas-kcd-check in their order */

#include "delegation/check/walk.h"
#include "delegation/check/gateway.h"
#include "delegation/check/machine.h"
#include "delegation/check/user.h"

/* The step has passed, and with it the way to the next one. */
static bool passes(struct eas_check *check, void (*step)(struct eas_check *check))
{
    step(check);
    return eas_report_last_passed(check->report);
}

static void walk_delegation(struct eas_check *check)
{
    int i;

    if (!passes(check, eas_user_exists)) {
        return;
    }
    if (!passes(check, eas_user_self)) {
        check->evidence = NULL;
    }
    for (i = 0; i < check->options->spns->nelts; i++) {
        eas_ticket_unref(
            eas_user_proxy(check, APR_ARRAY_IDX(check->options->spns, i, const char *)));
    }
}

void eas_walk(struct eas_check *check)
{
    bool has_krb5_conf;

    eas_machine_keytab(check);
    has_krb5_conf = passes(check, eas_machine_krb5_conf);
    if (check->keytab == NULL || !has_krb5_conf) {
        return;
    }
    eas_machine_kdcs(check);
    if (passes(check, eas_gateway_log_on) && passes(check, eas_gateway_own_ticket)) {
        walk_delegation(check);
    }
}
