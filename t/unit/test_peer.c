/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_peer.c - what jobs tell about the KDCs of two realms, by a clock of our own */

#include "t/unit/unit.h"

#include "auth/workers/peer.h"

#include <string.h>

#define SECONDS(n) apr_time_from_sec(n)
#define TIMEOUT SECONDS(4)

/* A user's realm, and one to which its KDC refers. */
static struct eas_peer home, away;

static int set_up(void **state)
{
    (void)state;
    memset(&home, 0, sizeof(home));
    memset(&away, 0, sizeof(away));
    home.name = "HOME";
    away.name = "AWAY";
    return 0;
}

static struct eas_peer_call opened(apr_time_t now)
{
    struct eas_peer_call call = eas_peer_call_make(&home);

    eas_peer_call_begin(&call, now);
    eas_peer_call_open(&call, now);
    return call;
}

/* An exchange of one message, in a call that is ended. */
static void speak(struct eas_peer *realm, bool answered, apr_time_t now)
{
    struct eas_peer_call call = opened(now);

    assert_true(eas_peer_call_send(&call, realm, now));
    eas_peer_call_receive(&call, answered, now);
    eas_peer_call_end(&call, now);
}

static void fail_thrice(struct eas_peer *realm, apr_time_t now)
{
    speak(realm, false, now);
    speak(realm, false, now);
    speak(realm, false, now);
}

/* What the next job that asks there first would be told, without anything coming of it. */
static enum eas_breaker_state state_of(struct eas_peer *realm, apr_time_t now)
{
    struct eas_breaker copy = realm->breaker;

    return eas_breaker_admit(&copy, now);
}

static void test_failure_is_that_of_the_realm_that_was_asked(void **state)
{
    (void)state;
    fail_thrice(&away, 0);
    assert_int_equal(state_of(&away, 0), EAS_BREAKER_OPEN);
    assert_int_equal(state_of(&home, 0), EAS_BREAKER_CLOSED);
}

static void test_answer_of_one_says_nothing_of_the_other(void **state)
{
    struct eas_peer_call call;

    (void)state;
    fail_thrice(&home, 0);
    call = eas_peer_call_make(&home);
    assert_int_equal(eas_peer_call_admit(&call, SECONDS(5)), EAS_BREAKER_PROBE);
    eas_peer_call_begin(&call, SECONDS(5));
    eas_peer_call_open(&call, SECONDS(5));
    assert_true(eas_peer_call_send(&call, &away, SECONDS(5)));
    eas_peer_call_receive(&call, true, SECONDS(5));
    eas_peer_call_end(&call, SECONDS(5));
    assert_int_equal(state_of(&home, SECONDS(5)), EAS_BREAKER_PROBE); /* it is the next one's */
}

static void test_realm_with_an_open_circuit_is_sent_nothing(void **state)
{
    struct eas_peer_call call;

    (void)state;
    fail_thrice(&away, 0);
    call = opened(0);
    assert_true(eas_peer_call_send(&call, &home, 0));
    eas_peer_call_receive(&call, true, 0);
    assert_false(eas_peer_call_send(&call, &away, SECONDS(5) - 1));
    eas_peer_call_end(&call, SECONDS(5));
    assert_int_equal(away.breaker.probe_at, SECONDS(5));
}

static void test_what_was_not_sent_is_nobodys_fault(void **state)
{
    struct eas_peer_call call;

    (void)state;
    fail_thrice(&away, 0);
    call = opened(0);
    assert_false(eas_peer_call_send(&call, &away, 0));
    eas_peer_call_abandon(&call, TIMEOUT);
    eas_peer_call_end(&call, TIMEOUT);
    assert_int_equal(home.breaker.failures, 0);
    assert_int_equal(away.breaker.probe_at, SECONDS(5));
}

