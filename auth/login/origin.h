/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/origin.h - origin of a page (RFC 6454), compared with names of a site */

#ifndef EAS_AUTH_LOGIN_ORIGIN_H
#define EAS_AUTH_LOGIN_ORIGIN_H

#include "auth/base/bytes.h"

#include <stdbool.h>

/* An origin; host refers to the text that it was parsed from. */
struct eas_origin {
    bool is_https;
    struct eas_bytes host;
    unsigned port; /* the scheme's own if the text has none */
};

/*
 * Parses `https://host`, `http://host`, both with an optional port.  False for all else: a list, a
 * path, a user, `null`.
 */
bool eas_origin_parse(const char *text, struct eas_origin *out);

/*
 * Whether the authority (`host` or `host:port`, as in a Host header) is that of the origin.  Without
 * a port it has that of the origin's scheme.  Letter case does not count.
 */
bool eas_origin_is_at(const struct eas_origin *origin, const char *authority);

#endif
