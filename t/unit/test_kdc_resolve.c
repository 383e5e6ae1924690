/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_kdc_resolve.c - KDCs by DNS: priorities and weights of SRV records, A and AAAA */

#include "t/unit/unit.h"

#include "auth/base/clock.h"
#include "auth/kerberos/kdc_resolve.h"

#include <apr_strings.h>
#include <ares.h>
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SERVICE "_kerberos._tcp.example.test"
#define TYPE_A 1
#define TYPE_AAAA 28
#define TYPE_SRV 33
#define TTL 1234

/* Hosts have one label; the addresses of "d1" are 192.0.2.1 and 2001:db8::1, and so on. */
struct srv {
    unsigned priority, weight, port;
    const char *host; /* "": the service is not available */
};

/* --- the name server -------------------------------------------------------------------------- */

static struct {
    int fd;
    unsigned short port;
    pthread_t thread;
    const struct srv *records; /* up to the one with host NULL */
    bool ipv4, ipv6;           /* the hosts' addresses */
} server;

/* c-ares asks this name server alone. */
int ares_init_options(ares_channel *channel, struct ares_options *options, int mask)
{
    static int (*real)(ares_channel *, struct ares_options *, int);
    char address[32];
    int status;

    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "ares_init_options");
    }
    status = real(channel, options, mask);
    apr_snprintf(address, sizeof(address), "127.0.0.1:%u", server.port);
    return status == ARES_SUCCESS ? ares_set_servers_ports_csv(*channel, address) : status;
}

static unsigned char *put16(unsigned char *at, unsigned value)
{
    *at++ = (unsigned char)(value >> 8);
    *at++ = (unsigned char)value;
    return at;
}

/* The name of the question, type, class, time to live, and length of the data. */
static unsigned char *put_head(unsigned char *at, unsigned type, unsigned len)
{
    at = put16(put16(put16(at, 0xc00c), type), 1);
    return put16(put16(put16(at, 0), TTL), len);
}

static unsigned char *put_services(unsigned char *at, unsigned *count)
{
    const struct srv *record;

    for (record = server.records; record->host != NULL; record++) {
        unsigned len = (unsigned)strlen(record->host);

        at = put_head(at, TYPE_SRV, 6 + (len > 0 ? len + 1 : 0) + 1);
        at = put16(put16(put16(at, record->priority), record->weight), record->port);
        if (len > 0) {
            *at++ = (unsigned char)len;
            memcpy(at, record->host, len);
            at += len;
        }
        *at++ = 0;
        (*count)++;
    }
    return at;
}

static unsigned char *put_address(unsigned char *at, unsigned type, const unsigned char *label,
                                  unsigned *count)
{
    static const unsigned char ipv4[] = { 192, 0, 2 }, ipv6[15] = { 0x20, 0x01, 0x0d, 0xb8 };
    bool is_ipv4 = type == TYPE_A && server.ipv4, is_ipv6 = type == TYPE_AAAA && server.ipv6;
    size_t len = is_ipv4 ? sizeof(ipv4) : sizeof(ipv6);

    if (is_ipv4 || is_ipv6) {
        at = put_head(at, type, (unsigned)len + 1);
        memcpy(at, is_ipv4 ? ipv4 : ipv6, len);
        at[len] = (unsigned char)(label[2] - '0');
        at += len + 1;
        (*count)++;
    }
    return at;
}

/* One question with one name.  c-ares repeats a question by TCP after more than 512 octets. */
static size_t answer(unsigned char *message, size_t len)
{
    unsigned char *at = message + 12;
    unsigned type, count = 0;

    while (*at != 0) {
        at += *at + 1;
    }
    type = (unsigned)at[1] << 8 | at[2];
    at += 5;
    assert_true(at <= message + len);
    at = type == TYPE_SRV ? put_services(at, &count) : put_address(at, type, message + 12, &count);
    put16(message + 2, 0x8580);
    put16(put16(put16(message + 6, count), 0), 0);
    return (size_t)(at - message);
}

