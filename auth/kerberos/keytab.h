/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/keytab.h - the gateway's keytab, in memory */

#ifndef EAS_AUTH_KERBEROS_KEYTAB_H
#define EAS_AUTH_KERBEROS_KEYTAB_H

#include "auth/base/error.h"

#include <apr_pools.h>
#include <krb5/krb5.h>

/*
 * The file is read at start, as root, so that it can be 0600 root; children inherit the memory.
 * Where children may read the file too, they take up a changed one (eas_keytab_refresh), which is
 * how a key is rotated without a restart.  A file that has become unreadable or unusable is
 * ignored: the last good keys stay.
 *
 * Thread-safe.  Lives as long as its pool.
 */
struct eas_keytab;

/*
 * Reads path; principal names the gateway's account (`user@REALM`), NULL means the keytab's first
 * entry that is no service name (AD does not let `HTTP/…` be a client), else its first.
 * EAS_OK or EAS_MISCONFIGURED, with a text that names the cure.
 */
enum eas_rc eas_keytab_load(apr_pool_t *pool, const char *path, const char *principal,
                            struct eas_keytab **out, struct eas_err *err);

/* Looks, at most every ten seconds, whether the file has changed, and reads it if so. */
void eas_keytab_refresh(struct eas_keytab *keytab);

/*
 * The keys.  The handle stays open (and the keys known by it usable) for the pool's life, whatever
 * refresh does.
 */
krb5_keytab eas_keytab_handle(struct eas_keytab *keytab);

/* The gateway's own account, and the same as text. */
krb5_const_principal eas_keytab_principal(const struct eas_keytab *keytab);
const char *eas_keytab_principal_name(const struct eas_keytab *keytab);

#endif
