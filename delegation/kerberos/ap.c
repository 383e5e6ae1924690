/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/ap.c - client side of Kerberos' AP exchange (RFC 4120 section 3.2) */

#include "delegation/kerberos/ap.h"
#include "delegation/kerberos/message.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Message types, equal to the numbers of their APPLICATION tags (RFC 4120 section 5.10). */
#define AUTHENTICATOR 2
#define AP_REQ 14
#define AP_REP 15
#define ENC_AP_REP_PART 27

/* The checksum that carries GSSAPI's flags and channel bindings, RFC 4121 section 4.1.1. */
#define GSS_CHECKSUM_TYPE 0x8003

/* The longest session key of any enctype, and a sequence number. */
#define KEY_MAX 64
#define SEQUENCE_SIZE 4

/* An authenticator without its names; twice what is needed. */
#define AUTHENTICATOR_MAX 512
/* Tags, lengths and numbers of an AP-REQ, and what encryption adds. */
#define AP_REQ_OVERHEAD 256

/* The most octets of the client's name and realm, each string with its tag and length. */
static apr_size_t names_max(krb5_const_principal client)
{
    apr_size_t len = client->realm.length + EAS_DER_HEAD_MAX;
    int i;

    for (i = 0; i < client->length; i++) {
        len += client->data[i].length + EAS_DER_HEAD_MAX;
    }
    return len;
}

static apr_size_t authenticator_max(const krb5_creds *ticket)
{
    return ticket->client != NULL ? names_max(ticket->client) + AUTHENTICATOR_MAX : 0;
}

apr_size_t eas_ap_request_max(const krb5_creds *ticket)
{
    return ticket->ticket.length + authenticator_max(ticket) + AP_REQ_OVERHEAD;
}

/* --- the request ------------------------------------------------------------------------------ */

/* The random part of an authenticator. */
struct nonce {
    unsigned char subkey[KEY_MAX];
    size_t subkey_len;
    krb5_int32 sequence;
};

static krb5_error_code make_nonce(krb5_context ctx, struct eas_ticket_key *key, struct nonce *nonce)
{
    unsigned char random[KEY_MAX + SEQUENCE_SIZE];
    krb5_enctype enctype = eas_ticket_key_enctype(key);
    krb5_data octets = { 0, 0, (char *)random };
    krb5_keyblock subkey = { 0, enctype, 0, nonce->subkey };
    size_t seed_len = 0;
    krb5_error_code code = krb5_c_keylengths(ctx, enctype, &seed_len, &nonce->subkey_len);

    if (code == 0 && (seed_len > KEY_MAX || nonce->subkey_len > KEY_MAX)) {
        code = KRB5_BAD_KEYSIZE;
    }
    if (code == 0) {
        code = eas_ticket_key_random(ctx, key, random, seed_len + SEQUENCE_SIZE);
    }
    if (code == 0) {
        /* Positive as a signed number, and far from overflow: as krb5_generate_seq_number(). */
        memcpy(&nonce->sequence, random + seed_len, SEQUENCE_SIZE);
        nonce->sequence = (nonce->sequence & 0x3fffffff) | 1;
        octets.length = (unsigned)seed_len;
        subkey.length = (unsigned)nonce->subkey_len;
        code = krb5_c_random_to_key(ctx, enctype, &octets, &subkey);
    }
    OPENSSL_cleanse(random, sizeof(random));
    return code;
}

/* Authenticator, RFC 4120 section 5.5.1. */
static void put_authenticator(struct eas_der *der, krb5_const_principal client,
                              krb5_enctype enctype, const struct nonce *nonce,
                              const krb5_data *checksum, const struct eas_ap_time *time)
{
    eas_message_put_integer(der, 7, nonce->sequence);
    eas_message_put_typed(der, 6, enctype, nonce->subkey, nonce->subkey_len);
    eas_message_put_time(der, 5, time->ctime);
    eas_message_put_integer(der, 4, time->cusec);
    eas_message_put_typed(der, 3, GSS_CHECKSUM_TYPE, checksum->data, checksum->length);
    eas_message_put_name(der, 2, client);
    eas_message_put_realm(der, 1, client);
    eas_message_put_integer(der, 0, EAS_MESSAGE_PVNO);
    eas_der_wrap(der, der->end, EAS_DER_SEQUENCE);
    eas_der_wrap(der, der->end, EAS_DER_APPLICATION(AUTHENTICATOR));
}

