/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/throttle_httpd.c - Log-on throttle in httpd: memory, logs and response time */

#include "auth/password/throttle_httpd.h"
#include "auth/base/log_httpd.h"
#include "auth/config_httpd.h"
#include "auth/shared/retained_httpd.h"

#include <apr_strings.h>
#include <http_core.h>

/* For 100 000 users with wrong or known passwords, and 60 000 login names and addresses. */
#define RECORDS_BYTES ((apr_size_t)32 << 20)
#define NAME_CACHE_BYTES ((apr_size_t)16 << 20)
#define VERSIONS_BYTES (EAS_THROTTLE_PASSWORD_VERSIONS * sizeof(apr_uint32_t))

#define RETAINED_NAME "mod_eas_kcd:guard:2"

#define DELAY_STEP apr_time_from_msec(100)

/* The counters lie in memory that processes share. */
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "atomic integers work in shared memory");

const struct eas_throttle *eas_throttle(void)
{
    return eas_module_process()->throttle;
}

static enum eas_rc attach_memory(apr_pool_t *pconf, server_rec *s, struct eas_err *err)
{
    enum { RECORDS, NAME_CACHE, VERSIONS };
    static const struct eas_retained_layout layout[EAS_RETAINED_SEGMENTS] = {
        [RECORDS] = { RECORDS_BYTES, true },
        [NAME_CACHE] = { NAME_CACHE_BYTES, true },
        [VERSIONS] = { VERSIONS_BYTES, false },
    };
    const struct eas_retained *retained = eas_retained_attach(s, RETAINED_NAME, layout);
    struct eas_throttle *throttle = apr_pcalloc(pconf, sizeof(*throttle));
    struct eas_keyring *keyring = NULL;
    enum eas_rc rc;

    if (retained == NULL) {
        return eas_fail(err, EAS_UNAVAILABLE, 3071, "OpenSSL provides no random bytes");
    }
    if (retained->is_complete) {
        throttle->lockout_records =
            eas_shm_table_attach(retained->segments[RECORDS], RECORDS_BYTES);
        throttle->name_cache =
            eas_shm_table_attach(retained->segments[NAME_CACHE], NAME_CACHE_BYTES);
        throttle->password_versions = retained->segments[VERSIONS];
    }
    if (throttle->lockout_records == NULL || throttle->name_cache == NULL) {
        return eas_fail(err, EAS_UNAVAILABLE, 3072, "the system has no shared memory of %d MB",
                        (int)((RECORDS_BYTES + NAME_CACHE_BYTES) >> 20));
    }
    eas_retained_watch(pconf, throttle->lockout_records, "lockouts");
    rc = eas_retained_keyring(retained, pconf, &keyring, err);
    throttle->keyring = keyring;
    eas_module_process()->throttle = throttle;
    return rc;
}

/* How EasKcdLockout relates to the lockout policy of AD, or that it protects no accounts. */
static void log_policy(const server_rec *s, const struct eas_lockout_rules *rules)
{
    if (rules->failures == 0 || rules->log_only) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s,
                     "EAS3073: EasKcdLockout %s: wrong passwords sent to this server can lock "
                     "accounts in Active Directory",
                     rules->failures == 0 ? "off" : "log-only");
        return;
    }
    ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s,
                 "EAS3070: EasKcdLockout %u %" APR_TIME_T_FMT "s: up to %u wrong passwords of an "
                 "account reach Active Directory; its lockout threshold must be above %u, and its "
                 "observation window at most %" APR_TIME_T_FMT
                 " minutes (Get-ADDefaultDomainPasswordPolicy)",
                 rules->failures, apr_time_sec(rules->window), rules->failures + 1,
                 rules->failures + 1, apr_time_sec(rules->window) / 60);
}

static bool same_lockout(const struct eas_lockout_rules *a, const struct eas_lockout_rules *b)
{
    return a->failures == b->failures && a->window == b->window && a->log_only == b->log_only;
}

