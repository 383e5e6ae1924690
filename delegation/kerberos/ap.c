/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/ap.c - client side of Kerberos' AP exchange (RFC 4120 section 3.2) */

#include "delegation/kerberos/ap.h"
#include "auth/base/secret.h"
#include "delegation/kerberos/message.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
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
#define SEQUENCE_MIN 0x20000000

/* The least number of microseconds that DER writes in three octets; 999 999 needs no more. */
#define CUSEC_MIN 0x8000
#define CUSEC_SIZE 3

/* An authenticator without its names. */
#define AUTHENTICATOR_MAX 256
/* Most authenticators, names included; longer ones are made on the heap. */
#define ROOM 512
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

apr_size_t eas_ap_authenticator_max(const krb5_creds *ticket)
{
    return ticket->client != NULL ? names_max(ticket->client) + AUTHENTICATOR_MAX : 0;
}

apr_size_t eas_ap_request_max(const krb5_creds *ticket)
{
    return ticket->ticket.length + eas_ap_authenticator_max(ticket) + AP_REQ_OVERHEAD;
}

/* --- the request ------------------------------------------------------------------------------ */

/* The random part of an authenticator. */
struct nonce {
    unsigned char subkey[KEY_MAX];
    krb5_int32 sequence;
};

static krb5_error_code make_nonce(krb5_context ctx, struct eas_ticket_key *key,
                                  const struct eas_ap_form *form, struct nonce *nonce)
{
    unsigned char random[KEY_MAX + SEQUENCE_SIZE];
    krb5_enctype enctype = eas_ticket_key_enctype(key);
    krb5_data octets = { 0, 0, (char *)random };
    krb5_keyblock subkey = { 0, enctype, 0, nonce->subkey };
    krb5_error_code code = eas_ticket_key_random(ctx, key, random, form->seed_len + SEQUENCE_SIZE);

    if (code == 0) {
        /* Far from overflow, as krb5_generate_seq_number(); and always of four octets. */
        memcpy(&nonce->sequence, random + form->seed_len, SEQUENCE_SIZE);
        nonce->sequence = (nonce->sequence & (2 * SEQUENCE_MIN - 1)) | SEQUENCE_MIN;
        octets.length = (unsigned)form->seed_len;
        subkey.length = (unsigned)form->subkey_len;
        code = krb5_c_random_to_key(ctx, enctype, &octets, &subkey);
    }
    eas_secret_erase(random, sizeof(random));
    return code;
}

/* The distance of the last octet put from the end. */
static apr_size_t put_so_far(const struct eas_der *der)
{
    return (apr_size_t)(der->end - der->at);
}

/* Authenticator, RFC 4120 section 5.5.1.  Each value ends where the field after it begins. */
static void put_authenticator(struct eas_der *der, krb5_const_principal client,
                              krb5_enctype enctype, const struct nonce *nonce,
                              const unsigned char *checksum, const struct eas_ap_time *time,
                              struct eas_ap_form *places)
{
    places->sequence = put_so_far(der) + SEQUENCE_SIZE;
    eas_message_put_integer(der, 7, nonce->sequence);
    places->subkey = put_so_far(der) + places->subkey_len;
    eas_message_put_typed(der, 6, enctype, nonce->subkey, places->subkey_len);
    places->ctime = put_so_far(der) + EAS_MESSAGE_TIME_SIZE;
    eas_message_put_time(der, 5, time->ctime);
    places->cusec = put_so_far(der) + CUSEC_SIZE;
    eas_message_put_integer(der, 4, time->cusec);
    places->checksum = put_so_far(der) + EAS_AP_CHECKSUM_SIZE;
    eas_message_put_typed(der, 3, GSS_CHECKSUM_TYPE, checksum, EAS_AP_CHECKSUM_SIZE);
    eas_message_put_name(der, 2, client);
    eas_message_put_realm(der, 1, client);
    eas_message_put_integer(der, 0, EAS_MESSAGE_PVNO);
    eas_der_wrap(der, der->end, EAS_DER_SEQUENCE);
    eas_der_wrap(der, der->end, EAS_DER_APPLICATION(AUTHENTICATOR));
}

krb5_error_code eas_ap_form(krb5_context ctx, const struct eas_ticket_key *key,
                            const krb5_creds *ticket, void *room, struct eas_ap_form *out)
{
    static const unsigned char checksum[EAS_AP_CHECKSUM_SIZE];
    static const struct eas_ap_time least = { 0, CUSEC_MIN };
    struct eas_der der = eas_der_begin(room, eas_ap_authenticator_max(ticket));
    struct nonce nonce = { .sequence = SEQUENCE_MIN };
    krb5_error_code code =
        krb5_c_keylengths(ctx, eas_ticket_key_enctype(key), &out->seed_len, &out->subkey_len);

    if (code == 0 && (out->seed_len > KEY_MAX || out->subkey_len > KEY_MAX)) {
        code = KRB5_BAD_KEYSIZE;
    }
    if (code != 0) {
        return code;
    }
    put_authenticator(&der, ticket->client, eas_ticket_key_enctype(key), &nonce, checksum, &least,
                      out);
    out->authenticator = der.at;
    out->len = put_so_far(&der);
    out->sequence = out->len - out->sequence;
    out->subkey = out->len - out->subkey;
    out->ctime = out->len - out->ctime;
    out->cusec = out->len - out->cusec;
    out->checksum = out->len - out->checksum;
    return eas_ticket_key_cipher_length(ctx, key, out->len, &out->cipher_len);
}

