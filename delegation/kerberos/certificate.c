/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/certificate.c - a client's certificate as an identity, and its user */

#include "delegation/kerberos/certificate.h"

#include <apr_escape.h>
#include <apr_strings.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

/* The DER of the first PEM block, if that is a certificate; in pool.  Empty if not. */
static struct eas_bytes decode(apr_pool_t *pool, const char *pem)
{
    struct eas_bytes der = { NULL, 0 };
    char *name = NULL, *header = NULL;
    unsigned char *data = NULL;
    long len = 0;
    BIO *bio = strlen(pem) < INT_MAX ? BIO_new_mem_buf(pem, -1) : NULL;

    if (bio != NULL && PEM_read_bio(bio, &name, &header, &data, &len) == 1
        && strcmp(name, PEM_STRING_X509) == 0 && len > 0 && len <= EAS_CERTIFICATE_MAX) {
        der = eas_bytes_make(apr_pmemdup(pool, data, (apr_size_t)len), (apr_size_t)len);
    }
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(data);
    BIO_free(bio);
    return der;
}

enum eas_rc eas_certificate_identity(apr_pool_t *pool, const char *pem,
                                     const struct eas_identity **identity_out, struct eas_err *err)
{
    struct eas_identity *identity = apr_pcalloc(pool, sizeof(*identity));
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_len = 0;

    identity->certificate = decode(pool, pem);
    if (identity->certificate.len == 0
        || EVP_Digest(identity->certificate.at, identity->certificate.len, digest, &digest_len,
                      EVP_sha256(), NULL)
               != 1) {
        return eas_fail(err, EAS_FORBIDDEN, 2098,
                        "mod_ssl's SSL_CLIENT_CERT is no certificate of at most %d bytes",
                        EAS_CERTIFICATE_MAX);
    }
    identity->principal =
        apr_pstrcat(pool, "certificate ", apr_pescape_hex(pool, digest, digest_len, 0), NULL);
    identity->authenticated_by = EAS_BY_OTHER;
    *identity_out = identity;
    return EAS_OK;
}

const char *eas_certificate_user(apr_pool_t *pool, const struct eas_ticket *ticket)
{
    krb5_const_principal client = eas_ticket_creds(ticket)->client;

    return client->length == 1
               ? apr_psprintf(pool, "%.*s@%.*s", (int)client->data[0].length, client->data[0].data,
                              (int)client->realm.length, client->realm.data)
               : "";
}
