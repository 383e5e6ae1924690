/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/main.c - eas-kcd-check: the whole way of a delegation, step by step */

#include "delegation/check/http.h"
#include "delegation/check/prompt.h"
#include "delegation/check/settings.h"
#include "delegation/check/walk.h"

#include <apr_general.h>
#include <locale.h>
#include <signal.h>
#include <sys/resource.h>

enum { EXIT_PASSED, EXIT_FINDING, EXIT_USAGE };

static int count_spns(const apr_array_header_t *servers)
{
    int i, n = 0;

    for (i = 0; i < servers->nelts; i++) {
        n += APR_ARRAY_IDX(servers, i, struct eas_settings_server).options.spns->nelts;
    }
    return n;
}

static void walk(const struct eas_check *common, const struct eas_options *options)
{
    struct eas_check check = *common;

    check.options = options;
    eas_walk(&check);
}

static void walk_configuration(struct eas_check *common)
{
    const char *reason = "";
    const apr_array_header_t *servers;
    int i;

    eas_report_begin(common->report, "configuration", common->options->conf);
    servers = eas_settings_read(common->pool, common->options, &reason);
    if (servers == NULL) {
        eas_report_find(common->report, EAS_FINDING_CONFIG_REFUSED, &common->names, reason);
        return;
    }
    if (servers->nelts == 0) {
        eas_report_find(common->report, EAS_FINDING_CONFIG_EMPTY, &common->names, "");
        return;
    }
    eas_report_pass(common->report, "");
    common->n_spns = count_spns(servers);
    for (i = 0; i < servers->nelts; i++) {
        const struct eas_settings_server *server =
            &APR_ARRAY_IDX(servers, i, struct eas_settings_server);

        eas_report_begin(common->report, "virtual host", server->name);
        eas_report_pass(common->report, "");
        walk(common, &server->options);
    }
}

/* All else is well, and the URL was for none of the SPNs. */
static void check_connect(struct eas_check *check)
{
    const char *url = check->options->connect;
    struct eas_http_target target;

    if (url != NULL && eas_report_passed(check->report)
        && !eas_report_has(check->report, "connection")
        && eas_http_parse(check->pool, url, &target)) {
        check->names.host = target.host;
        eas_report_begin(check->report, "connection", url);
        eas_report_find(check->report, EAS_FINDING_CONNECT_UNUSED, &check->names, "");
    }
}

static int run(apr_pool_t *pool, const struct eas_options *options)
{
    struct eas_check check = { .pool = pool, .options = options };

    if (options->password && (check.password = eas_prompt_password(pool, options->user)) == NULL) {
        fputs("eas-kcd-check: no password on the standard input, or a too long one\n", stderr);
        return EXIT_USAGE;
    }
    check.report = eas_report_create(pool, options->json ? NULL : stdout);
    if (options->conf != NULL) {
        walk_configuration(&check);
    }
    else {
        check.n_spns = options->spns->nelts;
        walk(&check, options);
    }
    check_connect(&check);
    if (options->json) {
        eas_report_print_json(check.report, stdout);
    }
    else {
        eas_report_print_sum(check.report, stdout);
    }
    return eas_report_passed(check.report) ? EXIT_PASSED : EXIT_FINDING;
}

int main(int argc, const char *const *argv)
{
    static const struct rlimit no_core = { 0, 0 };
    struct eas_options options;
    apr_pool_t *pool;
    int status;

    setlocale(LC_CTYPE, "");
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdin, NULL, _IONBF, 0); /* no copy of the password */
    setrlimit(RLIMIT_CORE, &no_core);
    if (apr_app_initialize(&argc, &argv, NULL) != APR_SUCCESS
        || apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        return EXIT_FINDING;
    }
    switch (eas_options_parse(pool, argc, argv, &options)) {
    case EAS_OPTIONS_RUN:
        status = run(pool, &options);
        break;
    case EAS_OPTIONS_SHOWN:
        status = EXIT_PASSED;
        break;
    default:
        status = EXIT_USAGE;
        break;
    }
    apr_pool_destroy(pool);
    apr_terminate();
    return status;
}
