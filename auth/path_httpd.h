/* SPDX-License-Identifier: Apache-2.0 */
/* auth/path_httpd.h - refusal of paths that the backend may read differently (EasKcdStrictPath) */

#ifndef EAS_AUTH_PATH_HTTPD_H
#define EAS_AUTH_PATH_HTTPD_H

#include <httpd.h>

/*
 * Refuses such a path (auth/base/path.h) with 400 before any authorization, where AuthType EasKcd is in
 * effect, and wherever a server that verifies passwords proxies a request: also in sections that
 * require nothing.
 */
void eas_path_register_hooks(apr_pool_t *pool);

/*
 * The same for the URL that mod_proxy is about to request, since a rewrite rule may have made it.
 * OK, or 400 after logging.
 */
int eas_path_check_url(request_rec *r, const char *url);

#endif
