/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_timeouts.c - backend time-outs by ActiveSync command */

#include "t/unit/unit.h"

#include "auth/activesync/timeouts.h"

#define SECONDS(n) apr_time_from_sec(n)

static apr_array_header_t *list_of(apr_pool_t *pool, const struct eas_timeout *rows, size_t n)
{
    apr_array_header_t *list = NULL;
    size_t i;

    for (i = 0; i < n; i++) {
        list = eas_timeouts_set(pool, list, rows[i]);
    }
    return list;
}

static void assert_timeout(const apr_array_header_t *list, const char *command, int seconds)
{
    apr_interval_time_t found = eas_timeouts_find(list, command);

    if (found != SECONDS(seconds)) {
        fail_msg("%s has %d s, not %d s", command != NULL ? command : "(unknown)",
                 (int)apr_time_sec(found), seconds);
    }
}

static void test_defaults(void **state)
{
    static const struct {
        const char *command;
        int seconds;
    } rows[] = {
        { .command = "Ping", .seconds = 3600 },    { .command = "Sync", .seconds = 3600 },
        { .command = "pInG", .seconds = 3600 },    { .command = "FolderSync", .seconds = 120 },
        { .command = "SendMail", .seconds = 120 }, { .command = "24", .seconds = 120 },
        { .command = "", .seconds = 120 },         { .command = "*", .seconds = 120 },
        { .command = NULL, .seconds = 120 },
    };
    apr_array_header_t *empty = apr_array_make(*state, 1, sizeof(struct eas_timeout));
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_timeout(NULL, rows[i].command, rows[i].seconds);
        assert_timeout(empty, rows[i].command, rows[i].seconds);
    }
}

static void test_named_command_precedes_the_others(void **state)
{
    static const struct eas_timeout rows[] = {
        { .command = "*", .timeout = SECONDS(7) },
        { .command = "search", .timeout = SECONDS(8) },
    };
    apr_array_header_t *list = list_of(*state, rows, COUNT_OF(rows));

    assert_timeout(list, "Search", 8);
    assert_timeout(list, "SendMail", 7);
    assert_timeout(list, NULL, 7);
    assert_timeout(NULL, "Search", 120);
}

static void test_star_leaves_the_defaults_of_ping_and_sync(void **state)
{
    static const struct eas_timeout rows[] = {
        { .command = "*", .timeout = SECONDS(7) },
        { .command = "PING", .timeout = SECONDS(9) },
    };
    apr_array_header_t *list = list_of(*state, rows, COUNT_OF(rows));

    assert_timeout(list, "Ping", 9);
    assert_timeout(list, "Sync", 3600);
}

static void test_last_setting_of_a_command_counts(void **state)
{
    static const struct eas_timeout rows[] = {
        { .command = "Ping", .timeout = SECONDS(1) },
        { .command = "*", .timeout = SECONDS(2) },
        { .command = "ping", .timeout = SECONDS(3) },
        { .command = "*", .timeout = SECONDS(4) },
    };
    apr_array_header_t *list = list_of(*state, rows, COUNT_OF(rows));

    assert_int_equal(list->nelts, 2);
    assert_timeout(list, "Ping", 3);
    assert_timeout(list, "Search", 4);
}

static void test_merge(void **state)
{
    static const struct eas_timeout outer_rows[] = {
        { .command = "Ping", .timeout = SECONDS(1) },
        { .command = "Search", .timeout = SECONDS(2) },
        { .command = "*", .timeout = SECONDS(3) },
    };
    static const struct eas_timeout inner_rows[] = {
        { .command = "PING", .timeout = SECONDS(10) },
        { .command = "*", .timeout = SECONDS(30) },
    };
    apr_array_header_t *outer = list_of(*state, outer_rows, COUNT_OF(outer_rows));
    apr_array_header_t *inner = list_of(*state, inner_rows, COUNT_OF(inner_rows));
    apr_array_header_t *merged = eas_timeouts_merge(*state, outer, inner);

    assert_timeout(merged, "Ping", 10);
    assert_timeout(merged, "Search", 2);
    assert_timeout(merged, "SendMail", 30);
    assert_timeout(merged, "Sync", 3600);
    assert_timeout(outer, "Ping", 1);
    assert_timeout(outer, "SendMail", 3);
    assert_timeout(inner, "Search", 30);
}

static void test_merge_with_an_empty_list(void **state)
{
    static const struct eas_timeout rows[] = { { .command = "*", .timeout = SECONDS(5) } };
    apr_array_header_t *list = list_of(*state, rows, COUNT_OF(rows));

    assert_null(eas_timeouts_merge(*state, NULL, NULL));
    assert_timeout(eas_timeouts_merge(*state, list, NULL), "Search", 5);
    assert_timeout(eas_timeouts_merge(*state, NULL, list), "Search", 5);
}

static void test_commands_that_wait(void **state)
{
    static const struct eas_timeout rows[] = {
        { .command = "*", .timeout = SECONDS(7) },
        { .command = "Search", .timeout = SECONDS(8) },
        { .command = "Find", .timeout = SECONDS(7) },
        { .command = "Ping", .timeout = SECONDS(5) },
    };
    apr_array_header_t *list = list_of(*state, rows, COUNT_OF(rows));

    assert_true(eas_timeouts_waits(NULL, "Ping"));
    assert_true(eas_timeouts_waits(NULL, "sync"));
    assert_true(eas_timeouts_waits(list, "ping"));
    assert_true(eas_timeouts_waits(list, "search"));
    assert_false(eas_timeouts_waits(NULL, "Search"));
    assert_false(eas_timeouts_waits(list, "Find"));
    assert_false(eas_timeouts_waits(list, "SendMail"));
    assert_false(eas_timeouts_waits(list, "*"));
    assert_false(eas_timeouts_waits(list, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_defaults),
        POOL_TEST(test_named_command_precedes_the_others),
        POOL_TEST(test_star_leaves_the_defaults_of_ping_and_sync),
        POOL_TEST(test_last_setting_of_a_command_counts),
        POOL_TEST(test_commands_that_wait),
        POOL_TEST(test_merge),
        POOL_TEST(test_merge_with_an_empty_list),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
