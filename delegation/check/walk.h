/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/walk.h - the steps of eas-kcd-check in their order */

#ifndef EAS_DELEGATION_CHECK_WALK_H
#define EAS_DELEGATION_CHECK_WALK_H

#include "delegation/check/check.h"

/* Walks as far as it makes sense.  check has pool, options, report and password. */
void eas_walk(struct eas_check *check);

#endif
