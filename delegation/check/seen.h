/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/seen.h - errors that a KDC has returned in one conversation */

#ifndef EAS_DELEGATION_CHECK_SEEN_H
#define EAS_DELEGATION_CHECK_SEEN_H

#include "auth/kerberos/kdc.h"

struct eas_seen_error {
    int code;          /* error-code of a KRB-ERROR (RFC 4120 7.5.9); -1: none so far */
    unsigned ntstatus; /* of AD; 0: none */
};

struct eas_seen {
    struct eas_seen_error first, last;
};

/* From now on, seen has the conversation's errors.  It lives as long as kdc. */
void eas_seen_attach(struct eas_seen *seen, struct eas_kdc *kdc);

/* In words, in pool: the error, and the tag by which the module logs it (0: none). */
const char *eas_seen_text(apr_pool_t *pool, const struct eas_seen_error *error, int tag);

#endif
