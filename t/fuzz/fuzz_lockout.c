/* SPDX-License-Identifier: Apache-2.0 */
/* t/fuzz/fuzz_lockout.c - fuzz target of auth/password/lockout: any record, and AD's own count */

#include "t/fuzz/fuzz.h"

#include "auth/password/lockout.h"

#include <stdint.h>

#define TABLE_SIZE 32768
#define TIME_MAX (APR_INT64_MAX >> 4)
#define ATTEMPTS 16
#define MAX_PENDING 12
#define MAX_REFUSED 16
#define STEPS 64

#define DIGESTS 8

/* Of a record: the version and sizes that the unit has written. */
static struct {
    unsigned char version[4];
    size_t header, pending, refused;
} layout;

struct run {
    struct eas_shm_table *table;
    struct eas_lockout_rules rules;
    apr_time_t now;
    apr_time_t ads_now; /* the clock of AD, which never steps back */
    bool known;         /* password 0 is the known one */
    bool fresh;         /* the record began empty, and the rest is a model of it */
    struct eas_lockout_attempt attempts[ATTEMPTS];
    unsigned n_attempts;
    unsigned wrong; /* AD's count */
    apr_time_t ads_last_wrong;
    apr_time_t last_wrong;        /* by our clock */
    apr_time_t wrong_at[DIGESTS]; /* the latest time of a digest; 0: never */
};

static struct eas_shm_table *make_table(void *memory)
{
    memset(memory, 0, TABLE_SIZE);
    eas_shm_table_format(memory, TABLE_SIZE);
    return eas_shm_table_attach(memory, TABLE_SIZE);
}

static size_t size_of(const uint16_t counts[2])
{
    return layout.header + counts[0] * layout.pending + counts[1] * layout.refused;
}

/* Whether the bytes have the version, and the length of their counts. */
static bool is_record(struct eas_bytes bytes)
{
    uint16_t counts[2];

    if (bytes.len < layout.header || memcmp(bytes.at, layout.version, 4) != 0) {
        return false;
    }
    memcpy(counts, bytes.at + 4, sizeof(counts));
    return counts[0] <= MAX_PENDING && counts[1] <= MAX_REFUSED && bytes.len == size_of(counts);
}

/* The bytes with the version and the length of a record. */
static struct eas_bytes as_record(apr_pool_t *pool, struct eas_bytes bytes)
{
    unsigned char *record = apr_pcalloc(pool, EAS_SHM_TABLE_UPDATE_MAX);
    uint16_t counts[2];

    memcpy(record, bytes.at, bytes.len);
    memcpy(record, layout.version, 4);
    memcpy(counts, record + 4, sizeof(counts));
    counts[0] %= MAX_PENDING + 1;
    counts[1] %= MAX_REFUSED + 1;
    memcpy(record + 4, counts, sizeof(counts));
    return eas_bytes_make(record, size_of(counts));
}

static struct eas_lockout_attempt make_attempt(const struct run *run, unsigned password)
{
    struct eas_lockout_attempt attempt = { .known = run->known && password == 0 };

    memset(attempt.user, 'u', sizeof(attempt.user));
    memset(attempt.digest, (int)password, sizeof(attempt.digest));
    return attempt;
}

static size_t stored_size(apr_pool_t *pool, const struct run *run)
{
    struct eas_lockout_attempt attempt = make_attempt(run, 0);
    struct eas_bytes stored;

    check(eas_shm_table_get(run->table, pool, attempt.user, run->now, &stored.at, &stored.len));
    memcpy(layout.version, stored.at, sizeof(layout.version));
    return stored.len;
}

