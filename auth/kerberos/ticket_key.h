/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/ticket_key.h - Session key with derived keys, for the AP exchange */

#ifndef EAS_AUTH_KERBEROS_TICKET_KEY_H
#define EAS_AUTH_KERBEROS_TICKET_KEY_H

#include <krb5/krb5.h>
#include <stddef.h>

/*
 * A session key and the keys that a client derives from it, to encrypt authenticators and decrypt
 * replies (RFC 4120 section 7.5.1, usages 11 and 12).  The derivation costs more than the use.  For
 * one thread at a time.
 *
 * OpenSSL does aes128- and aes256-cts-hmac-sha1-96, which Active Directory issues; its KRB5KDF and
 * its CBC-CTS of mode CS3 are made for Kerberos (RFC 3962).  It takes half the time of a
 * libk5crypto that is built without AES instructions, as Debian's is (t/bench, case token).
 * libk5crypto does all other enctypes, and these where OpenSSL fails.
 *
 * The functions return libkrb5's error codes.
 */
struct eas_ticket_key;

/* Approximate size in bytes. */
#define EAS_TICKET_KEY_SIZE 3584

krb5_error_code eas_ticket_key_make(krb5_context ctx, const krb5_keyblock *session,
                                    struct eas_ticket_key **out);
void eas_ticket_key_free(struct eas_ticket_key *key); /* NULL is allowed; wipes the key */

krb5_enctype eas_ticket_key_enctype(const struct eas_ticket_key *key);

/* At most 128 random octets.  One fetch serves the confounders and nonces of several tokens. */
krb5_error_code eas_ticket_key_random(krb5_context ctx, struct eas_ticket_key *key, void *out,
                                      size_t len);

/* The length of the ciphertext of plain_len octets. */
krb5_error_code eas_ticket_key_cipher_length(krb5_context ctx, const struct eas_ticket_key *key,
                                             size_t plain_len, size_t *len_out);

/* Encrypts an authenticator into cipher, whose length is that of the ciphertext. */
krb5_error_code eas_ticket_key_encrypt(krb5_context ctx, struct eas_ticket_key *key,
                                       const krb5_data *plain, krb5_data *cipher);

/*
 * Decrypts the encrypted part of an AP-REP into room, which is as long as the ciphertext.
 * *plain_out lies in room.  KRB5KRB_AP_ERR_BAD_INTEGRITY or KRB5_BAD_MSIZE for other bytes.
 */
krb5_error_code eas_ticket_key_decrypt(krb5_context ctx, struct eas_ticket_key *key,
                                       const krb5_enc_data *cipher, unsigned char *room,
                                       krb5_data *plain_out);

#endif
