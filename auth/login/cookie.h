/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/cookie.h - Cookie and Set-Cookie header values (RFC 6265) */

#ifndef EAS_AUTH_LOGIN_COOKIE_H
#define EAS_AUTH_LOGIN_COOKIE_H

#include <apr_pools.h>
#include <stdbool.h>

/*
 * The value of a Set-Cookie header; with value NULL, of one that takes the cookie away.  `secure` is
 * false only where TLS ends before us and plain HTTP arrives, and is then still overruled by a name
 * with a prefix that demands it (__Host-, __Secure-).  In pool.
 */
const char *eas_cookie_format(apr_pool_t *pool, const char *name, const char *value, bool secure);

/*
 * The value in pool, if a Cookie header (NULL: none) has exactly one cookie of this name; of several
 * none can be trusted.  Strict: pairs between semicolons, quotes protect nothing (RFC 6265 5.4), and
 * the name exactly as browsers send it.  Any leniency, such as for the commas by which httpd joins
 * several headers, would let the value of some other cookie smuggle in one that passes for ours.
 */
enum eas_cookie_count { EAS_COOKIE_NONE, EAS_COOKIE_ONE, EAS_COOKIE_MANY };
enum eas_cookie_count eas_cookie_find(apr_pool_t *pool, const char *header, const char *name,
                                      const char **value_out);

/*
 * The header, in pool, without what a reader of any leniency could take for a cookie of this name:
 * also after a comma, with blanks or control characters around the name, or without a '='.  All else
 * is byte by byte as it was.  NULL if no cookie is left.
 */
const char *eas_cookie_strip(apr_pool_t *pool, const char *header, const char *name);

#endif
