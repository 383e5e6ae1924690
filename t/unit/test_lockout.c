/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_lockout.c - Lockout of an AD user, with a fake clock */

#include "t/unit/throttles.h"
#include "t/unit/unit.h"

#include "auth/password/lockout.h"

#include <string.h>

#define MINUTE apr_time_from_sec(60)
#define WINDOW (30 * MINUTE)
#define START (1000 * MINUTE)

/* The default: three in thirty minutes, a refused password for fifteen. */
static const struct eas_lockout_rules rules = { .failures = 3,
                                                .window = WINDOW,
                                                .remember_for = 15 * MINUTE };

/* Users and passwords are numbers. */
static struct eas_lockout_attempt make_attempt(unsigned user, unsigned password)
{
    struct eas_lockout_attempt attempt;

    memset(&attempt, 0, sizeof(attempt));
    memset(attempt.user, (int)user + 1, sizeof(attempt.user));
    memset(attempt.digest, 0xd1, sizeof(attempt.digest));
    memcpy(attempt.digest, &password, sizeof(password));
    memcpy(attempt.digest + 8, &user, sizeof(user));
    return attempt;
}

/* Admits an attempt, and finishes it with the outcome. */
static enum eas_lockout_answer try_password(struct eas_shm_table *records,
                                            const struct eas_lockout_rules *r,
                                            struct eas_lockout_attempt *attempt,
                                            enum eas_lockout_outcome outcome, apr_time_t now)
{
    enum eas_lockout_answer answer = eas_lockout_admit(records, r, attempt, now);

    if (answer == EAS_LOCKOUT_ASK) {
        eas_lockout_finish(records, r, attempt, outcome, now);
    }
    return answer;
}

static enum eas_lockout_answer guess(struct eas_shm_table *records, unsigned password,
                                     apr_time_t now)
{
    struct eas_lockout_attempt attempt = make_attempt(0, password);

    return try_password(records, &rules, &attempt, EAS_LOCKOUT_WRONG, now);
}

static enum eas_lockout_answer log_on(struct eas_shm_table *records, unsigned password,
                                      apr_time_t now)
{
    struct eas_lockout_attempt attempt = make_attempt(0, password);

    return try_password(records, &rules, &attempt, EAS_LOCKOUT_RIGHT, now);
}

/* Locks user 0 with the passwords 1, 2, 3. */
static void lock_out(struct eas_shm_table *records, apr_time_t now)
{
    unsigned i;

    for (i = 1; i <= 3; i++) {
        assert_int_equal(guess(records, i, now), EAS_LOCKOUT_ASK);
    }
}

/* The KDC may be asked again, but not about the passwords that it refused. */
static void test_administrator_ends_a_lockout(void **state)
{
    struct eas_shm_table *records = throttles_table(*state);
    struct eas_lockout_attempt user = make_attempt(0, 0), other = make_attempt(1, 0);
    unsigned i;

    lock_out(records, START);
    assert_int_equal(guess(records, 4, START), EAS_LOCKOUT_LOCKED);
    assert_false(eas_lockout_forgive(records, other.user, START));
    assert_int_equal(guess(records, 4, START), EAS_LOCKOUT_LOCKED);
    assert_true(eas_lockout_forgive(records, user.user, START));
    for (i = 1; i <= 3; i++) {
        assert_int_equal(guess(records, i, START), EAS_LOCKOUT_REMEMBERED);
    }
    assert_int_equal(log_on(records, 5, START), EAS_LOCKOUT_ASK);
    /* A new lockout counts from the start. */
    for (i = 11; i <= 13; i++) {
        assert_int_equal(guess(records, i, START), EAS_LOCKOUT_ASK);
    }
    assert_int_equal(guess(records, 14, START), EAS_LOCKOUT_LOCKED);
}

/* The header of a record, as lockout.c writes it. */
struct foreign {
    uint32_t version;
    uint16_t n_pending, n_refused;
    unsigned char rest[48];
    unsigned char entries[1900];
};

/* A record of another version, or with counts that its length does not have, counts as none. */
static void test_foreign_records_count_as_none(void **state)
{
    static const struct foreign records[] = {
        { .version = 7, .n_pending = 400 },
        { .version = 2, .n_pending = 400 },
        { .version = 2, .n_refused = 65535 },
        { .version = 2, .n_pending = 13 },
        { .version = 2, .n_refused = 17 },
        { .version = 2, .n_pending = 12, .n_refused = 16 },
        { .version = 2 },
    };
    unsigned i;

    for (i = 0; i < COUNT_OF(records); i++) {
        struct eas_shm_table *table = throttles_table(*state);
        struct eas_lockout_attempt attempt = make_attempt(0, 1);

        assert_true(eas_shm_table_put(table, attempt.user, &records[i], sizeof(records[i]),
                                      START + WINDOW));
        lock_out(table, START);
        assert_int_equal(guess(table, 4, START), EAS_LOCKOUT_LOCKED);
    }
}

