/* SPDX-License-Identifier: Apache-2.0 */
/* auth/workers/peer.h - peers of the worker pool, and calls to them */

#ifndef EAS_AUTH_WORKERS_PEER_H
#define EAS_AUTH_WORKERS_PEER_H

#include "auth/workers/breaker.h"

#include <apr_time.h>
#include <stdbool.h>

/*
 * A peer is a server that jobs wait for: the KDCs of one realm, or the cache provider's server.
 * The caller (auth/workers/workers.c, auth/workers/job.c) locks and passes the time, in
 * microseconds of a monotonic clock.
 *
 * The outcome of a message counts for the peer that it was sent to, and for no other.  So a
 * referral to a realm whose KDC is silent does not count against the realm that made it.  A call
 * without messages counts for none, with one exception: a call whose caller leaves before its first
 * message counts as a failure of the job's own peer, whose address cannot be found.
 */

/* A peer without an answer for so long is slow or silent.  A lost TCP SYN takes as long. */
#define EAS_PEER_SILENT_AFTER apr_time_from_sec(1)

/* Messages to one peer at a time that no deadline ends; each holds the thread of its job. */
#define EAS_PEER_UNBOUNDED_MAX 4

/* A time in which the circuit is not closed. */
struct eas_peer_outage {
    bool reported;    /* its beginning */
    apr_time_t since; /* when that was noticed */
    unsigned refused; /* jobs that callers waited for */
};

/* Lives as long as the worker pool.  No client chooses their names, and their number is bounded. */
struct eas_peer {
    const char *name;
    struct eas_breaker breaker;
    struct eas_peer_outage outage;

    /* Of the jobs that contact this peer first; auth/workers/job_queue.c keeps the first two. */
    unsigned queued;
    unsigned running;
    unsigned active_calls;
    unsigned left_calls; /* their callers have left, and they still hold threads */
    unsigned unbounded;  /* messages to it, of any job */
    apr_time_t last_activity;
    apr_time_t silent_since; /* no job got an answer, of any peer, though a call was open */
};

/* True if the outage has begun, or ended, and that was not reported yet. */
bool eas_peer_outage_changed(struct eas_peer *peer, apr_time_t now, struct eas_peer_outage *out);

/* The messages of one job to peers. */
struct eas_peer_call {
    struct eas_peer *own;       /* the peer that the job contacts first */
    struct eas_peer *contacted; /* by the last message */
    struct eas_peer *probed;    /* the peer whose probe the job is, or NULL */
    apr_time_t last_progress;   /* begin, open, last message or last answer */
    bool open;                  /* counted in own->active_calls */
    bool left;                  /* counted in own->left_calls */
    bool awaits_answer;   /* since last_progress; before the first message, of a name server */
    bool failure_counted; /* of the last message */
    bool unbounded;       /* the last message, until it is received */
    bool reported;        /* the outcome of the probe */
    bool refused;         /* counted as such, or not to be: a background job */
};

/* A call that has not begun. */
struct eas_peer_call eas_peer_call_make(struct eas_peer *own);

/*
 * Asks the breaker of the job's own peer; the job that becomes a probe must end its call.  A probe
 * needs room among the threads of that peer.
 */
enum eas_breaker_state eas_peer_call_admit(struct eas_peer_call *call, bool has_room,
                                           apr_time_t now);

/* The job has got a thread. */
void eas_peer_call_begin(struct eas_peer_call *call, apr_time_t now);

/* The job starts to use the network; finding the peer's address comes first, and may take long. */
void eas_peer_call_open(struct eas_peer_call *call, apr_time_t now);

/* True if a message may be sent to the peer, which then counts as sent. */
bool eas_peer_call_send(struct eas_peer_call *call, struct eas_peer *peer, apr_time_t now);

/*
 * If the last message, not yet sent, is the probe: that ends, as if the message had never been.
 * False if it is none.
 */
bool eas_peer_call_waive_probe(struct eas_peer_call *call, apr_time_t now);

/* True if the last message, not yet sent, may be one without a bound. */
bool eas_peer_call_begin_unbounded(struct eas_peer_call *call);

enum eas_peer_answer {
    EAS_PEER_ANSWERED,
    EAS_PEER_ANSWERED_LATE, /* a failure, and the peer is there */
    EAS_PEER_SILENT
};

/* The last message has been answered, or will not be. */
void eas_peer_call_receive(struct eas_peer_call *call, enum eas_peer_answer answer, apr_time_t now);

void eas_peer_call_close(struct eas_peer_call *call);

/*
 * A caller has left.  True if the call has awaited an answer for half a second, or is a probe: that
 * counts as a failure, and the call as closed, since no deadline may end it.
 */
bool eas_peer_call_leave(struct eas_peer_call *call, apr_time_t now);

/* The job has ended, or will never begin. */
void eas_peer_call_end(struct eas_peer_call *call, apr_time_t now);

#endif
