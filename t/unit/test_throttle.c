/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_throttle.c - Log-on throttle before a provider that is not the KDC */

#include "t/unit/throttles.h"

#include "auth/password/throttle.h"

#include <apr_strings.h>
#include <string.h>

#define ADMITTED 0

static const struct eas_throttle_rules rules = {
    .lockout = { .failures = 3,
                 .window = apr_time_from_sec(1800),
                 .remember_for = apr_time_from_sec(900) },
    .known_for = apr_time_from_sec(86400),
};

/* Returns the tag of the refusal; its status is that of the class. */
static int try_at(apr_pool_t *pool, const struct eas_throttle *throttle, const char *vhost,
                  const char *name, const char *password, enum eas_lockout_outcome outcome)
{
    const struct eas_password_request log_on = {
        .login = { .user = name },
        .password = eas_secret_make(pool, password, strlen(password)),
    };
    const struct eas_throttle_request request = {
        .log_on = &log_on, .rules = &rules, .address = "192.0.2.1", .vhost = vhost
    };
    struct eas_throttle_attempt attempt;
    struct eas_err err;
    enum eas_rc rc = eas_throttle_begin_elsewhere(throttle, pool, &request, &attempt, &err);

    if (rc == EAS_OK) {
        eas_throttle_end(throttle, pool, &rules, &attempt, outcome);
        return ADMITTED;
    }
    assert_int_equal(rc, err.tag == 1300 ? EAS_DENIED : EAS_THROTTLED);
    return err.tag;
}

/* The password is "<word>-<n>". */
static int try_password(apr_pool_t *pool, const struct eas_throttle *throttle, const char *name,
                        const char *word, unsigned n, enum eas_lockout_outcome outcome)
{
    return try_at(pool, throttle, "mail:443", name, apr_psprintf(pool, "%s-%u", word, n), outcome);
}

static int guess(apr_pool_t *pool, const struct eas_throttle *throttle, const char *name,
                 unsigned n)
{
    return try_password(pool, throttle, name, "guess", n, EAS_LOCKOUT_WRONG);
}

static void test_names_are_counted(void **state)
{
    const struct eas_throttle *throttle = throttles_throttle(*state);
    unsigned i;

    for (i = 0; i < 3; i++) {
        assert_int_equal(guess(*state, throttle, "frank", i), ADMITTED);
    }
    assert_int_equal(guess(*state, throttle, "frank", 3), 1301);
    assert_int_equal(guess(*state, throttle, "FRANK", 4), 1301);
    assert_int_equal(guess(*state, throttle, "frank", 0), 1300);
    assert_int_equal(guess(*state, throttle, "franka", 0), ADMITTED);
}

/* A provider may tell letter cases apart. */
static void test_spellings_are_remembered_apart(void **state)
{
    const struct eas_throttle *throttle = throttles_throttle(*state);

    assert_int_equal(guess(*state, throttle, "Frank", 0), ADMITTED);
    assert_int_equal(guess(*state, throttle, "frank", 0), ADMITTED);
    assert_int_equal(guess(*state, throttle, "Frank", 0), 1300);
}

/* Their providers may know different users, such as those of two files. */
static void test_virtual_hosts_are_counted_apart(void **state)
{
    const struct eas_throttle *throttle = throttles_throttle(*state);
    unsigned i;

    for (i = 0; i < 3; i++) {
        assert_int_equal(guess(*state, throttle, "frank", i), ADMITTED);
    }
    assert_int_equal(guess(*state, throttle, "frank", 3), 1301);
    assert_int_equal(try_at(*state, throttle, "other:443", "frank", "guess-0", EAS_LOCKOUT_RIGHT),
                     ADMITTED);
    assert_int_equal(guess(*state, throttle, "frank", 0), 1300);
    assert_int_equal(guess(*state, throttle, "frank", 3), 1301);
}

static void test_last_right_password_is_admitted_during_a_lockout(void **state)
{
    const struct eas_throttle *throttle = throttles_throttle(*state);
    unsigned i;

    assert_int_equal(try_password(*state, throttle, "frank", "mine", 0, EAS_LOCKOUT_RIGHT),
                     ADMITTED);
    for (i = 0; i < 3; i++) {
        assert_int_equal(guess(*state, throttle, "frank", i), ADMITTED);
    }
    assert_int_equal(guess(*state, throttle, "frank", 3), 1301);
    assert_int_equal(try_password(*state, throttle, "frank", "mine", 0, EAS_LOCKOUT_RIGHT),
                     ADMITTED);
}

