/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t/benchmark/pings.c - phones that wait for mail: a Ping each, again and again, by TLS
 *
 * pings PORT PHONES AT_ONCE BODY resume|full
 *
 * Each line of the file PHONES is a phone: the body that is its own user's, the path, and the value
 * of Authorization.  BODY is hexadecimal.  So many of the phones connect at once.  A phone whose
 * connection ends comes again without delay, with its newest session of TLS unless "full".
 *
 * Reads commands: "begin N" has N phones in all, "counts" and "stop" answer with a line of JSON.
 * The latter has the paths of the requests, too, whose connection has ended without an answer.
 */

#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum state { AWAY, CONNECTS, SENDS, WAITS };

struct phone {
    struct peer peer;
    char *user, *path, *credentials;
    char *request;
    size_t length;
    enum state state;
    unsigned serial;
};

static struct phone *phones, **queue; /* of those that are to connect */
static size_t count, begun, queue_head, queue_length;
static SSL_CTX *ctx;
static int port;
static unsigned at_once, under_way, waiting;
static bool resumes;
static char body[256];
static size_t body_length;
static char **unanswered;
static unsigned own, unchanged, other, refused, idle, broken, lost, connections, resumed;
static double last_answer;

static void read_phones(const char *name)
{
    FILE *file = fopen(name, "r");
    struct phone phone = { .state = AWAY };

    if (file == NULL) {
        peer_die(name);
    }
    while (fscanf(file, "%ms %ms %m[^\n]", &phone.user, &phone.path, &phone.credentials) == 3) {
        phones = realloc(phones, (count + 1) * sizeof(*phones));
        phones[count++] = phone;
    }
    fclose(file);
    queue = calloc(count, sizeof(*queue));
}

static void come_again(struct phone *phone)
{
    queue[(queue_head + queue_length++) % count] = phone;
}

static void begin(size_t wanted)
{
    while (begun < wanted && begun < count) {
        come_again(&phones[begun++]);
    }
}

static void set_state(struct phone *phone, enum state state)
{
    under_way += (unsigned)(state == CONNECTS) - (unsigned)(phone->state == CONNECTS);
    waiting += (unsigned)(state == WAITS) - (unsigned)(phone->state == WAITS);
    phone->state = state;
}

static void connect_some(void)
{
    while (queue_length > 0 && under_way < at_once) {
        struct phone *phone = queue[queue_head];

        queue_head = (queue_head + 1) % count;
        queue_length--;
        if (!resumes) {
            SSL_SESSION_free(phone->peer.session);
            phone->peer.session = NULL;
        }
        peer_connect(&phone->peer, ctx, (unsigned)(phone - phones), port);
        set_state(phone, CONNECTS);
    }
}

static void leave(struct phone *phone)
{
    free(phone->request);
    phone->request = NULL;
    peer_close(&phone->peer);
    set_state(phone, AWAY);
    come_again(phone);
}

static void write_request(struct phone *phone)
{
    int head =
        asprintf(&phone->request,
                 "POST %s&Try=%u HTTP/1.1\r\nHost: gateway.corp.example.test\r\n"
                 "Authorization: %s\r\nContent-Type: application/vnd.ms-sync.wbxml\r\n"
                 "Content-Length: %zu\r\n\r\n%*s",
                 phone->path, phone->serial, phone->credentials, body_length, (int)body_length, "");

    if (head < 0) {
        peer_die("asprintf");
    }
    phone->length = (size_t)head;
    memcpy(phone->request + phone->length - body_length, body, body_length);
}

static void note_unanswered(struct phone *phone)
{
    unanswered = realloc(unanswered, (lost + 1) * sizeof(*unanswered));
    if (asprintf(&unanswered[lost++], "%s&Try=%u", phone->path, phone->serial) < 0) {
        peer_die("asprintf");
    }
}

static void count_answer(const struct phone *phone, size_t head, size_t length)
{
    const char *answer = phone->peer.in + head;
    int status = 0;

    last_answer = peer_now();
    if (sscanf(phone->peer.in, "HTTP/1.1 %d", &status) != 1 || status != 200) {
        refused++;
    }
    else if (length >= 2 && memcmp(answer, "\x03\x01", 2) == 0) {
        unchanged++;
    }
    else if (length == strlen(phone->user) && memcmp(answer, phone->user, length) == 0) {
        own++;
    }
    else {
        other++;
    }
}