/* A first attempt, a second one, and the refusal of one of them tell the sizes. */
static void learn_layout(apr_pool_t *pool, void *memory)
{
    struct run run = { .table = make_table(memory),
                       .rules = { .failures = 3,
                                  .window = apr_time_from_sec(60),
                                  .remember_for = apr_time_from_sec(60) },
                       .now = apr_time_from_sec(1000) };
    struct eas_lockout_attempt one = make_attempt(&run, 1), two = make_attempt(&run, 2);
    size_t first, second;

    check(eas_lockout_admit(run.table, &run.rules, &one, run.now) == EAS_LOCKOUT_ASK);
    first = stored_size(pool, &run);
    check(eas_lockout_admit(run.table, &run.rules, &two, run.now) == EAS_LOCKOUT_ASK);
    second = stored_size(pool, &run);
    layout.pending = second - first;
    layout.header = first - layout.pending;
    eas_lockout_finish(run.table, &run.rules, &one, EAS_LOCKOUT_WRONG, run.now);
    layout.refused = stored_size(pool, &run) - first;
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
        if (run->ads_now - run->ads_last_wrong >= run->rules.window) {
            run->wrong = 0;
        }
        run->wrong++;
        run->ads_last_wrong = run->ads_now;
        run->wrong_at[attempt.digest[0]] = run->now;
        if (run->now > run->last_wrong) {
            run->last_wrong = run->now; /* the clock may have stepped back by less than a second */
        }
    }
    /* AD's threshold, one above ours, is never reached. */
    check(!run->fresh || run->rules.failures == 0 || run->rules.log_only || run->wrong <= allowed);
}

/* A refusal has a cause, which ends. */
static void check_refusal(const struct run *run, unsigned password, enum eas_lockout_answer answer)
{
    const struct eas_lockout_rules *rules = &run->rules;
    bool enforced = rules->failures > 0 && !rules->log_only;
    bool counts = enforced && run->last_wrong > 0 && run->now - run->last_wrong < rules->window;
    apr_time_t wrong_at = run->wrong_at[password];

    check(answer != EAS_LOCKOUT_BROKEN);
    check(answer != EAS_LOCKOUT_LOCKED || enforced);
    check(answer != EAS_LOCKOUT_REMEMBERED || enforced || rules->remember_for > 0);
    if (run->fresh) {
        check(answer != EAS_LOCKOUT_LOCKED || counts);
        check(answer != EAS_LOCKOUT_BUSY || run->n_attempts > 0);
        check(answer != EAS_LOCKOUT_REMEMBERED
              || (wrong_at > 0 && (counts || run->now - wrong_at < rules->remember_for)));
    }
}

/* A time that a clock step back has left in the future is now; a second is no step. */
static void clamp(apr_time_t *when, apr_time_t now)
{
    if (*when > now + apr_time_from_sec(1)) {
        *when = now;
    }
}

static void clamp_times(struct run *run)
{
    unsigned i;

    clamp(&run->last_wrong, run->now);
    for (i = 0; i < DIGESTS; i++) {
        clamp(&run->wrong_at[i], run->now);
    }
}

static void admit(struct run *run, unsigned password)
{
    struct eas_lockout_attempt attempt = make_attempt(run, password);
    enum eas_lockout_answer answer = eas_lockout_admit(run->table, &run->rules, &attempt, run->now);

    clamp_times(run);
    check_refusal(run, password, answer);
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
        admit(run, rest % DIGESTS);
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
            apr_time_t step = apr_time_from_sec(rest % 32 * (rest % 32) * 4);

            run->now += rest & 32 ? -step : step;
            run->now = run->now > 0 ? run->now : 1;
            run->ads_now += rest & 32 ? 0 : step;
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

static struct run make_run(void *memory, unsigned flags, struct eas_bytes *input)
{
    struct run run = { .table = make_table(memory),
                       .rules = { .failures = flags % 4,
                                  .window = apr_time_from_sec(60 + fuzz_octet(input) * 10),
                                  .log_only = (flags & 4) != 0,
                                  .remember_for = flags & 8 ? apr_time_from_sec(300) : 0 },
                       .now = (apr_time_t)(fuzz_number(input, 8) & TIME_MAX) + 1,
                       .ads_now = apr_time_from_sec(1000000),
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
    unsigned flags = fuzz_octet(&input), n_steps = 0;

    check(memory != NULL);
    if (layout.header == 0) {
        learn_layout(pool, memory);
    }
    run = make_run(memory, flags, &input);
    if (!run.fresh) {
        record = fuzz_take(&input, (size_t)fuzz_number(&input, 2) % (EAS_SHM_TABLE_UPDATE_MAX + 1));
        record = flags & 64 ? as_record(pool, record) : record;
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
