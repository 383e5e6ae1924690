/* SPDX-License-Identifier: Apache-2.0 */
/* auth/identity.c - from what people type to the one name that AD knows them by */

#include "auth/identity.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>

/* The length of the UTF-8 sequence at s, 0 if there is none; RFC 3629 section 4. */
static apr_size_t utf8_sequence(const unsigned char *s, apr_size_t left)
{
    apr_size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    apr_size_t i;

    if (n == 0 || n > left || s[0] > 0xf4) {
        return 0;
    }
    for (i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)
        || (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) {
        return 0;
    }
    return n;
}

bool eas_identity_is_utf8(const char *bytes, apr_size_t len)
{
    apr_size_t i = 0;

    while (i < len) {
        apr_size_t n = utf8_sequence((const unsigned char *)bytes + i, len - i);

        if (n == 0) {
            return false;
        }
        i += n;
    }
    return true;
}

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

static enum eas_rc fail_blank(struct eas_err *err)
{
    return eas_fail(err, EAS_DENIED, 1001, "the user name is empty or begins or ends with a blank");
}

/* What is refused of any user part, typed or canonical. */
static enum eas_rc check_user(const char *user, apr_size_t len, struct eas_err *err)
{
    if (len == 0 || user[0] == ' ' || user[len - 1] == ' ') {
        return fail_blank(err);
    }
    if (memchr(user, '/', len) || user[len - 1] == '$') {
        return eas_fail(err, EAS_DENIED, 1002, "service and machine accounts may not log in");
    }
    return EAS_OK;
}

static const char *mapped_realm(const struct eas_realms *realms, const char *name)
{
    int i;

    for (i = 0; realms->domains != NULL && i < realms->domains->nelts; i++) {
        const struct eas_domain *d = &APR_ARRAY_IDX(realms->domains, i, struct eas_domain);

        if (strcasecmp(d->name, name) == 0) {
            return d->realm;
        }
    }
    return NULL;
}

/* The realm of ours that the name spells in any letter case, else NULL. */
static const char *own_realm(const struct eas_realms *realms, const char *name)
{
    int i;

    if (strcasecmp(realms->default_realm, name) == 0) {
        return realms->default_realm;
    }
    for (i = 0; realms->domains != NULL && i < realms->domains->nelts; i++) {
        const char *realm = APR_ARRAY_IDX(realms->domains, i, struct eas_domain).realm;

        if (strcasecmp(realm, name) == 0) {
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
        login->realm = own_realm(realms, domain);
    }
    if (login->realm == NULL || strchr(user, '\\')) {
        return eas_fail(err, EAS_DENIED, 1003,
                        "the NetBIOS domain of the name is not known; name it by EasKcdDomain");
    }
    login->user = apr_pstrdup(pool, user);
    return check_user(user, strlen(user), err);
}

static enum eas_rc parse_suffixed(apr_pool_t *pool, const char *name, const char *suffix,
                                  const struct eas_realms *realms, struct eas_login *login,
                                  struct eas_err *err)
{
    apr_size_t user_len = (apr_size_t)(suffix - name) - 1;
    const char *realm = own_realm(realms, suffix);

    if (*suffix == '\0' || memchr(name, '@', user_len)) {
        return eas_fail(err, EAS_DENIED, 1004, "the name has no suffix or more than one");
    }
    if (suffix[strlen(suffix) - 1] == ' ') {
        return fail_blank(err);
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

    if (len > EAS_NAME_MAX || has_control(typed, len) || !eas_identity_is_utf8(typed, len)) {
        return eas_fail(err, EAS_DENIED, 1005,
                        "the user name is over-long, not UTF-8 or holds control characters");
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
            || (own_realm(realms, at + 1) == NULL && mapped_realm(realms, at + 1) == NULL))) {
        return eas_fail(
            err, EAS_FORBIDDEN, 1008,
            "a user whom the KDC has not proved is delegated only with a realm of ours or "
            "a suffix that EasKcdDomain names");
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

enum eas_rc eas_identity_check(const char *user, apr_size_t len, const char *realm,
                               const struct eas_realms *realms, struct eas_err *err)
{
    if (len > EAS_NAME_MAX || has_control(user, len) || !eas_identity_is_utf8(user, len)) {
        return eas_fail(err, EAS_DENIED, 1006, "the KDC's canonical name is no user name");
    }
    if (own_realm(realms, realm) == NULL) {
        return eas_fail(
            err, EAS_DENIED, 1007,
            "the user belongs to the realm %s, which is not ours; name it by EasKcdDomain", realm);
    }
    return check_user(user, len, err);
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
