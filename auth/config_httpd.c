/* SPDX-License-Identifier: Apache-2.0 */
/* auth/config_httpd.c - the configuration of the front half */

#include "auth/config_httpd.h"
#include "auth/request_httpd.h"
#include "auth/login/destination.h"
#include "auth/base/duration.h"
#include "auth/activesync/activesync_httpd.h"
#include "auth/password/throttle_httpd.h"
#include "auth/kerberos/kdc.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <ap_provider.h>
#include <ap_mpm.h>
#include <mod_auth.h>
#include <openssl/crypto.h>

/* Bytes of proved passwords and their evidence that a child remembers; about 15 000 users. */
#define MEMORY_BYTES (64 * 1024 * 1024)

/* A page of people's own, images inlined. */
#define LOGIN_PAGE_MAX (256 * 1024)

/* Threads of a child that speak with KDCs, and of one realm; each does some 50 log-ons a second. */
#define KDC_THREADS 10
#define KDC_SHARE 8
#define KDC_QUEUE 1024

#define DEFAULT_KDC_TIMEOUT apr_time_from_sec(5)
#define DEFAULT_PASSWORD_CACHE apr_time_from_sec(300)
#define DEFAULT_KNOWN_PASSWORDS apr_time_from_sec(30 * 24 * 3600)
#define DEFAULT_BAD_PASSWORDS apr_time_from_sec(15 * 60)
#define DEFAULT_LOCKOUT_FAILURES 3
#define DEFAULT_LOCKOUT_WINDOW apr_time_from_sec(30 * 60)
#define DEFAULT_LOGIN_PATH "/eas-kcd/"
#define DEFAULT_SESSION_COOKIE "__Host-eas-kcd"

/* Public and private computers', as the form of Exchange itself has them. */
static const struct eas_session_limits default_limits[2] = {
    { apr_time_from_sec(15 * 60), apr_time_from_sec(8 * 3600) },
    { apr_time_from_sec(8 * 3600), apr_time_from_sec(24 * 3600) },
};

static const struct eas_auth_callbacks *the_back;

/* Over all servers; found out while the configuration is read, by the one thread there is. */
static apr_interval_time_t longest_session;

void eas_auth_set_callbacks(const struct eas_auth_callbacks *back)
{
    the_back = back;
}

const struct eas_auth_callbacks *eas_auth_callbacks(void)
{
    return the_back;
}

struct eas_auth_server *eas_auth_server_create(apr_pool_t *pool)
{
    struct eas_auth_server *conf = apr_pcalloc(pool, sizeof(*conf));

    conf->kdc_timeout = -1;
    conf->password_cache = -1;
    conf->known_passwords = -1;
    conf->bad_passwords = -1;
    conf->lockout_failures = -1;
    conf->limits[0].idle = conf->limits[1].idle = -1;
    return conf;
}

#define INHERIT_POINTER(field) conf->field = add->field != NULL ? add->field : base->field
#define INHERIT_NUMBER(field) conf->field = add->field >= 0 ? add->field : base->field

/* Its three values are one setting. */
static void inherit_lockout(struct eas_auth_server *conf, const struct eas_auth_server *from)
{
    conf->lockout_failures = from->lockout_failures;
    conf->lockout_window = from->lockout_window;
    conf->lockout_log_only = from->lockout_log_only;
}

struct eas_auth_server *eas_auth_server_merge(apr_pool_t *pool, const struct eas_auth_server *base,
                                              const struct eas_auth_server *add)
{
    struct eas_auth_server *conf = eas_auth_server_create(pool);
    int i;

    INHERIT_POINTER(keytab_path);
    INHERIT_POINTER(principal);
    INHERIT_POINTER(realm);
    INHERIT_NUMBER(kdc_timeout);
    INHERIT_NUMBER(password_cache);
    INHERIT_NUMBER(known_passwords);
    INHERIT_NUMBER(bad_passwords);
    inherit_lockout(conf, add->lockout_failures >= 0 ? add : base);
    INHERIT_POINTER(providers);
    INHERIT_POINTER(login_path);
    INHERIT_POINTER(login_page);
    INHERIT_POINTER(session_cookie);
    for (i = 0; i < 2; i++) {
        conf->limits[i] = add->limits[i].idle >= 0 ? add->limits[i] : base->limits[i];
    }
    if (add->domains != NULL && base->domains != NULL) {
        conf->domains = apr_array_append(pool, add->domains, base->domains);
    }
    else {
        INHERIT_POINTER(domains);
    }
    return conf;
}

