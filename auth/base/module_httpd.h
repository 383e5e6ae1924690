/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/module_httpd.h - the module's symbol and its two configuration slots */

#ifndef EAS_AUTH_BASE_MODULE_HTTPD_H
#define EAS_AUTH_BASE_MODULE_HTTPD_H

#include <httpd.h>
#include <http_config.h>
#include <http_log.h>

extern module AP_MODULE_DECLARE_DATA eas_kcd_module;
APLOG_USE_MODULE(eas_kcd);

struct eas_auth_dir;
struct eas_auth_server;
struct eas_delegation_dir;
struct eas_delegation_server;

/*
 * The module's configuration records in httpd, one for each section and each server.  mod_eas_kcd.c
 * creates and merges them; auth/config_httpd.h and delegation/config_httpd.h read one member each.
 */
struct eas_module_dir {
    struct eas_auth_dir *auth;
    struct eas_delegation_dir *delegation;
};

struct eas_module_server {
    struct eas_auth_server *auth;
    struct eas_delegation_server *delegation;
};

/* NULL for a section that holds no directive of the module. */
struct eas_module_dir *eas_module_dir_of(const ap_conf_vector_t *per_dir_config);

struct eas_module_server *eas_module_server_of(const server_rec *s);

#endif
