/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/start_check_httpd.c - start-up warnings about sections that delegate, and their backends */

#include "delegation/start_check_httpd.h"
#include "auth/base/config_tree_httpd.h"
#include "auth/base/log_httpd.h"
#include "auth/config_httpd.h"
#include "delegation/config_httpd.h"
#include "delegation/proxy/mod_proxy_httpd.h"

#include <apr_strings.h>
#include <apr_uri.h>
#include <http_core.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* A virtual host, or the main server, in which a section delegates. */
struct site {
    apr_pool_t *pool;
    const server_rec *s;
    struct eas_config_tree tree;
    apr_array_header_t *backends; /* of const char *, each URL once */
};

/* A section that delegates; of the server itself without a name. */
struct section {
    const ap_conf_vector_t *conf;
    const core_dir_config *core;
    const struct eas_auth_dir *auth;             /* with the server's settings */
    const struct eas_delegation_dir *delegation; /* likewise */
    const char *name;
};

/* --- of a site --------------------------------------------------------------------------------- */

static enum eas_rc check_required_tls(const struct site *site, struct eas_err *err)
{
    const ap_directive_t *at = eas_config_tree_find(site->tree.own, "EasKcdRequireTLS", "Off");

    if (at == NULL || eas_config_tree_find(site->tree.own, "SSLEngine", "On") == NULL) {
        return EAS_OK;
    }
    return eas_fail(err, EAS_MISCONFIGURED, 3060,
                    "EasKcdRequireTLS Off (%s) is where SSLEngine is On, so that only a mistake in "
                    "the ports makes it count; remove it",
                    eas_config_tree_place(site->pool, at));
}

static bool has_flag_p(const char *flags)
{
    const char *p = flags;

    while (*p != '\0') {
        apr_size_t len = strcspn(p += strspn(p, "[], "), "[], ");

        if ((len == 1 && (*p == 'P' || *p == 'p'))
            || (len == 5 && ap_cstr_casecmpn(p, "proxy", 5) == 0)) {
            return true;
        }
        p += len;
    }
    return false;
}

/* "https://host:port" of a RewriteRule with the flag P and a constant host, or NULL. */
static const char *rewritten_to(apr_pool_t *pool, const ap_directive_t *at)
{
    const char *args = at->args != NULL ? at->args : "", *url, *flags, *end;

    ap_getword_conf(pool, &args);
    url = ap_getword_conf(pool, &args);
    flags = ap_getword_conf(pool, &args);
    if (!has_flag_p(flags) || eas_mod_proxy_unfit_url(url)) {
        return NULL;
    }
    end = strchr(url, ':') + 3;
    end += strcspn(end, "/$%");
    return *end == '$' || *end == '%' ? NULL : apr_pstrmemdup(pool, url, (apr_size_t)(end - url));
}

static enum eas_rc check_rewrite(const struct site *site, struct eas_err *err)
{
    const ap_directive_t *at;

    for (at = site->tree.own; at != NULL; at = eas_config_tree_next(at)) {
        const char *host =
            eas_config_tree_is(at, "RewriteRule") ? rewritten_to(site->pool, at) : NULL;

        if (host != NULL && !eas_mod_proxy_has_worker(site->s, host)) {
            return eas_fail(err, EAS_MISCONFIGURED, 3059,
                            "RewriteRule with [P] (%s) leads to %s, which has no worker, so that "
                            "EasKcdDelegate refuses the requests; add <Proxy \"%s/\"> "
                            "with ProxySet enablereuse=on in it",
                            eas_config_tree_place(site->pool, at), host, host);
        }
    }
    return EAS_OK;
}

/* EasKcdDelegateUser in an <If>, too. */
static enum eas_rc check_weak_certificate(const struct site *site, struct eas_err *err)
{
    const ap_directive_t *at = eas_config_tree_find(site->tree.own, "EasKcdDelegateUser", NULL);

