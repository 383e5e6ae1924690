/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/kdc_background.h - background jobs that keep what is known of KDCs fresh */

#ifndef EAS_AUTH_KERBEROS_KDC_BACKGROUND_H
#define EAS_AUTH_KERBEROS_KDC_BACKGROUND_H

#include "auth/base/bytes.h"
#include "auth/kerberos/kdc_health.h"
#include "auth/workers/job.h"

/* Looks the realm's KDCs up again. */
void eas_kdc_background_refresh(struct eas_job *job, const char *realm);

/*
 * Sends a copy of the message to one failed address; any reply makes it healthy.  The message must
 * be no guess.
 */
void eas_kdc_background_check(struct eas_job *job, const char *realm,
                              const struct eas_kdc_address *address, struct eas_bytes message);

#endif
