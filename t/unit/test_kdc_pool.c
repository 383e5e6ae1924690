/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_kdc_pool.c - threads, queue, deadlines and breaker, with jobs that only pretend */

#include "t/unit/unit.h"

#include "auth/kdc_pool.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#define LONG_TIME apr_time_from_sec(20)
#define SHORT_TIME apr_time_from_msec(150)

/* --- a clock that can be put forward ---------------------------------------------------------- */

static volatile int seconds_ahead;

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);
    int rv;

    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    }
    rv = real(clock, now);
    now->tv_sec += clock == CLOCK_MONOTONIC ? seconds_ahead : 0;
    return rv;
}

/* --- a KDC of our own --------------------------------------------------------------------------- */

enum behaviour {
    ANSWERS,      /* at once */
    WAITS,        /* until the gate is opened, then answers */
    IS_SILENT,    /* until the gate is opened, then has not answered */
    IS_NOT_THERE, /* says so at once */
    IS_NOT_ASKED, /* something else has the result */
    IS_ELSEWHERE  /* the same, when the gate is opened */
};

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool open;
    int begun, most_at_once, now;
    char order[16]; /* of the jobs begun, by the first letters of their names */
} gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0, 0, 0, "" };

struct ask {
    const char *name;
    enum behaviour behaviour;
};

static void *copy_ask(apr_pool_t *pool, const void *data)
{
    struct ask *copy = apr_pmemdup(pool, data, sizeof(*copy));

    copy->name = apr_pstrdup(pool, copy->name);
    return copy;
}

static void pass_gate(const char *name, bool waits)
{
    pthread_mutex_lock(&gate.mutex);
    if (gate.begun < (int)sizeof(gate.order) - 1) {
        gate.order[gate.begun] = name[0];
    }
    gate.begun++;
    if (++gate.now > gate.most_at_once) {
        gate.most_at_once = gate.now;
    }
    pthread_cond_broadcast(&gate.changed);
    while (waits && !gate.open) {
        pthread_cond_wait(&gate.changed, &gate.mutex);
    }
    gate.now--;
    pthread_mutex_unlock(&gate.mutex);
}

static enum eas_rc run_ask(struct eas_kdc_job *job, void *data, struct eas_err *err)
{
    struct ask *copy = data;
    enum behaviour how = copy->behaviour;

    if (how == IS_NOT_ASKED) {
        return EAS_OK;
    }
    if (how == IS_ELSEWHERE) {
        pass_gate(copy->name, true);
        return EAS_OK;
    }
    eas_kdc_job_asks(job, "REALM", 5);
    pass_gate(copy->name, how == WAITS || how == IS_SILENT);
    eas_kdc_job_hears(job, how == ANSWERS || how == WAITS);
    return how == ANSWERS || how == WAITS ? EAS_OK
                                          : eas_fail(err, EAS_UNAVAILABLE, 4711, "not there");
}

static void open_gate(bool open)
{
    pthread_mutex_lock(&gate.mutex);
    gate.open = open;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.mutex);
}

static void await_begun(int n)
{
    pthread_mutex_lock(&gate.mutex);
    while (gate.begun < n) {
        pthread_cond_wait(&gate.changed, &gate.mutex);
    }
    pthread_mutex_unlock(&gate.mutex);
}

static int set_up(void **state)
{
    open_gate(false);
    gate.begun = gate.most_at_once = gate.now = 0;
    memset(gate.order, 0, sizeof(gate.order));
    seconds_ahead = 0;
    return unit_make_pool(state);
}

static int tear_down(void **state)
{
    open_gate(true);
    return unit_destroy_pool(state);
}

#define GATE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* --- askers -------------------------------------------------------------------------------------- */

static struct eas_kdc_pool *make_pool(void **state, unsigned threads, unsigned queued,
                                      unsigned stalled)
{
    struct eas_kdc_pool_limits limits = { threads, queued, stalled };

    return eas_kdc_pool_create(*state, limits);
}

