/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/percent.c - percent-decoding (RFC 3986 section 2.1) */

#include "auth/base/percent.h"

#include <apr_lib.h>
#include <string.h>

static int hex_value(unsigned char digit)
{
    return apr_isdigit(digit) ? digit - '0' : apr_tolower(digit) - 'a' + 10;
}

bool eas_percent_next(struct eas_bytes *rest, char *octet_out)
{
    const unsigned char *at = rest->at;
    size_t used = 1;

    if (rest->len == 0) {
        return false;
    }
    if (*at != '%') {
        *octet_out = (char)*at;
    }
    else if (rest->len >= 3 && apr_isxdigit(at[1]) && apr_isxdigit(at[2])) {
        *octet_out = (char)(hex_value(at[1]) << 4 | hex_value(at[2]));
        used = 3;
    }
    else {
        return false;
    }
    rest->at += used;
    rest->len -= used;
    return true;
}

/* Removes the part of *rest before the separator, and the separator; all of it if there is none. */
static struct eas_bytes split(struct eas_bytes *rest, char separator)
{
    struct eas_bytes part = *rest;
    const unsigned char *found = memchr(rest->at, separator, rest->len);

    if (found != NULL) {
        part.len = (size_t)(found - rest->at);
    }
    rest->at += part.len + (found != NULL);
    rest->len -= part.len + (found != NULL);
    return part;
}

void eas_percent_pair(struct eas_bytes *rest, struct eas_bytes *name_out,
                      struct eas_bytes *value_out)
{
    *value_out = split(rest, '&');
    *name_out = split(value_out, '=');
}
