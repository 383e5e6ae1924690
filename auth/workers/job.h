/* SPDX-License-Identifier: Apache-2.0 */
/* auth/workers/job.h - jobs of the worker pool */

#ifndef EAS_AUTH_WORKERS_JOB_H
#define EAS_AUTH_WORKERS_JOB_H

#include "auth/base/bytes.h"
#include "auth/workers/peer.h"

#include <apr_time.h>
#include <stdbool.h>

/* A blocking call that one thread runs, and whose result all callers with the same key share. */
struct eas_job;

/* The copy that prepare() made; for a caller after eas_workers_run(). */
void *eas_job_copy(struct eas_job *job);
void eas_job_release(struct eas_job *job);

/*
 * For run(), on the job's thread.  Between open and close, each message to a peer is announced by
 * send, which is false if the peer's circuit is open; receive reports the answer, or that none
 * came.  A message that no deadline ends needs begin_unbounded, too: it waits while others hold as
 * many threads as one peer may have, and is false at the time until of eas_clock_now().  It is false
 * for the half-open probe of a job without waiters: none would end that in time.
 */
void eas_job_open(struct eas_job *job);
bool eas_job_send(struct eas_job *job, struct eas_bytes peer);
bool eas_job_begin_unbounded(struct eas_job *job, apr_time_t until);
void eas_job_receive(struct eas_job *job, enum eas_peer_answer answer);
void eas_job_close(struct eas_job *job);

#endif
