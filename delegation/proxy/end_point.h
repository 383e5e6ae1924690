/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/end_point.h - channel binding of a TLS connection by its server's certificate */

#ifndef EAS_DELEGATION_PROXY_END_POINT_H
#define EAS_DELEGATION_PROXY_END_POINT_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stddef.h>

/* The prefix (RFC 5929 section 4.1) and a digest. */
#define EAS_END_POINT_MAX (sizeof("tls-server-end-point:") - 1 + EVP_MAX_MD_SIZE)

/*
 * Writes the binding to out[EAS_END_POINT_MAX]; returns its length, or 0 on failure and without a
 * certificate.
 */
size_t eas_end_point_of(X509 *certificate, unsigned char *out);

#endif
