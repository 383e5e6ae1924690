/* SPDX-License-Identifier: Apache-2.0 */
/* auth/workers/job_internal.h - jobs and their single-flight table, for auth/workers/ only */

#ifndef EAS_AUTH_WORKERS_JOB_INTERNAL_H
#define EAS_AUTH_WORKERS_JOB_INTERNAL_H

#include "auth/base/bytes.h"
#include "auth/base/error.h"
#include "auth/workers/job_queue.h"
#include "auth/workers/peer.h"

#include <apr_hash.h>
#include <apr_pools.h>
#include <apr_time.h>
#include <pthread.h>
#include <stdbool.h>

/* The functions need the table's mutex where nothing else is said. */

/* The jobs of one worker pool. */
struct eas_job_table {
    apr_pool_t *pool;
    pthread_mutex_t mutex;   /* protects the table, its jobs, and the worker pool; short sections */
    pthread_cond_t left;     /* while stopping: a thread or a caller has left */
    pthread_cond_t received; /* a message */
    apr_hash_t *by_key;      /* single flight: jobs that callers may join */
    apr_hash_t *peers;       /* struct eas_peer, by name */
    unsigned failures;       /* that open a peer's circuit */
    unsigned callers;        /* inside a function of the pool, or with a reference to a job */
    bool stopping;
    bool detached; /* the process ends without the last threads */
};

enum eas_job_state { EAS_JOB_QUEUED, EAS_JOB_RUNNING, EAS_JOB_DONE };

/* The copy belongs to the thread that runs the job, and is read-only when the job is DONE. */
struct eas_job {
    struct eas_job_queue_entry entry; /* first, so that the queue's entries are jobs */
    struct eas_peer_call call;
    struct eas_job_table *table;
    apr_pool_t *pool;
    pthread_cond_t done;
    enum eas_job_state state;
    unsigned refs;    /* its thread, now or later, and each caller */
    unsigned waiters; /* callers that wait */
    bool background;  /* to run even without a waiter */

    struct eas_bytes key;
    enum eas_rc (*run)(struct eas_job *job, void *copy, struct eas_err *err);
    void *copy;
    enum eas_rc rc;
    struct eas_err err;
};

/* A pool with an allocator of its own, which no other thread and no exit handler uses. */
apr_pool_t *eas_job_private_pool(void);

void eas_job_table_init(struct eas_job_table *table, apr_pool_t *pool, unsigned failures);
void eas_job_table_destroy(struct eas_job_table *table);

struct eas_job *eas_job_table_find(struct eas_job_table *table, struct eas_bytes key);
void eas_job_table_add(struct eas_job_table *table, struct eas_job *job);

/*
 * The next caller with the same key starts a new job (for passwords, see auth/password/lockout.h).
 */
void eas_job_table_remove(struct eas_job *job);

/* Peers with a circuit breaker of their own; all others share one. */
#define EAS_JOB_PEERS 64

/* Finds or adds the peer. */
struct eas_peer *eas_job_table_peer(struct eas_job_table *table, struct eas_bytes name);

/* A peer whose outage has begun or ended, with what is to be reported; NULL if there is none. */
struct eas_peer *eas_job_table_changed(struct eas_job_table *table, struct eas_peer_outage *out);

/* Ends the part of a caller. */
void eas_job_table_leave(struct eas_job_table *table);

/* A job with one reference; without the mutex. */
struct eas_job *eas_job_create(struct eas_job_table *table, struct eas_bytes key,
                               struct eas_peer *peer);

/* Without the mutex; the caller holds the only reference. */
void eas_job_destroy(struct eas_job *job);

/* Releases the mutex for a moment if the reference was the last. */
void eas_job_unref(struct eas_job *job);

/* The job has run, or never will; ends the thread's reference. */
void eas_job_finish(struct eas_job *job, enum eas_rc rc);

#endif
