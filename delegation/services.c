/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/services.c - services and their tickets: whom a refusal of the KDC concerns */

#include "delegation/services.h"
#include "auth/base/fnv.h"
#include "auth/base/thread.h"

#include <apr_hash.h>
#include <apr_strings.h>
#include <stdint.h>

struct eas_services {
    apr_thread_mutex_t *mutex;
    apr_pool_t *pool;
    apr_hash_t *by_spn; /* of struct service */
};

struct service {
    bool has_tickets;
    bool has_refused;    /* one user, since the last ticket */
    uint64_t refused_by; /* a hash of that user */
};

struct eas_services *eas_services_create(apr_pool_t *pool)
{
    struct eas_services *services = apr_palloc(pool, sizeof(*services));

    services->mutex = eas_thread_make_mutex(pool);
    apr_pool_create(&services->pool, pool);
    services->by_spn = apr_hash_make(services->pool);
    return services;
}

/* With the mutex. */
static struct service *find(struct eas_services *services, const char *spn)
{
    struct service *service = apr_hash_get(services->by_spn, spn, APR_HASH_KEY_STRING);

    if (service == NULL) {
        service = apr_pcalloc(services->pool, sizeof(*service));
        apr_hash_set(services->by_spn, apr_pstrdup(services->pool, spn), APR_HASH_KEY_STRING,
                     service);
    }
    return service;
}

void eas_services_issued(struct eas_services *services, const char *spn)
{
    struct service *service;

    apr_thread_mutex_lock(services->mutex);
    service = find(services, spn);
    service->has_tickets = true;
    service->has_refused = false;
    apr_thread_mutex_unlock(services->mutex);
}

bool eas_services_refused(struct eas_services *services, const char *spn, const char *user)
{
    /* The KDC keeps the letter case in which another module has the name. */
    uint64_t hash = eas_fnv_folded(user);
    struct service *service;
    bool concerns_all;

    apr_thread_mutex_lock(services->mutex);
    service = find(services, spn);
    if (service->has_refused && service->refused_by != hash) {
        service->has_tickets = false;
    }
    service->has_refused = true;
    service->refused_by = hash;
    concerns_all = !service->has_tickets;
    apr_thread_mutex_unlock(services->mutex);
    return concerns_all;
}
