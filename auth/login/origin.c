/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/origin.c - origin of a page (RFC 6454), compared with names of a site */

#include "auth/login/origin.h"

#include <apr_cstr.h>
#include <apr_lib.h>
#include <string.h>

static bool is_label(char c)
{
    return apr_isalnum(c) || c == '-' || c == '_';
}

/* The length of a host at the beginning of the text: a name, an IPv4 address, or `[IPv6]`. */
static size_t host_length(const char *text)
{
    size_t len = 0;

    if (*text == '[') {
        len = 1 + strspn(text + 1, "0123456789abcdefABCDEF:.");
        return text[len] == ']' ? len + 1 : 0;
    }
    while (is_label(text[len]) || (len > 0 && text[len] == '.' && text[len - 1] != '.')) {
        len++;
    }
    return len;
}

/* Of `:port`, or of nothing.  0: neither. */
static unsigned port_of(const char *text, unsigned default_port)
{
    unsigned port = 0;

    if (*text == '\0') {
        return default_port;
    }
    if (*text++ != ':') {
        return 0;
    }
    for (; apr_isdigit(*text) && port <= 65535; text++) {
        port = 10 * port + (unsigned)(*text - '0');
    }
    return *text == '\0' && port <= 65535 ? port : 0;
}

static bool parse_authority(const char *text, unsigned default_port, struct eas_origin *out)
{
    size_t len = host_length(text);

    /* The dot of DNS's root makes no other host. */
    out->host = eas_bytes_make(text, len > 0 && text[len - 1] == '.' ? len - 1 : len);
    out->port = port_of(text + len, default_port);
    return len > 0 && out->port != 0;
}

bool eas_origin_parse(const char *text, struct eas_origin *out)
{
    out->is_https = apr_cstr_casecmpn(text, "https://", 8) == 0;
    if (!out->is_https && apr_cstr_casecmpn(text, "http://", 7) != 0) {
        return false;
    }
    return parse_authority(text + (out->is_https ? 8 : 7), out->is_https ? 443 : 80, out);
}

bool eas_origin_is_at(const struct eas_origin *origin, const char *authority)
{
    struct eas_origin other;

    return parse_authority(authority, origin->is_https ? 443 : 80, &other)
           && other.port == origin->port && other.host.len == origin->host.len
           && apr_cstr_casecmpn((const char *)other.host.at, (const char *)origin->host.at,
                                other.host.len)
                  == 0;
}
