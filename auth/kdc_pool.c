/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kdc_pool.c - a few threads that wait for the KDC, so that requests need not */

#include "auth/kdc_pool.h"
#include "auth/breaker.h"
#include "auth/monotonic.h"
#include "auth/thread.h"

#include <apr_hash.h>
#include <apr_ring.h>
#include <apr_strings.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Nothing was answered for so long: the KDC is slow, or silent.  A TCP SYN that is lost costs as much. */
#define STALLED_AFTER apr_time_from_sec(1)

/* A silent KDC holds a thread for some 27 seconds, and every ten of them there is a trial. */
#define TRIAL_THREADS 3

#define STOP_GRACE (APR_USEC_PER_SEC / 2)
#define STOP_LOCK (APR_USEC_PER_SEC / 10)

/* Longer realms are cut: they only miss their circuit. */
#define REALM_MAX 256

enum job_state { QUEUED, RUNNING, DONE };

/* Which goes first.  Of many who come at once none would be served in time, if each had to queue
 * with those who have just come for everything that it wants of the KDC. */
enum job_rank { TRIAL, BEGUN, NEW };

/* Guarded by the pool's mutex, but for what is only the running thread's and, when DONE, read-only. */
struct eas_kdc_job {
    APR_RING_ENTRY(eas_kdc_job) queue;
    struct eas_kdc_pool *owner;
    apr_pool_t *pool;
    pthread_cond_t done;
    enum job_state state;
    unsigned refs;   /* the table of flights and each asker */
    unsigned askers; /* who wait */
    enum job_rank rank;
    bool hint;   /* to be done though nobody waits */
    bool blamed; /* its failure has been noted */

    const void *key;
    apr_size_t key_len;
    enum eas_rc (*run)(struct eas_kdc_job *job, void *copy, struct eas_err *err);
    void *copy;
    apr_interval_time_t timeout;

    apr_time_t moved_at;       /* when it began, last sent, or was last answered */
    bool outstanding;          /* a message is under way, as far as the pool counts */
    bool unanswered;           /* a message was sent, or was to be sent too late */
    bool heard;                /* a message was answered */
    char realm[REALM_MAX];     /* of the last message */
    char own_realm[REALM_MAX]; /* of the task */
    enum eas_rc rc;
    struct eas_err err;
};

APR_RING_HEAD(job_ring, eas_kdc_job);

struct eas_kdc_pool {
    apr_pool_t *pool;   /* its own */
    apr_pool_t *memory; /* for what the jobs share */
    struct eas_kdc_pool_limits limits;
    pthread_mutex_t mutex; /* guards what follows; held for pointer work only */
    pthread_cond_t work;   /* for threads: a job has come, or the end */
    pthread_cond_t ended;  /* for stop(): a thread or an asker has gone */
    struct job_ring queue;
    apr_hash_t *flights; /* jobs that are not DONE, by key */
    struct eas_breaker *breaker;
    unsigned queued;
    unsigned running;     /* jobs, without trials */
    unsigned trials;      /* that are running */
    unsigned outstanding; /* messages under way */
    unsigned threads;
    unsigned idle;
    unsigned waiting;    /* askers */
    unsigned holding;    /* askers who have gone with a job */
    apr_time_t moved_at; /* when a message was last answered, or there was none, or nobody waited */
    bool stopping;
    bool abandoned; /* stop() has left without the last threads */
};

/* --- jobs; under the mutex where nothing else is said ------------------------------------- */

/* A pool with an allocator of its own, which no other thread and no exit handler knows. */
static apr_pool_t *private_pool(void)
{
    apr_pool_t *pool;

    apr_pool_create_unmanaged_ex(&pool, NULL, NULL);
    return pool;
}

/* Without the mutex. */
static struct eas_kdc_job *make_job(struct eas_kdc_pool *owner, const struct eas_kdc_task *task,
                                    const void *key, apr_size_t key_len, const void *ask)
{
    apr_pool_t *pool = private_pool();
    struct eas_kdc_job *job = apr_pcalloc(pool, sizeof(*job));

    job->owner = owner;
    job->pool = pool;
    eas_monotonic_init(&job->done);
    job->key = apr_pmemdup(pool, key, key_len);
    job->key_len = key_len;
    job->run = task->run;
    job->timeout = task->timeout;
    job->rank = task->begun ? BEGUN : NEW;
    apr_cpystrn(job->own_realm, task->realm, sizeof(job->own_realm));
    apr_cpystrn(job->realm, task->realm, sizeof(job->realm));
    job->copy = task->prepare(pool, ask);
    return job;
}

