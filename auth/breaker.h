/* SPDX-License-Identifier: Apache-2.0 */
/* auth/breaker.h - leaves a realm alone whose KDC does not answer, and looks now and then */

#ifndef EAS_AUTH_BREAKER_H
#define EAS_AUTH_BREAKER_H

#include <apr_pools.h>
#include <apr_time.h>

/*
 * A circuit breaker for each realm.  It opens after three failures in a row.  Five seconds later one
 * asker may try: if that succeeds the circuit closes, else it is open for as long again.  A trial of
 * which nothing is heard counts as failed after a minute.
 *
 * Its owner locks.  Realms are never forgotten: there must be few, and not of a stranger's choice.
 * Times are microseconds of any clock that does not jump.
 */
struct eas_breaker;

enum eas_breaker_state {
    EAS_BREAKER_CLOSED, /* go on */
    EAS_BREAKER_TRIAL,  /* go on, and tell what came of it: others wait for that */
    EAS_BREAKER_OPEN    /* do not */
};

struct eas_breaker *eas_breaker_create(apr_pool_t *pool);

/* May the realm's KDC be asked now?  Each answer of EAS_BREAKER_TRIAL is for one asker alone. */
enum eas_breaker_state eas_breaker_ask(struct eas_breaker *breaker, const char *realm,
                                       apr_time_t now);

void eas_breaker_succeeded(struct eas_breaker *breaker, const char *realm);
void eas_breaker_failed(struct eas_breaker *breaker, const char *realm, apr_time_t now);

#endif