/* Times that no clock shows, and more forgiven than failed.  The record has an entry of each kind. */
static void test_records_with_impossible_values_count_as_none(void **state)
{
    static const size_t offsets[] = { 32, 40, 48, 56 + 8, 56 + 16, 56 + 64, 56 + 64 + 8 };
    static const int64_t times[] = { INT64_MIN, -1, INT64_MAX / 2, INT64_MAX };
    unsigned char bytes[56 + 64 + 48];
    unsigned i;

    for (i = 0; i < COUNT_OF(offsets) * COUNT_OF(times); i++) {
        struct eas_shm_table *table = throttles_table(*state);
        struct eas_lockout_attempt attempt = make_attempt(0, 1);

        memset(bytes, 0, sizeof(bytes));
        memcpy(bytes, (uint16_t[]){ 1, 0, 1, 1 }, 8); /* version, pending, refused */
        bytes[24] = 3;                                /* wrong passwords */
        memcpy(bytes + offsets[i / COUNT_OF(times)], &times[i % COUNT_OF(times)], 8);
        assert_true(
            eas_shm_table_put(table, attempt.user, bytes, sizeof(bytes), START + 10 * WINDOW));
        lock_out(table, START);
        assert_int_equal(guess(table, 4, START), EAS_LOCKOUT_LOCKED);
    }
}

static void test_limit_of_wrong_passwords(void **state)
{
    struct eas_shm_table *records = throttles_table(*state);
    struct eas_lockout_attempt attempt;
    unsigned i;

    for (i = 1; i <= 3; i++) {
        attempt = make_attempt(0, i);
        assert_int_equal(try_password(records, &rules, &attempt, EAS_LOCKOUT_WRONG, START),
                         EAS_LOCKOUT_ASK);
        assert_int_equal(attempt.counted, i);
        assert_int_equal(attempt.locked_now, i == 3);
    }
    attempt = make_attempt(0, 4);
    assert_int_equal(eas_lockout_admit(records, &rules, &attempt, START), EAS_LOCKOUT_LOCKED);
    assert_int_equal(attempt.counted, 3);
    attempt = make_attempt(1, 4);
    assert_int_equal(eas_lockout_admit(records, &rules, &attempt, START), EAS_LOCKOUT_ASK);
}

static void test_lockout_ends_a_window_after_the_last_wrong_password(void **state)
{
    struct eas_shm_table *records = throttles_table(*state);

    assert_int_equal(guess(records, 1, START), EAS_LOCKOUT_ASK);
    assert_int_equal(guess(records, 2, START + 20 * MINUTE), EAS_LOCKOUT_ASK);
    /* As in AD, the third wrong password counts although the first is older than the window. */
    assert_int_equal(guess(records, 3, START + 40 * MINUTE), EAS_LOCKOUT_ASK);
    assert_int_equal(guess(records, 4, START + 40 * MINUTE), EAS_LOCKOUT_LOCKED);
    assert_int_equal(guess(records, 4, START + 70 * MINUTE - 1), EAS_LOCKOUT_LOCKED);
    assert_int_equal(guess(records, 4, START + 70 * MINUTE), EAS_LOCKOUT_ASK);
    assert_int_equal(guess(records, 5, START + 70 * MINUTE), EAS_LOCKOUT_ASK);
    assert_int_equal(guess(records, 6, START + 70 * MINUTE), EAS_LOCKOUT_ASK);
    assert_int_equal(guess(records, 7, START + 70 * MINUTE), EAS_LOCKOUT_LOCKED);
}

static void test_refusals_do_not_prolong_a_lockout(void **state)
{
    struct eas_shm_table *records = throttles_table(*state);
    apr_time_t now;

    lock_out(records, START);
    for (now = START; now < START + WINDOW; now += MINUTE / 4) {
        assert_int_equal(guess(records, 100, now), EAS_LOCKOUT_LOCKED);
    }
    assert_int_equal(guess(records, 100, START + WINDOW), EAS_LOCKOUT_ASK);
}