    while (at != NULL && ap_strcasestr(at->args, "SSL_CLIENT_") == NULL) {
        at = eas_config_tree_find(eas_config_tree_next(at), "EasKcdDelegateUser", NULL);
    }
    if (at == NULL) {
        return EAS_OK;
    }
    return eas_fail(
        err, EAS_MISCONFIGURED, 3137,
        "EasKcdDelegateUser (%s) takes the user from a name in the client's certificate, "
        "so each authority of SSLCACertificateFile can make anybody's; prefer "
        "EasKcdDelegateCertificate On, where the KDC maps certificates",
        eas_config_tree_place(site->pool, at));
}

static enum eas_rc check_asks_for_certificate(const struct site *site, struct eas_err *err)
{
    const ap_directive_t *at =
        eas_config_tree_find(site->tree.own, "EasKcdDelegateCertificate", "On");

    if (at == NULL || eas_config_tree_has(&site->tree, "SSLVerifyClient", "require")
        || eas_config_tree_has(&site->tree, "SSLVerifyClient", "optional")) {
        return EAS_OK;
    }
    return eas_fail(err, EAS_MISCONFIGURED, 3138,
                    "EasKcdDelegateCertificate (%s) is On, and the virtual host verifies no "
                    "certificates of clients, so that its requests are refused; set "
                    "SSLVerifyClient require or optional",
                    eas_config_tree_place(site->pool, at));
}

/* --- of a backend ------------------------------------------------------------------------------ */

static bool is_https(const char *url)
{
    return ap_cstr_casecmpn(url, "https:", 6) == 0;
}

static bool is_this_machine(apr_pool_t *pool, const char *url)
{
    apr_uri_t uri;

    return apr_uri_parse(pool, url, &uri) != APR_SUCCESS || uri.hostname == NULL
           || ap_cstr_casecmp(uri.hostname, "localhost") == 0
           || strncmp(uri.hostname, "127.", 4) == 0 || strcmp(uri.hostname, "::1") == 0;
}

static enum eas_rc check_encrypted(const struct site *site, const char *url, struct eas_err *err)
{
    if (is_https(url) || is_this_machine(site->pool, url)) {
        return EAS_OK;
    }
    return eas_fail(err, EAS_MISCONFIGURED, 3053,
                    "requests in users' names go to %s without encryption, so that others on the "
                    "network may read and change them; use https",
                    url);
}

static enum eas_rc check_tls(const struct site *site, const char *url, struct eas_err *err)
{
    if (!is_https(url) || eas_config_tree_has(&site->tree, "SSLProxyEngine", "On")) {
        return EAS_OK;
    }
    return eas_fail(err, EAS_MISCONFIGURED, 3054,
                    "%s needs TLS, and SSLProxyEngine is not On, so that every request fails; set "
                    "SSLProxyEngine On in this virtual host",
                    url);
}

static enum eas_rc check_verified(const struct site *site, const char *url, struct eas_err *err)
{
    bool any_name = eas_config_tree_has(&site->tree, "SSLProxyCheckPeerName", "Off");
    bool verified = eas_config_tree_has(&site->tree, "SSLProxyVerify", "require")
                    || eas_config_tree_has(&site->tree, "SSLProxyVerify", "optional");

    if (!is_https(url) || (verified && !any_name)) {
        return EAS_OK;
    }
    return eas_fail(err, EAS_MISCONFIGURED, 3055,
                    "%s of %s is not verified, so that another server can take its place; %s",
                    verified ? "the name in the certificate" : "the certificate", url,
                    verified ? "remove SSLProxyCheckPeerName Off"
                             : "set SSLProxyVerify require and SSLProxyCACertificateFile");
}

static enum eas_rc check_reuse(const struct site *site, const char *url, struct eas_err *err)
{
    const char *cure = NULL;

