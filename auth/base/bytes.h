/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/bytes.h - a pointer and a length */

#ifndef EAS_AUTH_BASE_BYTES_H
#define EAS_AUTH_BASE_BYTES_H

#include <stddef.h>

/* Octets of another owner, for reading.  len 0 allows any pointer. */
struct eas_bytes {
    const unsigned char *at;
    size_t len;
};

#endif
