/* SPDX-License-Identifier: Apache-2.0 */
/* auth/activesync/rules_httpd.h - Require eas-command, eas-device-type, eas-device-id, eas-user-match */

#ifndef EAS_AUTH_ACTIVESYNC_RULES_HTTPD_H
#define EAS_AUTH_ACTIVESYNC_RULES_HTTPD_H

#include "auth/base/error.h"

#include <httpd.h>
#include <http_config.h>
#include <mod_auth.h>
#include <stdbool.h>

/*
 * The rules are authorization providers for mod_authz_core.  In any combination of them:
 *  - a rule grants nothing without a user: an evaluated rule makes httpd authenticate the request;
 *  - a rule that cannot be evaluated refuses the request, also inside <RequireNone>;
 *  - the refusal of a user is 403, also where httpd itself would send 401 or 500.
 */

/* A line `Require eas-…`. */
struct eas_rule {
    const char *text; /* as it is written */
    bool asserted;    /* false if the rule is, or may be, inside a negation */
};

/* UNCLEAR: the request lacks the value, or the expression failed. */
enum eas_rules_match { EAS_RULES_NO_MATCH, EAS_RULES_MATCH, EAS_RULES_UNCLEAR };

/* The rule of a line that is being read. */
struct eas_rule eas_rules_read(cmd_parms *cmd, const char *line);

/* For a request without a user: nothing is granted, and httpd authenticates it. */
authz_status eas_rules_require_user(request_rec *r);

/* Whether the rule refuses on its own. */
bool eas_rules_refuses(const struct eas_rule *rule, enum eas_rules_match match);

/*
 * The result of a rule.  refusal is the reason where it refuses; it is copied.  Its class gives the
 * status, such as EAS_FORBIDDEN.  about_device permits ActiveSync's own status.
 */
authz_status eas_rules_conclude(request_rec *r, const struct eas_rule *rule,
                                enum eas_rules_match match, const struct eas_err *refusal,
                                bool about_device);

/*
 * The final status for a request that Require has refused with `status`.  If a rule was the reason:
 * 403 after logging; or DONE, after sending 200 with the ActiveSync status of a blocked device.
 */
int eas_rules_answer(request_rec *r, int status);

void eas_rules_register_hooks(apr_pool_t *pool);

#endif
