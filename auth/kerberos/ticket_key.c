/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/ticket_key.c - Session key with derived keys, for the AP exchange */

#include "auth/kerberos/ticket_key.h"
#include "auth/base/hmac_sha1.h"
#include "auth/base/secret.h"
#include "auth/kerberos/derive_key.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* RFC 4120 section 7.5.1. */
#define USAGE_AUTHENTICATOR 11
#define USAGE_AP_REP 12

/* RFC 3961 section 5.3: the last octet of the constant in the derivation of a usage's key. */
#define FOR_ENCRYPTION 0xaa
#define FOR_INTEGRITY 0x55

/* RFC 3962: the confounder is one block, and the checksum is truncated. */
#define BLOCK 16
#define CHECKSUM_SIZE 12

#define AES_KEY_MAX 32

/* A fetch is a system call, which costs as much as an encryption. */
#define RANDOM_SIZE 256

/* Keys of one usage, in OpenSSL contexts. */
struct usage {
    EVP_CIPHER_CTX *cipher;
    unsigned char chain[BLOCK]; /* of encryption: the last block of CBC, which the next one's is */
    struct eas_hmac_sha1 mac;
};

struct eas_ticket_key {
    krb5_enctype enctype;
    krb5_key key; /* of libk5crypto; NULL where OpenSSL is used */
    struct usage authenticator;
    struct usage ap_rep;
    size_t random_left; /* unused octets at the end of random */
    unsigned char random[RANDOM_SIZE];
};

static const unsigned char no_iv[BLOCK];

/* --- making ----------------------------------------------------------------------------------- */

/* OpenSSL's names for an enctype. */
struct names {
    unsigned key_len;
    const char *cbc;
    const char *cts;
};

static const struct names *names_of(krb5_enctype enctype)
{
    static const struct names aes256 = { 32, "AES-256-CBC", "AES-256-CBC-CTS" };
    static const struct names aes128 = { 16, "AES-128-CBC", "AES-128-CBC-CTS" };

    return enctype == ENCTYPE_AES256_CTS_HMAC_SHA1_96   ? &aes256
           : enctype == ENCTYPE_AES128_CTS_HMAC_SHA1_96 ? &aes128
                                                        : NULL;
}

static bool derive(const krb5_keyblock *session, unsigned char usage, unsigned char purpose,
                   unsigned char *out)
{
    const unsigned char constant[] = { 0, 0, 0, usage, purpose };

    return eas_derive_key(eas_bytes_make(session->contents, session->length),
                          eas_bytes_make(constant, sizeof(constant)), out);
}

static EVP_CIPHER_CTX *make_cipher(const struct names *names, const unsigned char *key,
                                   bool encrypts)
{
    char mode[] = "CS3";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_CIPHER_PARAM_CTS_MODE, mode, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, encrypts ? names->cbc : names->cts, NULL);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    if (ctx != NULL
        && (cipher == NULL
            || EVP_CipherInit_ex2(ctx, cipher, key, no_iv, encrypts, encrypts ? NULL : params) != 1
            || EVP_CIPHER_CTX_set_padding(ctx, 0) != 1)) {
        EVP_CIPHER_CTX_free(ctx);
        ctx = NULL;
    }
    EVP_CIPHER_free(cipher);
    return ctx;
}

static bool make_usage(const struct names *names, const krb5_keyblock *session,
                       unsigned char number, bool encrypts, struct usage *usage)
{
    unsigned char derived[AES_KEY_MAX];
    bool made = false;

    if (derive(session, number, FOR_ENCRYPTION, derived)) {
        usage->cipher = make_cipher(names, derived, encrypts);
    }
    if (derive(session, number, FOR_INTEGRITY, derived)) {
        eas_hmac_sha1_init(&usage->mac, eas_bytes_make(derived, session->length));
        made = true;
    }
    OPENSSL_cleanse(derived, sizeof(derived));
    return made && usage->cipher != NULL;
}

static void free_usage(struct usage *usage)
{
    EVP_CIPHER_CTX_free(usage->cipher);
    usage->cipher = NULL;
    OPENSSL_cleanse(&usage->mac, sizeof(usage->mac));
}

/* False for an enctype or key length that OpenSSL does not support; libk5crypto handles those. */
static bool make_by_openssl(const krb5_keyblock *session, struct eas_ticket_key *key)
{
    const struct names *names = names_of(session->enctype);

    if (names == NULL || session->length != names->key_len) {
        return false;
    }
    if (!make_usage(names, session, USAGE_AUTHENTICATOR, true, &key->authenticator)
        || !make_usage(names, session, USAGE_AP_REP, false, &key->ap_rep)) {
        free_usage(&key->authenticator);
        free_usage(&key->ap_rep);
        return false;
    }
    return true;
}

krb5_error_code eas_ticket_key_make(krb5_context ctx, const krb5_keyblock *session,
                                    struct eas_ticket_key **out)
{
    struct eas_ticket_key *key = calloc(1, sizeof(*key));
    krb5_error_code code = 0;

    if (key == NULL) {
        abort(); /* as APR's pools do */
    }
    key->enctype = session->enctype;
    if (!make_by_openssl(session, key)) {
        code = krb5_k_create_key(ctx, session, &key->key);
    }
    if (code != 0) {
        free(key);
        key = NULL;
    }
    *out = key;
    return code;
}

void eas_ticket_key_free(struct eas_ticket_key *key)
{
    if (key != NULL) {
        free_usage(&key->authenticator);
        free_usage(&key->ap_rep);
        krb5_k_free_key(NULL, key->key); /* needs no context */
        OPENSSL_cleanse(key->random, sizeof(key->random));
        free(key);
    }
}