/* Without the mutex; nobody else has it. */
static void free_job(struct eas_kdc_job *job)
{
    pthread_cond_destroy(&job->done);
    apr_pool_destroy(job->pool);
}

/* Lets go of the mutex, and takes it again, where the job's pool has to go. */
static void unref_job(struct eas_kdc_job *job)
{
    struct eas_kdc_pool *pool = job->owner;

    if (--job->refs == 0) {
        pthread_mutex_unlock(&pool->mutex);
        free_job(job);
        pthread_mutex_lock(&pool->mutex);
    }
}

/* The KDC of this realm has failed, as far as this job can tell; said once. */
static void blame(struct eas_kdc_job *job, const char *realm)
{
    if (!job->blamed) {
        job->blamed = true;
        eas_breaker_failed(job->owner->breaker, realm, eas_monotonic_now());
    }
}

static void finish(struct eas_kdc_job *job, enum eas_rc rc)
{
    struct eas_kdc_pool *pool = job->owner;

    job->rc = rc;
    job->state = DONE;
    apr_hash_set(pool->flights, job->key, (apr_ssize_t)job->key_len, NULL);
    pthread_cond_broadcast(&job->done);
    unref_job(job);
}

static void unqueue(struct eas_kdc_job *job)
{
    APR_RING_REMOVE(job, queue);
    job->owner->queued--;
}

/* The next job for a thread, or NULL. */
static struct eas_kdc_job *take_job(struct eas_kdc_pool *pool)
{
    struct eas_kdc_job *job = APR_RING_FIRST(&pool->queue);

    if (APR_RING_EMPTY(&pool->queue, eas_kdc_job, queue)
        || (job->rank != TRIAL && pool->running >= pool->limits.threads)) {
        return NULL;
    }
    unqueue(job);
    return job;
}

/* What the job has found out about KDCs. */
static void judge(struct eas_kdc_job *job)
{
    struct eas_breaker *breaker = job->owner->breaker;

    if (job->unanswered) {
        blame(job, job->realm);
    }
    else if (job->heard) {
        eas_breaker_succeeded(breaker, job->realm);
    }
    if (job->heard && (!job->unanswered || strcmp(job->realm, job->own_realm) != 0)) {
        eas_breaker_succeeded(breaker, job->own_realm);
    }
    else if (job->rank == TRIAL) {
        blame(job, job->own_realm); /* it has proved nothing: the next may try in a while */
    }
}

/* Is a message of this job's under way? */
static void count_message(struct eas_kdc_job *job, bool outstanding)
{
    struct eas_kdc_pool *pool = job->owner;

    if (outstanding && pool->outstanding == 0) {
        pool->moved_at = eas_monotonic_now();
    }
    pool->outstanding += (unsigned)outstanding - (unsigned)job->outstanding;
    job->outstanding = outstanding;
}

static void run_job(struct eas_kdc_job *job)
{
    struct eas_kdc_pool *pool = job->owner;
    unsigned *counter = job->rank == TRIAL ? &pool->trials : &pool->running;
    enum eas_rc rc;

    job->state = RUNNING;
    job->moved_at = eas_monotonic_now();
    ++*counter;
    pthread_mutex_unlock(&pool->mutex);
    rc = job->run(job, job->copy, &job->err);
    pthread_mutex_lock(&pool->mutex);
    --*counter;
    count_message(job, false);
    judge(job);
    finish(job, rc);
}

/* --- threads -------------------------------------------------------------------------------- */

