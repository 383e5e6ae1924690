/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/path.h - URL paths that httpd and the backend may read differently */

#ifndef EAS_AUTH_BASE_PATH_H
#define EAS_AUTH_BASE_PATH_H

#include <apr_pools.h>

/*
 * httpd authorizes the path as it reads it; http.sys, IIS and ASP.NET resolve the path as they read
 * it.  A path that the two may read differently leaves its section, so it is refused.
 *
 * Returns NULL if all of them read the path alike, else the cause, for a log.  The path is raw, as in
 * the request line, without query; len octets of any value.  Scratch is in pool.  Refused are:
 *  - a backslash, a slash or a control character, escaped or (but for the slash) raw: http.sys turns
 *    each backslash into a slash (KB 896287) and resolves dot segments afterwards;
 *  - an escape that decodes to another escape, `%u`, and a malformed escape: .NET decodes again;
 *  - octets that are no UTF-8, and characters that a Windows code page maps to a slash, backslash,
 *    dot or percent sign ("best fit");
 *  - a dot segment that is escaped, has path parameters (`..;`), or stands in a path with an empty
 *    segment: httpd merges slashes before it resolves dots, http.sys does not;
 *  - a segment that ends with a dot or a blank, or has only these: Win32 drops them;
 *  - `(S(…))` and its kind, which ASP.NET removes from the path as a cookieless session;
 *  - an NTFS stream (`:$`, `::`) and a short name (`~1`).
 */
const char *eas_path_ambiguity(apr_pool_t *pool, const char *path, apr_size_t len);

#endif
