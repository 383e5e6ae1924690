/* SPDX-License-Identifier: Apache-2.0 */
/* auth/identity.c - identity of an authenticated user; parser of login names */

#include "auth/identity.h"
#include "auth/base/utf8.h"

#include <apr_cstr.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>

static bool has_control(const char *bytes, apr_size_t len)
{
    apr_size_t i;

    for (i = 0; i < len; i++) {
        if (apr_iscntrl(bytes[i])) {
            return true;
        }
    }
    return false;
}

static enum eas_rc fail_space(struct eas_err *err)
{
    return eas_fail(err, EAS_DENIED, 1001,
                    "the user name is empty, or begins or ends with a space");
}

/* Checks the user part of a typed or canonical name. */
static enum eas_rc check_user(const char *user, apr_size_t len, struct eas_err *err)
{
    if (len == 0 || user[0] == ' ' || user[len - 1] == ' ') {
        return fail_space(err);
    }
    if (memchr(user, '/', len) || user[len - 1] == '$') {
        return eas_fail(err, EAS_DENIED, 1002,
                        "the name is that of a service or machine account, which may not log on");
    }
    return EAS_OK;
}

static const char *mapped_realm(const struct eas_realms *realms, const char *name)
{
    int i;

    for (i = 0; realms->domains != NULL && i < realms->domains->nelts; i++) {
        const struct eas_domain *d = &APR_ARRAY_IDX(realms->domains, i, struct eas_domain);

        if (apr_cstr_casecmp(d->name, name) == 0) {
            return d->realm;
        }
    }
    return NULL;
}

const char *eas_identity_realm(const struct eas_realms *realms, const char *name)
{
    int i;

    if (apr_cstr_casecmp(realms->default_realm, name) == 0) {
        return realms->default_realm;
    }
    for (i = 0; realms->domains != NULL && i < realms->domains->nelts; i++) {
        const char *realm = APR_ARRAY_IDX(realms->domains, i, struct eas_domain).realm;

        if (apr_cstr_casecmp(realm, name) == 0) {
            return realm;
        }
    }
    return NULL;
}

static enum eas_rc parse_domain_user(apr_pool_t *pool, const char *domain, const char *user,
                                     const struct eas_realms *realms, struct eas_login *login,
                                     struct eas_err *err)
{
    login->realm = mapped_realm(realms, domain);
    if (login->realm == NULL) {
        login->realm = eas_identity_realm(realms, domain);
    }
    if (login->realm == NULL || strchr(user, '\\')) {
        return eas_fail(err, EAS_DENIED, 1003,
                        "the NetBIOS domain of the name is not known; map it with EasKcdDomain");
    }
    login->user = apr_pstrdup(pool, user);
    return check_user(user, strlen(user), err);
}

static enum eas_rc parse_suffixed(apr_pool_t *pool, const char *name, const char *suffix,
                                  const struct eas_realms *realms, struct eas_login *login,
                                  struct eas_err *err)
{
    apr_size_t user_len = (apr_size_t)(suffix - name) - 1;
    const char *realm = eas_identity_realm(realms, suffix);

    if (*suffix == '\0' || memchr(name, '@', user_len)) {
        return eas_fail(err, EAS_DENIED, 1004, "the name has no suffix or more than one");
    }
    if (suffix[strlen(suffix) - 1] == ' ') {
        return fail_space(err);
    }
    if (realm != NULL) {
        login->user = apr_pstrmemdup(pool, name, user_len);
        login->realm = realm;
    }
    else {
        login->user = apr_pstrdup(pool, name);
        login->realm = mapped_realm(realms, suffix);
        login->enterprise = true;
        if (login->realm == NULL) {
            login->realm = realms->default_realm;
        }
    }
    return check_user(name, user_len, err);
}

enum eas_rc eas_identity_parse(apr_pool_t *pool, const char *typed, apr_size_t len,
                               const struct eas_realms *realms, struct eas_login *login_out,
                               struct eas_err *err)
{
    struct eas_login login = { NULL, NULL, false };
    enum eas_rc rc;
    const char *name, *at, *backslash;

    if (len > EAS_NAME_MAX || has_control(typed, len) || !eas_utf8_is_valid(typed, len)) {
        return eas_fail(err, EAS_DENIED, 1005,
                        "the user name is too long, is not UTF-8, or has control characters");
    }
    name = apr_pstrmemdup(pool, typed, len);
    backslash = strchr(name, '\\');
    at = strrchr(name, '@');
    if (backslash != NULL) {
        const char *domain = apr_pstrmemdup(pool, name, (apr_size_t)(backslash - name));

        rc = parse_domain_user(pool, domain, backslash + 1, realms, &login, err);
    }
    else if (at != NULL) {
        rc = parse_suffixed(pool, name, at + 1, realms, &login, err);
    }
    else {
        login.user = name;
        login.realm = realms->default_realm;
        rc = check_user(name, len, err);
    }
    if (rc == EAS_OK) {
        *login_out = login;
    }
    return rc;
}

enum eas_rc eas_identity_foreign(apr_pool_t *pool, const char *name,
                                 const struct eas_realms *realms,
                                 const struct eas_identity **identity_out, struct eas_err *err)
{
    struct eas_identity *identity = apr_pcalloc(pool, sizeof(*identity));
    const char *at = strrchr(name, '@');

    if (strchr(name, '\\') == NULL
        && (at == NULL
            || (eas_identity_realm(realms, at + 1) == NULL
                && mapped_realm(realms, at + 1) == NULL))) {
        return eas_fail(
            err, EAS_FORBIDDEN, 1008,
            "the user was not authenticated by the KDC, and the name has neither a configured "
            "realm nor a suffix of EasKcdDomain; map the suffix with EasKcdDomain");
    }
    if (eas_identity_parse(pool, name, strlen(name), realms, &identity->login, err) != EAS_OK) {
        err->rc = EAS_FORBIDDEN;
        return EAS_FORBIDDEN;
    }
    identity->principal = identity->login.enterprise ? identity->login.user
                                                     : apr_pstrcat(pool, identity->login.user, "@",
                                                                   identity->login.realm, NULL);
    identity->authenticated_by = EAS_BY_OTHER;
    *identity_out = identity;
    return EAS_OK;
}

enum eas_rc eas_identity_check_realm(const char *realm, const struct eas_realms *realms,
                                     struct eas_err *err)
{
    return eas_identity_realm(realms, realm) != NULL
               ? EAS_OK
               : eas_fail(err, EAS_DENIED, 1007,
                          "the realm %s of the user is not configured; add it with EasKcdDomain",
                          realm);
}

enum eas_rc eas_identity_check(const char *user, apr_size_t len, const char *realm,
                               const struct eas_realms *realms, struct eas_err *err)
{
    if (len > EAS_NAME_MAX || has_control(user, len) || !eas_utf8_is_valid(user, len)) {
        return eas_fail(err, EAS_DENIED, 1006, "the KDC's canonical name is not a user name");
    }
    return eas_identity_check_realm(realm, realms, err) == EAS_OK ? check_user(user, len, err)
                                                                  : err->rc;
}

const char *eas_identity_realms_text(apr_pool_t *pool, const struct eas_realms *realms)
{
    const char *text = apr_pstrdup(pool, realms->default_realm);
    int i;

    for (i = 0; realms->domains != NULL && i < realms->domains->nelts; i++) {
        const struct eas_domain *domain = &APR_ARRAY_IDX(realms->domains, i, struct eas_domain);

        text = apr_pstrcat(pool, text, "\n", domain->name, "\n", domain->realm, NULL);
    }
    return text;
}
