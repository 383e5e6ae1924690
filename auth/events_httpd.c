/* SPDX-License-Identifier: Apache-2.0 */
/* auth/events_httpd.c - EasKcdEventLog: one JSON line for each decision */

#include "auth/events_httpd.h"
#include "auth/base/event.h"
#include "auth/base/first_sight.h"
#include "auth/base/throttle_ends.h"
#include "auth/config_httpd.h"
#include "auth/request_httpd.h"
#include "auth/shared/retained_httpd.h"

#include <apr_portable.h>
#include <apr_strings.h>
#include <fcntl.h>
#include <http_core.h>
#include <http_main.h>
#include <http_protocol.h>
#include <mpm_common.h>
#include <stdatomic.h>
#include <unistd.h>

#define RETAINED_NAME "mod_eas_kcd:events:2"

/* Time between two lines about dropped events. */
#define REPORT_EVERY apr_time_from_sec(60)

/* Logs whose last line may be torn, by the hash of their arguments. */
#define TORN_PLACES 64

struct eas_events_log {
    const char *arg;
    int fd; /* -1: not open */
    atomic_uint dropped;
    _Atomic(apr_time_t) reported_at;
};

/* In memory that outlives reloads. */
struct eas_events_state {
    void *seen;          /* devices */
    void *keys;          /* of keytabs */
    void *throttle_ends; /* that are to come */
    atomic_int *torn;    /* TORN_PLACES */
};

/* --- logs ------------------------------------------------------------------------------------- */

struct eas_events_log *eas_events_log_make(apr_pool_t *pconf, const char *arg)
{
    struct eas_events_log *log = apr_pcalloc(pconf, sizeof(*log));

    log->arg = arg;
    log->fd = -1;
    return log;
}

/* As mod_log_config does: "|$" has the program run by a shell. */
static piped_log *start_program(apr_pool_t *pconf, const char *command)
{
    bool shell = *command == '$';

    command += shell || *command == '|';
    return ap_open_piped_log_ex(pconf, command, shell ? APR_SHELLCMD_ENV : APR_PROGRAM_ENV);
}

/* Names of the same file are the same then. */
static apr_status_t open_file(apr_pool_t *pconf, struct eas_events_log *log, apr_file_t **file_out)
{
    const char *path = ap_server_root_relative(pconf, log->arg);

    if (path == NULL) {
        return APR_EBADPATH;
    }
    log->arg = path;
    return apr_file_open(
        file_out, path, APR_FOPEN_WRITE | APR_FOPEN_APPEND | APR_FOPEN_CREATE | APR_FOPEN_LARGEFILE,
        APR_OS_DEFAULT, pconf);
}

static apr_status_t open_log(apr_pool_t *pconf, struct eas_events_log *log)
{
    apr_file_t *file = NULL;
    apr_os_file_t fd;
    apr_status_t rv;

    if (*log->arg == '|') {
        piped_log *program = start_program(pconf, log->arg + 1);

        file = program != NULL ? ap_piped_log_write_fd(program) : NULL;
        rv = file != NULL ? APR_SUCCESS : APR_EGENERAL;
    }
    else {
        rv = open_file(pconf, log, &file);
    }
    if (rv == APR_SUCCESS) {
        apr_os_file_get(&fd, file);
        log->fd = fd;
        /* A program that reads nothing holds no request. */
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    }
    return rv;
}

static struct eas_events_state *state(void)
{
    return eas_module_process()->events;
}

static void report_dropped(struct eas_events_log *log, const server_rec *s, int error)
{
    unsigned dropped = atomic_fetch_add(&log->dropped, 1) + 1;
    apr_time_t now = apr_time_now(), last = atomic_load(&log->reported_at);

    if (now - last >= REPORT_EVERY
        && atomic_compare_exchange_strong(&log->reported_at, &last, now)) {
        ap_log_error(APLOG_MARK, APLOG_ERR, error, s,
                     "EAS1074: EasKcdEventLog %s takes no events; this process has dropped %u so "
                     "far; check whether its program reads, or its file system has room",
                     log->arg, dropped);
    }
}

static void write_event(struct eas_events_log *log, const server_rec *s,
                        const struct eas_event *event)
{
    const char *const arg[] = { log->arg, NULL };
    int error =
        eas_event_write(event, log->fd, &state()->torn[eas_first_sight_hash(arg) % TORN_PLACES]);

    if (error != 0) {
        report_dropped(log, s, error);
    }
}

