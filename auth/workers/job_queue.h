/* SPDX-License-Identifier: Apache-2.0 */
/* auth/workers/job_queue.h - priority queue of jobs, with a bulkhead for each peer */

#ifndef EAS_AUTH_WORKERS_JOB_QUEUE_H
#define EAS_AUTH_WORKERS_JOB_QUEUE_H

#include "auth/workers/peer.h"

#include <apr_ring.h>
#include <apr_time.h>
#include <stdbool.h>

/*
 * The order of jobs.  A request needs several jobs one after another; if each were queued behind
 * those of newcomers, no request would end in time.
 */
enum eas_job_queue_rank { EAS_JOB_QUEUE_CONTINUED, EAS_JOB_QUEUE_NEW };

/* The queue's part of a job, which owns it. */
struct eas_job_queue_entry {
    APR_RING_ENTRY(eas_job_queue_entry) link;
    enum eas_job_queue_rank rank;
    struct eas_peer *peer; /* the peer that the job contacts first */
};

APR_RING_HEAD(eas_job_queue_ring, eas_job_queue_entry);

/* auth/workers/workers.c locks.  Entries must live while they are in here. */
struct eas_job_queue {
    unsigned share;                    /* threads for jobs of one peer */
    unsigned length;                   /* queued jobs of one peer */
    struct eas_job_queue_ring entries; /* queued, by rank, then by age */
    unsigned queued;
    unsigned running;
};

void eas_job_queue_init(struct eas_job_queue *queue, unsigned share, unsigned length);

/* True if no more jobs of the peer may be queued. */
bool eas_job_queue_is_full(const struct eas_job_queue *queue, const struct eas_peer *peer);

void eas_job_queue_put(struct eas_job_queue *queue, struct eas_job_queue_entry *entry);
void eas_job_queue_remove(struct eas_job_queue *queue, struct eas_job_queue_entry *entry);

/* Moves a queued job of rank NEW to rank CONTINUED. */
void eas_job_queue_raise(struct eas_job_queue *queue, struct eas_job_queue_entry *entry);

/* True if one more job of the peer may run: a silent peer holds every thread that it can get. */
bool eas_job_queue_has_room(const struct eas_job_queue *queue, const struct eas_peer *peer);

/* The next job that may run, or NULL.  It counts as running until eas_job_queue_done(). */
struct eas_job_queue_entry *eas_job_queue_take(struct eas_job_queue *queue);
void eas_job_queue_done(struct eas_job_queue *queue, struct eas_job_queue_entry *entry);

#endif
