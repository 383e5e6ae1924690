/* SPDX-License-Identifier: Apache-2.0 */
/* t/benchmark/peer.c - non-blocking connections with TLS and HTTP/1.1: clients and a backend */

#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define HOST "gateway.corp.example.test"
#define PART ((size_t)2048) /* of memory, beyond what has come */

double peer_now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

_Noreturn void peer_die(const char *what)
{
    perror(what);
    exit(1);
}

/* --- epoll -------------------------------------------------------------------------------- */

static int poller(void)
{
    static int made = -1;

    if (made < 0) {
        signal(SIGPIPE, SIG_IGN); /* one that has left is a failed write */
        made = epoll_create1(EPOLL_CLOEXEC);
    }
    if (made < 0) {
        peer_die("epoll");
    }
    return made;
}

int peer_wait(struct epoll_event *events, int most, int milliseconds)
{
    int found = epoll_wait(poller(), events, most, milliseconds);

    return found < 0 ? 0 : found;
}

void peer_watch(struct peer *peer, unsigned events)
{
    struct epoll_event event = { .events = events, .data.ptr = peer };

    if (peer->events != events
        && epoll_ctl(poller(), peer->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, peer->fd, &event)
               != 0) {
        peer_die("epoll_ctl");
    }
    peer->events = events;
}

void peer_watch_commands(void)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };

    if (epoll_ctl(poller(), EPOLL_CTL_ADD, STDIN_FILENO, &event) != 0) {
        peer_die("standard input");
    }
}

bool peer_commands(void (*call)(const char *line))
{
    static char text[256];
    static size_t have;
    ssize_t got = read(STDIN_FILENO, text + have, sizeof(text) - 1 - have);
    char *end;

    if (got <= 0) {
        return false;
    }
    have += (size_t)got;
    text[have] = '\0';
    while ((end = strchr(text, '\n')) != NULL) {
        *end = '\0';
        call(text);
        have -= (size_t)(end + 1 - text);
        memmove(text, end + 1, have + 1);
    }
    return have < sizeof(text) - 1;
}

/* --- connections -------------------------------------------------------------------------- */

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct peer *peer = SSL_get_app_data(ssl);

    SSL_SESSION_free(peer->session);
    peer->session = session;
    return 1;
}

SSL_CTX *peer_client_context(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
    SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    return ctx;
}

static void begin(struct peer *peer, SSL_CTX *ctx, int fd)
{
    int on = 1;

    peer->fd = fd;
    peer->events = 0;
    peer->ssl = SSL_new(ctx);
    if (peer->ssl == NULL || SSL_set_fd(peer->ssl, fd) != 1
        || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0) {
        peer_die("SSL");
    }
    SSL_set_app_data(peer->ssl, peer);
    SSL_set_quiet_shutdown(peer->ssl, 1);
}

void peer_connect(struct peer *peer, SSL_CTX *ctx, unsigned number, int port)
{
    struct sockaddr_in own = { .sin_family = AF_INET,
                               .sin_addr.s_addr =
                                   htonl(0x7f010001 + number / 250 * 256 + number % 250) };
    struct sockaddr_in gateway = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) != 0
        || bind(fd, (struct sockaddr *)&own, sizeof(own)) != 0
        || (connect(fd, (struct sockaddr *)&gateway, sizeof(gateway)) != 0
            && errno != EINPROGRESS)) {
        peer_die("connect");
    }
    begin(peer, ctx, fd);
    SSL_set_tlsext_host_name(peer->ssl, HOST);
    if (peer->session != NULL) {
        SSL_set_session(peer->ssl, peer->session);
    }
    SSL_set_connect_state(peer->ssl);
    peer_watch(peer, EPOLLOUT);
}

void peer_accept(struct peer *peer, SSL_CTX *ctx, int fd)
{
    begin(peer, ctx, fd);
    SSL_set_accept_state(peer->ssl);
    peer_watch(peer, EPOLLIN);
}

void peer_close(struct peer *peer)
{
    SSL_shutdown(peer->ssl);
    SSL_free(peer->ssl);
    close(peer->fd);
    peer->ssl = NULL;
    peer_forget(peer);
}

/* --- TLS ---------------------------------------------------------------------------------- */

static enum peer_result outcome(struct peer *peer, int result)
{
    switch (SSL_get_error(peer->ssl, result)) {
    case SSL_ERROR_NONE:
        return PEER_DONE;
    case SSL_ERROR_WANT_READ:
        peer_watch(peer, EPOLLIN);
        return PEER_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        peer_watch(peer, EPOLLOUT);
        return PEER_AGAIN;
    default:
        return PEER_ENDED;
    }
}

enum peer_result peer_shake_hands(struct peer *peer)
{
    ERR_clear_error();
    return outcome(peer, SSL_do_handshake(peer->ssl));
}

enum peer_result peer_write(struct peer *peer, const char *data, size_t length)
{
    ERR_clear_error();
    return outcome(peer, SSL_write(peer->ssl, data, (int)length));
}

enum peer_result peer_read(struct peer *peer)
{
    int got;

    do {
        if (peer->room - peer->have < PART) {
            peer->room = peer->have + 2 * PART;
            peer->in = realloc(peer->in, peer->room);
        }
        if (peer->in == NULL || peer->have > PEER_LIMIT) {
            return PEER_ENDED;
        }
        ERR_clear_error();
        got = SSL_read(peer->ssl, peer->in + peer->have, (int)(peer->room - peer->have - 1));
        peer->have += got > 0 ? (size_t)got : 0;
        peer->in[peer->have] = '\0';
    } while (got > 0);
    if (peer->have == 0) {
        peer_forget(peer);
    }
    return outcome(peer, got);
}

void peer_forget(struct peer *peer)
{
    free(peer->in);
    peer->in = NULL;
    peer->have = peer->room = 0;
}

/* --- HTTP --------------------------------------------------------------------------------- */

const char *peer_field(const struct peer *peer, const char *name)
{
    const char *line = peer->in, *end = strstr(line, "\r\n\r\n");
    size_t length = strlen(name);

    while (end != NULL && line < end && (line = strstr(line, "\r\n")) != NULL && line < end) {
        line += strlen("\r\n");
        if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
            line += length + 1;
            return line + strspn(line, " ");
        }
    }
    return NULL;
}

size_t peer_message(const struct peer *peer, size_t *body)
{
    const char *end = peer->have > 0 ? strstr(peer->in, "\r\n\r\n") : NULL, *length;
    size_t head;

    if (end == NULL) {
        return 0;
    }
    head = (size_t)(end + strlen("\r\n\r\n") - peer->in);
    length = peer_field(peer, "Content-Length");
    *body = length == NULL ? 0 : strtoul(length, NULL, 10);
    return *body <= peer->have - head ? head : 0;
}
