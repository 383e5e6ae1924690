/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/keytab_share.h - keys of a keytab in memory that processes share, sealed */

#ifndef EAS_AUTH_KERBEROS_KEYTAB_SHARE_H
#define EAS_AUTH_KERBEROS_KEYTAB_SHARE_H

#include "auth/base/seal.h"

#include <krb5/krb5.h>

/*
 * The parent process, which is root, writes the keys of a changed file; child processes read them.
 * One writer, any readers, and no lock that a dead process could hold.
 */
struct eas_keytab_share;

/* Bytes of shared memory, all zero at first. */
apr_size_t eas_keytab_share_size(void);

/* For this process and those that it forks.  binding tells keytabs apart; all outlive the share. */
struct eas_keytab_share *eas_keytab_share_create(apr_pool_t *pool, void *memory,
                                                 const struct eas_keyring *keyring,
                                                 const char *binding);

/* Writes all keys.  EAS_OK; EAS_MISCONFIGURED if they are too many; EAS_UNAVAILABLE. */
enum eas_rc eas_keytab_share_put(struct eas_keytab_share *share, krb5_context ctx, krb5_keytab keys,
                                 struct eas_err *err);

/* Whether there are keys that this process has neither written nor read. */
bool eas_keytab_share_is_newer(const struct eas_keytab_share *share);

/* Adds these keys to a keytab.  False if they are just being replaced: another call finds others. */
bool eas_keytab_share_get(struct eas_keytab_share *share, krb5_context ctx, krb5_keytab into);

#endif
