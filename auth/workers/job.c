/* SPDX-License-Identifier: Apache-2.0 */
/* auth/workers/job.c - jobs of the worker pool */

#include "auth/workers/job.h"
#include "auth/base/clock.h"
#include "auth/workers/job_internal.h"

#include <apr_strings.h>
#include <unistd.h>

apr_pool_t *eas_job_private_pool(void)
{
    apr_pool_t *pool;

    apr_pool_create_unmanaged_ex(&pool, NULL, NULL);
    return pool;
}

/* --- the table -------------------------------------------------------------------------------- */

void eas_job_table_init(struct eas_job_table *table, apr_pool_t *pool, unsigned failures)
{
    table->pool = pool;
    table->failures = failures;
    pthread_mutex_init(&table->mutex, NULL);
    eas_clock_init_cond(&table->left);
    eas_clock_init_cond(&table->received);
    table->by_key = apr_hash_make(pool);
    table->peers = apr_hash_make(pool);
}

void eas_job_table_destroy(struct eas_job_table *table)
{
    pthread_cond_destroy(&table->left);
    pthread_cond_destroy(&table->received);
    pthread_mutex_destroy(&table->mutex);
}

struct eas_job *eas_job_table_find(struct eas_job_table *table, struct eas_bytes key)
{
    return apr_hash_get(table->by_key, key.at, (apr_ssize_t)key.len);
}

void eas_job_table_add(struct eas_job_table *table, struct eas_job *job)
{
    apr_hash_set(table->by_key, job->key.at, (apr_ssize_t)job->key.len, job);
}

void eas_job_table_remove(struct eas_job *job)
{
    if (eas_job_table_find(job->table, job->key) == job) {
        apr_hash_set(job->table->by_key, job->key.at, (apr_ssize_t)job->key.len, NULL);
    }
}

/* A peer lives as long as the table.  Names come from configuration and from KDCs, in referrals. */
struct eas_peer *eas_job_table_peer(struct eas_job_table *table, struct eas_bytes name)
{
    struct eas_peer *peer = apr_hash_get(table->peers, name.at, (apr_ssize_t)name.len);

    if (peer == NULL && apr_hash_count(table->peers) >= EAS_JOB_PEERS) {
        name = eas_bytes_of_text("other realms");
        peer = apr_hash_get(table->peers, name.at, (apr_ssize_t)name.len);
    }
    if (peer == NULL) {
        peer = apr_pcalloc(table->pool, sizeof(*peer));
        peer->name = apr_pstrmemdup(table->pool, (const char *)name.at, name.len);
        peer->breaker.limit = table->failures;
        apr_hash_set(table->peers, peer->name, (apr_ssize_t)name.len, peer);
    }
    return peer;
}

struct eas_peer *eas_job_table_changed(struct eas_job_table *table, struct eas_peer_outage *out)
{
    apr_hash_index_t *i;

    /* Without a pool, the index is the table's own; the mutex protects it. */
    for (i = apr_hash_first(NULL, table->peers); i != NULL; i = apr_hash_next(i)) {
        struct eas_peer *peer = apr_hash_this_val(i);

        if (eas_peer_outage_changed(peer, eas_clock_now(), out)) {
            return peer;
        }
    }
    return NULL;
}

void eas_job_table_leave(struct eas_job_table *table)
{
    table->callers--;
    if (table->stopping) {
        pthread_cond_signal(&table->left);
    }
}

/* --- jobs ------------------------------------------------------------------------------------- */

struct eas_job *eas_job_create(struct eas_job_table *table, struct eas_bytes key,
                               struct eas_peer *peer)
{
    apr_pool_t *pool = eas_job_private_pool();
    struct eas_job *job = apr_pcalloc(pool, sizeof(*job));

    job->table = table;
    job->pool = pool;
    job->refs = 1;
    eas_clock_init_cond(&job->done);
    job->key = eas_bytes_make(apr_pmemdup(pool, key.at, key.len), key.len);
    job->entry.peer = peer;
    job->call = eas_peer_call_make(peer);
    return job;
}

void eas_job_destroy(struct eas_job *job)
{
    pthread_cond_destroy(&job->done);
    apr_pool_destroy(job->pool);
}

void eas_job_unref(struct eas_job *job)
{
    struct eas_job_table *table = job->table;

    if (--job->refs == 0) {
        pthread_mutex_unlock(&table->mutex);
        eas_job_destroy(job);
        pthread_mutex_lock(&table->mutex);
    }
}

void eas_job_finish(struct eas_job *job, enum eas_rc rc)
{
    eas_peer_call_end(&job->call, eas_clock_now());
    job->rc = rc;
    job->state = EAS_JOB_DONE;
    eas_job_table_remove(job);
    pthread_cond_broadcast(&job->done);
    eas_job_unref(job);
}

void *eas_job_copy(struct eas_job *job)
{
    return job->copy;
}

void eas_job_release(struct eas_job *job)
{
    struct eas_job_table *table = job->table;

    pthread_mutex_lock(&table->mutex);
    eas_job_unref(job);
    eas_job_table_leave(table);
    pthread_mutex_unlock(&table->mutex);
}

/* --- on the job's thread ---------------------------------------------------------------------- */

/*
 * A thread that returns from libkrb5 after the pool was detached stays here until the process ends:
 * exit handlers free what it would use next.
 */
static struct eas_peer_call *lock_call(struct eas_job *job)
{
    pthread_mutex_lock(&job->table->mutex);
    if (job->table->detached) {
        pthread_mutex_unlock(&job->table->mutex);
        for (;;) {
            pause();
        }
    }
    return &job->call;
}

static void unlock_call(struct eas_job *job)
{
    pthread_mutex_unlock(&job->table->mutex);
}

void eas_job_open(struct eas_job *job)
{
    eas_peer_call_open(lock_call(job), eas_clock_now());
    unlock_call(job);
}

bool eas_job_send(struct eas_job *job, struct eas_bytes peer)
{
    struct eas_peer_call *call = lock_call(job);
    bool may_send = eas_peer_call_send(call, eas_job_table_peer(job->table, peer), eas_clock_now());

    unlock_call(job);
    return may_send;
}

bool eas_job_begin_unbounded(struct eas_job *job, apr_time_t until)
{
    struct eas_peer_call *call = lock_call(job);
    bool waived = job->waiters == 0 && eas_peer_call_waive_probe(call, eas_clock_now());
    bool may_send = false;

    while (!waived && !(may_send = eas_peer_call_begin_unbounded(call)) && !job->table->stopping
           && eas_clock_now() < until) {
        eas_clock_wait(&job->table->received, &job->table->mutex, until);
    }
    unlock_call(job);
    return may_send;
}

void eas_job_receive(struct eas_job *job, enum eas_peer_answer answer)
{
    eas_peer_call_receive(lock_call(job), answer, eas_clock_now());
    pthread_cond_broadcast(&job->table->received);
    unlock_call(job);
}

void eas_job_close(struct eas_job *job)
{
    eas_peer_call_close(lock_call(job));
    unlock_call(job);
}
