/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/peer_certificate_httpd.c - why mod_ssl refuses a backend's certificate */

#include "delegation/proxy/peer_certificate_httpd.h"

#include <apr_optional_hooks.h>
#include <apr_strings.h>
#include <mod_ssl_openssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>

/* Note of the connection. */
#define REFUSAL "eas-kcd:peer-certificate"

/* mod_proxy's note: the name that mod_ssl compares with those of the certificate. */
#define HOST_NAME "proxy-request-hostname"

/* The contents of a memory BIO, which ends, in the pool. */
static const char *text_of(apr_pool_t *pool, BIO *bio)
{
    char *data;
    long len = BIO_get_mem_data(bio, &data);
    const char *text = len > 0 ? apr_pstrmemdup(pool, data, (apr_size_t)len) : "none";

    BIO_free(bio);
    return text;
}

static const char *text_of_name(apr_pool_t *pool, const X509_NAME *name)
{
    BIO *bio = BIO_new(BIO_s_mem());

    if (bio == NULL) {
        return "";
    }
    X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253);
    return text_of(pool, bio);
}

static const char *text_of_time(apr_pool_t *pool, const ASN1_TIME *time)
{
    BIO *bio = BIO_new(BIO_s_mem());

    if (bio == NULL) {
        return "";
    }
    ASN1_TIME_print(bio, time);
    return text_of(pool, bio);
}

/* The DNS names of the certificate, else its subject. */
static const char *names_of(apr_pool_t *pool, X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    const char *text = NULL;
    int i;

    for (i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type == GEN_DNS) {
            const char *one = apr_pstrmemdup(pool, (const char *)ASN1_STRING_get0_data(name->d.ia5),
                                             (apr_size_t)ASN1_STRING_length(name->d.ia5));

            text = text != NULL ? apr_pstrcat(pool, text, ", ", one, NULL) : one;
        }
    }
    GENERAL_NAMES_free(names);
    return text != NULL ? text : text_of_name(pool, X509_get_subject_name(certificate));
}

static bool has_name(X509 *certificate, const char *host)
{
    return host == NULL || X509_check_host(certificate, host, 0, 0, NULL) == 1
           || X509_check_ip_asc(certificate, host, 0) == 1;
}

/* The part of the certificate that explains the error. */
static const char *explain(apr_pool_t *pool, X509 *certificate, int error)
{
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return apr_pstrcat(pool, "; it ended at ",
                           text_of_time(pool, X509_get0_notAfter(certificate)), NULL);
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return apr_pstrcat(pool, "; it begins at ",
                           text_of_time(pool, X509_get0_notBefore(certificate)), NULL);
    default:
        return apr_pstrcat(pool, "; its issuer is ",
                           text_of_name(pool, X509_get_issuer_name(certificate)), NULL);
    }
}

/*
 * Around mod_ssl's, for each certificate of the chain.  mod_ssl compares the name after the
 * handshake; the note is of interest only if that fails.
 */
static int verify(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    SSL_verify_cb mod_ssls = SSL_CTX_get_verify_callback(SSL_get_SSL_CTX(ssl));
    conn_rec *c = SSL_get_app_data(ssl);
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    int error = X509_STORE_CTX_get_error(store);
    int result = mod_ssls != NULL ? mod_ssls(ok, store) : ok;

    if (c == NULL || certificate == NULL) {
        return result;
    }
    if (result == 0) {
        apr_table_setn(c->notes, REFUSAL,
                       apr_pstrcat(c->pool, X509_verify_cert_error_string(error),
                                   explain(c->pool, certificate, error), NULL));
    }
    else if (X509_STORE_CTX_get_error_depth(store) == 0
             && !has_name(certificate, apr_table_get(c->notes, HOST_NAME))) {
        apr_table_setn(c->notes, REFUSAL,
                       apr_pstrcat(c->pool, "it is not for this name, but for ",
                                   names_of(c->pool, certificate), NULL));
    }
    return result;
}

static int hook_pre_handshake(conn_rec *c, SSL *ssl, int is_proxy)
{
    (void)c;
    if (is_proxy) {
        SSL_set_verify(ssl, SSL_get_verify_mode(ssl), verify);
    }
    return OK;
}

void eas_peer_certificate_fail(const conn_rec *c, struct eas_err *err)
{
    const char *refusal = apr_table_get(c->notes, REFUSAL);

    if (refusal != NULL) {
        eas_fail(err, EAS_BACKEND, 2088,
                 "the certificate of the backend is refused: %s; see SSLProxyCACertificateFile and "
                 "SSLProxyCheckPeerName",
                 refusal);
    }
    else {
        eas_fail(err, EAS_BACKEND, 2089,
                 "the TLS handshake with the backend fails; compare SSLProxyProtocol and "
                 "SSLProxyCipherSuite with the backend's, and look for the messages of mod_ssl");
    }
}

void eas_peer_certificate_register_hooks(apr_pool_t *pool)
{
    (void)pool;
    APR_OPTIONAL_HOOK(ssl, pre_handshake, hook_pre_handshake, NULL, NULL, APR_HOOK_MIDDLE);
}
