/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_duration.c - parser for durations in directives */

#include "t/unit/unit.h"

#include "auth/base/duration.h"

#define MS APR_INT64_C(1000)
#define SECOND (1000 * MS)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

struct row {
    const char *text;
    apr_interval_time_t expected;
};

static void assert_parsed(const struct row *rows, size_t n)
{
    apr_interval_time_t got;

    for (; n > 0; n--, rows++) {
        got = -1;
        if (!eas_duration_parse(rows->text, &got) || got != rows->expected) {
            fail_msg("\"%s\" is read as %" APR_INT64_T_FMT, rows->text, got);
        }
    }
}

static void assert_refused(const char *const *rows, size_t n)
{
    apr_interval_time_t got;

    for (; n > 0; n--, rows++) {
        got = -1;
        if (eas_duration_parse(*rows, &got) || got != -1) {
            fail_msg("\"%s\" is read as %" APR_INT64_T_FMT, *rows, got);
        }
    }
}

static void test_every_unit(void **state)
{
    static const struct row rows[] = {
        { "30", 30 * SECOND },
        { "500ms", 500 * MS },
        { "30s", 30 * SECOND },
        { "15m", 15 * MINUTE },
        { "15min", 15 * MINUTE },
        { "8h", 8 * HOUR },
        { "30d", 30 * DAY },
        { "0", 0 },
        { "0ms", 0 },
        { "007m", 7 * MINUTE },
        { "1ms", MS },
        { "1", SECOND },
        { "3600s", 1 * HOUR },
        { "90m", 90 * MINUTE },
        { "1000ms", SECOND },
    };

    (void)state;
    assert_parsed(rows, COUNT_OF(rows));
}

static void test_units_in_any_letter_case(void **state)
{
    static const struct row rows[] = {
        { "500MS", 500 * MS },  { "500Ms", 500 * MS },    { "30S", 30 * SECOND },
        { "15M", 15 * MINUTE }, { "15MIN", 15 * MINUTE }, { "15mIn", 15 * MINUTE },
        { "8H", 8 * HOUR },     { "30D", 30 * DAY },
    };

    (void)state;
    assert_parsed(rows, COUNT_OF(rows));
}

static void test_ten_years_and_no_more(void **state)
{
    static const struct row longest[] = {
        { "3650d", 3650 * DAY },          { "87600h", 3650 * DAY },    { "5256000m", 3650 * DAY },
        { "5256000min", 3650 * DAY },     { "315360000", 3650 * DAY }, { "315360000s", 3650 * DAY },
        { "315360000000ms", 3650 * DAY },
    };
    static const char *const longer[] = {
        "3651d", "87601h", "5256001m", "5256001min", "315360001", "315360001s", "315360000001ms",
    };

    (void)state;
    assert_parsed(longest, COUNT_OF(longest));
    assert_refused(longer, COUNT_OF(longer));
}

/* Numbers around 2^31, 2^32, 2^63 and 2^64, and those whose product with the unit wraps. */
static void test_overflow_is_refused(void **state)
{
    static const char *const rows[] = {
        "2147483648d",
        "4294967296h",
        "4294967326",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "18446744073709551646ms",
        "213503982334601d", /* more than 2^64 / DAY */
        "99999999999999999999999999999999999999999",
    };

    (void)state;
    assert_refused(rows, COUNT_OF(rows));
}

static void test_junk_is_refused(void **state)
{
    static const char *const rows[] = {
        "",     " ",    "-1",  "+1",  "-0",    " 5",    "5 ",     "5 m",        "\t5",       "5\n",
        "300x", "5ms5", "5mm", "5mi", "5mins", "5sec",  "5hours", "5us",        "1.5h",      "1,5h",
        "0x10", "1e3",  "ms",  "m",   "off",   "5m 3s", "5m3s",   "5\xc2\xa0m", "\xd9\xa3m",
    };

    (void)state;
    assert_refused(rows, COUNT_OF(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_unit),
        cmocka_unit_test(test_units_in_any_letter_case),
        cmocka_unit_test(test_ten_years_and_no_more),
        cmocka_unit_test(test_overflow_is_refused),
        cmocka_unit_test(test_junk_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
