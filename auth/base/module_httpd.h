/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/module_httpd.h - the module's symbol, its configuration slots, and its process state */

#ifndef EAS_AUTH_BASE_MODULE_HTTPD_H
#define EAS_AUTH_BASE_MODULE_HTTPD_H

#include <httpd.h>
#include <http_config.h>
#include <http_log.h>
#include <stdatomic.h>

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
    struct eas_module_process *process; /* the main server's */
};

/*
 * State of the server process that no directive sets.  It is made and ends with the main server's
 * record.  The start-up phases write it before the fork, child_init writes a child's part, and all
 * threads read it.  Each member belongs to the file of its name, which alone changes it.
 */
struct eas_module_process {
    struct eas_log_limit *log_limit; /* of a child process; NULL in the parent */
    struct eas_events_state *events;
    struct eas_shared_state *shared;
    struct eas_socache_state *socache;
    struct eas_retained_watched *retained;
    struct eas_throttle *throttle;
    struct eas_refusal_slots *throttle_delays;
    struct eas_challenge_rules *challenge;
    struct eas_session_memory *session; /* of a child process; NULL in the parent */
    struct eas_mod_proxy_functions *mod_proxy;
    struct eas_conn_pools_counter *conn_pools;
    struct eas_placeholder *placeholder;
    struct eas_long_polls *long_polls;
    struct eas_park_child *park;
    struct eas_tls_session_store *tls_session; /* of a child process; NULL in the parent */
    atomic_bool flush; /* that of clients' connections; of a child process */
};

/* NULL for a section that holds no directive of the module. */
struct eas_module_dir *eas_module_dir_of(const ap_conf_vector_t *per_dir_config);

struct eas_module_server *eas_module_server_of(const server_rec *s);

/* Valid from pre_config on. */
struct eas_module_process *eas_module_process(void);

#endif