static void test_refused_password_is_remembered(void **state)
{
    static const struct eas_lockout_rules no_lockout = { .remember_for = 15 * MINUTE };
    struct eas_shm_table *records = throttles_table(*state);
    struct eas_lockout_attempt one = make_attempt(0, 1), two = make_attempt(0, 2);
    apr_time_t now;

    assert_int_equal(try_password(records, &no_lockout, &one, EAS_LOCKOUT_WRONG, START),
                     EAS_LOCKOUT_ASK);
    for (now = START; now < START + 15 * MINUTE; now += MINUTE / 4) {
        assert_int_equal(eas_lockout_admit(records, &no_lockout, &one, now),
                         EAS_LOCKOUT_REMEMBERED);
    }
    now = START + 15 * MINUTE;
    assert_int_equal(try_password(records, &no_lockout, &two, EAS_LOCKOUT_WRONG, now - 1),
                     EAS_LOCKOUT_ASK);
    assert_int_equal(try_password(records, &no_lockout, &one, EAS_LOCKOUT_WRONG, now),
                     EAS_LOCKOUT_ASK);
    assert_int_equal(eas_lockout_admit(records, &no_lockout, &two, now), EAS_LOCKOUT_REMEMBERED);
}

/*
 * Devices repeat their old passwords every minute for a day.  Each password is asked about once
 * while it counts, whatever the memory, and the owner's new password always gets through.
 */
static void check_stale_passwords(apr_pool_t *pool, unsigned devices, apr_interval_time_t memory)
{
    struct eas_lockout_rules r = rules;
    struct eas_shm_table *records = throttles_table(pool);
    struct eas_lockout_attempt attempt;
    unsigned minute, i, asked = 0;

    r.remember_for = memory;
    for (minute = 0; minute < 24 * 60; minute++) {
        apr_time_t now = START + minute * MINUTE;

        for (i = 1; i <= devices; i++) {
            if (minute >= 20 * (i - 1)) {
                attempt = make_attempt(0, i);
                asked +=
                    try_password(records, &r, &attempt, EAS_LOCKOUT_WRONG, now) == EAS_LOCKOUT_ASK;
                assert_true(attempt.counted <= devices);
            }
        }
        attempt = make_attempt(0, 9);
        if (try_password(records, &r, &attempt, EAS_LOCKOUT_NO_ANSWER, now) != EAS_LOCKOUT_ASK) {
            fail_msg("the new password is refused in minute %u", minute);
        }
    }
    assert_true(asked <= devices * 24 * 60 / 30);
}

static void test_stale_passwords_below_the_limit_lock_nobody(void **state)
{
    check_stale_passwords(*state, 1, 15 * MINUTE);
    check_stale_passwords(*state, 1, 0);
    check_stale_passwords(*state, 1, 20 * MINUTE);
    check_stale_passwords(*state, 2, 15 * MINUTE);
    check_stale_passwords(*state, 2, 0);
}

/* As of an account that is disabled, or locked in AD. */
static void test_other_refusals_count_and_are_remembered_briefly(void **state)
{
    struct eas_shm_table *records = throttles_table(*state);
    struct eas_lockout_attempt attempt = make_attempt(0, 1);
    apr_time_t now;
    unsigned asked = 0;

    for (now = START; now < START + 20 * MINUTE; now += MINUTE / 4) {
        if (try_password(records, &rules, &attempt, EAS_LOCKOUT_NOBODY, now) == EAS_LOCKOUT_ASK) {
            assert_int_equal(attempt.is_new_guess, asked == 0);
            asked++;
        }
        assert_int_equal(attempt.counted, 1);
    }
    assert_int_equal(asked, 4);
    assert_int_equal(log_on(records, 2, now), EAS_LOCKOUT_ASK);
    assert_int_equal(log_on(records, 1, now), EAS_LOCKOUT_ASK);
}

/* The status of a repeated password must not tell a disabled account from another one. */
static void test_other_refusals_are_remembered_during_a_lockout(void **state)
{
    struct eas_shm_table *records = throttles_table(*state);
    struct eas_lockout_attempt attempt;
    unsigned i;

    for (i = 1; i <= 3; i++) {
        attempt = make_attempt(0, i);
        assert_int_equal(try_password(records, &rules, &attempt, EAS_LOCKOUT_NOBODY, START),
                         EAS_LOCKOUT_ASK);
    }
    assert_int_equal(guess(records, 1, START + WINDOW - 1), EAS_LOCKOUT_REMEMBERED);
    assert_int_equal(guess(records, 4, START + WINDOW - 1), EAS_LOCKOUT_LOCKED);
    assert_int_equal(guess(records, 1, START + WINDOW), EAS_LOCKOUT_ASK);
}

