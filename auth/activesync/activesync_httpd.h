/* SPDX-License-Identifier: Apache-2.0 */
/* auth/activesync/activesync_httpd.h - hook that parses the query of an ActiveSync request */

#ifndef EAS_AUTH_ACTIVESYNC_ACTIVESYNC_HTTPD_H
#define EAS_AUTH_ACTIVESYNC_ACTIVESYNC_HTTPD_H

#include <apr_pools.h>

/*
 * The hook parses the query of an ActiveSync request (EasKcdParseEas) before authentication.  It
 * stores the query in the request's record (auth/request_httpd.h) and sets the variables
 * EAS_COMMAND to EAS_POLICY_KEY.  The response to a malformed query is 400.
 */
void eas_activesync_register_hooks(apr_pool_t *pool);

#endif
