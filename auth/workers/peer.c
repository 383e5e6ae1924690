/* SPDX-License-Identifier: Apache-2.0 */
/* auth/workers/peer.c - peers of the worker pool, and calls to them */

#include "auth/workers/peer.h"

#include <string.h>

struct eas_peer_call eas_peer_call_make(struct eas_peer *own)
{
    struct eas_peer_call call;

    memset(&call, 0, sizeof(call));
    call.own = call.contacted = own;
    return call;
}

bool eas_peer_outage_changed(struct eas_peer *peer, apr_time_t now, struct eas_peer_outage *out)
{
    bool is_closed = eas_breaker_is_closed(&peer->breaker);

    if (is_closed != peer->outage.reported) {
        return false;
    }
    if (!is_closed) {
        peer->outage = (struct eas_peer_outage){ .reported = true, .since = now };
        *out = peer->outage;
    }
    else {
        *out = peer->outage;
        out->reported = peer->outage.reported = false;
    }
    return true;
}

static void end_probe(struct eas_peer_call *call, apr_time_t now)
{
    if (call->probed != NULL) {
        eas_breaker_probe_end(&call->probed->breaker, call->reported, now);
        call->probed = NULL;
    }
}

static enum eas_breaker_state admit(struct eas_peer_call *call, struct eas_peer *peer,
                                    bool has_room, apr_time_t now)
{
    enum eas_breaker_state state = EAS_BREAKER_OPEN;

    if (call->probed == peer && !call->reported) {
        return EAS_BREAKER_PROBE;
    }
    if (has_room || eas_breaker_is_closed(&peer->breaker)) {
        state = eas_breaker_admit(&peer->breaker, now);
    }
    if (state == EAS_BREAKER_OPEN && !call->refused) {
        call->refused = true;
        peer->outage.refused++;
    }
    if (state == EAS_BREAKER_PROBE) {
        end_probe(call, now);
        call->probed = peer;
        call->reported = false;
    }
    return state;
}

enum eas_breaker_state eas_peer_call_admit(struct eas_peer_call *call, bool has_room,
                                           apr_time_t now)
{
    return admit(call, call->own, has_room, now);
}

/* After a pause, older messages count as lost, and silence starts again. */
static void note_activity(struct eas_peer *peer, apr_time_t now)
{
    if (now - peer->last_activity >= EAS_PEER_SILENT_AFTER
        && now - peer->silent_since >= EAS_PEER_SILENT_AFTER) {
        peer->silent_since = now;
    }
    peer->last_activity = now;
}

void eas_peer_call_begin(struct eas_peer_call *call, apr_time_t now)
{
    note_activity(call->own, now);
    call->last_progress = now;
}

void eas_peer_call_open(struct eas_peer_call *call, apr_time_t now)
{
    note_activity(call->own, now);
    if (call->own->active_calls++ == 0) {
        call->own->silent_since = now; /* before, no call was open that could be answered */
    }
    call->contacted = call->own;
    call->last_progress = now;
    call->open = call->awaits_answer = true;
    call->failure_counted = false;
}

bool eas_peer_call_send(struct eas_peer_call *call, struct eas_peer *peer, apr_time_t now)
{
    bool may_send = admit(call, peer, true, now) != EAS_BREAKER_OPEN;

    if (may_send) {
        note_activity(call->own, now);
        call->contacted = peer;
        call->last_progress = now;
        call->failure_counted = false;
    }
    call->awaits_answer = may_send;
    return may_send;
}

bool eas_peer_call_waive_probe(struct eas_peer_call *call, apr_time_t now)
{
    if (call->probed != call->contacted || call->reported) {
        return false;
    }
    end_probe(call, now);
    call->failure_counted = true;
    return true;
}

bool eas_peer_call_begin_unbounded(struct eas_peer_call *call)
{
    call->unbounded = call->contacted->unbounded < EAS_PEER_UNBOUNDED_MAX;
    call->contacted->unbounded += call->unbounded;
    return call->unbounded;
}

static void note_report(struct eas_peer_call *call)
{
    call->reported = call->reported || call->contacted == call->probed;
}

/* Once for each message. */
static void count_failure(struct eas_peer_call *call, apr_time_t now)
{
    if (!call->failure_counted) {
        call->failure_counted = true;
        note_report(call);
        eas_breaker_failed(&call->contacted->breaker, call->last_progress, now);
    }
}

void eas_peer_call_receive(struct eas_peer_call *call, enum eas_peer_answer answer, apr_time_t now)
{
    if (answer == EAS_PEER_ANSWERED) {
        eas_breaker_succeeded(&call->contacted->breaker, now);
        note_report(call);
        call->own->silent_since = now;
    }
    else {
        count_failure(call, now);
    }
    if (answer == EAS_PEER_ANSWERED_LATE) {
        eas_breaker_answered_late(&call->contacted->breaker, now);
    }
    call->contacted->unbounded -= call->unbounded;
    call->unbounded = false;
    call->last_progress = now;
    call->awaits_answer = false;
}

static void leave_active(struct eas_peer_call *call)
{
    if (call->open) {
        call->own->active_calls--;
        call->open = false;
    }
}

void eas_peer_call_close(struct eas_peer_call *call)
{
    leave_active(call);
    call->own->left_calls -= call->left;
    call->left = false;
    call->awaits_answer = false;
}

bool eas_peer_call_leave(struct eas_peer_call *call, apr_time_t now)
{
    bool is_silent = now - call->last_progress >= EAS_PEER_SILENT_AFTER / 2;

    if (!call->awaits_answer || (!is_silent && call->probed == NULL)) {
        return false;
    }
    count_failure(call, now);
    end_probe(call, now);
    if (call->open) {
        leave_active(call);
        call->left = true;
        call->own->left_calls++;
    }
    return true;
}

void eas_peer_call_end(struct eas_peer_call *call, apr_time_t now)
{
    eas_peer_call_close(call);
    call->contacted->unbounded -= call->unbounded;
    call->unbounded = false;
    end_probe(call, now);
}
