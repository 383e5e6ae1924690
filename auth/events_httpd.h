/* SPDX-License-Identifier: Apache-2.0 */
/* auth/events_httpd.h - EasKcdEventLog: one JSON line for each decision */

#ifndef EAS_AUTH_EVENTS_HTTPD_H
#define EAS_AUTH_EVENTS_HTTPD_H

#include <apr_time.h>
#include <httpd.h>
#include <stdbool.h>

/*
 * Rooms note facts of a request in its record (auth/request_httpd.h), and a hook at its end writes
 * the events.  A line is one write(), which waits for no program that reads a pipe; for a file, it
 * waits as that of any log does.  A line that finds no room is dropped and counted (EAS1074).
 */
struct eas_events_log;

/* A log for the argument of EasKcdEventLog; not yet open. */
struct eas_events_log *eas_events_log_make(apr_pool_t *pconf, const char *arg);

/*
 * Opens the logs, with the privileges that httpd starts with, and attaches the shared memory.  OK,
 * or HTTP_INTERNAL_SERVER_ERROR after logging.
 */
int eas_events_post_config(apr_pool_t *pconf, server_rec *main_server);

/* The KDCs of a realm have fallen silent, or answer again.  For each log of the process. */
void eas_events_outage(const server_rec *main_server, const char *realm, bool begins,
                       apr_interval_time_t lasted, unsigned refused);

void eas_events_register_hooks(apr_pool_t *pool);

#endif
