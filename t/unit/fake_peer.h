/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/fake_peer.h - fake KDC, and callers of a worker pool */

#ifndef EAS_T_UNIT_FAKE_PEER_H
#define EAS_T_UNIT_FAKE_PEER_H

#include "t/unit/moved_clock.h"
#include "t/unit/unit.h"

#include "auth/base/clock.h"
#include "auth/workers/workers.h"

#include <apr_strings.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define LONG_TIME apr_time_from_sec(20)
#define SHORT_TIME apr_time_from_msec(600)

/* --- the fake KDC ----------------------------------------------------------------------------- */

enum behaviour {
    ANSWERS,           /* at once */
    ANSWERS_AT_GATE,   /* when the gate is opened */
    ANSWERS_AT_SECOND, /* when the gate is opened a second time */
    IS_SILENT,         /* until the gate is opened; then the message counts as unanswered */
    IS_DOWN,           /* the message fails at once */
    REFERS,            /* at once, to the peer AWAY, which is silent until the gate is opened */
    REFERS_UNBOUNDED,  /* likewise, and no deadline ends the message to AWAY */
    HAS_NO_ADDRESS,    /* the name server is silent until the gate is opened, and then fails */
    IS_UNUSED,         /* the job ends at once, without a message */
    IS_UNUSED_AT_GATE  /* likewise, when the gate is opened */
};

/* Jobs wait here for the test. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int opened; /* number of times */
    int begun, most_at_once, now;
    char order[16]; /* first letters of the names of jobs, as they begin */
} gate = { .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

struct input {
    const char *name;
    enum behaviour behaviour;
    const char *peer;
};

/* Returns when the gate has been opened `times` times. */
static inline void pass_gate(const char *name, int times)
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
    while (gate.opened < times) {
        pthread_cond_wait(&gate.changed, &gate.mutex);
    }
    gate.now--;
    pthread_mutex_unlock(&gate.mutex);
}

/* prepare() waits at the gate for a task of this name. */
#define COPIED_SLOWLY "slow"

static inline void *copy_input(apr_pool_t *pool, const void *data)
{
    struct input *copy = apr_pmemdup(pool, data, sizeof(*copy));

    copy->name = apr_pstrdup(pool, copy->name);
    if (strcmp(copy->name, COPIED_SLOWLY) == 0) {
        pass_gate(copy->name, 1);
    }
    return copy;
}

/* The second message of a job, to the peer AWAY. */
static inline void follow_referral(struct eas_job *job, const struct input *copy)
{
    bool may_send = eas_job_send(job, eas_bytes_of_text("AWAY"));

    if (may_send
        && (copy->behaviour != REFERS_UNBOUNDED
            || eas_job_begin_unbounded(job, eas_clock_now() + SHORT_TIME))) {
        pass_gate(copy->name, 1);
    }
    if (may_send) {
        eas_job_receive(job, EAS_PEER_SILENT);
    }
}

static inline enum eas_rc run_input(struct eas_job *job, void *data, struct eas_err *err)
{
    struct input *copy = data;
    enum behaviour how = copy->behaviour;
    bool refers = how == REFERS || how == REFERS_UNBOUNDED;
    bool answers = how == ANSWERS || how == ANSWERS_AT_GATE || how == ANSWERS_AT_SECOND;

    if (how == IS_UNUSED) {
        return EAS_OK;
    }
    if (how == IS_UNUSED_AT_GATE) {
        pass_gate(copy->name, 1);
        return EAS_OK;
    }
    eas_job_open(job);
    if (how == HAS_NO_ADDRESS) {
        pass_gate(copy->name, 1);
    }
    else if (eas_job_send(job, eas_bytes_of_text(copy->peer))) {
        pass_gate(copy->name,
                  how == ANSWERS_AT_SECOND ? 2 : how == ANSWERS_AT_GATE || how == IS_SILENT);
        eas_job_receive(job, answers || refers ? EAS_PEER_ANSWERED : EAS_PEER_SILENT);
        if (refers) {
            follow_referral(job, copy);
        }
    }
    else {
        answers = false;
    }
    eas_job_close(job);
    return answers ? EAS_OK : eas_fail(err, EAS_UNAVAILABLE, 4711, "not there");
}

static inline void open_gate(bool open)
{
    pthread_mutex_lock(&gate.mutex);
    gate.opened = open ? gate.opened + 1 : 0;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.mutex);
}

static inline void await_begun(int n)
{
    pthread_mutex_lock(&gate.mutex);
    while (gate.begun < n) {
        pthread_cond_wait(&gate.changed, &gate.mutex);
    }
    pthread_mutex_unlock(&gate.mutex);
}

static inline int set_up(void **state)
{
    open_gate(false);
    gate.begun = gate.most_at_once = gate.now = 0;
    memset(gate.order, 0, sizeof(gate.order));
    clock_offset = 0;
    return unit_make_pool(state);
}

static inline int tear_down(void **state)
{
    open_gate(true);
    open_gate(true);
    return unit_destroy_pool(state);
}

#define GATE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* --- callers ---------------------------------------------------------------------------------- */

/* A worker pool with these fields of struct eas_workers_limits. */
#define MAKE_WORKERS(state, ...) \
    eas_workers_create(*(state), (struct eas_workers_limits){ .failures = 3, __VA_ARGS__ })

/*
 * A worker pool that ends while a thread or a caller is inside keeps its memory until the process
 * ends (auth/workers/workers.h).  LeakSanitizer does not search APR's pools for pointers, so it
 * would report the allocations between these two calls.  Both are NULL without a sanitizer.
 */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

