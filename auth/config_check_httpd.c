/* SPDX-License-Identifier: Apache-2.0 */
/* auth/config_check_httpd.c - start-up warnings about authentication: keytab, realms, krb5.conf */

#include "auth/config_check_httpd.h"
#include "auth/base/config_tree_httpd.h"
#include "auth/base/log_httpd.h"
#include "auth/config_httpd.h"
#include "auth/kerberos/kdc_locate.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <unixd.h>

struct site {
    apr_pool_t *pool;
    const server_rec *s;
    const struct eas_auth_server *conf;
    struct eas_config_tree tree;
    bool is_only; /* no other server has a keytab */
};

static enum eas_rc check_auth_type(const struct site *site, struct eas_err *err)
{
    const ap_directive_t *at = eas_config_tree_find(site->tree.own, "AuthType", "EasKcd");

    if (at == NULL || eas_auth_serves_login(site->conf)
        || (!site->s->is_virtual && !site->is_only)) {
        return EAS_OK;
    }
    return eas_fail(err, EAS_MISCONFIGURED, 3064,
                    "AuthType EasKcd (%s) has no keytab, so that every password is refused by 503; "
                    "set EasKcdKeytab in its virtual host or outside",
                    eas_config_tree_place(site->pool, at));
}

static enum eas_rc check_cookie(const struct site *site, struct eas_err *err)
{
    const char *name = eas_auth_session_cookie(site->conf);

    if (strncmp(name, "__Host-", 7) == 0
        || eas_config_tree_find(site->tree.own, "EasKcdSessionCookie", NULL) == NULL) {
        return EAS_OK;
    }
    return eas_fail(err, EAS_MISCONFIGURED, 3061,
                    "EasKcdSessionCookie %s can be set by other hosts of the domain and over plain "
                    "http, because only browsers' rule for names with __Host- prevents it; write "
                    "__Host-%s",
                    name, name);
}

static enum eas_rc check_keytab(const struct site *site, struct eas_err *err)
{
    const struct eas_authority *authority = site->conf->authority;

    if (authority == NULL || eas_config_tree_find(site->tree.own, "EasKcdKeytab", NULL) == NULL
        || !eas_keytab_has_only_rc4(authority->keytab)) {
        return EAS_OK;
    }
    return eas_fail(err, EAS_MISCONFIGURED, 3062,
                    "the keytab %s has only RC4 keys of %s, which domain controllers refuse since "
                    "2026; give the account AES keys (msDS-SupportedEncryptionTypes 24, then a new "
                    "password) and export it again",
                    site->conf->keytab_path, eas_keytab_principal_name(authority->keytab));
}

static enum eas_rc check_principal(const struct site *site, struct eas_err *err)
{
    const struct eas_authority *authority = site->conf->authority;
    const char *name = authority != NULL ? eas_keytab_principal_name(authority->keytab) : "";

    if (strchr(name, '/') == NULL
        || (eas_config_tree_find(site->tree.own, "EasKcdKeytab", NULL) == NULL
            && eas_config_tree_find(site->tree.own, "EasKcdPrincipal", NULL) == NULL)) {
        return EAS_OK;
    }
    return eas_fail(err, EAS_MISCONFIGURED, 3063,
                    "%s is a service, and Active Directory lets none log on, so that delegation "
                    "fails; export the account's own name (gateway@REALM) into the keytab, too",
                    name);
}

static enum eas_rc check_realm(const struct site *site, struct eas_err *err)
{
    const struct eas_authority *authority = site->conf->authority;
    const char *name = authority != NULL ? eas_keytab_principal_name(authority->keytab) : "";
    const char *at = strrchr(name, '@');

    if (at == NULL || site->conf->realm != NULL
        || eas_config_tree_find(site->tree.own, "EasKcdKeytab", NULL) == NULL
        || strcmp(at + 1, authority->realms.default_realm) == 0) {
        return EAS_OK;
    }
    return eas_fail(err, EAS_MISCONFIGURED, 3066,
                    "users without a domain are of %s, the default realm of krb5.conf, and the "
                    "keytab's account is of %s; if that is not meant, set EasKcdRealm %s",
                    authority->realms.default_realm, at + 1, at + 1);
}

static bool has_lower_case(const char *text)
{
    while (*text != '\0' && !apr_islower(*text)) {
        text++;
    }
    return *text != '\0';
}

static enum eas_rc check_domains(const struct site *site, struct eas_err *err)
{
    const ap_directive_t *at;

