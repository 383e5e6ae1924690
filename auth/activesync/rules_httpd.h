/* SPDX-License-Identifier: Apache-2.0 */
/* auth/activesync/rules_httpd.h - Require eas-command, eas-device-type, eas-device-id, eas-user-match */

#ifndef EAS_AUTH_ACTIVESYNC_RULES_HTTPD_H
#define EAS_AUTH_ACTIVESYNC_RULES_HTTPD_H

#include <httpd.h>

/*
 * Who may do what with which device, for mod_authz_core to combine.  Three promises, however they are
 * combined:
 *  - nothing is granted to nobody: where one of them was looked at, a user is asked for;
 *  - what cannot be judged is refused, also inside of <RequireNone>, which would make a yes of a no;
 *  - the refusal of a user is 403, also where httpd by itself would say 401 or 500.
 */

/*
 * The answer to a request that Require has refused with this status: the same, or if one of our rules
 * was the reason 403, logged, or 200 with the ActiveSync status for a blocked device; then it is DONE.
 */
int eas_rules_answer(request_rec *r, int status);

void eas_rules_register_hooks(apr_pool_t *pool);

#endif
