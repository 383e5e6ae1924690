/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_resumption.c - decisions about a TLS session with a backend */

#include "t/unit/unit.h"

#include "delegation/proxy/resumption.h"

#define SECONDS(n) apr_time_from_sec(n)
#define START SECONDS(1000)

static const struct eas_resumption_facts good = {
    .resumable = true, .verifies = true, .verified = true, .tls13 = true
};

static void test_permitted(void **state)
{
    struct eas_resumption_facts facts = good;

    (void)state;
    assert_true(eas_resumption_permits(&facts));
    facts.resumed = true;
    assert_false(eas_resumption_permits(&facts));
    facts = good;
    facts.resumable = false;
    assert_false(eas_resumption_permits(&facts));
    facts = good;
    facts.revocation = true;
    assert_false(eas_resumption_permits(&facts));
}

static void test_verification(void **state)
{
    struct eas_resumption_facts facts = good;

    (void)state;
    facts.verified = false;
    assert_false(eas_resumption_permits(&facts));
    facts.verifies = false;
    assert_true(eas_resumption_permits(&facts));
}

static void test_earlier_versions(void **state)
{
    struct eas_resumption_facts facts = good;

    (void)state;
    facts.tls13 = false;
    assert_false(eas_resumption_permits(&facts));
    facts.extended_secret = true;
    assert_true(eas_resumption_permits(&facts));
}

static void test_five_minutes_from_the_full_handshake(void **state)
{
    struct eas_resumption session = { 0 };

    (void)state;
    assert_false(eas_resumption_is_current(&session, START));
    assert_true(eas_resumption_begin(&session, START, START + SECONDS(100)));
    assert_true(eas_resumption_is_current(&session, START + SECONDS(300) - 1));
    eas_resumption_succeed(&session);
    assert_false(eas_resumption_is_current(&session, START + SECONDS(300)));
    assert_false(eas_resumption_begin(&session, START, START + SECONDS(300)));
    assert_true(eas_resumption_begin(&session, START + 1, START + SECONDS(300)));
}

static void test_forgotten(void **state)
{
    struct eas_resumption session = { 0 };

    (void)state;
    assert_true(eas_resumption_begin(&session, START, START));
    eas_resumption_fail(&session, false, START + 10);
    assert_false(eas_resumption_is_current(&session, START + 11));
    assert_false(eas_resumption_begin(&session, START + 5, START + 20));
    assert_false(eas_resumption_begin(&session, START + 10, START + 20));
    assert_true(eas_resumption_begin(&session, START + 11, START + 20));
    assert_true(eas_resumption_is_current(&session, START + 21));
}

static void test_backend_that_cannot(void **state)
{
    struct eas_resumption session = { 0 };

    (void)state;
    eas_resumption_fail(&session, true, START);
    assert_true(eas_resumption_begin(&session, START + 1, START + 1));
    eas_resumption_succeed(&session);
    eas_resumption_fail(&session, true, START + 2);
    eas_resumption_fail(&session, false, START + 3);
    assert_true(eas_resumption_begin(&session, START + 4, START + 4));
    eas_resumption_fail(&session, true, START + 5);
    assert_false(eas_resumption_begin(&session, START + 6, START + 6));
    assert_false(eas_resumption_begin(&session, START + SECONDS(299), START + SECONDS(300)));
    assert_true(eas_resumption_begin(&session, START + SECONDS(299), START + 5 + SECONDS(300)));
    eas_resumption_fail(&session, true, START + SECONDS(301));
    assert_true(eas_resumption_begin(&session, START + SECONDS(302), START + SECONDS(302)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_permitted),
        cmocka_unit_test(test_verification),
        cmocka_unit_test(test_earlier_versions),
        cmocka_unit_test(test_five_minutes_from_the_full_handshake),
        cmocka_unit_test(test_forgotten),
        cmocka_unit_test(test_backend_that_cannot),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
