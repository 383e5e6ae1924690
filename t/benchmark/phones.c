/* SPDX-License-Identifier: Apache-2.0 */
/* t/benchmark/phones.c - TLS clients that return, each with its session of TLS
 *
 * phones PORT SESSIONS AT_ONCE SECONDS < lines of path and value of Authorization
 *
 * Each line is a phone, with an address of its own.  So many of them connect at once.  A phone that
 * is told 503 comes again after Retry-After, and one whose connection fails after a second.  The
 * file SESSIONS has the sessions of TLS from the run before, if any, and gets those of this one.
 * Prints one line of JSON when all are served, or the time is over.
 */

#include "peer.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATUSES 600
#define AGAIN_AFTER_FAILURE 1.0

enum state { WAITS, SHAKES_HANDS, SENDS, READS, SERVED };

struct phone {
    struct peer peer;
    char *request;
    enum state state;
    double due;    /* the next try */
    double served; /* 0: not yet */
};

static struct phone *phones;
static size_t count;
static SSL_CTX *ctx;
static int port;
static unsigned statuses[STATUSES], failures, resumed, under_way;

static void read_phones(void)
{
    char line[4096], path[2048], credentials[1024];

    while (fgets(line, sizeof(line), stdin) != NULL) {
        if (sscanf(line, "%2047s %1023[^\n]", path, credentials) != 2) {
            peer_die("line");
        }
        phones = realloc(phones, (count + 1) * sizeof(*phones));
        memset(&phones[count], 0, sizeof(*phones));
        if (asprintf(&phones[count].request,
                     "GET %s HTTP/1.1\r\nHost: gateway.corp.example.test\r\n"
                     "Connection: close\r\n"
                     "User-Agent: Apple-iPhone15C2/2101.50\r\nAuthorization: %s\r\n\r\n",
                     path, credentials)
            < 0) {
            peer_die("asprintf");
        }
        count++;
    }
}

static void read_sessions(const char *name)
{
    FILE *file = fopen(name, "r");
    size_t i;

    for (i = 0; file != NULL && i < count; i++) {
        phones[i].peer.session = PEM_read_SSL_SESSION(file, NULL, NULL, NULL);
    }
    if (file != NULL) {
        fclose(file);
    }
}

static void write_sessions(const char *name)
{
    FILE *file = fopen(name, "w");
    size_t i;

    for (i = 0; file != NULL && i < count && phones[i].peer.session != NULL; i++) {
        PEM_write_SSL_SESSION(file, phones[i].peer.session);
    }
    if (file == NULL || fclose(file) != 0) {
        peer_die(name);
    }
}

static void connect_phone(struct phone *phone)
{
    peer_connect(&phone->peer, ctx, (unsigned)(phone - phones), port);
    phone->state = SHAKES_HANDS;
    under_way++;
}

static void end_try(struct phone *phone, enum state next, double due)
{
    peer_close(&phone->peer);
    under_way--;
    phone->state = next;
    phone->due = due;
}

static void fail(struct phone *phone)
{
    failures++;
    end_try(phone, WAITS, peer_now() + AGAIN_AFTER_FAILURE);
}

/* The connection has ended; a response without a body is one, too. */
static void conclude(struct phone *phone)
{
    const char *after;
    int status = 0;

    if (phone->peer.have == 0 || sscanf(phone->peer.in, "HTTP/1.1 %d", &status) != 1 || status <= 0
        || status >= STATUSES) {
        fail(phone);
        return;
    }
    statuses[status]++;
    after = peer_field(&phone->peer, "Retry-After");
    if (status == 503 && after != NULL) {
        end_try(phone, WAITS, peer_now() + atof(after));
        return;
    }
    phone->served = peer_now();
    end_try(phone, SERVED, 0);
}

static void go_on(struct phone *phone)
{
    enum peer_result result = PEER_DONE;

    if (phone->state == SHAKES_HANDS) {
        result = peer_shake_hands(&phone->peer);
        if (result == PEER_DONE) {
            resumed += (unsigned)SSL_session_reused(phone->peer.ssl);
            phone->state = SENDS;
        }
    }
    if (phone->state == SENDS) {
        result = peer_write(&phone->peer, phone->request, strlen(phone->request));
        if (result == PEER_DONE) {
            phone->state = READS;
            peer_watch(&phone->peer, EPOLLIN);
        }
    }
    if (phone->state == READS && peer_read(&phone->peer) == PEER_ENDED) {
        conclude(phone);
    }
    else if (result == PEER_ENDED) {
        fail(phone);
    }
}

/* How many are not served; begins the tries that are due. */
static size_t begin_tries(unsigned at_once)
{
    double time = peer_now();
    size_t i, left = 0;

    for (i = 0; i < count; i++) {
        if (phones[i].state == WAITS && phones[i].due <= time && under_way < at_once) {
            connect_phone(&phones[i]);
        }
        left += phones[i].state != SERVED;
    }
    return left;
}

static void run(unsigned at_once, double until)
{
    struct epoll_event events[512];
    double looked = 0;
    size_t left = count;
    int i, n;

    while (left > 0 && peer_now() < until) {
        /* Seldom, because it looks at all of them. */
        if (peer_now() - looked > 0.02 || under_way < at_once / 2) {
            left = begin_tries(at_once);
            looked = peer_now();
        }
        n = peer_wait(events, 512, 20);
        for (i = 0; i < n; i++) {
            go_on(events[i].data.ptr);
        }
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void report(double began)
{
    double *times = calloc(count + 1, sizeof(*times));
    size_t i, n = 0;
    const char *comma = "";

    for (i = 0; i < count; i++) {
        if (phones[i].served > 0) {
            times[n++] = phones[i].served - began;
        }
    }
    qsort(times, n, sizeof(*times), compare);
    printf("{\"served\": %zu, \"failures\": %u, \"resumed\": %u, \"p50\": %.3f, \"p99\": %.3f, "
           "\"worst\": %.3f, \"statuses\": {",
           n, failures, resumed, n > 0 ? times[n / 2] : 0, n > 0 ? times[n * 99 / 100] : 0,
           n > 0 ? times[n - 1] : 0);
    for (i = 0; i < STATUSES; i++) {
        if (statuses[i] > 0) {
            printf("%s\"%zu\": %u", comma, i, statuses[i]);
            comma = ", ";
        }
    }
    printf("}}\n");
}

int main(int argc, char **argv)
{
    double began;

    if (argc != 5) {
        return 2;
    }
    port = atoi(argv[1]);
    ctx = peer_client_context();
    read_phones();
    read_sessions(argv[2]);
    began = peer_now();
    run((unsigned)atoi(argv[3]), began + atof(argv[4]));
    report(began);
    write_sessions(argv[2]);
    return 0;
}
