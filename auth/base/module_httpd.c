/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/module_httpd.c - the module's symbol, its configuration slots, and its process state */

#include "auth/base/module_httpd.h"

#include <http_main.h>

struct eas_module_dir *eas_module_dir_of(const ap_conf_vector_t *per_dir_config)
{
    return ap_get_module_config(per_dir_config, &eas_kcd_module);
}

struct eas_module_server *eas_module_server_of(const server_rec *s)
{
    return ap_get_module_config(s->module_config, &eas_kcd_module);
}

struct eas_module_process *eas_module_process(void)
{
    return eas_module_server_of(ap_server_conf)->process;
}
