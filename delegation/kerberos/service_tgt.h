/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/service_tgt.h - the gateway's own credential: a TGT from the keytab */

#ifndef EAS_DELEGATION_KERBEROS_SERVICE_TGT_H
#define EAS_DELEGATION_KERBEROS_SERVICE_TGT_H

#include "auth/kerberos/kdc.h"
#include "auth/kerberos/keytab.h"
#include "auth/kerberos/ticket.h"

#include <stdbool.h>

/*
 * One per child and keytab; thread-safe.  The TGT is asked for forwardable, without which MIT's
 * client gets no S4U2Proxy ticket that AD would grant, whatever krb5.conf says.  It is immutable
 * and shared: whoever uses it copies it into a ccache of its own, so that no log-on waits for
 * another's exchange.
 */
struct eas_service_tgt;

struct eas_service_tgt *eas_service_tgt_create(apr_pool_t *pool, struct eas_keytab *keytab);

struct eas_keytab *eas_service_tgt_keytab(const struct eas_service_tgt *gateway);

/*
 * The TGT, with a reference for the caller.  One thread fetches it, others wait for that thread; but not
 * for one that has needed half of a conversation's time: the KDC may have lost its message, and answer
 * another.  When half of the TGT's life is over, whoever comes first fetches a fresh one, so that what is
 * got with it lasts; all others, and he if that fails, have the old one.  After a refusal the KDC is left
 * alone for half a minute, so that a stale keytab does not lock the account.
 * EAS_OK, EAS_UNAVAILABLE or EAS_MISCONFIGURED.
 */
enum eas_rc eas_service_tgt_get(struct eas_service_tgt *gateway, struct eas_kdc *kdc,
                                struct eas_ticket **tgt_out, struct eas_err *err);

/* The KDC no longer takes this TGT (its key or ours has changed): fetch another next time. */
void eas_service_tgt_forget(struct eas_service_tgt *gateway, const struct eas_ticket *tgt);

/* Has S4U2Self ever returned a forwardable ticket?  See eas_s4u_self(). */
void eas_service_tgt_note_transition(struct eas_service_tgt *gateway);
bool eas_service_tgt_may_transition(const struct eas_service_tgt *gateway);

#endif
