/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/throttle_httpd.c - Log-on throttle in httpd: memory, logs and response time */

#include "auth/password/throttle_httpd.h"
#include "auth/base/counters.h"
#include "auth/base/notes.h"
#include "auth/base/clock.h"
#include "auth/base/log_httpd.h"
#include "auth/config_httpd.h"
#include "auth/password/refusal_delay.h"
#include "auth/request_httpd.h"
#include "auth/shared/retained_httpd.h"

#include <apr_strings.h>
#include <ap_mpm.h>
#include <http_core.h>

/*
 * For 100 000 users with wrong or known passwords, 30 000 names that nobody has, and 60 000 login
 * names and addresses.
 */
#define RECORDS_BYTES ((apr_size_t)32 << 20)
#define STRANGERS_BYTES ((apr_size_t)16 << 20)
#define NAME_CACHE_BYTES ((apr_size_t)16 << 20)
#define VERSIONS_BYTES (EAS_THROTTLE_PASSWORD_VERSIONS * sizeof(apr_uint32_t))

/*
 * An address gets its next token after seconds, but its attempts mostly go on: it counts as throttled
 * for this time at least.
 */
#define ADDRESS_FOR apr_time_from_sec(60)

#define RETAINED_NAME "mod_eas_kcd:guard:3"

/* Slots for delayed refusals: of all processes with one thread, or of one process with several. */
#define SLOTS_MAX 256
#define SLOTS_BYTES (SLOTS_MAX * sizeof(_Atomic(apr_int64_t)))

/* The counters lie in memory that processes share. */
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "atomic integers work in shared memory");

const struct eas_throttle *eas_throttle(void)
{
    return eas_module_process()->throttle;
}

static enum eas_rc attach_memory(apr_pool_t *pconf, server_rec *s, struct eas_err *err)
{
    enum { RECORDS, STRANGERS, NAME_CACHE, COUNTERS };
    static const struct eas_retained_layout layout[EAS_RETAINED_SEGMENTS] = {
        [RECORDS] = { RECORDS_BYTES, true },
        [STRANGERS] = { STRANGERS_BYTES, true },
        [NAME_CACHE] = { NAME_CACHE_BYTES, true },
        [COUNTERS] = { VERSIONS_BYTES + SLOTS_BYTES, false },
    };
    const struct eas_retained *retained = eas_retained_attach(s, RETAINED_NAME, layout);
    struct eas_throttle *throttle = apr_pcalloc(pconf, sizeof(*throttle));
    struct eas_refusal_slots *delays = apr_pcalloc(pconf, sizeof(*delays));
    struct eas_keyring *keyring = NULL;
    enum eas_rc rc;

    if (retained == NULL) {
        return eas_fail(err, EAS_UNAVAILABLE, 3071, "OpenSSL provides no random bytes");
    }
    if (retained->is_complete) {
        throttle->lockout_records =
            eas_shm_table_attach(retained->segments[RECORDS], RECORDS_BYTES);
        throttle->strangers = eas_shm_table_attach(retained->segments[STRANGERS], STRANGERS_BYTES);
        throttle->name_cache =
            eas_shm_table_attach(retained->segments[NAME_CACHE], NAME_CACHE_BYTES);
        throttle->password_versions = retained->segments[COUNTERS];
        delays->ends = (void *)((char *)retained->segments[COUNTERS] + VERSIONS_BYTES);
    }
    if (throttle->lockout_records == NULL || throttle->strangers == NULL
        || throttle->name_cache == NULL) {
        return eas_fail(err, EAS_UNAVAILABLE, 3072, "the system has no shared memory of %d MB",
                        (int)((RECORDS_BYTES + STRANGERS_BYTES + NAME_CACHE_BYTES) >> 20));
    }
    eas_retained_watch(pconf, throttle->lockout_records, "lockouts");
    rc = eas_retained_keyring(retained, pconf, &keyring, err);
    throttle->keyring = keyring;
    eas_module_process()->throttle = throttle;
    eas_module_process()->throttle_delays = delays;
    return rc;
}

