/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/wipe_httpd.h - httpd's copies of a client's credentials, cleansed after use */

#ifndef EAS_AUTH_BASE_WIPE_HTTPD_H
#define EAS_AUTH_BASE_WIPE_HTTPD_H

#include <apr_buckets.h>

/* Cleanses the data of buckets from the input filters, in httpd's or mod_ssl's own buffer. */
void eas_wipe_buckets(const apr_bucket_brigade *bb);

/*
 * The Authorization of a request is cleansed at its end, and OpenSSL's plaintext when mod_ssl has
 * read it.  What remains is listed in operating.md: buffers of httpd and of mod_ssl.
 */
void eas_wipe_register_hooks(apr_pool_t *pool);

#endif
