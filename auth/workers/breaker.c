/* SPDX-License-Identifier: Apache-2.0 */
/* auth/workers/breaker.c - circuit breaker */

#include "auth/workers/breaker.h"

#define FAILURES 3
#define OPEN_FOR apr_time_from_sec(4)
#define PROBE_TIMEOUT apr_time_from_sec(4)

/*
 * Where libkrb5 sends, a silent KDC holds a thread for some 27 seconds (sendto_kdc.c).
 */
#define PROBES_MAX 3

bool eas_breaker_is_closed(const struct eas_breaker *breaker)
{
    return breaker->failures < FAILURES;
}

enum eas_breaker_state eas_breaker_admit(struct eas_breaker *breaker, apr_time_t now)
{
    if (eas_breaker_is_closed(breaker)) {
        return EAS_BREAKER_CLOSED;
    }
    if (now < breaker->probe_at || breaker->probes >= PROBES_MAX) {
        return EAS_BREAKER_OPEN;
    }
    breaker->probes++;
    breaker->probe_at = now + PROBE_TIMEOUT;
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
    if (sent_at < breaker->changed_at) {
        return;
    }
    if (breaker->failures < FAILURES) {
        breaker->failures++;
    }
    breaker->probe_at = now + OPEN_FOR;
}

void eas_breaker_probe_end(struct eas_breaker *breaker, bool reported, apr_time_t now)
{
    breaker->probes--;
    if (!reported) {
        breaker->probe_at = now;
    }
}
