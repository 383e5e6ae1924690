/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/dismissal.c - when a process that ends sends its parked requests away */

#include "delegation/proxy/dismissal.h"

#include <stddef.h>

void eas_dismissal_order(struct eas_dismissal *dismissal, apr_time_t now,
                         apr_interval_time_t spread, unsigned places, bool (*may_begin)(void))
{
    if (!dismissal->ordered) {
        *dismissal = (struct eas_dismissal){ .ordered = true,
                                             .from = now + EAS_DISMISSAL_HOLD,
                                             .may_begin = may_begin,
                                             .spread = spread,
                                             .places = places };
        eas_dismissal_look(dismissal, now);
    }
}

void eas_dismissal_look(struct eas_dismissal *dismissal, apr_time_t now)
{
    if (dismissal->ordered && now < dismissal->from
        && (dismissal->may_begin == NULL
            || (now >= dismissal->from - EAS_DISMISSAL_HOLD + EAS_DISMISSAL_SETTLE
                && dismissal->may_begin()))) {
        dismissal->from = now;
    }
}

bool eas_dismissal_is_due(const struct eas_dismissal *dismissal, unsigned place, apr_time_t now)
{
    apr_interval_time_t wait = 0;

    if (place < dismissal->places) {
        wait = dismissal->spread * (apr_time_t)place / (apr_time_t)dismissal->places;
    }
    return dismissal->ordered && now >= dismissal->from + wait;
}
