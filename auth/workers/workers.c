/* SPDX-License-Identifier: Apache-2.0 */
/* auth/workers/workers.c - thread pool for blocking calls */

#include "auth/workers/workers.h"
#include "auth/base/clock.h"
#include "auth/base/thread.h"
#include "auth/workers/job_internal.h"

#include <string.h>

#define STOP_GRACE (APR_USEC_PER_SEC / 2)
#define STOP_LOCK (APR_USEC_PER_SEC / 10)

/* In the job table's pool. */
struct thread {
    struct thread *next;
    pthread_t id;
};

/* The mutex of the job table protects all fields. */
struct eas_workers {
    struct eas_job_table jobs; /* first, so that the table of jobs is the pool; holds this, too */
    apr_pool_t *shared;        /* for objects that jobs share */
    pthread_cond_t work;       /* for threads: a job was queued, or the pool stops */
    struct eas_job_queue queue;
    unsigned stalled;       /* callers that may wait while a peer is silent */
    struct thread *started; /* to be joined */
    unsigned threads;
    unsigned idle;              /* threads without a job */
    unsigned waiting;           /* callers */
    eas_workers_report *report; /* or NULL */
    void *report_data;
};

static void lock(struct eas_workers *workers)
{
    pthread_mutex_lock(&workers->jobs.mutex);
}

static void unlock(struct eas_workers *workers)
{
    pthread_mutex_unlock(&workers->jobs.mutex);
}

/* --- threads; with the mutex, where nothing else is said -------------------------------------- */

static void run_job(struct eas_workers *workers, struct eas_job *job)
{
    enum eas_rc rc;

    job->state = EAS_JOB_RUNNING;
    eas_peer_call_begin(&job->call, eas_clock_now());
    unlock(workers);
    rc = job->run(job, job->copy, &job->err);
    lock(workers);
    eas_job_queue_done(&workers->queue, &job->entry);
    eas_job_finish(job, rc);
}

/* Without the mutex. */
static void *work(void *data)
{
    struct eas_workers *workers = data;
    struct eas_job_queue_entry *next;

    lock(workers);
    while (!workers->jobs.stopping) {
        next = eas_job_queue_take(&workers->queue);
        if (next == NULL) {
            workers->idle++;
            pthread_cond_wait(&workers->work, &workers->jobs.mutex);
            workers->idle--;
        }
        else {
            run_job(workers, (struct eas_job *)next);
        }
    }
    workers->threads--;
    pthread_cond_signal(&workers->jobs.left);
    unlock(workers);
    return NULL;
}

static void start_thread(struct eas_workers *workers)
{
    struct thread *thread = apr_palloc(workers->jobs.pool, sizeof(*thread));

    if (eas_thread_start(&thread->id, work, workers)) {
        thread->next = workers->started;
        workers->started = thread;
        workers->threads++;
    }
}

static void wake_thread(struct eas_workers *workers)
{
    unsigned most = workers->queue.share * apr_hash_count(workers->jobs.peers);

    if (workers->idle < workers->queue.queued && workers->threads < most) {
        start_thread(workers);
    }
    pthread_cond_signal(&workers->work);
}

static void enqueue(struct eas_workers *workers, struct eas_job *job)
{
    eas_job_table_add(&workers->jobs, job);
    eas_job_queue_put(&workers->queue, &job->entry);
    wake_thread(workers);
}

/* --- start and stop ------------------------------------------------------------------------- */

static enum eas_rc fail_stopping(struct eas_err *err)
{
    return eas_fail(err, EAS_UNAVAILABLE, 1255, "this httpd process is ending");
}

static void drop_queue(struct eas_workers *workers)
{
    while (!APR_RING_EMPTY(&workers->queue.entries, eas_job_queue_entry, link)) {
        struct eas_job *job = (struct eas_job *)APR_RING_FIRST(&workers->queue.entries);

        eas_job_queue_remove(&workers->queue, &job->entry);
        eas_job_finish(job, fail_stopping(&job->err));
    }
}

static bool is_empty(const struct eas_workers *workers)
{
    return workers->threads + workers->jobs.callers == 0;
}

/* Without the mutex; no thread runs a job. */
static void destroy(struct eas_workers *workers)
{
    struct thread *thread;

    /* A thread's last instructions are this module's, which httpd unloads soon. */
    for (thread = workers->started; thread != NULL; thread = thread->next) {
        pthread_join(thread->id, NULL);
    }
    pthread_cond_destroy(&workers->work);
    eas_job_table_destroy(&workers->jobs);
    apr_pool_destroy(workers->shared);
    apr_pool_destroy(workers->jobs.pool);
}

/*
 * prefork runs this in a signal handler, which may have interrupted a caller.  So it waits for the
 * mutex only briefly, and frees nothing that an interrupted caller uses.
 */
