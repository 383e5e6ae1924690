/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/kdc_message.c - messages between client and KDC, as far as transport needs them */

#include "auth/kerberos/kdc_message.h"

/* Tags of RFC 4120 section 5.10, with the bits of a constructed application tag. */
#define AS_REQ 0x6a
#define AS_REP 0x6b
#define TGS_REQ 0x6c
#define TGS_REP 0x6d
#define KRB_ERROR 0x7e

#define SEQUENCE 0x30
#define INTEGER 0x02
#define CONTEXT(n) (0xa0 | (n))

/* RFC 4120 section 7.5.2, RFC 6113 section 7.1. */
#define PA_ENC_TIMESTAMP 2
#define PA_FX_FAST 136
#define PA_SPAKE 151 /* its response; its support message is taken for one, too */
#define PA_ENCRYPTED_CHALLENGE 138

/* The next element's tag and contents; 0, which is no tag of Kerberos, at the end or if invalid. */
static unsigned next(struct eas_bytes *from, struct eas_bytes *contents)
{
    const unsigned char *p = from->at;
    size_t head = 2, len, octets;

    if (from->len < 2) {
        return 0;
    }
    len = p[1];
    if (len >= 0x80) {
        octets = len & 0x7f;
        if (octets == 0 || octets > 4 || from->len < 2 + octets) {
            return 0;
        }
        for (len = 0; octets > 0; octets--) {
            len = len << 8 | p[head++];
        }
    }
    if (len > from->len - head) {
        return 0;
    }
    *contents = eas_bytes_make(p + head, len);
    *from = eas_bytes_make(p + head + len, from->len - head - len);
    return p[0];
}

/* Enters the next element if it has this tag. */
static bool enter(struct eas_bytes *bytes, unsigned tag)
{
    struct eas_bytes from = *bytes;

    return next(&from, bytes) == tag;
}

/* Moves to the field [n] of a SEQUENCE, and enters it. */
static bool enter_field(struct eas_bytes *sequence, unsigned n)
{
    struct eas_bytes contents;
    unsigned tag;

    while ((tag = next(sequence, &contents)) != 0) {
        if (tag == CONTEXT(n)) {
            *sequence = contents;
            return true;
        }
    }
    return false;
}

static bool read_integer(struct eas_bytes from, int *value)
{
    size_t i;

    if (!enter(&from, INTEGER) || from.len < 1 || from.len > 4) {
        return false;
    }
    *value = (from.at[0] & 0x80) != 0 ? -1 : 0;
    for (i = 0; i < from.len; i++) {
        *value = (int)((unsigned)*value << 8 | from.at[i]);
    }
    return true;
}

bool eas_kdc_message_is_guess(struct eas_bytes message, bool conversation)
{
    struct eas_bytes body = message, list, element;

    if (enter(&body, TGS_REQ)) {
        return false;
    }
    body = message;
    if (!enter(&body, AS_REQ) || !enter(&body, SEQUENCE)) {
        return true;
    }
    list = body;
    if (!enter_field(&list, 3)) {
        return false;
    }
    if (!enter(&list, SEQUENCE)) {
        return true;
    }
    while (list.len > 0) {
        int type;

        if (next(&list, &element) != SEQUENCE || !enter_field(&element, 1)
            || !read_integer(element, &type)) {
            return true;
        }
        if (type == PA_ENC_TIMESTAMP || type == PA_ENCRYPTED_CHALLENGE || type == PA_SPAKE
            || (type == PA_FX_FAST && conversation)) {
            return true;
        }
    }
    return false;
}

bool eas_kdc_message_is_reply(struct eas_bytes message)
{
    struct eas_bytes contents;
    unsigned tag = next(&message, &contents);

    return (tag == AS_REP || tag == TGS_REP || tag == KRB_ERROR) && message.len == 0;
}

int eas_kdc_message_error(struct eas_bytes message)
{
    int code;

    return enter(&message, KRB_ERROR) && enter(&message, SEQUENCE) && enter_field(&message, 6)
                   && read_integer(message, &code)
               ? code
               : -1;
}