static void test_referral_may_be_the_trial(void **state)
{
    struct eas_peer_call call, other;

    (void)state;
    fail_thrice(&away, 0);
    call = opened(SECONDS(5));
    other = opened(SECONDS(5));
    assert_true(eas_peer_call_send(&call, &away, SECONDS(5)));
    assert_false(eas_peer_call_send(&other, &away, SECONDS(5)));
    eas_peer_call_receive(&call, true, SECONDS(6));
    assert_true(eas_peer_call_send(&other, &away, SECONDS(6)));
    eas_peer_call_end(&call, SECONDS(6));
    eas_peer_call_end(&other, SECONDS(6));
    assert_int_equal(away.breaker.probes, 0);
}

/* The trial of one is left for that of the other, which is due as well. */
static void test_trials_in_two_realms(void **state)
{
    struct eas_peer_call call = eas_peer_call_make(&home);

    (void)state;
    fail_thrice(&home, 0);
    fail_thrice(&away, 0);
    assert_int_equal(eas_peer_call_admit(&call, SECONDS(5)), EAS_BREAKER_PROBE);
    eas_peer_call_begin(&call, SECONDS(5));
    eas_peer_call_open(&call, SECONDS(5));
    assert_true(eas_peer_call_send(&call, &away, SECONDS(5)));
    assert_int_equal(state_of(&home, SECONDS(5)), EAS_BREAKER_PROBE);
    eas_peer_call_receive(&call, false, SECONDS(6));
    eas_peer_call_end(&call, SECONDS(6));
    assert_int_equal(state_of(&home, SECONDS(6)), EAS_BREAKER_PROBE);
    assert_int_equal(state_of(&away, SECONDS(6)), EAS_BREAKER_OPEN);
    assert_int_equal(home.breaker.probes + away.breaker.probes, 0);
}

static void test_trial_sends_all_its_messages(void **state)
{
    struct eas_peer_call call = eas_peer_call_make(&home);

    (void)state;
    fail_thrice(&home, 0);
    assert_int_equal(eas_peer_call_admit(&call, SECONDS(5)), EAS_BREAKER_PROBE);
    eas_peer_call_begin(&call, SECONDS(5));
    eas_peer_call_open(&call, SECONDS(5));
    assert_true(eas_peer_call_send(&call, &home, SECONDS(5)));
    eas_peer_call_receive(&call, false, SECONDS(6));
    assert_false(eas_peer_call_send(&call, &home, SECONDS(6))); /* it has failed */
    eas_peer_call_end(&call, SECONDS(6));
    assert_int_equal(state_of(&home, SECONDS(11) - 1), EAS_BREAKER_OPEN);
    call = eas_peer_call_make(&home);
    assert_int_equal(eas_peer_call_admit(&call, SECONDS(11)), EAS_BREAKER_PROBE);
    eas_peer_call_open(&call, SECONDS(11));
    assert_true(eas_peer_call_send(&call, &home, SECONDS(11)));
    eas_peer_call_receive(&call, true, SECONDS(11));
    assert_true(eas_peer_call_send(&call, &home, SECONDS(11)));
    eas_peer_call_receive(&call, false, SECONDS(12));
    eas_peer_call_end(&call, SECONDS(12));
    assert_int_equal(state_of(&home, SECONDS(12)), EAS_BREAKER_CLOSED);
}

/* It closed the circuit, and has no say in what became of it later. */
static void test_good_trial_that_comes_back_late(void **state)
{
    struct eas_peer_call call = eas_peer_call_make(&home);

    (void)state;
    fail_thrice(&home, 0);
    assert_int_equal(eas_peer_call_admit(&call, SECONDS(5)), EAS_BREAKER_PROBE);
    eas_peer_call_open(&call, SECONDS(5));
    assert_true(eas_peer_call_send(&call, &home, SECONDS(5)));
    eas_peer_call_receive(&call, true, SECONDS(5));
    fail_thrice(&home, SECONDS(6));
    eas_peer_call_end(&call, SECONDS(7));
    assert_int_equal(state_of(&home, SECONDS(11) - 1), EAS_BREAKER_OPEN);
}

