/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/dump_httpd.c - settings for eas-kcd-check: httpd -t -D EAS_KCD_DUMP */

#include "delegation/dump_httpd.h"
#include "auth/config_httpd.h"
#include "delegation/config_httpd.h"
#include "delegation/proxy/mod_proxy_httpd.h"
#include "delegation/proxy/targets_httpd.h"

#include <apr_strings.h>
#include <http_core.h>
#include <stdio.h>
#include <unixd.h>

/* A line is a key, a tab and a value; settings.c has the same keys. */
static void print(const char *key, const char *value)
{
    if (value != NULL) {
        printf("%s\t%s\n", key, value);
    }
}

static void print_server(apr_pool_t *ptemp, const server_rec *s)
{
    const struct eas_auth_server *conf = eas_auth_server_of(s);
    const apr_array_header_t *targets = eas_targets_of(ptemp, s);
    const char *name = s->server_hostname != NULL ? s->server_hostname : "";
    int i;

    print("server", s->port != 0 ? apr_psprintf(ptemp, "%s:%u", name, s->port) : name);
    print("keytab", conf->keytab_path);
    print("principal", conf->principal);
    print("realm", conf->realm);
    print("armor", apr_itoa(ptemp, (int)eas_auth_armor(conf)));
    for (i = 0; conf->domains != NULL && i < conf->domains->nelts; i++) {
        const struct eas_domain *domain = &APR_ARRAY_IDX(conf->domains, i, struct eas_domain);

        print("domain", apr_pstrcat(ptemp, domain->name, "=", domain->realm, NULL));
    }
    for (i = 0; i < targets->nelts; i++) {
        const struct eas_target *target = &APR_ARRAY_IDX(targets, i, struct eas_target);

        print("spn", target->spn);
        if (eas_delegation_transitions(target->conf)) {
            print("transition", "On");
        }
    }
}

void eas_dump_settings(apr_pool_t *ptemp, const server_rec *main_server)
{
    const server_rec *s;
    int mode = ap_state_query(AP_SQ_RUN_MODE);

    if (!ap_exists_config_define("EAS_KCD_DUMP")
        || (mode != AP_SQ_RM_CONFIG_TEST && mode != AP_SQ_RM_CONFIG_DUMP)
        || !eas_mod_proxy_is_loaded()) {
        return;
    }
    print("eas-kcd", EAS_KCD_VERSION);
    print("user", ap_unixd_config.user_name);
    for (s = main_server; s != NULL; s = s->next) {
        if (eas_auth_server_of(s)->keytab_path != NULL) {
            print_server(ptemp, s);
        }
    }
    fflush(stdout);
}
