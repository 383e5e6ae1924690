/* SPDX-License-Identifier: Apache-2.0 */
/* auth/workers/peer.c - what a job has going with KDCs, and what that tells about them */

#include "auth/workers/peer.h"

#include <string.h>

struct eas_peer_call eas_peer_call_make(struct eas_peer *own)
{
    struct eas_peer_call call;

    memset(&call, 0, sizeof(call));
    call.own = call.asked = own;
    return call;
}

static void end_trial(struct eas_peer_call *call, apr_time_t now)
{
    if (call->tries != NULL) {
        eas_breaker_probe_end(&call->tries->breaker, call->told, now);
        call->tries = NULL;
    }
}

static enum eas_breaker_state may_ask(struct eas_peer_call *call, struct eas_peer *realm,
                                      apr_time_t now)
{
    enum eas_breaker_state state;

    if (call->tries == realm && !call->told) {
        return EAS_BREAKER_PROBE;
    }
    state = eas_breaker_admit(&realm->breaker, now);
    if (state == EAS_BREAKER_PROBE) {
        end_trial(call, now);
        call->tries = realm;
        call->told = false;
    }
    return state;
}

enum eas_breaker_state eas_peer_call_admit(struct eas_peer_call *call, apr_time_t now)
{
    return may_ask(call, call->own, now);
}

/* Where nobody has stirred for a while, what was asked before is lost, and silence begins anew. */
static void stir(struct eas_peer *realm, apr_time_t now)
{
    if (now - realm->stirred_at >= EAS_PEER_STALLED_AFTER
        && now - realm->quiet_since >= EAS_PEER_STALLED_AFTER) {
        realm->quiet_since = now;
    }
    realm->stirred_at = now;
}

void eas_peer_call_begin(struct eas_peer_call *call, apr_time_t now)
{
    stir(call->own, now);
    call->moved_at = now;
}

void eas_peer_call_open(struct eas_peer_call *call, apr_time_t now)
{
    stir(call->own, now);
    if (call->own->speaking++ == 0) {
        call->own->quiet_since = now; /* before, there was nobody who could have been answered */
    }
    call->asked = call->own;
    call->moved_at = now;
    call->open = call->unanswered = true;
    call->noted = false;
}

bool eas_peer_call_send(struct eas_peer_call *call, struct eas_peer *realm, apr_time_t now)
{
    bool may = may_ask(call, realm, now) != EAS_BREAKER_OPEN;

    if (may) {
        stir(call->own, now);
        call->asked = realm;
        call->moved_at = now;
        call->noted = false;
    }
    call->unanswered = may;
    return may;
}

/* Of each message once. */
static void note_failure(struct eas_peer_call *call, apr_time_t now)
{
    if (!call->noted) {
        call->noted = true;
        call->told = call->told || call->asked == call->tries;
        eas_breaker_failed(&call->asked->breaker, call->moved_at, now);
    }
}

void eas_peer_call_receive(struct eas_peer_call *call, bool answered, apr_time_t now)
{
    if (answered) {
        eas_breaker_succeeded(&call->asked->breaker, now);
        call->told = call->told || call->asked == call->tries;
        call->own->quiet_since = now;
    }
    else {
        note_failure(call, now);
    }
    call->moved_at = now;
    call->unanswered = false;
}

static void stop_speaking(struct eas_peer_call *call)
{
    if (call->open) {
        call->own->speaking--;
        call->open = false;
    }
}

void eas_peer_call_close(struct eas_peer_call *call)
{
    stop_speaking(call);
    call->unanswered = false;
}

void eas_peer_call_abandon(struct eas_peer_call *call, apr_time_t now)
{
    if (call->unanswered) {
        note_failure(call, now);
    }
    stop_speaking(call);
}

void eas_peer_call_end(struct eas_peer_call *call, apr_time_t now)
{
    eas_peer_call_close(call);
    end_trial(call, now);
}
