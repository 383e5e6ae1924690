/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/der.c - DER (X.690): written from its end, read from its beginning */

#include "auth/base/der.h"

#include <stdlib.h>
#include <string.h>

struct eas_der eas_der_begin(void *room, apr_size_t size)
{
    unsigned char *start = room;

    return (struct eas_der){ start, start + size, start + size };
}

unsigned char *eas_der_put_room(struct eas_der *der, apr_size_t len)
{
    if ((apr_size_t)(der->at - der->start) < len) {
        abort();
    }
    der->at -= len;
    return der->at;
}

void eas_der_put(struct eas_der *der, const void *bytes, apr_size_t len)
{
    memcpy(eas_der_put_room(der, len), bytes, len);
}

void eas_der_wrap(struct eas_der *der, const unsigned char *end, unsigned tag)
{
    unsigned char head[EAS_DER_HEAD_MAX], *const head_end = head + sizeof(head), *at = head_end;
    apr_size_t len = (apr_size_t)(end - der->at), rest = len;

    if (len >> 24 != 0) {
        abort();
    }
    do {
        *--at = (unsigned char)rest;
        rest >>= 8;
    } while (rest > 0);
    if (len >= 0x80) {
        at[-1] = (unsigned char)(0x80 | (head_end - at));
        at--;
    }
    *--at = (unsigned char)tag;
    eas_der_put(der, at, (apr_size_t)(head_end - at));
}

void eas_der_put_element(struct eas_der *der, unsigned tag, const void *bytes, apr_size_t len)
{
    const unsigned char *end = der->at;

    eas_der_put(der, bytes, len);
    eas_der_wrap(der, end, tag);
}

/* The shortest two's complement (X.690 section 8.3). */
void eas_der_put_integer(struct eas_der *der, apr_int32_t value)
{
    unsigned char octets[sizeof(value)], *const end = octets + sizeof(octets), *at = end;
    apr_int32_t rest = value;

    do {
        *--at = (unsigned char)rest;
        rest = rest < 0 ? ~(~rest >> 8) : rest >> 8;
    } while (at > octets && rest != (*at & 0x80 ? -1 : 0));
    eas_der_put_element(der, EAS_DER_INTEGER, at, (apr_size_t)(end - at));
}

bool eas_der_enter(struct eas_bytes *text, unsigned tag, struct eas_bytes *contents)
{
    apr_size_t len, octets;

    if (text->len < 2 || text->at[0] != tag) {
        return false;
    }
    len = text->at[1];
    text->at += 2;
    text->len -= 2;
    if (len >= 0x80) {
        octets = len & 0x7f;
        if (octets == 0 || octets > 3 || octets > text->len) {
            return false;
        }
        for (len = 0; octets > 0; octets--) {
            len = len << 8 | *text->at++;
            text->len--;
        }
    }
    if (len > text->len) {
        return false;
    }
    *contents = (struct eas_bytes){ text->at, len };
    text->at += len;
    text->len -= len;
    return true;
}

bool eas_der_enter_only(struct eas_bytes text, unsigned tag, struct eas_bytes *contents)
{
    return eas_der_enter(&text, tag, contents) && text.len == 0;
}

bool eas_der_take(struct eas_bytes *text, const void *octets, apr_size_t len)
{
    if (text->len < len || memcmp(text->at, octets, len) != 0) {
        return false;
    }
    text->at += len;
    text->len -= len;
    return true;
}
