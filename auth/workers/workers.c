/* SPDX-License-Identifier: Apache-2.0 */
/* auth/workers/workers.c - a few threads that wait for the KDC, so that requests need not */

#include "auth/workers/workers.h"
#include "auth/workers/peer.h"
#include "auth/workers/job_queue.h"
#include "auth/base/clock.h"
#include "auth/base/thread.h"

#include <apr_hash.h>
#include <apr_strings.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STOP_GRACE (APR_USEC_PER_SEC / 2)
#define STOP_LOCK (APR_USEC_PER_SEC / 10)

enum job_state { QUEUED, RUNNING, DONE };

/* Guarded by the pool's mutex, but for what is only the running thread's and, when DONE, read-only. */
struct eas_job {
    struct eas_job_queue_entry place; /* first, so that the queue's places are jobs */
    struct eas_peer_call call;
    struct eas_workers *owner;
    apr_pool_t *pool;
    pthread_cond_t done;
    enum job_state state;
    unsigned refs;   /* its thread, now or later, and each asker */
    unsigned askers; /* who wait */
    bool hint;       /* to be done though nobody waits */
    bool hangs;      /* nobody expects anything of it */

    const void *key;
    apr_size_t key_len;
    enum eas_rc (*run)(struct eas_job *job, void *copy, struct eas_err *err);
    void *copy;
    apr_interval_time_t timeout;
    enum eas_rc rc;
    struct eas_err err;
};

struct eas_workers {
    apr_pool_t *pool;      /* its own */
    apr_pool_t *memory;    /* for what the jobs share */
    pthread_mutex_t mutex; /* guards what follows; held for pointer work only */
    pthread_cond_t work;   /* for threads: a job has come, or the end */
    pthread_cond_t ended;  /* for stop(): a thread or a guest has gone */
    struct eas_job_queue queue;
    unsigned stalled;    /* waiters allowed while nothing moves */
    apr_hash_t *flights; /* jobs that are not DONE and do not hang, by key */
    apr_hash_t *realms;  /* by name */
    unsigned threads;
    unsigned idle;
    unsigned waiting; /* askers */
    unsigned guests;  /* who are in here, or have gone with a job */
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

static struct eas_peer *find_realm(struct eas_workers *pool, const char *name, apr_size_t len)
{
    struct eas_peer *realm = apr_hash_get(pool->realms, name, (apr_ssize_t)len);