/* Returns the tag of the error, 0 if there was none. */
static int ask_late(struct eas_kdc_pool *pool, const char *name, enum behaviour behaviour,
                    apr_interval_time_t timeout, apr_interval_time_t patience)
{
    struct eas_kdc_task task = { "REALM", timeout, patience < timeout, copy_ask, run_ask };
    struct ask ask = { name, behaviour };
    struct eas_kdc_job *job = NULL;
    apr_interval_time_t waited = 0;
    struct eas_err err = { EAS_OK, 0, "" };
    enum eas_rc rc =
        eas_kdc_pool_ask(pool, &task, name, strlen(name), &ask, patience, &job, &waited, &err);

    if (rc == EAS_OK) {
        assert_string_equal(((struct ask *)eas_kdc_job_copy(job))->name, name);
        eas_kdc_job_release(job);
        return 0;
    }
    assert_int_equal(rc, EAS_UNAVAILABLE);
    assert_int_equal(err.rc, rc);
    if (job != NULL) {
        eas_kdc_job_release(job); /* it has ended, and badly */
    }
    return err.tag;
}

static int ask_for(struct eas_kdc_pool *pool, const char *name, enum behaviour behaviour,
                   apr_interval_time_t patience)
{
    return ask_late(pool, name, behaviour, patience, patience);
}

static void hint(struct eas_kdc_pool *pool, const char *name, enum behaviour behaviour)
{
    struct eas_kdc_task task = { "REALM", LONG_TIME, false, copy_ask, run_ask };
    struct ask ask = { name, behaviour };

    eas_kdc_pool_hint(pool, &task, name, strlen(name), &ask);
}

/* Someone who asks on a thread of his own. */
struct asker {
    struct eas_kdc_pool *pool;
    const char *name;
    enum behaviour behaviour;
    apr_interval_time_t patience;
    int tag;
    pthread_t thread;
};

static void *be_asker(void *data)
{
    struct asker *asker = data;

    asker->tag = ask_for(asker->pool, asker->name, asker->behaviour, asker->patience);
    return NULL;
}

/* One whose request has asked for something else before. */
static void *be_late_asker(void *data)
{
    struct asker *asker = data;

    asker->tag =
        ask_late(asker->pool, asker->name, asker->behaviour, LONG_TIME, asker->patience - 1);
    return NULL;
}

static void start_as(struct asker *asker, void *(*be)(void *))
{
    assert_int_equal(pthread_create(&asker->thread, NULL, be, asker), 0);
}

static void start(struct asker *asker, struct eas_kdc_pool *pool, const char *name,
                  enum behaviour behaviour, apr_interval_time_t patience)
{
    *asker = (struct asker){ pool, name, behaviour, patience, -1, 0 };
    start_as(asker, be_asker);
}

static int tag_of(struct asker *asker)
{
    pthread_join(asker->thread, NULL);
    return asker->tag;
}

static void assert_all(struct asker *askers, size_t n, int tag)
{
    size_t i;

    for (i = 0; i < n; i++) {
        assert_int_equal(tag_of(&askers[i]), tag);
    }
}

static void await_waiting(struct eas_kdc_pool *pool, unsigned n)
{
    apr_time_t until = apr_time_now() + LONG_TIME;

    while (eas_kdc_pool_load(pool).waiting != n) {
        assert_true(apr_time_now() < until);
        apr_thread_yield();
    }
}

static void await_idle(struct eas_kdc_pool *pool)
{
    apr_time_t until = apr_time_now() + LONG_TIME;
    struct eas_kdc_pool_load load;

    do {
        assert_true(apr_time_now() < until);
        apr_thread_yield();
        load = eas_kdc_pool_load(pool);
    } while (load.running + load.queued > 0);
}

/* --- tests --------------------------------------------------------------------------------------- */

static void test_outcome_reaches_the_asker(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 2, 10, 10);

    assert_int_equal(ask_for(pool, "a", ANSWERS, LONG_TIME), 0);
    assert_int_equal(ask_for(pool, "b", IS_NOT_THERE, LONG_TIME), 4711);
    assert_int_equal(ask_for(pool, "a", ANSWERS, LONG_TIME), 0);
    assert_int_equal(gate.begun, 3); /* nothing is remembered here */
}

