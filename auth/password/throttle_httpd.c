/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/throttle_httpd.c - the guard's shared memory, and what it shows in logs and in time */

#include "auth/password/throttle_httpd.h"
#include "auth/base/log_httpd.h"
#include "auth/config_httpd.h"

#include <apr_strings.h>
#include <http_core.h>
#include <openssl/rand.h>

/* Room for some 100 000 accounts with wrong passwords or known ones, and for some 60 000 spellings and
 * addresses; the system commits the pages as they are used. */
#define ACCOUNTS_BYTES (32 * 1024 * 1024)
#define HINTS_BYTES (16 * 1024 * 1024)
#define GENERATIONS_BYTES (EAS_THROTTLE_PASSWORD_VERSIONS * sizeof(apr_uint32_t))

#define SECRET_SIZE 32
#define RETAINED_NAME "mod_eas_kcd:guard:1"

#define GRID apr_time_from_msec(100)

/* Outlives graceful restarts, and so may hold neither pointers into this module nor pconf's. */
struct retained {
    unsigned char secret[SECRET_SIZE];
    void *accounts;
    void *hints;
    void *generations;
};

/* Of this generation; written before the fork, read by all threads. */
static struct eas_throttle the_guard;

const struct eas_throttle *eas_throttle(void)
{
    return &the_guard;
}

static struct eas_shm_table *take_up_store(void *memory, apr_size_t size)
{
    return memory != NULL ? eas_shm_table_attach(memory, size) : NULL;
}

static enum eas_rc take_up_memory(apr_pool_t *pconf, server_rec *s, struct eas_err *err)
{
    struct retained *retained = ap_retained_data_get(RETAINED_NAME);
    struct eas_secret *secret;
    const struct eas_secret *secrets[1];
    struct eas_keyring *keyring = NULL;
    enum eas_rc rc;

    if (retained == NULL) {
        retained = ap_retained_data_create(RETAINED_NAME, sizeof(*retained));
        retained->accounts = eas_shared_make_table(s, ACCOUNTS_BYTES);
        retained->hints = eas_shared_make_table(s, HINTS_BYTES);
        retained->generations = eas_shared_memory(s, GENERATIONS_BYTES);
        if (RAND_priv_bytes(retained->secret, SECRET_SIZE) != 1) {
            return eas_fail(err, EAS_UNAVAILABLE, 3071, "OpenSSL has no randomness to give");
        }
    }
    the_guard.accounts = take_up_store(retained->accounts, ACCOUNTS_BYTES);
    the_guard.hints = take_up_store(retained->hints, HINTS_BYTES);
    the_guard.generations = retained->generations;
    if (the_guard.accounts == NULL || the_guard.hints == NULL || the_guard.generations == NULL) {
        return eas_fail(err, EAS_UNAVAILABLE, 3072, "no shared memory of %d MB to be had",
                        (ACCOUNTS_BYTES + HINTS_BYTES) >> 20);
    }
    secret = eas_secret_make(pconf, (const char *)retained->secret, SECRET_SIZE);
    secrets[0] = secret;
    rc = eas_seal_keyring_create(pconf, secrets, 1, &keyring, err);
    the_guard.keyring = keyring;
    eas_secret_wipe(secret);
    return rc;
}

/* How the settings must relate to AD's; where it is off, that nothing protects the accounts. */
static void tell_relation(const server_rec *s, const struct eas_lockout_rules *rules)
{
    if (rules->failures == 0 || rules->log_only) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s,
                     "EAS3073: EasKcdLockout %s: wrong passwords that are tried here can lock "
                     "accounts in Active Directory",
                     rules->failures == 0 ? "off" : "log-only");
        return;
    }
    ap_log_error(
        APLOG_MARK, APLOG_NOTICE, 0, s,
        "EAS3070: EasKcdLockout %u %" APR_TIME_T_FMT "s: up to %u wrong passwords of an "
        "account reach Active Directory; so its lockout threshold must be above %u, and its "
        "observation window at most %" APR_TIME_T_FMT
        " minutes (Get-ADDefaultDomainPasswordPolicy)",
        rules->failures, apr_time_sec(rules->window), rules->failures + 1, rules->failures + 1,
        apr_time_sec(rules->window) / 60);
}

