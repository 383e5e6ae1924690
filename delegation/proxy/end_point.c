/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/end_point.c - channel binding of a TLS connection by its server's certificate */

#include "delegation/proxy/end_point.h"

#include <string.h>

#define PREFIX "tls-server-end-point:"
#define PREFIX_LEN (sizeof(PREFIX) - 1)

/* The digest of the signature; SHA-256 instead of MD5 and SHA-1 (RFC 5929 section 4.1). */
static const EVP_MD *digest_of(X509 *certificate)
{
    int digest = NID_undef;
    const EVP_MD *md = NULL;

    if (X509_get_signature_info(certificate, &digest, NULL, NULL, NULL) == 1 && digest != NID_md5
        && digest != NID_sha1) {
        md = EVP_get_digestbynid(digest);
    }
    return md != NULL ? md : EVP_sha256();
}

size_t eas_end_point_of(X509 *certificate, unsigned char *out)
{
    unsigned len;

    if (certificate == NULL
        || X509_digest(certificate, digest_of(certificate), out + PREFIX_LEN, &len) != 1) {
        return 0;
    }
    memcpy(out, PREFIX, PREFIX_LEN);
    return PREFIX_LEN + len;
}
