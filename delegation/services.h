/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/services.h - services and their tickets: whom a refusal of the KDC concerns */

#ifndef EAS_DELEGATION_SERVICES_H
#define EAS_DELEGATION_SERVICES_H

#include <apr_pools.h>
#include <stdbool.h>

/*
 * BADOPTION is the KDC's answer for a service to which nobody may be delegated, and in some domains
 * for a user who may not be.  So the refusal of one user says nothing about a service that gets
 * tickets for others: a single account could have it taken out of a balancer.
 *
 * Of one delegation principal in one process; thread-safe.  Services have the names of workers'
 * hosts, which no client chooses.
 */
struct eas_services;

struct eas_services *eas_services_create(apr_pool_t *pool);

/* The KDC has issued a ticket for the service. */
void eas_services_issued(struct eas_services *services, const char *spn);

/*
 * The KDC has refused one to the user.  True if that concerns everybody: it has issued none, or two
 * users have been refused since it did.
 */
bool eas_services_refused(struct eas_services *services, const char *spn, const char *user);

#endif