/* Once for each setting, not for each virtual host. */
static void log_policies(const server_rec *main_server)
{
    const server_rec *s, *other;

    for (s = main_server; s != NULL; s = s->next) {
        struct eas_throttle_rules rules = eas_auth_throttle_rules(eas_auth_server_of(s));
        bool logged = eas_auth_server_of(s)->authority == NULL;

        for (other = main_server; !logged && other != s; other = other->next) {
            struct eas_throttle_rules theirs = eas_auth_throttle_rules(eas_auth_server_of(other));

            logged = eas_auth_server_of(other)->authority != NULL
                     && same_lockout(&rules.lockout, &theirs.lockout);
        }
        if (!logged) {
            log_policy(s, &rules.lockout);
        }
    }
}

int eas_throttle_post_config(apr_pool_t *pconf, server_rec *main_server)
{
    struct eas_err err;

    if (attach_memory(pconf, main_server, &err) != EAS_OK) {
        eas_log_startup(main_server, &err);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    /* httpd reads its configuration twice at start. */
    if (ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_CREATE_PRE_CONFIG) {
        log_policies(main_server);
    }
    return OK;
}

static void log_user(request_rec *r, const struct eas_throttle_rules *rules,
                     const struct eas_throttle_attempt *attempt)
{
    if (attempt->locked_now) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                      "EAS1310: %u wrong passwords of %s, the last from %s: %s for %" APR_TIME_T_FMT
                      " seconds",
                      attempt->counted, attempt->user, r->useragent_ip,
                      rules->lockout.log_only ? "others would be refused without asking the KDC"
                                              : "others are refused without asking the KDC",
                      apr_time_sec(rules->lockout.window));
    }
    if (attempt->state == EAS_THROTTLE_KNOWN) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                      "EAS1311: the KDC is asked about %s from %s with the last verified password, "
                      "although other passwords are refused",
                      attempt->user, r->useragent_ip);
    }
    if (attempt->state == EAS_THROTTLE_WOULD_LOCK) {
        ap_log_rerror(
            APLOG_MARK, APLOG_INFO, 0, r,
            "EAS1312: log-only: after %u wrong passwords of %s, a log-on from %s would have "
            "been refused without asking the KDC",
            attempt->counted, attempt->user, r->useragent_ip);
    }
}

static void log_address(request_rec *r, const struct eas_throttle_rules *rules,
                        const struct eas_throttle_attempt *attempt)
{
    if (attempt->bucket_emptied_now) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                      "EAS1313: too many log-ons from %s have failed: %s", r->useragent_ip,
                      rules->lockout.log_only
                          ? "others would be refused without asking the KDC"
                          : "others are refused without asking the KDC, unless with the last "
                            "verified password of an account");
    }
    if (attempt->state == EAS_THROTTLE_WOULD_ADDRESS) {
        ap_log_rerror(
            APLOG_MARK, APLOG_INFO, 0, r,
            "EAS1314: log-only: too many log-ons from %s have failed; one would have been "
            "refused without asking the KDC",
            r->useragent_ip);
    }
}

void eas_throttle_log(request_rec *r, const struct eas_throttle_rules *rules,
                      const struct eas_throttle_attempt *attempt)
{
    static const char *const names[] = {
        [EAS_THROTTLE_REMEMBERED] = "remembered",
        [EAS_THROTTLE_LOCKED] = "locked",
        [EAS_THROTTLE_ADDRESS] = "source",
        [EAS_THROTTLE_KNOWN] = "known",
        [EAS_THROTTLE_WOULD_LOCK] = "would-be-locked",
        [EAS_THROTTLE_WOULD_ADDRESS] = "would-be-source",
    };

    if (attempt->state != EAS_THROTTLE_NONE) {
        apr_table_setn(r->subprocess_env, "EAS_KCD_LOCKOUT", names[attempt->state]);
    }
    if (attempt->user != NULL && rules->lockout.failures > 0) {
        apr_table_setn(r->subprocess_env, "EAS_KCD_FAILURES",
                       apr_psprintf(r->pool, "%u", attempt->counted));
    }
    log_user(r, rules, attempt);
    log_address(r, rules, attempt);
}

void eas_throttle_delay(request_rec *r, enum eas_rc rc)
{
    apr_interval_time_t elapsed = apr_time_now() - r->request_time;

    if (rc == EAS_DENIED || rc == EAS_UNKNOWN || rc == EAS_EXPIRED) {
        apr_sleep(elapsed < 0 ? DELAY_STEP : DELAY_STEP - elapsed % DELAY_STEP);
    }
}
