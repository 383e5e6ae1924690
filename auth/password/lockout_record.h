/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/lockout_record.h - lockout record of a user, as the lockout table stores it */

#ifndef EAS_AUTH_PASSWORD_LOCKOUT_RECORD_H
#define EAS_AUTH_PASSWORD_LOCKOUT_RECORD_H

#include "auth/base/seal.h"
#include "auth/base/shm_table.h"

#include <apr_time.h>
#include <stdbool.h>
#include <stdint.h>

/* For auth/password/lockout.c, which has the rules. */

/* Of one user: concurrent attempts, and refused passwords remembered. */
#define EAS_LOCKOUT_RECORD_MAX_PENDING 12
#define EAS_LOCKOUT_RECORD_MAX_REFUSED 16

/* Of one user: passwords refused during a lockout without a question, the latest. */
#define EAS_LOCKOUT_RECORD_MAX_UNASKED 4

struct eas_lockout_pending {
    uint64_t id;
    int64_t since;
    uint64_t failed_before; /* `failed` when the attempt was reserved */
    uint32_t during_lockout;
    uint32_t unused;
    unsigned char digest[EAS_SEAL_MAC_SIZE];
};

struct eas_lockout_refused {
    int64_t at;
    int64_t lasts;
    uint64_t failure; /* `failed` when it was counted; 0: it was not */
    uint32_t outcome; /* of enum eas_lockout_outcome */
    uint32_t unused;
    unsigned char digest[EAS_SEAL_MAC_SIZE];
};

/*
 * Lockout record of a user.  In the table, it is the header, then the used elements of the arrays:
 * plain integers and bytes.
 */
struct eas_lockout_record {
    struct eas_lockout_header {
        uint32_t version;
        uint16_t n_pending;
        uint16_t n_refused;
        uint32_t known_failed; /* the known password was wrong during this lockout */
        uint32_t n_unasked;    /* all, also those that were replaced */
        uint64_t next_id;
        uint64_t failed;   /* wrong passwords counted since the record exists */
        uint64_t forgiven; /* of these, the ones that no longer count */
        int64_t last;      /* time of the latest */
        int64_t window;    /* the longest window under which they were counted */
        uint64_t unasked[EAS_LOCKOUT_RECORD_MAX_UNASKED]; /* parts of digests */
    } h;
    struct eas_lockout_pending pending[EAS_LOCKOUT_RECORD_MAX_PENDING];
    struct eas_lockout_refused refused[EAS_LOCKOUT_RECORD_MAX_REFUSED];
};

/*
 * The record in the value.  Other bytes give an empty one, whose ids begin at the time, and so never
 * repeat old ones.
 */
void eas_lockout_record_unpack(const struct eas_shm_table_value *value, apr_time_t now,
                               struct eas_lockout_record *record);

/* Stores the record; it lasts until then, or as long as its refusals. */
void eas_lockout_record_pack(const struct eas_lockout_record *record, apr_time_t until,
                             struct eas_shm_table_value *value);

#endif