/* How EasKcdLockout relates to the lockout policy of AD, or that it protects no accounts. */
static void log_policy(const server_rec *s, const struct eas_throttle_rules *throttle_rules)
{
    const struct eas_lockout_rules *rules = &throttle_rules->lockout;
    const unsigned gateways = throttle_rules->gateways;
    /* Each gateway also asks about one known password that may be wrong by now. */
    const unsigned at_ad = gateways * (rules->failures + 1);

    if (rules->failures == 0 || rules->log_only) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s,
                     "EAS3073: EasKcdLockout %s: wrong passwords sent to this server can lock "
                     "accounts in Active Directory",
                     rules->failures == 0 ? "off" : "log-only");
        return;
    }
    ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s,
                 "EAS3070: EasKcdLockout %u %" APR_TIME_T_FMT
                 "s at each of %u gateways: up to %u wrong passwords of an account reach Active "
                 "Directory; its lockout threshold must be above %u, and its observation window "
                 "at most %" APR_TIME_T_FMT " minutes (Get-ADDefaultDomainPasswordPolicy)",
                 rules->failures, apr_time_sec(rules->window), gateways, at_ad, at_ad,
                 apr_time_sec(rules->window) / 60);
}

/* A cache of several gateways suggests that each would count as if it were the only one. */
static void log_gateways(const server_rec *s)
{
    const struct eas_auth_server *conf = eas_auth_server_of(s);

    if (conf->lockout_failures != 0 && conf->lockout_gateways == 0
        && conf->shared.provider_name != NULL) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s,
                     "EAS3074: EasKcdCache may be common to several gateways, each of which counts "
                     "wrong passwords for itself; let EasKcdLockout declare gateways=n");
    }
}

static bool same_lockout(const struct eas_throttle_rules *a, const struct eas_throttle_rules *b)
{
    return a->lockout.failures == b->lockout.failures && a->lockout.window == b->lockout.window
           && a->lockout.log_only == b->lockout.log_only && a->gateways == b->gateways;
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

            logged = eas_auth_server_of(other)->authority != NULL && same_lockout(&rules, &theirs);
        }
        if (!logged) {
            log_policy(s, &rules);
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
        log_gateways(main_server);
    }
    return OK;
}

/* The names that AD gives no name for are as clients typed them, and are not logged. */
static const char *name_of(const struct eas_throttle_attempt *attempt)
{
    return attempt->user != NULL ? attempt->user : "a name without a usable account";
}

_Static_assert(EAS_SHM_TABLE_KEY_SIZE == EAS_NOTES_KEY_SIZE, "a note has room for a key");

/* For the status page, until the lockout ends. */
static void note_user(request_rec *r, const struct eas_throttle_rules *rules,
                      const struct eas_throttle_attempt *attempt)
{
    struct eas_notes_throttled note = { .since = apr_time_now() };

    if (attempt->user != NULL && !rules->lockout.log_only) {
        note.until = note.since + rules->lockout.window;
        apr_cpystrn(note.user, attempt->user, sizeof(note.user));
        apr_cpystrn(note.address, r->useragent_ip, sizeof(note.address));
        memcpy(note.key, attempt->lockout.user, sizeof(note.key));
        eas_notes_throttle(&note);
    }
}

/* For the status page and the event log; 0: it is not throttled. */
static apr_interval_time_t address_for(const struct eas_throttle_rules *rules,
                                       const struct eas_throttle_attempt *attempt)
{
    apr_interval_time_t empty_for = attempt->bucket_empty_for;

    return empty_for == 0 || rules->lockout.log_only ? 0
           : empty_for > ADDRESS_FOR                 ? empty_for
                                                     : ADDRESS_FOR;
}

static void note_address(request_rec *r, const struct eas_throttle_attempt *attempt,
                         apr_interval_time_t lasts)
{
    struct eas_notes_throttled note = { .since = apr_time_now() };

    note.until = note.since + lasts;
    apr_cpystrn(note.address, r->useragent_ip, sizeof(note.address));
    memcpy(note.key, attempt->address_key.bytes, sizeof(note.key));
    eas_notes_throttle(&note);
}

