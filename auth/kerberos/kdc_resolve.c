/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/kdc_resolve.c - addresses of host names and services, by hosts file and DNS */

#include "auth/kerberos/kdc_resolve.h"
#include "auth/base/clock.h"

#include <apr_general.h>
#include <ares.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <poll.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ares_query() and ares_getsock() are deprecated since c-ares 1.28; 1.18 has no others. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/* The first wait for one name server, which c-ares doubles in each round; and rounds. */
#define SERVER_TIMEOUT_MS 500
#define ROUNDS 3

/* Of one answer; the preferred ones of them are used, wherever they stand in it. */
#define RECORDS_MAX 64

struct service_record {
    unsigned priority, weight, port;
    char name[256];
};

struct lookup {
    ares_channel channel;
    unsigned pending;
    bool failed; /* a name server has not answered, or has failed */
    int ttl;
    unsigned records;
    struct service_record record[RECORDS_MAX];
};

/* The addresses of one host. */
struct host_lookup {
    struct lookup *lookup;
    unsigned short port;
    struct eas_kdc_addresses found;
};

static void append(struct eas_kdc_addresses *addresses, const struct sockaddr *socket,
                   socklen_t len, unsigned short port)
{
    struct eas_kdc_address *address = &addresses->at[addresses->count];
    char text[INET6_ADDRSTRLEN];

    if (addresses->count == EAS_KDC_HEALTH_ADDRESSES || len > sizeof(address->socket)) {
        return;
    }
    memset(address, 0, sizeof(*address));
    memcpy(&address->socket, socket, len);
    address->len = len;
    if (socket->sa_family == AF_INET6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address->socket;

        in6->sin6_port = htons(port);
        inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
    }
    else {
        struct sockaddr_in *in = (struct sockaddr_in *)&address->socket;

        in->sin_port = htons(port);
        inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
    }
    snprintf(address->text, sizeof(address->text), "[%s]:%u", text, port);
    addresses->count++;
}

bool eas_kdc_resolve_number(const char *text, unsigned short port,
                            struct eas_kdc_addresses *addresses)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
        append(addresses, (struct sockaddr *)&in, sizeof(in), port);
        return true;
    }
    if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1) {
        append(addresses, (struct sockaddr *)&in6, sizeof(in6), port);
        return true;
    }
    return false;
}

static void note_ttl(struct lookup *lookup, int ttl)
{
    if (ttl < lookup->ttl) {
        lookup->ttl = ttl;
    }
}

static void note_status(struct lookup *lookup, int status)
{
    lookup->pending--;
    if (status != ARES_SUCCESS && status != ARES_ENOTFOUND && status != ARES_ENODATA) {
        lookup->failed = true;
    }
}

/* An SRV record's data: priority, weight, port, target (RFC 2782). */
static void take_record(struct lookup *lookup, ns_msg *message, ns_rr *rr)
{
    struct service_record *record = &lookup->record[lookup->records];
    const unsigned char *data = ns_rr_rdata(*rr);

    if (ns_rr_type(*rr) != ns_t_srv || lookup->records == RECORDS_MAX || ns_rr_rdlen(*rr) < 7
        || dn_expand(ns_msg_base(*message), ns_msg_end(*message), data + 6, record->name,
                     sizeof(record->name))
               <= 1) {
        return;
    }
    record->priority = ns_get16(data);
    record->weight = ns_get16(data + 2);
    record->port = ns_get16(data + 4);
    note_ttl(lookup, (int)(ns_rr_ttl(*rr) & 0x7fffffff));
    lookup->records++;
}

static void take_service(void *data, int status, int timeouts, unsigned char *answer, int len)
{
    struct lookup *lookup = data;
    ns_msg message;
    ns_rr rr;
    int i;

    (void)timeouts;
    note_status(lookup, status);
    if (status == ARES_SUCCESS && ns_initparse(answer, len, &message) == 0) {
        for (i = 0; i < ns_msg_count(message, ns_s_an); i++) {
            if (ns_parserr(&message, ns_s_an, i, &rr) == 0) {
                take_record(lookup, &message, &rr);
            }
        }
    }
}

static void take_host(void *data, int status, int timeouts, struct ares_addrinfo *answer)
{
    struct host_lookup *host = data;
    const struct ares_addrinfo_node *node;

    (void)timeouts;
    note_status(host->lookup, status);
    for (node = answer != NULL ? answer->nodes : NULL; node != NULL; node = node->ai_next) {
        append(&host->found, node->ai_addr, node->ai_addrlen, host->port);
        note_ttl(host->lookup, node->ai_ttl);
    }
    ares_freeaddrinfo(answer);
}

