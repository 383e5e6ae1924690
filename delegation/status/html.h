/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/status/html.h - the snapshot as a page for people */

#ifndef EAS_DELEGATION_STATUS_HTML_H
#define EAS_DELEGATION_STATUS_HTML_H

#include "delegation/status/snapshot.h"

/* In pool.  Without script; the style sheet stands in the page. */
const char *eas_html_write(apr_pool_t *pool, const struct eas_snapshot *snapshot);

/* The page's Content-Security-Policy, in pool; NULL if OpenSSL fails. */
const char *eas_html_csp(apr_pool_t *pool);

#endif