struct eas_auth_dir *eas_auth_dir_create(apr_pool_t *pool)
{
    struct eas_auth_dir *conf = apr_pcalloc(pool, sizeof(*conf));

    conf->require_tls = -1;
    conf->always = -1;
    conf->challenge = -1;
    conf->parse_eas = -1;
    return conf;
}

struct eas_auth_dir *eas_auth_dir_merge(apr_pool_t *pool, const struct eas_auth_dir *base,
                                        const struct eas_auth_dir *add)
{
    struct eas_auth_dir *conf = eas_auth_dir_create(pool);

    INHERIT_NUMBER(require_tls);
    INHERIT_NUMBER(always);
    INHERIT_NUMBER(challenge);
    INHERIT_POINTER(form_for);
    INHERIT_NUMBER(parse_eas);
    conf->command_timeouts =
        eas_timeouts_merge(pool, base->command_timeouts, add->command_timeouts);
    return conf;
}

apr_interval_time_t eas_auth_password_cache(const struct eas_auth_server *conf)
{
    return conf->password_cache >= 0 ? conf->password_cache : DEFAULT_PASSWORD_CACHE;
}

struct eas_throttle_rules eas_auth_throttle_rules(const struct eas_auth_server *conf)
{
    struct eas_throttle_rules rules = { .charge_unknown = true };
    bool is_set = conf->lockout_failures >= 0;
    int last = conf->providers != NULL ? conf->providers->nelts - 1 : -1;

    rules.lockout.failures = is_set ? (unsigned)conf->lockout_failures : DEFAULT_LOCKOUT_FAILURES;
    rules.lockout.window = is_set ? conf->lockout_window : DEFAULT_LOCKOUT_WINDOW;
    rules.lockout.log_only = is_set && conf->lockout_log_only;
    rules.lockout.remember_for =
        conf->bad_passwords >= 0 ? conf->bad_passwords : DEFAULT_BAD_PASSWORDS;
    rules.known_for = conf->known_passwords >= 0 ? conf->known_passwords : DEFAULT_KNOWN_PASSWORDS;
    rules.proved_for = eas_auth_password_cache(conf);
    if (last >= 0) {
        rules.charge_unknown =
            strcmp(APR_ARRAY_IDX(conf->providers, last, const char *), "kdc") == 0;
    }
    return rules;
}

const struct eas_session_limits *eas_auth_session_limits(const struct eas_auth_server *conf)
{
    return conf->limits; /* completed by prepare_server() */
}

apr_interval_time_t eas_auth_longest_session(void)
{
    return longest_session;
}

const char *eas_auth_session_cookie(const struct eas_auth_server *conf)
{
    return conf->session_cookie != NULL ? conf->session_cookie : DEFAULT_SESSION_COOKIE;
}

const char *eas_auth_login_path(const struct eas_auth_server *conf)
{
    return conf->login_path != NULL ? conf->login_path : DEFAULT_LOGIN_PATH;
}

const struct eas_template *eas_auth_login_page(const struct eas_auth_server *conf)
{
    return conf->page;
}

bool eas_auth_serves_login(const struct eas_auth_server *conf)
{
    return conf->keytab_path != NULL || conf->providers != NULL;
}

bool eas_auth_requires_tls(const struct eas_auth_dir *conf)
{
    return conf->require_tls != 0;
}

