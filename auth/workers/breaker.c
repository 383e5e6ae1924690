/* SPDX-License-Identifier: Apache-2.0 */
/* auth/workers/breaker.c - leaves a KDC alone that does not answer, and looks now and then */

#include "auth/workers/breaker.h"

#define FAILURES 3
#define OPEN_FOR apr_time_from_sec(5)
#define TRIAL_LOST_AFTER apr_time_from_sec(10)

/* A silent KDC holds a thread for some 27 seconds (sendto_kdc.c): as many as come in that time. */
#define TRIALS 3

enum eas_breaker_state eas_breaker_admit(struct eas_breaker *breaker, apr_time_t now)
{
    if (breaker->failures < FAILURES) {
        return EAS_BREAKER_CLOSED;
    }
    if (now < breaker->trial_at || breaker->trials >= TRIALS) {
        return EAS_BREAKER_OPEN;
    }
    breaker->trials++;
    breaker->trial_at = now + TRIAL_LOST_AFTER;
    breaker->changed_at = now;
    return EAS_BREAKER_PROBE;
}

void eas_breaker_succeeded(struct eas_breaker *breaker, apr_time_t now)
{
    breaker->failures = 0;
    breaker->changed_at = now;
}

void eas_breaker_failed(struct eas_breaker *breaker, apr_time_t asked_at, apr_time_t now)
{
    if (asked_at < breaker->changed_at) {
        return;
    }
    if (breaker->failures < FAILURES) {
        breaker->failures++;
    }
    breaker->trial_at = now + OPEN_FOR;
}

void eas_breaker_probe_end(struct eas_breaker *breaker, bool told, apr_time_t now)
{
    breaker->trials--;
    if (!told) {
        breaker->trial_at = now;
    }
}
