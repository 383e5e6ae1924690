/* SPDX-License-Identifier: Apache-2.0 */
/* auth/workers/job_queue.h - which of the jobs for KDCs is next, and how many may run */

#ifndef EAS_AUTH_WORKERS_JOB_QUEUE_H
#define EAS_AUTH_WORKERS_JOB_QUEUE_H

#include "auth/workers/peer.h"

#include <apr_ring.h>
#include <apr_time.h>
#include <stdbool.h>

/* Which goes first.  Of many who come at once none would be served in time, if each had to queue
 * with those who have just come for everything that it wants of the KDC. */
enum eas_job_queue_rank { EAS_JOB_QUEUE_PROBE, EAS_JOB_QUEUE_CONTINUED, EAS_JOB_QUEUE_NEW };

/* What a job is to the queue. */
struct eas_job_queue_entry {
    APR_RING_ENTRY(eas_job_queue_entry) link;
    enum eas_job_queue_rank rank;
    bool lost;
    struct eas_peer *realm; /* where it asks first */
};

APR_RING_HEAD(eas_job_queue_ring, eas_job_queue_entry);

/* For auth/workers/workers.c, which locks.  Places are their owners', and must stay while they are in here. */
struct eas_job_queue {
    unsigned threads;                 /* for all jobs but probes and abandoned ones */
    unsigned share;                   /* of them, for jobs of one realm */
    unsigned length;                  /* jobs of one realm that may wait */
    struct eas_job_queue_ring places; /* by rank, then by age */
    struct eas_job_queue_ring taken;  /* those that run, trials and lost ones too */
    unsigned queued;
    unsigned running; /* without trials and lost ones */
    unsigned trials;  /* queued or running */
    unsigned lost;
    apr_time_t taken_at; /* when a job last got a thread */
};

void eas_job_queue_init(struct eas_job_queue *queue, unsigned threads, unsigned share,
                        unsigned length);

/* May no more jobs of that realm be put into it?  Not to be asked for trials, which always may. */
bool eas_job_queue_is_full(const struct eas_job_queue *queue, const struct eas_peer *realm);

void eas_job_queue_put(struct eas_job_queue *queue, struct eas_job_queue_entry *place);
void eas_job_queue_remove(struct eas_job_queue *queue, struct eas_job_queue_entry *place);

/* One that waits is to go before those that are new. */
void eas_job_queue_raise(struct eas_job_queue *queue, struct eas_job_queue_entry *place);

/*
 * May it run now, if there is a thread?  Trials always may; of the others there are not too many, all in
 * all and of its realm, whose KDC may be silent and hold every thread that it can get.
 */
bool eas_job_queue_has_room(const struct eas_job_queue *queue,
                            const struct eas_job_queue_entry *place);

/* The next that may run, which counts as running from then on until it is done; or NULL. */
struct eas_job_queue_entry *eas_job_queue_take(struct eas_job_queue *queue, apr_time_t now);
void eas_job_queue_done(struct eas_job_queue *queue, struct eas_job_queue_entry *place);

/*
 * It hangs, and the thread with it: another may run in its place, if true is returned.  That is granted
 * to no more of a realm's at a time than its share is, so that threads are bounded.
 */
bool eas_job_queue_abandon(struct eas_job_queue *queue, struct eas_job_queue_entry *place);

/* Would another thread have something to do? */
bool eas_job_queue_wants_thread(const struct eas_job_queue *queue, unsigned threads, unsigned idle);

#endif
