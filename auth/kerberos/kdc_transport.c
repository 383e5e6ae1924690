/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/kdc_transport.c - one message to a KDC over TCP, and its reply */

#include "auth/kerberos/kdc_transport.h"
#include "auth/base/clock.h"
#include "auth/base/notes.h"
#include "auth/kerberos/kdc_message.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A connection that takes longer has lost a SYN, or its KDC is down. */
#define CONNECT_PATIENCE apr_time_from_msec(300)

/* As in libkrb5 (sendto_kdc.c); the largest PAC of AD is some 64 KB. */
#define REPLY_MAX ((size_t)1024 * 1024)

/* poll() takes an int of milliseconds. */
#define POLL_MAX apr_time_from_sec(3600)

#define LENGTH_SIZE 4

/* Of most replies, all; of a longer one, the length that says how much more there is. */
#define FIRST_READ ((size_t)4096)

#define KDC_ERR_SVC_UNAVAILABLE 29

enum state { CONNECTING, CONNECTED, SENDING, RECEIVING, FAILED };

/* The exchange with one address. */
struct attempt {
    const struct eas_kdc_address *address;
    enum state state;
    int fd;
    bool overtaken; /* counts as failed until it answers */
    apr_time_t began, sent_at;
    size_t sent, received; /* with the length */
    unsigned char *reply;  /* with its length, until it is whole */
    size_t room, reply_len;
};

struct exchange {
    const struct eas_kdc_transport_request *request;
    unsigned char *frame; /* the message with its length */
    size_t frame_len;
    struct attempt attempts[EAS_KDC_HEALTH_ADDRESSES];
    unsigned count;  /* of attempts begun */
    bool lost;       /* a guess may have arrived, and no reply will come */
    int answered_by; /* -1: none yet */
};

static void note_answered(const struct exchange *exchange, const struct attempt *attempt)
{
    apr_interval_time_t took = eas_clock_now() - attempt->sent_at;

    eas_kdc_health_answered(attempt->address, took);
    if (exchange->request->realm != NULL) {
        eas_notes_kdc_answered(attempt->address->text, exchange->request->realm, took,
                               apr_time_now());
    }
}

static void note_failed(const struct exchange *exchange, const struct attempt *attempt)
{
    eas_kdc_health_failed(attempt->address, eas_clock_now());
    if (exchange->request->realm != NULL) {
        eas_notes_kdc_failed(attempt->address->text, exchange->request->realm, apr_time_now());
    }
}

static void fail(struct exchange *exchange, struct attempt *attempt)
{
    note_failed(exchange, attempt);
    exchange->lost = exchange->lost || (exchange->request->guess && attempt->sent > 0);
    close(attempt->fd);
    attempt->fd = -1;
    attempt->state = FAILED;
}

