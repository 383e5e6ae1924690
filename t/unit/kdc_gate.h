/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/kdc_gate.h - a KDC that does as it is told, and those who ask it through a pool */

#ifndef EAS_T_UNIT_KDC_GATE_H
#define EAS_T_UNIT_KDC_GATE_H

#include "t/unit/unit.h"

#include "auth/workers/workers.h"

#include <apr_strings.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#define LONG_TIME apr_time_from_sec(20)
#define SHORT_TIME apr_time_from_msec(500)

/* --- a clock that can be put forward ---------------------------------------------------------- */

static volatile apr_interval_time_t ahead;

static inline void put_forward(apr_interval_time_t time)
{
    ahead += time;
}

/* These two stand before libc's own, which they call. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);
    int rv;

    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    }
    rv = real(clock, now);
    if (clock == CLOCK_MONOTONIC) {
        apr_time_t then = apr_time_from_sec(now->tv_sec) + now->tv_nsec / 1000 + ahead;

        *now = (struct timespec){ apr_time_sec(then), apr_time_usec(then) * 1000 };
    }
    return rv;
}

int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                           const struct timespec *until)
{
    static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    apr_time_t then = apr_time_from_sec(until->tv_sec) + until->tv_nsec / 1000 - ahead;
    struct timespec spec = { apr_time_sec(then), apr_time_usec(then) * 1000 };

    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    }
    return real(cond, mutex, &spec);
}

/* --- a KDC of our own --------------------------------------------------------------------------- */

enum behaviour {
    ANSWERS,      /* at once */
    WAITS,        /* until the gate is opened, then answers */
    WAITS_LONGER, /* until it is opened a second time */
    IS_SILENT,    /* until the gate is opened, then has not answered */
    IS_NOT_THERE, /* says so at once */
    IS_REFERRED,  /* at once, to another KDC, which is silent until the gate is opened */
    IS_NOT_FOUND, /* nobody knows its address until the gate is opened, nor then */
    IS_NOT_ASKED, /* something else has the result */
    IS_ELSEWHERE, /* the same, when the gate is opened */
    IS_FAR_AWAY   /* the same, when it is opened a second time */
};

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int opened; /* so many times */
    int begun, most_at_once, now;
    char order[16]; /* of the jobs begun, by the first letters of their names */
} gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0, 0, "" };

struct ask {
    const char *name;
    enum behaviour behaviour;
    const char *realm;
};

/* When it has been opened so many times. */
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

/* The name of one whose preparation has to pass the gate. */
#define COPIED_SLOWLY "slow"

static inline void *copy_ask(apr_pool_t *pool, const void *data)
{
    struct ask *copy = apr_pmemdup(pool, data, sizeof(*copy));

    copy->name = apr_pstrdup(pool, copy->name);
    if (strcmp(copy->name, COPIED_SLOWLY) == 0) {
        pass_gate(copy->name, 1);
    }
    return copy;
}

