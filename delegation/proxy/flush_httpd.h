/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/flush_httpd.h - filter below the TLS of a backend's connection: short writes at once */

#ifndef EAS_DELEGATION_PROXY_FLUSH_HTTPD_H
#define EAS_DELEGATION_PROXY_FLUSH_HTTPD_H

#include <httpd.h>

/*
 * mod_ssl passes a record first, and then the FLUSH bucket that its caller has sent.  In between, httpd
 * sets short data aside, in a pool that it makes for that and keeps as long as the connection.  The
 * filter adds a FLUSH bucket to the record, so that there is no such pool.
 */
void eas_flush_register_hooks(apr_pool_t *pool);

#endif
