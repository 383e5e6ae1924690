/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/fake_kdc.h - KDCs on loopback addresses, each with a behaviour */

#ifndef EAS_T_UNIT_FAKE_KDC_H
#define EAS_T_UNIT_FAKE_KDC_H

#include "t/unit/unit.h"

#include "auth/kerberos/kdc_resolve.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

enum kdc_behaviour {
    KDC_ANSWERS,
    KDC_ANSWERS_SLOWLY, /* after 600 ms */
    KDC_ANSWERS_BY_OCTETS,
    KDC_ANSWERS_AT_LENGTH, /* with kdc_long_reply(), and an octet more */
    KDC_REFUSES,           /* no listening socket */
    KDC_DROPS_SYN,         /* the queue of connections is full */
    KDC_IS_SILENT,         /* accepts, and never replies */
    KDC_CLOSES,            /* after the request */
    KDC_CLOSES_HALF,       /* after half a reply */
    KDC_IS_GARBAGE,
    KDC_IS_TOO_LONG, /* announces a reply of 2 GB */
    KDC_IS_EMPTY,    /* announces a reply of no octets */
    KDC_IS_UNAVAILABLE
};

/* An AS-REP, and KRB-ERRORs with the codes 29 (service unavailable) and 25. */
#define AS_REP "\x6b\x02\x30\x00"
#define LONG_HEAD "\x6b\x83\x01\x00\x00" /* of 65 536 octets, as with a large PAC */
#define LONG_SIZE ((size_t)(5 + 65536))
#define UNAVAILABLE "\x7e\x09\x30\x07\xa6\x05\x02\x03\x00\x00\x1d"
#define PREAUTH_REQUIRED "\x7e\x07\x30\x05\xa6\x03\x02\x01\x19"

struct fake_kdc {
    enum kdc_behaviour behaviour;
    int fd, fill[3];
    unsigned short port;
    atomic_uint requests; /* received in full */
    atomic_bool stop;
    pthread_t thread;
};

static inline void kdc_write(int fd, const void *reply, size_t len, size_t announced)
{
    unsigned char head[4] = { (unsigned char)(announced >> 24), (unsigned char)(announced >> 16),
                              (unsigned char)(announced >> 8), (unsigned char)announced };

    if (send(fd, head, 4, MSG_NOSIGNAL) == 4) {
        (void)!send(fd, reply, len, MSG_NOSIGNAL);
    }
}

/* An AS-REP, no part of which is as another of that size. */
static inline void kdc_long_reply(unsigned char reply_out[LONG_SIZE + 1])
{
    size_t i;

    for (i = 0; i <= LONG_SIZE; i++) {
        reply_out[i] = (unsigned char)(i % 251);
    }
    memcpy(reply_out, LONG_HEAD, 5);
}

/* With its length in one piece, so that a reader may meet any part of it first. */
static inline void kdc_write_long(int fd)
{
    unsigned char frame[4 + LONG_SIZE + 1] = "\x00\x01\x00\x05";

    kdc_long_reply(frame + 4);
    (void)!send(fd, frame, sizeof(frame), MSG_NOSIGNAL);
}

static inline void kdc_reply(enum kdc_behaviour behaviour, int fd)
{
    size_t i;

    switch (behaviour) {
    case KDC_ANSWERS_SLOWLY:
        usleep(600000);
        kdc_write(fd, AS_REP, 4, 4);
        break;
    case KDC_ANSWERS_BY_OCTETS:
        for (i = 0; i < 8; i++) {
            (void)!send(fd, "\0\0\0\x04" AS_REP + i, 1, MSG_NOSIGNAL);
            usleep(2000);
        }
        break;
    case KDC_ANSWERS_AT_LENGTH:
        kdc_write_long(fd);
        break;
    case KDC_CLOSES_HALF:
        kdc_write(fd, AS_REP, 2, 4);
        break;
    case KDC_IS_GARBAGE:
        kdc_write(fd, "HTTP/1.1 400 Bad", 16, 16);
        break;
    case KDC_IS_TOO_LONG:
        kdc_write(fd, AS_REP, 4, 0x7fffffff);
        break;
    case KDC_IS_EMPTY:
        kdc_write(fd, "", 0, 0);
        break;
    case KDC_IS_UNAVAILABLE:
        kdc_write(fd, UNAVAILABLE, 11, 11);
        break;
    case KDC_ANSWERS:
        kdc_write(fd, AS_REP, 4, 4);
        break;
    default:
        break;
    }
}

/* Serves one connection at a time, until its client closes. */
static inline void kdc_serve(struct fake_kdc *kdc, int fd)
{
    unsigned char head[4], message[4096];
    size_t len;

    if (recv(fd, head, 4, MSG_WAITALL) != 4) {
        return;
    }
    len = (size_t)head[2] << 8 | head[3];
    assert_true(len <= sizeof(message));
    if (recv(fd, message, len, MSG_WAITALL) != (ssize_t)len) {
        return;
    }
    kdc->requests++;
    kdc_reply(kdc->behaviour, fd);
    while (kdc->behaviour != KDC_CLOSES && kdc->behaviour != KDC_CLOSES_HALF && !kdc->stop) {
        struct pollfd poller = { .fd = fd, .events = POLLIN };

        if (poll(&poller, 1, 10) > 0 && recv(fd, message, sizeof(message), 0) <= 0) {
            return;
        }
    }
}

static inline void *kdc_run(void *data)
{
    struct fake_kdc *kdc = data;

    while (!kdc->stop) {
        struct pollfd poller = { .fd = kdc->fd, .events = POLLIN };

        if (poll(&poller, 1, 10) > 0) {
            int fd = accept(kdc->fd, NULL, NULL);

            kdc_serve(kdc, fd);
            close(fd);
        }
    }
    return NULL;
}

/* Starts the KDC, and appends its address. */
static inline void kdc_start(struct fake_kdc *kdc, enum kdc_behaviour behaviour,
                             struct eas_kdc_addresses *addresses)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    socklen_t len = sizeof(in);
    size_t i;

    memset(kdc, 0, sizeof(*kdc));
    kdc->behaviour = behaviour;
    kdc->fd = socket(AF_INET, SOCK_STREAM, 0);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(kdc->fd, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(getsockname(kdc->fd, (struct sockaddr *)&in, &len), 0);
    kdc->port = ntohs(in.sin_port);
    assert_true(eas_kdc_resolve_number("127.0.0.1", kdc->port, addresses));
    if (behaviour == KDC_DROPS_SYN) {
        assert_int_equal(listen(kdc->fd, 0), 0);
        for (i = 0; i < COUNT_OF(kdc->fill); i++) {
            kdc->fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
            (void)!connect(kdc->fill[i], (struct sockaddr *)&in, sizeof(in));
        }
    }
    else if (behaviour != KDC_REFUSES) {
        assert_int_equal(listen(kdc->fd, 16), 0);
        assert_int_equal(pthread_create(&kdc->thread, NULL, kdc_run, kdc), 0);
    }
}

static inline void kdc_end(struct fake_kdc *kdc)
{
    size_t i;

    kdc->stop = true;
    if (kdc->thread != 0) {
        pthread_join(kdc->thread, NULL);
    }
    for (i = 0; kdc->behaviour == KDC_DROPS_SYN && i < COUNT_OF(kdc->fill); i++) {
        close(kdc->fill[i]);
    }
    close(kdc->fd);
}

#endif