/* It was right, so it counts nothing; the new password ends the memory of it. */
static void test_expired_password_is_remembered_briefly(void **state)
{
    struct eas_shm_table *records = throttles_table(*state);
    struct eas_lockout_attempt attempt = make_attempt(0, 1);

    assert_int_equal(try_password(records, &rules, &attempt, EAS_LOCKOUT_EXPIRED, START),
                     EAS_LOCKOUT_ASK);
    assert_int_equal(attempt.counted, 0);
    assert_false(attempt.is_new_guess);
    assert_int_equal(eas_lockout_admit(records, &rules, &attempt, START + 5 * MINUTE - 1),
                     EAS_LOCKOUT_REMEMBERED);
    assert_int_equal(attempt.remembered, EAS_LOCKOUT_EXPIRED);
    assert_int_equal(
        try_password(records, &rules, &attempt, EAS_LOCKOUT_EXPIRED, START + 5 * MINUTE),
        EAS_LOCKOUT_ASK);
    assert_int_equal(log_on(records, 2, START + 6 * MINUTE), EAS_LOCKOUT_ASK);
    assert_int_equal(log_on(records, 1, START + 6 * MINUTE), EAS_LOCKOUT_ASK);
}

/* log-only asks again after the memory, and does not count again. */
static void test_log_only_counts_a_repeated_password_once(void **state)
{
    static const struct eas_lockout_rules only_log = {
        .failures = 3, .window = WINDOW, .log_only = true, .remember_for = 5 * MINUTE
    };
    struct eas_shm_table *records = throttles_table(*state);
    unsigned i;

    for (i = 0; i < 6; i++) {
        struct eas_lockout_attempt attempt = make_attempt(0, 1);

        assert_int_equal(
            try_password(records, &only_log, &attempt, EAS_LOCKOUT_WRONG, START + i * 5 * MINUTE),
            EAS_LOCKOUT_ASK);
        assert_int_equal(attempt.counted, 1);
    }
}

/* After a reload; the record keeps the time that was right when it was written. */
static void test_shorter_memory_forgets_at_once(void **state)
{
    struct eas_lockout_rules shorter = { .remember_for = 5 * MINUTE };
    static const struct eas_lockout_rules before = { .remember_for = 15 * MINUTE };
    struct eas_shm_table *records = throttles_table(*state);
    struct eas_lockout_attempt attempt = make_attempt(0, 1);

    assert_int_equal(try_password(records, &before, &attempt, EAS_LOCKOUT_WRONG, START),
                     EAS_LOCKOUT_ASK);
    assert_int_equal(eas_lockout_admit(records, &shorter, &attempt, START + 4 * MINUTE),
                     EAS_LOCKOUT_REMEMBERED);
    assert_int_equal(
        try_password(records, &shorter, &attempt, EAS_LOCKOUT_WRONG, START + 6 * MINUTE),
        EAS_LOCKOUT_ASK);
    shorter.remember_for = 0;
    assert_int_equal(eas_lockout_admit(records, &shorter, &attempt, START + 7 * MINUTE),
                     EAS_LOCKOUT_ASK);
}

/* A record remembers 16; a new one replaces the oldest. */
static void test_oldest_refused_password_is_replaced(void **state)
{
    static const struct eas_lockout_rules no_lockout = { .remember_for = 15 * MINUTE };
    struct eas_shm_table *records = throttles_table(*state);
    struct eas_lockout_attempt attempt;
    unsigned i;

    for (i = 0; i < 40; i++) {
        attempt = make_attempt(0, i);
        assert_int_equal(try_password(records, &no_lockout, &attempt, EAS_LOCKOUT_WRONG, START + i),
                         EAS_LOCKOUT_ASK);
    }
    for (i = 24; i < 40; i++) {
        attempt = make_attempt(0, i);
        assert_int_equal(eas_lockout_admit(records, &no_lockout, &attempt, START + 50),
                         EAS_LOCKOUT_REMEMBERED);
    }
    attempt = make_attempt(0, 23);
    assert_int_equal(eas_lockout_admit(records, &no_lockout, &attempt, START + 50),
                     EAS_LOCKOUT_ASK);
}

static void test_right_password_forgives(void **state)
{
    struct eas_shm_table *records = throttles_table(*state);
    unsigned round;

    for (round = 0; round < 5; round++) {
        assert_int_equal(guess(records, 1, START), EAS_LOCKOUT_ASK);
        assert_int_equal(guess(records, 2, START), EAS_LOCKOUT_ASK);
        assert_int_equal(guess(records, 1, START), EAS_LOCKOUT_REMEMBERED);
        assert_int_equal(log_on(records, 9, START), EAS_LOCKOUT_ASK);
    }
    lock_out(records, START);
}

