/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/armor.h - FAST (RFC 6113): the gateway's TGT protects the log-ons of users */

#ifndef EAS_AUTH_KERBEROS_ARMOR_H
#define EAS_AUTH_KERBEROS_ARMOR_H

#include "auth/kerberos/as.h"
#include "auth/kerberos/service_tgt.h"

/* EasKcdArmor */
enum eas_armor_mode {
    EAS_ARMOR_OFF,
    EAS_ARMOR_TRY,    /* without armour where there is none */
    EAS_ARMOR_REQUIRE /* no password without armour */
};

/* One per child and keytab; thread-safe.  Knows which realms offer FAST. */
struct eas_armor;

struct eas_armor *eas_armor_create(apr_pool_t *pool, struct eas_service_tgt *service_tgt);

/* Keeps what the KDC of the client's realm has offered in its latest answer; NULL does nothing. */
void eas_armor_note(struct eas_armor *armor, const struct eas_kdc *kdc,
                    krb5_const_principal client);

/*
 * As eas_as_log_on(), with armour.  Where it is unknown whether the realm offers FAST, one message
 * without a password asks.  A TGT of the gateway for another realm costs two more messages in its
 * life.
 *
 * EAS_ARMOR_TRY repeats the exchange without armour where the KDC refuses the armour of the first
 * message, which carries no password.  EAS_ARMOR_REQUIRE: KRB5_ERR_FAST_REQUIRED without armour.
 */
krb5_error_code eas_armor_log_on(struct eas_armor *armor, enum eas_armor_mode mode,
                                 struct eas_kdc *kdc, const struct eas_as_request *request,
                                 krb5_creds *tgt);

/*
 * As eas_as_salt() after KRB5KDC_ERR_POLICY, which a user gets who may log on from some devices alone
 * ([MS-KILE] 3.3.5.6): asks again with armour, and returns that error where there is none.
 */
krb5_error_code eas_armor_salt(struct eas_armor *armor, enum eas_armor_mode mode,
                               struct eas_kdc *kdc, apr_pool_t *pool, krb5_principal client,
                               const char **salt_out);

#endif