static struct eas_events_log *log_of(const server_rec *s)
{
    struct eas_events_log *log = eas_auth_server_of(s)->event_log;

    return log != NULL && log->fd >= 0 ? log : NULL;
}

/* Virtual hosts may name the same file. */
static bool is_same_log(const server_rec *a, const server_rec *b)
{
    return log_of(a) != NULL && log_of(b) != NULL && strcmp(log_of(a)->arg, log_of(b)->arg) == 0;
}

/* For events that are no virtual host's: each log gets them once. */
static void write_to_all(const server_rec *main_server, const struct eas_event *event)
{
    const server_rec *s, *other;

    for (s = main_server; s != NULL; s = s->next) {
        for (other = main_server; other != s && !is_same_log(other, s); other = other->next) {
        }
        if (log_of(s) != NULL && other == s) {
            write_event(log_of(s), s, event);
        }
    }
}

/* --- throttles that end ----------------------------------------------------------------------- */

/* Without an account, the address is throttled.  False if the throttle goes on. */
static bool await_end(const request_rec *r, const char *account, apr_interval_time_t lasts)
{
    const char *vhost = r->server->server_hostname != NULL ? r->server->server_hostname : "";
    struct eas_throttle_end end = { .until = apr_time_now() + lasts };

    apr_cpystrn(end.account, account, sizeof(end.account));
    apr_cpystrn(end.address, r->useragent_ip, sizeof(end.address));
    apr_cpystrn(end.vhost, vhost, sizeof(end.vhost));
    return eas_throttle_ends_await(state()->throttle_ends, &end);
}

static void write_end(const server_rec *main_server, const struct eas_throttle_end *end)
{
    const server_rec *s = main_server;
    struct eas_event event;

    eas_event_begin(&event, "throttle-ends", apr_time_now());
    eas_event_text(&event, "account", end->account);
    eas_event_text(&event, "address", end->address);
    eas_event_text(&event, "vhost", end->vhost);
    eas_event_end(&event);
    while (s != NULL
           && (log_of(s) == NULL || s->server_hostname == NULL
               || strcmp(s->server_hostname, end->vhost) != 0)) {
        s = s->next;
    }
    if (s != NULL) {
        write_event(log_of(s), s, &event);
    }
}

/* Those that are over; or those of the account, which an administrator has ended. */
static void write_ends(const server_rec *main_server, const char *account)
{
    struct eas_throttle_end end;

    while (eas_throttle_ends_take(state()->throttle_ends, account, apr_time_now(), &end)) {
        write_end(main_server, &end);
    }
}

/* In the parent process, every ten seconds. */
static int hook_monitor(apr_pool_t *pool, server_rec *s)
{
    (void)pool;
    if (state() != NULL) {
        write_ends(s, NULL);
    }
    return DECLINED;
}

/* --- requests --------------------------------------------------------------------------------- */

static const char *variable(const request_rec *r, const char *name)
{
    return apr_table_get(r->subprocess_env, name);
}

static void begin(struct eas_event *event, const char *name, const request_rec *r)
{
    const request_rec *last = r;

    while (last->next != NULL) {
        last = last->next;
    }
    eas_event_begin(event, name, apr_time_now());
    eas_event_number(event, "status", last->status);
}

static void finish(struct eas_event *event, const request_rec *r, const char *user)
{
    static const char *const fields[][2] = {
        { "trust", "EAS_KCD_TRUST" },
        { "device", "EAS_DEVICE_ID" },
        { "device_type", "EAS_DEVICE_TYPE" },
        { "command", "EAS_COMMAND" },
        { "spn", "EAS_KCD_SPN" },
        { "request_id", "UNIQUE_ID" },
    };
    apr_size_t i;

    eas_event_text(event, "user", user != NULL ? user : variable(r, "EAS_KCD_USER"));
    eas_event_text(event, "address", r->useragent_ip);
    eas_event_text(event, "vhost", r->server->server_hostname);
    for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        eas_event_text(event, fields[i][0], variable(r, fields[i][1]));
    }
    eas_event_end(event);
    write_event(log_of(r->server), r->server, event);
}