/* EncryptedData. */
static krb5_error_code put_encrypted(krb5_context ctx, struct eas_ticket_key *key,
                                     const struct eas_der *plain, struct eas_der *der)
{
    const unsigned char *end = der->at;
    krb5_enctype enctype = eas_ticket_key_enctype(key);
    krb5_data in = { 0, (unsigned)(plain->end - plain->at), (char *)plain->at };
    krb5_data out = { 0, 0, NULL };
    size_t len;
    krb5_error_code code = eas_ticket_key_cipher_length(ctx, key, in.length, &len);

    if (code == 0) {
        out.length = (unsigned)len;
        out.data = (char *)eas_der_put_room(der, len);
        code = eas_ticket_key_encrypt(ctx, key, &in, &out);
    }
    if (code == 0) {
        eas_der_wrap(der, end, EAS_DER_OCTET_STRING);
        eas_der_wrap(der, end, EAS_DER_CONTEXT(2));
        eas_message_put_integer(der, 0, enctype);
        eas_der_wrap(der, end, EAS_DER_SEQUENCE);
    }
    return code;
}

/* AP-REQ around its encrypted authenticator (RFC 4120 section 5.5.1). */
static void put_ap_req(struct eas_der *der, const krb5_data *ticket)
{
    /* A BIT STRING: no unused bits, then mutual-required. */
    static const unsigned char options[] = { 0, AP_OPTS_MUTUAL_REQUIRED >> 24, 0, 0, 0 };
    const unsigned char *end;

    eas_der_wrap(der, der->end, EAS_DER_CONTEXT(4));
    end = der->at;
    eas_der_put(der, ticket->data, ticket->length);
    eas_der_wrap(der, end, EAS_DER_CONTEXT(3));
    eas_message_put_octets(der, 2, EAS_DER_BIT_STRING, options, sizeof(options));
    eas_message_put_integer(der, 1, AP_REQ);
    eas_message_put_integer(der, 0, EAS_MESSAGE_PVNO);
    eas_der_wrap(der, der->end, EAS_DER_SEQUENCE);
    eas_der_wrap(der, der->end, EAS_DER_APPLICATION(AP_REQ));
}

krb5_error_code eas_ap_request(krb5_context ctx, struct eas_ticket_key *key,
                               const krb5_creds *ticket, const krb5_data *checksum,
                               struct eas_der *der, struct eas_ap_time *time_out)
{
    apr_size_t room = authenticator_max(ticket);
    unsigned char *plain;
    struct eas_der authenticator;
    struct nonce nonce;
    krb5_error_code code;

    if (ticket->ticket.length == 0 || ticket->client == NULL) {
        return KRB5_NO_TKT_SUPPLIED;
    }
    /* libkrb5 never returns the same time twice in a process. */
    code = krb5_us_timeofday(ctx, &time_out->ctime, &time_out->cusec);
    if (code == 0 && (uint32_t)time_out->ctime >= (uint32_t)ticket->times.endtime) {
        code = KRB5KRB_AP_ERR_TKT_EXPIRED;
    }
    if (code == 0) {
        code = make_nonce(ctx, key, &nonce);
    }
    if (code != 0) {
        return code;
    }
    plain = malloc(room);
    if (plain == NULL) {
        return ENOMEM;
    }
    authenticator = eas_der_begin(plain, room);
    put_authenticator(&authenticator, ticket->client, eas_ticket_key_enctype(key), &nonce, checksum,
                      time_out);
    code = put_encrypted(ctx, key, &authenticator, der);
    if (code == 0) {
        put_ap_req(der, &ticket->ticket);
    }
    OPENSSL_cleanse(authenticator.at, (apr_size_t)(authenticator.end - authenticator.at));
    OPENSSL_cleanse(&nonce, sizeof(nonce));
    free(plain);
    return code;
}

