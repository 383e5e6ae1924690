/* SPDX-License-Identifier: Apache-2.0 */
/* auth/request_httpd.c - record of a request */

#include "auth/request_httpd.h"
#include "auth/activesync/query.h"
#include "auth/activesync/wbxml.h"
#include "auth/config_httpd.h"

#include <apr_strings.h>

#define PING "Ping"

/* The status of a Ping whose time is over before a change, [MS-ASCMD] 2.2.3.177.11. */
#define EXPIRED 1

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

const struct eas_query *eas_request_query(const request_rec *r)
{
    const struct eas_request *request = ap_get_module_config(r->request_config, &eas_kcd_module);

    return request != NULL ? request->query : NULL;
}

bool eas_request_is_activesync(const request_rec *r)
{
    return eas_auth_is_activesync(eas_auth_dir_of(r->per_dir_config), r->uri);
}

apr_interval_time_t eas_request_timeout(const request_rec *r)
{
    const struct eas_query *query = eas_request_query(r);
    const struct eas_auth_dir *conf = eas_auth_dir_of(r->per_dir_config);

    return eas_request_is_activesync(r)
               ? eas_auth_command_timeout(conf, query != NULL ? query->command : NULL)
               : eas_auth_timeout(conf);
}

const char *eas_request_waiting_device(const request_rec *r)
{
    const struct eas_query *query = eas_request_query(r);

    if (query == NULL || query->command == NULL
        || !eas_auth_command_waits(eas_auth_dir_of(r->per_dir_config), query->command)) {
        return NULL;
    }
    return query->device_id != NULL ? query->device_id : "";
}

const char *eas_request_unchanged(const request_rec *r, apr_size_t *len_out)
{
    const struct eas_query *query = eas_request_query(r);

    return query != NULL && query->command != NULL && strcmp(query->command, PING) == 0
               ? eas_wbxml_status(r->pool, PING, EXPIRED, len_out)
               : NULL;
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
