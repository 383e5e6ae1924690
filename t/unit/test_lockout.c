/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_lockout.c - how many wrong passwords of an account may be asked about, by a fake clock */

#include "t/unit/guards.h"
#include "t/unit/unit.h"

#include "auth/password/lockout.h"

#include <string.h>

#define MINUTE apr_time_from_sec(60)
#define WINDOW (30 * MINUTE)
#define START (1000 * MINUTE)

/* The default: three in thirty minutes, a refused password for fifteen. */
static const struct eas_lockout_rules rules = { 3, WINDOW, false, 15 * MINUTE };

/* An attempt at an account with a password, by numbers. */
static struct eas_lockout_attempt make_attempt(unsigned account, unsigned password)
{
    struct eas_lockout_attempt attempt;

    memset(&attempt, 0, sizeof(attempt));
    memset(attempt.account, (int)account + 1, sizeof(attempt.account));
    memset(attempt.digest, 0xd1, sizeof(attempt.digest));
    memcpy(attempt.digest, &password, sizeof(password));
    memcpy(attempt.digest + 8, &account, sizeof(account));
    return attempt;
}

/* Admits, and settles what was admitted. */
static enum eas_lockout_answer try_password(struct eas_shm_table *store,
                                            const struct eas_lockout_rules *r,
                                            struct eas_lockout_attempt *attempt,
                                            enum eas_lockout_outcome outcome, apr_time_t now)
{
    enum eas_lockout_answer answer = eas_lockout_admit(store, r, attempt, now);

    if (answer == EAS_LOCKOUT_ASK) {
        eas_lockout_finish(store, r, attempt, outcome, now);
    }
    return answer;
}

static enum eas_lockout_answer guess(struct eas_shm_table *store, unsigned password, apr_time_t now)
{
    struct eas_lockout_attempt attempt = make_attempt(0, password);

    return try_password(store, &rules, &attempt, EAS_LOCKOUT_WRONG, now);
}

static enum eas_lockout_answer enter(struct eas_shm_table *store, unsigned password, apr_time_t now)
{
    struct eas_lockout_attempt attempt = make_attempt(0, password);

    return try_password(store, &rules, &attempt, EAS_LOCKOUT_RIGHT, now);
}

/* Locks account 0 by the passwords 1, 2, 3. */
static void lock_out(struct eas_shm_table *store, apr_time_t now)
{
    unsigned i;

    for (i = 1; i <= 3; i++) {
        assert_int_equal(guess(store, i, now), EAS_LOCKOUT_ASK);
    }
}

static void test_three_and_no_more(void **state)
{
    struct eas_shm_table *store = guards_store(*state);
    struct eas_lockout_attempt attempt;
    unsigned i;

    for (i = 1; i <= 3; i++) {
        attempt = make_attempt(0, i);
        assert_int_equal(try_password(store, &rules, &attempt, EAS_LOCKOUT_WRONG, START),
                         EAS_LOCKOUT_ASK);
        assert_int_equal(attempt.counted, i);
        assert_int_equal(attempt.locked_now, i == 3);
    }
    attempt = make_attempt(0, 4);
    assert_int_equal(eas_lockout_admit(store, &rules, &attempt, START), EAS_LOCKOUT_LOCKED);
    assert_int_equal(attempt.counted, 3);
    attempt = make_attempt(1, 4);
    assert_int_equal(eas_lockout_admit(store, &rules, &attempt, START), EAS_LOCKOUT_ASK);
}

static void test_ends_when_the_window_has_passed_since_the_last(void **state)
{
    struct eas_shm_table *store = guards_store(*state);

    assert_int_equal(guess(store, 1, START), EAS_LOCKOUT_ASK);
    assert_int_equal(guess(store, 2, START + 20 * MINUTE), EAS_LOCKOUT_ASK);
    /* AD would count this as the third, too, although the first is half an hour old. */
    assert_int_equal(guess(store, 3, START + 40 * MINUTE), EAS_LOCKOUT_ASK);
    assert_int_equal(guess(store, 4, START + 40 * MINUTE), EAS_LOCKOUT_LOCKED);
    assert_int_equal(guess(store, 4, START + 70 * MINUTE - 1), EAS_LOCKOUT_LOCKED);
    assert_int_equal(guess(store, 4, START + 70 * MINUTE), EAS_LOCKOUT_ASK);
    assert_int_equal(guess(store, 5, START + 70 * MINUTE), EAS_LOCKOUT_ASK);
    assert_int_equal(guess(store, 6, START + 70 * MINUTE), EAS_LOCKOUT_ASK);
    assert_int_equal(guess(store, 7, START + 70 * MINUTE), EAS_LOCKOUT_LOCKED);
}