static apr_status_t stop(void *data)
{
    struct eas_workers *workers = data;
    apr_time_t now = eas_clock_now(), until = now + STOP_GRACE;
    bool all_left;

    if (eas_clock_lock(&workers->jobs.mutex, now + STOP_LOCK) != 0) {
        return APR_SUCCESS;
    }
    workers->jobs.stopping = true;
    drop_queue(workers);
    pthread_cond_broadcast(&workers->work);
    pthread_cond_broadcast(&workers->jobs.received);
    while (!is_empty(workers) && eas_clock_now() < until) {
        eas_clock_wait(&workers->jobs.left, &workers->jobs.mutex, until);
    }
    all_left = is_empty(workers);
    workers->jobs.detached = !all_left;
    unlock(workers);
    if (all_left) {
        destroy(workers);
    }
    return APR_SUCCESS;
}

struct eas_workers *eas_workers_create(apr_pool_t *child, struct eas_workers_limits limits)
{
    apr_pool_t *own = eas_job_private_pool();
    struct eas_workers *workers = apr_pcalloc(own, sizeof(*workers));

    workers->shared = eas_job_private_pool();
    eas_job_table_init(&workers->jobs, own, limits.failures);
    eas_clock_init_cond(&workers->work);
    eas_job_queue_init(&workers->queue, limits.share, limits.queued);
    workers->stalled = limits.stalled;
    apr_pool_pre_cleanup_register(child, workers, stop);
    return workers;
}

void eas_workers_set_report(struct eas_workers *workers, eas_workers_report *report, void *data)
{
    workers->report = report;
    workers->report_data = data;
}

apr_pool_t *eas_workers_pool(struct eas_workers *workers)
{
    return workers->shared;
}

/* --- callers -------------------------------------------------------------------------------- */

/* Without the mutex. */
static struct eas_job *make_job(struct eas_workers *workers, const struct eas_workers_task *task,
                                struct eas_peer *peer)
{
    struct eas_job *job = eas_job_create(&workers->jobs, task->key, peer);

    job->run = task->run;
    job->entry.rank = task->continued ? EAS_JOB_QUEUE_CONTINUED : EAS_JOB_QUEUE_NEW;
    job->copy = task->prepare(job->pool, task->input);
    return job;
}

static enum eas_rc admit(struct eas_workers *workers, struct eas_job *job, struct eas_err *err)
{
    const struct eas_peer *peer = job->entry.peer;

    if (workers->jobs.stopping) {
        return fail_stopping(err);
    }
    if (eas_job_queue_is_full(&workers->queue, peer)) {
        return eas_fail(err, EAS_UNAVAILABLE, 1251,
                        "too many users are waiting for the KDC already; check whether the domain "
                        "controllers are slow");
    }
    if (eas_peer_call_admit(&job->call, eas_job_queue_has_room(&workers->queue, peer),
                            eas_clock_now())
        == EAS_BREAKER_OPEN) {
        return eas_fail(err, EAS_UNAVAILABLE, 1254,
                        "the KDCs of %s have not answered lately, so no request is sent to them "
                        "for some seconds; check the domain controllers and krb5.conf",
                        peer->name);
    }
    return EAS_OK;
}

/*
 * Joins the job of the task's key, or queues a new one; *out gets a reference.  Locks the mutex and
 * keeps it; the caller counts as one until eas_job_table_leave(), also after an error.
 */
static enum eas_rc join(struct eas_workers *workers, const struct eas_workers_task *task,
                        bool waits, struct eas_job **out, struct eas_err *err)
{
    struct eas_job *job, *new_job = NULL;
    struct eas_peer *peer;
    enum eas_rc rc = EAS_OK;

    lock(workers);
    workers->jobs.callers++;
    job = eas_job_table_find(&workers->jobs, task->key);
    if (job == NULL) {
        peer = eas_job_table_peer(&workers->jobs, eas_bytes_of_text(task->peer));
        unlock(workers);
        new_job = make_job(workers, task, peer);
        new_job->call.refused = !waits;
        lock(workers);
        /* Another thread may have added a job meanwhile. */
        job = eas_job_table_find(&workers->jobs, task->key);
    }
    if (job == NULL) {
        rc = admit(workers, new_job, err);
    }
    if (job == NULL && rc == EAS_OK) {
        job = new_job;
        new_job = NULL;
        enqueue(workers, job);
    }
    else if (job != NULL && job->state == EAS_JOB_QUEUED && task->continued) {
        eas_job_queue_raise(&workers->queue, &job->entry);
    }
    if (rc == EAS_OK) {
        job->refs++;
        job->waiters += waits;
        job->background = job->background || !waits;
        *out = job;
    }
    if (new_job != NULL) {
        unlock(workers);
        eas_job_destroy(new_job);
        lock(workers);
    }
    return rc;
}

/* The job goes on; if its peer is silent, the next caller with the same key starts a new one. */
static void leave(struct eas_job *job, apr_time_t now)
{
    if (eas_peer_call_leave(&job->call, now)) {
        eas_job_table_remove(job);
    }
}

static enum eas_rc fail_late(const struct eas_job *job, struct eas_err *err)
{
    if (job->state == EAS_JOB_QUEUED) {
        return eas_fail(err, EAS_UNAVAILABLE, 1253,
                        "all threads for requests to the KDC are busy; check whether the domain "
                        "controllers are slow");
    }
    return eas_fail(err, EAS_UNAVAILABLE, 1250,
                    "the KDC has not answered within EasKcdKdcTimeout; check the domain "
                    "controllers and krb5.conf");
}

