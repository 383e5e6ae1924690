/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/config_httpd.c - configuration records of delegation/: stored, merged, read */

#include "delegation/config_httpd.h"
#include "auth/base/module_httpd.h"

#include <apr_strings.h>

#define SECONDS(n) apr_time_from_sec(n)

/*
 * The defaults, each named after its directive; directives.def has their text.  That of EasKcdPark is
 * Off where the MPM cannot.
 */
#define DEFAULT_DELEGATE 0
#define DEFAULT_SPN "HTTP/%h"
#define DEFAULT_DELEGATE_CERTIFICATE 0
#define DEFAULT_PROTOCOL_TRANSITION 0
#define DEFAULT_MUTUAL_AUTH 1
#define DEFAULT_BACKEND_REUSE 1
#define DEFAULT_BACKEND_RESUME 1
#define DEFAULT_BACKEND_POOLS 64
#define DEFAULT_CHANNEL_BINDING 1
#define DEFAULT_TOKEN EAS_TOKEN_NATIVE
#define DEFAULT_RETRY_BODY 131072
#define DEFAULT_PARK 1
#define DEFAULT_PARK_SPREAD SECONDS(7)
#define DEFAULT_LONG_POLLS 4

/* httpd has no record for a section without directives of the module. */
static struct eas_delegation_dir unset_dir = { .delegate = -1,
                                               .transition = -1,
                                               .mutual = -1,
                                               .reuse = -1,
                                               .resume = -1,
                                               .bind = -1,
                                               .token_by = -1,
                                               .retry_body = -1,
                                               .park = -1,
                                               .long_polls = -1,
                                               .delegate_certificate = -1 };

struct eas_delegation_server *eas_delegation_server_of(const server_rec *s)
{
    return eas_module_server_of(s)->delegation;
}

struct eas_delegation_dir *eas_delegation_dir_of(const ap_conf_vector_t *per_dir_config)
{
    struct eas_module_dir *dir = eas_module_dir_of(per_dir_config);

    return dir != NULL ? dir->delegation : &unset_dir;
}

struct eas_delegation_server *eas_delegation_server_create(apr_pool_t *pool)
{
    struct eas_delegation_server *conf = apr_pcalloc(pool, sizeof(*conf));

    conf->park_spread = -1;
    return conf;
}

struct eas_delegation_dir *eas_delegation_dir_create(apr_pool_t *pool)
{
    return apr_pmemdup(pool, &unset_dir, sizeof(unset_dir));
}

#define INHERIT_POINTER(field) conf->field = add->field != NULL ? add->field : base->field
#define INHERIT_NUMBER(field) conf->field = add->field >= 0 ? add->field : base->field

/* The user of the inner section: EasKcdDelegateUser and EasKcdDelegateCertificate replace each other. */
static void merge_user(struct eas_delegation_dir *conf, const struct eas_delegation_dir *base,
                       const struct eas_delegation_dir *add)
{
    bool adds_user = add->delegate_user != NULL, by_certificate = add->delegate_certificate > 0;

    INHERIT_NUMBER(delegate_certificate);
    if (adds_user && !by_certificate) {
        conf->delegate_certificate = 0;
    }
    conf->delegate_user = adds_user        ? add->delegate_user
                          : by_certificate ? NULL
                                           : base->delegate_user;
    conf->user_of_certificate = adds_user ? add->user_of_certificate : base->user_of_certificate;
}

struct eas_delegation_dir *eas_delegation_dir_merge(apr_pool_t *pool,
                                                    const struct eas_delegation_dir *base,
                                                    const struct eas_delegation_dir *add)
{
    struct eas_delegation_dir *conf = eas_delegation_dir_create(pool);

    INHERIT_NUMBER(delegate);
    INHERIT_NUMBER(transition);
    INHERIT_NUMBER(mutual);
    INHERIT_NUMBER(reuse);
    INHERIT_NUMBER(resume);
    INHERIT_NUMBER(bind);
    INHERIT_NUMBER(token_by);
    INHERIT_NUMBER(retry_body);
    INHERIT_NUMBER(park);
    INHERIT_NUMBER(long_polls);
    INHERIT_POINTER(strip_headers);
    if (add->strip_headers != NULL && base->strip_headers != NULL) {
        conf->strip_headers = apr_array_append(pool, add->strip_headers, base->strip_headers);
    }
    INHERIT_POINTER(spn);
    merge_user(conf, base, add);
    return conf;
}

bool eas_delegation_is_on(const struct eas_delegation_dir *conf)
{
    return conf->delegate >= 0 ? conf->delegate : DEFAULT_DELEGATE;
}

bool eas_delegation_by_certificate(const struct eas_delegation_dir *conf)
{
    return conf->delegate_certificate >= 0 ? conf->delegate_certificate
                                           : DEFAULT_DELEGATE_CERTIFICATE;
}

bool eas_delegation_transitions(const struct eas_delegation_dir *conf)
{
    return conf->transition >= 0 ? conf->transition : DEFAULT_PROTOCOL_TRANSITION;
}

const char *eas_delegation_spn(const struct eas_delegation_dir *conf)
{
    return conf->spn != NULL ? conf->spn : DEFAULT_SPN;
}

bool eas_delegation_requires_mutual(const struct eas_delegation_dir *conf)
{
    return conf->mutual >= 0 ? conf->mutual : DEFAULT_MUTUAL_AUTH;
}

bool eas_delegation_reuses(const struct eas_delegation_dir *conf)
{
    return conf->reuse >= 0 ? conf->reuse : DEFAULT_BACKEND_REUSE;
}

bool eas_delegation_resumes(const struct eas_delegation_dir *conf)
{
    return conf->resume >= 0 ? conf->resume : DEFAULT_BACKEND_RESUME;
}

bool eas_delegation_binds(const struct eas_delegation_dir *conf)
{
    return conf->bind >= 0 ? conf->bind : DEFAULT_CHANNEL_BINDING;
}

enum eas_token_by eas_delegation_token_by(const struct eas_delegation_server *server,
                                          const struct eas_delegation_dir *conf)
{
    if (server->native_unfit) {
        return EAS_TOKEN_GSSAPI;
    }
    return conf->token_by >= 0 ? (enum eas_token_by)conf->token_by : DEFAULT_TOKEN;
}

apr_off_t eas_delegation_retry_body(const struct eas_delegation_dir *conf)
{
    return conf->retry_body >= 0 ? conf->retry_body : DEFAULT_RETRY_BODY;
}

bool eas_delegation_parks(const struct eas_delegation_dir *conf, bool mpm_can)
{
    return conf->park >= 0 ? conf->park : DEFAULT_PARK && mpm_can;
}

apr_interval_time_t eas_delegation_park_spread(const struct eas_delegation_server *conf)
{
    return conf->park_spread >= 0 ? conf->park_spread : DEFAULT_PARK_SPREAD;
}

unsigned eas_delegation_long_polls(const struct eas_delegation_dir *conf)
{
    return conf->long_polls >= 0 ? (unsigned)conf->long_polls : DEFAULT_LONG_POLLS;
}

int eas_delegation_backend_pools(const struct eas_delegation_server *conf)
{
    return conf->pools > 0 ? conf->pools : DEFAULT_BACKEND_POOLS;
}