    switch (eas_mod_proxy_reuse(site->pool, site->s, url)) {
    case EAS_MOD_PROXY_REUSES:
        return EAS_OK;
    case EAS_MOD_PROXY_REUSES_NONE:
        cure = "add enablereuse=on to it";
        break;
    case EAS_MOD_PROXY_CANNOT_REUSE:
        cure = "write one ProxyPass for each host, because the host's name has a variable part";
        break;
    }
    return eas_fail(
        err, EAS_MISCONFIGURED, 3056,
        "each request to %s opens a connection, which costs several times the processor "
        "time, because its worker has disablereuse=on, or a ProxyPassMatch with $1; %s",
        url, cure);
}

static enum eas_rc check_upgrade(const struct site *site, const char *url, struct eas_err *err)
{
    if (!eas_mod_proxy_upgrades(site->pool, site->s, url)) {
        return EAS_OK;
    }
    return eas_fail(
        err, EAS_MISCONFIGURED, 3110,
        "the worker of %s has upgrade=, and requests in users' names leave without "
        "Upgrade, so that none becomes a WebSocket; remove it, or set EasKcdDelegate Off "
        "for that path",
        url);
}

/* --- of a section ------------------------------------------------------------------------------ */

static enum eas_rc check_errors(const struct site *site, const struct section *section,
                                struct eas_err *err)
{
    if (!eas_mod_proxy_overrides_errors(site->s, section->conf)) {
        return EAS_OK;
    }
    return eas_fail(err, EAS_MISCONFIGURED, 3057,
                    "%s: ProxyErrorOverride On replaces the contents of the backend's error "
                    "responses, which programs of Exchange's users read; set it Off",
                    section->name);
}

/* Whether a section of the text may cover one of the configuration; in doubt it does. */
static bool may_cover(apr_pool_t *pool, const ap_directive_t *at, const core_dir_config *core)
{
    const char *path;

    while (at != NULL && *at->directive == '<'
           && ap_cstr_casecmpn(at->directive, "<Require", 8) == 0) {
        at = at->parent;
    }
    if (at == NULL || !eas_config_tree_is(at, "<Location") || core->d == NULL || core->r != NULL) {
        return true;
    }
    path = eas_config_tree_argument(pool, at);
    return *path != '/' || strncmp(core->d, path, strlen(path)) == 0;
}

static bool has_require(const struct site *site, const ap_directive_t *first,
                        const core_dir_config *core)
{
    const ap_directive_t *at;

    for (at = eas_config_tree_find(first, "Require", NULL); at != NULL;
         at = eas_config_tree_find(eas_config_tree_next(at), "Require", NULL)) {
        if (may_cover(site->pool, at->parent, core)) {
            return true;
        }
    }
    return false;
}

static enum eas_rc check_require(const struct site *site, const struct section *section,
                                 struct eas_err *err)
{
    if (eas_auth_always_authenticates(section->auth) || section->delegation->delegate_user != NULL
        || eas_delegation_by_certificate(section->delegation)
        || has_require(site, site->tree.own, section->core)
        || has_require(site, site->tree.outer, section->core)) {
        return EAS_OK;
    }
    return eas_fail(err, EAS_MISCONFIGURED, 3058,
                    "%s: EasKcdDelegate is On and there is no Require, so that requests without "
                    "credentials reach the backend; add Require valid-user, or Require all granted "
                    "if the backend is to decide",
                    section->name);
}

/* --- all --------------------------------------------------------------------------------------- */

static void add_backends(struct site *site, const char *target)
{
    const apr_array_header_t *urls = eas_mod_proxy_urls(site->pool, site->s, target);
    int i;

    for (i = 0; i < urls->nelts; i++) {
        const char *url = APR_ARRAY_IDX(urls, i, const char *);

        if (!ap_array_str_contains(site->backends, url)) {
            APR_ARRAY_PUSH(site->backends, const char *) = url;
        }
    }
}

