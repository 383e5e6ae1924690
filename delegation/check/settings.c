/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/settings.c - settings of httpd's configuration, as httpd reads it */

#include "delegation/check/settings.h"
#include "auth/identity.h"

#include <apr_strings.h>
#include <apr_thread_proc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* More is not read. */
#define OUTPUT_MAX ((apr_size_t)1024 * 1024)

/* httpd looks up the names of its servers, one after the other. */
#define HTTPD_TIMEOUTS 6

/* The first line's beginning. */
#define FIRST_KEY "eas-kcd\t"

static const char *const programs[] = { "/usr/sbin/apache2ctl", "/usr/sbin/apachectl",
                                        "/usr/sbin/httpd", "/usr/local/apache2/bin/apachectl" };

/* --- the lines -------------------------------------------------------------------------------- */

static struct eas_settings_server *add_server(apr_pool_t *pool, apr_array_header_t *servers,
                                              const struct eas_options *options, const char *name)
{
    struct eas_settings_server *server = apr_array_push(servers);

    server->name = name;
    server->options = *options;
    server->options.keytab = NULL;
    server->options.spns = apr_array_make(pool, 4, sizeof(const char *));
    server->options.domains = apr_array_make(pool, 4, sizeof(struct eas_domain));
    return server;
}

static bool has_text(const apr_array_header_t *texts, const char *text)
{
    int i;

    for (i = 0; i < texts->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(texts, i, const char *), text) == 0) {
            return true;
        }
    }
    return false;
}

static void add_domain(apr_pool_t *pool, struct eas_options *options, const char *value)
{
    const char *equals = strchr(value, '=');
    struct eas_domain *domain;

    if (equals != NULL) {
        domain = apr_array_push(options->domains);
        domain->name = apr_pstrmemdup(pool, value, (apr_size_t)(equals - value));
        domain->realm = equals + 1;
    }
}

static void take(apr_pool_t *pool, struct eas_options *options, const char *key, const char *value)
{
    if (strcmp(key, "keytab") == 0) {
        options->keytab = value;
    }
    else if (strcmp(key, "principal") == 0) {
        options->principal = value;
    }
    else if (strcmp(key, "realm") == 0) {
        options->realm = value;
    }
    else if (strcmp(key, "domain") == 0) {
        add_domain(pool, options, value);
    }
    else if (strcmp(key, "armor") == 0) {
        options->armor = (enum eas_armor_mode)strtol(value, NULL, 10);
    }
    else if (strcmp(key, "transition") == 0) {
        options->transition = true;
    }
    else if (strcmp(key, "spn") == 0 && !has_text(options->spns, value)) {
        APR_ARRAY_PUSH(options->spns, const char *) = value;
    }
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_domains(const apr_array_header_t *a, const apr_array_header_t *b)
{
    int i;

    for (i = 0; i < a->nelts && i < b->nelts; i++) {
        const struct eas_domain *left = &APR_ARRAY_IDX(a, i, struct eas_domain);
        const struct eas_domain *right = &APR_ARRAY_IDX(b, i, struct eas_domain);

        if (strcmp(left->name, right->name) != 0 || strcmp(left->realm, right->realm) != 0) {
            return false;
        }
    }
    return a->nelts == b->nelts;
}

/* Equal but for their SPNs, of which the first gets all. */
static bool joins(const struct eas_options *first, const struct eas_options *second)
{
    int i;

    if (!same_text(first->keytab, second->keytab) || !same_text(first->realm, second->realm)
        || !same_text(first->principal, second->principal)
        || first->transition != second->transition || first->armor != second->armor
        || !same_domains(first->domains, second->domains)) {
        return false;
    }
    for (i = 0; i < second->spns->nelts; i++) {
        const char *spn = APR_ARRAY_IDX(second->spns, i, const char *);

        if (!has_text(first->spns, spn)) {
            APR_ARRAY_PUSH(first->spns, const char *) = spn;
        }
    }
    return true;
}

/* Without servers that do not delegate, and with those of equal settings joined. */
static apr_array_header_t *joined(apr_pool_t *pool, const apr_array_header_t *servers)
{
    apr_array_header_t *all =
        apr_array_make(pool, servers->nelts, sizeof(struct eas_settings_server));
    int i, j;

    for (i = 0; i < servers->nelts; i++) {
        const struct eas_settings_server *server =
            &APR_ARRAY_IDX(servers, i, struct eas_settings_server);

        for (j = 0; j < all->nelts; j++) {
            if (joins(&APR_ARRAY_IDX(all, j, struct eas_settings_server).options,
                      &server->options)) {
                break;
            }
        }
        if (j == all->nelts && server->options.spns->nelts > 0) {
            APR_ARRAY_PUSH(all, struct eas_settings_server) = *server;
        }
    }
    return all;
}

apr_array_header_t *eas_settings_parse(apr_pool_t *pool, const struct eas_options *options,
                                       char *text)
{
    apr_array_header_t *servers = apr_array_make(pool, 4, sizeof(struct eas_settings_server));
    struct eas_options common = *options;
    struct eas_settings_server *server = NULL;
    char *state, *line;

    for (line = apr_strtok(text, "\n", &state); line != NULL;
         line = apr_strtok(NULL, "\n", &state)) {
        char *value = strchr(line, '\t');

        if (value == NULL) {
            continue;
        }
        *value++ = '\0';
        if (strcmp(line, "user") == 0 && common.httpd_user == NULL) {
            common.httpd_user = value;
        }
        else if (strcmp(line, "server") == 0) {
            server = add_server(pool, servers, &common, value);
        }
        else if (server != NULL) {
            take(pool, &server->options, line, value);
        }
    }
    return joined(pool, servers);
}

/* --- httpd ------------------------------------------------------------------------------------ */

static const char *find_program(apr_pool_t *pool, const struct eas_options *options)
{
    apr_finfo_t info;
    size_t i;

    if (options->httpd != NULL) {
        return options->httpd;
    }
    for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        if (apr_stat(&info, programs[i], APR_FINFO_TYPE, pool) == APR_SUCCESS) {
            return programs[i];
        }
    }
    return "httpd";
}

