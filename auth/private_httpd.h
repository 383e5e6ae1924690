/* SPDX-License-Identifier: Apache-2.0 */
/* auth/private_httpd.h - Cache-Control: private for responses to an authenticated user */

#ifndef EAS_AUTH_PRIVATE_HTTPD_H
#define EAS_AUTH_PRIVATE_HTTPD_H

#include <httpd.h>

/*
 * Keeps the response out of shared caches; the quick handler of mod_cache would serve it before
 * authentication.  For use before the handler runs.
 */
void eas_private_mark(request_rec *r);

void eas_private_register_hooks(apr_pool_t *pool);

#endif