/* AD may have counted the wrong ones after the right one, whatever the order of its answers. */
static void test_right_password_forgives_no_later_ones(void **state)
{
    struct eas_shm_table *records = throttles_table(*state);
    struct eas_lockout_attempt right = make_attempt(0, 9),
                               wrong[] = { make_attempt(0, 1), make_attempt(0, 2) };

    assert_int_equal(eas_lockout_admit(records, &rules, &right, START), EAS_LOCKOUT_ASK);
    assert_int_equal(eas_lockout_admit(records, &rules, &wrong[0], START), EAS_LOCKOUT_ASK);
    assert_int_equal(eas_lockout_admit(records, &rules, &wrong[1], START), EAS_LOCKOUT_ASK);
    eas_lockout_finish(records, &rules, &wrong[0], EAS_LOCKOUT_WRONG, START);
    eas_lockout_finish(records, &rules, &wrong[1], EAS_LOCKOUT_WRONG, START);
    eas_lockout_finish(records, &rules, &right, EAS_LOCKOUT_RIGHT, START);
    assert_int_equal(right.counted, 2);
    assert_int_equal(guess(records, 3, START), EAS_LOCKOUT_ASK);
    assert_int_equal(guess(records, 4, START), EAS_LOCKOUT_LOCKED);
}

static void test_concurrent_attempts_have_the_same_limit(void **state)
{
    struct eas_shm_table *records = throttles_table(*state);
    struct eas_lockout_attempt attempts[200];
    unsigned i, asked = 0;

    for (i = 0; i < 200; i++) {
        enum eas_lockout_answer answer;

        attempts[i] = make_attempt(0, i);
        answer = eas_lockout_admit(records, &rules, &attempts[i], START);
        assert_true(answer == EAS_LOCKOUT_ASK || answer == EAS_LOCKOUT_BUSY);
        asked += answer == EAS_LOCKOUT_ASK;
    }
    assert_int_equal(asked, 3);
    eas_lockout_finish(records, &rules, &attempts[0], EAS_LOCKOUT_WRONG, START);
    assert_int_equal(eas_lockout_admit(records, &rules, &attempts[3], START), EAS_LOCKOUT_BUSY);
    eas_lockout_finish(records, &rules, &attempts[1], EAS_LOCKOUT_NO_ANSWER, START);
    assert_int_equal(eas_lockout_admit(records, &rules, &attempts[3], START), EAS_LOCKOUT_ASK);
    eas_lockout_finish(records, &rules, &attempts[2], EAS_LOCKOUT_WRONG, START);
    eas_lockout_finish(records, &rules, &attempts[3], EAS_LOCKOUT_WRONG, START);
    assert_int_equal(eas_lockout_admit(records, &rules, &attempts[4], START), EAS_LOCKOUT_LOCKED);
}

static void test_same_password_waits_for_the_first_attempt(void **state)
{
    struct eas_shm_table *records = throttles_table(*state);
    struct eas_lockout_attempt first = make_attempt(0, 1), second = make_attempt(0, 1);

    assert_int_equal(eas_lockout_admit(records, &rules, &first, START), EAS_LOCKOUT_ASK);
    assert_int_equal(eas_lockout_admit(records, &rules, &second, START), EAS_LOCKOUT_BUSY);
    eas_lockout_finish(records, &rules, &first, EAS_LOCKOUT_WRONG, START);
    assert_int_equal(eas_lockout_admit(records, &rules, &second, START), EAS_LOCKOUT_REMEMBERED);
}

static void test_attempt_without_answer_counts_nothing(void **state)
{
    struct eas_shm_table *records = throttles_table(*state);
    struct eas_lockout_attempt attempt;
    unsigned i;

    for (i = 0; i < 20; i++) {
        attempt = make_attempt(0, 1);
        assert_int_equal(try_password(records, &rules, &attempt, EAS_LOCKOUT_NO_ANSWER, START),
                         EAS_LOCKOUT_ASK);
        assert_int_equal(attempt.counted, 0);
    }
}

/* The reservations of a process that died count as wrong passwords. */
static void test_unfinished_attempt_counts_after_two_minutes(void **state)
{
    struct eas_shm_table *records = throttles_table(*state);
    struct eas_lockout_attempt attempt;
    unsigned i;

    for (i = 0; i < 3; i++) {
        attempt = make_attempt(0, i);
        assert_int_equal(eas_lockout_admit(records, &rules, &attempt, START), EAS_LOCKOUT_ASK);
    }
    attempt = make_attempt(0, 9);
    assert_int_equal(eas_lockout_admit(records, &rules, &attempt, START + 2 * MINUTE - 1),
                     EAS_LOCKOUT_BUSY);
    assert_int_equal(eas_lockout_admit(records, &rules, &attempt, START + 2 * MINUTE),
                     EAS_LOCKOUT_LOCKED);
    assert_int_equal(eas_lockout_admit(records, &rules, &attempt, START + 2 * MINUTE + WINDOW - 1),
                     EAS_LOCKOUT_LOCKED);
    assert_int_equal(eas_lockout_admit(records, &rules, &attempt, START + 2 * MINUTE + WINDOW),
                     EAS_LOCKOUT_ASK);
}

