/* SPDX-License-Identifier: Apache-2.0 */
/* auth/rotation_httpd.c - new keys in a keytab, without a reload */

#include "auth/rotation_httpd.h"
#include "auth/base/log_httpd.h"
#include "auth/config_httpd.h"
#include "auth/shared/shared_httpd.h"

#include <apr_shm.h>
#include <apr_strings.h>
#include <http_log.h>
#include <mpm_common.h>

/* The keytab of a server, unless an earlier server has the same one; or NULL. */
static struct eas_keytab *own_keytab(const server_rec *main_server, const server_rec *s)
{
    const struct eas_authority *authority = eas_auth_server_of(s)->authority;
    const server_rec *other;

    for (other = main_server; authority != NULL && other != s; other = other->next) {
        const struct eas_authority *theirs = eas_auth_server_of(other)->authority;

        if (theirs != NULL && theirs->keytab == authority->keytab) {
            return NULL;
        }
    }
    return authority != NULL ? authority->keytab : NULL;
}

static void attach(apr_pool_t *pconf, const server_rec *s, struct eas_keytab *keytab)
{
    const char *binding = apr_pstrcat(pconf, eas_auth_server_of(s)->keytab_path, "\n",
                                      eas_keytab_principal_name(keytab), NULL);
    apr_shm_t *shm;
    apr_status_t rv = apr_shm_create(&shm, eas_keytab_share_size(), NULL, pconf);

    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, rv, s,
                     "EAS3123: there is no shared memory for the keys of %s, so that a change of "
                     "the file needs a reload",
                     eas_auth_server_of(s)->keytab_path);
        return;
    }
    eas_keytab_attach(keytab, eas_keytab_share_create(pconf, apr_shm_baseaddr_get(shm),
                                                      eas_shared_keyring(), binding));
}

void eas_rotation_post_config(apr_pool_t *pconf, server_rec *main_server)
{
    server_rec *s;

    for (s = main_server; s != NULL; s = s->next) {
        struct eas_keytab *keytab = own_keytab(main_server, s);

        if (keytab != NULL) {
            attach(pconf, s, keytab);
        }
    }
}

static void reread(apr_pool_t *scratch, server_rec *s, struct eas_keytab *keytab)
{
    struct eas_err err;

    if (!eas_keytab_reread(keytab, &err)) {
        return;
    }
    if (err.rc != EAS_OK) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, "EAS%04d: %s", err.tag, err.text);
        return;
    }
    ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s, "EAS1325: the keytab %s was read again: %s: %s",
                 eas_auth_server_of(s)->keytab_path, eas_keytab_principal_name(keytab),
                 eas_keytab_keys(keytab, scratch));
}

/* httpd's parent process calls it every ten seconds. */
static int hook_monitor(apr_pool_t *pool, server_rec *main_server)
{
    apr_pool_t *scratch;
    server_rec *s;

    apr_pool_create(&scratch, pool);
    for (s = main_server; s != NULL; s = s->next) {
        struct eas_keytab *keytab = own_keytab(main_server, s);

        if (keytab != NULL) {
            reread(scratch, s, keytab);
        }
    }
    apr_pool_destroy(scratch);
    return DECLINED;
}

void eas_rotation_register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_monitor(hook_monitor, NULL, NULL, APR_HOOK_MIDDLE);
}
