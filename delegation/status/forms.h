/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/status/forms.h - the administrator's part of the page: throttled users, sign-out */

#ifndef EAS_DELEGATION_STATUS_FORMS_H
#define EAS_DELEGATION_STATUS_FORMS_H

#include "delegation/status/snapshot.h"
#include "delegation/status/writer.h"

/* Writes nothing without an administrator. */
void eas_forms_write(struct eas_writer *out, const struct eas_snapshot *snapshot);

#endif
