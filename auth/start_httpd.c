/* SPDX-License-Identifier: Apache-2.0 */
/* auth/start_httpd.c - start of auth/: check_config, post_config, child_init */

#include "auth/start_httpd.h"
#include "auth/base/config_tree_httpd.h"
#include "auth/base/counters.h"
#include "auth/base/log_httpd.h"
#include "auth/config_check_httpd.h"
#include "auth/config_httpd.h"
#include "auth/events_httpd.h"
#include "auth/groups_httpd.h"
#include "auth/kerberos/as_key.h"
#include "auth/kerberos/kdc_realm.h"
#include "auth/login/challenge_httpd.h"
#include "auth/login/page_httpd.h"
#include "auth/login/session_httpd.h"
#include "auth/password/throttle_httpd.h"
#include "auth/rotation_httpd.h"
#include "auth/shared/counters_httpd.h"
#include "auth/shared/socache_httpd.h"

#include <ap_mpm.h>
#include <apr_strings.h>
#include <http_log.h>
#include <openssl/crypto.h>

/* Size of a child's cache of passwords and evidence; about 15 000 users. */
#define PASSWORD_CACHE_BYTES ((apr_size_t)64 << 20)

/* Threads for the KDC exchanges of one realm.  One does some 50 log-ons a second. */
#define KDC_THREADS 8
#define KDC_QUEUE 1024
#define KDC_FAILURES 3

/* Servers with the same keytab and principal share one struct eas_keytab. */
static struct eas_keytab *shared_keytab(server_rec *main_server, const server_rec *s)
{
    const struct eas_auth_server *conf = eas_auth_server_of(s);
    const server_rec *other;

    for (other = main_server; other != s; other = other->next) {
        const struct eas_auth_server *theirs = eas_auth_server_of(other);

        if (theirs->authority != NULL && strcmp(theirs->keytab_path, conf->keytab_path) == 0
            && (theirs->principal == conf->principal
                || (theirs->principal != NULL && conf->principal != NULL
                    && strcmp(theirs->principal, conf->principal) == 0))) {
            return theirs->authority->keytab;
        }
    }
    return NULL;
}

/*
 * A key of cached passwords: the same in all child processes, after restarts, and on all gateways.
 * It differs among virtual hosts, and where the same credentials may lead to another identity.
 */
static const char *vhost_key_of(apr_pool_t *pconf, const server_rec *s,
                                const struct eas_authority *authority)
{
    return apr_psprintf(pconf, "%s:%u\n%s\n%s",
                        s->server_hostname != NULL ? s->server_hostname : "", s->port,
                        eas_keytab_principal_name(authority->keytab),
                        eas_identity_realms_text(pconf, &authority->realms));
}

static enum eas_rc prepare_authority(apr_pool_t *pconf, server_rec *main_server, server_rec *s,
                                     struct eas_err *err)
{
    struct eas_auth_server *conf = eas_auth_server_of(s);
    struct eas_authority *authority;
    enum eas_rc rc = EAS_OK;

    if (conf->keytab_path == NULL) {
        return EAS_OK;
    }
    authority = apr_pcalloc(pconf, sizeof(*authority));
    authority->kdc_timeout = eas_auth_kdc_timeout(conf);
    authority->armor_mode = eas_auth_armor(conf);
    authority->realms.domains = conf->domains;
    authority->realms.default_realm = conf->realm;
    authority->keytab = shared_keytab(main_server, s);
    if (authority->keytab == NULL) {
        rc = eas_keytab_load(pconf, conf->keytab_path, conf->principal, &authority->keytab, err);
        if (rc != EAS_OK) {
            bool named = conf->principal != NULL && (err->tag == 3002 || err->tag == 3003);

            eas_config_tree_name_place(pconf, s, named ? "EasKcdPrincipal" : "EasKcdKeytab", err);
        }
    }
    if (rc == EAS_OK && conf->realm == NULL) {
        rc = eas_kdc_default_realm(pconf, &authority->realms.default_realm, err);
    }
    if (rc == EAS_OK) {
        conf->authority = authority;
        conf->vhost_key = vhost_key_of(pconf, s, authority);
    }
    return rc;
}

