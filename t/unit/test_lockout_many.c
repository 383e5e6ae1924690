/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_lockout_many.c - Lockout under concurrency: the count of AD has a bound */

#include "t/unit/throttles.h"
#include "t/unit/unit.h"

#include "auth/password/lockout.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND apr_time_from_sec(1)
#define WINDOW (1800 * SECOND)

static struct eas_lockout_attempt make_attempt(unsigned password)
{
    struct eas_lockout_attempt attempt;

    memset(&attempt, 0, sizeof(attempt));
    memset(attempt.user, 7, sizeof(attempt.user));
    memset(attempt.digest, 0xd1, sizeof(attempt.digest));
    memcpy(attempt.digest, &password, sizeof(password));
    return attempt;
}

/* --- random interleavings against a model of AD --- */

#define EXCHANGES 40
#define STEPS 4000
#define RUNS 1000

/* AD's count of wrong passwords.  Its observation window is as long as the lockout's. */
struct ad {
    unsigned password;
    unsigned count;
    apr_time_t last;
};

/* An admitted attempt that has not finished. */
struct exchange {
    struct eas_lockout_attempt attempt;
    unsigned password;
    bool processed;
    enum eas_lockout_outcome outcome;
};

struct world {
    struct eas_shm_table *records;
    struct eas_lockout_rules rules;
    struct ad ad;
    struct exchange exchanges[EXCHANGES];
    unsigned n, last_verified, asked, highest;
    apr_time_t now, oldest; /* no attempt under way began earlier */
    uint64_t seed;
};

static uint64_t below(struct world *w, uint64_t limit)
{
    uint64_t x = w->seed += 0x9e3779b97f4a7c15u;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (x ^ (x >> 31)) % limit;
}

static void process(struct world *w, struct exchange *exchange)
{
    if (exchange->processed) {
        return;
    }
    exchange->processed = true;
    if (exchange->password == w->ad.password) {
        exchange->outcome = EAS_LOCKOUT_RIGHT;
        w->ad.count = 0;
        return;
    }
    exchange->outcome = EAS_LOCKOUT_WRONG;
    w->ad.count = w->now - w->ad.last >= WINDOW ? 1 : w->ad.count + 1;
    w->ad.last = w->now;
    w->highest = w->ad.count > w->highest ? w->ad.count : w->highest;
}

static void finish(struct world *w, unsigned i, bool answer_lost)
{
    struct exchange *exchange = &w->exchanges[i];

    if (!exchange->processed && !answer_lost) {
        process(w, exchange);
    }
    eas_lockout_finish(w->records, &w->rules, &exchange->attempt,
                       exchange->processed ? exchange->outcome : EAS_LOCKOUT_NO_ANSWER, w->now);
    if (exchange->processed && exchange->outcome == EAS_LOCKOUT_RIGHT) {
        w->last_verified = exchange->password;
    }
    *exchange = w->exchanges[--w->n];
}

/* The process of the exchange dies, before or after the KDC has processed it. */
static void kill_process(struct world *w, unsigned i)
{
    if (below(w, 2)) {
        process(w, &w->exchanges[i]);
    }
    w->exchanges[i] = w->exchanges[--w->n];
}

static void begin(struct world *w)
{
    struct exchange *exchange = &w->exchanges[w->n];
    uint64_t choice = below(w, 10);

    if (w->n == EXCHANGES) {
        return;
    }
    exchange->password = choice < 6   ? 1000 + (unsigned)below(w, 1000)
                         : choice < 8 ? w->last_verified
                                      : w->ad.password;
    exchange->processed = false;
    exchange->attempt = make_attempt(exchange->password);
    exchange->attempt.known = exchange->password == w->last_verified;
    if (eas_lockout_admit(w->records, &w->rules, &exchange->attempt, w->now) == EAS_LOCKOUT_ASK) {
        w->asked++;
        w->n++;
    }
}

/* An exchange lasts a minute at most. */
static void advance_time(struct world *w)
{
    apr_interval_time_t by = below(w, 20) == 0 ? (apr_interval_time_t)below(w, 2 * WINDOW)
                                               : (apr_interval_time_t)below(w, 20 * SECOND);

    while (w->n > 0 && w->now + by - w->oldest > 60 * SECOND) {
        finish(w, (unsigned)below(w, w->n), below(w, 4) == 0);
    }
    w->now += by;
    w->oldest = w->n == 0 ? w->now : w->oldest;
}

