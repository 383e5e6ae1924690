/* SPDX-License-Identifier: Apache-2.0 */
/* auth/workers/job_queue.c - priority queue of jobs, with a bulkhead for each peer */

#include "auth/workers/job_queue.h"

void eas_job_queue_init(struct eas_job_queue *queue, unsigned threads, unsigned share,
                        unsigned length)
{
    queue->threads = threads;
    queue->share = share;
    queue->length = length;
    queue->queued = queue->running = queue->probes = queue->abandoned = 0;
    queue->taken_at = 0;
    APR_RING_INIT(&queue->entries, eas_job_queue_entry, link);
    APR_RING_INIT(&queue->taken, eas_job_queue_entry, link);
}

bool eas_job_queue_is_full(const struct eas_job_queue *queue, const struct eas_peer *peer)
{
    return peer->queued >= queue->length;
}

/* Behind the other entries of its rank. */
static void insert(struct eas_job_queue *queue, struct eas_job_queue_entry *entry)
{
    struct eas_job_queue_entry *after = APR_RING_LAST(&queue->entries);

    while (after != APR_RING_SENTINEL(&queue->entries, eas_job_queue_entry, link)
           && after->rank > entry->rank) {
        after = APR_RING_PREV(after, link);
    }
    APR_RING_INSERT_AFTER(after, entry, link);
}

void eas_job_queue_put(struct eas_job_queue *queue, struct eas_job_queue_entry *entry)
{
    insert(queue, entry);
    queue->queued++;
    entry->peer->queued++;
    queue->probes += entry->rank == EAS_JOB_QUEUE_PROBE;
}

static void take_out(struct eas_job_queue *queue, struct eas_job_queue_entry *entry)
{
    APR_RING_REMOVE(entry, link);
    queue->queued--;
    entry->peer->queued--;
}

void eas_job_queue_remove(struct eas_job_queue *queue, struct eas_job_queue_entry *entry)
{
    take_out(queue, entry);
    queue->probes -= entry->rank == EAS_JOB_QUEUE_PROBE;
}

void eas_job_queue_raise(struct eas_job_queue *queue, struct eas_job_queue_entry *entry)
{
    if (entry->rank == EAS_JOB_QUEUE_NEW) {
        APR_RING_REMOVE(entry, link);
        entry->rank = EAS_JOB_QUEUE_CONTINUED;
        insert(queue, entry);
    }
}

bool eas_job_queue_has_room(const struct eas_job_queue *queue,
                            const struct eas_job_queue_entry *entry)
{
    return entry->rank == EAS_JOB_QUEUE_PROBE
           || (queue->running < queue->threads && entry->peer->running < queue->share);
}

struct eas_job_queue_entry *eas_job_queue_take(struct eas_job_queue *queue, apr_time_t now)
{
    struct eas_job_queue_entry *entry;

    APR_RING_FOREACH(entry, &queue->entries, eas_job_queue_entry, link)
    {
        if (eas_job_queue_has_room(queue, entry)) {
            take_out(queue, entry);
            APR_RING_INSERT_TAIL(&queue->taken, entry, eas_job_queue_entry, link);
            queue->running += entry->rank != EAS_JOB_QUEUE_PROBE;
            entry->peer->running += entry->rank != EAS_JOB_QUEUE_PROBE;
            queue->taken_at = now;
            return entry;
        }
    }
    return NULL;
}

bool eas_job_queue_abandon(struct eas_job_queue *queue, struct eas_job_queue_entry *entry)
{
    struct eas_peer *peer = entry->peer;

    if (entry->rank == EAS_JOB_QUEUE_PROBE || entry->abandoned || peer->abandoned >= queue->share) {
        return false;
    }
    entry->abandoned = true;
    peer->abandoned++;
    queue->abandoned++;
    peer->running--;
    queue->running--;
    return true;
}

void eas_job_queue_done(struct eas_job_queue *queue, struct eas_job_queue_entry *entry)
{
    APR_RING_REMOVE(entry, link);
    if (entry->rank == EAS_JOB_QUEUE_PROBE) {
        queue->probes--;
    }
    else if (entry->abandoned) {
        entry->peer->abandoned--;
        queue->abandoned--;
    }
    else {
        entry->peer->running--;
        queue->running--;
    }
}

bool eas_job_queue_wants_thread(const struct eas_job_queue *queue, unsigned threads, unsigned idle)
{
    return idle < queue->queued && threads < queue->threads + queue->probes + queue->abandoned;
}
