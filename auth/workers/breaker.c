/* SPDX-License-Identifier: Apache-2.0 */
/* auth/workers/breaker.c - circuit breaker */

#include "auth/workers/breaker.h"

#define OPEN_FOR apr_time_from_sec(4)

bool eas_breaker_is_closed(const struct eas_breaker *breaker)
{
    return breaker->failures < breaker->limit;
}

enum eas_breaker_state eas_breaker_admit(struct eas_breaker *breaker, apr_time_t now)
{
    if (eas_breaker_is_closed(breaker)) {
        return EAS_BREAKER_CLOSED;
    }
    if (now < breaker->probe_at || breaker->probing) {
        return EAS_BREAKER_OPEN;
    }
    breaker->probing = true;
    breaker->changed_at = now;
    return EAS_BREAKER_PROBE;
}

void eas_breaker_succeeded(struct eas_breaker *breaker, apr_time_t now)
{
    breaker->failures = 0;
    breaker->changed_at = now;
}

void eas_breaker_failed(struct eas_breaker *breaker, apr_time_t sent_at, apr_time_t now)
{
    apr_time_t probe_at;

    if (sent_at < breaker->changed_at) {
        return;
    }
    probe_at = (eas_breaker_is_closed(breaker) ? now : sent_at) + OPEN_FOR;
    if (eas_breaker_is_closed(breaker)) {
        breaker->failures++;
    }
    if (probe_at > breaker->probe_at) {
        breaker->probe_at = probe_at;
    }
}

void eas_breaker_answered_late(struct eas_breaker *breaker, apr_time_t now)
{
    breaker->probe_at = now;
}

void eas_breaker_probe_end(struct eas_breaker *breaker, bool reported, apr_time_t now)
{
    breaker->probing = false;
    if (!reported) {
        breaker->probe_at = now;
    }
}
