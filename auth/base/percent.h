/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/percent.h - percent-decoding (RFC 3986 section 2.1) */

#ifndef EAS_AUTH_BASE_PERCENT_H
#define EAS_AUTH_BASE_PERCENT_H

#include "auth/base/bytes.h"

#include <stdbool.h>

/*
 * Removes the first octet of *rest, plain or escaped, and puts its value into *octet_out.  `+` is a
 * plain octet.  False, with nothing changed, if *rest is empty or begins with a bad escape.
 */
bool eas_percent_next(struct eas_bytes *rest, char *octet_out);

/*
 * Removes the first `name=value` and the `&` behind it from *rest.  Both parts stay encoded.
 * Without a `=` the value is empty; neither pointer is NULL.
 */
void eas_percent_pair(struct eas_bytes *rest, struct eas_bytes *name_out,
                      struct eas_bytes *value_out);

#endif
