/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/case_check_httpd.c - start-up warning about sections that match the letter case */

#include "delegation/proxy/case_check_httpd.h"
#include "auth/base/log_httpd.h"
#include "auth/base/module_httpd.h"
#include "delegation/config_httpd.h"
#include "delegation/proxy/mod_proxy_httpd.h"

#include <http_core.h>

/* Exchange's directories, and each in a letter case that no configuration writes. */
static const struct {
    const char *path;
    const char *other;
} directories[] = {
    { "/Microsoft-Server-ActiveSync", "/mICROSOFT-sERVER-aCTIVEsYNC" },
    { "/owa", "/oWa" },
    { "/ecp", "/eCp" },
    { "/EWS", "/eWs" },
    { "/OAB", "/oAb" },
    { "/Autodiscover", "/aUTODISCOVER" },
    { "/mapi", "/mApI" },
    { "/rpc", "/rPc" },
};

/* Whether the section covers the directory, written in this letter case. */
static bool covers(const core_dir_config *core, const char *path)
{
    apr_size_t len = core->d != NULL ? strlen(core->d) : 0;

    if (core->r != NULL) {
        return ap_regexec(core->r, path, 0, NULL, 0) == 0;
    }
    while (len > 0 && core->d[len - 1] == '/') {
        len--;
    }
    return strncmp(path, core->d, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/* Whether the section covers it without regard to the case as its author wrote it. */
static bool names(const core_dir_config *core, const char *path)
{
    return core->r != NULL
               ? covers(core, path)
               : ap_cstr_casecmpn(path, core->d, strlen(path)) == 0
                     && strspn(core->d + strlen(path), "/") == strlen(core->d + strlen(path));
}

static void check_section(const server_rec *s, const ap_conf_vector_t *section)
{
    const core_dir_config *core = ap_get_core_module_config(section);
    struct eas_err err;
    apr_size_t i;

    if (!eas_delegation_is_on(eas_delegation_dir_of(section)) || core->d == NULL
        || core->d_is_fnmatch) {
        return;
    }
    for (i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
        if (names(core, directories[i].path) && !covers(core, directories[i].other)
            && eas_mod_proxy_server_mapping(s, directories[i].other) != NULL) {
            eas_fail(
                &err, EAS_MISCONFIGURED, 3052,
                "%s matches the letter case, Exchange does not, and a ProxyPass outside of the "
                "section covers %s: use <LocationMatch \"(?i)^%s(/|$)\">",
                core->d, directories[i].other, directories[i].path);
            eas_log_startup_warning(s, &err);
            return;
        }
    }
}

void eas_case_check(const server_rec *main_server)
{
    const server_rec *s;

    for (s = main_server; s != NULL; s = s->next) {
        const core_server_config *core = ap_get_core_module_config(s->module_config);
        int i;

        for (i = 0; core->sec_url != NULL && i < core->sec_url->nelts; i++) {
            check_section(s, APR_ARRAY_IDX(core->sec_url, i, ap_conf_vector_t *));
        }
    }
}
