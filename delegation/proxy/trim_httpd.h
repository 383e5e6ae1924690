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

#endif