static inline enum eas_rc run_ask(struct eas_job *job, void *data, struct eas_err *err)
{
    struct ask *copy = data;
    enum behaviour how = copy->behaviour;
    bool answers = how == ANSWERS || how == WAITS || how == WAITS_LONGER;

    if (how == IS_NOT_ASKED) {
        return EAS_OK;
    }
    if (how == IS_ELSEWHERE || how == IS_FAR_AWAY) {
        pass_gate(copy->name, how == IS_FAR_AWAY ? 2 : 1);
        return EAS_OK;
    }
    eas_job_open(job);
    if (how == IS_NOT_FOUND) {
        pass_gate(copy->name, 1);
    }
    else if (eas_job_send(job, eas_bytes_of_text(copy->realm))) {
        pass_gate(copy->name, how == WAITS_LONGER ? 2 : how == WAITS || how == IS_SILENT);
        eas_job_receive(job, answers || how == IS_REFERRED);
        if (how == IS_REFERRED && eas_job_send(job, eas_bytes_of_text("AWAY"))) {
            pass_gate(copy->name, 1);
            eas_job_receive(job, false);
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
    ahead = 0;
    return unit_make_pool(state);
}

static inline int tear_down(void **state)
{
    open_gate(true);
    open_gate(true);
    return unit_destroy_pool(state);
}

#define GATE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* --- askers -------------------------------------------------------------------------------------- */

static inline struct eas_workers *make_pool(void **state, unsigned threads, unsigned queued,
                                            unsigned stalled)
{
    struct eas_workers_limits limits = { threads, threads, queued, stalled };

    return eas_workers_create(*state, limits);
}

/* A small pool in which a realm gets two threads of three. */
static inline struct eas_workers *make_shared_pool(void **state, unsigned stalled)
{
    struct eas_workers_limits limits = { 3, 2, 10, stalled };

    return eas_workers_create(*state, limits);
}

/* Names that begin with this are users of another realm. */
#define OTHER "other "

static inline struct ask make_ask(const char *name, enum behaviour behaviour)
{
    bool other = strncmp(name, OTHER, strlen(OTHER)) == 0;
    struct ask ask = { name, behaviour, other ? "OTHER" : "REALM" };

    return ask;
}

/* Returns the tag of the error, 0 if there was none. */
static inline int ask_late(struct eas_workers *pool, const char *name, enum behaviour behaviour,
                           apr_interval_time_t timeout, apr_interval_time_t patience)
{
    struct ask ask = make_ask(name, behaviour);
    struct eas_workers_task task = {
        .peer = ask.realm,
        .timeout = timeout,
        .continued = patience < timeout,
        .prepare = copy_ask,
        .run = run_ask,
        .key = eas_bytes_of_text(name),
        .input = &ask,
    };
    struct eas_job *job = NULL;
    apr_interval_time_t waited = 0;
    struct eas_err err = { EAS_OK, 0, "" };
    enum eas_rc rc = eas_workers_run(pool, &task, patience, &job, &waited, &err);

    if (rc == EAS_OK) {
        assert_string_equal(((struct ask *)eas_job_copy(job))->name, name);
        eas_job_release(job);
        return 0;
    }
    assert_int_equal(rc, EAS_UNAVAILABLE);
    assert_int_equal(err.rc, rc);
    if (job != NULL) {
        eas_job_release(job); /* it has ended, and badly */
    }
    return err.tag;
}

static inline int ask_for(struct eas_workers *pool, const char *name, enum behaviour behaviour,
                          apr_interval_time_t patience)
{
    return ask_late(pool, name, behaviour, patience, patience);
}

static inline void hint(struct eas_workers *pool, const char *name, enum behaviour behaviour)
{
    struct ask ask = make_ask(name, behaviour);
    struct eas_workers_task task = {
        .peer = ask.realm,
        .timeout = LONG_TIME,
        .prepare = copy_ask,
        .run = run_ask,
        .key = eas_bytes_of_text(name),
        .input = &ask,
    };

    eas_workers_run_in_background(pool, &task);
}

/* Someone who asks on a thread of his own. */
struct asker {
    struct eas_workers *pool;
    const char *name;
    enum behaviour behaviour;
    apr_interval_time_t patience;
    int tag;
    pthread_t thread;
};

static inline void *be_asker(void *data)
{
    struct asker *asker = data;

    asker->tag = ask_for(asker->pool, asker->name, asker->behaviour, asker->patience);
    return NULL;
}

/* One whose request has asked for something else before. */
static inline void *be_late_asker(void *data)
{
    struct asker *asker = data;

    asker->tag =
        ask_late(asker->pool, asker->name, asker->behaviour, LONG_TIME, asker->patience - 1);
    return NULL;
}

static inline void start_as(struct asker *asker, void *(*be)(void *))
{
    assert_int_equal(pthread_create(&asker->thread, NULL, be, asker), 0);
}

static inline void start(struct asker *asker, struct eas_workers *pool, const char *name,
                         enum behaviour behaviour, apr_interval_time_t patience)
{
    *asker = (struct asker){ pool, name, behaviour, patience, -1, 0 };
    start_as(asker, be_asker);
}

static inline int tag_of(struct asker *asker)
{
    pthread_join(asker->thread, NULL);
    return asker->tag;
}

static inline void assert_all(struct asker *askers, size_t n, int tag)
{
    size_t i;

    for (i = 0; i < n; i++) {
        assert_int_equal(tag_of(&askers[i]), tag);
    }
}

/* Polls. */
#define AWAIT(condition)                                     \
    do {                                                     \
        apr_time_t await_until = apr_time_now() + LONG_TIME; \
                                                             \
        while (!(condition)) {                               \
            assert_true(apr_time_now() < await_until);       \
            apr_thread_yield();                              \
        }                                                    \
    } while (0)

static inline void await_waiting(struct eas_workers *pool, unsigned n)
{
    AWAIT(eas_workers_load(pool).waiting == n);
}

/* How many were told that there are too many; all others must have this tag. */
static inline int count_refused(struct asker *askers, size_t n, int others)
{
    int refused = 0;
    size_t i;

    for (i = 0; i < n; i++) {
        int tag = tag_of(&askers[i]);

        refused += tag == 1252;
        assert_true(tag == 1252 || tag == others);
    }
    return refused;
}

/* Jobs that ask no KDC come and go, for two seconds. */
static inline void trickle(struct eas_workers *pool)
{
    int i;

    for (i = 0; i < 4; i++) {
        assert_int_equal(ask_for(pool, "trickles", IS_NOT_ASKED, LONG_TIME), 0);
        put_forward(apr_time_from_msec(500));
    }
}

/* Three failures in a row. */
static inline void open_circuit(struct eas_workers *pool)
{
    int i;

    for (i = 0; i < 3; i++) {
        assert_int_equal(ask_for(pool, "a", IS_NOT_THERE, LONG_TIME), 4711);
    }
}

static inline bool is_idle(struct eas_workers *pool)
{
    struct eas_workers_load load = eas_workers_load(pool);

    return load.running + load.probes + load.abandoned + load.queued == 0;
}

static inline void await_idle(struct eas_workers *pool)
{
    AWAIT(is_idle(pool));
}

#endif