static void begin(struct exchange *exchange, apr_time_t now)
{
    struct attempt *attempt = &exchange->attempts[exchange->count];
    const struct eas_kdc_address *address = &exchange->request->addresses->at[exchange->count];

    exchange->count++;
    memset(attempt, 0, sizeof(*attempt));
    attempt->address = address;
    attempt->began = now;
    attempt->state = CONNECTING;
    attempt->fd = socket(address->socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (attempt->fd >= 0
        && connect(attempt->fd, (const struct sockaddr *)&address->socket, address->len) == 0) {
        attempt->state = CONNECTED;
    }
    else if (attempt->fd < 0 || errno != EINPROGRESS) {
        fail(exchange, attempt);
    }
}

static bool would_block(ssize_t n)
{
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
}

static void send_more(struct exchange *exchange, struct attempt *attempt)
{
    ssize_t n = send(attempt->fd, exchange->frame + attempt->sent,
                     exchange->frame_len - attempt->sent, MSG_NOSIGNAL);

    if (n > 0) {
        attempt->sent += (size_t)n;
        if (attempt->sent == exchange->frame_len) {
            attempt->state = RECEIVING;
        }
    }
    else if (!would_block(n)) {
        fail(exchange, attempt);
    }
}

/* The latest attempt that has the message and may still reply, or NULL. */
static struct attempt *latest_sent(struct exchange *exchange)
{
    struct attempt *latest = NULL;
    unsigned i;

    for (i = 0; i < exchange->count; i++) {
        struct attempt *attempt = &exchange->attempts[i];

        if ((attempt->state == SENDING || attempt->state == RECEIVING)
            && (latest == NULL || attempt->sent_at > latest->sent_at)) {
            latest = attempt;
        }
    }
    return latest;
}

static struct attempt *find(struct exchange *exchange, enum state state)
{
    unsigned i;

    for (i = 0; i < exchange->count; i++) {
        if (exchange->attempts[i].state == state) {
            return &exchange->attempts[i];
        }
    }
    return NULL;
}

static void overtake(const struct exchange *exchange, struct attempt *attempt)
{
    if (!attempt->overtaken) {
        attempt->overtaken = true;
        note_failed(exchange, attempt);
    }
}

/* Gives the message to a further KDC if that is due.  Returns the time of the next look. */
static apr_time_t proceed(struct exchange *exchange, apr_time_t now)
{
    const struct eas_kdc_transport_request *request = exchange->request;
    struct attempt *last, *ready, *sent = latest_sent(exchange);
    apr_time_t silent_at =
        sent == NULL ? now : sent->sent_at + eas_kdc_health_patience(sent->address);

    if (sent != NULL && now < silent_at) {
        return silent_at;
    }
    if (sent != NULL) {
        overtake(exchange, sent);
        if (request->guess) {
            return request->until;
        }
    }
    ready = find(exchange, CONNECTED);
    if (ready != NULL) {
        ready->state = SENDING;
        ready->sent_at = now;
        send_more(exchange, ready); /* a new connection has room */
        return now;
    }
    last = exchange->count > 0 ? &exchange->attempts[exchange->count - 1] : NULL;
    if (last != NULL && last->state == CONNECTING) {
        if (now < last->began + CONNECT_PATIENCE) {
            return last->began + CONNECT_PATIENCE;
        }
        overtake(exchange, last);
    }
    if (exchange->count < request->addresses->count) {
        begin(exchange, now);
        return now;
    }
    return request->until;
}

static bool is_over(struct exchange *exchange)
{
    return exchange->answered_by >= 0 || exchange->lost
           || (exchange->count == exchange->request->addresses->count
               && latest_sent(exchange) == NULL && find(exchange, CONNECTED) == NULL
               && find(exchange, CONNECTING) == NULL);
}

static bool is_reply(const struct exchange *exchange, struct eas_bytes octets)
{
    return exchange->request->is_reply != NULL
               ? exchange->request->is_reply(octets)
               : eas_kdc_message_is_reply(octets)
                     && eas_kdc_message_error(octets) != KDC_ERR_SVC_UNAVAILABLE;
}

static void finish_reply(struct exchange *exchange, struct attempt *attempt)
{
    if (!is_reply(exchange, eas_bytes_make(attempt->reply, attempt->reply_len))) {
        fail(exchange, attempt);
    }
    else {
        note_answered(exchange, attempt);
        exchange->answered_by = (int)(attempt - exchange->attempts);
    }
}

/* The octets of the reply and its length; FIRST_READ while that is unknown, 0 for a wrong one. */
static size_t whole_size(const struct attempt *attempt)
{
    const unsigned char *p = attempt->reply;
    size_t len;

    if (attempt->received < LENGTH_SIZE) {
        return FIRST_READ;
    }
    len = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    return len == 0 || len > REPLY_MAX ? 0 : LENGTH_SIZE + len;
}

static bool make_room(struct attempt *attempt, size_t size)
{
    unsigned char *larger;

    if (size <= attempt->room) {
        return true;
    }
    larger = realloc(attempt->reply, size);
    if (larger == NULL) {
        return false;
    }
    attempt->reply = larger;
    attempt->room = size;
    return true;
}

static void receive_more(struct exchange *exchange, struct attempt *attempt)
{
    size_t size = whole_size(attempt), wanted = size - attempt->received;
    ssize_t n;

    if (!make_room(attempt, size)) {
        fail(exchange, attempt);
        return;
    }
    n = recv(attempt->fd, attempt->reply + attempt->received, wanted, 0);
    if (n <= 0) {
        if (!would_block(n)) {
            fail(exchange, attempt);
        }
        return;
    }
    attempt->received += (size_t)n;
    size = whole_size(attempt);
    if (size == 0) {
        fail(exchange, attempt);
    }
    else if (attempt->received >= size) {
        attempt->reply_len = size - LENGTH_SIZE;
        memmove(attempt->reply, attempt->reply + LENGTH_SIZE, attempt->reply_len);
        finish_reply(exchange, attempt);
    }
    else if ((size_t)n == wanted) {
        receive_more(exchange, attempt); /* mostly, all has come at once */
    }
}

static void advance(struct exchange *exchange, struct attempt *attempt, short events)
{
    switch (attempt->state) {
    case CONNECTING:
        attempt->state = CONNECTED;
        if (events & (POLLERR | POLLHUP)) {
            fail(exchange, attempt);
        }
        break;
    case SENDING:
        send_more(exchange, attempt);
        break;
    case RECEIVING:
        receive_more(exchange, attempt);
        break;
    case CONNECTED: /* the KDC has closed, or sends without a request */
        fail(exchange, attempt);
        break;
    case FAILED:
        break;
    }
}

static void wait_for_events(struct exchange *exchange, apr_time_t now, apr_time_t until)
{
    struct pollfd fds[EAS_KDC_HEALTH_ADDRESSES];
    apr_interval_time_t wait = until - now < POLL_MAX ? until - now : POLL_MAX;
    unsigned i, count = exchange->count;

    for (i = 0; i < count; i++) {
        enum state state = exchange->attempts[i].state;

        fds[i] = (struct pollfd){
            .fd = exchange->attempts[i].fd, /* poll() ignores -1 */
            .events = state == CONNECTING || state == SENDING ? POLLOUT : POLLIN,
        };
    }
    if (poll(fds, count, (int)((wait + 999) / 1000)) <= 0) {
        return;
    }
    for (i = 0; i < count; i++) {
        if (fds[i].revents != 0 && !is_over(exchange)) {
            advance(exchange, &exchange->attempts[i], fds[i].revents);
        }
    }
}

static void run(struct exchange *exchange)
{
    apr_time_t now;

    while (!is_over(exchange) && (now = eas_clock_now()) < exchange->request->until) {
        apr_time_t next = proceed(exchange, now);

        if (next > now && !is_over(exchange)) {
            wait_for_events(exchange, now,
                            next < exchange->request->until ? next : exchange->request->until);
        }
    }
}

/* A KDC that got nothing, or got it just now, has not failed. */
static bool has_had_time(const struct attempt *attempt, apr_time_t now)
{
    switch (attempt->state) {
    case CONNECTING:
        return now - attempt->began >= CONNECT_PATIENCE;
    case SENDING:
    case RECEIVING:
        return now - attempt->sent_at >= eas_kdc_health_patience(attempt->address);
    default:
        return false;
    }
}

static void end(struct exchange *exchange)
{
    apr_time_t now = eas_clock_now();
    unsigned i;

    for (i = 0; i < exchange->count; i++) {
        struct attempt *attempt = &exchange->attempts[i];

        if (attempt->fd >= 0) {
            if (exchange->answered_by < 0 && has_had_time(attempt, now)) {
                overtake(exchange, attempt);
            }
            close(attempt->fd);
        }
        free(attempt->reply);
    }
}

bool eas_kdc_transport_exchange(const struct eas_kdc_transport_request *request,
                                struct eas_kdc_transport_reply *reply_out)
{
    size_t len = request->message.len;
    struct exchange exchange = { .request = request, .answered_by = -1 };

    exchange.frame_len = LENGTH_SIZE + len;
    exchange.frame = malloc(exchange.frame_len);
    if (exchange.frame == NULL) {
        return false;
    }
    exchange.frame[0] = (unsigned char)(len >> 24);
    exchange.frame[1] = (unsigned char)(len >> 16);
    exchange.frame[2] = (unsigned char)(len >> 8);
    exchange.frame[3] = (unsigned char)len;
    memcpy(exchange.frame + LENGTH_SIZE, request->message.at, len);
    run(&exchange);
    if (exchange.answered_by >= 0) {
        struct attempt *attempt = &exchange.attempts[exchange.answered_by];

        *reply_out = (struct eas_kdc_transport_reply){ attempt->reply, attempt->reply_len,
                                                       (unsigned)exchange.answered_by };
        attempt->reply = NULL;
    }
    end(&exchange);
    free(exchange.frame);
    return exchange.answered_by >= 0;
}