static void test_trial_that_never_begins_is_the_next_ones(void **state)
{
    struct eas_peer_call call = eas_peer_call_make(&home);

    (void)state;
    fail_thrice(&home, 0);
    assert_int_equal(eas_peer_call_admit(&call, SECONDS(5)), EAS_BREAKER_PROBE);
    eas_peer_call_end(&call, SECONDS(6));
    assert_int_equal(state_of(&home, SECONDS(6)), EAS_BREAKER_PROBE);
}

/* Nobody waits for the message's end: it is noted when it is given up, and no second time then. */
static void test_message_fails_once(void **state)
{
    struct eas_peer_call call = opened(0);

    (void)state;
    assert_true(eas_peer_call_send(&call, &home, 0));
    eas_peer_call_abandon(&call, TIMEOUT);
    eas_peer_call_abandon(&call, TIMEOUT);
    eas_peer_call_receive(&call, false, SECONDS(27));
    assert_int_equal(home.breaker.failures, 1);
    assert_true(eas_peer_call_send(&call, &home, SECONDS(27)));
    eas_peer_call_abandon(&call, SECONDS(27) + TIMEOUT);
    assert_int_equal(home.breaker.failures, 2);
    eas_peer_call_end(&call, SECONDS(54));
    assert_int_equal(home.breaker.failures, 2);
}

/* Three messages to home are lost, and meanwhile that realm answers another. */
static enum eas_breaker_state lose_while_answered(struct eas_peer *realm)
{
    struct eas_peer_call late[3];
    size_t i;

    for (i = 0; i < COUNT_OF(late); i++) {
        late[i] = opened(0);
        assert_true(eas_peer_call_send(&late[i], &home, 0));
    }
    speak(realm, true, SECONDS(20));
    for (i = 0; i < COUNT_OF(late); i++) {
        eas_peer_call_receive(&late[i], false, SECONDS(27));
        eas_peer_call_end(&late[i], SECONDS(27));
    }
    return state_of(&home, SECONDS(27));
}

static void test_late_failure_says_nothing(void **state)
{
    (void)state;
    assert_int_equal(lose_while_answered(&home), EAS_BREAKER_CLOSED);
}

static void test_late_failure_though_another_realm_answers(void **state)
{
    (void)state;
    assert_int_equal(lose_while_answered(&away), EAS_BREAKER_OPEN);
}

/* Where even the KDC's address is not to be had, nothing is ever sent. */
static void test_search_for_the_KDC_may_be_given_up(void **state)
{
    struct eas_peer_call calls[3];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(calls); i++) {
        calls[i] = opened(0);
        eas_peer_call_abandon(&calls[i], TIMEOUT);
    }
    assert_int_equal(state_of(&home, TIMEOUT), EAS_BREAKER_OPEN);
    for (i = 0; i < COUNT_OF(calls); i++) {
        eas_peer_call_end(&calls[i], TIMEOUT);
    }
}

/* What was found without the KDC, or failed for reasons of our own, is over before long. */
static void test_conversation_without_messages_says_nothing(void **state)
{
    int i;

    (void)state;
    for (i = 0; i < 3; i++) {
        struct eas_peer_call call = opened(0);

        eas_peer_call_close(&call);
        eas_peer_call_abandon(&call, TIMEOUT);
        eas_peer_call_end(&call, TIMEOUT);
    }
    assert_int_equal(home.breaker.failures, 0);
    assert_int_equal(home.active_calls, 0);
}

static void test_silence_begins_with_the_first_question(void **state)
{
    struct eas_peer_call first = opened(SECONDS(100)), second;

    (void)state;
    assert_int_equal(home.silent_since, SECONDS(100));
    assert_true(eas_peer_call_send(&first, &home, SECONDS(100) + 1));
    second = opened(SECONDS(101) - 1);
    assert_int_equal(home.silent_since, SECONDS(100));
    assert_int_equal(away.silent_since, 0);
    eas_peer_call_receive(&first, true, SECONDS(101));
    assert_int_equal(home.silent_since, SECONDS(101));
    eas_peer_call_end(&first, SECONDS(101));
    eas_peer_call_end(&second, SECONDS(101));
    assert_int_equal(home.active_calls, 0);
}

