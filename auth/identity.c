/* SPDX-License-Identifier: Apache-2.0 */
/* auth/identity.c - identity of an authenticated user; parser of login names */

#include "auth/identity.h"
#include "auth/base/utf8.h"

#include <apr_cstr.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>

/* The parts of `domain\user@suffix` without the blanks around each, and the dot of DNS's root. */
struct parts {
    const char *domain; /* NULL: none, or empty */
    const char *user;
    const char *suffix; /* NULL: none */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
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

/* Checks the user part of a typed or canonical name. */
static enum eas_rc check_user(const char *user, apr_size_t len, struct eas_err *err)
{
    if (len == 0 || is_blank(user[0]) || is_blank(user[len - 1])) {
        return eas_fail(err, EAS_DENIED, 1001,
                        "the user name is empty, or begins or ends with a space");
    }
    if (memchr(user, '/', len) || user[len - 1] == '$') {
        return eas_fail(err, EAS_DENIED, 1002,
                        "the name is that of a service or machine account, which may not log on; a "
                        "domain stands before a backslash, and not before a slash");
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

const char *eas_identity_trim(const char *name, apr_size_t *len)
{
    apr_size_t n;

    while ((n = eas_utf8_first_blank(name, *len)) > 0) {
        name += n;
        *len -= n;
    }
    while ((n = eas_utf8_last_blank(name, *len)) > 0) {
        *len -= n;
    }
    return name;
}

static const char *trimmed(apr_pool_t *pool, const char *start, const char *end)
{
    apr_size_t len = (apr_size_t)(end - start);

    start = eas_identity_trim(start, &len);
    return apr_pstrmemdup(pool, start, len);
}

/* Of a domain or a suffix: a dot at the end is that of DNS's root, or ended a sentence. */
static const char *trimmed_domain(apr_pool_t *pool, const char *start, const char *end)
{
    const char *name = trimmed(pool, start, end);
    apr_size_t len = strlen(name);

    return len > 1 && name[len - 1] == '.' ? trimmed(pool, name, name + len - 1) : name;
}

/* The fullwidth forms of `\` and `@` are what a keyboard for East Asian texts writes. */
static const char *with_narrow_separators(apr_pool_t *pool, const char *name)
{
    char *copy = apr_pstrdup(pool, name), *to = copy;

    while (*name != '\0') {
        bool backslash = strncmp(name, "\xef\xbc\xbc", 3) == 0;

        if (backslash || strncmp(name, "\xef\xbc\xa0", 3) == 0) {
            *to++ = backslash ? '\\' : '@';
            name += 3;
        }
        else {
            *to++ = *name++;
        }
    }
    *to = '\0';
    return copy;
}

/* The last `@` separates, so that read_suffix() sees another one in the user. */
static struct parts split(apr_pool_t *pool, const char *typed)
{
    const char *name = with_narrow_separators(pool, typed), *end = name + strlen(name);
    const char *backslash = strchr(name, '\\'), *at;
    struct parts parts = { NULL, NULL, NULL };

    if (backslash != NULL) {
        const char *domain = trimmed_domain(pool, name, backslash);

        parts.domain = *domain != '\0' ? domain : NULL;
        name = backslash + 1;
    }
    at = strrchr(name, '@');
    if (at != NULL) {
        parts.suffix = trimmed_domain(pool, at + 1, end);
    }
    parts.user = trimmed(pool, name, at != NULL ? at : end);
    return parts;
}

/* Sets the realm that the KDC is asked in, unless a suffix names another. */
static enum eas_rc read_domain(const struct parts *parts, const struct eas_realms *realms,
                               struct eas_login *login, struct eas_err *err)
{
    login->realm = realms->default_realm;
    if (parts->domain != NULL) {
        login->realm = mapped_realm(realms, parts->domain);
        if (login->realm == NULL) {
            login->realm = eas_identity_realm(realms, parts->domain);
        }
    }
    if (login->realm == NULL || strchr(parts->user, '\\')
        || (parts->suffix != NULL && strchr(parts->suffix, '\\'))) {
        return eas_fail(err, EAS_DENIED, 1003,
                        "the NetBIOS domain of the name is not known; map it with EasKcdDomain");
    }
    return EAS_OK;
}

/* A suffix identifies the account, whatever domain stands before the user. */
static enum eas_rc read_suffix(apr_pool_t *pool, const struct parts *parts,
                               const struct eas_realms *realms, struct eas_login *login,
                               struct eas_err *err)
{
    const char *realm = eas_identity_realm(realms, parts->suffix);

    if (*parts->suffix == '\0' || strchr(parts->user, '@')) {
        return eas_fail(err, EAS_DENIED, 1004, "the name has no suffix or more than one");
    }
    if (realm == NULL) {
        login->user = apr_pstrcat(pool, parts->user, "@", parts->suffix, NULL);
        login->enterprise = true;
        realm = mapped_realm(realms, parts->suffix);
    }
    if (realm != NULL) {
        login->realm = realm;
    }
    return EAS_OK;
}

static enum eas_rc resolve(apr_pool_t *pool, const struct parts *parts,
                           const struct eas_realms *realms, struct eas_login *login,
                           struct eas_err *err)
{
    enum eas_rc rc = read_domain(parts, realms, login, err);

    login->user = parts->user;
    if (rc == EAS_OK && parts->suffix != NULL) {
        rc = read_suffix(pool, parts, realms, login, err);
    }
    return rc == EAS_OK ? check_user(parts->user, strlen(parts->user), err) : rc;
}

static bool part_has_control(const char *part)
{
    return part != NULL && has_control(part, strlen(part));
}

enum eas_rc eas_identity_parse(apr_pool_t *pool, const char *typed, apr_size_t len,
                               const struct eas_realms *realms, struct eas_login *login_out,
                               struct eas_err *err)
{
    struct eas_login login = { NULL, NULL, false };
    struct parts parts = split(pool, apr_pstrmemdup(pool, typed, len));
    enum eas_rc rc;

    if (len > EAS_NAME_MAX || memchr(typed, '\0', len) || !eas_utf8_is_valid(typed, len)
        || part_has_control(parts.domain) || part_has_control(parts.user)
        || part_has_control(parts.suffix)) {
        return eas_fail(err, EAS_DENIED, 1005,
                        "the user name is too long, is not UTF-8, or has control characters");
    }
    rc = resolve(pool, &parts, realms, &login, err);
    if (rc == EAS_OK) {
        *login_out = login;
    }
    return rc;
}

/*
 * Whether the name of another module means one user beyond doubt: nothing was trimmed, and it has
 * either a domain or a suffix of the realms.
 */
static bool is_definite(const char *name, const struct parts *parts,
                        const struct eas_realms *realms)
{
    const char *affix = parts->domain != NULL ? parts->domain : parts->suffix;

    return (parts->domain == NULL) != (parts->suffix == NULL)
           && strlen(affix) + 1 + strlen(parts->user) == strlen(name)
           && (parts->suffix == NULL || eas_identity_realm(realms, affix) != NULL
               || mapped_realm(realms, affix) != NULL);
}

enum eas_rc eas_identity_foreign(apr_pool_t *pool, const char *name,
                                 const struct eas_realms *realms,
                                 const struct eas_identity **identity_out, struct eas_err *err)
{
    struct eas_identity *identity = apr_pcalloc(pool, sizeof(*identity));
    struct parts parts = split(pool, name);

    if (!is_definite(name, &parts, realms)) {
        return eas_fail(
            err, EAS_FORBIDDEN, 1008,
            "the user was not authenticated by the KDC, and the name has neither a configured "
            "realm nor a domain or suffix of EasKcdDomain, or it has both; map its suffix with "
            "EasKcdDomain");
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