/* Of each ProxyPass outside of sections: a pattern may match any of them. */
static void add_all_backends(struct site *site)
{
    const char *target;
    int i;

    for (i = 0; (target = eas_mod_proxy_server_target(site->s, i)) != NULL; i++) {
        add_backends(site, target);
    }
}

static void warn_of_section(struct site *site, const struct section *section)
{
    static enum eas_rc (*const checks[])(const struct site *, const struct section *,
                                         struct eas_err *) = { check_errors, check_require };
    struct eas_err err;
    apr_size_t i;

    for (i = 0; i < COUNT_OF(checks); i++) {
        if (checks[i](site, section, &err) != EAS_OK) {
            eas_log_startup_warning(site->s, &err);
        }
    }
}

static void check_section(struct site *site, const ap_conf_vector_t *conf)
{
    const ap_conf_vector_t *defaults = site->s->lookup_defaults;
    const core_dir_config *core = ap_get_core_module_config(conf);
    struct section section = {
        .conf = conf,
        .core = core,
        .auth = eas_auth_dir_merge(site->pool, eas_auth_dir_of(defaults), eas_auth_dir_of(conf)),
        .delegation = eas_delegation_dir_merge(site->pool, eas_delegation_dir_of(defaults),
                                               eas_delegation_dir_of(conf)),
        .name = core->d,
    };
    const char *target = eas_mod_proxy_mapping_of(conf);

    if (!eas_delegation_is_on(section.delegation)) {
        return;
    }
    if (target == NULL && core->r != NULL) {
        add_all_backends(site);
    }
    else if (target == NULL) {
        target = eas_mod_proxy_server_mapping(site->s, core->d);
    }
    if (target != NULL) {
        add_backends(site, target);
    }
    if (target != NULL || core->r != NULL) {
        warn_of_section(site, &section);
    }
}

static void warn_of_backends(const struct site *site)
{
    static enum eas_rc (*const checks[])(const struct site *, const char *, struct eas_err *) = {
        check_encrypted, check_tls, check_verified, check_reuse, check_upgrade
    };
    struct eas_err err;
    apr_size_t i;
    int j;

    for (j = 0; j < site->backends->nelts; j++) {
        for (i = 0; i < COUNT_OF(checks); i++) {
            if (checks[i](site, APR_ARRAY_IDX(site->backends, j, const char *), &err) != EAS_OK) {
                eas_log_startup_warning(site->s, &err);
            }
        }
    }
}

static void warn_of_site(const struct site *site)
{
    static enum eas_rc (*const checks[])(const struct site *, struct eas_err *) = {
        check_required_tls, check_rewrite, check_weak_certificate, check_asks_for_certificate
    };
    struct eas_err err;
    apr_size_t i;

    for (i = 0; i < COUNT_OF(checks); i++) {
        if (checks[i](site, &err) != EAS_OK) {
            eas_log_startup_warning(site->s, &err);
        }
    }
}

static void check_server(apr_pool_t *ptemp, const server_rec *s)
{
    const core_server_config *core = ap_get_core_module_config(s->module_config);
    struct site site = { .pool = ptemp,
                         .s = s,
                         .tree = eas_config_tree_of(s),
                         .backends = apr_array_make(ptemp, 4, sizeof(const char *)) };
    int i;

    for (i = 0; core->sec_url != NULL && i < core->sec_url->nelts; i++) {
        check_section(&site, APR_ARRAY_IDX(core->sec_url, i, ap_conf_vector_t *));
    }
    if (eas_delegation_is_on(eas_delegation_dir_of(s->lookup_defaults))) {
        add_all_backends(&site);
    }
    warn_of_backends(&site);
    if (eas_config_tree_find(site.tree.own, "EasKcdDelegate", "On") != NULL) {
        warn_of_site(&site);
    }
}

void eas_start_check(apr_pool_t *ptemp, const server_rec *main_server)
{
    const server_rec *s;

    for (s = main_server; s != NULL; s = s->next) {
        check_server(ptemp, s);
    }
}