/* Servers that name the same keytab and principal share what was read. */
static struct eas_keytab *shared_keytab(server_rec *main_server, const server_rec *s)
{
    const struct eas_auth_server *conf = eas_auth_server_of(s);
    const server_rec *other;

    for (other = main_server; other != s; other = other->next) {
        const struct eas_auth_server *theirs = eas_auth_server_of(other);

        if (theirs->authority != NULL && strcmp(theirs->keytab_path, conf->keytab_path) == 0
            && (theirs->principal == conf->principal
                || (theirs->principal != NULL && conf->principal != NULL
                    && strcmp(theirs->principal, conf->principal) == 0))) {
            return theirs->authority->keytab;
        }
    }
    return NULL;
}

/*
 * The same in all children, generations and gateways; another for another virtual host, and where the
 * same name and password would come to something else.
 */
static const char *scope_of(apr_pool_t *pconf, const server_rec *s,
                            const struct eas_authority *authority)
{
    return apr_psprintf(pconf, "%s:%u\n%s\n%s",
                        s->server_hostname != NULL ? s->server_hostname : "", s->port,
                        eas_keytab_principal_name(authority->keytab),
                        eas_identity_realms_text(pconf, &authority->realms));
}

static enum eas_rc prepare_authority(apr_pool_t *pconf, server_rec *main_server, server_rec *s,
                                     struct eas_err *err)
{
    struct eas_auth_server *conf = eas_auth_server_of(s);
    struct eas_authority *authority;
    enum eas_rc rc = EAS_OK;

    if (conf->keytab_path == NULL) {
        return EAS_OK;
    }
    authority = apr_pcalloc(pconf, sizeof(*authority));
    authority->kdc_timeout = conf->kdc_timeout >= 0 ? conf->kdc_timeout : DEFAULT_KDC_TIMEOUT;
    authority->realms.domains = conf->domains;
    authority->realms.default_realm = conf->realm;
    authority->keytab = shared_keytab(main_server, s);
    if (authority->keytab == NULL) {
        rc = eas_keytab_load(pconf, conf->keytab_path, conf->principal, &authority->keytab, err);
    }
    if (rc == EAS_OK && conf->realm == NULL) {
        rc = eas_kdc_default_realm(pconf, &authority->realms.default_realm, err);
    }
    if (rc == EAS_OK) {
        conf->authority = authority;
        conf->scope = scope_of(pconf, s, authority);
    }
    return rc;
}

/* The login page, read as root like all configuration. */
static enum eas_rc prepare_page(apr_pool_t *pconf, struct eas_auth_server *conf,
                                struct eas_err *err)
{
    apr_file_t *file;
    apr_finfo_t finfo;
    char *html;
    apr_size_t len;

    if (conf->login_page == NULL || *conf->login_page == '\0') {
        return eas_page_compile(pconf, NULL, 0, &conf->page, err);
    }
    if (apr_file_open(&file, conf->login_page, APR_FOPEN_READ, APR_FPROT_OS_DEFAULT, pconf)
            != APR_SUCCESS
        || apr_file_info_get(&finfo, APR_FINFO_SIZE, file) != APR_SUCCESS
        || finfo.size > LOGIN_PAGE_MAX) {
        return eas_fail(err, EAS_MISCONFIGURED, 3030,
                        "EasKcdLoginPage %s cannot be read or is over %d KB", conf->login_page,
                        LOGIN_PAGE_MAX >> 10);
    }
    html = apr_palloc(pconf, (apr_size_t)finfo.size + 1);
    if (apr_file_read_full(file, html, (apr_size_t)finfo.size, &len) != APR_SUCCESS) {
        len = 0; /* an empty page lacks its placeholders, and says so */
    }
    html[len] = '\0';
    apr_file_close(file);
    if (eas_page_compile(pconf, html, len, &conf->page, err) != EAS_OK) {
        const char *what = apr_pstrdup(pconf, err->text);

        return eas_fail(err, err->rc, err->tag, "EasKcdLoginPage %s: %s", conf->login_page, what);
    }
    return EAS_OK;
}

