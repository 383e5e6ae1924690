/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/service_tgt.h - the gateway's own TGT, from its keytab */

#ifndef EAS_AUTH_KERBEROS_SERVICE_TGT_H
#define EAS_AUTH_KERBEROS_SERVICE_TGT_H

#include "auth/kerberos/kdc.h"
#include "auth/kerberos/keytab.h"
#include "auth/kerberos/ticket.h"

#include <stdbool.h>

/*
 * One per child and keytab; thread-safe.  The TGT is requested as forwardable, whatever krb5.conf
 * says: without the flag, MIT's client gets no S4U2Proxy ticket from AD.  The TGT is immutable and
 * shared.  Each user copies it into a ccache of its own, so that no exchange waits for another.
 */
struct eas_service_tgt;

struct eas_service_tgt *eas_service_tgt_create(apr_pool_t *pool, struct eas_keytab *keytab);

struct eas_keytab *eas_service_tgt_keytab(const struct eas_service_tgt *service_tgt);

/*
 * The TGT, with a reference for the caller.
 *
 * One thread fetches it and others wait for it, but not longer than half of the KDC timeout after
 * its begin.  Its message may be lost, and another one answered.
 *
 * The first caller after half of the TGT's life renews it, so that tickets from it last.  The other
 * callers use the old TGT; so do all if the renewal fails.
 *
 * After a refusal there is no log-on for 30 seconds, so that a stale keytab does not lock the
 * account.
 *
 * EAS_OK, EAS_UNAVAILABLE or EAS_MISCONFIGURED.
 */
enum eas_rc eas_service_tgt_get(struct eas_service_tgt *service_tgt, struct eas_kdc *kdc,
                                struct eas_ticket **tgt_out, struct eas_err *err);

/* The KDC refused this TGT (a key has changed): the next call fetches another. */
void eas_service_tgt_forget(struct eas_service_tgt *service_tgt, const struct eas_ticket *tgt);

/*
 * The KDC does not decrypt this evidence.  True if its key is older than the keytab's newest one: then
 * evidence with that key and older ones, issued before now, is void in this process.
 */
bool eas_service_tgt_note_old_evidence(struct eas_service_tgt *service_tgt, krb5_context ctx,
                                       const struct eas_ticket *evidence);
bool eas_service_tgt_is_void(const struct eas_service_tgt *service_tgt,
                             const struct eas_ticket *evidence);

/* Whether S4U2Self ever returned a forwardable ticket; see eas_s4u_proxy(). */
void eas_service_tgt_note_transition(struct eas_service_tgt *service_tgt);
bool eas_service_tgt_may_transition(const struct eas_service_tgt *service_tgt);

#endif
