/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/status/snapshot.c - the state that the status page, JSON and Prometheus show */

#include "delegation/status/snapshot.h"

void eas_snapshot_count(struct eas_snapshot *snapshot)
{
    const apr_array_header_t *throttled = snapshot->notes.throttled;
    int i;

    snapshot->accounts_locked = snapshot->addresses_throttled = 0;
    for (i = 0; i < throttled->nelts; i++) {
        if (APR_ARRAY_IDX(throttled, i, struct eas_notes_throttled).user[0] != '\0') {
            snapshot->accounts_locked++;
        }
        else {
            snapshot->addresses_throttled++;
        }
    }
}

void eas_snapshot_redact(struct eas_snapshot *snapshot)
{
    apr_array_header_t *errors = snapshot->notes.errors;
    int i;

    for (i = 0; i < errors->nelts; i++) {
        APR_ARRAY_IDX(errors, i, struct eas_notes_error).text[0] = '\0';
    }
    apr_array_clear(snapshot->notes.throttled);
    snapshot->user = snapshot->token = snapshot->message = NULL;
}

bool eas_snapshot_kdc_was_asked(const struct eas_notes_kdc *kdc)
{
    return kdc->answers > 0 || kdc->failures > 0;
}

bool eas_snapshot_kdc_is_up(const struct eas_notes_kdc *kdc)
{
    return kdc->answers > 0 && kdc->answered_at >= kdc->failed_at;
}

unsigned eas_snapshot_silent_kdcs(const struct eas_snapshot *snapshot)
{
    unsigned n = 0;
    int i;

    for (i = 0; i < snapshot->notes.kdcs->nelts; i++) {
        const struct eas_notes_kdc *kdc =
            &APR_ARRAY_IDX(snapshot->notes.kdcs, i, struct eas_notes_kdc);

        n += eas_snapshot_kdc_was_asked(kdc) && !eas_snapshot_kdc_is_up(kdc);
    }
    return n;
}
