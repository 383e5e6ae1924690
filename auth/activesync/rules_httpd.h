/* SPDX-License-Identifier: Apache-2.0 */
/* auth/activesync/rules_httpd.h - Require eas-command, eas-device-type, eas-device-id, eas-user-match */

#ifndef EAS_AUTH_ACTIVESYNC_RULES_HTTPD_H
#define EAS_AUTH_ACTIVESYNC_RULES_HTTPD_H

#include <httpd.h>

/*
 * The rules are authorization providers for mod_authz_core.  In any combination of them:
 *  - a rule grants nothing without a user: an evaluated rule makes httpd authenticate the request;
 *  - a rule that cannot be evaluated refuses the request, also inside <RequireNone>;
 *  - the refusal of a user is 403, also where httpd itself would send 401 or 500.
 */

/*
 * The final status for a request that Require has refused with `status`.  If a rule was the reason:
 * 403 after logging; or DONE, after sending 200 with the ActiveSync status of a blocked device.
 */
int eas_rules_answer(request_rec *r, int status);

void eas_rules_register_hooks(apr_pool_t *pool);

#endif