static void test_same_key_is_one_job(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 4, 10, 100);
    struct asker askers[20];
    size_t i;

    for (i = 0; i < COUNT_OF(askers); i++) {
        start(&askers[i], pool, i % 2 ? "one" : "two", WAITS, LONG_TIME);
    }
    await_waiting(pool, COUNT_OF(askers));
    open_gate(true);
    assert_all(askers, COUNT_OF(askers), 0);
    assert_int_equal(gate.begun, 2);
}

static void test_threads_are_bounded(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 3, 100, 10);
    struct eas_kdc_pool_load load;
    int i;

    for (i = 0; i < 50; i++) {
        hint(pool, apr_itoa(*state, i), WAITS);
    }
    await_begun(3);
    load = eas_kdc_pool_load(pool);
    assert_int_equal(load.threads, 3);
    assert_int_equal(load.running, 3);
    assert_int_equal(load.queued, 47);
    open_gate(true);
    await_begun(50);
    assert_int_equal(gate.most_at_once, 3);
}

static void test_full_queue_is_said_at_once(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 1, 2, 10);

    hint(pool, "running", WAITS);
    await_begun(1);
    hint(pool, "queued 1", WAITS);
    hint(pool, "queued 2", WAITS);
    assert_int_equal(ask_for(pool, "too much", WAITS, LONG_TIME), 1251);
    hint(pool, "too much as well", WAITS);
    assert_int_equal(eas_kdc_pool_load(pool).queued, 2);
    open_gate(true);
    await_idle(pool);
    assert_int_equal(gate.begun, 3);
}

static void test_what_was_begun_goes_first(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 1, 10, 100);
    const char *names[] = { "1", "2", "b", "3", "c", "4" };
    struct asker askers[COUNT_OF(names)];
    size_t i;

    hint(pool, "0", WAITS);
    await_begun(1);
    hint(pool, "h", ANSWERS);
    hint(pool, "c", ANSWERS); /* until a late one wants it too */
    for (i = 0; i < COUNT_OF(askers); i++) {
        bool late = apr_isalpha(names[i][0]);

        askers[i] = (struct asker){ pool, names[i], ANSWERS, LONG_TIME, -1, 0 };
        start_as(&askers[i], late ? be_late_asker : be_asker);
        await_waiting(pool, (unsigned)i + 1);
    }
    open_gate(true);
    assert_all(askers, COUNT_OF(askers), 0);
    await_idle(pool);
    assert_string_equal(gate.order, "0bch1234");
}

static void test_impatient_asker_leaves_the_job_behind(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 1, 10, 10);

    assert_int_equal(ask_for(pool, "slow", WAITS, SHORT_TIME), 1250);
    assert_int_equal(eas_kdc_pool_load(pool).running, 1);
    assert_int_equal(eas_kdc_pool_load(pool).waiting, 0);
    open_gate(true);
    await_idle(pool);
    assert_int_equal(ask_for(pool, "next", ANSWERS, LONG_TIME), 0);
}

static void test_nobody_waits_for_what_hangs(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 1, 10, 10);
    apr_time_t began = apr_time_now();

    assert_int_equal(ask_for(pool, "hangs", WAITS, SHORT_TIME), 1250);
    assert_int_equal(ask_late(pool, "hangs", WAITS, SHORT_TIME, LONG_TIME), 1250);
    assert_true(apr_time_now() - began < LONG_TIME / 2);
}

/* Who may wait no longer makes no job, and says nothing of the KDC. */
static void test_asker_without_patience(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 1, 10, 10);

    assert_int_equal(ask_for(pool, "late", ANSWERS, 0), 1257);
    assert_int_equal(ask_for(pool, "later", ANSWERS, -1), 1257);
    assert_int_equal(eas_kdc_pool_load(pool).threads, 0);
    assert_int_equal(eas_kdc_pool_load(pool).queued, 0);
}

