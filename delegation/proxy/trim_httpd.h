/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/trim_httpd.h - free memory of a connection, given back while it waits */

#ifndef EAS_DELEGATION_PROXY_TRIM_HTTPD_H
#define EAS_DELEGATION_PROXY_TRIM_HTTPD_H

#include <httpd.h>

/*
 * Each connection of the event MPM has an allocator, which keeps what is freed for the connection's
 * next use: up to MaxMemFree.  Only the connection's thread may call these.
 */

/* Gives it back, and keeps nothing until eas_trim_end(). */
void eas_trim_begin(const conn_rec *c);
void eas_trim_end(const conn_rec *c);

/*
 * Gives back OpenSSL's buffers of a backend's connection, of which a read has just found nothing.  A
 * session ticket has OpenSSL allocate the one for writes, 16 KB, which only a write would free.
 */
void eas_trim_backend(const conn_rec *c);

void eas_trim_register_hooks(apr_pool_t *pool);

#endif