/* Until all answers have come.  At the time until, pending questions fail. */
static void run(struct lookup *lookup, apr_time_t until)
{
    ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
    struct pollfd fds[ARES_GETSOCK_MAXNUM];

    while (lookup->pending > 0) {
        apr_time_t left = until - eas_clock_now();
        struct timeval most = { (time_t)apr_time_sec(left), (suseconds_t)apr_time_usec(left) };
        struct timeval time, *next;
        unsigned bits = (unsigned)ares_getsock(lookup->channel, sockets, ARES_GETSOCK_MAXNUM), i;

        if (left <= 0) {
            ares_cancel(lookup->channel);
            return;
        }
        for (i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
            bool reads = ARES_GETSOCK_READABLE(bits, i), writes = ARES_GETSOCK_WRITABLE(bits, i);

            fds[i].fd = reads || writes ? sockets[i] : -1;
            fds[i].events = (short)((reads ? POLLIN : 0) | (writes ? POLLOUT : 0));
            fds[i].revents = 0;
        }
        next = ares_timeout(lookup->channel, &most, &time);
        poll(fds, ARES_GETSOCK_MAXNUM, (int)(next->tv_sec * 1000 + next->tv_usec / 1000 + 1));
        for (i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
            bool reads = (fds[i].revents & ~POLLOUT) != 0, writes = (fds[i].revents & POLLOUT) != 0;

            ares_process_fd(lookup->channel, reads ? fds[i].fd : ARES_SOCKET_BAD,
                            writes ? fds[i].fd : ARES_SOCKET_BAD);
        }
    }
}

/* Of the records from this one on: of the lowest priority, one at random by weight (RFC 2782). */
static unsigned choose_record(const struct lookup *lookup, unsigned from)
{
    const struct service_record *records = lookup->record;
    unsigned i, priority = records[from].priority, sum = 0, number = 0, chosen = from;

    for (i = from; i < lookup->records; i++) {
        priority = records[i].priority < priority ? records[i].priority : priority;
    }
    for (i = from; i < lookup->records; i++) {
        sum += records[i].priority == priority ? records[i].weight : 0;
    }
    apr_generate_random_bytes((unsigned char *)&number, sizeof(number));
    number %= sum + 1;
    for (i = from, sum = 0; i < lookup->records; i++) {
        if (records[i].priority == priority) {
            chosen = i;
            sum += records[i].weight;
            if (sum >= number) {
                break;
            }
        }
    }
    return chosen;
}

static void sort_records(struct lookup *lookup)
{
    unsigned i;

    for (i = 0; i < lookup->records; i++) {
        unsigned chosen = choose_record(lookup, i);
        struct service_record record = lookup->record[chosen];

        lookup->record[chosen] = lookup->record[i];
        lookup->record[i] = record;
    }
}

static void find_hosts(struct lookup *lookup, const char *service, apr_time_t until,
                       struct eas_kdc_hosts *hosts)
{
    unsigned i;

    lookup->pending++;
    ares_query(lookup->channel, service, ns_c_in, ns_t_srv, take_service, lookup);
    run(lookup, until);
    sort_records(lookup);
    hosts->count =
        lookup->records < EAS_KDC_RESOLVE_HOSTS ? lookup->records : EAS_KDC_RESOLVE_HOSTS;
    for (i = 0; i < hosts->count; i++) {
        memcpy(hosts->at[i].name, lookup->record[i].name, sizeof(hosts->at[i].name));
        hosts->at[i].port = (unsigned short)lookup->record[i].port;
    }
}

/* The first address of each host, then the second ones. */
static void find_addresses(struct lookup *lookup, const struct eas_kdc_hosts *hosts,
                           apr_time_t until, struct eas_kdc_addresses *out)
{
    static const struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC,
                                                      .ai_socktype = SOCK_STREAM };
    struct host_lookup found[EAS_KDC_RESOLVE_HOSTS];
    unsigned i, j;

    memset(found, 0, sizeof(found));
    for (i = 0; i < hosts->count; i++) {
        found[i].lookup = lookup;
        found[i].port = hosts->at[i].port;
        if (!eas_kdc_resolve_number(hosts->at[i].name, hosts->at[i].port, &found[i].found)) {
            lookup->pending++;
            ares_getaddrinfo(lookup->channel, hosts->at[i].name, NULL, &hints, take_host,
                             &found[i]);
        }
    }
    run(lookup, until);
    for (j = 0; j < EAS_KDC_HEALTH_ADDRESSES; j++) {
        for (i = 0; i < hosts->count; i++) {
            if (j < found[i].found.count && out->count < EAS_KDC_HEALTH_ADDRESSES) {
                out->at[out->count++] = found[i].found.at[j];
            }
        }
    }
}

enum eas_kdc_resolved eas_kdc_resolve(const char *service, const struct eas_kdc_hosts *hosts,
                                      apr_time_t until, struct eas_kdc_addresses *addresses_out,
                                      int *ttl)
{
    struct ares_options options = { .timeout = SERVER_TIMEOUT_MS, .tries = ROUNDS };
    struct lookup lookup = { .ttl = *ttl };
    struct eas_kdc_hosts found = { .count = 0 };

    addresses_out->count = 0;
    if (ares_init_options(&lookup.channel, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES)
        != ARES_SUCCESS) {
        return EAS_KDC_RESOLVED_NOT;
    }
    if (hosts->count == 0) {
        find_hosts(&lookup, service, until, &found);
        hosts = &found;
    }
    find_addresses(&lookup, hosts, until, addresses_out);
    ares_destroy(lookup.channel);
    /* An address that is missing for a moment is looked up again soon. */
    *ttl = lookup.failed ? 0 : lookup.ttl;
    return addresses_out->count > 0 ? EAS_KDC_RESOLVED
           : lookup.failed          ? EAS_KDC_RESOLVED_NOT
                                    : EAS_KDC_RESOLVED_NONE;
}
