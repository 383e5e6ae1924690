/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_verdict.c - decision on a backend's response */

#include "t/unit/unit.h"

#include "delegation/proxy/verdict.h"

#define ABSENT EAS_REPLY_ABSENT
#define RIGHT EAS_REPLY_RIGHT
#define WRONG EAS_REPLY_WRONG

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

static void test_responses_to_a_token(void **state)
{
    static const struct {
        enum eas_verdict_reply reply;
        bool before;
        bool required;
        enum eas_verdict success;
        enum eas_verdict failure;
    } rows[] = {
        { .reply = RIGHT, .required = true, .success = PASS, .failure = PASS },
        { .reply = RIGHT, .required = false, .success = PASS, .failure = PASS },
        { .reply = RIGHT, .required = true, .before = true, .success = PASS, .failure = PASS },
        { .reply = ABSENT, .required = true, .success = REFUSE, .failure = ONLY },
        { .reply = ABSENT, .required = false, .success = PASS, .failure = PASS },
        { .reply = ABSENT, .required = true, .before = true, .success = PASS, .failure = PASS },
        { .reply = WRONG, .required = true, .success = REFUSE, .failure = REFUSE },
        { .reply = WRONG, .required = false, .success = REFUSE, .failure = REFUSE },
        { .reply = WRONG, .required = true, .before = true, .success = REFUSE, .failure = REFUSE },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        const struct eas_verdict_facts facts = { .token = true,
                                                 .hides_401 = true,
                                                 .reply = rows[i].reply,
                                                 .connection_authenticated = rows[i].before,
                                                 .mutual_required = rows[i].required };

        assert_verdict(&facts, rows[i].success, rows[i].failure);
    }
}

static void test_responses_without_a_token(void **state)
{
    struct eas_verdict_facts facts = { .reply = ABSENT, .mutual_required = true };

    (void)state;
    assert_verdict(&facts, PASS, PASS);
    facts.hides_401 = true;
    assert_verdict(&facts, PASS, PASS);
}

static void test_hidden_401(void **state)
{
    enum eas_verdict_reply reply;

    (void)state;
    for (reply = EAS_REPLY_ABSENT; reply <= EAS_REPLY_WRONG; reply++) {
        struct eas_verdict_facts facts = {
            .status = 401, .token = true, .hides_401 = true, .reply = reply, .mutual_required = true
        };

        assert_int_equal(eas_verdict_on(&facts), reply == EAS_REPLY_RIGHT
                                                     ? EAS_VERDICT_FORBIDDEN
                                                     : EAS_VERDICT_UNAUTHORIZED);
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

/* The stages of an exchange, and whether its error counts against the worker. */
static void test_blame(void **state)
{
    static const struct {
        const char *what;
        struct eas_verdict_end end;
        bool blames;
        bool elsewhere; /* in a Location that the module has no part in */
    } rows[] = {
        { "no DNS", { .status = 500 }, true, true },
        { "a worker that is marked", { .status = 503 }, true, true },
        { "a status of mod_proxy_fcgi's", { .status = 404 }, true, true },
        { "refused unsent", { .status = 500, .resolved = true }, false, false },
        { "no connection", { .status = 503, .resolved = true }, true, true },
        { "unreadable body", { .status = 400, .resolved = true }, false, true },
        { "no TLS", { .status = 500, .resolved = true, .connected = true }, true, true },
        { "closed, new connection",
          { .status = 500, .resolved = true, .connected = true, .written = true },
          false,
          true },
        { "closed, kept connection",
          { .status = 502, .resolved = true, .written = true },
          false,
          true },
        { "no answer to ping=",
          { .status = 503, .resolved = true, .connected = true, .written = true },
          true,
          true },
        { "the backend's own status",
          { .status = 404, .from_backend = true, .resolved = true, .written = true },
          true,
          true },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        struct eas_verdict_end end = rows[i].end;

        if (eas_verdict_blames_worker(&end) != rows[i].elsewhere) {
            fail_msg("elsewhere: %s", rows[i].what);
        }
        end.in_effect = true;
        if (eas_verdict_blames_worker(&end) != rows[i].blames) {
            fail_msg("%s", rows[i].what);
        }
    }
}

static void test_head_that_is_too_long(void **state)
{
    (void)state;
    assert_true(eas_verdict_finds_head_long(431, 0));
    assert_true(eas_verdict_finds_head_long(400, 12800));
    assert_false(eas_verdict_finds_head_long(400, 1800));
    assert_false(eas_verdict_finds_head_long(200, 12800));
    assert_false(eas_verdict_finds_head_long(403, 12800));
    assert_false(eas_verdict_finds_head_long(503, 12800));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head_that_is_too_long),
        cmocka_unit_test(test_responses_to_a_token),
        cmocka_unit_test(test_responses_without_a_token),
        cmocka_unit_test(test_hidden_401),
        cmocka_unit_test(test_passed_401),
        cmocka_unit_test(test_blame),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
