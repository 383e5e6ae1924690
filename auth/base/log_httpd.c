/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/log_httpd.c - errors as log lines, variables and HTTP statuses */

#include "auth/base/log_httpd.h"
#include "auth/base/notes.h"

#include <apr_strings.h>

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

void eas_log_error(request_rec *r, const struct eas_err *err)
{
    ap_log_rerror(APLOG_MARK, err->repeats ? APLOG_INFO : level_of(err->rc), 0, r, "EAS%04d: %s",
                  err->tag, err->text);
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
    return status;
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