static enum eas_lockout_answer try_known(struct eas_shm_table *records, unsigned password,
                                         enum eas_lockout_outcome outcome, apr_time_t now)
{
    struct eas_lockout_attempt attempt = make_attempt(0, password);

    attempt.known = true;
    return try_password(records, &rules, &attempt, outcome, now);
}

static void test_known_password_is_admitted_during_a_lockout(void **state)
{
    struct eas_shm_table *records = throttles_table(*state);
    unsigned i;

    lock_out(records, START);
    for (i = 0; i < 10; i++) {
        assert_int_equal(try_known(records, 9, EAS_LOCKOUT_RIGHT, START + i), EAS_LOCKOUT_ASK);
        /* A right known password ends no lockout and admits no guesses. */
        assert_int_equal(guess(records, 10, START + i), EAS_LOCKOUT_LOCKED);
    }
    assert_int_equal(guess(records, 10, START + WINDOW), EAS_LOCKOUT_ASK);
}

static void test_known_password_is_admitted_until_it_is_wrong(void **state)
{
    struct eas_shm_table *records = throttles_table(*state);
    struct eas_lockout_attempt one = make_attempt(0, 9), two = make_attempt(0, 9);

    one.known = two.known = true;
    lock_out(records, START);
    assert_int_equal(eas_lockout_admit(records, &rules, &one, START), EAS_LOCKOUT_ASK);
    assert_true(one.during_lockout);
    assert_int_equal(eas_lockout_admit(records, &rules, &two, START), EAS_LOCKOUT_BUSY);
    eas_lockout_finish(records, &rules, &one, EAS_LOCKOUT_WRONG, START);
    assert_int_equal(one.counted, 4);
    assert_int_equal(eas_lockout_admit(records, &rules, &two, START), EAS_LOCKOUT_REMEMBERED);
    /* Another known password is refused too, and this one is remembered while it counts. */
    assert_int_equal(try_known(records, 8, EAS_LOCKOUT_WRONG, START), EAS_LOCKOUT_LOCKED);
    assert_int_equal(try_known(records, 9, EAS_LOCKOUT_WRONG, START + 16 * MINUTE),
                     EAS_LOCKOUT_REMEMBERED);
    assert_int_equal(try_known(records, 8, EAS_LOCKOUT_RIGHT, START + WINDOW), EAS_LOCKOUT_ASK);
}

static void test_log_only_counts_and_refuses_nothing(void **state)
{
    static const struct eas_lockout_rules only_log = {
        .failures = 3, .window = WINDOW, .log_only = true, .remember_for = 15 * MINUTE
    };
    struct eas_shm_table *records = throttles_table(*state);
    struct eas_lockout_attempt attempt;
    unsigned i;

    for (i = 0; i < 10; i++) {
        attempt = make_attempt(0, i);
        assert_int_equal(
            try_password(records, &only_log, &attempt, EAS_LOCKOUT_WRONG, START + i * MINUTE),
            EAS_LOCKOUT_ASK);
        assert_int_equal(attempt.during_lockout, i >= 3);
        assert_int_equal(attempt.locked_now, i == 2);
        assert_int_equal(attempt.counted, i < 3 ? i + 1 : 3);
    }
    /*
     * The third was in minute 2.  Without log_only, the later ones are refused and prolong nothing.
     */
    attempt = make_attempt(0, 10);
    assert_int_equal(eas_lockout_admit(records, &only_log, &attempt, START + WINDOW + 2 * MINUTE),
                     EAS_LOCKOUT_ASK);
    assert_false(attempt.during_lockout);
}

static void test_lockout_and_memory_off(void **state)
{
    static const struct eas_lockout_rules off = { .failures = 0 };
    struct eas_shm_table *records = throttles_table(*state);
    struct eas_lockout_attempt attempt;
    unsigned i;

    for (i = 0; i < 50; i++) {
        attempt = make_attempt(0, 1);
        assert_int_equal(try_password(records, &off, &attempt, EAS_LOCKOUT_WRONG, START),
                         EAS_LOCKOUT_ASK);
    }
    assert_int_equal(guess(records, 1, START), EAS_LOCKOUT_ASK);
}