static void *serve(void *data)
{
    unsigned char message[2048];
    struct sockaddr_in peer;
    socklen_t peer_len = sizeof(peer);
    ssize_t len;

    while ((len = recvfrom(server.fd, message, 512, 0, (struct sockaddr *)&peer, &peer_len)) > 0) {
        sendto(server.fd, message, answer(message, (size_t)len), 0, (struct sockaddr *)&peer,
               peer_len);
        peer_len = sizeof(peer);
    }
    return data;
}

static int start_server(void **state)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t len = sizeof(address);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server.fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (bind(server.fd, (struct sockaddr *)&address, len) != 0
        || getsockname(server.fd, (struct sockaddr *)&address, &len) != 0
        || pthread_create(&server.thread, NULL, serve, NULL) != 0) {
        return -1;
    }
    server.port = ntohs(address.sin_port);
    return unit_start(state);
}

static int stop_server(void **state)
{
    shutdown(server.fd, SHUT_RDWR);
    pthread_join(server.thread, NULL);
    close(server.fd);
    return unit_end(state);
}

/* --- the tests -------------------------------------------------------------------------------- */

static enum eas_kdc_resolved resolve(const struct srv *records, struct eas_kdc_addresses *out)
{
    const struct eas_kdc_hosts none = { .count = 0 };
    int ttl = 86400;
    enum eas_kdc_resolved result;

    server.records = records;
    result = eas_kdc_resolve(SERVICE, &none, eas_clock_now() + apr_time_from_sec(10), out, &ttl);
    assert_int_equal(ttl, records->host != NULL && records->host[0] != '\0' ? TTL : 86400);
    return result;
}

static int use_ipv4(void **state)
{
    (void)state;
    server.ipv4 = true;
    server.ipv6 = false;
    return 0;
}

static void test_lowest_priority_first(void **state)
{
    static const struct srv records[] = {
        { 20, 100, 88, "d2" }, { 10, 0, 8888, "d1" }, { 30, 65535, 88, "d3" }, { 0, 0, 0, NULL }
    };
    struct eas_kdc_addresses addresses;
    int i;

    (void)state;
    for (i = 0; i < 20; i++) {
        assert_int_equal(resolve(records, &addresses), EAS_KDC_RESOLVED);
        assert_int_equal(addresses.count, 3);
        assert_string_equal(addresses.at[0].text, "[192.0.2.1]:8888");
        assert_string_equal(addresses.at[1].text, "[192.0.2.2]:88");
        assert_string_equal(addresses.at[2].text, "[192.0.2.3]:88");
    }
}

/* How often the first record's host comes first, of 100 lookups. */
static int count_first(const struct srv *records)
{
    struct eas_kdc_addresses addresses;
    int i, first = 0;

    for (i = 0; i < 100; i++) {
        assert_int_equal(resolve(records, &addresses), EAS_KDC_RESOLVED);
        assert_int_equal(addresses.count, 2);
        assert_string_not_equal(addresses.at[0].text, addresses.at[1].text);
        first += strcmp(addresses.at[0].text, "[192.0.2.1]:88") == 0;
    }
    return first;
}

/* Each bound is missed once in 10^12 runs at most. */
static void test_weight_is_the_share_within_a_priority(void **state)
{
    static const struct srv rare[] = { { 0, 1, 88, "d1" },
                                       { 0, 999, 88, "d2" },
                                       { 0, 0, 0, NULL } };
    static const struct srv often[] = { { 0, 999, 88, "d1" },
                                        { 0, 1, 88, "d2" },
                                        { 0, 0, 0, NULL } };
    static const struct srv half[] = { { 0, 50, 88, "d1" },
                                       { 0, 50, 88, "d2" },
                                       { 0, 0, 0, NULL } };

    (void)state;
    assert_in_range(count_first(rare), 0, 12);
    assert_in_range(count_first(often), 88, 100);
    assert_in_range(count_first(half), 15, 85);
}

