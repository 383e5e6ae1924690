/* SPDX-License-Identifier: Apache-2.0 */
/* auth/request_httpd.c - what all glue shares: the module's name, the request's record, refusals */

#include "auth/request_httpd.h"

#include <apr_strings.h>

struct eas_request *eas_request_of(request_rec *r)
{
    struct eas_request *request = ap_get_module_config(r->request_config, &eas_kcd_module);

    if (request == NULL) {
        request = apr_pcalloc(r->pool, sizeof(*request));
        ap_set_module_config(r->request_config, &eas_kcd_module, request);
    }
    return request;
}

const struct eas_identity *eas_request_identity(const request_rec *r)
{
    const request_rec *q;

    for (q = r; q != NULL && q->user == r->user; q = q->main != NULL ? q->main : q->prev) {
        const struct eas_request *request =
            ap_get_module_config(q->request_config, &eas_kcd_module);

        if (request != NULL && request->identity != NULL) {
            return request->identity;
        }
    }
    return NULL;
}

int eas_request_refused_before(const request_rec *r)
{
    const request_rec *q;

    for (q = r->prev; q != NULL; q = q->prev) {
        const struct eas_request *request =
            ap_get_module_config(q->request_config, &eas_kcd_module);

        if (request != NULL && request->refused != 0) {
            return request->refused;
        }
    }
    return 0;
}

/* No default: a new class must be given its level and status here. */
static int level_of(enum eas_rc rc)
{
    switch (rc) {
    case EAS_MALFORMED:
    case EAS_DENIED:
    case EAS_UNKNOWN:
    case EAS_EXPIRED:
        return APLOG_INFO;
    case EAS_FORBIDDEN:
        return APLOG_WARNING;
    case EAS_MISCONFIGURED:
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
    case EAS_UNAVAILABLE:
    case EAS_MISCONFIGURED:
    case EAS_OK: /* a refusal without a reason is our trouble */
        break;
    }
    return HTTP_SERVICE_UNAVAILABLE;
}

void eas_log_error(request_rec *r, const struct eas_err *err)
{
    ap_log_rerror(APLOG_MARK, level_of(err->rc), 0, r, "EAS%04d: %s", err->tag, err->text);
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

void eas_log_startup(const server_rec *s, const struct eas_err *err)
{
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_CRIT, 0, s, "EAS%04d: %s", err->tag, err->text);
}

void eas_request_waited(request_rec *r, apr_interval_time_t waited)
{
    struct eas_request *request = eas_request_of(r);

    request->kdc_waited += waited;
    apr_table_setn(r->subprocess_env, "EAS_KCD_KDC_US",
                   request->kdc_waited == 0
                       ? "0"
                       : apr_psprintf(r->pool, "%" APR_INT64_T_FMT, request->kdc_waited));
}
