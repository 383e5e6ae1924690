/* SPDX-License-Identifier: Apache-2.0 */
/* auth/shared/retained_httpd.c - Memory that outlives graceful restarts */

#include "auth/shared/retained_httpd.h"
#include "auth/base/module_httpd.h"

#include <apr_shm.h>
#include <apr_strings.h>
#include <http_config.h>
#include <http_log.h>
#include <mpm_common.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

static void *make_segment(server_rec *s, struct eas_retained_layout layout)
{
    apr_shm_t *shm;
    void *memory;

    if (apr_shm_create(&shm, layout.size, NULL, s->process->pool) != APR_SUCCESS) {
        return NULL;
    }
    memory = apr_shm_baseaddr_get(shm);
    if (layout.is_table) {
        eas_shm_table_format(memory, layout.size);
    }
    return memory;
}

#define NUMBER_MAX 99
#define NAME_MAX_SIZE 64

static uint64_t count_records(const struct eas_retained *retained)
{
    uint64_t count = 0;
    int i;

    for (i = 0; i < EAS_RETAINED_SEGMENTS; i++) {
        if (retained->segments[i] != NULL) {
            count += eas_shm_table_count(retained->segments[i], apr_time_now());
        }
    }
    return count;
}

/* The same name with another number is that of another version of the module. */
static void log_dropped(server_rec *s, const char *name)
{
    int stem = (int)(strrchr(name, ':') + 1 - name), number;
    char other[NAME_MAX_SIZE];

    for (number = 1; number <= NUMBER_MAX; number++) {
        const struct eas_retained *retained;

        apr_snprintf(other, sizeof(other), "%.*s%d", stem, name, number);
        retained = ap_retained_data_get(other);
        if (retained != NULL) {
            ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s,
                         "EAS3092: %" APR_UINT64_T_FMT
                         " records of %s are dropped, because this version of the module has "
                         "another format; users of the login form log on again",
                         (apr_uint64_t)count_records(retained), other);
        }
    }
}

const struct eas_retained *eas_retained_attach(
    server_rec *s, const char *name, const struct eas_retained_layout layout[EAS_RETAINED_SEGMENTS])
{
    struct eas_retained *retained = ap_retained_data_get(name);
    unsigned char secret[EAS_RETAINED_SECRET_SIZE];
    int i;

    if (retained != NULL) {
        return retained;
    }
    if (RAND_priv_bytes(secret, sizeof(secret)) != 1) {
        return NULL;
    }
    log_dropped(s, name);
    retained = ap_retained_data_create(name, sizeof(*retained));
    memcpy(retained->secret, secret, sizeof(secret));
    OPENSSL_cleanse(secret, sizeof(secret));
    retained->is_complete = true;
    for (i = 0; i < EAS_RETAINED_SEGMENTS; i++) {
        if (layout[i].size > 0) {
            retained->segments[i] = make_segment(s, layout[i]);
            retained->is_complete = retained->is_complete && retained->segments[i] != NULL;
        }
    }
    return retained;
}

enum eas_rc eas_retained_keyring(const struct eas_retained *retained, apr_pool_t *pool,
                                 struct eas_keyring **out, struct eas_err *err)
{
    struct eas_secret *secret =
        eas_secret_make(pool, (const char *)retained->secret, sizeof(retained->secret));
    const struct eas_secret *secrets[] = { secret };
    enum eas_rc rc = eas_seal_keyring_create(pool, secrets, 1, out, err);

    eas_secret_wipe(secret);
    return rc;
}

#define WATCHED_MAX 4
#define LOG_EVERY apr_time_from_sec(60)

/* Of the parent process, which httpd's monitor hook runs in. */
struct eas_retained_watched {
    struct eas_shm_table *table;
    const char *what;
    uint64_t logged;
    apr_time_t logged_at;
};

void eas_retained_watch(apr_pool_t *pconf, struct eas_shm_table *table, const char *what)
{
    struct eas_module_process *process = eas_module_process();
    struct eas_retained_watched *watched = process->retained;
    int i = 0;

    if (watched == NULL) {
        watched = process->retained = apr_pcalloc(pconf, WATCHED_MAX * sizeof(*watched));
    }
    while (i < WATCHED_MAX && watched[i].table != NULL && watched[i].table != table) {
        i++;
    }
    if (i < WATCHED_MAX && watched[i].table == NULL) {
        watched[i].table = table;
        watched[i].what = what;
        watched[i].logged = eas_shm_table_evicted(table);
    }
}

/* httpd calls it every ten seconds. */
static int hook_monitor(apr_pool_t *pool, server_rec *s)
{
    struct eas_retained_watched *watched = eas_module_process()->retained;
    apr_time_t now = apr_time_now();
    int i;

    (void)pool;
    for (i = 0; watched != NULL && i < WATCHED_MAX && watched[i].table != NULL; i++) {
        uint64_t evicted = eas_shm_table_evicted(watched[i].table);

        if (evicted > watched[i].logged && now - watched[i].logged_at >= LOG_EVERY) {
            ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                         "EAS1073: the memory for %s is full: %" APR_UINT64_T_FMT
                         " records were overwritten before they expired; look for a user or an "
                         "address with very many log-ons",
                         watched[i].what, (apr_uint64_t)(evicted - watched[i].logged));
            watched[i].logged = evicted;
            watched[i].logged_at = now;
        }
    }
    return DECLINED;
}

void eas_retained_register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_monitor(hook_monitor, NULL, NULL, APR_HOOK_MIDDLE);
}