static void test_lockout_without_memory_of_refused_passwords(void **state)
{
    static const struct eas_lockout_rules no_memory = { .failures = 3, .window = WINDOW };
    struct eas_shm_table *records = throttles_table(*state);
    struct eas_lockout_attempt attempt;
    unsigned i;

    for (i = 0; i < 3; i++) {
        attempt = make_attempt(0, i);
        assert_int_equal(try_password(records, &no_memory, &attempt, EAS_LOCKOUT_WRONG, START),
                         EAS_LOCKOUT_ASK);
        assert_int_equal(eas_lockout_admit(records, &no_memory, &attempt, START),
                         EAS_LOCKOUT_REMEMBERED);
    }
    attempt = make_attempt(0, 9);
    assert_int_equal(eas_lockout_admit(records, &no_memory, &attempt, START), EAS_LOCKOUT_LOCKED);
}

/* --- the clock --- */

static void test_clock_step_back_prolongs_nothing(void **state)
{
    struct eas_shm_table *records = throttles_table(*state);
    apr_time_t back = START - 500 * MINUTE;

    lock_out(records, START);
    assert_int_equal(guess(records, 9, back), EAS_LOCKOUT_LOCKED);
    assert_int_equal(guess(records, 1, back + WINDOW - 1), EAS_LOCKOUT_REMEMBERED);
    assert_int_equal(guess(records, 9, back + WINDOW - 1), EAS_LOCKOUT_LOCKED);
    assert_int_equal(guess(records, 1, back + WINDOW), EAS_LOCKOUT_ASK);
    assert_int_equal(guess(records, 9, back + WINDOW), EAS_LOCKOUT_ASK);
}

static void test_clock_step_back_with_reservations(void **state)
{
    struct eas_shm_table *records = throttles_table(*state);
    apr_time_t back = START - 500 * MINUTE;
    struct eas_lockout_attempt attempt, attempts[3];
    unsigned i;

    for (i = 0; i < 3; i++) {
        attempts[i] = make_attempt(0, i);
        assert_int_equal(eas_lockout_admit(records, &rules, &attempts[i], START), EAS_LOCKOUT_ASK);
    }
    attempt = make_attempt(0, 9);
    assert_int_equal(eas_lockout_admit(records, &rules, &attempt, back), EAS_LOCKOUT_BUSY);
    assert_int_equal(eas_lockout_admit(records, &rules, &attempt, back + 2 * MINUTE),
                     EAS_LOCKOUT_LOCKED);
    assert_int_equal(eas_lockout_admit(records, &rules, &attempt, back + 2 * MINUTE + WINDOW),
                     EAS_LOCKOUT_ASK);
}

static void test_clock_step_forward_ends_a_lockout(void **state)
{
    struct eas_shm_table *records = throttles_table(*state);
    apr_time_t forward = START + 100000 * MINUTE;

    lock_out(records, START);
    lock_out(records, forward);
    assert_int_equal(guess(records, 9, forward), EAS_LOCKOUT_LOCKED);
    assert_int_equal(guess(records, 9, START), EAS_LOCKOUT_LOCKED);
    assert_int_equal(guess(records, 9, START + WINDOW), EAS_LOCKOUT_ASK);
}

/* A thread may read the clock before another thread, and have the record after it. */
static void test_clock_jitter_shortens_nothing(void **state)
{
    struct eas_shm_table *records = throttles_table(*state);

    lock_out(records, START + 900000);
    assert_int_equal(guess(records, 9, START), EAS_LOCKOUT_LOCKED);
    assert_int_equal(guess(records, 9, START + WINDOW), EAS_LOCKOUT_LOCKED);
    assert_int_equal(guess(records, 9, START + WINDOW + 900000), EAS_LOCKOUT_ASK);
}

/* --- a change of the password --- */

static void test_expired_password_is_admitted_for_a_change(void **state)
{
    struct eas_shm_table *records = throttles_table(*state);
    struct eas_lockout_attempt expired = make_attempt(0, 1), wrong = make_attempt(0, 2);

    assert_int_equal(try_password(records, &rules, &expired, EAS_LOCKOUT_EXPIRED, START),
                     EAS_LOCKOUT_ASK);
    assert_int_equal(guess(records, 2, START), EAS_LOCKOUT_ASK);
    wrong.for_change = true;
    assert_int_equal(try_password(records, &rules, &wrong, EAS_LOCKOUT_RIGHT, START),
                     EAS_LOCKOUT_REMEMBERED);
    assert_int_equal(try_password(records, &rules, &expired, EAS_LOCKOUT_RIGHT, START),
                     EAS_LOCKOUT_REMEMBERED);
    expired.for_change = true;
    assert_int_equal(try_password(records, &rules, &expired, EAS_LOCKOUT_NO_ANSWER, START),
                     EAS_LOCKOUT_ASK);
    assert_int_equal(guess(records, 3, START), EAS_LOCKOUT_ASK);
    assert_int_equal(guess(records, 4, START), EAS_LOCKOUT_ASK);
    assert_int_equal(try_password(records, &rules, &expired, EAS_LOCKOUT_RIGHT, START),
                     EAS_LOCKOUT_LOCKED);
}