/* Sends the next Ping, unless the connection is seen to have ended. */
static void ask(struct phone *phone)
{
    if (peer_read(&phone->peer) == PEER_ENDED) {
        idle++;
        leave(phone);
        return;
    }
    write_request(phone);
    set_state(phone, SENDS);
}

/* Whether the phone can ask again. */
static bool read_answer(struct phone *phone)
{
    enum peer_result result = peer_read(&phone->peer);
    size_t length = 0, head = peer_message(&phone->peer, &length);
    const char *field;
    bool closes;

    if (head == 0 && result == PEER_AGAIN) {
        return false;
    }
    if (head == 0 && phone->peer.have == 0) {
        note_unanswered(phone);
    }
    else if (head == 0) {
        broken++;
    }
    if (head == 0) {
        phone->serial++;
        leave(phone);
        return false;
    }
    count_answer(phone, head, length);
    phone->serial++;
    field = peer_field(&phone->peer, "Connection");
    closes = field != NULL && strncasecmp(field, "close", 5) == 0;
    if (closes || result == PEER_ENDED) {
        idle += !closes;
        leave(phone);
        return false;
    }
    peer_forget(&phone->peer);
    return true;
}

static void send_request(struct phone *phone)
{
    enum peer_result result = peer_write(&phone->peer, phone->request, phone->length);

    if (result == PEER_AGAIN) {
        return;
    }
    free(phone->request);
    phone->request = NULL;
    if (result == PEER_ENDED) {
        note_unanswered(phone);
        phone->serial++;
        leave(phone);
        return;
    }
    peer_watch(&phone->peer, EPOLLIN);
    set_state(phone, WAITS);
}

static void shake_hands(struct phone *phone)
{
    enum peer_result result = peer_shake_hands(&phone->peer);

    if (result == PEER_ENDED) {
        broken++;
        leave(phone);
    }
    else if (result == PEER_DONE) {
        connections++;
        resumed += (unsigned)SSL_session_reused(phone->peer.ssl);
        ask(phone);
    }
}

static void go_on(struct phone *phone)
{
    if (phone->state == CONNECTS) {
        shake_hands(phone);
    }
    else if (phone->state == WAITS && read_answer(phone)) {
        ask(phone);
    }
    if (phone->state == SENDS) {
        send_request(phone);
    }
}

static void tell(bool all)
{
    printf("{\"waiting\": %u, \"own\": %u, \"unchanged\": %u, \"other\": %u, \"refused\": %u, "
           "\"idle\": %u, \"broken\": %u, \"connections\": %u, \"resumed\": %u, "
           "\"last_answer\": %.6f, \"unanswered\": [",
           waiting, own, unchanged, other, refused, idle, broken, connections, resumed,
           last_answer);
    for (unsigned i = 0; all && i < lost; i++) {
        printf("%s\"%s\"", i > 0 ? ", " : "", unanswered[i]);
    }
    printf("]}\n");
    fflush(stdout);
}

static void obey(const char *line)
{
    size_t wanted;

    if (sscanf(line, "begin %zu", &wanted) == 1) {
        begin(wanted);
        return;
    }
    tell(strcmp(line, "stop") == 0);
    if (strcmp(line, "stop") == 0) {
        exit(0);
    }
}

static void read_body(const char *hex)
{
    if (OPENSSL_hexstr2buf_ex((unsigned char *)body, sizeof(body), &body_length, hex, '\0') != 1) {
        peer_die("BODY");
    }
}

int main(int argc, char **argv)
{
    struct epoll_event events[512];
    bool ends = false;

    if (argc != 6) {
        return 2;
    }
    port = atoi(argv[1]);
    read_phones(argv[2]);
    at_once = (unsigned)atoi(argv[3]);
    read_body(argv[4]);
    resumes = strcmp(argv[5], "resume") == 0;
    ctx = peer_client_context();
    peer_watch_commands();
    while (!ends) {
        int n = peer_wait(events, 512, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr != NULL) {
                go_on(events[i].data.ptr);
            }
            else {
                ends = !peer_commands(obey);
            }
        }
        connect_some();
    }
    return 0;
}
