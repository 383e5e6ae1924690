/* SPDX-License-Identifier: Apache-2.0 */
/* auth/identity.h - from what people type to the one name that AD knows them by */

#ifndef EAS_AUTH_IDENTITY_H
#define EAS_AUTH_IDENTITY_H

#include "auth/base/error.h"

#include <apr_pools.h>
#include <apr_tables.h>
#include <stdbool.h>

struct eas_ticket;

/* Longer names cannot be users of ours: 64 characters, '@', 255 of a DNS name. */
#define EAS_NAME_MAX 320

/* One EasKcdDomain: a NetBIOS domain or a UPN suffix, and the realm that serves it. */
struct eas_domain {
    const char *name;
    const char *realm;
};

/* The realms whose users may come in: the default one and those of the domains. */
struct eas_realms {
    const char *default_realm;
    const apr_array_header_t *domains; /* of struct eas_domain, or NULL */
};

/* A name as it is put to the KDC.  Enterprise names (RFC 6806) keep their '@suffix' in user. */
struct eas_login {
    const char *user;
    const char *realm;
    bool enterprise;
};

/* How a user was proved; says what the delegation may build on. */
enum eas_authenticated_by {
    EAS_BY_PASSWORD, /* by the KDC, just now: evidence is there */
    EAS_BY_CACHE,    /* by the KDC, remembered: evidence is there */
    EAS_BY_SESSION,  /* by the KDC at log-on; evidence is there or has ended */
    EAS_BY_OTHER     /* by another module or provider: no evidence, and no name of AD's */
};

/* What auth/ hands to delegation/: who it is, how that is known, and what proves it to the KDC. */
struct eas_identity {
    const char *principal; /* user@REALM; canonical where the KDC has proved it */
    enum eas_authenticated_by authenticated_by;
    struct eas_ticket *evidence; /* the user's ticket for the gateway; NULL if there is none */
    struct eas_login login;      /* without evidence: the name to put to the KDC */
};

/*
 * Splits a typed name: `user`, `DOMAIN\user`, `user@REALM`, `user@upn.suffix`.  A suffix that is no
 * realm of ours stays in an enterprise name; a NetBIOS domain must be mapped.  Refuses, without
 * anybody having been asked, what cannot be a user: empty and over-long names, invalid UTF-8,
 * control characters, blanks at the ends, service (`a/b`) and machine (`*$`) names.
 * Result in pool.  EAS_OK or EAS_DENIED.
 */
enum eas_rc eas_identity_parse(apr_pool_t *pool, const char *typed, apr_size_t len,
                               const struct eas_realms *realms, struct eas_login *login_out,
                               struct eas_err *err);

/*
 * The identity behind a name that another module or an expression gave: with a realm or domain of
 * ours only, because an htpasswd file's Administrator is not AD's.  EAS_OK or EAS_FORBIDDEN.
 */
enum eas_rc eas_identity_foreign(apr_pool_t *pool, const char *name,
                                 const struct eas_realms *realms,
                                 const struct eas_identity **identity_out, struct eas_err *err);

/*
 * The same refusals for the canonical name that the KDC returned, given in its parts, since an alias
 * may lead to a service account or to a realm that is not ours.  EAS_OK or EAS_DENIED.
 */
enum eas_rc eas_identity_check(const char *user, apr_size_t len, const char *realm,
                               const struct eas_realms *realms, struct eas_err *err);

/* A text in pool that is the same for the same realms and domains, in whatever process. */
const char *eas_identity_realms_text(apr_pool_t *pool, const struct eas_realms *realms);

/* Well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates)? */
bool eas_identity_is_utf8(const char *bytes, apr_size_t len);

#endif
