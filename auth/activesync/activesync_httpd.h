/* SPDX-License-Identifier: Apache-2.0 */
/* auth/activesync/activesync_httpd.h - ActiveSync's query, read once for each request */

#ifndef EAS_AUTH_ACTIVESYNC_ACTIVESYNC_HTTPD_H
#define EAS_AUTH_ACTIVESYNC_ACTIVESYNC_HTTPD_H

#include <apr_pools.h>

/*
 * Registers the hook that reads the query of an ActiveSync request (EasKcdParseEas), before anything
 * is asked of the client.  It puts the query into the request's record (auth/request_httpd.h) and
 * sets the variables EAS_COMMAND to EAS_POLICY_KEY.  A malformed query is 400.
 */
void eas_activesync_register_hooks(apr_pool_t *pool);

#endif
