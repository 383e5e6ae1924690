/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/cookie.h - Cookie and Set-Cookie header values (RFC 6265) */

#ifndef EAS_AUTH_BASE_COOKIE_H
#define EAS_AUTH_BASE_COOKIE_H

#include <apr_tables.h>
#include <stdbool.h>

/*
 * A Set-Cookie header value, in pool; value NULL deletes the cookie.  `secure` is false only where
 * TLS ends before httpd.  The name prefixes __Host- and __Secure- require the Secure attribute, and
 * set it in any case.
 */
const char *eas_cookie_format(apr_pool_t *pool, const char *name, const char *value, bool secure);

/*
 * All Cookie lines as one, joined as RFC 6265bis 5.8 does; NULL without any.  httpd leaves one line
 * of the client's, and mod_headers may add others.  In pool.
 */
const char *eas_cookie_header(apr_pool_t *pool, const apr_table_t *headers);

/* Sets this Cookie line as the only one; NULL: none. */
void eas_cookie_set_header(apr_table_t *headers, const char *header);

/*
 * Finds the cookie of a name in a Cookie header (NULL: no header), and copies its value into pool.
 * The value is set only if there is exactly one, because several cannot be distinguished.
 *
 * Parsing is strict: semicolons separate pairs, quotes have no meaning (RFC 6265 5.4), and the name
 * compares exactly.  A lenient parser would accept a part of another cookie's value as the cookie;
 * for example at the commas by which httpd joins several headers.
 */
enum eas_cookie_count { EAS_COOKIE_NONE, EAS_COOKIE_ONE, EAS_COOKIE_MANY };
enum eas_cookie_count eas_cookie_find(apr_pool_t *pool, const char *header, const char *name,
                                      const char **value_out);

/*
 * The Cookie header without each part that even a lenient parser could read as the cookie: also
 * after a comma, without a '=', in another letter case (ASP.NET), or with blanks or control
 * characters around the name.  All other
 * bytes remain unchanged.  In pool; NULL if no cookie is left.
 */
const char *eas_cookie_strip(apr_pool_t *pool, const char *header, const char *name);

#endif