    if (realm == NULL) {
        realm = apr_pcalloc(pool->pool, sizeof(*realm));
        realm->name = apr_pstrmemdup(pool->pool, name, len);
        apr_hash_set(pool->realms, realm->name, (apr_ssize_t)len, realm);
    }
    return realm;
}

/* Without the mutex. */
static struct eas_job *make_job(struct eas_workers *owner, const struct eas_workers_task *task,
                                struct eas_peer *realm, const void *key, apr_size_t key_len,
                                const void *ask)
{
    apr_pool_t *pool = private_pool();
    struct eas_job *job = apr_pcalloc(pool, sizeof(*job));

    job->owner = owner;
    job->pool = pool;
    eas_clock_init_cond(&job->done);
    job->key = apr_pmemdup(pool, key, key_len);
    job->key_len = key_len;
    job->run = task->run;
    job->timeout = task->timeout;
    job->place.rank = task->begun ? EAS_JOB_QUEUE_CONTINUED : EAS_JOB_QUEUE_NEW;
    job->place.realm = realm;
    job->call = eas_peer_call_make(realm);
    job->copy = task->prepare(pool, ask);
    return job;
}

/* Without the mutex; nobody else has it. */
static void free_job(struct eas_job *job)
{
    pthread_cond_destroy(&job->done);
    apr_pool_destroy(job->pool);
}

/* Lets go of the mutex, and takes it again, where the job's pool has to go. */
static void unref_job(struct eas_job *job)
{
    struct eas_workers *pool = job->owner;

    if (--job->refs == 0) {
        pthread_mutex_unlock(&pool->mutex);
        free_job(job);
        pthread_mutex_lock(&pool->mutex);
    }
}

/* Who wants the same from now on has it done anew (if what hangs is no password: auth/password/lockout.h). */
static void take_off(struct eas_job *job)
{
    apr_hash_t *flights = job->owner->flights;

    if (apr_hash_get(flights, job->key, (apr_ssize_t)job->key_len) == job) {
        apr_hash_set(flights, job->key, (apr_ssize_t)job->key_len, NULL);
    }
}

/* It has run, or never will. */
static void finish(struct eas_job *job, enum eas_rc rc)
{
    eas_peer_call_end(&job->call, eas_clock_now());
    job->rc = rc;
    job->state = DONE;
    take_off(job);
    pthread_cond_broadcast(&job->done);
    unref_job(job);
}

static void run_job(struct eas_job *job)
{
    struct eas_workers *pool = job->owner;
    enum eas_rc rc;

    job->state = RUNNING;
    eas_peer_call_begin(&job->call, eas_clock_now());
    pthread_mutex_unlock(&pool->mutex);
    rc = job->run(job, job->copy, &job->err);
    pthread_mutex_lock(&pool->mutex);
    eas_job_queue_done(&pool->queue, &job->place);
    finish(job, rc);
}

/* --- threads -------------------------------------------------------------------------------- */

static void *work(void *data)
{
    struct eas_workers *pool = data;
    struct eas_job_queue_entry *next;

    pthread_mutex_lock(&pool->mutex);
    while (!pool->stopping) {
        next = eas_job_queue_take(&pool->queue, eas_clock_now());
        if (next == NULL) {
            pool->idle++;
            pthread_cond_wait(&pool->work, &pool->mutex);
            pool->idle--;
        }
        else {
            run_job((struct eas_job *)next);
        }
    }
    pool->threads--;
    pthread_cond_signal(&pool->ended);
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

static void call_thread(struct eas_workers *pool)
{
    if (eas_job_queue_wants_thread(&pool->queue, pool->threads, pool->idle)
        && eas_thread_start(work, pool)) {
        pool->threads++;
    }
    pthread_cond_signal(&pool->work);
}

static void enqueue(struct eas_workers *pool, struct eas_job *job)
{
    job->refs = 1;
    apr_hash_set(pool->flights, job->key, (apr_ssize_t)job->key_len, job);
    eas_job_queue_put(&pool->queue, &job->place);
    call_thread(pool);
}

/*
 * Whoever waits looks after all: those who have left noticed nothing, and hints have nobody.  Returns
 * when to look again, at the latest.
 */
static apr_time_t give_up_hanging(struct eas_workers *pool, apr_time_t now)
{
    apr_time_t next = now + EAS_PEER_STALLED_AFTER;
    struct eas_job_queue_entry *place;

    APR_RING_FOREACH(place, &pool->queue.taken, eas_job_queue_entry, link)
    {
        struct eas_job *job = (struct eas_job *)place;
        apr_time_t hangs_at = job->call.moved_at + job->timeout;

        if (now >= hangs_at) {
            job->hangs = true;
            take_off(job);
            eas_peer_call_abandon(&job->call, now);
            if (eas_job_queue_abandon(&pool->queue, place)) {
                call_thread(pool);
            }
        }
        else if (hangs_at < next) {
            next = hangs_at;
        }
    }
    return next;
}

/* --- the end -------------------------------------------------------------------------------- */

static enum eas_rc say_ending(struct eas_err *err)
{
    return eas_fail(err, EAS_UNAVAILABLE, 1255, "this httpd process is ending");
}

static void drop_queue(struct eas_workers *pool)
{
    while (!APR_RING_EMPTY(&pool->queue.places, eas_job_queue_entry, link)) {
        struct eas_job *job = (struct eas_job *)APR_RING_FIRST(&pool->queue.places);

        eas_job_queue_remove(&pool->queue, &job->place);
        finish(job, say_ending(&job->err));
    }
}

static bool is_empty(const struct eas_workers *pool)
{
    return pool->threads + pool->guests == 0;
}

static void leave(struct eas_workers *pool)
{
    pool->guests--;
    if (pool->stopping) {
        pthread_cond_signal(&pool->ended);
    }
}

/*
 * prefork runs this in a signal handler, which may have interrupted an asker: hence no waiting for the
 * mutex, and nothing is taken away from an asker that will not go on.
 */
static apr_status_t stop(void *data)
{
    struct eas_workers *pool = data;
    apr_time_t until = eas_clock_now() + STOP_GRACE;
    apr_time_t by = apr_time_now() + STOP_LOCK;
    struct timespec lock_until = { apr_time_sec(by), apr_time_usec(by) * 1000 };
    bool all_gone;

    if (pthread_mutex_timedlock(&pool->mutex, &lock_until) != 0) {
        return APR_SUCCESS;
    }
    pool->stopping = true;
    drop_queue(pool);
    pthread_cond_broadcast(&pool->work);
    while (!is_empty(pool) && eas_clock_now() < until) {
        eas_clock_wait(&pool->ended, &pool->mutex, until);
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

struct eas_workers *eas_workers_create(apr_pool_t *child, struct eas_workers_limits limits)
{
    apr_pool_t *own = private_pool();
    struct eas_workers *pool = apr_pcalloc(own, sizeof(*pool));

    pool->pool = own;
    pool->memory = private_pool();
    pthread_mutex_init(&pool->mutex, NULL);
    eas_clock_init_cond(&pool->work);
    eas_clock_init_cond(&pool->ended);
    eas_job_queue_init(&pool->queue, limits.threads, limits.share, limits.queued);
    pool->stalled = limits.stalled;
    pool->flights = apr_hash_make(own);
    pool->realms = apr_hash_make(own);
    apr_pool_pre_cleanup_register(child, pool, stop);
    return pool;
}

apr_pool_t *eas_workers_pool(struct eas_workers *pool)
{
    return pool->memory;
}

/* --- askers --------------------------------------------------------------------------------- */

/* May another job be begun? */
static enum eas_rc admit(struct eas_workers *pool, struct eas_job *job, struct eas_err *err)
{
    enum eas_breaker_state state;

    if (pool->stopping) {
        return say_ending(err);
    }
    state = eas_peer_call_admit(&job->call, eas_clock_now());
    if (state == EAS_BREAKER_OPEN) {
        return eas_fail(err, EAS_UNAVAILABLE, 1254,
                        "the KDCs of %s have not answered lately and are left alone for some "
                        "seconds; check the domain controllers and krb5.conf",
                        job->place.realm->name);
    }
    if (state == EAS_BREAKER_PROBE) {
        job->place.rank = EAS_JOB_QUEUE_PROBE;
    }
    else if (eas_job_queue_is_full(&pool->queue, job->place.realm)) {
        return eas_fail(err, EAS_UNAVAILABLE, 1251,
                        "too many users are waiting for the KDC already; is it slow?");
    }
    return EAS_OK;
}

/*
 * The flight of that key, begun if there is none; with a reference for the caller, who is an asker if
 * he has patience.  Takes the mutex, and keeps it; the caller is a guest from then on.
 */
static enum eas_rc board(struct eas_workers *pool, const struct eas_workers_task *task,
                         const void *key, apr_size_t key_len, const void *ask,
                         apr_interval_time_t patience, struct eas_job **out, struct eas_err *err)
{
    struct eas_job *job, *mine = NULL;
    struct eas_peer *realm;
    bool waits = patience > 0;
    enum eas_rc rc = EAS_OK;

    pthread_mutex_lock(&pool->mutex);
    pool->guests++;
    give_up_hanging(pool, eas_clock_now());
    job = apr_hash_get(pool->flights, key, (apr_ssize_t)key_len);
    if (job == NULL) {
        realm = find_realm(pool, task->realm, strlen(task->realm));
        pthread_mutex_unlock(&pool->mutex);
        mine = make_job(pool, task, realm, key, key_len, ask);
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
    else if (job != NULL && job->state == QUEUED && task->begun) {
        eas_job_queue_raise(&pool->queue, &job->place);
    }
    if (rc == EAS_OK) {
        job->refs++;
        job->askers += waits;
        job->hint = job->hint || !waits;
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
static enum eas_rc give_up(struct eas_job *job, struct eas_err *err)
{
    if (job->state == QUEUED) {
        return eas_fail(err, EAS_UNAVAILABLE, 1253,
                        "all threads that speak with the KDC are busy; is it slow?");
    }
    return eas_fail(err, EAS_UNAVAILABLE, 1250,
                    "the KDC has not answered within EasKcdKdcTimeout; check the domain "
                    "controllers and krb5.conf");
}

/* Since when the job's askers have been waiting for a KDC that is silent, or now if it is not. */
static apr_time_t quiet_since(const struct eas_job *job, apr_time_t now)
{
    const struct eas_job_queue *queue = &job->owner->queue;
    const struct eas_peer *realm = job->place.realm;

    if (job->state == RUNNING) {
        return job->call.open ? realm->quiet_since : now;
    }
    if (eas_job_queue_has_room(queue, &job->place)) {
        return now;
    }
    return realm->running >= queue->share && realm->speaking > 0 ? realm->quiet_since
                                                                 : queue->taken_at;
}

/* Waits for the job, letting go of the mutex. */
static enum eas_rc await(struct eas_job *job, apr_time_t until, struct eas_err *err)
{
    struct eas_workers *pool = job->owner;

    while (job->state != DONE) {
        apr_time_t now = eas_clock_now(), look_at = give_up_hanging(pool, now);
        apr_time_t stalls_at = quiet_since(job, now) + EAS_PEER_STALLED_AFTER;

        if (now >= until || job->hangs) {
            return give_up(job, err);
        }
        if (now >= stalls_at && pool->waiting > pool->stalled) {
            return eas_fail(err, EAS_UNAVAILABLE, 1252,
                            "the KDC is silent or slow, and enough users are waiting for it");
        }
        if (now < stalls_at && stalls_at < look_at) {
            look_at = stalls_at;
        }
        eas_clock_wait(&job->done, &pool->mutex, look_at < until ? look_at : until);
    }
    if (job->rc != EAS_OK) {
        *err = job->err;
    }
    return job->rc;
}

enum eas_rc eas_workers_run(struct eas_workers *pool, const struct eas_workers_task *task,
                            const void *key, apr_size_t key_len, const void *ask,
                            apr_interval_time_t patience, struct eas_job **job_out,
                            apr_interval_time_t *waited, struct eas_err *err)
{
    apr_time_t began = eas_clock_now();
    struct eas_job *job;
    enum eas_rc rc;

    *job_out = NULL;
    if (patience <= 0) {
        return eas_fail(err, EAS_UNAVAILABLE, 1257,
                        "the request has waited for KDCs for all of EasKcdKdcTimeout");
    }
    rc = board(pool, task, key, key_len, ask, patience, &job, err);
    if (rc == EAS_OK) {
        pool->waiting++;
        rc = await(job, began + patience, err);
        pool->waiting--;
        job->askers--;
        if (job->state == DONE) {
            *job_out = job;
        }
        else {
            if (job->state == QUEUED && job->askers == 0 && !job->hint) {
                eas_job_queue_remove(&pool->queue, &job->place);
                finish(job, rc); /* they have all gone, and nobody hears of it */
            }
            unref_job(job);
        }
    }
    if (*job_out == NULL) {
        leave(pool);
    }
    pthread_mutex_unlock(&pool->mutex);
    *waited += eas_clock_now() - began;
    return rc;
}

void eas_workers_run_in_background(struct eas_workers *pool, const struct eas_workers_task *task,
                                   const void *key, apr_size_t key_len, const void *ask)
{
    struct eas_job *job;
    struct eas_err ignored;

    if (board(pool, task, key, key_len, ask, 0, &job, &ignored) == EAS_OK) {
        unref_job(job);
    }
    leave(pool);
    pthread_mutex_unlock(&pool->mutex);
}

struct eas_workers_load eas_workers_load(struct eas_workers *pool)
{
    struct eas_workers_load load;

    pthread_mutex_lock(&pool->mutex);
    load = (struct eas_workers_load){ pool->threads,    pool->queue.running, pool->queue.trials,
                                      pool->queue.lost, pool->queue.queued,  pool->waiting };
    pthread_mutex_unlock(&pool->mutex);
    return load;
}

void *eas_workers_job_copy(struct eas_job *job)
{
    return job->copy;
}

void eas_workers_job_release(struct eas_job *job)
{
    struct eas_workers *pool = job->owner;

    pthread_mutex_lock(&pool->mutex);
    unref_job(job);
    leave(pool);
    pthread_mutex_unlock(&pool->mutex);
}

/* --- what a job's thread tells ---------------------------------------------------------------- */

/*
 * A thread that comes back from libkrb5 after stop() has left stays here until the process ends, in
 * which exit handlers take away what it would use next.
 */
static struct eas_peer_call *lock_call(struct eas_job *job)
{
    bool abandoned;

    pthread_mutex_lock(&job->owner->mutex);
    abandoned = job->owner->abandoned;
    if (abandoned) {
        pthread_mutex_unlock(&job->owner->mutex);
    }
    while (abandoned) {
        pause();
    }
    return &job->call;
}

static void unlock_call(struct eas_job *job)
{
    pthread_mutex_unlock(&job->owner->mutex);
}

void eas_workers_job_open(struct eas_job *job)
{
    eas_peer_call_open(lock_call(job), eas_clock_now());
    unlock_call(job);
}

bool eas_workers_job_send(struct eas_job *job, const char *realm, apr_size_t len)
{
    struct eas_peer_call *call = lock_call(job);
    bool may = eas_peer_call_send(call, find_realm(job->owner, realm, len), eas_clock_now());

    unlock_call(job);
    return may;
}

void eas_workers_job_receive(struct eas_job *job, bool answered)
{
    eas_peer_call_receive(lock_call(job), answered, eas_clock_now());
    unlock_call(job);
}

void eas_workers_job_close(struct eas_job *job)
{
    eas_peer_call_close(lock_call(job));
    unlock_call(job);
}
