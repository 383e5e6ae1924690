/* SPDX-License-Identifier: Apache-2.0 */
/* t/benchmark/peer.h - non-blocking connections with TLS and HTTP/1.1: clients and a backend */

#ifndef PEER_H
#define PEER_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>

#define PEER_LIMIT ((size_t)32 << 10) /* of a message */

/* One end of a connection.  A program's own struct begins with it. */
struct peer {
    SSL *ssl;             /* NULL: no connection */
    SSL_SESSION *session; /* of a client, for its next connection */
    int fd;
    unsigned events; /* that epoll waits for */
    char *in;        /* what has come, with a NUL behind it */
    size_t have, room;
};

enum peer_result { PEER_DONE, PEER_AGAIN, PEER_ENDED };

double peer_now(void);

/* Ends the program. */
_Noreturn void peer_die(const char *what);

/* Waits at most so long; at most so many events.  The peer of standard input is NULL. */
int peer_wait(struct epoll_event *events, int most, int milliseconds);

/* Has epoll watch standard input.  peer_commands() calls back for each line; false: its end. */
void peer_watch_commands(void);
bool peer_commands(void (*call)(const char *line));

/* For epoll_wait() to return it, as for a socket that listens. */
void peer_watch(struct peer *peer, unsigned events);

/* Clients keep their newest session in struct peer; sessions that end without an alert, too. */
SSL_CTX *peer_client_context(void);

/* Begins a connection to 127.0.0.1, from the address of the client with that number. */
void peer_connect(struct peer *peer, SSL_CTX *ctx, unsigned number, int port);

/* Begins the server's end of a connection. */
void peer_accept(struct peer *peer, SSL_CTX *ctx, int fd);

/* Forgets the connection and what has come on it, and keeps the session. */
void peer_close(struct peer *peer);

/* PEER_AGAIN: epoll waits for what is needed. */
enum peer_result peer_shake_hands(struct peer *peer);
enum peer_result peer_write(struct peer *peer, const char *data, size_t length);

/* All that has come; PEER_AGAIN while more may come. */
enum peer_result peer_read(struct peer *peer);

/* The length of the head that begins *in, if it and its body by Content-Length are there; or 0. */
size_t peer_message(const struct peer *peer, size_t *body);

/* A field's value in a head, up to its line's end; or NULL. */
const char *peer_field(const struct peer *peer, const char *name);

/* Forgets all that has come. */
void peer_forget(struct peer *peer);

#endif
