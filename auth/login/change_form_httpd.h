/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/change_form_httpd.h - form for a new password, below EasKcdLoginPath */

#ifndef EAS_AUTH_LOGIN_CHANGE_FORM_HTTPD_H
#define EAS_AUTH_LOGIN_CHANGE_FORM_HTTPD_H

#include <apr_pools.h>

/*
 * A log-on with an expired password leads here, one with an expiring password by way of here, and a
 * link of the login page where EasKcdPasswordChange is On.  The form has the old password once more,
 * because nothing keeps it meanwhile.  The same rules hold as for the login form: TLS, token,
 * throttle.  After a change all sessions of the user have ended, and one begins with the new
 * password.
 */
void eas_change_form_register_hooks(apr_pool_t *pool);

#endif
