/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/kdc_by_hand.h - Service ticket as DER (RFC 4120 section 5.3), encoded without a KDC */

#ifndef EAS_T_UNIT_KDC_BY_HAND_H
#define EAS_T_UNIT_KDC_BY_HAND_H

#include "t/unit/unit.h"

#include <krb5/krb5.h>
#include <string.h>
#include <time.h>

#define KVNO 5

/* RFC 4120 section 7.5.1. */
#define USAGE_TICKET 2
#define USAGE_AUTHENTICATOR 11
#define USAGE_AP_REP 12

/* Enctypes of session keys that Active Directory issues. */
static const krb5_enctype session_enctypes[] = {
    ENCTYPE_AES256_CTS_HMAC_SHA1_96,
    ENCTYPE_AES128_CTS_HMAC_SHA1_96,
    ENCTYPE_AES256_CTS_HMAC_SHA384_192,
    ENCTYPE_AES128_CTS_HMAC_SHA256_128,
    ENCTYPE_ARCFOUR_HMAC,
};

/* DER, encoded from the inside outwards. */
struct blob {
    unsigned char bytes[1024];
    size_t len;
};

static inline struct blob bytes(const void *data, size_t len)
{
    struct blob blob;

    assert_true(len <= sizeof(blob.bytes));
    memcpy(blob.bytes, data, len);
    blob.len = len;
    return blob;
}

static inline void append(struct blob *to, struct blob more)
{
    assert_true(to->len + more.len <= sizeof(to->bytes));
    memcpy(to->bytes + to->len, more.bytes, more.len);
    to->len += more.len;
}

static inline struct blob tlv(unsigned char tag, struct blob contents)
{
    unsigned char head[4] = { tag, 0x82, (unsigned char)(contents.len >> 8),
                              (unsigned char)contents.len };
    struct blob blob = contents.len < 0x80    ? bytes((unsigned char[]){ tag, head[3] }, 2)
                       : contents.len < 0x100 ? bytes((unsigned char[]){ tag, 0x81, head[3] }, 3)
                                              : bytes(head, 4);

    append(&blob, contents);
    return blob;
}

/* A field of a SEQUENCE: [n] of an element. */
static inline void field(struct blob *sequence, unsigned char n, struct blob element)
{
    append(sequence, tlv(0xa0 | n, element));
}

static inline struct blob integer(unsigned char value)
{
    return tlv(0x02, bytes(&value, 1));
}

static inline struct blob string(krb5_data data)
{
    return tlv(0x1b, bytes(data.data, data.length));
}

static inline struct blob kerberos_time(time_t when)
{
    char text[16];
    struct tm tm;

    assert_int_equal(strftime(text, sizeof(text), "%Y%m%d%H%M%SZ", gmtime_r(&when, &tm)), 15);
    return tlv(0x18, bytes(text, 15));
}

static inline struct blob principal_name(krb5_const_principal principal)
{
    struct blob names = { .len = 0 }, name = { .len = 0 };
    int i;

    for (i = 0; i < principal->length; i++) {
        append(&names, string(principal->data[i]));
    }
    field(&name, 0, integer((unsigned char)principal->type));
    field(&name, 1, tlv(0x30, names));
    return tlv(0x30, name);
}

/* EncTicketPart, RFC 4120 section 5.3. */
static inline struct blob enc_ticket_part(const krb5_creds *creds)
{
    struct blob part = { .len = 0 }, key = { .len = 0 }, transited = { .len = 0 };

    field(&key, 0, integer((unsigned char)creds->keyblock.enctype));
    field(&key, 1, tlv(0x04, bytes(creds->keyblock.contents, creds->keyblock.length)));
    field(&transited, 0, integer(1));
    field(&transited, 1, tlv(0x04, bytes("", 0)));
    field(&part, 0, tlv(0x03, bytes("\0\0\0\0\0", 5)));
    field(&part, 1, tlv(0x30, key));
    field(&part, 2, string(creds->client->realm));
    field(&part, 3, principal_name(creds->client));
    field(&part, 4, tlv(0x30, transited));
    field(&part, 5, kerberos_time(creds->times.authtime));
    field(&part, 6, kerberos_time(creds->times.starttime));
    field(&part, 7, kerberos_time(creds->times.endtime));
    return tlv(0x63, tlv(0x30, part));
}

static inline struct blob encrypted(krb5_context ctx, const krb5_keyblock *key, krb5_keyusage usage,
                                    struct blob plain)
{
    struct blob cipher, data = { .len = 0 };
    krb5_data in = { 0, (unsigned)plain.len, (char *)plain.bytes };
    krb5_enc_data out;

    memset(&out, 0, sizeof(out));
    out.ciphertext.data = (char *)cipher.bytes;
    out.ciphertext.length = sizeof(cipher.bytes);
    assert_int_equal(krb5_c_encrypt(ctx, key, usage, NULL, &in, &out), 0);
    cipher.len = out.ciphertext.length;
    field(&data, 0, integer((unsigned char)key->enctype));
    field(&data, 1, integer(KVNO));
    field(&data, 2, tlv(0x04, cipher));
    return tlv(0x30, data);
}

static inline struct blob ticket_der(krb5_context ctx, const krb5_keyblock *key,
                                     const krb5_creds *creds)
{
    struct blob ticket = { .len = 0 };

    field(&ticket, 0, integer(5));
    field(&ticket, 1, string(creds->server->realm));
    field(&ticket, 2, principal_name(creds->server));
    field(&ticket, 3, encrypted(ctx, key, USAGE_TICKET, enc_ticket_part(creds)));
    return tlv(0x61, tlv(0x30, ticket));
}

#endif
