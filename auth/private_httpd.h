/* SPDX-License-Identifier: Apache-2.0 */
/* auth/private_httpd.h - Cache-Control: private for responses that a log-on changes */

#ifndef EAS_AUTH_PRIVATE_HTTPD_H
#define EAS_AUTH_PRIVATE_HTTPD_H

#include <httpd.h>

/*
 * Keeps the response out of shared caches; the quick handler of mod_cache would serve it before
 * authentication.  For use before the handler runs.
 *
 * A response without a user is marked, too: a cache would give it to users, in whose names the backend
 * answers otherwise.  `Vary` alone would not do.  Some caches ignore it, and the answer may depend on
 * the client's address (`Satisfy Any`, Require ip).
 */
void eas_private_mark(request_rec *r);

void eas_private_register_hooks(apr_pool_t *pool);

#endif
