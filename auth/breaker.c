/* SPDX-License-Identifier: Apache-2.0 */
/* auth/breaker.c - leaves a realm alone whose KDC does not answer, and looks now and then */

#include "auth/breaker.h"

#include <apr_hash.h>
#include <apr_strings.h>

#define FAILURES 3
#define OPEN_FOR apr_time_from_sec(5)
#define TRIAL_LOST_AFTER apr_time_from_sec(60)

struct circuit {
    unsigned failures;   /* in a row */
    apr_time_t trial_at; /* from when on one may try */
};

struct eas_breaker {
    apr_pool_t *pool;
    apr_hash_t *circuits; /* by realm; those that have once failed */
};

struct eas_breaker *eas_breaker_create(apr_pool_t *pool)
{
    struct eas_breaker *breaker = apr_palloc(pool, sizeof(*breaker));

    breaker->pool = pool;
    breaker->circuits = apr_hash_make(pool);
    return breaker;
}

static struct circuit *find(struct eas_breaker *breaker, const char *realm)
{
    return apr_hash_get(breaker->circuits, realm, APR_HASH_KEY_STRING);
}

enum eas_breaker_state eas_breaker_ask(struct eas_breaker *breaker, const char *realm,
                                       apr_time_t now)
{
    struct circuit *circuit = find(breaker, realm);

    if (circuit == NULL || circuit->failures < FAILURES) {
        return EAS_BREAKER_CLOSED;
    }
    if (now < circuit->trial_at) {
        return EAS_BREAKER_OPEN;
    }
    circuit->trial_at = now + TRIAL_LOST_AFTER;
    return EAS_BREAKER_TRIAL;
}

void eas_breaker_succeeded(struct eas_breaker *breaker, const char *realm)
{
    struct circuit *circuit = find(breaker, realm);

    if (circuit != NULL) {
        circuit->failures = 0;
    }
}

void eas_breaker_failed(struct eas_breaker *breaker, const char *realm, apr_time_t now)
{
    struct circuit *circuit = find(breaker, realm);

    if (circuit == NULL) {
        circuit = apr_pcalloc(breaker->pool, sizeof(*circuit));
        apr_hash_set(breaker->circuits, apr_pstrdup(breaker->pool, realm), APR_HASH_KEY_STRING,
                     circuit);
    }
    if (circuit->failures < FAILURES) {
        circuit->failures++;
    }
    circuit->trial_at = now + OPEN_FOR;
}
