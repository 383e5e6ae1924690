/* SPDX-License-Identifier: Apache-2.0 */
/* auth/workers/job_queue.c - priority queue of jobs, with a bulkhead for each peer */

#include "auth/workers/job_queue.h"

void eas_job_queue_init(struct eas_job_queue *queue, unsigned share, unsigned length)
{
    queue->share = share;
    queue->length = length;
    queue->queued = queue->running = 0;
    APR_RING_INIT(&queue->entries, eas_job_queue_entry, link);
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
}

void eas_job_queue_remove(struct eas_job_queue *queue, struct eas_job_queue_entry *entry)
{
    APR_RING_REMOVE(entry, link);
    queue->queued--;
    entry->peer->queued--;
}

void eas_job_queue_raise(struct eas_job_queue *queue, struct eas_job_queue_entry *entry)
{
    if (entry->rank == EAS_JOB_QUEUE_NEW) {
        APR_RING_REMOVE(entry, link);
        entry->rank = EAS_JOB_QUEUE_CONTINUED;
        insert(queue, entry);
    }
}

bool eas_job_queue_has_room(const struct eas_job_queue *queue, const struct eas_peer *peer)
{
    return peer->running < queue->share;
}

struct eas_job_queue_entry *eas_job_queue_take(struct eas_job_queue *queue)
{
    struct eas_job_queue_entry *entry;

    APR_RING_FOREACH(entry, &queue->entries, eas_job_queue_entry, link)
    {
        if (eas_job_queue_has_room(queue, entry->peer)) {
            eas_job_queue_remove(queue, entry);
            queue->running++;
            entry->peer->running++;
            return entry;
        }
    }
    return NULL;
}

void eas_job_queue_done(struct eas_job_queue *queue, struct eas_job_queue_entry *entry)
{
    entry->peer->running--;
    queue->running--;
}
