/* SPDX-License-Identifier: Apache-2.0 */
/* t/fuzz/fuzz_kpasswd.c - fuzz target of auth/kerberos/kpasswd: replies to changes of passwords */

#include "t/fuzz/fuzz.h"

#include "auth/kerberos/kpasswd.h"

#define HEAD 6

static bool is_within(struct eas_bytes part, struct eas_bytes whole)
{
    return part.len == 0 || (part.at >= whole.at && part.at + part.len <= whole.at + whole.len);
}

/* The parts lie in the reply, one behind the other. */
static void check_any(struct eas_bytes octets)
{
    struct eas_kpasswd_reply reply;

    if (!eas_kpasswd_split(octets, &reply)) {
        return;
    }
    check(is_within(reply.ap_rep, octets) && is_within(reply.krb_priv, octets));
    if (octets.at[0] == 0x7e) {
        check(reply.ap_rep.len == 0 && reply.krb_priv.len == octets.len);
    }
    else {
        check(HEAD + reply.ap_rep.len + reply.krb_priv.len == octets.len);
    }
}

/* A reply that was made is split where it was joined; with an octet less or more it is none. */
static void check_made(apr_pool_t *pool, struct eas_bytes input)
{
    size_t first = fuzz_octet(&input), len, more;
    unsigned char *octets;
    struct eas_kpasswd_reply reply;

    first = first < input.len ? first : input.len;
    len = HEAD + input.len;
    if (len > 0x7dff) { /* then the head is that of no KRB-ERROR */
        return;
    }
    octets = apr_pcalloc(pool, len + 1);
    octets[0] = (unsigned char)(len >> 8);
    octets[1] = (unsigned char)len;
    octets[3] = 1;
    octets[4] = (unsigned char)(first >> 8);
    octets[5] = (unsigned char)first;
    memcpy(octets + HEAD, input.at, input.len);
    check(eas_kpasswd_split(eas_bytes_make(octets, len), &reply));
    check(reply.ap_rep.len == first && memcmp(reply.ap_rep.at, input.at, first) == 0);
    check(reply.krb_priv.len == input.len - first
          && memcmp(reply.krb_priv.at, input.at + first, input.len - first) == 0);
    for (more = 0; more <= 2; more += 2) {
        check(!eas_kpasswd_split(eas_bytes_make(octets, len - 1 + more), &reply));
    }
}

static void fuzz(apr_pool_t *pool, struct eas_bytes input)
{
    check_any(input);
    check_made(pool, input);
}
