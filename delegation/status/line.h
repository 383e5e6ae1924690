/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/status/line.h - the snapshot in mod_status's page */

#ifndef EAS_DELEGATION_STATUS_LINE_H
#define EAS_DELEGATION_STATUS_LINE_H

#include "delegation/status/snapshot.h"

/* In pool.  For programs (?auto) one value a line, else HTML.  Neither names users. */
const char *eas_line_write(apr_pool_t *pool, const struct eas_snapshot *snapshot,
                           bool for_programs);

#endif
