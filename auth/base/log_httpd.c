/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/log_httpd.c - errors as log lines, variables and HTTP statuses */

#include "auth/base/log_httpd.h"
#include "auth/base/clock.h"
#include "auth/base/log_limit.h"
#include "auth/base/notes.h"

#include <apr_strings.h>
#include <http_protocol.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Note: the status of a refusal. */
#define REFUSED_NOTE "eas-kcd:refused"

/* Without a default, the compiler asks for the level and the status of a new class. */
static int level_of(enum eas_rc rc)
{
    switch (rc) {
    case EAS_MALFORMED:
    case EAS_DENIED:
    case EAS_UNKNOWN:
    case EAS_EXPIRED:
    case EAS_THROTTLED:
        return APLOG_INFO;
    case EAS_FORBIDDEN:
        return APLOG_WARNING;
    case EAS_MISCONFIGURED:
    case EAS_NO_SERVICE:
        return APLOG_CRIT;
    case EAS_UNAVAILABLE:
    case EAS_BACKEND:
    case EAS_OK:
        break;
    }
    return APLOG_ERR;
}

static int status_of(enum eas_rc rc)
{
    switch (rc) {
    case EAS_MALFORMED:
        return HTTP_BAD_REQUEST;
    case EAS_DENIED:
    case EAS_UNKNOWN:
    case EAS_EXPIRED:
        return HTTP_UNAUTHORIZED;
    case EAS_FORBIDDEN:
        return HTTP_FORBIDDEN;
    case EAS_BACKEND:
        return HTTP_BAD_GATEWAY;
    case EAS_THROTTLED:
    case EAS_UNAVAILABLE:
    case EAS_MISCONFIGURED:
    case EAS_NO_SERVICE:
    case EAS_OK: /* a refusal without a reason is the gateway's failure */
        break;
    }
    return HTTP_SERVICE_UNAVAILABLE;
}

/* "EASnnnn: " */
#define TAG_LEN 9

/*
 * Without a client in the line, so that no tool counts the last one twice.  A section's LogLevel may
 * admit lines that the server's does not.
 */
static void log_rest(const struct eas_log_limit_rest *rest)
{
    server_rec s = *(const server_rec *)rest->server;

    s.log = (struct ap_logconf){ .level = rest->level };
    ap_log_error(APLOG_MARK, rest->level, 0, &s,
                 "EAS%04d: %u more in %" APR_TIME_T_FMT " s, the last of %s: %s", rest->tag,
                 rest->count, apr_time_sec(rest->during), rest->address, rest->text);
}

static void log_rests(bool all)
{
    struct eas_log_limit *limit = eas_module_process()->log_limit;
    struct eas_log_limit_rest rest;

    while (limit != NULL && eas_log_limit_next(limit, eas_clock_now(), all, &rest)) {
        log_rest(&rest);
    }
}

void eas_log_line(request_rec *r, int level, const char *fmt, ...)
{
    struct eas_log_limit *limit = eas_module_process()->log_limit;
    struct eas_log_limit_line line = { .level = level,
                                       .address = r->useragent_ip,
                                       .server = r->server };
    char text[1024];
    va_list args;

    if (!APLOG_R_IS_LEVEL(r, level)) {
        return;
    }
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    line.tag = (int)strtol(text + 3, NULL, 10);
    line.text = text + TAG_LEN;
    log_rests(false);
    if (limit == NULL || eas_log_limit_admit(limit, &line, eas_clock_now())) {
        ap_log_rerror(APLOG_MARK, level, 0, r, "%s", text);
    }
}

/* The next request shows what was counted, if no other line does. */
static int hook_log_transaction(request_rec *r)
{
    (void)r;
    log_rests(false);
    return DECLINED;
}

static apr_status_t end_child(void *data)
{
    (void)data;
    log_rests(true);
    eas_module_process()->log_limit = NULL;
    return APR_SUCCESS;
}

void eas_log_child_init(apr_pool_t *pchild)
{
    eas_module_process()->log_limit = eas_log_limit_create(pchild);
    apr_pool_cleanup_register(pchild, NULL, end_child, apr_pool_cleanup_null);
}

void eas_log_register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_log_transaction(hook_log_transaction, NULL, NULL, APR_HOOK_MIDDLE);
}

void eas_log_error(request_rec *r, const struct eas_err *err)
{
    eas_log_line(r, err->repeats ? APLOG_INFO : level_of(err->rc), "EAS%04d: %s", err->tag,
                 err->text);
    eas_notes_error(err->tag, err->text, apr_time_now());
    apr_table_setn(r->subprocess_env, "EAS_KCD_ERROR", apr_psprintf(r->pool, "EAS%04d", err->tag));
}

int eas_log_refuse(request_rec *r, const struct eas_err *err)
{
    int status = status_of(err->rc);

    eas_log_error(r, err);
    if (status == HTTP_SERVICE_UNAVAILABLE) {
        apr_table_setn(r->err_headers_out, "Retry-After", EAS_RETRY_AFTER);
    }
    apr_table_setn(r->notes, REFUSED_NOTE, apr_itoa(r->pool, status));
    return status;
}

bool eas_log_has_refused(const request_rec *r, int status)
{
    const char *note = apr_table_get(r->notes, REFUSED_NOTE);

    return note != NULL && (int)apr_atoi64(note) == status;
}

void eas_log_forget_refusal(request_rec *r)
{
    apr_table_unset(r->notes, REFUSED_NOTE);
}

static void log_startup(const server_rec *s, int level, const struct eas_err *err)
{
    if (s->is_virtual) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | level, 0, s,
                     "EAS%04d: %s (virtual host %s, %s:%u)", err->tag, err->text,
                     s->server_hostname != NULL ? s->server_hostname : "without a name",
                     s->defn_name, s->defn_line_number);
    }
    else {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | level, 0, s, "EAS%04d: %s", err->tag, err->text);
    }
}

void eas_log_startup(const server_rec *s, const struct eas_err *err)
{
    log_startup(s, APLOG_CRIT, err);
}

void eas_log_startup_warning(const server_rec *s, const struct eas_err *err)
{
    log_startup(s, APLOG_WARNING, err);
}