/* The clock was set back by more than a thread may sleep here.  Acceptors allow for five minutes. */
#define CLOCK_STEP apr_time_from_sec(60)

apr_time_t eas_ap_time_after(apr_time_t before, apr_time_t now)
{
    apr_time_t next = apr_time_make(
        apr_time_sec(now),
        CUSEC_MIN + apr_time_usec(now) * (APR_USEC_PER_SEC - CUSEC_MIN) / APR_USEC_PER_SEC);

    if (next <= before && before - next < CLOCK_STEP) {
        next = before + 1;
    }
    return apr_time_usec(next) == 0 ? next + CUSEC_MIN : next;
}

/*
 * libkrb5's krb5_us_timeofday() takes a mutex of the process, and repeats the first microseconds of
 * a second, plus one.
 */
static void next_time(struct eas_ap_time *time_out)
{
    static _Atomic apr_time_t latest;
    apr_time_t before = atomic_load(&latest), now = apr_time_now(), next;

    do {
        next = eas_ap_time_after(before, now);
    } while (!atomic_compare_exchange_weak(&latest, &before, next));
    time_out->ctime = (krb5_timestamp)apr_time_sec(next);
    time_out->cusec = (krb5_int32)apr_time_usec(next);
}

krb5_error_code eas_ap_now(const krb5_creds *ticket, struct eas_ap_time *time_out)
{
    if (ticket->ticket.length == 0 || ticket->client == NULL) {
        return KRB5_NO_TKT_SUPPLIED;
    }
    next_time(time_out);
    return (uint32_t)time_out->ctime >= (uint32_t)ticket->times.endtime ? KRB5KRB_AP_ERR_TKT_EXPIRED
                                                                        : 0;
}

static void put_number(unsigned char *octets, int n, krb5_int32 value)
{
    for (; n > 0; n--, value >>= 8) {
        octets[n - 1] = (unsigned char)value;
    }
}

/* As text.  A second has many requests, and each thread keeps the latest. */
static void put_time(unsigned char *octets, krb5_timestamp when)
{
    static _Thread_local struct {
        krb5_timestamp when;
        char text[EAS_MESSAGE_TIME_SIZE];
    } written;

    if (when != written.when) {
        eas_message_time(when, written.text);
        written.when = when;
    }
    memcpy(octets, written.text, EAS_MESSAGE_TIME_SIZE);
}

/* Fills in a copy of the form. */
static void fill_form(const struct eas_ap_form *form, const struct nonce *nonce,
                      const unsigned char *checksum, const struct eas_ap_time *time,
                      unsigned char *plain)
{
    memcpy(plain, form->authenticator, form->len);
    memcpy(plain + form->checksum, checksum, EAS_AP_CHECKSUM_SIZE);
    put_number(plain + form->cusec, CUSEC_SIZE, time->cusec);
    put_time(plain + form->ctime, time->ctime);
    memcpy(plain + form->subkey, nonce->subkey, form->subkey_len);
    put_number(plain + form->sequence, SEQUENCE_SIZE, nonce->sequence);
}

krb5_error_code eas_ap_authenticator(krb5_context ctx, struct eas_ticket_key *key,
                                     const struct eas_ap_form *form, const unsigned char *checksum,
                                     const struct eas_ap_time *time, struct eas_der *der)
{
    unsigned char room[ROOM], *plain = form->len <= ROOM ? room : malloc(form->len);
    krb5_data in = { 0, (unsigned)form->len, (char *)plain };
    krb5_data out = { 0, (unsigned)form->cipher_len, NULL };
    struct nonce nonce;
    krb5_error_code code = plain != NULL ? make_nonce(ctx, key, form, &nonce) : ENOMEM;

    if (code == 0) {
        fill_form(form, &nonce, checksum, time, plain);
        out.data = (char *)eas_der_put_room(der, form->cipher_len);
        code = eas_ticket_key_encrypt(ctx, key, &in, &out);
        eas_secret_erase(plain, form->len);
        eas_secret_erase(&nonce, sizeof(nonce));
    }
    if (plain != room) {
        free(plain);
    }
    return code;
}

/* EncryptedData, then AP-REQ (RFC 4120 sections 5.2.9 and 5.5.1). */
void eas_ap_wrap(struct eas_der *der, krb5_enctype enctype, const krb5_data *ticket)
{
    /* A BIT STRING: no unused bits, then mutual-required. */
    static const unsigned char options[] = { 0, AP_OPTS_MUTUAL_REQUIRED >> 24, 0, 0, 0 };
    const unsigned char *end;

    eas_der_wrap(der, der->end, EAS_DER_OCTET_STRING);
    eas_der_wrap(der, der->end, EAS_DER_CONTEXT(2));
    eas_message_put_integer(der, 0, enctype);
    eas_der_wrap(der, der->end, EAS_DER_SEQUENCE);
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
