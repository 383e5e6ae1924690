/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_sid.c - security identifiers */

#include "t/unit/unit.h"

#include "auth/kerberos/sid.h"

#include <string.h>

static void test_octets(void **state)
{
    static const unsigned char everyone[] = { 1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0 };
    static const unsigned char group[] = { 1, 5, 0,    0,    0,    0,    0, 5, 21, 0, 0, 0, 1, 0,
                                           0, 0, 0xff, 0xff, 0xff, 0xff, 3, 0, 0,  0, 0, 2, 0, 0 };
    struct eas_sid sid;

    (void)state;
    assert_true(eas_sid_parse("S-1-1-0", &sid));
    assert_int_equal(sid.len, sizeof(everyone));
    assert_memory_equal(sid.at, everyone, sizeof(everyone));
    assert_true(eas_sid_parse("s-1-5-21-1-4294967295-3-512", &sid));
    assert_int_equal(sid.len, sizeof(group));
    assert_memory_equal(sid.at, group, sizeof(group));
    assert_true(eas_sid_is_valid(eas_bytes_make(sid.at, sid.len)));
    assert_true(eas_sid_parse("S-1-281474976710655-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15", &sid));
    assert_int_equal(sid.len, EAS_SID_MAX);
}

static void test_other_texts(void **state)
{
    static const char *const texts[] = {
        "",
        "S",
        "S-1",
        "S-1-5",
        "S-1-5-",
        "S-2-5-21",
        "S-1-5-21-x",
        "S-1-5-21 ",
        " S-1-5-21",
        "S-1-5--21",
        "X-1-5-21",
        "S-1-5-+21",
        "S1-5-21",
        "Domain Users",
        "S-1-5-4294967296",
        "S-1-281474976710656-1",
        "S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15-16",
        "S-1-5-99999999999999999999999999",
    };
    struct eas_sid sid;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(texts); i++) {
        assert_false(eas_sid_parse(texts[i], &sid));
    }
}

static void test_well_known(void **state)
{
    static const unsigned char users[] = { 1, 2, 0, 0 };
    struct eas_sid sid;

    (void)state;
    assert_true(eas_sid_well_known("domain users", &sid));
    assert_int_equal(sid.len, EAS_SID_RELATIVE);
    assert_memory_equal(sid.at, users, sizeof(users));
    assert_false(eas_sid_well_known("Domain User", &sid));
    assert_false(eas_sid_well_known("", &sid));
}

static void test_valid(void **state)
{
    unsigned char at[EAS_SID_MAX + 4] = { 1, 2 };

    (void)state;
    assert_true(eas_sid_is_valid(eas_bytes_make(at, 16)));
    assert_false(eas_sid_is_valid(eas_bytes_make(at, 15)));
    assert_false(eas_sid_is_valid(eas_bytes_make(at, 20)));
    assert_false(eas_sid_is_valid(eas_bytes_make(at, 0)));
    at[1] = 0;
    assert_false(eas_sid_is_valid(eas_bytes_make(at, 8)));
    at[1] = 16;
    assert_false(eas_sid_is_valid(eas_bytes_make(at, 72)));
    at[1] = 2;
    at[0] = 2;
    assert_false(eas_sid_is_valid(eas_bytes_make(at, 16)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_octets),
        cmocka_unit_test(test_other_texts),
        cmocka_unit_test(test_well_known),
        cmocka_unit_test(test_valid),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
