/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/tickets.h - Tickets without a KDC, and a count of those that were freed */

#ifndef EAS_T_UNIT_TICKETS_H
#define EAS_T_UNIT_TICKETS_H

#include "t/unit/unit.h"

#include "auth/kerberos/ticket.h"

#include <apr_atomic.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

static volatile apr_uint32_t tickets_freed;

/* Interposes libkrb5's function, which it calls.  A ticket calls it with its last reference. */
void KRB5_CALLCONV krb5_free_cred_contents(krb5_context ctx, krb5_creds *creds)
{
    void(KRB5_CALLCONV * real)(krb5_context, krb5_creds *);

    *(void **)&real = dlsym(RTLD_NEXT, "krb5_free_cred_contents");
    assert_non_null(real);
    apr_atomic_inc32(&tickets_freed);
    real(ctx, creds);
}

static inline void *tickets_bytes(size_t len)
{
    void *bytes = malloc(len);

    assert_non_null(bytes);
    memset(bytes, 'k', len);
    return bytes;
}

/* Credentials as libkrb5 allocates them. */
static inline krb5_creds tickets_creds(uint32_t auth, uint32_t start, uint32_t end)
{
    krb5_creds creds;

    memset(&creds, 0, sizeof(creds));
    assert_int_equal(krb5_build_principal(NULL, &creds.client, 4, "TEST", "alice", (char *)NULL),
                     0);
    creds.keyblock.enctype = ENCTYPE_AES256_CTS_HMAC_SHA1_96;
    creds.keyblock.length = 32;
    creds.keyblock.contents = tickets_bytes(32);
    creds.ticket.length = 700;
    creds.ticket.data = tickets_bytes(700);
    creds.times.authtime = (krb5_timestamp)auth;
    creds.times.starttime = (krb5_timestamp)start;
    creds.times.endtime = (krb5_timestamp)end;
    return creds;
}

static inline struct eas_ticket *tickets_make(uint32_t start, uint32_t end)
{
    krb5_creds creds = tickets_creds(start, start, end);

    return eas_ticket_take(&creds);
}

#endif
