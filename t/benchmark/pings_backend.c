/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t/benchmark/pings_backend.c - a backend that accepts Kerberos, and has Pings wait
 *
 * pings_backend PORT CERTIFICATE KEY, with KRB5_KTNAME and KRB5RCACHENAME
 *
 * Each answer is the user whom the token of its request authenticates.  A Ping waits for the
 * command "change".  That command and "counts" answer with a line of JSON.
 */

#include "peer.h"

#include <arpa/inet.h>
#include <gssapi/gssapi.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 8192
#define HEAD_MOST 16384

enum state { SHAKES_HANDS, READS, WAITS, SENDS };

struct connection {
    struct peer peer;
    enum state state;
    char *answer;
    size_t length;
    struct connection *next, *previous; /* among those that wait */
};

static struct connection waiters = { .next = &waiters, .previous = &waiters };
static struct peer door;
static SSL_CTX *ctx;
static gss_cred_id_t credentials;
static bool changed;
static unsigned accepted, handshakes, resumed, requests, refused, waiting;

/* --- Kerberos ----------------------------------------------------------------------------- */

static bool name_of(gss_name_t name, char *user, size_t room)
{
    gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
    OM_uint32 minor;
    bool good = gss_display_name(&minor, name, &text, NULL) == GSS_S_COMPLETE && text.length < room;

    if (good) {
        memcpy(user, text.value, text.length);
        user[text.length] = '\0';
    }
    gss_release_buffer(&minor, &text);
    return good;
}

/* The user, and the reply to the token in base64, of which both are empty if it is no good. */
static bool accept_token(gss_buffer_desc *token, char *user, size_t room, char *reply)
{
    gss_ctx_id_t context = GSS_C_NO_CONTEXT;
    gss_buffer_desc out = GSS_C_EMPTY_BUFFER;
    gss_name_t name = GSS_C_NO_NAME;
    OM_uint32 minor;
    bool good =
        gss_accept_sec_context(&minor, &context, credentials, token, GSS_C_NO_CHANNEL_BINDINGS,
                               &name, NULL, &out, NULL, NULL, NULL)
            == GSS_S_COMPLETE
        && name_of(name, user, room) && out.length < HEAD_MOST / 2;

    reply[0] = '\0';
    if (good) {
        EVP_EncodeBlock((unsigned char *)reply, out.value, (int)out.length);
    }
    gss_release_buffer(&minor, &out);
    gss_release_name(&minor, &name);
    gss_delete_sec_context(&minor, &context, GSS_C_NO_BUFFER);
    return good;
}

static bool authenticate(const struct peer *peer, char *user, size_t room, char *reply)
{
    static unsigned char decoded[PEER_LIMIT];
    const char *value = peer_field(peer, "Authorization");
    gss_buffer_desc token = { 0, decoded };
    size_t length;
    int got;

    if (value == NULL || strncasecmp(value, "Negotiate ", 10) != 0) {
        return false;
    }
    value += 10;
    length = strcspn(value, "\r");
    got = EVP_DecodeBlock(decoded, (const unsigned char *)value, (int)length);
    if (got <= 2) {
        return false;
    }
    token.length = (size_t)got - (value[length - 1] == '=') - (value[length - 2] == '=');
    return accept_token(&token, user, room, reply);
}

/* --- a connection ------------------------------------------------------------------------- */

static void stop_waiting(struct connection *connection)
{
    if (connection->state == WAITS) {
        connection->next->previous = connection->previous;
        connection->previous->next = connection->next;
        waiting--;
    }
}

static void begin_waiting(struct connection *connection)
{
    connection->state = WAITS;
    connection->next = &waiters;
    connection->previous = waiters.previous;
    connection->previous->next = waiters.previous = connection;
    waiting++;
}

static void leave(struct connection *connection)
{
    stop_waiting(connection);
    peer_close(&connection->peer);
    free(connection->answer);
    free(connection);
}

static void send_answer(struct connection *connection)
{
    enum peer_result result = peer_write(&connection->peer, connection->answer, connection->length);

    if (result == PEER_ENDED) {
        leave(connection);
    }
    else if (result == PEER_DONE) {
        free(connection->answer);
        connection->answer = NULL;
        connection->state = READS;
        peer_watch(&connection->peer, EPOLLIN);
    }
}