static inline void begin_lasting_memory(void)
{
    if (__lsan_disable != NULL) {
        __lsan_disable();
    }
}

static inline void end_lasting_memory(void)
{
    if (__lsan_enable != NULL) {
        __lsan_enable();
    }
}

/* Tasks whose names begin with this contact another peer. */
#define OTHER "other "

static inline struct input make_input(const char *name, enum behaviour behaviour)
{
    bool other = strncmp(name, OTHER, strlen(OTHER)) == 0;
    struct input input = { name, behaviour, other ? "OTHER" : "REALM" };

    return input;
}

/* Returns the tag of the error, 0 if there was none. */
static inline int run_task_as(struct eas_workers *workers, const char *name,
                              enum behaviour behaviour, bool continued,
                              apr_interval_time_t max_wait)
{
    struct input input = make_input(name, behaviour);
    struct eas_workers_task task = {
        .peer = input.peer,
        .continued = continued,
        .prepare = copy_input,
        .run = run_input,
        .key = eas_bytes_of_text(name),
        .input = &input,
    };
    struct eas_job *job = NULL;
    apr_interval_time_t waited = 0;
    struct eas_err err = { EAS_OK, 0, "" };
    enum eas_rc rc = eas_workers_run(workers, &task, max_wait, &job, &waited, &err);

    if (rc == EAS_OK) {
        assert_string_equal(((struct input *)eas_job_copy(job))->name, name);
        eas_job_release(job);
        return 0;
    }
    assert_int_equal(rc, EAS_UNAVAILABLE);
    assert_int_equal(err.rc, rc);
    if (job != NULL) {
        eas_job_release(job); /* it failed */
    }
    return err.tag;
}

static inline int run_task(struct eas_workers *workers, const char *name, enum behaviour behaviour,
                           apr_interval_time_t max_wait)
{
    return run_task_as(workers, name, behaviour, false, max_wait);
}

static inline void run_in_background(struct eas_workers *workers, const char *name,
                                     enum behaviour behaviour)
{
    struct input input = make_input(name, behaviour);
    struct eas_workers_task task = {
        .peer = input.peer,
        .prepare = copy_input,
        .run = run_input,
        .key = eas_bytes_of_text(name),
        .input = &input,
    };

    eas_workers_run_in_background(workers, &task);
}

/* A caller with a thread of its own. */
struct caller {
    struct eas_workers *workers;
    const char *name;
    enum behaviour behaviour;
    apr_interval_time_t max_wait;
    int tag;
    pthread_t thread;
};

static inline void *call(void *data)
{
    struct caller *caller = data;

    caller->tag = run_task(caller->workers, caller->name, caller->behaviour, caller->max_wait);
    return NULL;
}

/* A caller whose request has had another job before. */
static inline void *call_continued(void *data)
{
    struct caller *caller = data;

    caller->tag =
        run_task_as(caller->workers, caller->name, caller->behaviour, true, caller->max_wait);
    return NULL;
}

static inline void start_as(struct caller *caller, void *(*be)(void *))
{
    assert_int_equal(pthread_create(&caller->thread, NULL, be, caller), 0);
}

static inline void start(struct caller *caller, struct eas_workers *workers, const char *name,
                         enum behaviour behaviour, apr_interval_time_t max_wait)
{
    *caller = (struct caller){
        .workers = workers, .name = name, .behaviour = behaviour, .max_wait = max_wait, .tag = -1
    };
    start_as(caller, call);
}

static inline int tag_of(struct caller *caller)
{
    pthread_join(caller->thread, NULL);
    return caller->tag;
}

static inline void assert_all(struct caller *callers, size_t n, int tag)
{
    size_t i;

    for (i = 0; i < n; i++) {
        assert_int_equal(tag_of(&callers[i]), tag);
    }
}

/* Polls until the condition holds. */
#define AWAIT(condition)                                     \
    do {                                                     \
        apr_time_t await_until = apr_time_now() + LONG_TIME; \
                                                             \
        while (!(condition)) {                               \
            assert_true(apr_time_now() < await_until);       \
            apr_thread_yield();                              \
        }                                                    \
    } while (0)

static inline void await_waiting(struct eas_workers *workers, unsigned n)
{
    AWAIT(eas_workers_load(workers).waiting == n);
}

/* Returns the number of callers refused by EAS1252; all others must have this tag. */
static inline int count_refused(struct caller *callers, size_t n, int others)
{
    int refused = 0;
    size_t i;

    for (i = 0; i < n; i++) {
        int tag = tag_of(&callers[i]);

        refused += tag == 1252;
        assert_true(tag == 1252 || tag == others);
    }
    return refused;
}

/* Jobs without messages come and go, for two seconds. */
static inline void run_without_messages(struct eas_workers *workers)
{
    int i;

    for (i = 0; i < 4; i++) {
        assert_int_equal(run_task(workers, "no message", IS_UNUSED, LONG_TIME), 0);
        advance_clock(apr_time_from_msec(500));
    }
}

/* Three failures in a row. */
static inline void open_circuit(struct eas_workers *workers)
{
    int i;

    for (i = 0; i < 3; i++) {
        assert_int_equal(run_task(workers, "a", IS_DOWN, LONG_TIME), 4711);
    }
}

static inline bool is_idle(struct eas_workers *workers)
{
    struct eas_workers_load load = eas_workers_load(workers);

    return load.running + load.queued == 0;
}

static inline void await_idle(struct eas_workers *workers)
{
    AWAIT(is_idle(workers));
}

#endif
