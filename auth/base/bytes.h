/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/bytes.h - a pointer and a length */

#ifndef EAS_AUTH_BASE_BYTES_H
#define EAS_AUTH_BASE_BYTES_H

#include <stddef.h>
#include <string.h>

/* Octets of another owner, for reading.  len 0 allows any pointer. */
struct eas_bytes {
    const unsigned char *at;
    size_t len;
};

static inline struct eas_bytes eas_bytes_make(const void *at, size_t len)
{
    return (struct eas_bytes){ at, len };
}

/* The text without its NUL. */
static inline struct eas_bytes eas_bytes_of_text(const char *text)
{
    return eas_bytes_make(text, strlen(text));
}

#endif
