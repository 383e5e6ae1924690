/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_log_limit.c - rate limits of the error log */

#include "t/unit/unit.h"

#include "auth/base/log_limit.h"

#include <apr_strings.h>

#define START apr_time_from_sec(1000)

static bool admit(struct eas_log_limit *limit, int tag, const char *text, const char *address,
                  apr_time_t after)
{
    struct eas_log_limit_line line = { .tag = tag, .level = 6, .text = text, .address = address };

    return eas_log_limit_admit(limit, &line, START + after);
}

/* The lines that pass, of n with the same text; each has one of so many addresses. */
static unsigned passing(struct eas_log_limit *limit, apr_pool_t *pool, int tag, unsigned n,
                        unsigned addresses)
{
    unsigned i, passed = 0;

    for (i = 0; i < n; i++) {
        passed +=
            admit(limit, tag, "wrong password", apr_psprintf(pool, "10.0.%u.1", i % addresses), 0);
    }
    return passed;
}

static void test_first_lines_pass(void **state)
{
    struct eas_log_limit *limit = eas_log_limit_create(*state);
    struct eas_log_limit_rest rest;

    assert_int_equal(passing(limit, *state, 1030, EAS_LOG_LIMIT_SAME, 1), EAS_LOG_LIMIT_SAME);
    assert_false(eas_log_limit_next(limit, START, true, &rest));
    assert_false(admit(limit, 1030, "wrong password", "10.0.0.1", 0));
}

static void test_storm_is_bounded(void **state)
{
    struct eas_log_limit *limit = eas_log_limit_create(*state);

    assert_int_equal(passing(limit, *state, 1030, 10000, 1), EAS_LOG_LIMIT_SAME);
    assert_int_equal(passing(limit, *state, 1031, 100000, 250),
                     EAS_LOG_LIMIT_ADDRESSES + EAS_LOG_LIMIT_LINES);
}

/* fail2ban gets lines of each address. */
static void test_addresses_hide_no_others(void **state)
{
    struct eas_log_limit *limit = eas_log_limit_create(*state);

    passing(limit, *state, 1030, 1000, 1);
    assert_true(admit(limit, 1030, "wrong password", "10.9.9.9", 0));
    passing(limit, *state, 1031, 1000, 10);
    assert_true(admit(limit, 1031, "wrong password", "10.9.9.9", 0));
}

/* Nor do the texts of one address. */
static void test_texts_hide_no_addresses(void **state)
{
    struct eas_log_limit *limit = eas_log_limit_create(*state);
    unsigned i;

    for (i = 0; i < 1000; i++) {
        admit(limit, 1010, apr_psprintf(*state, "field %u", i), "10.0.0.1", 0);
    }
    assert_true(admit(limit, 1010, "field 1", "10.9.9.9", 0));
}

static void test_other_tags_pass(void **state)
{
    struct eas_log_limit *limit = eas_log_limit_create(*state);

    passing(limit, *state, 1030, 1000, 250);
    assert_true(admit(limit, 1303, "wrong password", "10.0.0.1", 0));
}

/* However many lines a cause has, the first one of another passes. */
static void test_new_texts_pass(void **state)
{
    struct eas_log_limit *limit = eas_log_limit_create(*state);
    unsigned i, passed = 0;

    passing(limit, *state, 2010, 10000, 250);
    for (i = 0; i < 1000; i++) {
        passed += admit(limit, 2010, apr_psprintf(*state, "cause %u", i), "10.0.0.1", 0);
    }
    assert_uint_in_range(passed, EAS_LOG_LIMIT_TEXTS - 1, EAS_LOG_LIMIT_TEXTS);
}

static void test_rest_has_count_and_last(void **state)
{
    struct eas_log_limit *limit = eas_log_limit_create(*state);
    struct eas_log_limit_rest rest;

    passing(limit, *state, 1030, EAS_LOG_LIMIT_SAME + 6, 1);
    assert_false(admit(limit, 1030, "wrong password", "10.0.0.1", apr_time_from_sec(4)));
    assert_false(eas_log_limit_next(limit, START + apr_time_from_sec(9), false, &rest));
    assert_true(eas_log_limit_next(limit, START + apr_time_from_sec(12), false, &rest));
    assert_int_equal(rest.tag, 1030);
    assert_int_equal(rest.level, 6);
    assert_int_equal(rest.count, 7);
    assert_int_equal(apr_time_sec(rest.during), 12);
    assert_string_equal(rest.text, "wrong password");
    assert_string_equal(rest.address, "10.0.0.1");
    assert_false(eas_log_limit_next(limit, START + apr_time_from_sec(30), true, &rest));
}