krb5_enctype eas_ticket_key_enctype(const struct eas_ticket_key *key)
{
    return key->enctype;
}

/* --- use -------------------------------------------------------------------------------------- */

krb5_error_code eas_ticket_key_random(krb5_context ctx, struct eas_ticket_key *key, void *out,
                                      size_t len)
{
    krb5_data all = { 0, RANDOM_SIZE, (char *)key->random };
    unsigned char *next;
    krb5_error_code code;

    if (key->random_left < len) {
        key->random_left = 0;
        code = krb5_c_random_make_octets(ctx, &all);
        if (code != 0) {
            return code;
        }
        key->random_left = RANDOM_SIZE;
    }
    next = key->random + RANDOM_SIZE - key->random_left;
    memcpy(out, next, len);
    eas_secret_erase(next, len); /* no octet is used twice */
    key->random_left -= len;
    return 0;
}

krb5_error_code eas_ticket_key_cipher_length(krb5_context ctx, const struct eas_ticket_key *key,
                                             size_t plain_len, size_t *len_out)
{
    return krb5_c_encrypt_length(ctx, key->enctype, plain_len, len_out);
}

static bool update(EVP_CIPHER_CTX *cipher, unsigned char *out, const unsigned char *in, size_t len)
{
    int n = 0;

    return EVP_CipherUpdate(cipher, out, &n, in, (int)len) == 1 && (size_t)n == len;
}

/* CBC-CTS needs more than one block; a confounder and one octet are. */
static bool decipher(const struct usage *usage, unsigned char *out, const unsigned char *in,
                     size_t len)
{
    return EVP_CipherInit_ex2(usage->cipher, NULL, NULL, no_iv, -1, NULL) == 1
           && update(usage->cipher, out, in, len);
}

/*
 * AES-CBC-CTS with an initial vector of zeros (RFC 3962 section 5), in place.  A new initial vector
 * costs OpenSSL as much as the encryption, so that CBC goes on from message to message.  The first
 * block takes back what that adds to it.  The last block, filled up with zeros, stands before the
 * one that is cut off.
 */
static bool encipher(struct usage *usage, unsigned char *text, size_t len)
{
    size_t rest = (len - 1) % BLOCK + 1, whole = len - rest, i;
    unsigned char last[BLOCK] = { 0 };

    for (i = 0; i < BLOCK; i++) {
        text[i] ^= usage->chain[i];
    }
    memcpy(last, text + whole, rest);
    if (!update(usage->cipher, text, text, whole) || !update(usage->cipher, last, last, BLOCK)) {
        memset(usage->chain, 0, BLOCK);
        EVP_CipherInit_ex2(usage->cipher, NULL, NULL, no_iv, -1, NULL);
        return false;
    }
    memcpy(usage->chain, last, BLOCK);
    memcpy(text + whole, text + whole - BLOCK, rest);
    memcpy(text + whole - BLOCK, last, BLOCK);
    return true;
}

krb5_error_code eas_ticket_key_encrypt(krb5_context ctx, struct eas_ticket_key *key,
                                       const krb5_data *plain, krb5_data *cipher)
{
    krb5_enc_data out = { 0, key->enctype, 0, *cipher };
    unsigned char *text = (unsigned char *)cipher->data, checksum[EAS_HMAC_SHA1_SIZE];
    size_t len = BLOCK + plain->length;
    krb5_error_code code;

    if (key->key != NULL) {
        return krb5_k_encrypt(ctx, key->key, USAGE_AUTHENTICATOR, NULL, plain, &out);
    }
    if (cipher->length != len + CHECKSUM_SIZE) {
        return KRB5_BAD_MSIZE;
    }
    code = eas_ticket_key_random(ctx, key, text, BLOCK);
    if (code != 0) {
        return code;
    }
    memcpy(text + BLOCK, plain->data, plain->length);
    eas_hmac_sha1(&key->authenticator.mac, eas_bytes_make(text, len), checksum);
    if (!encipher(&key->authenticator, text, len)) {
        OPENSSL_cleanse(text, len);
        return KRB5_CRYPTO_INTERNAL;
    }
    memcpy(text + len, checksum, CHECKSUM_SIZE);
    return 0;
}

krb5_error_code eas_ticket_key_decrypt(krb5_context ctx, struct eas_ticket_key *key,
                                       const krb5_enc_data *cipher, unsigned char *room,
                                       krb5_data *plain_out)
{
    const unsigned char *text = (const unsigned char *)cipher->ciphertext.data;
    unsigned char checksum[EAS_HMAC_SHA1_SIZE];
    size_t len = cipher->ciphertext.length;

    plain_out->data = (char *)room;
    plain_out->length = cipher->ciphertext.length;
    if (key->key != NULL) {
        return krb5_k_decrypt(ctx, key->key, USAGE_AP_REP, NULL, cipher, plain_out);
    }
    if (cipher->enctype != key->enctype) {
        return KRB5_BAD_ENCTYPE;
    }
    if (len <= BLOCK + CHECKSUM_SIZE) {
        return KRB5_BAD_MSIZE;
    }
    len -= CHECKSUM_SIZE;
    if (!decipher(&key->ap_rep, room, text, len)) {
        return KRB5_CRYPTO_INTERNAL;
    }
    eas_hmac_sha1(&key->ap_rep.mac, eas_bytes_make(room, len), checksum); /* and confounder */
    if (CRYPTO_memcmp(checksum, text + len, CHECKSUM_SIZE) != 0) {
        return KRB5KRB_AP_ERR_BAD_INTEGRITY;
    }
    plain_out->data = (char *)room + BLOCK;
    plain_out->length = (unsigned)(len - BLOCK);
    return 0;
}