static void write_answer(struct connection *connection)
{
    static char reply[HEAD_MOST];
    char user[256];
    bool good = authenticate(&connection->peer, user, sizeof(user), reply);
    int length = good ? asprintf(&connection->answer,
                                 "HTTP/1.1 200 OK\r\nWWW-Authenticate: Negotiate %s\r\n"
                                 "Content-Type: application/vnd.ms-sync.wbxml\r\n"
                                 "Content-Length: %zu\r\n\r\n%s",
                                 reply, strlen(user), user)
                      : asprintf(&connection->answer,
                                 "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate\r\n"
                                 "Content-Length: 0\r\n\r\n");

    if (length < 0) {
        peer_die("asprintf");
    }
    refused += !good;
    connection->length = (size_t)length;
}

static void read_request(struct connection *connection)
{
    enum peer_result result = peer_read(&connection->peer);
    const char *command;
    size_t body;
    bool waits;

    if (result == PEER_ENDED) {
        leave(connection);
        return;
    }
    if (connection->state == WAITS || peer_message(&connection->peer, &body) == 0) {
        return;
    }
    requests++;
    write_answer(connection);
    command = strstr(connection->peer.in, "Cmd=Ping");
    waits = command != NULL && command < strstr(connection->peer.in, "\r\n");
    peer_forget(&connection->peer);
    if (waits) {
        begin_waiting(connection);
        return;
    }
    connection->state = SENDS;
    send_answer(connection);
}

static void go_on(struct connection *connection)
{
    enum peer_result result = PEER_DONE;

    if (connection->state == SHAKES_HANDS) {
        result = peer_shake_hands(&connection->peer);
        if (result == PEER_DONE) {
            connection->state = READS;
            handshakes++;
            resumed += (unsigned)SSL_session_reused(connection->peer.ssl);
        }
        else if (result == PEER_ENDED) {
            leave(connection);
        }
        return;
    }
    if (connection->state == SENDS) {
        send_answer(connection);
        return;
    }
    read_request(connection);
}

/* --- all of them -------------------------------------------------------------------------- */

static void accept_connections(void)
{
    int fd;

    while ((fd = accept4(door.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *connection = calloc(1, sizeof(*connection));

        accepted++;
        peer_accept(&connection->peer, ctx, fd);
    }
}

static void obey(const char *line)
{
    printf("{\"accepted\": %u, \"handshakes\": %u, \"resumed\": %u, \"requests\": %u, "
           "\"refused\": %u, \"waiting\": %u}\n",
           accepted, handshakes, resumed, requests, refused, waiting);
    fflush(stdout);
    changed = changed || strcmp(line, "change") == 0;
}

/* Not while events of those connections are at hand. */
static void change(void)
{
    struct connection *connection;

    changed = false;
    while ((connection = waiters.next) != &waiters) {
        stop_waiting(connection);
        connection->state = SENDS;
        send_answer(connection);
    }
}

static void open_door(int port)
{
    struct sockaddr_in own = { .sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int on = 1;

    door.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (door.fd < 0 || setsockopt(door.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0
        || bind(door.fd, (struct sockaddr *)&own, sizeof(own)) != 0
        || listen(door.fd, BACKLOG) != 0) {
        peer_die("listen");
    }
    peer_watch(&door, EPOLLIN);
}

static void start(char **argv)
{
    OM_uint32 minor;

    ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_use_certificate_chain_file(ctx, argv[2]) != 1
        || SSL_CTX_use_PrivateKey_file(ctx, argv[3], SSL_FILETYPE_PEM) != 1) {
        peer_die("certificate");
    }
    if (gss_acquire_cred(&minor, GSS_C_NO_NAME, GSS_C_INDEFINITE, GSS_C_NO_OID_SET, GSS_C_ACCEPT,
                         &credentials, NULL, NULL)
        != GSS_S_COMPLETE) {
        peer_die("keytab");
    }
    open_door(atoi(argv[1]));
    peer_watch_commands();
}

int main(int argc, char **argv)
{
    struct epoll_event events[512];
    bool ends = false;

    if (argc != 4) {
        return 2;
    }
    start(argv);
    while (!ends) {
        int n = peer_wait(events, 512, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == &door) {
                accept_connections();
            }
            else if (events[i].data.ptr != NULL) {
                go_on(events[i].data.ptr);
            }
            else {
                ends = !peer_commands(obey);
            }
        }
        if (changed) {
            change();
        }
    }
    return 0;
}
