/* SPDX-License-Identifier: Apache-2.0 */
/* auth/workers/workers.h - thread pool for blocking calls */

#ifndef EAS_AUTH_WORKERS_WORKERS_H
#define EAS_AUTH_WORKERS_WORKERS_H

#include "auth/base/bytes.h"
#include "auth/base/error.h"
#include "auth/workers/job.h"

#include <apr_pools.h>
#include <apr_time.h>
#include <stdbool.h>

/*
 * A thread of this pool makes the call, as a job, and the caller stops waiting when its time is up.
 * The job belongs to no request: it goes on to its end, and its run() stores the result.
 *
 *  - Single flight: concurrent callers with the same key share one job and its result.
 *  - Bulkhead: the queue is bounded, and jobs that contact the same peer first get no more than
 *    their share of the threads.  Where the jobs of a peer have had no answer for a second, only so
 *    many callers may wait; the others fail at once.
 *  - Priority: jobs of a request that has already had one go before the jobs of newcomers.
 *  - Circuit breaker (auth/workers/breaker.h) for each peer, checked before a job is queued and
 *    before each message.
 *
 * Calls to KDCs end by their deadline, save where libkrb5 sends (auth/kerberos/kdc_locate.h): there
 * a silent KDC holds a thread for half a minute (sendto_kdc.c).  A cache provider's call can take
 * forever (auth/shared/socache_httpd.c).  Such a thread is one of its peer's share until the call
 * ends, and no other takes its place.  Its caller leaves in time, which counts as a failure.  While
 * such calls hold a peer's whole share, its circuit stays open.
 *
 * One per child process, created after the fork; threads start on demand.  Thread-safe.  No lock is
 * held while a job runs.
 */
struct eas_workers;

struct eas_workers_limits {
    unsigned share;    /* threads for jobs of one peer */
    unsigned queued;   /* queued jobs of one peer */
    unsigned stalled;  /* callers that may wait while a peer is silent */
    unsigned failures; /* in a row that open a peer's circuit */
};

/*
 * Told once that a peer's circuit has opened, and once that it has closed: after lasted, in which so
 * many jobs were refused.  Called by the next caller of eas_workers_run().
 */
typedef void eas_workers_report(void *data, const char *peer, bool begins,
                                apr_interval_time_t lasted, unsigned refused);

/*
 * When the pool child is destroyed, queued jobs end with EAS_UNAVAILABLE, and running ones get half
 * a second.  A thread whose call takes longer lives to the end of the process, with all that it
 * uses.
 */
struct eas_workers *eas_workers_create(apr_pool_t *child, struct eas_workers_limits limits);

/* Before the first job.  Errors during a reported outage are marked as its repeats. */
void eas_workers_set_report(struct eas_workers *workers, eas_workers_report *report, void *data);

/* A pool for objects that jobs share, such as caches; destroyed after the last thread, if ever. */
apr_pool_t *eas_workers_pool(struct eas_workers *workers);

/* A blocking call, as a caller describes it.  The pool copies the key and the name of the peer. */
struct eas_workers_task {
    const char *peer; /* contacted first: one of our realms, or a name of the caller's choice */
    bool continued;   /* the request has had a job before */

    /* Copies what run() needs of input into pool, which lives as long as the job. */
    void *(*prepare)(apr_pool_t *pool, const void *input);

    /*
     * Makes the call, once, on a thread of the pool.  Its results in the copy are read-only
     * afterwards, and visible to every caller.  It wipes secrets before it returns.
     */
    enum eas_rc (*run)(struct eas_job *job, void *copy, struct eas_err *err);

    struct eas_bytes key; /* equal keys mean the same call with the same input */
    const void *input;
};

/*
 * Runs the task as a job, or joins the job of its key, and waits for at most max_wait; adds the
 * time waited to *waited.  Returns the result of run() and, in *job_out, a reference to the job; or
 * EAS_UNAVAILABLE and NULL if the job did not end in time.  Jobs dropped at the end of the child
 * are returned too, as prepare() left them.
 */
enum eas_rc eas_workers_run(struct eas_workers *workers, const struct eas_workers_task *task,
                            apr_interval_time_t max_wait, struct eas_job **job_out,
                            apr_interval_time_t *waited, struct eas_err *err);

/* Queues the task as a background job, if there is room; no caller waits for it. */
void eas_workers_run_in_background(struct eas_workers *workers,
                                   const struct eas_workers_task *task);

/* The pool that runs the job; for run(), which may queue background jobs. */
struct eas_workers *eas_workers_of(struct eas_job *job);

/* Current counts. */
struct eas_workers_load {
    unsigned threads; /* started */
    unsigned running; /* jobs */
    unsigned queued;
    unsigned waiting; /* callers */
};

struct eas_workers_load eas_workers_load(struct eas_workers *workers);

#endif
