/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/config_httpd.h - configuration records of delegation/: stored, merged, read */

#ifndef EAS_DELEGATION_CONFIG_HTTPD_H
#define EAS_DELEGATION_CONFIG_HTTPD_H

#include "delegation/kcd.h"

#include <httpd.h>

#include <ap_expr.h>
#include <http_config.h>

/* Of a section; NULL and -1: not set. */
struct eas_delegation_dir {
    int delegate;
    int transition;
    int mutual; /* required */
    int reuse;
    int resume;
    int bind;
    int token_by; /* enum eas_token_by */
    apr_off_t retry_body;
    int park;
    int long_polls;                    /* of a device; 0: unlimited */
    apr_array_header_t *strip_headers; /* of const char *, for front_end.h; NULL: none */
    const char *spn;
    const ap_expr_info_t *delegate_user;
    bool user_of_certificate; /* delegate_user is made of the client's certificate */
    int delegate_certificate; /* On: delegate_user is NULL */
};

/* Of a server. */
struct eas_delegation_server {
    int pools;                                 /* of the main server; 0: not set */
    apr_interval_time_t park_spread;           /* of the main server; -1: not set */
    bool uses_gssapi;                          /* EasKcdToken gssapi, in any of its sections */
    bool parks;                                /* EasKcdPark On, in any of its sections */
    bool native_unfit;                         /* native tokens fail the check of start-up */
    const struct eas_kcd_principal *principal; /* of the child; NULL without a keytab */
};

struct eas_delegation_server *eas_delegation_server_create(apr_pool_t *pool);
struct eas_delegation_dir *eas_delegation_dir_create(apr_pool_t *pool);
struct eas_delegation_dir *eas_delegation_dir_merge(apr_pool_t *pool,
                                                    const struct eas_delegation_dir *base,
                                                    const struct eas_delegation_dir *add);

struct eas_delegation_server *eas_delegation_server_of(const server_rec *s);

/* The record of a section.  A section without directives of the module has one with nothing set. */
struct eas_delegation_dir *eas_delegation_dir_of(const ap_conf_vector_t *per_dir_config);

/* Effective values: as configured, else the default. */
bool eas_delegation_is_on(const struct eas_delegation_dir *conf);
bool eas_delegation_by_certificate(const struct eas_delegation_dir *conf);
bool eas_delegation_transitions(const struct eas_delegation_dir *conf);
const char *eas_delegation_spn(const struct eas_delegation_dir *conf);
bool eas_delegation_requires_mutual(const struct eas_delegation_dir *conf);
bool eas_delegation_reuses(const struct eas_delegation_dir *conf);
bool eas_delegation_resumes(const struct eas_delegation_dir *conf);
bool eas_delegation_binds(const struct eas_delegation_dir *conf);
enum eas_token_by eas_delegation_token_by(const struct eas_delegation_server *server,
                                          const struct eas_delegation_dir *conf);
apr_off_t eas_delegation_retry_body(const struct eas_delegation_dir *conf);
/* A directive counts for itself; mpm_can decides the default. */
bool eas_delegation_parks(const struct eas_delegation_dir *conf, bool mpm_can);
unsigned eas_delegation_long_polls(const struct eas_delegation_dir *conf);
apr_interval_time_t eas_delegation_park_spread(const struct eas_delegation_server *conf);
int eas_delegation_backend_pools(const struct eas_delegation_server *conf);

#endif
