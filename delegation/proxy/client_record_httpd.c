/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/client_record_httpd.c - the module's record of a client's connection */

#include "delegation/proxy/client_record_httpd.h"
#include "auth/base/module_httpd.h"

struct eas_client_record *eas_client_record_of(const conn_rec *c)
{
    return ap_get_module_config(c->conn_config, &eas_kcd_module);
}

struct eas_client_record *eas_client_record_make(const conn_rec *c)
{
    struct eas_client_record *record = eas_client_record_of(c);

    if (record == NULL) {
        record = apr_pcalloc(c->pool, sizeof(*record));
        ap_set_module_config(c->conn_config, &eas_kcd_module, record);
    }
    return record;
}
