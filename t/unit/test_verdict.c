/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_verdict.c - what becomes of a backend's response */

#include "t/unit/unit.h"

#include "delegation/proxy/verdict.h"

#define PASS EAS_VERDICT_PASS
#define ONLY EAS_VERDICT_STATUS_ONLY
#define REFUSE EAS_VERDICT_REFUSE

static const int successes[] = { 200, 204, 206, 302, 304 };
static const int failures[] = { 400, 403, 404, 449, 451, 500, 503 };

static void assert_verdict(const struct eas_verdict_facts *facts, enum eas_verdict success,
                           enum eas_verdict failure)
{
    struct eas_verdict_facts f = *facts;
    size_t i;

    for (i = 0; i < COUNT_OF(successes); i++) {
        f.status = successes[i];
        assert_int_equal(eas_verdict_on(&f), success);
    }
    for (i = 0; i < COUNT_OF(failures); i++) {
        f.status = failures[i];
        assert_int_equal(eas_verdict_on(&f), failure);
    }
}

/* token, concerned, reply, proved before, required; then what a success and a failure become. */
static void test_table(void **state)
{
    static const struct {
        struct eas_verdict_facts facts;
        enum eas_verdict success;
        enum eas_verdict failure;
    } rows[] = {
        { { 0, true, true, EAS_REPLY_RIGHT, false, true }, PASS, PASS },
        { { 0, true, true, EAS_REPLY_RIGHT, false, false }, PASS, PASS },
        { { 0, true, true, EAS_REPLY_RIGHT, true, true }, PASS, PASS },
        { { 0, true, true, EAS_REPLY_ABSENT, false, true }, REFUSE, ONLY },
        { { 0, true, true, EAS_REPLY_ABSENT, false, false }, PASS, PASS },
        { { 0, true, true, EAS_REPLY_ABSENT, true, true }, PASS, PASS },
        { { 0, true, true, EAS_REPLY_WRONG, false, true }, REFUSE, REFUSE },
        { { 0, true, true, EAS_REPLY_WRONG, false, false }, REFUSE, REFUSE },
        { { 0, true, true, EAS_REPLY_WRONG, true, true }, REFUSE, REFUSE },
        { { 0, false, true, EAS_REPLY_ABSENT, false, true }, PASS, PASS },
        { { 0, false, false, EAS_REPLY_ABSENT, false, true }, PASS, PASS },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_verdict(&rows[i].facts, rows[i].success, rows[i].failure);
    }
}

/* Whatever else it says. */
static void test_401_of_ours(void **state)
{
    enum eas_verdict_reply reply;

    (void)state;
    for (reply = EAS_REPLY_ABSENT; reply <= EAS_REPLY_WRONG; reply++) {
        struct eas_verdict_facts facts = { 401, true, true, reply, false, true };

        assert_int_equal(eas_verdict_on(&facts), EAS_VERDICT_UNAUTHORIZED);
        facts.token = false;
        assert_int_equal(eas_verdict_on(&facts), EAS_VERDICT_UNAUTHORIZED);
    }
}

static void test_401_of_others(void **state)
{
    struct eas_verdict_facts facts = { 401, false, false, EAS_REPLY_ABSENT, false, true };

    (void)state;
    assert_int_equal(eas_verdict_on(&facts), EAS_VERDICT_PASS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_401_of_ours),
        cmocka_unit_test(test_401_of_others),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