static void test_next_window_begins_anew(void **state)
{
    struct eas_log_limit *limit = eas_log_limit_create(*state);
    struct eas_log_limit_rest rest;

    passing(limit, *state, 1030, 1000, 1);
    assert_true(eas_log_limit_next(limit, START + EAS_LOG_LIMIT_WINDOW, false, &rest));
    assert_true(admit(limit, 1030, "wrong password", "10.0.0.1", EAS_LOG_LIMIT_WINDOW));
    /* A window without a rest ends by itself. */
    assert_true(admit(limit, 1030, "wrong password", "10.0.0.1", 2 * EAS_LOG_LIMIT_WINDOW));
}

static void test_end_returns_all(void **state)
{
    struct eas_log_limit *limit = eas_log_limit_create(*state);
    struct eas_log_limit_rest rest;

    passing(limit, *state, 1030, 100, 1);
    passing(limit, *state, 1031, 100, 1);
    assert_true(eas_log_limit_next(limit, START, true, &rest));
    assert_true(eas_log_limit_next(limit, START, true, &rest));
    assert_false(eas_log_limit_next(limit, START, true, &rest));
}

/* More tags than there are places: a tag without a place counts anew. */
static void test_more_tags_than_places(void **state)
{
    struct eas_log_limit *limit = eas_log_limit_create(*state);
    struct eas_log_limit_rest rest;
    int tag;

    for (tag = 1000; tag < 1200; tag++) {
        passing(limit, *state, tag, EAS_LOG_LIMIT_SAME + 10, 1);
        assert_true(admit(limit, tag, "another", "10.0.0.2", 0));
    }
    for (tag = 0; eas_log_limit_next(limit, START, true, &rest); tag++) {
        assert_int_equal(rest.count, 10);
    }
    assert_int_equal(tag, 64);
}

/* While another tag has none, a rest keeps its place, however old its window is. */
static void test_rest_is_not_evicted(void **state)
{
    struct eas_log_limit *limit = eas_log_limit_create(*state);
    struct eas_log_limit_rest rest;
    int tag;

    passing(limit, *state, 1000, EAS_LOG_LIMIT_SAME + 10, 1);
    for (tag = 1001; tag < 1200; tag++) {
        assert_true(admit(limit, tag, "another", "10.0.0.2", 1));
    }
    assert_true(eas_log_limit_next(limit, START, true, &rest));
    assert_int_equal(rest.tag, 1000);
    assert_int_equal(rest.count, 10);
}

static void *APR_THREAD_FUNC storm(apr_thread_t *thread, void *data)
{
    struct eas_log_limit *limit = *(struct eas_log_limit **)data;
    int i;

    (void)thread;
    for (i = 0; i < 1000; i++) {
        admit(limit, 1030, "wrong password", "10.0.0.1", 0);
    }
    return NULL;
}

static void test_threads_lose_none(void **state)
{
    struct eas_log_limit *limit = eas_log_limit_create(*state), *limits[UNIT_THREADS];
    struct eas_log_limit_rest rest;
    int i;

    for (i = 0; i < UNIT_THREADS; i++) {
        limits[i] = limit;
    }
    unit_run_threads(*state, storm, limits, sizeof(limits[0]));
    assert_true(eas_log_limit_next(limit, START, true, &rest));
    assert_int_equal(rest.count, UNIT_THREADS * 1000 - EAS_LOG_LIMIT_SAME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_first_lines_pass),         POOL_TEST(test_storm_is_bounded),
        POOL_TEST(test_addresses_hide_no_others), POOL_TEST(test_texts_hide_no_addresses),
        POOL_TEST(test_other_tags_pass),          POOL_TEST(test_new_texts_pass),
        POOL_TEST(test_rest_has_count_and_last),  POOL_TEST(test_next_window_begins_anew),
        POOL_TEST(test_end_returns_all),          POOL_TEST(test_more_tags_than_places),
        POOL_TEST(test_rest_is_not_evicted),      POOL_TEST(test_threads_lose_none),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