/* The time since when the job's waiters have waited for a silent peer; now if it is not silent. */
static apr_time_t silent_since(const struct eas_workers *workers, const struct eas_job *job,
                               apr_time_t now)
{
    const struct eas_peer *peer = job->entry.peer;

    bool waits_for_peer = job->state == EAS_JOB_RUNNING
                              ? job->call.open
                              : peer->active_calls + peer->left_calls > 0
                                    && !eas_job_queue_has_room(&workers->queue, peer);

    return waits_for_peer ? peer->silent_since : now;
}

/* Releases the mutex while it waits. */
static enum eas_rc await(struct eas_workers *workers, struct eas_job *job, apr_time_t until,
                         struct eas_err *err)
{
    while (job->state != EAS_JOB_DONE) {
        apr_time_t now = eas_clock_now(), check_at = now + EAS_PEER_SILENT_AFTER;
        apr_time_t stalls_at = silent_since(workers, job, now) + EAS_PEER_SILENT_AFTER;

        if (now >= until) {
            leave(job, now);
            return fail_late(job, err);
        }
        if (now >= stalls_at && workers->waiting > workers->stalled) {
            if (job->waiters == 1) {
                leave(job, now);
            }
            return eas_fail(err, EAS_UNAVAILABLE, 1252,
                            "the KDC is silent or slow, and enough users are waiting for it; check "
                            "the domain controllers");
        }
        if (now < stalls_at && stalls_at < check_at) {
            check_at = stalls_at;
        }
        eas_clock_wait(&job->done, &workers->jobs.mutex, check_at < until ? check_at : until);
    }
    /* A silent KDC ends the job's time and the wait together: which thread runs first is chance. */
    if (job->rc == EAS_UNAVAILABLE && eas_clock_now() >= until) {
        return fail_late(job, err);
    }
    if (job->rc != EAS_OK) {
        *err = job->err;
    }
    return job->rc;
}

/* Ends the wait for a job that is not done, and the job if it is queued for this waiter alone. */
static void give_up(struct eas_workers *workers, struct eas_job *job, enum eas_rc rc)
{
    if (job->state == EAS_JOB_QUEUED && job->waiters == 0 && !job->background) {
        eas_job_queue_remove(&workers->queue, &job->entry);
        eas_job_finish(job, rc);
    }
    eas_job_unref(job);
}

/* Releases the mutex during each report. */
static void report_outages(struct eas_workers *workers)
{
    struct eas_peer_outage outage;
    const struct eas_peer *peer;

    while (workers->report != NULL
           && (peer = eas_job_table_changed(&workers->jobs, &outage)) != NULL) {
        unlock(workers);
        workers->report(workers->report_data, peer->name, outage.reported,
                        eas_clock_now() - outage.since, outage.refused);
        lock(workers);
    }
}

enum eas_rc eas_workers_run(struct eas_workers *workers, const struct eas_workers_task *task,
                            apr_interval_time_t max_wait, struct eas_job **job_out,
                            apr_interval_time_t *waited, struct eas_err *err)
{
    apr_time_t began = eas_clock_now();
    struct eas_job *job;
    struct eas_peer *peer;
    enum eas_rc rc;

    *job_out = NULL;
    if (max_wait <= 0) {
        return eas_fail(err, EAS_UNAVAILABLE, 1257,
                        "the request has used all of EasKcdKdcTimeout to wait for KDCs; check the "
                        "domain controllers");
    }
    rc = join(workers, task, true, &job, err);
    if (rc == EAS_OK) {
        workers->waiting++;
        rc = await(workers, job, began + max_wait, err);
        workers->waiting--;
        job->waiters--;
        if (job->state == EAS_JOB_DONE) {
            *job_out = job;
        }
        else {
            give_up(workers, job, rc);
        }
    }
    peer = eas_job_table_peer(&workers->jobs, eas_bytes_of_text(task->peer));
    if (rc == EAS_UNAVAILABLE) {
        err->repeats = peer->outage.reported;
    }
    report_outages(workers);
    if (*job_out == NULL) {
        eas_job_table_leave(&workers->jobs);
    }
    unlock(workers);
    *waited += eas_clock_now() - began;
    return rc;
}

void eas_workers_run_in_background(struct eas_workers *workers, const struct eas_workers_task *task)
{
    struct eas_job *job;
    struct eas_err ignored;

    if (join(workers, task, false, &job, &ignored) == EAS_OK) {
        eas_job_unref(job);
    }
    eas_job_table_leave(&workers->jobs);
    unlock(workers);
}

struct eas_workers *eas_workers_of(struct eas_job *job)
{
    return (struct eas_workers *)job->table; /* its first member */
}

struct eas_workers_load eas_workers_load(struct eas_workers *workers)
{
    struct eas_workers_load load;

    lock(workers);
    load = (struct eas_workers_load){
        .threads = workers->threads,
        .running = workers->queue.running,
        .queued = workers->queue.queued,
        .waiting = workers->waiting,
    };
    unlock(workers);
    return load;
}