static void test_what_is_refused_prolongs_nothing(void **state)
{
    struct eas_shm_table *store = guards_store(*state);
    apr_time_t now;

    lock_out(store, START);
    for (now = START; now < START + WINDOW; now += MINUTE / 4) {
        assert_int_equal(guess(store, 100, now), EAS_LOCKOUT_LOCKED);
    }
    assert_int_equal(guess(store, 100, START + WINDOW), EAS_LOCKOUT_ASK);
}

static void test_the_same_password_is_asked_about_once(void **state)
{
    struct eas_shm_table *store = guards_store(*state);
    apr_time_t now;

    assert_int_equal(guess(store, 1, START), EAS_LOCKOUT_ASK);
    for (now = START; now < START + 15 * MINUTE; now += MINUTE / 4) {
        assert_int_equal(guess(store, 1, now), EAS_LOCKOUT_REMEMBERED);
    }
    assert_int_equal(guess(store, 1, START + 15 * MINUTE - 1), EAS_LOCKOUT_REMEMBERED);
    assert_int_equal(guess(store, 2, START + 15 * MINUTE - 1), EAS_LOCKOUT_ASK);
    assert_int_equal(guess(store, 1, START + 15 * MINUTE), EAS_LOCKOUT_ASK);
    assert_int_equal(guess(store, 2, START + 15 * MINUTE), EAS_LOCKOUT_REMEMBERED);
}

/* 16 are remembered; the oldest is forgotten first. */
static void test_many_refused_passwords(void **state)
{
    static const struct eas_lockout_rules no_lockout = { 0, 0, false, 15 * MINUTE };
    struct eas_shm_table *store = guards_store(*state);
    struct eas_lockout_attempt attempt;
    unsigned i;

    for (i = 0; i < 40; i++) {
        attempt = make_attempt(0, i);
        assert_int_equal(try_password(store, &no_lockout, &attempt, EAS_LOCKOUT_WRONG, START + i),
                         EAS_LOCKOUT_ASK);
    }
    for (i = 24; i < 40; i++) {
        attempt = make_attempt(0, i);
        assert_int_equal(eas_lockout_admit(store, &no_lockout, &attempt, START + 50),
                         EAS_LOCKOUT_REMEMBERED);
    }
    attempt = make_attempt(0, 23);
    assert_int_equal(eas_lockout_admit(store, &no_lockout, &attempt, START + 50), EAS_LOCKOUT_ASK);
}

static void test_a_right_password_forgives(void **state)
{
    struct eas_shm_table *store = guards_store(*state);
    unsigned round;

    for (round = 0; round < 5; round++) {
        assert_int_equal(guess(store, 1, START), EAS_LOCKOUT_ASK);
        assert_int_equal(guess(store, 2, START), EAS_LOCKOUT_ASK);
        assert_int_equal(guess(store, 1, START), EAS_LOCKOUT_REMEMBERED);
        assert_int_equal(enter(store, 9, START), EAS_LOCKOUT_ASK);
    }
    lock_out(store, START);
}

/* AD may have seen the wrong ones after the right one, whatever the order of its answers. */
static void test_a_right_password_forgives_no_later_ones(void **state)
{
    struct eas_shm_table *store = guards_store(*state);
    struct eas_lockout_attempt right = make_attempt(0, 9),
                               wrong[] = { make_attempt(0, 1), make_attempt(0, 2) };

    assert_int_equal(eas_lockout_admit(store, &rules, &right, START), EAS_LOCKOUT_ASK);
    assert_int_equal(eas_lockout_admit(store, &rules, &wrong[0], START), EAS_LOCKOUT_ASK);
    assert_int_equal(eas_lockout_admit(store, &rules, &wrong[1], START), EAS_LOCKOUT_ASK);
    eas_lockout_finish(store, &rules, &wrong[0], EAS_LOCKOUT_WRONG, START);
    eas_lockout_finish(store, &rules, &wrong[1], EAS_LOCKOUT_WRONG, START);
    eas_lockout_finish(store, &rules, &right, EAS_LOCKOUT_RIGHT, START);
    assert_int_equal(right.counted, 2);
    assert_int_equal(guess(store, 3, START), EAS_LOCKOUT_ASK);
    assert_int_equal(guess(store, 4, START), EAS_LOCKOUT_LOCKED);
}

