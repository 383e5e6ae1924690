/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/derive_key.h - DK of the AES enctypes (RFC 3961 5.1, RFC 3962), by OpenSSL */

#ifndef EAS_AUTH_KERBEROS_DERIVE_KEY_H
#define EAS_AUTH_KERBEROS_DERIVE_KEY_H

#include "auth/base/bytes.h"

#include <stdbool.h>

/* The derived key has the length of key, 16 or 32 octets.  False if OpenSSL cannot. */
bool eas_derive_key(struct eas_bytes key, struct eas_bytes constant, unsigned char *out);

#endif