static void step(struct world *w)
{
    uint64_t choice = below(w, 100);

    if (choice < 60) {
        begin(w);
    }
    else if (choice < 75 && w->n > 0) {
        process(w, &w->exchanges[below(w, w->n)]);
    }
    else if (choice < 90 && w->n > 0) {
        finish(w, (unsigned)below(w, w->n), below(w, 10) == 0);
    }
    else if (choice < 91 && w->n > 0) {
        kill_process(w, (unsigned)below(w, w->n));
    }
    else if (choice == 99 && below(w, 10) == 0) {
        w->ad.password++;
    }
    else if (choice >= 97) {
        advance_time(w);
    }
}

static void test_random_interleavings_keep_the_bound(void **state)
{
    unsigned run, i, reached = 0, asked = 0;

    for (run = 0; run < RUNS; run++) {
        apr_pool_t *pool;
        struct world w = { .rules = { .failures = 1 + run % 6,
                                      .window = WINDOW,
                                      .remember_for = run % 3 * 600 * SECOND },
                           .ad = { .password = 1 },
                           .now = 10 * WINDOW,
                           .oldest = 10 * WINDOW,
                           .seed = run };

        assert_int_equal(apr_pool_create(&pool, *state), APR_SUCCESS);
        w.records = throttles_table(pool);
        for (i = 0; i < STEPS; i++) {
            step(&w);
            if (w.highest > w.rules.failures + 1) {
                fail_msg("run %u, step %u: AD has counted %u", run, i, w.highest);
            }
        }
        reached += w.highest >= w.rules.failures;
        asked += w.asked;
        apr_pool_destroy(pool);
    }
    /* A lockout that admits nothing keeps the bound, too. */
    assert_true(reached > RUNS * 9 / 10);
    assert_true(asked > RUNS * 50);
}

/* --- processes --- */

#define PROCESSES 8
#define GUESSES 3000

static const struct eas_lockout_rules rules = { .failures = 3,
                                                .window = WINDOW,
                                                .remember_for = 900 * SECOND };

static atomic_uint *share(void)
{
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(memory, MAP_FAILED);
    return memory;
}

/* Guesses different wrong passwords.  *counted is the count of AD. */
static void guess_many(struct eas_shm_table *records, unsigned process, atomic_uint *counted)
{
    unsigned i;

    for (i = 0; i < GUESSES; i++) {
        struct eas_lockout_attempt attempt = make_attempt(process * GUESSES + i);

        if (eas_lockout_admit(records, &rules, &attempt, WINDOW) == EAS_LOCKOUT_ASK) {
            bool answered = i % 3 != 0;

            atomic_fetch_add(counted, answered);
            eas_lockout_finish(records, &rules, &attempt,
                               answered ? EAS_LOCKOUT_WRONG : EAS_LOCKOUT_NO_ANSWER, WINDOW);
        }
    }
}

static void test_processes_share_the_limit(void **state)
{
    struct eas_shm_table *records = throttles_table(*state);
    atomic_uint *counted = share();
    pid_t pids[PROCESSES];
    unsigned i;
    int status;

    for (i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            guess_many(records, i, counted);
            _exit(0);
        }
        assert_true(pids[i] > 0);
    }
    for (i = 0; i < PROCESSES; i++) {
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(atomic_load(counted), 3);
}

/* The reservations of killed processes count. */
static void test_killed_processes_admit_no_further_attempts(void **state)
{
    struct eas_shm_table *records = throttles_table(*state);
    atomic_uint *counted = share();
    unsigned round;
    int status;

    for (round = 0; round < 60; round++) {
        pid_t pid = fork();

        if (pid == 0) {
            guess_many(records, round, counted);
            _exit(0);
        }
        usleep(round * 13 % 700);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
    }
    assert_true(atomic_load(counted) <= 3);
    guess_many(records, round, counted);
    assert_true(atomic_load(counted) <= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_random_interleavings_keep_the_bound),
        POOL_TEST(test_processes_share_the_limit),
        POOL_TEST(test_killed_processes_admit_no_further_attempts),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