/* Up to the end, or the maximum.  NULL if the process is silent for that time. */
static char *read_all(apr_pool_t *pool, apr_file_t *file, apr_interval_time_t limit,
                      bool *is_end_out)
{
    char *text = apr_palloc(pool, OUTPUT_MAX + 1);
    apr_size_t len = 0;
    apr_status_t status;

    apr_file_pipe_timeout_set(file, limit);
    status = apr_file_read_full(file, text, OUTPUT_MAX, &len);
    *is_end_out = APR_STATUS_IS_EOF(status);
    text[len] = '\0';
    return APR_STATUS_IS_TIMEUP(status) ? NULL : text;
}

/*
 * stdout and stderr of the program; NULL if it cannot be run, or does not end.  Its processes hold
 * the one end of the pipe alone, so that the other one's end is theirs.
 */
static char *output_of(apr_pool_t *pool, const char *const *args, apr_interval_time_t limit)
{
    apr_file_t *in, *out;
    apr_procattr_t *attr;
    apr_proc_t process;
    apr_status_t status;
    char *text = NULL;
    bool is_end;

    if (apr_file_pipe_create(&in, &out, pool) != APR_SUCCESS
        || apr_file_inherit_unset(in) != APR_SUCCESS
        || apr_procattr_create(&attr, pool) != APR_SUCCESS
        || apr_procattr_cmdtype_set(attr, APR_PROGRAM_PATH) != APR_SUCCESS
        || apr_procattr_child_out_set(attr, out, NULL) != APR_SUCCESS
        || apr_procattr_child_err_set(attr, out, NULL) != APR_SUCCESS) {
        return NULL;
    }
    status = apr_proc_create(&process, args[0], args, NULL, attr, pool);
    apr_file_close(out);
    if (status == APR_SUCCESS) {
        text = read_all(pool, in, limit, &is_end);
        if (!is_end) {
            apr_proc_kill(&process, SIGKILL); /* else it would wait for room */
        }
        apr_proc_wait(&process, NULL, NULL, APR_WAIT);
    }
    apr_file_close(in);
    return text;
}

apr_array_header_t *eas_settings_read(apr_pool_t *pool, const struct eas_options *options,
                                      const char **reason_out)
{
    char *conf = NULL;
    const char *args[] = {
        find_program(pool, options), "-t", "-D", "EAS_KCD_DUMP", "-f", NULL, NULL
    };
    char *text, *begin;

    /* For httpd, a relative path begins at its ServerRoot. */
    args[5] = apr_filepath_merge(&conf, NULL, options->conf, 0, pool) == APR_SUCCESS
                  ? conf
                  : options->conf;
    text = output_of(pool, args, HTTPD_TIMEOUTS * options->timeout);
    begin = text != NULL ? strstr(text, FIRST_KEY) : NULL;
    /* The module prints before httpd looks at the keytab: a fault there is the walk's to name. */
    if (begin != NULL) {
        return eas_settings_parse(pool, options, begin);
    }
    *reason_out = apr_psprintf(pool, "%s -t -f %s: %.400s", args[0], options->conf,
                               text == NULL         ? "cannot be run, or does not end"
                               : strstr(text, "OK") ? "it does not load mod_eas_kcd"
                                                    : text);
    return NULL;
}