static void test_at_once_no_more_than_one_after_the_other(void **state)
{
    struct eas_shm_table *store = guards_store(*state);
    struct eas_lockout_attempt attempts[200];
    unsigned i, asked = 0;

    for (i = 0; i < 200; i++) {
        enum eas_lockout_answer answer;

        attempts[i] = make_attempt(0, i);
        answer = eas_lockout_admit(store, &rules, &attempts[i], START);
        assert_true(answer == EAS_LOCKOUT_ASK || answer == EAS_LOCKOUT_BUSY);
        asked += answer == EAS_LOCKOUT_ASK;
    }
    assert_int_equal(asked, 3);
    eas_lockout_finish(store, &rules, &attempts[0], EAS_LOCKOUT_WRONG, START);
    assert_int_equal(eas_lockout_admit(store, &rules, &attempts[3], START), EAS_LOCKOUT_BUSY);
    eas_lockout_finish(store, &rules, &attempts[1], EAS_LOCKOUT_NO_ANSWER, START);
    assert_int_equal(eas_lockout_admit(store, &rules, &attempts[3], START), EAS_LOCKOUT_ASK);
    eas_lockout_finish(store, &rules, &attempts[2], EAS_LOCKOUT_WRONG, START);
    eas_lockout_finish(store, &rules, &attempts[3], EAS_LOCKOUT_WRONG, START);
    assert_int_equal(eas_lockout_admit(store, &rules, &attempts[4], START), EAS_LOCKOUT_LOCKED);
}

static void test_the_same_at_once_waits_for_the_first(void **state)
{
    struct eas_shm_table *store = guards_store(*state);
    struct eas_lockout_attempt first = make_attempt(0, 1), second = make_attempt(0, 1);

    assert_int_equal(eas_lockout_admit(store, &rules, &first, START), EAS_LOCKOUT_ASK);
    assert_int_equal(eas_lockout_admit(store, &rules, &second, START), EAS_LOCKOUT_BUSY);
    eas_lockout_finish(store, &rules, &first, EAS_LOCKOUT_WRONG, START);
    assert_int_equal(eas_lockout_admit(store, &rules, &second, START), EAS_LOCKOUT_REMEMBERED);
}

static void test_what_nobody_could_say_counts_nothing(void **state)
{
    struct eas_shm_table *store = guards_store(*state);
    struct eas_lockout_attempt attempt;
    unsigned i;

    for (i = 0; i < 20; i++) {
        attempt = make_attempt(0, 1);
        assert_int_equal(try_password(store, &rules, &attempt, EAS_LOCKOUT_NO_ANSWER, START),
                         EAS_LOCKOUT_ASK);
        assert_int_equal(attempt.counted, 0);
    }
}

/* A process that died with a reservation: as if the password had been wrong. */
static void test_what_is_never_settled_counts_in_the_end(void **state)
{
    struct eas_shm_table *store = guards_store(*state);
    struct eas_lockout_attempt attempt;
    unsigned i;

    for (i = 0; i < 3; i++) {
        attempt = make_attempt(0, i);
        assert_int_equal(eas_lockout_admit(store, &rules, &attempt, START), EAS_LOCKOUT_ASK);
    }
    attempt = make_attempt(0, 9);
    assert_int_equal(eas_lockout_admit(store, &rules, &attempt, START + 2 * MINUTE - 1),
                     EAS_LOCKOUT_BUSY);
    assert_int_equal(eas_lockout_admit(store, &rules, &attempt, START + 2 * MINUTE),
                     EAS_LOCKOUT_LOCKED);
    assert_int_equal(eas_lockout_admit(store, &rules, &attempt, START + 2 * MINUTE + WINDOW - 1),
                     EAS_LOCKOUT_LOCKED);
    assert_int_equal(eas_lockout_admit(store, &rules, &attempt, START + 2 * MINUTE + WINDOW),
                     EAS_LOCKOUT_ASK);
}

static enum eas_lockout_answer try_known(struct eas_shm_table *store, unsigned password,
                                         enum eas_lockout_outcome outcome, apr_time_t now)
{
    struct eas_lockout_attempt attempt = make_attempt(0, password);

    attempt.known = true;
    return try_password(store, &rules, &attempt, outcome, now);
}

static void test_the_known_password_passes_a_lockout(void **state)
{
    struct eas_shm_table *store = guards_store(*state);
    unsigned i;

    lock_out(store, START);
    for (i = 0; i < 10; i++) {
        assert_int_equal(try_known(store, 9, EAS_LOCKOUT_RIGHT, START + i), EAS_LOCKOUT_ASK);
        /* It gives whoever guesses no new tries, and does not end the lockout for others. */
        assert_int_equal(guess(store, 10, START + i), EAS_LOCKOUT_LOCKED);
    }
    assert_int_equal(guess(store, 10, START + WINDOW), EAS_LOCKOUT_ASK);
}