static enum eas_rc prepare_server(apr_pool_t *pconf, server_rec *main_server, server_rec *s,
                                  struct eas_err *err)
{
    enum eas_rc rc = prepare_authority(pconf, main_server, s, err);

    eas_auth_server_complete(eas_auth_server_of(s));
    return rc == EAS_OK ? eas_page_prepare(pconf, s, err) : rc;
}

static void set_longest_session(server_rec *main_server)
{
    apr_interval_time_t longest = 0;
    server_rec *s;
    int i;

    for (s = main_server; s != NULL; s = s->next) {
        for (i = 0; i < 2; i++) {
            if (eas_auth_server_of(s)->limits[i].max > longest) {
                longest = eas_auth_server_of(s)->limits[i].max;
            }
        }
    }
    for (s = main_server; s != NULL; s = s->next) {
        eas_auth_server_of(s)->longest_session = longest;
    }
}

int eas_auth_check_config(apr_pool_t *pconf, apr_pool_t *ptemp, server_rec *main_server)
{
    const char *error = eas_challenge_compile(pconf, ptemp);
    struct eas_err err;
    server_rec *s;

    if (error != NULL) {
        eas_fail(&err, EAS_MISCONFIGURED, 3031, "the built-in rule of EasKcdFormFor: %s", error);
        eas_log_startup(main_server, &err);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    for (s = main_server; s != NULL; s = s->next) {
        if (prepare_server(pconf, main_server, s, &err) != EAS_OK) {
            eas_log_startup(s, &err);
            return HTTP_INTERNAL_SERVER_ERROR;
        }
    }
    for (s = main_server; s != NULL; s = s->next) {
        error = eas_groups_check_config(ptemp, s);
        if (error != NULL) {
            eas_fail(&err, EAS_MISCONFIGURED, 3122, "%s", error);
            eas_log_startup(s, &err);
            return HTTP_INTERNAL_SERVER_ERROR;
        }
    }
    set_longest_session(main_server);
    eas_config_check(ptemp, main_server);
    return eas_shared_check_config(pconf, &eas_auth_server_of(main_server)->shared, main_server);
}

/* Once for each default realm. */
static void note_realms_left_to_libkrb5(server_rec *main_server)
{
    const char *last = "";
    server_rec *s;

    for (s = main_server; s != NULL; s = s->next) {
        const struct eas_authority *authority = eas_auth_server_of(s)->authority;
        const char *realm = authority != NULL ? authority->realms.default_realm : last;

        if (strcmp(realm, last) != 0 && eas_kdc_realm_is_left_to_libkrb5(realm)) {
            ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, main_server,
                         "EAS3077: the KDCs of %s are asked by libkrb5, because krb5.conf names a "
                         "proxy (https://) or a locator plugin may find them; a silent KDC delays "
                         "more requests than where krb5.conf has \"kdc = host\"",
                         realm);
        }
        last = realm;
    }
}

int eas_auth_post_config(apr_pool_t *pconf, server_rec *main_server)
{
    int status = eas_shared_post_config(pconf, main_server);

    eas_counters_post_config(main_server);
    if (status == OK) {
        eas_rotation_post_config(pconf, main_server);
    }
    note_realms_left_to_libkrb5(main_server);
    status = status == OK ? eas_throttle_post_config(pconf, main_server) : status;
    return status == OK ? eas_events_post_config(pconf, main_server) : status;
}

/* One TGT for all servers with the same keytab. */
static void prepare_armor(apr_pool_t *pool, server_rec *main_server, server_rec *s)
{
    struct eas_authority *authority = eas_auth_server_of(s)->authority;
    const server_rec *other;

    for (other = main_server; other != s; other = other->next) {
        const struct eas_authority *theirs = eas_auth_server_of(other)->authority;

        if (theirs != NULL && theirs->keytab == authority->keytab) {
            authority->service_tgt = theirs->service_tgt;
            authority->armor = theirs->armor;
            return;
        }
    }
    authority->service_tgt = eas_service_tgt_create(pool, authority->keytab);
    authority->armor = eas_armor_create(pool, authority->service_tgt);
}

