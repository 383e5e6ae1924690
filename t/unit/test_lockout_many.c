/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_lockout_many.c - whatever happens at once, AD never counts more than it may */

#include "t/unit/guards.h"
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
    memset(attempt.account, 7, sizeof(attempt.account));
    memset(attempt.digest, 0xd1, sizeof(attempt.digest));
    memcpy(attempt.digest, &password, sizeof(password));
    return attempt;
}

/* --- random interleavings against a model of AD --- */

#define FLIGHTS 40
#define STEPS 4000
#define RUNS 1000

/* How AD counts, with its observation window as long as ours. */
struct ad {
    unsigned password;
    unsigned count;
    apr_time_t last;
};

/* An attempt between the gateway's yes and its last word. */
struct flight {
    struct eas_lockout_attempt attempt;
    unsigned password;
    bool processed;
    enum eas_lockout_outcome outcome;
};

struct world {
    struct eas_shm_table *store;
    struct eas_lockout_rules rules;
    struct ad ad;
    struct flight flights[FLIGHTS];
    unsigned n, last_proved, asked, highest;
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

static void process(struct world *w, struct flight *flight)
{
    if (flight->processed) {
        return;
    }
    flight->processed = true;
    if (flight->password == w->ad.password) {
        flight->outcome = EAS_LOCKOUT_RIGHT;
        w->ad.count = 0;
        return;
    }
    flight->outcome = EAS_LOCKOUT_WRONG;
    w->ad.count = w->now - w->ad.last >= WINDOW ? 1 : w->ad.count + 1;
    w->ad.last = w->now;
    w->highest = w->ad.count > w->highest ? w->ad.count : w->highest;
}

static void settle(struct world *w, unsigned i, bool answer_lost)
{
    struct flight *flight = &w->flights[i];

    if (!flight->processed && !answer_lost) {
        process(w, flight);
    }
    eas_lockout_finish(w->store, &w->rules, &flight->attempt,
                       flight->processed ? flight->outcome : EAS_LOCKOUT_NO_ANSWER, w->now);
    if (flight->processed && flight->outcome == EAS_LOCKOUT_RIGHT) {
        w->last_proved = flight->password;
    }
    *flight = w->flights[--w->n];
}

/* Its process dies; the KDC may have heard of it or not. */
static void lose(struct world *w, unsigned i)
{
    if (below(w, 2)) {
        process(w, &w->flights[i]);
    }
    w->flights[i] = w->flights[--w->n];
}

static void begin(struct world *w)
{
    struct flight *flight = &w->flights[w->n];
    uint64_t what = below(w, 10);

    if (w->n == FLIGHTS) {
        return;
    }
    flight->password = what < 6   ? 1000 + (unsigned)below(w, 1000)
                       : what < 8 ? w->last_proved
                                  : w->ad.password;
    flight->processed = false;
    flight->attempt = make_attempt(flight->password);
    flight->attempt.known = flight->password == w->last_proved;
    if (eas_lockout_admit(w->store, &w->rules, &flight->attempt, w->now) == EAS_LOCKOUT_ASK) {
        w->asked++;
        w->n++;
    }
}

/* Exchanges last for a minute at most. */
static void let_time_pass(struct world *w)
{
    apr_interval_time_t by = below(w, 20) == 0 ? (apr_interval_time_t)below(w, 2 * WINDOW)
                                               : (apr_interval_time_t)below(w, 20 * SECOND);

    while (w->n > 0 && w->now + by - w->oldest > 60 * SECOND) {
        settle(w, (unsigned)below(w, w->n), below(w, 4) == 0);
    }
    w->now += by;
    w->oldest = w->n == 0 ? w->now : w->oldest;
}

static void step(struct world *w)
{
    uint64_t what = below(w, 100);

    if (what < 60) {
        begin(w);
    }
    else if (what < 75 && w->n > 0) {
        process(w, &w->flights[below(w, w->n)]);
    }
    else if (what < 90 && w->n > 0) {
        settle(w, (unsigned)below(w, w->n), below(w, 10) == 0);
    }
    else if (what < 91 && w->n > 0) {
        lose(w, (unsigned)below(w, w->n));
    }
    else if (what == 99 && below(w, 10) == 0) {
        w->ad.password++;
    }
    else if (what >= 97) {
        let_time_pass(w);
    }
}

static void test_no_interleaving_exceeds_the_bound(void **state)
{
    unsigned run, i, reached = 0, asked = 0;

    for (run = 0; run < RUNS; run++) {
        apr_pool_t *pool;
        struct world w = { .rules = { 1 + run % 6, WINDOW, false, run % 3 * 600 * SECOND },
                           .ad = { .password = 1 },
                           .now = 10 * WINDOW,
                           .oldest = 10 * WINDOW,
                           .seed = run };

        assert_int_equal(apr_pool_create(&pool, *state), APR_SUCCESS);
        w.store = guards_store(pool);
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
    /* The bound is not kept by asking nothing. */
    assert_true(reached > RUNS * 9 / 10);
    assert_true(asked > RUNS * 50);
}

/* --- processes --- */

#define PROCESSES 8
#define GUESSES 3000

static const struct eas_lockout_rules rules = { 3, WINDOW, false, 900 * SECOND };

static atomic_uint *share(void)
{
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(memory, MAP_FAILED);
    return memory;
}

/* Different passwords, all wrong; asked[0] is what AD has counted. */
static void guess_on(struct eas_shm_table *store, unsigned process, atomic_uint *asked)
{
    unsigned i;

    for (i = 0; i < GUESSES; i++) {
        struct eas_lockout_attempt attempt = make_attempt(process * GUESSES + i);

        if (eas_lockout_admit(store, &rules, &attempt, WINDOW) == EAS_LOCKOUT_ASK) {
            bool heard = i % 3 != 0;

            atomic_fetch_add(asked, heard);
            eas_lockout_finish(store, &rules, &attempt,
                               heard ? EAS_LOCKOUT_WRONG : EAS_LOCKOUT_NO_ANSWER, WINDOW);
        }
    }
}

static void test_processes_ask_three_times_together(void **state)
{
    struct eas_shm_table *store = guards_store(*state);
    atomic_uint *asked = share();
    pid_t pids[PROCESSES];
    unsigned i;
    int status;

    for (i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            guess_on(store, i, asked);
            _exit(0);
        }
        assert_true(pids[i] > 0);
    }
    for (i = 0; i < PROCESSES; i++) {
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(atomic_load(asked), 3);
}

/* Those that are killed give nobody a further try. */
static void test_the_killed_leave_no_room(void **state)
{
    struct eas_shm_table *store = guards_store(*state);
    atomic_uint *asked = share();
    unsigned round;
    int status;

    for (round = 0; round < 60; round++) {
        pid_t pid = fork();

        if (pid == 0) {
            guess_on(store, round, asked);
            _exit(0);
        }
        usleep(round * 13 % 700);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
    }
    assert_true(atomic_load(asked) <= 3);
    guess_on(store, round, asked);
    assert_true(atomic_load(asked) <= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_no_interleaving_exceeds_the_bound),
        POOL_TEST(test_processes_ask_three_times_together),
        POOL_TEST(test_the_killed_leave_no_room),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
