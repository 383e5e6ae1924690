/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/status/json.h - the snapshot as JSON */

#ifndef EAS_DELEGATION_STATUS_JSON_H
#define EAS_DELEGATION_STATUS_JSON_H

#include "delegation/status/snapshot.h"

/* In pool. */
const char *eas_json_write(apr_pool_t *pool, const struct eas_snapshot *snapshot);

#endif