    for (at = eas_config_tree_find(site->tree.own, "EasKcdDomain", NULL); at != NULL;
         at = eas_config_tree_find(eas_config_tree_next(at), "EasKcdDomain", NULL)) {
        const char *args = at->args, *realm;
        bool lower;

        ap_getword_conf(site->pool, &args);
        realm = ap_getword_conf(site->pool, &args);
        lower = has_lower_case(realm);
        if (lower || !eas_kdc_locate_may(realm)) {
            return eas_fail(err, EAS_MISCONFIGURED, 3065,
                            "EasKcdDomain (%s): %s; its users cannot log on",
                            eas_config_tree_place(site->pool, at),
                            apr_psprintf(site->pool,
                                         lower ? "the realm %s has lower-case letters, and Active "
                                                 "Directory's have none"
                                               : "krb5.conf has no KDC of the realm %s, and "
                                                 "dns_lookup_kdc is false",
                                         realm));
        }
    }
    return EAS_OK;
}

/* In a virtual host with realms of its own, the main server's line counts, unless it has one, too. */
static const ap_directive_t *find_account(const struct site *site)
{
    bool inherits = eas_config_tree_find(site->tree.own, "EasKcdRemoteUser", NULL) == NULL
                    && eas_config_tree_find(site->tree.own, "EasKcdDomain", NULL) != NULL;

    return eas_config_tree_find(inherits ? site->tree.outer : site->tree.own, "EasKcdRemoteUser",
                                "account");
}

/* The names of accounts are unique within a domain only. */
static enum eas_rc check_remote_user(const struct site *site, struct eas_err *err)
{
    const ap_directive_t *at = find_account(site);
    const struct eas_authority *authority = site->conf->authority;
    int i;

    if (at == NULL || authority == NULL) {
        return EAS_OK;
    }
    for (i = 0; authority->realms.domains != NULL && i < authority->realms.domains->nelts; i++) {
        const char *realm = APR_ARRAY_IDX(authority->realms.domains, i, struct eas_domain).realm;

        if (strcmp(realm, authority->realms.default_realm) != 0) {
            return eas_fail(err, EAS_MISCONFIGURED, 3120,
                            "EasKcdRemoteUser account (%s) gives users of %s and %s who have the "
                            "same account name the same REMOTE_USER; use upn or principal",
                            eas_config_tree_place(site->pool, at), authority->realms.default_realm,
                            realm);
        }
    }
    return EAS_OK;
}

/* --- of the machine ---------------------------------------------------------------------------- */

/* A group may also be one of the user's others. */
static bool may_access(const char *path, unsigned bit)
{
    struct stat info;

    if (stat(path, &info) != 0) {
        return true; /* libkrb5 takes a missing file for an empty one */
    }
    return info.st_uid == ap_unixd_config.user_id ? (info.st_mode & (bit << 6)) != 0
                                                  : (info.st_mode & (bit | bit << 3)) != 0;
}

static bool may_read(apr_pool_t *pool, const char *file)
{
    char *path = apr_pstrdup(pool, file), *slash;
    bool may = may_access(path, S_IROTH);

    while (may && (slash = strrchr(path, '/')) != NULL && slash != path) {
        *slash = '\0';
        may = may_access(path, S_IXOTH);
    }
    return may;
}

/* httpd's parent reads krb5.conf as root, its children as their user. */
static void check_krb5_conf(apr_pool_t *pool, const server_rec *main_server)
{
    const char *files = getenv("KRB5_CONFIG");
    char *list = apr_pstrdup(pool, files != NULL ? files : "/etc/krb5.conf"), *file, *last;
    struct eas_err err;

    for (file = apr_strtok(list, ":", &last); geteuid() == 0 && file != NULL;
         file = apr_strtok(NULL, ":", &last)) {
        if (!may_read(pool, file)) {
            eas_fail(&err, EAS_MISCONFIGURED, 3067,
                     "%s cannot be read by %s, the user of httpd's processes, so that each log-on "
                     "fails; chmod 644, and 755 its directories",
                     file, ap_unixd_config.user_name);
            eas_log_startup_warning(main_server, &err);
        }
    }
}

static bool is_only(const server_rec *main_server, const server_rec *one)
{
    const server_rec *s;

    for (s = main_server; s != NULL; s = s->next) {
        if (s != one && eas_auth_server_of(s)->keytab_path != NULL) {
            return false;
        }
    }
    return true;
}

void eas_config_check(apr_pool_t *ptemp, const server_rec *main_server)
{
    static enum eas_rc (*const checks[])(const struct site *, struct eas_err *) = {
        check_auth_type, check_cookie,  check_keytab,     check_principal,
        check_realm,     check_domains, check_remote_user
    };
    const server_rec *s;
    apr_size_t i;

    for (s = main_server; s != NULL; s = s->next) {
        const struct site site = { .pool = ptemp,
                                   .s = s,
                                   .conf = eas_auth_server_of(s),
                                   .tree = eas_config_tree_of(s),
                                   .is_only = is_only(main_server, s) };
        struct eas_err err;

        for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
            if (checks[i](&site, &err) != EAS_OK) {
                eas_log_startup_warning(s, &err);
            }
        }
    }
    check_krb5_conf(ptemp, main_server);
}
