/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/placeholder_httpd.h - the text that stands in a head where the token will be */

#ifndef EAS_DELEGATION_PROXY_PLACEHOLDER_HTTPD_H
#define EAS_DELEGATION_PROXY_PLACEHOLDER_HTTPD_H

#include <apr_buckets.h>

/* The value of the Authorization header until the outgoing-connection filter puts a token there. */
const char *eas_placeholder(void);

/* Splits the placeholder off into a bucket of its own.  NULL if there is none. */
apr_bucket *eas_placeholder_split_off(apr_bucket_brigade *bb);

void eas_placeholder_child_init(apr_pool_t *pchild);

#endif