static void test_more_records_than_are_kept(void **state)
{
    struct srv records[21] = { { 0 } };
    char hosts[20][3];
    struct eas_kdc_addresses addresses;
    unsigned i;

    (void)state;
    for (i = 0; i < 20; i++) { /* the preferred ones come last */
        apr_snprintf(hosts[i], sizeof(hosts[i]), "d%u", 9 - i % 10);
        records[i] = (struct srv){ 100 - i, 0, 1000 + i, hosts[i] };
    }
    assert_int_equal(resolve(records, &addresses), EAS_KDC_RESOLVED);
    assert_int_equal(addresses.count, EAS_KDC_HEALTH_ADDRESSES);
    for (i = 0; i < addresses.count; i++) {
        char text[32];

        apr_snprintf(text, sizeof(text), "[192.0.2.%u]:%u", i, 1019 - i);
        assert_string_equal(addresses.at[i].text, text);
    }
}

static void test_service_that_is_not_available(void **state)
{
    static const struct srv records[] = { { 0, 0, 0, "" }, { 0, 0, 0, NULL } };
    struct eas_kdc_addresses addresses;

    (void)state;
    assert_int_equal(resolve(records, &addresses), EAS_KDC_RESOLVED_NONE);
    assert_int_equal(addresses.count, 0);
}

static const struct srv two_hosts[] = { { 1, 0, 88, "d1" }, { 2, 0, 88, "d2" }, { 0, 0, 0, NULL } };

static void test_ipv6_alone(void **state)
{
    struct eas_kdc_addresses addresses;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&addresses.at[0].socket;

    (void)state;
    server.ipv4 = false;
    server.ipv6 = true;
    assert_int_equal(resolve(two_hosts, &addresses), EAS_KDC_RESOLVED);
    assert_int_equal(addresses.count, 2);
    assert_string_equal(addresses.at[0].text, "[2001:db8::1]:88");
    assert_string_equal(addresses.at[1].text, "[2001:db8::2]:88");
    assert_int_equal(in6->sin6_family, AF_INET6);
    assert_int_equal(ntohs(in6->sin6_port), 88);
    assert_int_equal(addresses.at[0].len, sizeof(*in6));
}

/* A host whose IPv6 is broken is not asked twice before the next host. */
static void test_each_host_before_a_second_address(void **state)
{
    struct eas_kdc_addresses addresses;
    unsigned i;

    (void)state;
    server.ipv6 = true;
    assert_int_equal(resolve(two_hosts, &addresses), EAS_KDC_RESOLVED);
    assert_int_equal(addresses.count, 4);
    for (i = 0; i < 4; i++) {
        char ipv4[32], ipv6[32];

        apr_snprintf(ipv4, sizeof(ipv4), "[192.0.2.%u]:88", i % 2 + 1);
        apr_snprintf(ipv6, sizeof(ipv6), "[2001:db8::%u]:88", i % 2 + 1);
        assert_true(strcmp(addresses.at[i].text, ipv4) == 0
                    || strcmp(addresses.at[i].text, ipv6) == 0);
    }
    assert_string_not_equal(addresses.at[0].text, addresses.at[2].text);
    assert_string_not_equal(addresses.at[1].text, addresses.at[3].text);
}

#define RESOLVE_TEST(test) cmocka_unit_test_setup(test, use_ipv4)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RESOLVE_TEST(test_lowest_priority_first),
        RESOLVE_TEST(test_weight_is_the_share_within_a_priority),
        RESOLVE_TEST(test_more_records_than_are_kept),
        RESOLVE_TEST(test_service_that_is_not_available),
        RESOLVE_TEST(test_ipv6_alone),
        RESOLVE_TEST(test_each_host_before_a_second_address),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
