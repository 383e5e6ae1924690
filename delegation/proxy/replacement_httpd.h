/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/replacement_httpd.h - new processes at once where old ones have parked requests */

#ifndef EAS_DELEGATION_PROXY_REPLACEMENT_HTTPD_H
#define EAS_DELEGATION_PROXY_REPLACEMENT_HTTPD_H

#include <apr_pools.h>

/*
 * At a graceful restart the old processes close their listening sockets.  The MPM then makes a new
 * one for each old one that has ended; if none has, it first sleeps for a second in select()
 * (ap_wait_or_timeout(), event.c server_main_loop()).  Processes with parked requests end later, so
 * nobody would accept connections for that second.
 *
 * A thread of the parent process ends this sleep by a signal, SIGURG with a handler that does
 * nothing, if requests are parked and no new process has come.  The MPM goes on as after the
 * second.  The thread ends before the next configuration is read, or the module unloaded.
 */
void eas_replacement_register_hooks(apr_pool_t *pool);

#endif
