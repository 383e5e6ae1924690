/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/escape.h - escapes of HTML */

#ifndef EAS_AUTH_LOGIN_ESCAPE_H
#define EAS_AUTH_LOGIN_ESCAPE_H

#include <apr_pools.h>

/* The value for a text or a quoted attribute; "" for NULL. */
const char *eas_escape_html(apr_pool_t *pool, const char *value);

/* Likewise, and characters beyond ASCII as references, for a page of an unknown encoding. */
const char *eas_escape_ascii(apr_pool_t *pool, const char *value);

#endif