static void *work(void *data)
{
    struct eas_kdc_pool *pool = data;
    struct eas_kdc_job *job;

    pthread_mutex_lock(&pool->mutex);
    while (!pool->stopping) {
        job = take_job(pool);
        if (job == NULL) {
            pool->idle++;
            pthread_cond_wait(&pool->work, &pool->mutex);
            pool->idle--;
        }
        else {
            run_job(job);
        }
    }
    pool->threads--;
    pthread_cond_signal(&pool->ended);
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

static void queue_up(struct eas_kdc_pool *pool, struct eas_kdc_job *job)
{
    struct eas_kdc_job *after = APR_RING_LAST(&pool->queue);

    while (after != APR_RING_SENTINEL(&pool->queue, eas_kdc_job, queue)
           && after->rank > job->rank) {
        after = APR_RING_PREV(after, queue);
    }
    APR_RING_INSERT_AFTER(after, job, queue);
    pool->queued++;
}

static void enqueue(struct eas_kdc_pool *pool, struct eas_kdc_job *job)
{
    job->refs = 1;
    apr_hash_set(pool->flights, job->key, (apr_ssize_t)job->key_len, job);
    queue_up(pool, job);
    if (pool->idle < pool->queued
        && pool->threads < pool->limits.threads + (job->rank == TRIAL ? TRIAL_THREADS : 0)
        && eas_thread_start(work, pool)) {
        pool->threads++;
    }
    pthread_cond_signal(&pool->work);
}

/* --- the end -------------------------------------------------------------------------------- */

static enum eas_rc say_ending(struct eas_err *err)
{
    return eas_fail(err, EAS_UNAVAILABLE, 1255, "this httpd process is ending");
}

static void drop_queue(struct eas_kdc_pool *pool)
{
    while (!APR_RING_EMPTY(&pool->queue, eas_kdc_job, queue)) {
        struct eas_kdc_job *job = APR_RING_FIRST(&pool->queue);

        unqueue(job);
        finish(job, say_ending(&job->err));
    }
}

static bool is_empty(const struct eas_kdc_pool *pool)
{
    return pool->threads + pool->waiting + pool->holding == 0;
}

/*
 * prefork runs this in a signal handler, which may have interrupted an asker: hence no waiting for the
 * mutex, and nothing is taken away from an asker that will not go on.
 */
static apr_status_t stop(void *data)
{
    struct eas_kdc_pool *pool = data;
    apr_time_t until = eas_monotonic_now() + STOP_GRACE;
    apr_time_t by = apr_time_now() + STOP_LOCK;
    struct timespec lock_until = { apr_time_sec(by), apr_time_usec(by) * 1000 };
    bool all_gone;

    if (pthread_mutex_timedlock(&pool->mutex, &lock_until) != 0) {
        return APR_SUCCESS;
    }
    pool->stopping = true;
    drop_queue(pool);
    pthread_cond_broadcast(&pool->work);
    while (!is_empty(pool) && eas_monotonic_now() < until) {
        eas_monotonic_wait(&pool->ended, &pool->mutex, until);
    }
    all_gone = is_empty(pool);
    pool->abandoned = !all_gone;
    pthread_mutex_unlock(&pool->mutex);
    if (all_gone) {
        pthread_cond_destroy(&pool->work);
        pthread_cond_destroy(&pool->ended);
        pthread_mutex_destroy(&pool->mutex);
        apr_pool_destroy(pool->memory);
        apr_pool_destroy(pool->pool);
    }
    return APR_SUCCESS;
}

struct eas_kdc_pool *eas_kdc_pool_create(apr_pool_t *child, struct eas_kdc_pool_limits limits)
{
    apr_pool_t *own = private_pool();
    struct eas_kdc_pool *pool = apr_pcalloc(own, sizeof(*pool));

    pool->pool = own;
    pool->memory = private_pool();
    pool->limits = limits;
    pthread_mutex_init(&pool->mutex, NULL);
    eas_monotonic_init(&pool->work);
    eas_monotonic_init(&pool->ended);
    APR_RING_INIT(&pool->queue, eas_kdc_job, queue);
    pool->flights = apr_hash_make(own);
    pool->breaker = eas_breaker_create(own);
    apr_pool_pre_cleanup_register(child, pool, stop);
    return pool;
}

apr_pool_t *eas_kdc_pool_memory(struct eas_kdc_pool *pool)
{
    return pool->memory;
}

/* --- askers --------------------------------------------------------------------------------- */

/* When nothing will have moved for too long, if nothing moves. */
static apr_time_t stalls_at(const struct eas_kdc_pool *pool, apr_time_t now)
{
    return (pool->outstanding > 0 ? pool->moved_at : now) + STALLED_AFTER;
}

/* May another job be begun? */
static enum eas_rc admit(struct eas_kdc_pool *pool, struct eas_kdc_job *job, struct eas_err *err)
{
    enum eas_breaker_state state;

    if (pool->stopping) {
        return say_ending(err);
    }
    if (pool->queued >= pool->limits.queued) {
        return eas_fail(err, EAS_UNAVAILABLE, 1251,
                        "too many users are waiting for the KDC already; is it slow?");
    }
    state = eas_breaker_ask(pool->breaker, job->own_realm, eas_monotonic_now());
    if (state == EAS_BREAKER_OPEN) {
        return eas_fail(err, EAS_UNAVAILABLE, 1254,
                        "the KDCs of %s have not answered lately and are left alone for some "
                        "seconds; check the domain controllers and krb5.conf",
                        job->own_realm);
    }
    if (state == EAS_BREAKER_TRIAL) {
        job->rank = TRIAL;
    }
    return EAS_OK;
}

/*
 * The flight of that key, begun if there is none; with a reference for the caller, who is an asker if
 * he has patience.  Takes the mutex, and keeps it.
 */
static enum eas_rc board(struct eas_kdc_pool *pool, const struct eas_kdc_task *task,
                         const void *key, apr_size_t key_len, const void *ask,
                         apr_interval_time_t patience, struct eas_kdc_job **out,
                         struct eas_err *err)
{
    struct eas_kdc_job *job, *mine = NULL;
    bool waits = patience > 0;
    enum eas_rc rc = EAS_OK;

    pthread_mutex_lock(&pool->mutex);
    job = apr_hash_get(pool->flights, key, (apr_ssize_t)key_len);
    if (job == NULL) {
        pthread_mutex_unlock(&pool->mutex);
        mine = make_job(pool, task, key, key_len, ask);
        mine->hint = !waits;
        pthread_mutex_lock(&pool->mutex);
        /* Another may have been faster. */
        job = apr_hash_get(pool->flights, key, (apr_ssize_t)key_len);
    }
    if (job == NULL) {
        rc = admit(pool, mine, err);
    }
    if (job == NULL && rc == EAS_OK) {
        job = mine;
        mine = NULL;
        enqueue(pool, job);
    }
    else if (job != NULL && job->state == QUEUED && job->rank == NEW && task->begun) {
        unqueue(job);
        job->rank = BEGUN;
        queue_up(pool, job);
    }
    if (rc == EAS_OK) {
        job->refs++;
        job->askers += waits;
        *out = job;
    }
    if (mine != NULL) {
        pthread_mutex_unlock(&pool->mutex);
        free_job(mine);
        pthread_mutex_lock(&pool->mutex);
    }
    return rc;
}

/* Why an asker goes before the job is done. */
static enum eas_rc give_up(struct eas_kdc_job *job, struct eas_err *err)
{
    if (job->rank == TRIAL) {
        blame(job, job->own_realm);
    }
    if (job->state == QUEUED) {
        return eas_fail(err, EAS_UNAVAILABLE, 1253,
                        "all threads that speak with the KDC are busy; is it slow?");
    }
    if (eas_monotonic_now() - job->moved_at >= job->timeout / 2) {
        blame(job, job->realm);
    }
    return eas_fail(err, EAS_UNAVAILABLE, 1250,
                    "the KDC has not answered within EasKcdKdcTimeout; check the domain "
                    "controllers and krb5.conf");
}

/* Waits for the job, letting go of the mutex. */
static enum eas_rc await(struct eas_kdc_job *job, apr_time_t until, struct eas_err *err)
{
    struct eas_kdc_pool *pool = job->owner;

    while (job->state != DONE) {
        apr_time_t now = eas_monotonic_now(), stall = stalls_at(pool, now);

        if (now >= until || (job->state == RUNNING && now - job->moved_at >= job->timeout)) {
            return give_up(job, err);
        }
        if (now >= stall && pool->waiting > pool->limits.stalled) {
            if (job->rank == TRIAL && job->state == QUEUED) {
                blame(job, job->own_realm); /* lest it count as under way */
            }
            return eas_fail(err, EAS_UNAVAILABLE, 1252,
                            "the KDC is silent or slow, and enough users are waiting for it");
        }
        eas_monotonic_wait(&job->done, &pool->mutex, stall > now && stall < until ? stall : until);
    }
    if (job->rc != EAS_OK) {
        *err = job->err;
    }
    return job->rc;
}

enum eas_rc eas_kdc_pool_ask(struct eas_kdc_pool *pool, const struct eas_kdc_task *task,
                             const void *key, apr_size_t key_len, const void *ask,
                             apr_interval_time_t patience, struct eas_kdc_job **job_out,
                             apr_interval_time_t *waited, struct eas_err *err)
{
    apr_time_t began = eas_monotonic_now();
    struct eas_kdc_job *job;
    enum eas_rc rc;

    *job_out = NULL;
    if (patience <= 0) {
        return eas_fail(err, EAS_UNAVAILABLE, 1257,
                        "the request has waited for KDCs for all of EasKcdKdcTimeout");
    }
    rc = board(pool, task, key, key_len, ask, patience, &job, err);
    if (rc == EAS_OK) {
        if (pool->waiting++ == 0) {
            pool->moved_at = eas_monotonic_now(); /* what still hangs was given up before */
        }
        rc = await(job, began + patience, err);
        pool->waiting--;
        job->askers--;
        if (job->state == DONE) {
            *job_out = job;
            pool->holding++;
        }
        else {
            if (job->state == QUEUED && job->askers == 0 && !job->hint) {
                unqueue(job); /* they have all gone, and nobody hears of it */
                finish(job, rc);
            }
            unref_job(job);
        }
        if (pool->stopping) {
            pthread_cond_signal(&pool->ended);
        }
    }
    pthread_mutex_unlock(&pool->mutex);
    *waited += eas_monotonic_now() - began;
    return rc;
}

void eas_kdc_pool_hint(struct eas_kdc_pool *pool, const struct eas_kdc_task *task, const void *key,
                       apr_size_t key_len, const void *ask)
{
    struct eas_kdc_job *job;
    struct eas_err ignored;

    if (board(pool, task, key, key_len, ask, 0, &job, &ignored) == EAS_OK) {
        unref_job(job);
    }
    pthread_mutex_unlock(&pool->mutex);
}

struct eas_kdc_pool_load eas_kdc_pool_load(struct eas_kdc_pool *pool)
{
    struct eas_kdc_pool_load load;

    pthread_mutex_lock(&pool->mutex);
    load = (struct eas_kdc_pool_load){ pool->threads, pool->running + pool->trials, pool->queued,
                                       pool->waiting };
    pthread_mutex_unlock(&pool->mutex);
    return load;
}

void *eas_kdc_job_copy(struct eas_kdc_job *job)
{
    return job->copy;
}

void eas_kdc_job_release(struct eas_kdc_job *job)
{
    struct eas_kdc_pool *pool = job->owner;

    pthread_mutex_lock(&pool->mutex);
    unref_job(job);
    pool->holding--;
    if (pool->stopping) {
        pthread_cond_signal(&pool->ended);
    }
    pthread_mutex_unlock(&pool->mutex);
}

/*
 * Under the mutex, which it lets go of.  A thread that comes back from libkrb5 after stop() has left
 * stays here until the process ends, in which exit handlers take away what it would use next.
 */
static void move_on(struct eas_kdc_job *job, bool answered)
{
    bool abandoned = job->owner->abandoned;

    job->moved_at = eas_monotonic_now();
    if (answered) {
        job->owner->moved_at = job->moved_at;
    }
    pthread_mutex_unlock(&job->owner->mutex);
    while (abandoned) {
        pause();
    }
}

void eas_kdc_job_asks(struct eas_kdc_job *job, const char *realm, apr_size_t len)
{
    pthread_mutex_lock(&job->owner->mutex);
    apr_cpystrn(job->realm, realm, len < REALM_MAX ? len + 1 : REALM_MAX);
    job->unanswered = true;
    count_message(job, true);
    move_on(job, false);
}

void eas_kdc_job_hears(struct eas_kdc_job *job, bool answered)
{
    pthread_mutex_lock(&job->owner->mutex);
    job->unanswered = !answered;
    job->heard = job->heard || answered;
    count_message(job, false);
    move_on(job, answered);
}
