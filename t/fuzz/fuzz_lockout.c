/* SPDX-License-Identifier: Apache-2.0 */
/* t/fuzz/fuzz_lockout.c - fuzz target of auth/password/lockout: any record, and AD's own count */

#include "t/fuzz/fuzz.h"

#include "auth/password/lockout.h"

#include <stdint.h>

#define TABLE_SIZE 32768
#define TIME_MAX (APR_INT64_MAX >> 4)
#define ATTEMPTS 16
#define STEPS 64

/* Sizes in a record. */
#define HEADER 56
#define PENDING 64
#define REFUSED 48

struct run {
    struct eas_shm_table *table;
    struct eas_lockout_rules rules;
    apr_time_t now;
    bool known; /* password 0 is the known one */
    bool fresh; /* the record began empty */
    struct eas_lockout_attempt attempts[ATTEMPTS];
    unsigned n_attempts;
    unsigned wrong; /* AD's count */
    apr_time_t last_wrong;
};

static struct eas_shm_table *make_table(void *memory)
{
    eas_shm_table_format(memory, TABLE_SIZE);
    return eas_shm_table_attach(memory, TABLE_SIZE);
}

/* Whether the bytes have the version, and the length of their counts. */
static bool is_record(struct eas_bytes bytes)
{
    uint32_t version;
    uint16_t counts[2];

    if (bytes.len < HEADER) {
        return false;
    }
    memcpy(&version, bytes.at, sizeof(version));
    memcpy(counts, bytes.at + 4, sizeof(counts));
    return version == 1 && counts[0] <= 12 && counts[1] <= 16
           && bytes.len == (size_t)(HEADER + counts[0] * PENDING + counts[1] * REFUSED);
}

static struct eas_lockout_attempt make_attempt(const struct run *run, unsigned password)
{
    struct eas_lockout_attempt attempt = { .known = run->known && password == 0 };

    memset(attempt.user, 'u', sizeof(attempt.user));
    memset(attempt.digest, (int)password, sizeof(attempt.digest));
    return attempt;
}

/* A call leaves a record behind, or none. */
static void check_stored(apr_pool_t *pool, const struct run *run)
{
    struct eas_lockout_attempt attempt = make_attempt(run, 0);
    struct eas_bytes stored;

    if (eas_shm_table_get(run->table, pool, attempt.user, run->now, &stored.at, &stored.len)) {
        check(is_record(stored));
    }
}

static void finish(struct run *run, unsigned i, enum eas_lockout_outcome outcome)
{
    struct eas_lockout_attempt attempt = run->attempts[i];
    unsigned allowed = run->rules.failures + run->known;

    run->attempts[i] = run->attempts[--run->n_attempts];
    eas_lockout_finish(run->table, &run->rules, &attempt, outcome, run->now);
    if (outcome == EAS_LOCKOUT_RIGHT) {
        run->wrong = 0;
    }
    else if (outcome == EAS_LOCKOUT_WRONG) {
        if (run->now - run->last_wrong >= run->rules.window) {
            run->wrong = 0;
        }
        run->wrong++;
        run->last_wrong = run->now;
    }
    /* AD's threshold, one above ours, is never reached. */
    check(!run->fresh || run->rules.failures == 0 || run->rules.log_only || run->wrong <= allowed);
}

static void admit(struct run *run, unsigned password)
{
    struct eas_lockout_attempt attempt = make_attempt(run, password);
    enum eas_lockout_answer answer = eas_lockout_admit(run->table, &run->rules, &attempt, run->now);

    check(answer != EAS_LOCKOUT_BROKEN);
    check(answer != EAS_LOCKOUT_LOCKED || (run->rules.failures > 0 && !run->rules.log_only));
    check(answer != EAS_LOCKOUT_REMEMBERED || run->rules.remember_for > 0);
    if (answer == EAS_LOCKOUT_ASK) {
        check(run->n_attempts < ATTEMPTS);
        run->attempts[run->n_attempts++] = attempt;
        if (run->n_attempts == ATTEMPTS) {
            finish(run, 0, EAS_LOCKOUT_NO_ANSWER);
        }
    }
}

static void step(struct run *run, unsigned how)
{
    unsigned rest = how >> 2, i = run->n_attempts > 0 ? rest % run->n_attempts : 0;

    switch (how & 3) {
    case 0:
        admit(run, rest % 8);
        break;
    case 1:
        if (run->n_attempts > 0) {
            finish(run, i, rest & 32 ? EAS_LOCKOUT_RIGHT : EAS_LOCKOUT_NO_ANSWER);
        }
        break;
    case 2:
        if (run->n_attempts > 0) {
            finish(run, i, EAS_LOCKOUT_WRONG);
        }
        break;
    default:
        if (run->n_attempts == 0) { /* no answer takes as long as that */
            run->now += apr_time_from_sec(rest * rest);
        }
    }
}

/* Bytes that are no record decide as an empty table does. */
static void check_no_record(const struct run *run)
{
    void *memory = malloc(TABLE_SIZE);
    struct eas_lockout_attempt attempt = make_attempt(run, 1), other = attempt;

    check(memory != NULL);
    check(eas_lockout_admit(run->table, &run->rules, &attempt, run->now)
              == eas_lockout_admit(make_table(memory), &run->rules, &other, run->now)
          && attempt.counted == other.counted);
    eas_lockout_finish(run->table, &run->rules, &attempt, EAS_LOCKOUT_NO_ANSWER, run->now);
    free(memory);
}

static struct run make_run(void *memory, struct eas_bytes *input)
{
    unsigned flags = fuzz_octet(input);
    struct run run = { .table = make_table(memory),
                       .rules = { .failures = flags % 4,
                                  .window = apr_time_from_sec(60 + fuzz_octet(input) * 10),
                                  .log_only = (flags & 4) != 0,
                                  .remember_for = flags & 8 ? apr_time_from_sec(300) : 0 },
                       .now = (apr_time_t)(fuzz_number(input, 8) & TIME_MAX),
                       .known = (flags & 16) != 0,
                       .fresh = (flags & 32) != 0 };

    return run;
}

static void fuzz(apr_pool_t *pool, struct eas_bytes input)
{
    void *memory = malloc(TABLE_SIZE);
    struct run run;
    struct eas_bytes record;
    struct eas_lockout_attempt attempt;
    unsigned n_steps = 0;

    check(memory != NULL);
    run = make_run(memory, &input);
    if (!run.fresh) {
        record = fuzz_take(&input, (size_t)fuzz_number(&input, 2) % (EAS_SHM_TABLE_UPDATE_MAX + 1));
        attempt = make_attempt(&run, 0);
        check(eas_shm_table_put(run.table, attempt.user, record.at, record.len, APR_INT64_MAX));
        if (!is_record(record)) {
            check_no_record(&run);
        }
    }
    while (input.len > 0 && n_steps++ < STEPS) {
        step(&run, fuzz_octet(&input));
        if (run.fresh) {
            check_stored(pool, &run);
        }
    }
    free(memory);
}