/* Each distinct pair takes a token, and a repetition takes none. */
/* Admission and end are those of a log-on at the KDC, without the question for the user's salt. */
static void test_changed_password(void **state)
{
    const struct eas_throttle *throttle = throttles_throttle(*state);
    const struct eas_password_request log_on = {
        .login = { .user = "" }, .password = eas_secret_make(*state, "old-0", strlen("old-0"))
    };
    const struct eas_throttle_request request = {
        .log_on = &log_on, .rules = &rules, .address = "192.0.2.1", .vhost = "mail:443"
    };
    struct eas_throttle_attempt attempt;
    struct eas_err err;

    assert_int_equal(try_password(*state, throttle, "", "new", 0, EAS_LOCKOUT_WRONG), ADMITTED);
    assert_int_equal(eas_throttle_begin_elsewhere(throttle, *state, &request, &attempt, &err),
                     EAS_OK);
    attempt.version.current = &throttle->password_versions[7];
    eas_throttle_end_changed(throttle, *state, &rules, &attempt,
                             eas_secret_make(*state, "new-0", strlen("new-0")));
    assert_int_equal(attempt.version.value, 1);
    assert_int_equal(throttle->password_versions[7], 1);
    assert_int_equal(guess(*state, throttle, "", 0), ADMITTED);
    assert_int_equal(guess(*state, throttle, "", 1), ADMITTED);
    assert_int_equal(guess(*state, throttle, "", 2), ADMITTED);
    assert_int_equal(guess(*state, throttle, "", 3), 1301);
    assert_int_equal(try_password(*state, throttle, "", "old", 0, EAS_LOCKOUT_RIGHT), 1301);
    assert_int_equal(try_password(*state, throttle, "", "new", 0, EAS_LOCKOUT_RIGHT), ADMITTED);
}

static void test_address_is_charged_for_distinct_guesses(void **state)
{
    const struct eas_throttle *throttle = throttles_throttle(*state);
    unsigned i;

    for (i = 0; i < EAS_ADDRESS_LIMIT_BURST; i++) {
        const char *name = apr_psprintf(*state, "name%u", i);

        assert_int_equal(guess(*state, throttle, "name0", 0), i == 0 ? ADMITTED : 1300);
        assert_int_equal(guess(*state, throttle, name, 0), i == 0 ? 1300 : ADMITTED);
    }
    assert_int_equal(guess(*state, throttle, "another", 0), 1303);
    /* Else an address without tokens could look for the passwords that are remembered. */
    assert_int_equal(guess(*state, throttle, "name0", 0), 1303);
}

/* Otherwise guesses would find the passwords that are remembered, whose answer is another. */
static void test_address_is_charged_during_a_lockout(void **state)
{
    const struct eas_throttle *throttle = throttles_throttle(*state);
    unsigned i;

    for (i = 0; i < EAS_ADDRESS_LIMIT_BURST - 1; i++) {
        assert_int_equal(guess(*state, throttle, "frank", i), i < 3 ? ADMITTED : 1301);
        assert_int_equal(guess(*state, throttle, "frank", 0), 1300);
        assert_int_equal(guess(*state, throttle, "frank", i), i < 3 ? 1300 : 1301);
    }
    assert_int_equal(guess(*state, throttle, "frank", i), 1301);
    assert_int_equal(guess(*state, throttle, "frank", i + 1), 1303);
}

static void test_outcomes_of_results(void **state)
{
    static const struct {
        enum eas_rc rc;
        int tag;
        enum eas_lockout_outcome outcome;
    } rows[] = {
        { EAS_OK, 0, EAS_LOCKOUT_RIGHT },
        { EAS_DENIED, 1030, EAS_LOCKOUT_WRONG },
        { EAS_DENIED, 1032, EAS_LOCKOUT_NOBODY },
        { EAS_DENIED, 1038, EAS_LOCKOUT_NOBODY },
        { EAS_UNKNOWN, 1031, EAS_LOCKOUT_ELSEWHERE },
        { EAS_EXPIRED, 1033, EAS_LOCKOUT_EXPIRED },
        { EAS_UNAVAILABLE, 1036, EAS_LOCKOUT_NO_ANSWER },
        { EAS_MISCONFIGURED, 1043, EAS_LOCKOUT_NO_ANSWER },
    };
    const struct eas_throttle_rules last = { .count_unknown_users = true };
    struct eas_err err;
    unsigned i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        err.rc = rows[i].rc;
        err.tag = rows[i].tag;
        assert_int_equal(eas_throttle_outcome(&rules, rows[i].rc, &err), rows[i].outcome);
    }
    assert_int_equal(eas_throttle_outcome(&last, EAS_UNKNOWN, &err), EAS_LOCKOUT_WRONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_names_are_counted),
        POOL_TEST(test_spellings_are_remembered_apart),
        POOL_TEST(test_virtual_hosts_are_counted_apart),
        POOL_TEST(test_last_right_password_is_admitted_during_a_lockout),
        POOL_TEST(test_changed_password),
        POOL_TEST(test_address_is_charged_for_distinct_guesses),
        POOL_TEST(test_address_is_charged_during_a_lockout),
        POOL_TEST(test_outcomes_of_results),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
