/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/status/prometheus.h - the numbers in Prometheus' text format 0.0.4 */

#ifndef EAS_DELEGATION_STATUS_PROMETHEUS_H
#define EAS_DELEGATION_STATUS_PROMETHEUS_H

#include "delegation/status/snapshot.h"

#define EAS_PROMETHEUS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* In pool.  It names no user, whatever the snapshot holds. */
const char *eas_prometheus_write(apr_pool_t *pool, const struct eas_snapshot *snapshot);

#endif
