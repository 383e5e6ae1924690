/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/wait.h - wait for a backend's response while the client is still there */

#ifndef EAS_DELEGATION_PROXY_WAIT_H
#define EAS_DELEGATION_PROXY_WAIT_H

#include <apr_time.h>
#include <stdbool.h>
#include <stddef.h>

/* The descriptors of two sockets. */
struct eas_wait {
    int backend;
    int client;        /* -1: it has no socket of its own */
    bool reads_client; /* the caller reads what the client sends: TLS may hide its end there */
};

enum eas_wait_event {
    EAS_WAIT_TIMEUP,
    EAS_WAIT_BACKEND,       /* the backend has sent something */
    EAS_WAIT_BACKEND_ENDED, /* the backend has closed the connection, perhaps after a response */
    EAS_WAIT_CLIENT,        /* the client has sent something, and reads_client is true */
    EAS_WAIT_CLIENT_LEFT    /* the client has closed or reset its connection, or its half of it */
};

/*
 * Waits in one poll() for whatever comes first; the backend precedes.  max below 0 is no limit; a wait
 * of more than 24 days may end early.
 *
 * A client that closes its half of the connection only has left, too: nothing but the next write
 * would tell the two apart.  Data that it has sent before, such as pipelined requests, hide its end
 * from a read, but not from poll().
 */
enum eas_wait_event eas_wait_poll(const struct eas_wait *wait, apr_interval_time_t max);

/* Whether the peer has closed the connection, and nothing of it is left to read. */
bool eas_wait_is_closed(int socket);

/*
 * Whether a line from the backend begins its response.  It does not if it belongs to an interim
 * response (1xx) or is blank.
 */
bool eas_wait_is_over(const char *line, size_t len);

/* Whether more lines of an interim response's head follow a line; was_interim is for the one before. */
bool eas_wait_is_interim(const char *line, size_t len, bool was_interim);

#endif