static void test_job_that_nobody_wants_any_more(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 1, 10, 10);

    hint(pool, "running", WAITS);
    await_begun(1);
    assert_int_equal(ask_for(pool, "queued", ANSWERS, SHORT_TIME), 1253);
    hint(pool, "hint", ANSWERS);
    open_gate(true);
    await_idle(pool);
    assert_int_equal(gate.begun, 2); /* "running" and "hint" */
}

static void test_breaker_opens_and_closes(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 2, 10, 10);
    int i;

    for (i = 0; i < 3; i++) {
        assert_int_equal(ask_for(pool, "a", IS_NOT_THERE, LONG_TIME), 4711);
    }
    assert_int_equal(ask_for(pool, "a", ANSWERS, LONG_TIME), 1254);
    hint(pool, "a", ANSWERS);
    assert_int_equal(gate.begun, 3);
    seconds_ahead += 5;
    assert_int_equal(ask_for(pool, "a", IS_NOT_THERE, LONG_TIME), 4711);
    assert_int_equal(ask_for(pool, "a", ANSWERS, LONG_TIME), 1254);
    seconds_ahead += 5;
    assert_int_equal(ask_for(pool, "a", ANSWERS, LONG_TIME), 0);
    assert_int_equal(ask_for(pool, "b", IS_NOT_THERE, LONG_TIME), 4711);
    assert_int_equal(ask_for(pool, "a", ANSWERS, LONG_TIME), 0);
}

static void test_trial_that_asks_nobody_proves_nothing(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 2, 10, 10);
    int i;

    for (i = 0; i < 3; i++) {
        assert_int_equal(ask_for(pool, "a", IS_NOT_THERE, LONG_TIME), 4711);
    }
    seconds_ahead += 5;
    assert_int_equal(ask_for(pool, "a", IS_NOT_ASKED, LONG_TIME), 0);
    assert_int_equal(ask_for(pool, "a", ANSWERS, LONG_TIME), 1254);
}

static void test_silence_opens_the_breaker_and_trials_find_a_thread(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 3, 10, 10);
    struct asker askers[3];
    size_t i;

    for (i = 0; i < COUNT_OF(askers); i++) {
        start(&askers[i], pool, apr_itoa(*state, (int)i), IS_SILENT, SHORT_TIME);
    }
    assert_all(askers, COUNT_OF(askers), 1250);
    assert_int_equal(eas_kdc_pool_load(pool).running, 3); /* still */
    assert_int_equal(ask_for(pool, "next", ANSWERS, LONG_TIME), 1254);
    seconds_ahead += 5;
    assert_int_equal(ask_for(pool, "trial", ANSWERS, LONG_TIME), 0);
    assert_int_equal(eas_kdc_pool_load(pool).threads, 4);
}

static void test_few_wait_for_a_KDC_that_is_silent(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 2, 10, 2);
    apr_time_t began = apr_time_now();
    struct asker askers[6];
    int refused = 0;
    size_t i;

    for (i = 0; i < COUNT_OF(askers); i++) {
        /* Two flights of two, and two that stay in the queue. */
        start(&askers[i], pool, i < 4 ? (i < 2 ? "a" : "b") : apr_itoa(*state, (int)i), WAITS,
              LONG_TIME);
    }
    await_waiting(pool, 6);
    await_waiting(pool, 2);
    assert_true(apr_time_now() - began < apr_time_from_sec(2));
    assert_int_equal(ask_for(pool, "c", ANSWERS, LONG_TIME), 1252);
    open_gate(true);
    for (i = 0; i < COUNT_OF(askers); i++) {
        int tag = tag_of(&askers[i]);

        refused += tag == 1252;
        assert_true(tag == 1252 || tag == 0);
    }
    assert_int_equal(refused, 4);
}

/* What is found elsewhere says nothing of the KDC. */
static void test_silence_is_seen_though_other_jobs_end(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 2, 10, 1);
    apr_time_t began = apr_time_now();
    struct asker askers[3];
    int refused = 0;
    size_t i;

    for (i = 0; i < COUNT_OF(askers); i++) {
        start(&askers[i], pool, "a", IS_SILENT, LONG_TIME);
    }
    await_waiting(pool, 3);
    while (eas_kdc_pool_load(pool).waiting > 1) { /* "b" may count as the one who may wait */
        ask_for(pool, "b", IS_NOT_ASKED, LONG_TIME);
        assert_true(apr_time_now() - began < LONG_TIME / 2);
    }
    open_gate(true);
    for (i = 0; i < COUNT_OF(askers); i++) {
        int tag = tag_of(&askers[i]);

        refused += tag == 1252;
        assert_true(tag == 1252 || tag == 4711);
    }
    assert_true(refused >= 2);
}

