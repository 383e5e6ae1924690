/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/utf8.h - UTF-8 check (RFC 3629) */

#ifndef EAS_AUTH_BASE_UTF8_H
#define EAS_AUTH_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the octets are well-formed UTF-8: no overlong form, no surrogate.  NUL is valid. */
bool eas_utf8_is_valid(const char *bytes, size_t len);

/* The length of the character at bytes, or 0: it is not well-formed, or there is none. */
size_t eas_utf8_length(const char *bytes, size_t left);

#endif
