/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/spn.c - a backend's service principal name */

#include "delegation/kerberos/spn.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

#define SPN_MAX 512

const char *eas_spn_check(const char *pattern)
{
    const char *slash = strchr(pattern, '/'), *p;

    if (slash == NULL || slash == pattern || slash[1] == '\0' || strchr(slash + 1, '/')) {
        return "must be of the form service/host, for example HTTP/%h";
    }
    if (strchr(pattern, '@')) {
        return "must not name a realm; the KDC finds it";
    }
    if (strlen(pattern) > SPN_MAX) {
        return "is too long";
    }
    for (p = pattern; *p; p++) {
        if (!apr_isgraph(*p) || *p == '\\') {
            return "must not hold blanks, backslashes or control characters";
        }
        if (*p == '%' && *++p != 'h' && *p != '%') {
            return "knows only %h, the worker's host name, and %%";
        }
    }
    return NULL;
}

static bool is_host_name(const char *host)
{
    const char *p;

    for (p = host; *p; p++) {
        char letter = (char)(*p | 0x20);

        if ((letter < 'a' || letter > 'z') && (*p < '0' || *p > '9') && *p != '.' && *p != '-'
            && *p != '_') {
            return false;
        }
    }
    return p != host && p - host <= 255;
}

/* With or without brackets. */
static bool is_ipv6_address(const char *host)
{
    bool has_brackets = *host == '[';
    char address[INET6_ADDRSTRLEN + sizeof("[]")];
    size_t len = strlen(host);
    struct in6_addr ignored;

    if (len >= sizeof(address) || (has_brackets && host[len - 1] != ']')) {
        return false;
    }
    apr_cpystrn(address, host + has_brackets, len - (has_brackets ? 2U : 0U) + 1);
    return inet_pton(AF_INET6, address, &ignored) == 1;
}

static bool names_host(const char *pattern)
{
    const char *p;

    for (p = strchr(pattern, '%'); p != NULL && p[1] != 'h'; p = strchr(p + 2, '%')) {
    }
    return p != NULL;
}

enum eas_rc eas_spn_expand(apr_pool_t *pool, const char *pattern, const char *host,
                           const char **spn_out, struct eas_err *err)
{
    apr_size_t host_len = strlen(host);
    const char *p;
    char *spn, *q;

    if (!is_host_name(host) && (names_host(pattern) || !is_ipv6_address(host))) {
        return eas_fail(err, EAS_MISCONFIGURED, 2001,
                        "the worker has no host name that could stand in a service principal name; "
                        "name the service by EasKcdSPN and the worker by its DNS name");
    }
    /* DNS knows a name with a dot at its end, Kerberos does not. */
    if (host_len > 1 && host[host_len - 1] == '.') {
        host_len--;
    }
    spn = q = apr_palloc(pool, strlen(pattern) * (host_len + 1) + 1);
    for (p = pattern; *p; p++) {
        if (*p == '%' && *++p == 'h') {
            memcpy(q, host, host_len);
            q += host_len;
        }
        else {
            *q++ = *p;
        }
    }
    *q = '\0';
    *spn_out = spn;
    return EAS_OK;
}
