/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/front_end.h - headers and cookies that only Exchange's own front end sends */

#ifndef EAS_DELEGATION_PROXY_FRONT_END_H
#define EAS_DELEGATION_PROXY_FRONT_END_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <stdbool.h>

/*
 * Exchange's services believe these headers and cookies of their front end: they name a mailbox, a
 * token or a server (CVE-2021-26855, CVE-2021-33766, CVE-2021-34473).  A client that sends one beside
 * a user's token speaks for somebody else, so none of them passes.  The list with its reasons stands
 * in the reference, EasKcdStripHeaders.
 *
 * Names are compared without letter case, and with `_` and `.` for `-`: servers that hand headers on
 * as variables (CGI, WSGI) do not tell them apart.
 */

/* Whether a name is plain: letters, digits and `-_.` (EasKcdStripHeaders). */
bool eas_front_end_is_name(const char *name);

/*
 * Removes the headers of the built-in list and of the names (of const char *, or NULL for none), but
 * for names with a leading `-`, which pass.  Of several entries for one header the first decides.
 */
void eas_front_end_strip(apr_pool_t *pool, apr_table_t *headers, const apr_array_header_t *names);

#endif