/* The new password was typed before it was one, and during the lockout refusals are not forgiven. */
static void test_new_password_is_refused_no_longer(void **state)
{
    struct eas_shm_table *records = throttles_table(*state);
    struct eas_lockout_attempt old = make_attempt(0, 9);

    assert_int_equal(log_on(records, 9, START), EAS_LOCKOUT_ASK);
    lock_out(records, START);
    old.known = old.for_change = true;
    assert_int_equal(eas_lockout_admit(records, &rules, &old, START), EAS_LOCKOUT_ASK);
    memcpy(old.digest, make_attempt(0, 2).digest, sizeof(old.digest));
    eas_lockout_finish(records, &rules, &old, EAS_LOCKOUT_RIGHT, START);
    old.known = true;
    assert_int_equal(eas_lockout_admit(records, &rules, &old, START), EAS_LOCKOUT_ASK);
    assert_int_equal(guess(records, 1, START), EAS_LOCKOUT_REMEMBERED);
}

/* --- virtual hosts with different rules --- */

static void test_shorter_window_of_another_vhost_forgives_nothing(void **state)
{
    static const struct eas_lockout_rules other = { .failures = 5, .window = MINUTE };
    struct eas_shm_table *records = throttles_table(*state);
    struct eas_lockout_attempt attempt = make_attempt(0, 9);

    lock_out(records, START);
    assert_int_equal(try_password(records, &other, &attempt, EAS_LOCKOUT_WRONG, START + 2 * MINUTE),
                     EAS_LOCKOUT_ASK);
    assert_int_equal(attempt.counted, 4);
    assert_int_equal(guess(records, 1, START + 3 * MINUTE), EAS_LOCKOUT_REMEMBERED);
    assert_int_equal(guess(records, 8, START + 3 * MINUTE), EAS_LOCKOUT_LOCKED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_administrator_ends_a_lockout),
        POOL_TEST(test_foreign_records_count_as_none),
        POOL_TEST(test_records_with_impossible_values_count_as_none),
        POOL_TEST(test_limit_of_wrong_passwords),
        POOL_TEST(test_lockout_ends_a_window_after_the_last_wrong_password),
        POOL_TEST(test_refusals_do_not_prolong_a_lockout),
        POOL_TEST(test_refused_password_is_remembered),
        POOL_TEST(test_stale_passwords_below_the_limit_lock_nobody),
        POOL_TEST(test_other_refusals_count_and_are_remembered_briefly),
        POOL_TEST(test_other_refusals_are_remembered_during_a_lockout),
        POOL_TEST(test_expired_password_is_remembered_briefly),
        POOL_TEST(test_expired_password_is_admitted_for_a_change),
        POOL_TEST(test_new_password_is_refused_no_longer),
        POOL_TEST(test_log_only_counts_a_repeated_password_once),
        POOL_TEST(test_shorter_memory_forgets_at_once),
        POOL_TEST(test_oldest_refused_password_is_replaced),
        POOL_TEST(test_right_password_forgives),
        POOL_TEST(test_right_password_forgives_no_later_ones),
        POOL_TEST(test_concurrent_attempts_have_the_same_limit),
        POOL_TEST(test_same_password_waits_for_the_first_attempt),
        POOL_TEST(test_attempt_without_answer_counts_nothing),
        POOL_TEST(test_unfinished_attempt_counts_after_two_minutes),
        POOL_TEST(test_known_password_is_admitted_during_a_lockout),
        POOL_TEST(test_known_password_is_admitted_until_it_is_wrong),
        POOL_TEST(test_log_only_counts_and_refuses_nothing),
        POOL_TEST(test_lockout_and_memory_off),
        POOL_TEST(test_lockout_without_memory_of_refused_passwords),
        POOL_TEST(test_clock_step_back_prolongs_nothing),
        POOL_TEST(test_clock_step_back_with_reservations),
        POOL_TEST(test_clock_step_forward_ends_a_lockout),
        POOL_TEST(test_clock_jitter_shortens_nothing),
        POOL_TEST(test_shorter_window_of_another_vhost_forgives_nothing),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
