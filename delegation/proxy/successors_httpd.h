/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/successors_httpd.h - whether processes of a restart exist, and accept connections */

#ifndef EAS_DELEGATION_PROXY_SUCCESSORS_HTTPD_H
#define EAS_DELEGATION_PROXY_SUCCESSORS_HTTPD_H

#include <stdbool.h>

/* Whether the MPM has made a process of the generation that runs.  Reads the scoreboard. */
bool eas_successors_exist(void);

/*
 * For a process that is to end.  Whether a process of the next generation accepts connections; true
 * as well if there is none, because the server stops or the process ends alone.  A process of the
 * old generation closes its sockets at once, and the MPM waits for up to a second before it makes
 * new ones (event.c, server_main_loop()).  Reads the scoreboard and does not block.  Any thread.
 */
bool eas_successors_accept(void);

#endif