/* Two lines for an outage of a realm, in each child process. */
static void report_outage(void *main_server, const char *realm, bool begins,
                          apr_interval_time_t lasted, unsigned refused)
{
    eas_counters_adjust(EAS_GAUGE_REALMS_SILENT, begins ? 1 : -1);
    eas_events_outage(main_server, realm, begins, lasted, refused);
    if (begins) {
        eas_counters_add(EAS_COUNTER_KDC_OUTAGES);
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, main_server,
                     "EAS1258: the KDCs of %s do not answer, so requests that need them get 503; "
                     "check the domain controllers and krb5.conf",
                     realm);
    }
    else {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, main_server,
                     "EAS1259: a KDC of %s answers again after %" APR_TIME_T_FMT
                     " s; %u requests were refused meanwhile",
                     realm, apr_time_sec(lasted), refused);
    }
}

static struct eas_workers *make_workers(apr_pool_t *pchild, server_rec *main_server)
{
    struct eas_workers *workers;
    struct eas_workers_limits limits = {
        .share = KDC_THREADS, .queued = KDC_QUEUE, .stalled = 1, .failures = KDC_FAILURES
    };
    int threads = 0;

    if (ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads) == APR_SUCCESS && threads >= 8) {
        limits.stalled = (unsigned)threads / 4;
    }
    workers = eas_workers_create(pchild, limits);
    eas_workers_set_report(workers, report_outage, main_server);
    return workers;
}

/* One key for all child processes, so that each finds the records of the others. */
static enum eas_rc make_password_cache(apr_pool_t *pool, struct eas_password_cache **out,
                                       struct eas_err *err)
{
    unsigned char secret[EAS_PASSWORD_CACHE_SECRET_SIZE];
    struct eas_bytes label = eas_bytes_of_text("memory");
    enum eas_rc rc =
        eas_seal_mac(eas_shared_keyring(), 0, EAS_SEAL_PASSWORD, &label, 1, secret, err);

    if (rc == EAS_OK) {
        rc = eas_password_cache_create(pool, PASSWORD_CACHE_BYTES, secret, out, err);
    }
    OPENSSL_cleanse(secret, sizeof(secret));
    return rc;
}

struct eas_auth_child eas_auth_child_init(apr_pool_t *pchild, server_rec *main_server)
{
    struct eas_auth_child child;
    struct eas_verifier *verifier;
    struct eas_err err;
    server_rec *s;

    eas_as_key_child_init();
    eas_counters_child_init(pchild);
    eas_log_child_init(pchild);
    /* First, so that its workers end last: KDC jobs put their results into the shared cache. */
    eas_socache_child_init(pchild, main_server);
    eas_throttle_child_init(pchild);
    child.workers = make_workers(pchild, main_server);
    child.tickets = eas_shared_cache(EAS_SHARED_TICKET);
    verifier = apr_pcalloc(eas_workers_pool(child.workers), sizeof(*verifier));
    verifier->workers = child.workers;
    verifier->shared_cache = eas_shared_cache(EAS_SHARED_PASSWORD);
    verifier->throttle = eas_throttle();
    if (make_password_cache(eas_workers_pool(child.workers), &verifier->cache, &err) != EAS_OK) {
        eas_log_startup(main_server, &err); /* the verifier then verifies no password */
    }
    eas_session_child_init(eas_workers_pool(child.workers));
    for (s = main_server; s != NULL; s = s->next) {
        eas_auth_server_of(s)->verifier = verifier;
        if (eas_auth_server_of(s)->authority != NULL) {
            prepare_armor(eas_workers_pool(child.workers), main_server, s);
        }
    }
    return child;
}
