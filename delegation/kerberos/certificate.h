/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/certificate.h - a client's certificate as an identity, and its user */

#ifndef EAS_DELEGATION_KERBEROS_CERTIFICATE_H
#define EAS_DELEGATION_KERBEROS_CERTIFICATE_H

#include "auth/identity.h"
#include "auth/kerberos/ticket.h"

/* The longest certificate that is put to a KDC, as DER. */
#define EAS_CERTIFICATE_MAX 65536

/*
 * The identity of a certificate (RFC 7468 text), which another module has verified.  Its principal is
 * "certificate " and the SHA-256 digest of the DER, in hexadecimal digits.  Result in pool.  EAS_OK, or
 * EAS_FORBIDDEN if the text is no certificate.
 */
enum eas_rc eas_certificate_identity(apr_pool_t *pool, const char *pem,
                                     const struct eas_identity **identity_out, struct eas_err *err);

/*
 * The client of a ticket as user@REALM, in pool, for logs: the user to whom the KDC has mapped the
 * certificate.  Empty if the name has several components, which eas_kcd_ticket() refuses.
 */
const char *eas_certificate_user(apr_pool_t *pool, const struct eas_ticket *ticket);

#endif
