/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/der.h - DER (X.690): written from its end, read from its beginning */

#ifndef EAS_AUTH_BASE_DER_H
#define EAS_AUTH_BASE_DER_H

#include "auth/base/bytes.h"

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

/* The most octets of a tag and a length, for contents of less than 16 MB. */
#define EAS_DER_HEAD_MAX 5

/*
 * A buffer that is filled from its end, so that each length is known when it is written.  The last
 * element is put first.  at to end is what has been put.  A put without room aborts the process.
 */
struct eas_der {
    unsigned char *start;
    unsigned char *at;
    unsigned char *end;
};

struct eas_der eas_der_begin(void *room, apr_size_t size);

void eas_der_put(struct eas_der *der, const void *bytes, apr_size_t len);

/* Reserves the next len octets, for the caller to fill. */
unsigned char *eas_der_put_room(struct eas_der *der, apr_size_t len);

/* Puts tag and length before the octets from at to end, which is an earlier value of at. */
void eas_der_wrap(struct eas_der *der, const unsigned char *end, unsigned tag);

void eas_der_put_element(struct eas_der *der, unsigned tag, const void *bytes, apr_size_t len);

void eas_der_put_integer(struct eas_der *der, apr_int32_t value);

/*
 * Readers of untrusted octets: they read nothing outside text.  On success they remove from the
 * beginning of text what they have read.
 */

/* The next element must have this tag and end within text. */
bool eas_der_enter(struct eas_bytes *text, unsigned tag, struct eas_bytes *contents);

/* The element must have this tag and be all of text. */
bool eas_der_enter_only(struct eas_bytes text, unsigned tag, struct eas_bytes *contents);

/* The next octets must be these. */
bool eas_der_take(struct eas_bytes *text, const void *octets, apr_size_t len);

#endif