/* --- the reply -------------------------------------------------------------------------------- */

static bool take_integer(struct eas_bytes *text, unsigned n, krb5_int32 *value)
{
    struct eas_bytes field, octets;
    uint32_t bits;

    if (!eas_der_enter(text, EAS_DER_CONTEXT(n), &field)
        || !eas_der_enter_only(field, EAS_DER_INTEGER, &octets) || octets.len == 0
        || octets.len > sizeof(bits)) {
        return false;
    }
    bits = octets.at[0] & 0x80 ? UINT32_MAX : 0;
    for (; octets.len > 0; octets.len--) {
        bits = bits << 8 | *octets.at++;
    }
    *value = (krb5_int32)bits;
    return true;
}

static bool find_encrypted(struct eas_bytes reply, krb5_enc_data *encrypted)
{
    struct eas_bytes message, fields, field, octets, ignored;
    krb5_int32 pvno, type;

    if (!eas_der_enter_only(reply, EAS_DER_APPLICATION(AP_REP), &message)
        || !eas_der_enter_only(message, EAS_DER_SEQUENCE, &fields)
        || !take_integer(&fields, 0, &pvno) || pvno != EAS_MESSAGE_PVNO
        || !take_integer(&fields, 1, &type) || type != AP_REP
        || !eas_der_enter_only(fields, EAS_DER_CONTEXT(2), &field)
        || !eas_der_enter_only(field, EAS_DER_SEQUENCE, &fields)
        || !take_integer(&fields, 0, &encrypted->enctype)) {
        return false;
    }
    eas_der_enter(&fields, EAS_DER_CONTEXT(1), &ignored); /* a kvno */
    if (!eas_der_enter_only(fields, EAS_DER_CONTEXT(2), &field)
        || !eas_der_enter_only(field, EAS_DER_OCTET_STRING, &octets)) {
        return false;
    }
    encrypted->ciphertext.data = (char *)octets.at;
    encrypted->ciphertext.length = (unsigned)octets.len;
    return true;
}

/* EncAPRepPart begins with ctime and cusec.  An old cipher's padding may follow it. */
static bool repeats_time(struct eas_bytes plain, const struct eas_ap_time *time)
{
    unsigned char room[64];
    struct eas_der expected = eas_der_begin(room, sizeof(room));
    struct eas_bytes part, fields;

    eas_message_put_integer(&expected, 1, time->cusec);
    eas_message_put_time(&expected, 0, time->ctime);
    return eas_der_enter(&plain, EAS_DER_APPLICATION(ENC_AP_REP_PART), &part)
           && eas_der_enter(&part, EAS_DER_SEQUENCE, &fields)
           && eas_der_take(&fields, expected.at, (apr_size_t)(expected.end - expected.at));
}

krb5_error_code eas_ap_check_reply(krb5_context ctx, struct eas_ticket_key *key,
                                   struct eas_bytes reply, const struct eas_ap_time *time)
{
    krb5_enc_data in = { 0 };
    krb5_data plain;
    unsigned char *room;
    krb5_error_code code;

    if (!find_encrypted(reply, &in)) {
        return KRB5KRB_AP_ERR_MSG_TYPE;
    }
    room = malloc(in.ciphertext.length + 1);
    if (room == NULL) {
        return ENOMEM;
    }
    code = eas_ticket_key_decrypt(ctx, key, &in, room, &plain);
    if (code == 0
        && !repeats_time((struct eas_bytes){ (unsigned char *)plain.data, plain.length }, time)) {
        code = KRB5_MUTUAL_FAILED;
    }
    OPENSSL_cleanse(room, in.ciphertext.length);
    free(room);
    return code;
}
