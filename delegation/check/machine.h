/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/machine.h - steps about this machine: keytab, krb5.conf, KDCs, clock */

#ifndef EAS_DELEGATION_CHECK_MACHINE_H
#define EAS_DELEGATION_CHECK_MACHINE_H

#include "delegation/check/check.h"

/* Each adds one step, or one for each KDC. */
void eas_machine_keytab(struct eas_check *check);
void eas_machine_krb5_conf(struct eas_check *check);

/* Asks each KDC, and compares its clock.  Needs the keytab. */
void eas_machine_kdcs(struct eas_check *check);

#endif
