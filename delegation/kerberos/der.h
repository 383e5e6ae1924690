/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/der.h - DER (X.690): written from its end, read from its beginning */

#ifndef EAS_DELEGATION_KERBEROS_DER_H
#define EAS_DELEGATION_KERBEROS_DER_H

#include <apr.h>
#include <stdbool.h>

#define EAS_DER_INTEGER 0x02
#define EAS_DER_BIT_STRING 0x03
#define EAS_DER_OCTET_STRING 0x04
#define EAS_DER_ENUMERATED 0x0a
#define EAS_DER_GENERALIZED_TIME 0x18
#define EAS_DER_GENERAL_STRING 0x1b
#define EAS_DER_SEQUENCE 0x30
#define EAS_DER_APPLICATION(n) (0x60 | (n))
#define EAS_DER_CONTEXT(n) (0xa0 | (n))

/* The most octets that a tag and a length take, of what is shorter than 16 MB. */
#define EAS_DER_HEAD_MAX 5

/*
 * A buffer that is filled from its end, so that each length is known when it is written: what comes last
 * is put first, and what has been put is from at to end.  It must have room for all of it; a put that
 * would leave it ends the process.
 */
struct eas_der {
    unsigned char *start;
    unsigned char *at;
    unsigned char *end;
};

struct eas_der eas_der_begin(void *room, apr_size_t size);

void eas_der_put(struct eas_der *der, const void *bytes, apr_size_t len);

/* Room of len octets that come next; to be filled by the caller. */
unsigned char *eas_der_put_room(struct eas_der *der, apr_size_t len);

/* Everything from here to end (an earlier der->at) becomes the contents of tag. */
void eas_der_wrap(struct eas_der *der, const unsigned char *end, unsigned tag);

/* An element with these contents. */
void eas_der_put_element(struct eas_der *der, unsigned tag, const void *bytes, apr_size_t len);

void eas_der_put_integer(struct eas_der *der, apr_int32_t value);

/* What is still to be read, of octets that may come from anybody: nothing outside is looked at. */
struct eas_der_text {
    const unsigned char *at;
    apr_size_t left;
};

/* Takes the next element, which must have this tag and lie within text, and gives its contents. */
bool eas_der_enter(struct eas_der_text *text, unsigned tag, struct eas_der_text *contents);

/* Takes these octets, if they come next. */
bool eas_der_take(struct eas_der_text *text, const void *octets, apr_size_t len);

#endif