static void write_log_on(const request_rec *r)
{
    const char *how = variable(r, "EAS_KCD_AUTH");
    struct eas_event event;

    if (how != NULL && (strcmp(how, "form") == 0 || strcmp(how, "basic") == 0)) {
        begin(&event, "log-on", r);
        eas_event_text(&event, "how", how);
        finish(&event, r, NULL);
    }
}

/* The KDC has refused the delegation: EAS2030 to EAS2039.  Wrong AP-REPs: EAS2052, EAS2053. */
static const char *name_of_refusal(const char *error)
{
    long tag = strtol(error + sizeof("EAS") - 1, NULL, 10);

    return tag / 10 == 203              ? "delegation-refused"
           : tag == 2052 || tag == 2053 ? "ap-rep-wrong"
                                        : "refusal";
}

static void write_refusal(const request_rec *r, const struct eas_request *request)
{
    const char *error = variable(r, "EAS_KCD_ERROR");
    struct eas_event event;

    if (error != NULL) {
        begin(&event, name_of_refusal(error), r);
        eas_event_text(&event, "tag", error);
        if (variable(r, "EAS_KCD_USER") == NULL) {
            eas_event_text(&event, "account", request->account);
        }
        finish(&event, r, NULL);
    }
}

static void write_throttle(const request_rec *r, const struct eas_request *request, bool of_account,
                           apr_interval_time_t lasts)
{
    const char *account = of_account && request->account != NULL ? request->account : "";
    struct eas_event event;

    if ((!of_account || *account != '\0') && !await_end(r, account, lasts)) {
        return;
    }
    begin(&event, "throttle-begins", r);
    eas_event_text(&event, "tag", variable(r, "EAS_KCD_ERROR"));
    eas_event_text(&event, "of", of_account ? "account" : "address");
    eas_event_text(&event, "account", account);
    eas_event_number(&event, "seconds", (long)apr_time_sec(lasts));
    finish(&event, r, NULL);
}

static void write_noted(const request_rec *r, const struct eas_request *request)
{
    struct eas_event event;

    if (request->events & EAS_REQUEST_LOCKOUT) {
        write_throttle(r, request, true, request->throttled_for);
    }
    if (request->events & EAS_REQUEST_ADDRESS) {
        write_throttle(r, request, false, request->address_throttled_for);
    }
    if (request->events & EAS_REQUEST_CHANGE) {
        begin(&event, "password-changed", r);
        finish(&event, r, request->changed);
    }
    if (request->events & EAS_REQUEST_SIGN_OUT) {
        begin(&event, "sign-out", r);
        finish(&event, r, request->account);
    }
}

/* Of an authenticated user: others could name any number of devices. */
static void write_device(const request_rec *r)
{
    const char *user = variable(r, "EAS_KCD_USER"), *device = variable(r, "EAS_DEVICE_ID");
    const char *const texts[] = { "device", user, device, NULL };
    struct eas_event event;

    if (user != NULL && device != NULL
        && eas_first_sight(state()->seen, eas_first_sight_hash(texts))) {
        begin(&event, "device-first-seen", r);
        finish(&event, r, NULL);
    }
}

/*
 * The first start knows no keys from before.  Each process that reads a changed keytab, and each
 * start, comes here; the first of them writes.
 */
static void write_keys(apr_pool_t *pool, const server_rec *s)
{
    struct eas_keytab *keytab = eas_auth_server_of(s)->authority->keytab;
    const char *principal = eas_keytab_principal_name(keytab);
    const char *keys = eas_keytab_keys(keytab, pool);
    const char *const name[] = { eas_auth_server_of(s)->keytab_path, principal, NULL };
    const char *const value[] = { keys, NULL };
    struct eas_event event;

    if (eas_first_sight_is_other(state()->keys, eas_first_sight_hash(name),
                                 eas_first_sight_hash(value))) {
        eas_event_begin(&event, "key-changed", apr_time_now());
        eas_event_text(&event, "account", principal);
        eas_event_text(&event, "keys", keys);
        eas_event_end(&event);
        write_to_all(ap_server_conf, &event);
    }
}