static void test_the_known_password_passes_one_by_one_until_it_is_wrong(void **state)
{
    struct eas_shm_table *store = guards_store(*state);
    struct eas_lockout_attempt one = make_attempt(0, 9), two = make_attempt(0, 9);

    one.known = two.known = true;
    lock_out(store, START);
    assert_int_equal(eas_lockout_admit(store, &rules, &one, START), EAS_LOCKOUT_ASK);
    assert_true(one.during_lockout);
    assert_int_equal(eas_lockout_admit(store, &rules, &two, START), EAS_LOCKOUT_BUSY);
    eas_lockout_finish(store, &rules, &one, EAS_LOCKOUT_WRONG, START);
    assert_int_equal(one.counted, 4);
    assert_int_equal(eas_lockout_admit(store, &rules, &two, START), EAS_LOCKOUT_REMEMBERED);
    /* Another that is said to be known does not pass either, nor this one when it is forgotten. */
    assert_int_equal(try_known(store, 8, EAS_LOCKOUT_WRONG, START), EAS_LOCKOUT_LOCKED);
    assert_int_equal(try_known(store, 9, EAS_LOCKOUT_WRONG, START + 16 * MINUTE),
                     EAS_LOCKOUT_LOCKED);
    assert_int_equal(try_known(store, 8, EAS_LOCKOUT_RIGHT, START + WINDOW), EAS_LOCKOUT_ASK);
}

static void test_log_only_refuses_nothing_and_counts_as_if(void **state)
{
    static const struct eas_lockout_rules only_log = { 3, WINDOW, true, 15 * MINUTE };
    struct eas_shm_table *store = guards_store(*state);
    struct eas_lockout_attempt attempt;
    unsigned i;

    for (i = 0; i < 10; i++) {
        attempt = make_attempt(0, i);
        assert_int_equal(
            try_password(store, &only_log, &attempt, EAS_LOCKOUT_WRONG, START + i * MINUTE),
            EAS_LOCKOUT_ASK);
        assert_int_equal(attempt.during_lockout, i >= 3);
        assert_int_equal(attempt.locked_now, i == 2);
        assert_int_equal(attempt.counted, i < 3 ? i + 1 : 3);
    }
    /* The third was in minute 2: the later ones would have been refused, and prolong nothing. */
    attempt = make_attempt(0, 10);
    assert_int_equal(eas_lockout_admit(store, &only_log, &attempt, START + WINDOW + 2 * MINUTE),
                     EAS_LOCKOUT_ASK);
    assert_false(attempt.during_lockout);
}

static void test_off(void **state)
{
    static const struct eas_lockout_rules nothing = { 0, 0, false, 0 };
    struct eas_shm_table *store = guards_store(*state);
    struct eas_lockout_attempt attempt;
    unsigned i;

    for (i = 0; i < 50; i++) {
        attempt = make_attempt(0, 1);
        assert_int_equal(try_password(store, &nothing, &attempt, EAS_LOCKOUT_WRONG, START),
                         EAS_LOCKOUT_ASK);
    }
    assert_int_equal(guess(store, 1, START), EAS_LOCKOUT_ASK);
}

static void test_no_memory_of_bad_passwords(void **state)
{
    static const struct eas_lockout_rules forgetful = { 3, WINDOW, false, 0 };
    struct eas_shm_table *store = guards_store(*state);
    struct eas_lockout_attempt attempt = make_attempt(0, 1);
    unsigned i;

    for (i = 0; i < 3; i++) {
        assert_int_equal(try_password(store, &forgetful, &attempt, EAS_LOCKOUT_WRONG, START),
                         EAS_LOCKOUT_ASK);
    }
    assert_int_equal(eas_lockout_admit(store, &forgetful, &attempt, START), EAS_LOCKOUT_LOCKED);
}

/* --- the clock --- */

static void test_a_step_back_makes_nothing_last_longer_from_then_on(void **state)
{
    struct eas_shm_table *store = guards_store(*state);
    apr_time_t back = START - 500 * MINUTE;

    lock_out(store, START);
    assert_int_equal(guess(store, 9, back), EAS_LOCKOUT_LOCKED);
    assert_int_equal(guess(store, 1, back + 15 * MINUTE - 1), EAS_LOCKOUT_REMEMBERED);
    assert_int_equal(guess(store, 1, back + 15 * MINUTE), EAS_LOCKOUT_LOCKED);
    assert_int_equal(guess(store, 9, back + WINDOW - 1), EAS_LOCKOUT_LOCKED);
    assert_int_equal(guess(store, 9, back + WINDOW), EAS_LOCKOUT_ASK);
}

