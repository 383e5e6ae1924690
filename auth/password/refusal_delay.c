/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/refusal_delay.c - Response time of refused credentials */

#include "auth/password/refusal_delay.h"

/* The part of the threads that may delay refusals at once. */
#define SHARE 4

/* Slots work in shared memory. */
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "atomic times need no lock");

apr_interval_time_t eas_refusal_delay_left(apr_interval_time_t elapsed)
{
    return EAS_REFUSAL_DELAY_TIME - elapsed % EAS_REFUSAL_DELAY_TIME;
}

unsigned eas_refusal_delay_share(int threads, unsigned max)
{
    unsigned share = threads < SHARE ? 1 : (unsigned)threads / SHARE;

    return share < max ? share : max;
}

bool eas_refusal_delay_reserve(const struct eas_refusal_slots *slots, apr_time_t now,
                               apr_time_t until)
{
    unsigned i;

    for (i = 0; i < slots->n; i++) {
        apr_int64_t end = atomic_load(&slots->ends[i]);

        if (end <= now && atomic_compare_exchange_strong(&slots->ends[i], &end, until)) {
            return true;
        }
    }
    return false;
}