static void log_user(request_rec *r, const struct eas_throttle_rules *rules,
                     const struct eas_throttle_attempt *attempt)
{
    if (attempt->locked_now) {
        eas_counters_add(EAS_COUNTER_LOCKOUTS);
        note_user(r, rules, attempt);
        eas_log_line(r, attempt->user != NULL ? APLOG_WARNING : APLOG_INFO,
                     "EAS1310: %u wrong passwords of %s, the last from %s: %s for %" APR_TIME_T_FMT
                     " seconds",
                     attempt->counted, name_of(attempt), r->useragent_ip,
                     rules->lockout.log_only ? "others would be refused without a question"
                                             : "others are refused without a question",
                     apr_time_sec(rules->lockout.window));
    }
    if (attempt->state == EAS_THROTTLE_KNOWN) {
        eas_log_line(
            r, APLOG_INFO,
            "EAS1311: the last verified password of %s, from %s, is verified although other "
            "passwords are refused",
            name_of(attempt), r->useragent_ip);
    }
    if (attempt->state == EAS_THROTTLE_WOULD_LOCK) {
        eas_log_line(
            r, APLOG_INFO,
            "EAS1312: log-only: after %u wrong passwords of %s, a log-on from %s would have "
            "been refused without asking the KDC",
            attempt->counted, name_of(attempt), r->useragent_ip);
    }
}

static void log_address(request_rec *r, const struct eas_throttle_rules *rules,
                        const struct eas_throttle_attempt *attempt)
{
    if (attempt->bucket_emptied_now) {
        eas_counters_add(EAS_COUNTER_ADDRESSES_EMPTIED);
        eas_log_line(r, APLOG_WARNING, "EAS1313: too many log-ons from %s have failed: %s",
                     r->useragent_ip,
                     rules->lockout.log_only
                         ? "others would be refused without asking the KDC"
                         : "others are refused without asking the KDC, unless with the last "
                           "verified password of an account");
    }
    if (attempt->state == EAS_THROTTLE_WOULD_ADDRESS) {
        eas_log_line(r, APLOG_INFO,
                     "EAS1314: log-only: too many log-ons from %s have failed; one would have been "
                     "refused without asking the KDC",
                     r->useragent_ip);
    }
}

/* With log-only nothing is throttled. */
static void note_events(request_rec *r, const struct eas_throttle_rules *rules,
                        const struct eas_throttle_attempt *attempt)
{
    struct eas_request *request = eas_request_of(r);

    request->account = attempt->user;
    request->throttled_for = rules->lockout.window;
    request->address_throttled_for = address_for(rules, attempt);
    if (request->address_throttled_for > 0) {
        note_address(r, attempt, request->address_throttled_for);
        request->events |= EAS_REQUEST_ADDRESS;
    }
    if (!rules->lockout.log_only && attempt->locked_now) {
        request->events |= EAS_REQUEST_LOCKOUT;
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
        eas_counters_add((enum eas_counter)((int)EAS_COUNTER_THROTTLE_REMEMBERED
                                            + (int)attempt->state - (int)EAS_THROTTLE_REMEMBERED));
        apr_table_setn(r->subprocess_env, "EAS_KCD_LOCKOUT", names[attempt->state]);
    }
    if (attempt->user != NULL && rules->lockout.failures > 0) {
        apr_table_setn(r->subprocess_env, "EAS_KCD_FAILURES",
                       apr_psprintf(r->pool, "%u", attempt->counted));
    }
    log_user(r, rules, attempt);
    log_address(r, rules, attempt);
    note_events(r, rules, attempt);
}

void eas_throttle_child_init(apr_pool_t *pchild)
{
    struct eas_refusal_slots *delays = eas_module_process()->throttle_delays;
    int threads = 0, processes = 0;

    ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads);
    ap_mpm_query(AP_MPMQ_MAX_DAEMONS, &processes);
    if (threads > 1) {
        delays->ends = apr_pcalloc(pchild, SLOTS_MAX * sizeof(*delays->ends));
    }
    delays->n = eas_refusal_delay_share(threads > 1 ? threads : processes, SLOTS_MAX);
}

void eas_throttle_delay(request_rec *r, enum eas_rc rc, apr_time_t since)
{
    apr_time_t now = eas_clock_now();
    apr_interval_time_t left = eas_refusal_delay_left(now - since);

    if (rc != EAS_DENIED && rc != EAS_UNKNOWN && rc != EAS_EXPIRED && rc != EAS_THROTTLED) {
        return;
    }
    if (eas_refusal_delay_reserve(eas_module_process()->throttle_delays, now, now + left)) {
        apr_sleep(left);
    }
    else {
        eas_log_line(r, APLOG_INFO,
                     "EAS1315: enough threads delay refusals; this one is sent at once");
    }
}
