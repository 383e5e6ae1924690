/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/string_to_key.h - key of a password for the AES enctypes of RFC 3962 */

#ifndef EAS_AUTH_KERBEROS_STRING_TO_KEY_H
#define EAS_AUTH_KERBEROS_STRING_TO_KEY_H

#include "auth/base/bytes.h"

#include <krb5/krb5.h>
#include <stdint.h>

#define EAS_STRING_TO_KEY_MAX 32
#define EAS_STRING_TO_KEY_SALT_MAX 639 /* as EAS_PREAUTH_SALT_MAX */

/* The enctype, salt and count that a KDC names before it asks for the proof of a password. */
struct eas_string_to_key {
    krb5_enctype enctype;
    struct eas_bytes salt;
    uint32_t iterations;
};

/*
 * The length of the key; 0 for another enctype, without a count, for a longer salt, or where
 * OpenSSL cannot.  The caller wipes the key.
 *
 * The key is that of krb5_c_string_to_key_with_params(), in a sixth of the time: OpenSSL's SHA-1
 * uses the processor's instructions.  That function also refuses small and great counts.
 */
size_t eas_string_to_key(const struct eas_string_to_key *parameters, struct eas_bytes password,
                         unsigned char key_out[EAS_STRING_TO_KEY_MAX]);

#endif
