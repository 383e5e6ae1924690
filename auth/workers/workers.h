/* SPDX-License-Identifier: Apache-2.0 */
/* auth/workers/workers.h - a few threads that wait for the KDC, so that requests need not */

#ifndef EAS_AUTH_WORKERS_WORKERS_H
#define EAS_AUTH_WORKERS_WORKERS_H

#include "auth/base/error.h"

#include <apr_pools.h>
#include <apr_time.h>
#include <stdbool.h>

/*
 * libkrb5 cannot be told when to give up: a KDC that accepts a connection and is silent holds a
 * thread for half a minute (sendto_kdc.c).  So whoever wants something of a KDC has it done by one of
 * these threads and goes when the time is up.  The job belongs to nobody's request: it goes on, and
 * leaves its result wherever its run() puts it.
 *
 *  - Single flight: simultaneous askers of the same key share one job and its outcome.
 *  - Bulkhead: jobs wait in a queue of limited length, and those that ask the same realm first get no
 *    more than their share of the threads.  Where such a realm's jobs have had no answer for a second,
 *    only so many askers may wait: those who are too many are told at once.  A job that hangs for longer
 *    than anybody waits is lost: another gets its place, and a thread.
 *  - What a request has begun goes before what another begins.
 *  - Circuit breaker (auth/workers/breaker.h) for each realm, asked before a job begins and before each message.
 *    A trial has a thread more, since those for all may be held by what made the circuit open.
 *
 * One per child, made after the fork; threads are started as they are needed.  Thread-safe.  No lock
 * is held while anything runs.
 */
struct eas_workers;

struct eas_workers_limits {
    unsigned threads; /* for all jobs but trials and lost ones */
    unsigned share;   /* of them, for jobs of the same realm */
    unsigned queued;  /* jobs of a realm that may wait for a thread */
    unsigned stalled; /* askers that may wait while nothing moves */
};

/*
 * When child goes, jobs that wait are dropped, and those that run are given half a second.  A thread
 * that hangs in libkrb5 longer than that is left to the end of the process, with all that it uses.
 */
struct eas_workers *eas_workers_create(apr_pool_t *child, struct eas_workers_limits limits);

/* A pool for what jobs share, such as caches: it goes with the last thread, if it ever goes. */
apr_pool_t *eas_workers_pool(struct eas_workers *pool);

/* What an asker shares with others, and with the thread that does it. */
struct eas_job;

struct eas_workers_task {
    const char *realm; /* whose KDC is asked first; one of ours */
    apr_interval_time_t timeout;
    bool begun; /* the request has had something of a KDC before */

    /* Copies what run() needs of ask into pool, which lives as long as the job. */
    void *(*prepare)(apr_pool_t *pool, const void *ask);

    /*
     * Does it, once, on a thread of the pool.  What it leaves in the copy is read-only afterwards,
     * and for every asker to see.  Secrets it wipes before it returns.
     */
    enum eas_rc (*run)(struct eas_job *job, void *copy, struct eas_err *err);
};

/*
 * Has the task done and waits for it, for at most patience; adds what was waited to *waited.  Returns
 * what run() did, with a reference to the job; or EAS_UNAVAILABLE and NULL if that was not to be
 * waited for.  Jobs that the child's end has dropped are given too, as prepare() left them.  Equal
 * keys must mean the same task with the same ask.
 */
enum eas_rc eas_workers_run(struct eas_workers *pool, const struct eas_workers_task *task,
                            const void *key, apr_size_t key_len, const void *ask,
                            apr_interval_time_t patience, struct eas_job **job_out,
                            apr_interval_time_t *waited, struct eas_err *err);

/* Has the task done some time, if there is room; nobody waits. */
void eas_workers_run_in_background(struct eas_workers *pool, const struct eas_workers_task *task,
                                   const void *key, apr_size_t key_len, const void *ask);

/* What is going on just now. */
struct eas_workers_load {
    unsigned threads; /* started */
    unsigned running; /* jobs, without trials and lost ones */
    unsigned trials;  /* queued or running */
    unsigned lost;    /* jobs that hang, in whose place others may run */
    unsigned queued;
    unsigned waiting; /* askers */
};

struct eas_workers_load eas_workers_load(struct eas_workers *pool);

/* The copy that prepare() made; for an asker after eas_workers_run(). */
void *eas_workers_job_copy(struct eas_job *job);
void eas_workers_job_release(struct eas_job *job);

/*
 * For auth/kerberos/kdc.c, on the job's thread.  A conversation opens, in which messages are to go to that realm's
 * KDC (if they may: its circuit may be open), and are answered, or will not be; and it closes.
 */
void eas_workers_job_open(struct eas_job *job);
bool eas_workers_job_send(struct eas_job *job, const char *realm, apr_size_t len);
void eas_workers_job_receive(struct eas_job *job, bool answered);
void eas_workers_job_close(struct eas_job *job);

#endif
