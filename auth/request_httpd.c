/* SPDX-License-Identifier: Apache-2.0 */
/* auth/request_httpd.c - record of a request */

#include "auth/request_httpd.h"
#include "auth/activesync/query.h"
#include "auth/activesync/wbxml.h"
#include "auth/config_httpd.h"

#include <apr_strings.h>
#include <stdint.h>

#define PING "Ping"

/* The status of a Ping whose time is over before a change, [MS-ASCMD] 2.2.3.177.11. */
#define EXPIRED 1

static const char names[][sizeof("EAS_KCD_ACCOUNT")] = {
    [EAS_REQUEST_USER] = "EAS_KCD_USER",   [EAS_REQUEST_ACCOUNT] = "EAS_KCD_ACCOUNT",
    [EAS_REQUEST_UPN] = "EAS_KCD_UPN",     [EAS_REQUEST_AUTH] = "EAS_KCD_AUTH",
    [EAS_REQUEST_TRUST] = "EAS_KCD_TRUST", [EAS_REQUEST_KDC_US] = "EAS_KCD_KDC_US",
    [EAS_REQUEST_SPN] = "EAS_KCD_SPN",     [EAS_REQUEST_TICKET] = "EAS_KCD_TICKET",
};

/* Whether the key may be the name: it is, or it is no other of these and begins with the letter. */
static bool may_be(const char *key, const char *name)
{
    bool is_known = (uintptr_t)key - (uintptr_t)names < sizeof(names);

    return key == name || (!is_known && (*key | 0x20) == 'e');
}

void eas_request_set(request_rec *r, enum eas_request_variable variable, const char *value)
{
    const char *name = names[variable];
    const apr_array_header_t *all = apr_table_elts(r->subprocess_env);
    const apr_table_entry_t *entries = (const apr_table_entry_t *)all->elts;
    int i;

    for (i = 0; i < all->nelts; i++) {
        if (may_be(entries[i].key, name)) {
            apr_table_setn(r->subprocess_env, name, value);
            return;
        }
    }
    apr_table_addn(r->subprocess_env, name, value);
}

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
    if (waited == 0 && request->kdc_waited_shown) {
        return;
    }
    request->kdc_waited_shown = true;
    eas_request_set(r, EAS_REQUEST_KDC_US,
                    request->kdc_waited == 0
                        ? "0"
                        : apr_psprintf(r->pool, "%" APR_INT64_T_FMT, request->kdc_waited));
}
