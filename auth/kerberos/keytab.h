/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/keytab.h - Keytab of the gateway, in memory */

#ifndef EAS_AUTH_KERBEROS_KEYTAB_H
#define EAS_AUTH_KERBEROS_KEYTAB_H

#include "auth/base/error.h"
#include "auth/kerberos/keytab_share.h"

#include <apr_pools.h>
#include <krb5/krb5.h>
#include <stdbool.h>

/*
 * The server reads the file at start, as root, so that it can be 0600 root; children inherit the
 * memory.  The parent process reads a changed file (eas_keytab_reread) and hands its keys over to the
 * children (eas_keytab_refresh), so a key is rotated without a restart.  A file that has become
 * unreadable, damaged or readable by everybody is ignored; the last valid keys stay.
 *
 * Thread-safe.  Lives as long as its pool.
 */
struct eas_keytab;

/* The path in libkrb5's name of a keytab file, such as `FILE:/etc/krb5.keytab`; NULL: no file. */
const char *eas_keytab_path(const char *name);

/*
 * Reads path, which may be a name of eas_keytab_path().  The principal (`user@REALM`) is that of the gateway's AD user.  NULL means the first
 * entry that is no service principal, because AD does not accept `HTTP/...` as a client, else the
 * first entry.  EAS_OK or EAS_MISCONFIGURED.
 */
enum eas_rc eas_keytab_load(apr_pool_t *pool, const char *name, const char *principal,
                            struct eas_keytab **out, struct eas_err *err);

/* Memory by which the process that rereads hands keys over.  Before the fork. */
void eas_keytab_attach(struct eas_keytab *keytab, struct eas_keytab_share *share);

/*
 * Reads the file if it has changed and is at rest.  True for news: err->rc is EAS_OK if all processes
 * get the new keys.  Each other state of the file is news once.
 */
bool eas_keytab_reread(struct eas_keytab *keytab, struct eas_err *err);

/* Takes the keys that another process has read, if there are new ones. */
void eas_keytab_refresh(struct eas_keytab *keytab);

/* True once after such new keys. */
bool eas_keytab_was_replaced(struct eas_keytab *keytab);

/* Whether all keys of the gateway's principal are RC4's. */
bool eas_keytab_has_only_rc4(struct eas_keytab *keytab);

/* Why the keys do not decrypt a ticket: their version, encryption type or the key; with the cure. */
const char *eas_keytab_explain(struct eas_keytab *keytab, krb5_context ctx, apr_pool_t *pool,
                               const krb5_data *ticket);

/* The keys.  The handle and its keys stay valid for the life of the pool, also after a refresh. */
krb5_keytab eas_keytab_handle(struct eas_keytab *keytab);

/* The gateway's principal, and the same as text. */
krb5_const_principal eas_keytab_principal(const struct eas_keytab *keytab);
const char *eas_keytab_principal_name(const struct eas_keytab *keytab);

/* The gateway's keys for people, in pool: `kvno 3: aes256-cts-hmac-sha1-96, …; kvno 2: …`. */
const char *eas_keytab_keys(struct eas_keytab *keytab, apr_pool_t *pool);

#endif
