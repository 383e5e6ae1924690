/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/status/admit.c - client addresses that see numbers without a user */

#include "delegation/status/admit.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct network {
    uint32_t network;
    uint32_t mask;
};

static bool is_private_v4(uint32_t address)
{
    static const struct network networks[] = {
        { 0x7f000000, 0xff000000 }, /* 127.0.0.0/8 */
        { 0x0a000000, 0xff000000 }, /* 10.0.0.0/8 */
        { 0xac100000, 0xfff00000 }, /* 172.16.0.0/12 */
        { 0xc0a80000, 0xffff0000 }, /* 192.168.0.0/16 */
        { 0xa9fe0000, 0xffff0000 }, /* 169.254.0.0/16 */
    };
    size_t i;

    for (i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
        if ((address & networks[i].mask) == networks[i].network) {
            return true;
        }
    }
    return false;
}

static bool is_private_v6(const struct in6_addr *address)
{
    uint32_t v4;

    if (IN6_IS_ADDR_V4MAPPED(address)) {
        memcpy(&v4, &address->s6_addr[12], sizeof(v4));
        return is_private_v4(ntohl(v4));
    }
    return IN6_IS_ADDR_LOOPBACK(address) || IN6_IS_ADDR_LINKLOCAL(address)
           || (address->s6_addr[0] & 0xfe) == 0xfc;
}

bool eas_admit_is_private(const char *address)
{
    char text[INET6_ADDRSTRLEN];
    struct in_addr v4;
    struct in6_addr v6;
    size_t len = strcspn(address, "%"); /* a zone may follow */

    if (len >= sizeof(text)) {
        return false;
    }
    memcpy(text, address, len);
    text[len] = '\0';
    if (inet_pton(AF_INET, text, &v4) == 1) {
        return is_private_v4(ntohl(v4.s_addr));
    }
    return inet_pton(AF_INET6, text, &v6) == 1 && is_private_v6(&v6);
}