/* Of a KDC that nobody asks, nothing is to be expected. */
static void test_who_waits_for_another_is_not_counted(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 2, 10, 1);
    apr_time_t began = apr_time_now();
    struct asker askers[4];
    size_t i;

    for (i = 0; i < COUNT_OF(askers); i++) {
        start(&askers[i], pool, i % 2 ? "a" : "b", IS_ELSEWHERE, LONG_TIME);
    }
    await_waiting(pool, COUNT_OF(askers));
    while (apr_time_now() - began < apr_time_from_msec(1300)) {
        assert_int_equal(eas_kdc_pool_load(pool).waiting, COUNT_OF(askers));
        apr_thread_yield();
    }
    open_gate(true);
    assert_all(askers, COUNT_OF(askers), 0);
}

/* A message that was given up long ago says nothing of those that come now. */
static void test_old_silence_is_not_held_against_new_askers(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 2, 10, 1);
    struct asker askers[3];
    size_t i;

    assert_int_equal(ask_for(pool, "hangs", IS_SILENT, SHORT_TIME), 1250);
    seconds_ahead += 3;
    for (i = 0; i < COUNT_OF(askers); i++) {
        start(&askers[i], pool, "a", WAITS, LONG_TIME);
    }
    await_waiting(pool, COUNT_OF(askers));
    open_gate(true);
    assert_all(askers, COUNT_OF(askers), 0);
}

static void test_end_drops_what_waits(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 1, 10, 10);
    struct asker asker;

    hint(pool, "running", WAITS);
    await_begun(1);
    start(&asker, pool, "queued", ANSWERS, LONG_TIME);
    await_waiting(pool, 1);
    apr_pool_destroy(*state); /* though one job hangs */
    *state = NULL;
    assert_int_equal(tag_of(&asker), 1255);
    assert_int_equal(gate.begun, 1);
}

static apr_status_t note_cleanup(void *data)
{
    *(bool *)data = true;
    return APR_SUCCESS;
}

static void test_end_of_an_idle_pool(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 2, 10, 10);
    apr_pool_t *memory;
    bool cleaned = false;

    assert_int_equal(ask_for(pool, "a", ANSWERS, LONG_TIME), 0);
    memory = eas_kdc_pool_memory(pool);
    apr_pool_cleanup_register(memory, &cleaned, note_cleanup, apr_pool_cleanup_null);
    apr_pool_destroy(*state);
    *state = NULL;
    assert_true(cleaned);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        GATE_TEST(test_outcome_reaches_the_asker),
        GATE_TEST(test_same_key_is_one_job),
        GATE_TEST(test_threads_are_bounded),
        GATE_TEST(test_full_queue_is_said_at_once),
        GATE_TEST(test_what_was_begun_goes_first),
        GATE_TEST(test_impatient_asker_leaves_the_job_behind),
        GATE_TEST(test_nobody_waits_for_what_hangs),
        GATE_TEST(test_job_that_nobody_wants_any_more),
        GATE_TEST(test_asker_without_patience),
        GATE_TEST(test_breaker_opens_and_closes),
        GATE_TEST(test_trial_that_asks_nobody_proves_nothing),
        GATE_TEST(test_silence_opens_the_breaker_and_trials_find_a_thread),
        GATE_TEST(test_few_wait_for_a_KDC_that_is_silent),
        GATE_TEST(test_silence_is_seen_though_other_jobs_end),
        GATE_TEST(test_who_waits_for_another_is_not_counted),
        GATE_TEST(test_old_silence_is_not_held_against_new_askers),
        GATE_TEST(test_end_of_an_idle_pool),
        GATE_TEST(test_end_drops_what_waits),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