static void test_a_step_back_with_reservations(void **state)
{
    struct eas_shm_table *store = guards_store(*state);
    apr_time_t back = START - 500 * MINUTE;
    struct eas_lockout_attempt attempt, attempts[3];
    unsigned i;

    for (i = 0; i < 3; i++) {
        attempts[i] = make_attempt(0, i);
        assert_int_equal(eas_lockout_admit(store, &rules, &attempts[i], START), EAS_LOCKOUT_ASK);
    }
    attempt = make_attempt(0, 9);
    assert_int_equal(eas_lockout_admit(store, &rules, &attempt, back), EAS_LOCKOUT_BUSY);
    assert_int_equal(eas_lockout_admit(store, &rules, &attempt, back + 2 * MINUTE),
                     EAS_LOCKOUT_LOCKED);
    assert_int_equal(eas_lockout_admit(store, &rules, &attempt, back + 2 * MINUTE + WINDOW),
                     EAS_LOCKOUT_ASK);
}

static void test_a_step_forward_ends_it_early_and_does_no_harm(void **state)
{
    struct eas_shm_table *store = guards_store(*state);
    apr_time_t forward = START + 100000 * MINUTE;

    lock_out(store, START);
    lock_out(store, forward);
    assert_int_equal(guess(store, 9, forward), EAS_LOCKOUT_LOCKED);
    assert_int_equal(guess(store, 9, START), EAS_LOCKOUT_LOCKED);
    assert_int_equal(guess(store, 9, START + WINDOW), EAS_LOCKOUT_ASK);
}

/* Threads that read the clock a little earlier, and get there a little later. */
static void test_jitter_shortens_nothing(void **state)
{
    struct eas_shm_table *store = guards_store(*state);

    lock_out(store, START + 900000);
    assert_int_equal(guess(store, 9, START), EAS_LOCKOUT_LOCKED);
    assert_int_equal(guess(store, 9, START + WINDOW), EAS_LOCKOUT_LOCKED);
    assert_int_equal(guess(store, 9, START + WINDOW + 900000), EAS_LOCKOUT_ASK);
}

/* --- virtual hosts with rules of their own --- */

static void test_a_shorter_window_elsewhere_forgives_nothing_here(void **state)
{
    static const struct eas_lockout_rules hasty = { 5, MINUTE, false, 0 };
    struct eas_shm_table *store = guards_store(*state);
    struct eas_lockout_attempt attempt = make_attempt(0, 9);

    lock_out(store, START);
    assert_int_equal(try_password(store, &hasty, &attempt, EAS_LOCKOUT_WRONG, START + 2 * MINUTE),
                     EAS_LOCKOUT_ASK);
    assert_int_equal(attempt.counted, 4);
    assert_int_equal(guess(store, 1, START + 3 * MINUTE), EAS_LOCKOUT_REMEMBERED);
    assert_int_equal(guess(store, 8, START + 3 * MINUTE), EAS_LOCKOUT_LOCKED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_three_and_no_more),
        POOL_TEST(test_ends_when_the_window_has_passed_since_the_last),
        POOL_TEST(test_what_is_refused_prolongs_nothing),
        POOL_TEST(test_the_same_password_is_asked_about_once),
        POOL_TEST(test_many_refused_passwords),
        POOL_TEST(test_a_right_password_forgives),
        POOL_TEST(test_a_right_password_forgives_no_later_ones),
        POOL_TEST(test_at_once_no_more_than_one_after_the_other),
        POOL_TEST(test_the_same_at_once_waits_for_the_first),
        POOL_TEST(test_what_nobody_could_say_counts_nothing),
        POOL_TEST(test_what_is_never_settled_counts_in_the_end),
        POOL_TEST(test_the_known_password_passes_a_lockout),
        POOL_TEST(test_the_known_password_passes_one_by_one_until_it_is_wrong),
        POOL_TEST(test_log_only_refuses_nothing_and_counts_as_if),
        POOL_TEST(test_off),
        POOL_TEST(test_no_memory_of_bad_passwords),
        POOL_TEST(test_a_step_back_makes_nothing_last_longer_from_then_on),
        POOL_TEST(test_a_step_back_with_reservations),
        POOL_TEST(test_a_step_forward_ends_it_early_and_does_no_harm),
        POOL_TEST(test_jitter_shortens_nothing),
        POOL_TEST(test_a_shorter_window_elsewhere_forgives_nothing_here),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
