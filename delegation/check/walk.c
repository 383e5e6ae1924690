/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/walk.c - the steps of eas-kcd-check in their order */

#include "delegation/check/walk.h"
#include "delegation/check/backend.h"
#include "delegation/check/gateway.h"
#include "delegation/check/http.h"
#include "delegation/check/httpd_user.h"
#include "delegation/check/machine.h"
#include "delegation/check/user.h"

#include <apr_cstr.h>
#include <string.h>

/* The step has passed, and with it the way to the next one. */
static bool passes(struct eas_check *check, void (*step)(struct eas_check *check))
{
    step(check);
    return eas_report_last_passed(check->report);
}

/* --connect is for the SPN of its host, or for the only one. */
static bool is_connected(const struct eas_check *check, const char *spn)
{
    const struct eas_options *options = check->options;
    const char *host = strchr(spn, '/');
    struct eas_http_target target;

    return options->connect != NULL && eas_http_parse(check->pool, options->connect, &target)
           && (check->n_spns == 1
               || (host != NULL && apr_cstr_casecmp(host + 1, target.host) == 0));
}

static void walk_backends(struct eas_check *check)
{
    const struct eas_options *options = check->options;
    int i;

    for (i = 0; i < options->spns->nelts; i++) {
        const char *spn = APR_ARRAY_IDX(options->spns, i, const char *);
        struct eas_ticket *ticket = eas_user_proxy(check, spn);

        if (is_connected(check, spn)) {
            eas_backend_check(check, options->connect, spn, ticket);
        }
        eas_ticket_unref(ticket);
    }
}

static void walk_delegation(struct eas_check *check)
{
    if (!passes(check, eas_user_exists)) {
        return;
    }
    if (!passes(check, eas_user_self)) {
        check->evidence = NULL;
    }
    else if (check->password != NULL) {
        eas_user_log_on(check);
    }
    walk_backends(check);
}

void eas_walk(struct eas_check *check)
{
    bool has_krb5_conf;

    eas_machine_keytab(check);
    has_krb5_conf = passes(check, eas_machine_krb5_conf);
    if (check->keytab == NULL || !has_krb5_conf) {
        return;
    }
    eas_httpd_user_check(check);
    eas_machine_kdcs(check);
    if (!passes(check, eas_gateway_log_on)) {
        if (check->password != NULL) {
            eas_user_compare_key(check);
        }
    }
    else if (passes(check, eas_gateway_own_ticket)) {
        walk_delegation(check);
    }
}