static bool same_lockout(const struct eas_lockout_rules *a, const struct eas_lockout_rules *b)
{
    return a->failures == b->failures && a->window == b->window && a->log_only == b->log_only;
}

/* Once for each setting, not for each virtual host. */
static void tell_relations(const server_rec *main_server)
{
    const server_rec *s, *other;

    for (s = main_server; s != NULL; s = s->next) {
        struct eas_throttle_rules rules = eas_auth_throttle_rules(eas_auth_server_of(s));
        bool told = eas_auth_server_of(s)->authority == NULL;

        for (other = main_server; !told && other != s; other = other->next) {
            struct eas_throttle_rules theirs = eas_auth_throttle_rules(eas_auth_server_of(other));

            told = eas_auth_server_of(other)->authority != NULL
                   && same_lockout(&rules.lockout, &theirs.lockout);
        }
        if (!told) {
            tell_relation(s, &rules.lockout);
        }
    }
}

int eas_throttle_post_config(apr_pool_t *pconf, server_rec *main_server)
{
    struct eas_err err;

    if (take_up_memory(pconf, main_server, &err) != EAS_OK) {
        eas_log_startup(main_server, &err);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    /* httpd reads its configuration twice when it starts; once is enough. */
    if (ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_CREATE_PRE_CONFIG) {
        tell_relations(main_server);
    }
    return OK;
}

/* What has become of the account by this request. */
static void tell_account(request_rec *r, const struct eas_throttle_rules *rules,
                         const struct eas_throttle_attempt *attempt)
{
    if (attempt->locked_now) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                      "EAS1310: %u wrong passwords of %s, the last from %s: %s for %" APR_TIME_T_FMT
                      " seconds",
                      attempt->counted, attempt->account, r->useragent_ip,
                      rules->lockout.log_only ? "others would be refused without asking the KDC"
                                              : "others are refused without asking the KDC",
                      apr_time_sec(rules->lockout.window));
    }
    if (attempt->state == EAS_THROTTLE_KNOWN) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                      "EAS1311: the KDC is asked about %s from %s, because it is the last proved "
                      "password, although others are refused",
                      attempt->account, r->useragent_ip);
    }
    if (attempt->state == EAS_THROTTLE_WOULD_LOCK) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                      "EAS1312: log-only: after %u wrong passwords of %s, one from %s would have "
                      "been refused without asking the KDC",
                      attempt->counted, attempt->account, r->useragent_ip);
    }
}

static void tell_source(request_rec *r, const struct eas_throttle_rules *rules,
                        const struct eas_throttle_attempt *attempt)
{
    if (attempt->source_spent_now) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                      "EAS1313: too many log-ons from %s have failed: %s", r->useragent_ip,
                      rules->lockout.log_only
                          ? "others would be refused without asking the KDC"
                          : "others are refused without asking the KDC, unless with the last "
                            "proved password of an account");
    }
    if (attempt->state == EAS_THROTTLE_WOULD_ADDRESS) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                      "EAS1314: log-only: from %s, whose log-ons have failed too often, one would "
                      "have been refused without asking the KDC",
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
    if (attempt->account != NULL && rules->lockout.failures > 0) {
        apr_table_setn(r->subprocess_env, "EAS_KCD_FAILURES",
                       apr_psprintf(r->pool, "%u", attempt->counted));
    }
    tell_account(r, rules, attempt);
    tell_source(r, rules, attempt);
}

void eas_throttle_delay(request_rec *r, enum eas_rc rc)
{
    apr_interval_time_t taken = apr_time_now() - r->request_time;

    if (rc == EAS_DENIED || rc == EAS_UNKNOWN || rc == EAS_EXPIRED) {
        apr_sleep(taken < 0 ? GRID : GRID - taken % GRID);
    }
}
