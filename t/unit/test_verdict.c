/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_verdict.c - decision on a backend's response */

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

static void test_table(void **state)
{
    static const struct {
        struct eas_verdict_facts facts;
        enum eas_verdict success;
        enum eas_verdict failure;
    } rows[] = {
        { .facts = { .token = true,
                     .hides_401 = true,
                     .reply = EAS_REPLY_RIGHT,
                     .mutual_required = true },
          .success = PASS,
          .failure = PASS },
        { .facts = { .token = true, .hides_401 = true, .reply = EAS_REPLY_RIGHT },
          .success = PASS,
          .failure = PASS },
        { .facts = { .token = true,
                     .hides_401 = true,
                     .reply = EAS_REPLY_RIGHT,
                     .mutual_before = true,
                     .mutual_required = true },
          .success = PASS,
          .failure = PASS },
        { .facts = { .token = true,
                     .hides_401 = true,
                     .reply = EAS_REPLY_ABSENT,
                     .mutual_required = true },
          .success = REFUSE,
          .failure = ONLY },
        { .facts = { .token = true, .hides_401 = true, .reply = EAS_REPLY_ABSENT },
          .success = PASS,
          .failure = PASS },
        { .facts = { .token = true,
                     .hides_401 = true,
                     .reply = EAS_REPLY_ABSENT,
                     .mutual_before = true,
                     .mutual_required = true },
          .success = PASS,
          .failure = PASS },
        { .facts = { .token = true,
                     .hides_401 = true,
                     .reply = EAS_REPLY_WRONG,
                     .mutual_required = true },
          .success = REFUSE,
          .failure = REFUSE },
        { .facts = { .token = true, .hides_401 = true, .reply = EAS_REPLY_WRONG },
          .success = REFUSE,
          .failure = REFUSE },
        { .facts = { .token = true,
                     .hides_401 = true,
                     .reply = EAS_REPLY_WRONG,
                     .mutual_before = true,
                     .mutual_required = true },
          .success = REFUSE,
          .failure = REFUSE },
        { .facts = { .hides_401 = true, .reply = EAS_REPLY_ABSENT, .mutual_required = true },
          .success = PASS,
          .failure = PASS },
        { .facts = { .reply = EAS_REPLY_ABSENT, .mutual_required = true },
          .success = PASS,
          .failure = PASS },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_verdict(&rows[i].facts, rows[i].success, rows[i].failure);
    }
}

static void test_hidden_401(void **state)
{
    enum eas_verdict_reply reply;

    (void)state;
    for (reply = EAS_REPLY_ABSENT; reply <= EAS_REPLY_WRONG; reply++) {
        struct eas_verdict_facts facts = {
            .status = 401, .token = true, .hides_401 = true, .reply = reply, .mutual_required = true
        };

        assert_int_equal(eas_verdict_on(&facts), EAS_VERDICT_UNAUTHORIZED);
        facts.token = false;
        assert_int_equal(eas_verdict_on(&facts), EAS_VERDICT_UNAUTHORIZED);
    }
}

static void test_passed_401(void **state)
{
    struct eas_verdict_facts facts = { .status = 401, .mutual_required = true };

    (void)state;
    assert_int_equal(eas_verdict_on(&facts), EAS_VERDICT_PASS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_hidden_401),
        cmocka_unit_test(test_passed_401),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
