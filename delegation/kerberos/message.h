/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/message.h - elements of Kerberos' messages, as DER (RFC 4120 section 5) */

#ifndef EAS_DELEGATION_KERBEROS_MESSAGE_H
#define EAS_DELEGATION_KERBEROS_MESSAGE_H

#include "auth/base/der.h"

#include <krb5/krb5.h>

#define EAS_MESSAGE_PVNO 5

/* Each puts a field of a SEQUENCE: [n] of an element.  The last field is put first. */

void eas_message_put_integer(struct eas_der *der, unsigned n, krb5_int32 value);

/* An element of that tag. */
void eas_message_put_octets(struct eas_der *der, unsigned n, unsigned tag, const void *bytes,
                            apr_size_t len);

/* KerberosTime: YYYYMMDDHHMMSSZ, without a NUL. */
#define EAS_MESSAGE_TIME_SIZE 15
void eas_message_time(krb5_timestamp when, char out[EAS_MESSAGE_TIME_SIZE]);
void eas_message_put_time(struct eas_der *der, unsigned n, krb5_timestamp when);

/* EncryptionKey, Checksum or TransitedEncoding: a type and octets. */
void eas_message_put_typed(struct eas_der *der, unsigned n, krb5_int32 type, const void *bytes,
                           apr_size_t len);

void eas_message_put_name(struct eas_der *der, unsigned n, krb5_const_principal name);
void eas_message_put_realm(struct eas_der *der, unsigned n, krb5_const_principal name);

#endif
