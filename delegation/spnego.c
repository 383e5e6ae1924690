/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/spnego.c - the SPNEGO envelope around a Kerberos message (RFC 4178) */

#include "delegation/spnego.h"

#include <string.h>

/* DER tags. */
#define TAG_OCTET_STRING 0x04
#define TAG_SEQUENCE 0x30
#define TAG_APPLICATION_0 0x60 /* InitialContextToken, RFC 2743 section 3.1 */
#define TAG_CONTEXT_0 0xa0
#define TAG_CONTEXT_2 0xa2

/* 1.3.6.1.5.5.2 and 1.2.840.113554.1.2.2, with tag and length. */
static const unsigned char spnego_oid[] = { 0x06, 0x06, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x02 };
static const unsigned char krb5_oid[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                          0xf7, 0x12, 0x01, 0x02, 0x02 };
/* TOK_ID of an AP-REQ, RFC 4121 section 4.1. */
static const unsigned char ap_req_id[] = { 0x01, 0x00 };

/* A buffer that is filled from its end, so that each length is known when it is written. */
struct der {
    unsigned char *start;
    unsigned char *at;
};

static void prepend(struct der *der, const void *bytes, apr_size_t len)
{
    der->at -= len;
    memcpy(der->at, bytes, len);
}

/* Makes everything from the current place to end the contents of tag. */
static void wrap(struct der *der, const unsigned char *end, unsigned char tag)
{
    apr_size_t len = (apr_size_t)(end - der->at);

    if (len < 0x80) {
        *--der->at = (unsigned char)len;
    }
    else {
        unsigned char octets = 0;

        for (; len > 0; len >>= 8) {
            *--der->at = (unsigned char)len;
            octets++;
        }
        *--der->at = 0x80 | octets;
    }
    *--der->at = tag;
}

const unsigned char *eas_spnego_init_token(apr_pool_t *pool, const void *ap_req,
                                           apr_size_t ap_req_len, apr_size_t *len_out)
{
    /* The OIDs and nine headers of at most ten octets fit the 128. */
    apr_size_t room = ap_req_len + 128;
    struct der der;
    const unsigned char *end, *mech_token_start;

    der.start = apr_palloc(pool, room);
    der.at = der.start + room;
    end = der.at;

    prepend(&der, ap_req, ap_req_len);
    prepend(&der, ap_req_id, sizeof(ap_req_id));
    prepend(&der, krb5_oid, sizeof(krb5_oid));
    wrap(&der, end, TAG_APPLICATION_0);
    wrap(&der, end, TAG_OCTET_STRING);
    wrap(&der, end, TAG_CONTEXT_2); /* mechToken */

    mech_token_start = der.at;
    prepend(&der, krb5_oid, sizeof(krb5_oid));
    wrap(&der, mech_token_start, TAG_SEQUENCE);
    wrap(&der, mech_token_start, TAG_CONTEXT_0); /* mechTypes */

    wrap(&der, end, TAG_SEQUENCE);
    wrap(&der, end, TAG_CONTEXT_0); /* negTokenInit */
    prepend(&der, spnego_oid, sizeof(spnego_oid));
    wrap(&der, end, TAG_APPLICATION_0);

    *len_out = (apr_size_t)(end - der.at);
    return der.at;
}
