/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/start_notice_httpd.c - start notice of each virtual host */

#include "delegation/start_notice_httpd.h"
#include "auth/base/module_httpd.h"
#include "auth/config_httpd.h"
#include "auth/kerberos/kdc_realm.h"
#include "delegation/proxy/mod_proxy_httpd.h"
#include "delegation/proxy/targets_httpd.h"

#include <apr_strings.h>

/* httpd cuts a line at 8 KB. */
#define BACKENDS_MAX 16

static bool is_among(const apr_array_header_t *targets, int n, const struct eas_target *target)
{
    int i;

    for (i = 0; i < n; i++) {
        const struct eas_target *other = &APR_ARRAY_IDX(targets, i, struct eas_target);

        if (strcmp(other->url, target->url) == 0 && strcmp(other->spn, target->spn) == 0) {
            return true;
        }
    }
    return false;
}

static const char *backends_of(apr_pool_t *ptemp, const server_rec *s)
{
    const apr_array_header_t *targets;
    const char *text = "";
    int i, named = 0, others = 0;

    if (!eas_mod_proxy_is_loaded()) {
        return "none";
    }
    targets = eas_targets_of(ptemp, s);
    for (i = 0; i < targets->nelts; i++) {
        const struct eas_target *target = &APR_ARRAY_IDX(targets, i, struct eas_target);

        if (is_among(targets, i, target)) {
            continue;
        }
        if (named == BACKENDS_MAX) {
            others++;
            continue;
        }
        text = apr_pstrcat(ptemp, text, named++ > 0 ? ", " : "", target->url, " (", target->spn,
                           ")", NULL);
    }
    return named == 0   ? "none"
           : others > 0 ? apr_psprintf(ptemp, "%s, and %d more", text, others)
                        : text;
}

static const char *name_of(apr_pool_t *ptemp, const server_rec *s)
{
    const char *name = s->server_hostname != NULL ? s->server_hostname : "";

    return s->port != 0 ? apr_psprintf(ptemp, "%s:%u", name, (unsigned)s->port) : name;
}

void eas_start_notice(apr_pool_t *ptemp, const server_rec *main_server)
{
    const server_rec *s;

    for (s = main_server; s != NULL; s = s->next) {
        const struct eas_authority *authority = eas_auth_server_of(s)->authority;
        const char *realm;

        if (authority == NULL) {
            continue;
        }
        realm = authority->realms.default_realm;
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s,
                     "EAS3095: mod_eas_kcd %s at %s: account %s (%s); realm %s, KDCs: %s; "
                     "backends: %s",
                     EAS_KCD_VERSION, name_of(ptemp, s),
                     eas_keytab_principal_name(authority->keytab),
                     eas_keytab_keys(authority->keytab, ptemp), realm,
                     eas_kdc_realm_names(realm, ptemp), backends_of(ptemp, s));
    }
}
