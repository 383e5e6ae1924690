/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/main.c - eas-kcd-check: the whole way of a delegation, step by step */

#include "delegation/check/walk.h"

#include <apr_general.h>
#include <locale.h>

enum { EXIT_PASSED, EXIT_FINDING, EXIT_USAGE };

static int run(apr_pool_t *pool, const struct eas_options *options)
{
    struct eas_check check = { .pool = pool, .options = options };

    check.report = eas_report_create(pool, options->json ? NULL : stdout);
    eas_walk(&check);
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
    struct eas_options options;
    apr_pool_t *pool;
    int status;

    setlocale(LC_CTYPE, "");
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
