/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/flush_httpd.h - filters below TLS: short writes at once */

#ifndef EAS_DELEGATION_PROXY_FLUSH_HTTPD_H
#define EAS_DELEGATION_PROXY_FLUSH_HTTPD_H

#include <httpd.h>

/*
 * mod_ssl passes a record first, and then the FLUSH bucket that its caller has sent.  In between, httpd
 * sets short data aside, in a pool that it makes for that and keeps as long as the connection.  The
 * filters add a FLUSH bucket to the record, so that there is no such pool.
 *
 * To a client, only while a third of the socket's buffer is free, which has room for a short record:
 * a FLUSH bucket would hold the thread of a slow one.
 */
void eas_flush_register_hooks(apr_pool_t *pool);

/* The section of a request parks.  From now on, clients' connections of this process have the filter. */
void eas_flush_clients(void);

#endif
