/* SPDX-License-Identifier: Apache-2.0 */
/* auth/workers/job_queue.c - which of the jobs for KDCs is next, and how many may run */

#include "auth/workers/job_queue.h"

void eas_job_queue_init(struct eas_job_queue *queue, unsigned threads, unsigned share,
                        unsigned length)
{
    queue->threads = threads;
    queue->share = share;
    queue->length = length;
    queue->queued = queue->running = queue->trials = queue->lost = 0;
    queue->taken_at = 0;
    APR_RING_INIT(&queue->places, eas_job_queue_entry, link);
    APR_RING_INIT(&queue->taken, eas_job_queue_entry, link);
}

bool eas_job_queue_is_full(const struct eas_job_queue *queue, const struct eas_peer *realm)
{
    return realm->queued >= queue->length;
}

/* Behind those of its rank. */
static void insert(struct eas_job_queue *queue, struct eas_job_queue_entry *place)
{
    struct eas_job_queue_entry *after = APR_RING_LAST(&queue->places);

    while (after != APR_RING_SENTINEL(&queue->places, eas_job_queue_entry, link)
           && after->rank > place->rank) {
        after = APR_RING_PREV(after, link);
    }
    APR_RING_INSERT_AFTER(after, place, link);
}

void eas_job_queue_put(struct eas_job_queue *queue, struct eas_job_queue_entry *place)
{
    insert(queue, place);
    queue->queued++;
    place->realm->queued++;
    queue->trials += place->rank == EAS_JOB_QUEUE_PROBE;
}

static void take_out(struct eas_job_queue *queue, struct eas_job_queue_entry *place)
{
    APR_RING_REMOVE(place, link);
    queue->queued--;
    place->realm->queued--;
}

void eas_job_queue_remove(struct eas_job_queue *queue, struct eas_job_queue_entry *place)
{
    take_out(queue, place);
    queue->trials -= place->rank == EAS_JOB_QUEUE_PROBE;
}

void eas_job_queue_raise(struct eas_job_queue *queue, struct eas_job_queue_entry *place)
{
    if (place->rank == EAS_JOB_QUEUE_NEW) {
        APR_RING_REMOVE(place, link);
        place->rank = EAS_JOB_QUEUE_CONTINUED;
        insert(queue, place);
    }
}

bool eas_job_queue_has_room(const struct eas_job_queue *queue,
                            const struct eas_job_queue_entry *place)
{
    return place->rank == EAS_JOB_QUEUE_PROBE
           || (queue->running < queue->threads && place->realm->running < queue->share);
}

struct eas_job_queue_entry *eas_job_queue_take(struct eas_job_queue *queue, apr_time_t now)
{
    struct eas_job_queue_entry *place;

    APR_RING_FOREACH(place, &queue->places, eas_job_queue_entry, link)
    {
        if (eas_job_queue_has_room(queue, place)) {
            take_out(queue, place);
            APR_RING_INSERT_TAIL(&queue->taken, place, eas_job_queue_entry, link);
            queue->running += place->rank != EAS_JOB_QUEUE_PROBE;
            place->realm->running += place->rank != EAS_JOB_QUEUE_PROBE;
            queue->taken_at = now;
            return place;
        }
    }
    return NULL;
}

bool eas_job_queue_abandon(struct eas_job_queue *queue, struct eas_job_queue_entry *place)
{
    struct eas_peer *realm = place->realm;

    if (place->rank == EAS_JOB_QUEUE_PROBE || place->lost || realm->lost >= queue->share) {
        return false;
    }
    place->lost = true;
    realm->lost++;
    queue->lost++;
    realm->running--;
    queue->running--;
    return true;
}

void eas_job_queue_done(struct eas_job_queue *queue, struct eas_job_queue_entry *place)
{
    APR_RING_REMOVE(place, link);
    if (place->rank == EAS_JOB_QUEUE_PROBE) {
        queue->trials--;
    }
    else if (place->lost) {
        place->realm->lost--;
        queue->lost--;
    }
    else {
        place->realm->running--;
        queue->running--;
    }
}

bool eas_job_queue_wants_thread(const struct eas_job_queue *queue, unsigned threads, unsigned idle)
{
    return idle < queue->queued && threads < queue->threads + queue->trials + queue->lost;
}
