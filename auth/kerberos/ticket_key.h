/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/ticket_key.h - a ticket's session key, ready for the AP exchange */

#ifndef EAS_AUTH_KERBEROS_TICKET_KEY_H
#define EAS_AUTH_KERBEROS_TICKET_KEY_H

#include <krb5/krb5.h>
#include <stddef.h>

/*
 * A session key with what is derived from it, which costs more than using it: to encrypt authenticators
 * and decrypt their replies, as a client does (RFC 4120 section 7.5.1, usages 11 and 12).  For one thread
 * at a time.
 *
 * aes128- and aes256-cts-hmac-sha1-96, which Active Directory gives out, are done by OpenSSL, whose
 * KRB5KDF and CBC-CTS of mode CS3 are made for Kerberos (RFC 3962), in half the time that libk5crypto
 * takes where it is built without AES instructions, as Debian's is (t/bench, case token).  All others, and
 * these where OpenSSL will not, are done by libk5crypto.
 *
 * The functions return libkrb5's error codes.
 */
struct eas_ticket_key;

/* About what it occupies. */
#define EAS_TICKET_KEY_SIZE 3584

krb5_error_code eas_ticket_key_make(krb5_context ctx, const krb5_keyblock *session,
                                    struct eas_ticket_key **out);
void eas_ticket_key_free(struct eas_ticket_key *key); /* NULL is allowed; cleanses it */

krb5_enctype eas_ticket_key_enctype(const struct eas_ticket_key *key);

/* Random octets, 128 at most: what the confounders and nonces of several tokens take is fetched at once. */
krb5_error_code eas_ticket_key_random(krb5_context ctx, struct eas_ticket_key *key, void *out,
                                      size_t len);

/* How long the ciphertext of so many octets is. */
krb5_error_code eas_ticket_key_cipher_length(krb5_context ctx, const struct eas_ticket_key *key,
                                             size_t plain_len, size_t *len_out);

/* An authenticator into cipher, which has just the length that it must have. */
krb5_error_code eas_ticket_key_encrypt(krb5_context ctx, struct eas_ticket_key *key,
                                       const krb5_data *plain, krb5_data *cipher);

/*
 * The encrypted part of an AP-REP into room, which is as long; *plain_out is its place there.
 * KRB5KRB_AP_ERR_BAD_INTEGRITY or KRB5_BAD_MSIZE if it is none.
 */
krb5_error_code eas_ticket_key_decrypt(krb5_context ctx, struct eas_ticket_key *key,
                                       const krb5_enc_data *cipher, unsigned char *room,
                                       krb5_data *plain_out);

#endif
