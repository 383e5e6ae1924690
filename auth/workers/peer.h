/* SPDX-License-Identifier: Apache-2.0 */
/* auth/workers/peer.h - what a job has going with KDCs, and what that tells about them */

#ifndef EAS_AUTH_WORKERS_PEER_H
#define EAS_AUTH_WORKERS_PEER_H

#include "auth/workers/breaker.h"

#include <apr_time.h>
#include <stdbool.h>

/*
 * For auth/workers/workers.c, which locks, and gives the time: microseconds of a clock that does not jump.
 *
 * Each message tells about the realm whose KDC it was sent to, and about no other; what is found without
 * one tells nothing.  So a job that a referral leads into a realm whose KDC is silent does not count
 * against the one that sent it there.  Only at the beginning of a conversation, when there is no message
 * yet, a job that gets nowhere tells about its own realm, whose KDC it cannot find.
 */

/* Nothing was answered for so long: the KDC is slow, or silent.  A TCP SYN that is lost costs as much. */
#define EAS_PEER_STALLED_AFTER apr_time_from_sec(1)

/* Never forgotten: there must be few, and not of a stranger's choice.  Owned by the pool. */
struct eas_peer {
    const char *name;
    struct eas_breaker breaker;

    /* Of the jobs that ask there first; the first three are auth/workers/job_queue.c's. */
    unsigned queued;
    unsigned running; /* without trials and lost ones */
    unsigned lost;
    unsigned speaking; /* conversations under way */
    apr_time_t stirred_at;
    apr_time_t quiet_since; /* none of them was answered, by whomever, though one asked then */
};

struct eas_peer_call {
    struct eas_peer *own;   /* where the job asks first */
    struct eas_peer *asked; /* by the last message */
    struct eas_peer *tries; /* whose trial it is, or NULL */
    apr_time_t moved_at;    /* when it began, opened, last asked, or was last answered */
    bool open;              /* in a conversation */
    bool unanswered;        /* something was asked at moved_at; at first, for the KDC's address */
    bool noted;             /* as a failure */
    bool told;              /* what has come of the trial */
};

/* A call that has not begun. */
struct eas_peer_call eas_peer_call_make(struct eas_peer *own);

/* May it begin?  If it is to be the trial it has to end. */
enum eas_breaker_state eas_peer_call_admit(struct eas_peer_call *call, apr_time_t now);

/* The job has a thread. */
void eas_peer_call_begin(struct eas_peer_call *call, apr_time_t now);

/* A conversation begins: the next thing is to find a KDC, which may take long. */
void eas_peer_call_open(struct eas_peer_call *call, apr_time_t now);

/* May this realm's KDC be sent a message?  If so, it is. */
bool eas_peer_call_send(struct eas_peer_call *call, struct eas_peer *realm, apr_time_t now);

/* The message was answered, or will not be. */
void eas_peer_call_receive(struct eas_peer_call *call, bool answered, apr_time_t now);

void eas_peer_call_close(struct eas_peer_call *call);

/* It has not moved for as long as anybody waits; nothing more is expected of the conversation. */
void eas_peer_call_abandon(struct eas_peer_call *call, apr_time_t now);

/* The job is over, or will never begin. */
void eas_peer_call_end(struct eas_peer_call *call, apr_time_t now);

#endif
