/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/config_httpd.h - the configuration of the back half */

#ifndef EAS_DELEGATION_CONFIG_HTTPD_H
#define EAS_DELEGATION_CONFIG_HTTPD_H

#include "delegation/kcd.h"

#include <httpd.h>
#include <http_config.h>
#include <ap_expr.h>

/* Of a directory; NULL and -1 mean "not set". */
struct eas_delegation_dir {
    int delegate;
    int transition;
    int mutual; /* required */
    int reuse;
    int bind;
    apr_off_t retry_body;
    const char *spn;
    const ap_expr_info_t *delegate_user;
};

/* Of a server. */
struct eas_delegation_server {
    int pools; /* of the main server; 0: not set */
    struct eas_kcd_principal
        *account; /* made by eas_delegation_child_init(); NULL without a keytab */
};

struct eas_delegation_dir *eas_delegation_dir_create(apr_pool_t *pool);
struct eas_delegation_dir *eas_delegation_dir_merge(apr_pool_t *pool,
                                                    const struct eas_delegation_dir *base,
                                                    const struct eas_delegation_dir *add);

/* Given by mod_eas_kcd.c, which owns the module's configuration records. */
struct eas_delegation_dir *eas_delegation_dir_of(const ap_conf_vector_t *per_dir_config);
struct eas_delegation_server *eas_delegation_server_of(const server_rec *s);

/* The effective values. */
bool eas_delegation_is_on(const struct eas_delegation_dir *conf);
bool eas_delegation_transitions(const struct eas_delegation_dir *conf);
const char *eas_delegation_spn(const struct eas_delegation_dir *conf);
bool eas_delegation_requires_mutual(const struct eas_delegation_dir *conf);
bool eas_delegation_reuses(const struct eas_delegation_dir *conf);
bool eas_delegation_binds(const struct eas_delegation_dir *conf);
apr_off_t eas_delegation_retry_body(const struct eas_delegation_dir *conf);

/*
 * What can be judged before the start: mod_proxy is there, delegating servers have a keytab, and
 * sections that delegate are mapped to http or https.  OK, or HTTP_INTERNAL_SERVER_ERROR after having
 * logged.
 */
int eas_delegation_check_config(apr_pool_t *ptemp, server_rec *main_server);

/* In post_config. */
void eas_delegation_post_config(apr_pool_t *pconf);

/* Per child: ticket cache, mint, an account for each keytab, and pools of connections. */
void eas_delegation_child_init(apr_pool_t *pchild, server_rec *main_server,
                               struct eas_workers *kdcs);

/*
 * Does the KDC still issue tickets for this user (S4U2Self, which needs no right to transition)?
 * EAS_OK; EAS_FORBIDDEN if not; anything else: it cannot say.  *waited is what the request has waited
 * for KDCs so far, and grows.
 */
enum eas_rc eas_delegation_check_user(const server_rec *s, apr_pool_t *pool, const char *principal,
                                      apr_interval_time_t *waited, struct eas_err *err);

/* Handlers of delegation/directives.def. */
const char *eas_delegation_set_delegate(cmd_parms *cmd, void *dir, int flag);
const char *eas_delegation_set_spn(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_delegation_set_delegate_user(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_delegation_set_transition(cmd_parms *cmd, void *dir, int flag);
const char *eas_delegation_set_mutual(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_delegation_set_reuse(cmd_parms *cmd, void *dir, int flag);
const char *eas_delegation_set_bind(cmd_parms *cmd, void *dir, int flag);
const char *eas_delegation_set_retry_body(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_delegation_set_pools(cmd_parms *cmd, void *dir, const char *arg);

#endif