static enum eas_rc prepare_server(apr_pool_t *pconf, server_rec *main_server, server_rec *s,
                                  struct eas_err *err)
{
    struct eas_auth_server *conf = eas_auth_server_of(s);
    enum eas_rc rc = prepare_authority(pconf, main_server, s, err);
    int i;

    for (i = 0; i < 2; i++) {
        if (conf->limits[i].idle < 0) {
            conf->limits[i] = default_limits[i];
        }
        if (conf->limits[i].max > longest_session) {
            longest_session = conf->limits[i].max;
        }
    }
    return rc == EAS_OK ? prepare_page(pconf, conf, err) : rc;
}

int eas_auth_check_config(apr_pool_t *pconf, apr_pool_t *ptemp, server_rec *main_server)
{
    const char *error = eas_challenge_compile(pconf, ptemp);
    struct eas_err err;
    server_rec *s;

    if (error != NULL) {
        eas_fail(&err, EAS_MISCONFIGURED, 3031, "the built-in rule of EasKcdFormFor: %s", error);
        eas_log_startup(main_server, &err);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    longest_session = 0;
    for (s = main_server; s != NULL; s = s->next) {
        if (prepare_server(pconf, main_server, s, &err) != EAS_OK) {
            eas_log_startup(s, &err);
            return HTTP_INTERNAL_SERVER_ERROR;
        }
    }
    return eas_shared_check_config(pconf, &eas_auth_server_of(main_server)->shared, main_server);
}

int eas_auth_post_config(apr_pool_t *pconf, server_rec *main_server)
{
    int status = eas_shared_post_config(pconf, main_server);

    return status == OK ? eas_throttle_post_config(pconf, main_server) : status;
}

static struct eas_workers *make_kdc_pool(apr_pool_t *pchild)
{
    struct eas_workers_limits limits = { KDC_THREADS, KDC_SHARE, KDC_QUEUE, 1 };
    int workers = 0;

    if (ap_mpm_query(AP_MPMQ_MAX_THREADS, &workers) == APR_SUCCESS && workers >= 8) {
        limits.stalled = (unsigned)workers / 4;
    }
    return eas_workers_create(pchild, limits);
}

/* The same in all children, so that what one leaves on the shelf the others find. */
static enum eas_rc make_memory(apr_pool_t *pool, struct eas_password_cache **out,
                               struct eas_err *err)
{
    unsigned char secret[EAS_PASSWORD_CACHE_KEY_SIZE];
    struct eas_seal_part label = { "memory", 6 };
    enum eas_rc rc =
        eas_seal_mac(eas_shared_keyring(), 0, EAS_SEAL_PASSWORD, &label, 1, secret, err);

    if (rc == EAS_OK) {
        rc = eas_password_cache_create(pool, MEMORY_BYTES, secret, out, err);
    }
    OPENSSL_cleanse(secret, sizeof(secret));
    return rc;
}

struct eas_workers *eas_auth_child_init(apr_pool_t *pchild, server_rec *main_server)
{
    struct eas_workers *kdcs;
    apr_pool_t *pool;
    struct eas_verifier *prover;
    struct eas_err err;
    server_rec *s;

    /* First, to end last: the jobs of the KDC pool put what they have got. */
    eas_socache_child_init(pchild, main_server);
    kdcs = make_kdc_pool(pchild);
    pool = eas_workers_pool(kdcs);
    prover = apr_pcalloc(pool, sizeof(*prover));
    prover->kdcs = kdcs;
    prover->shelf = eas_shared_cache(EAS_SHARED_PASSWORD);
    prover->guard = eas_throttle();
    if (make_memory(pool, &prover->memory, &err) != EAS_OK) {
        eas_log_startup(main_server, &err); /* goes on, proving nobody */
    }
    for (s = main_server; s != NULL; s = s->next) {
        eas_auth_server_of(s)->prover = prover;
    }
    return kdcs;
}
