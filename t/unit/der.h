/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/der.h - reader of DER (X.690), independent of the code under test */

#ifndef EAS_T_UNIT_DER_H
#define EAS_T_UNIT_DER_H

#include "t/unit/unit.h"

/* The rest of the octets. */
struct der_text {
    const unsigned char *at;
    const unsigned char *end;
};

static inline struct der_text der_begin(const void *bytes, size_t len)
{
    struct der_text text = { bytes, (const unsigned char *)bytes + len };

    return text;
}

static inline size_t der_left(const struct der_text *text)
{
    return (size_t)(text->end - text->at);
}

static inline unsigned char der_octet(struct der_text *text)
{
    assert_true(text->at < text->end);
    return *text->at++;
}

/* DER allows the shortest form only (X.690 section 10.1). */
static inline size_t der_length(struct der_text *text)
{
    size_t len = der_octet(text), octets, i;

    if (len < 0x80) {
        return len;
    }
    octets = len & 0x7f;
    assert_uint_in_range(octets, 1, 4);
    for (len = 0, i = 0; i < octets; i++) {
        len = len << 8 | der_octet(text);
    }
    assert_true(len >= 0x80);
    assert_true(octets == 1 || len >> (8 * (octets - 1)) != 0);
    return len;
}

/* Reads an element of this tag and returns its contents. */
static inline struct der_text der_enter(struct der_text *text, unsigned char tag)
{
    struct der_text contents;
    size_t len;

    assert_int_equal(der_octet(text), tag);
    len = der_length(text);
    assert_true(len <= der_left(text));
    contents = der_begin(text->at, len);
    text->at += len;
    return contents;
}

/* The next octets are these. */
static inline void der_expect(struct der_text *text, const void *bytes, size_t len)
{
    assert_true(len <= der_left(text));
    assert_memory_equal(text->at, bytes, len);
    text->at += len;
}

static inline void der_done(const struct der_text *text)
{
    assert_int_equal(der_left(text), 0);
}

/* Reads a NegTokenInit of Kerberos alone and returns its AP-REQ (RFC 4178, RFC 4121). */
static inline struct der_text der_enter_spnego(struct der_text *token)
{
    static const unsigned char spnego[] = "\x06\x06\x2b\x06\x01\x05\x05\x02";
    static const unsigned char krb5[] = "\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";
    struct der_text outer, choice, init, types, list, field, octets, inner;

    outer = der_enter(token, 0x60);
    der_done(token);
    der_expect(&outer, spnego, sizeof(spnego) - 1);
    choice = der_enter(&outer, 0xa0);
    der_done(&outer);
    init = der_enter(&choice, 0x30);
    der_done(&choice);
    types = der_enter(&init, 0xa0);
    list = der_enter(&types, 0x30);
    der_done(&types);
    der_expect(&list, krb5, sizeof(krb5) - 1);
    der_done(&list);
    field = der_enter(&init, 0xa2);
    der_done(&init);
    octets = der_enter(&field, 0x04);
    der_done(&field);
    inner = der_enter(&octets, 0x60);
    der_done(&octets);
    der_expect(&inner, krb5, sizeof(krb5) - 1);
    der_expect(&inner, "\x01\x00", 2);
    return inner;
}

#endif