static void write_all(request_rec *r)
{
    const struct eas_authority *authority = eas_auth_server_of(r->server)->authority;
    const struct eas_request *request = eas_request_of(r);

    if (request->events & EAS_REQUEST_UNLOCK) {
        write_ends(ap_server_conf, request->account);
    }
    if (log_of(r->server) == NULL) {
        return;
    }
    write_log_on(r);
    write_noted(r, request);
    write_refusal(r, request);
    write_device(r);
    if (authority != NULL && eas_keytab_was_replaced(authority->keytab)) {
        write_keys(r->pool, r->server);
    }
}

/* An internal redirect leads to a request with decisions of its own. */
static int hook_log_transaction(request_rec *r)
{
    for (; state() != NULL && r != NULL; r = r->next) {
        write_all(r);
    }
    return DECLINED;
}

/* --- the process ------------------------------------------------------------------------------ */

void eas_events_outage(const server_rec *main_server, const char *realm, bool begins,
                       apr_interval_time_t lasted, unsigned refused)
{
    struct eas_event event;

    eas_event_begin(&event, begins ? "kdc-outage-begins" : "kdc-outage-ends", apr_time_now());
    eas_event_text(&event, "realm", realm);
    if (!begins) {
        eas_event_number(&event, "seconds", (long)apr_time_sec(lasted));
        eas_event_number(&event, "refused", (long)refused);
    }
    eas_event_number(&event, "pid", (long)getpid());
    eas_event_end(&event);
    write_to_all(main_server, &event);
}

static enum eas_rc attach_memory(apr_pool_t *pconf, server_rec *s, struct eas_err *err)
{
    enum { SEEN, KEYS, THROTTLE_ENDS, TORN };
    const struct eas_retained_layout layout[EAS_RETAINED_SEGMENTS] = {
        [SEEN] = { EAS_FIRST_SIGHT_SIZE, false },
        [KEYS] = { EAS_FIRST_SIGHT_VALUES_SIZE, false },
        [THROTTLE_ENDS] = { eas_throttle_ends_size(), false },
        [TORN] = { TORN_PLACES * sizeof(atomic_int), false },
    };
    const struct eas_retained *retained = eas_retained_attach(s, RETAINED_NAME, layout);
    struct eas_events_state *made = apr_pcalloc(pconf, sizeof(*made));

    if (retained == NULL || !retained->is_complete
        || !eas_throttle_ends_attach(retained->segments[THROTTLE_ENDS])) {
        return eas_fail(err, EAS_UNAVAILABLE, 3094,
                        "the system has no shared memory of 1 MB for EasKcdEventLog");
    }
    made->seen = retained->segments[SEEN];
    made->keys = retained->segments[KEYS];
    made->throttle_ends = retained->segments[THROTTLE_ENDS];
    made->torn = retained->segments[TORN];
    eas_module_process()->events = made;
    return EAS_OK;
}

static enum eas_rc open_logs(apr_pool_t *pconf, server_rec *main_server, struct eas_err *err)
{
    enum eas_rc rc = EAS_OK;
    apr_status_t rv;
    char reason[120];
    server_rec *s;

    for (s = main_server; s != NULL && rc == EAS_OK; s = s->next) {
        struct eas_events_log *log = eas_auth_server_of(s)->event_log;

        if (log == NULL || log->fd >= 0) {
            continue;
        }
        rv = open_log(pconf, log);
        if (rv != APR_SUCCESS) {
            return eas_fail(err, EAS_MISCONFIGURED, 3093,
                            "EasKcdEventLog %s cannot be opened: %s; check its directory or "
                            "program",
                            log->arg,
                            *log->arg == '|' ? "the program does not start"
                                             : apr_strerror(rv, reason, sizeof(reason)));
        }
        rc = state() == NULL ? attach_memory(pconf, main_server, err) : EAS_OK;
    }
    return rc;
}

int eas_events_post_config(apr_pool_t *pconf, server_rec *main_server)
{
    struct eas_err err;
    const server_rec *s;

    /* httpd reads its configuration twice when it starts. */
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    if (open_logs(pconf, main_server, &err) != EAS_OK) {
        eas_log_startup(main_server, &err);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    for (s = main_server; s != NULL && state() != NULL; s = s->next) {
        if (eas_auth_server_of(s)->authority != NULL) {
            write_keys(pconf, s);
        }
    }
    return OK;
}

void eas_events_register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_log_transaction(hook_log_transaction, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_monitor(hook_monitor, NULL, NULL, APR_HOOK_MIDDLE);
}
