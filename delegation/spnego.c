/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/spnego.c - the SPNEGO envelope around a Kerberos message (RFC 4178) */

#include "delegation/spnego.h"

#include <string.h>

/* DER tags. */
#define TAG_OCTET_STRING 0x04
#define TAG_ENUMERATED 0x0a
#define TAG_SEQUENCE 0x30
#define TAG_APPLICATION_0 0x60 /* InitialContextToken, RFC 2743 section 3.1 */
#define TAG_CONTEXT_0 0xa0
#define TAG_CONTEXT_1 0xa1
#define TAG_CONTEXT_2 0xa2

/* 1.3.6.1.5.5.2 and 1.2.840.113554.1.2.2, with tag and length. */
static const unsigned char spnego_oid[] = { 0x06, 0x06, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x02 };
static const unsigned char krb5_oid[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                          0xf7, 0x12, 0x01, 0x02, 0x02 };
/* 1.2.840.48018.1.2.2, a slip of Windows 2000 that has stayed. */
static const unsigned char ms_krb5_oid[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x82,
                                             0xf7, 0x12, 0x01, 0x02, 0x02 };
/* TOK_IDs, RFC 4121 section 4.1. */
static const unsigned char ap_req_id[] = { 0x01, 0x00 };
static const unsigned char ap_rep_id[] = { 0x02, 0x00 };

/* NegTokenResp's negState. */
#define ACCEPT_COMPLETED 0

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

/* What is still to be read. */
struct view {
    const unsigned char *at;
    apr_size_t left;
};

/* Takes the next element, which must have this tag and lie within text, and gives its contents. */
static bool enter(struct view *text, unsigned char tag, struct view *contents)
{
    apr_size_t len, octets;

    if (text->left < 2 || text->at[0] != tag) {
        return false;
    }
    len = text->at[1];
    text->at += 2;
    text->left -= 2;
    if (len >= 0x80) {
        octets = len & 0x7f;
        if (octets == 0 || octets > 3 || octets > text->left) {
            return false;
        }
        for (len = 0; octets > 0; octets--) {
            len = len << 8 | *text->at++;
            text->left--;
        }
    }
    if (len > text->left) {
        return false;
    }
    *contents = (struct view){ text->at, len };
    text->at += len;
    text->left -= len;
    return true;
}

/* Takes these octets, if they come next. */
static bool take(struct view *text, const unsigned char *octets, apr_size_t len)
{
    if (text->left < len || memcmp(text->at, octets, len) != 0) {
        return false;
    }
    text->at += len;
    text->left -= len;
    return true;
}

static bool take_krb5_oid(struct view *text)
{
    return take(text, krb5_oid, sizeof(krb5_oid)) || take(text, ms_krb5_oid, sizeof(ms_krb5_oid));
}

bool eas_spnego_find_ap_rep(const unsigned char *token, apr_size_t len,
                            const unsigned char **ap_rep_out, apr_size_t *ap_rep_len_out)
{
    struct view text = { token, len }, choice, fields, field, value, framed;

    if (!enter(&text, TAG_CONTEXT_1, &choice) || text.left != 0
        || !enter(&choice, TAG_SEQUENCE, &fields) || choice.left != 0) {
        return false;
    }
    if (!enter(&fields, TAG_CONTEXT_0, &field) || !enter(&field, TAG_ENUMERATED, &value)
        || field.left != 0 || value.left != 1 || value.at[0] != ACCEPT_COMPLETED) {
        return false;
    }
    if (enter(&fields, TAG_CONTEXT_1, &field) && (!take_krb5_oid(&field) || field.left != 0)) {
        return false;
    }
    /* A mechListMIC may follow; with one mechanism on offer it says nothing. */
    if (!enter(&fields, TAG_CONTEXT_2, &field) || !enter(&field, TAG_OCTET_STRING, &value)
        || field.left != 0 || !enter(&value, TAG_APPLICATION_0, &framed) || value.left != 0
        || !take_krb5_oid(&framed) || !take(&framed, ap_rep_id, sizeof(ap_rep_id))) {
        return false;
    }
    *ap_rep_out = framed.at;
    *ap_rep_len_out = framed.left;
    return true;
}
