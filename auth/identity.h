/* SPDX-License-Identifier: Apache-2.0 */
/* auth/identity.h - identity of an authenticated user; parser of login names */

#ifndef EAS_AUTH_IDENTITY_H
#define EAS_AUTH_IDENTITY_H

#include "auth/base/bytes.h"
#include "auth/base/error.h"

#include <apr_pools.h>
#include <apr_tables.h>
#include <stdbool.h>

struct eas_ticket;

/* The longest name of a user: 64 characters, '@', 255 of a DNS name. */
#define EAS_NAME_MAX 320

/* One EasKcdDomain: a NetBIOS domain or a UPN suffix, and its realm. */
struct eas_domain {
    const char *name;
    const char *realm;
};

/* The realms whose users may log on: the default realm and those of the domains. */
struct eas_realms {
    const char *default_realm;
    const apr_array_header_t *domains; /* of struct eas_domain, or NULL */
};

/* A client name for the KDC.  An enterprise name (RFC 6806) keeps its '@suffix' in user. */
struct eas_login {
    const char *user;
    const char *realm;
    bool enterprise;
};

/* The means of authentication, which decides the ways of delegation. */
enum eas_authenticated_by {
    EAS_BY_PASSWORD, /* a password that the KDC verified for this request; with evidence */
    EAS_BY_CACHE,    /* a password in the cache that the KDC verified earlier; with evidence */
    EAS_BY_TICKET,   /* the client's own ticket for the gateway, which is the evidence */
    EAS_BY_SESSION,  /* a session after a KDC verified the password; evidence may have expired */
    EAS_BY_OTHER     /* another module or provider: no evidence, and the name is not AD's */
};

/* The interface between auth/ and delegation/: the user, and the evidence for the KDC. */
struct eas_identity {
    const char *principal; /* user@REALM; canonical if the KDC returned it */
    enum eas_authenticated_by authenticated_by;
    struct eas_ticket *evidence; /* the user's ticket for the gateway, or NULL */
    struct eas_login login;      /* without evidence: the name for S4U2Self */
    /*
     * Without evidence and login: the client's certificate for S4U2Self, as DER, else empty.  The
     * principal is then its digest, which no name of a user equals: it has no '@'.
     */
    struct eas_bytes certificate;
};

/*
 * Parses a login name: `user`, `\user`, `DOMAIN\user`, `user@REALM`, `user@upn.suffix`,
 * `DOMAIN\user@suffix`.  A suffix that is not one of the realms stays in an enterprise name.  A
 * NetBIOS domain must be a domain of the realms; it decides the realm unless the suffix does.
 * Blanks (utf8.h) around the user, the domain and the suffix do not count, nor does a dot behind a
 * domain or suffix.  The fullwidth forms of `\` and `@` separate, too.
 *
 * Refuses, without a message to the KDC, what cannot be a user: empty and over-long names, invalid
 * UTF-8, control characters, service (`a/b`) and machine (`*$`) names.
 * Result in pool.  EAS_OK or EAS_DENIED.
 */
enum eas_rc eas_identity_parse(apr_pool_t *pool, const char *typed, apr_size_t len,
                               const struct eas_realms *realms, struct eas_login *login_out,
                               struct eas_err *err);

/* A part of the name: without the blanks (utf8.h) at its ends.  Changes *len to that of the part. */
const char *eas_identity_trim(const char *name, apr_size_t *len);

/* The configured spelling of a realm of the realms; letter case does not count.  NULL: another. */
const char *eas_identity_realm(const struct eas_realms *realms, const char *name);

/* EAS_OK if the realm is one of the realms, else EAS_DENIED. */
enum eas_rc eas_identity_check_realm(const char *realm, const struct eas_realms *realms,
                                     struct eas_err *err);

/*
 * The identity for a name from another module or from an expression.  The name must have either a
 * realm or a domain of the realms: Administrator of an htpasswd file is not Administrator of AD.
 * Its blanks count: ` alice@REALM` is another user of that module, and no user of AD.  Result in
 * pool.  EAS_OK or EAS_FORBIDDEN.
 */
enum eas_rc eas_identity_foreign(apr_pool_t *pool, const char *name,
                                 const struct eas_realms *realms,
                                 const struct eas_identity **identity_out, struct eas_err *err);

/*
 * The same checks for the user and realm of the canonical name that the KDC returned: an alias may
 * name a service account, or a user of another realm.  EAS_OK or EAS_DENIED.
 */
enum eas_rc eas_identity_check(const char *user, apr_size_t len, const char *realm,
                               const struct eas_realms *realms, struct eas_err *err);

/* A text in pool, the same in all processes for the same realms and domains. */
const char *eas_identity_realms_text(apr_pool_t *pool, const struct eas_realms *realms);

#endif
