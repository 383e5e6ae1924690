/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/refusal_delay.h - Response time of refused credentials */

#ifndef EAS_AUTH_PASSWORD_REFUSAL_DELAY_H
#define EAS_AUTH_PASSWORD_REFUSAL_DELAY_H

#include <apr_time.h>
#include <stdatomic.h>
#include <stdbool.h>

/*
 * The time of a refusal must not show whether the name exists.  A name without an account costs one
 * message to the KDC, and another one costs three.  So each refusal is sent a fixed time after its
 * credentials were complete: longer than three messages to a KDC that is 50 ms away.  A refusal
 * that takes longer is sent at the next multiple.
 *
 * The delay holds a thread.  A share of the threads has slots for it; without a free slot, the
 * refusal is sent at once.
 */
#define EAS_REFUSAL_DELAY_TIME apr_time_from_msec(300)

/* The rest of the time, when this much has passed since the credentials were complete. */
apr_interval_time_t eas_refusal_delay_left(apr_interval_time_t elapsed);

/*
 * A slot holds the time of its end, by the monotonic clock, which all processes have in common.  So
 * a process that dies leaves no slot in use.  All zero at first; may lie in shared memory.
 */
struct eas_refusal_slots {
    _Atomic(apr_int64_t) *ends;
    unsigned n;
};

/* The number of slots for this many threads, of at most max. */
unsigned eas_refusal_delay_share(int threads, unsigned max);

/* Takes a slot until then; false if none is free.  Thread-safe, also among processes. */
bool eas_refusal_delay_reserve(const struct eas_refusal_slots *slots, apr_time_t now,
                               apr_time_t until);

#endif