/* Of what is given up nothing is expected: the next question is the first again. */
static void test_silence_begins_anew_after_what_was_given_up(void **state)
{
    struct eas_peer_call hangs = opened(SECONDS(100)), next;

    (void)state;
    eas_peer_call_abandon(&hangs, SECONDS(104));
    eas_peer_call_abandon(&hangs, SECONDS(104));
    assert_int_equal(home.active_calls, 0);
    home.last_activity = SECONDS(105) - 1; /* by jobs that ask no KDC */
    next = opened(SECONDS(105));
    assert_int_equal(home.silent_since, SECONDS(105));
    eas_peer_call_end(&hangs, SECONDS(105));
    assert_int_equal(home.active_calls, 1);
    eas_peer_call_end(&next, SECONDS(105));
    assert_int_equal(home.active_calls, 0);
}

static void test_silence_lasts_while_others_ask(void **state)
{
    struct eas_peer_call calls[5];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(calls); i++) {
        calls[i] = opened(SECONDS(100) + (apr_time_t)i * SECONDS(1) / 2);
    }
    assert_int_equal(home.silent_since, SECONDS(100));
    for (i = 0; i < COUNT_OF(calls); i++) {
        eas_peer_call_end(&calls[i], SECONDS(103));
    }
}

/* What still hangs when nobody has stirred for a second is not held against those who come then. */
static void test_old_silence_is_forgotten(void **state)
{
    struct eas_peer_call hangs = opened(SECONDS(100)), next;

    (void)state;
    next = opened(SECONDS(101));
    assert_int_equal(home.silent_since, SECONDS(101));
    eas_peer_call_end(&hangs, SECONDS(101));
    eas_peer_call_end(&next, SECONDS(101));
}

/* Jobs that ask no KDC keep the realm stirring, and are no silence. */
static void test_who_asks_no_KDC_makes_no_silence(void **state)
{
    struct eas_peer_call call = eas_peer_call_make(&home);
    apr_time_t now;

    (void)state;
    for (now = SECONDS(100); now < SECONDS(105); now += SECONDS(1) / 2) {
        eas_peer_call_begin(&call, now);
        eas_peer_call_end(&call, now);
    }
    call = opened(now);
    assert_int_equal(home.silent_since, now);
    eas_peer_call_end(&call, now);
}

#define CALL_TEST(test) cmocka_unit_test_setup(test, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CALL_TEST(test_failure_is_that_of_the_realm_that_was_asked),
        CALL_TEST(test_answer_of_one_says_nothing_of_the_other),
        CALL_TEST(test_realm_with_an_open_circuit_is_sent_nothing),
        CALL_TEST(test_what_was_not_sent_is_nobodys_fault),
        CALL_TEST(test_referral_may_be_the_trial),
        CALL_TEST(test_trials_in_two_realms),
        CALL_TEST(test_trial_sends_all_its_messages),
        CALL_TEST(test_good_trial_that_comes_back_late),
        CALL_TEST(test_trial_that_never_begins_is_the_next_ones),
        CALL_TEST(test_message_fails_once),
        CALL_TEST(test_late_failure_says_nothing),
        CALL_TEST(test_late_failure_though_another_realm_answers),
        CALL_TEST(test_search_for_the_KDC_may_be_given_up),
        CALL_TEST(test_conversation_without_messages_says_nothing),
        CALL_TEST(test_silence_begins_with_the_first_question),
        CALL_TEST(test_silence_begins_anew_after_what_was_given_up),
        CALL_TEST(test_silence_lasts_while_others_ask),
        CALL_TEST(test_old_silence_is_forgotten),
        CALL_TEST(test_who_asks_no_KDC_makes_no_silence),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
