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

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define HOST "gateway.corp.example.test"
#define STATUSES 600
#define AGAIN_AFTER_FAILURE 1.0

enum state { WAITS, CONNECTS, SHAKES_HANDS, SENDS, READS, SERVED };

struct phone {
    char *request;
    SSL *ssl;
    SSL_SESSION *session;
    int fd;
    enum state state;
    double due;    /* the next try */
    double served; /* 0: not yet */
    char head[1024];
    size_t have;
};

static struct phone *phones;
static size_t count;
static SSL_CTX *ctx;
static int poller;
static struct sockaddr_in gateway;
static unsigned statuses[STATUSES], failures, resumed, under_way;

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct phone *phone = SSL_get_app_data(ssl);

    SSL_SESSION_free(phone->session);
    phone->session = session;
    return 1;
}

static void read_phones(void)
{
    char line[4096], path[2048], credentials[1024];

    while (fgets(line, sizeof(line), stdin) != NULL) {
        if (sscanf(line, "%2047s %1023[^\n]", path, credentials) != 2) {
            die("line");
        }
        phones = realloc(phones, (count + 1) * sizeof(*phones));
        memset(&phones[count], 0, sizeof(*phones));
        if (asprintf(&phones[count].request,
                     "GET %s HTTP/1.1\r\nHost: " HOST "\r\nConnection: close\r\n"
                     "User-Agent: Apple-iPhone15C2/2101.50\r\nAuthorization: %s\r\n\r\n",
                     path, credentials)
            < 0) {
            die("asprintf");
        }
        count++;
    }
}

static void read_sessions(const char *name)
{
    FILE *file = fopen(name, "r");
    size_t i;

    for (i = 0; file != NULL && i < count; i++) {
        phones[i].session = PEM_read_SSL_SESSION(file, NULL, NULL, NULL);
    }
    if (file != NULL) {
        fclose(file);
    }
}

static void write_sessions(const char *name)
{
    FILE *file = fopen(name, "w");
    size_t i;

    for (i = 0; file != NULL && i < count && phones[i].session != NULL; i++) {
        PEM_write_SSL_SESSION(file, phones[i].session);
    }
    if (file == NULL || fclose(file) != 0) {
        die(name);
    }
}

static void watch(struct phone *phone, unsigned events, int how)
{
    struct epoll_event event = { .events = events, .data.ptr = phone };

    epoll_ctl(poller, how, phone->fd, &event);
}

static void connect_phone(struct phone *phone)
{
    unsigned number = (unsigned)(phone - phones);
    struct sockaddr_in own = { .sin_family = AF_INET,
                               .sin_addr.s_addr =
                                   htonl(0x7f010001 + number / 250 * 256 + number % 250) };
    int on = 1;

    phone->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (phone->fd < 0
        || setsockopt(phone->fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) != 0
        || bind(phone->fd, (struct sockaddr *)&own, sizeof(own)) != 0
        || (connect(phone->fd, (struct sockaddr *)&gateway, sizeof(gateway)) != 0
            && errno != EINPROGRESS)) {
        die("connect");
    }
    phone->ssl = SSL_new(ctx);
    SSL_set_app_data(phone->ssl, phone);
    SSL_set_fd(phone->ssl, phone->fd);
    SSL_set_tlsext_host_name(phone->ssl, HOST);
    SSL_set_quiet_shutdown(phone->ssl, 1);
    if (phone->session != NULL) {
        SSL_set_session(phone->ssl, phone->session);
    }
    SSL_set_connect_state(phone->ssl);
    phone->state = CONNECTS;
    phone->have = 0;
    under_way++;
    watch(phone, EPOLLOUT, EPOLL_CTL_ADD);
}

static void end_try(struct phone *phone, enum state next, double due)
{
    SSL_shutdown(phone->ssl);
    SSL_free(phone->ssl);
    close(phone->fd);
    under_way--;
    phone->state = next;
    phone->due = due;
}

static void fail(struct phone *phone)
{
    failures++;
    end_try(phone, WAITS, now() + AGAIN_AFTER_FAILURE);
}

/* The connection has ended; a response without a body is one, too. */
static void conclude(struct phone *phone)
{
    const char *after = strcasestr(phone->head, "\r\nRetry-After:");
    int status = 0;

    if (sscanf(phone->head, "HTTP/1.1 %d", &status) != 1 || status <= 0 || status >= STATUSES) {
        fail(phone);
        return;
    }
    statuses[status]++;
    if (status == 503 && after != NULL) {
        end_try(phone, WAITS, now() + atof(after + strlen("\r\nRetry-After:")));
        return;
    }
    phone->served = now();
    end_try(phone, SERVED, 0);
}

static void read_response(struct phone *phone)
{
    char rest[4096];
    int got;

    do {
        got = SSL_read(phone->ssl, rest, sizeof(rest));
        if (got > 0 && phone->have < sizeof(phone->head) - 1) {
            size_t room = sizeof(phone->head) - 1 - phone->have;
            size_t part = (size_t)got < room ? (size_t)got : room;

            memcpy(phone->head + phone->have, rest, part);
            phone->have += part;
            phone->head[phone->have] = '\0';
        }
    } while (got > 0);
    if (SSL_get_error(phone->ssl, got) != SSL_ERROR_WANT_READ) {
        conclude(phone);
    }
}

static void go_on(struct phone *phone)
{
    int result = 1;

    if (phone->state == CONNECTS || phone->state == SHAKES_HANDS) {
        phone->state = SHAKES_HANDS;
        result = SSL_do_handshake(phone->ssl);
        if (result == 1) {
            resumed += (unsigned)SSL_session_reused(phone->ssl);
            phone->state = SENDS;
        }
    }
    if (phone->state == SENDS) {
        result = SSL_write(phone->ssl, phone->request, (int)strlen(phone->request));
        if (result > 0) {
            phone->state = READS;
            phone->head[0] = '\0';
            watch(phone, EPOLLIN, EPOLL_CTL_MOD);
        }
    }
    if (phone->state == READS) {
        read_response(phone);
        return;
    }
    switch (SSL_get_error(phone->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        watch(phone, EPOLLIN, EPOLL_CTL_MOD);
        break;
    case SSL_ERROR_WANT_WRITE:
        watch(phone, EPOLLOUT, EPOLL_CTL_MOD);
        break;
    default:
        fail(phone);
    }
}

/* How many are not served; begins the tries that are due. */
static size_t begin_tries(unsigned at_once)
{
    double time = now();
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

    while (left > 0 && now() < until) {
        /* Seldom, because it looks at all of them. */
        if (now() - looked > 0.02 || under_way < at_once / 2) {
            left = begin_tries(at_once);
            looked = now();
        }
        n = epoll_wait(poller, events, 512, 20);
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
    gateway.sin_family = AF_INET;
    gateway.sin_port = htons((uint16_t)atoi(argv[1]));
    gateway.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    poller = epoll_create1(0);
    ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
    SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
    read_phones();
    read_sessions(argv[2]);
    began = now();
    run((unsigned)atoi(argv[3]), began + atof(argv[4]));
    report(began);
    write_sessions(argv[2]);
    return 0;
}
