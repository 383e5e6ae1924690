/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/coalesce_httpd.h - filter above the TLS of a client: head and body in one bucket */

#ifndef EAS_DELEGATION_PROXY_COALESCE_HTTPD_H
#define EAS_DELEGATION_PROXY_COALESCE_HTTPD_H

#include <httpd.h>

/*
 * httpd sends a head by itself, and mod_ssl makes a buffer of 8 KB to wait for the body in, which it
 * keeps as long as the connection.  On connections whose requests may park, the filter does that
 * wait, in memory that it frees after it.
 */
void eas_coalesce_register_hooks(apr_pool_t *pool);

#endif
