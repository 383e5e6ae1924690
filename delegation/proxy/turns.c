/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/turns.c - order in which the MPM gets parked requests that have an event */

#include "delegation/proxy/turns.h"

/* Shares of the threads, in eighths: for work; for all; for work while others have the rest. */
#define WORK_SHARE 4
#define ALL_SHARE 6
#define LEAST_SHARE 1

static bool is_below(unsigned n, unsigned share, unsigned threads)
{
    return n * 8 < share * threads;
}

static bool may_wake(const struct eas_turns *turns, bool work)
{
    unsigned taken = atomic_load(&turns->busy) + turns->woken;

    if (work) {
        return turns->working == 0 || is_below(turns->working, LEAST_SHARE, turns->threads)
               || is_below(taken, WORK_SHARE, turns->threads);
    }
    return turns->woken == 0 || is_below(taken, ALL_SHARE, turns->threads);
}

void eas_turns_init(struct eas_turns *turns, unsigned threads)
{
    APR_RING_INIT(&turns->waiting[0], eas_turn, link);
    APR_RING_INIT(&turns->waiting[1], eas_turn, link);
    turns->threads = threads;
    atomic_init(&turns->busy, 0);
    turns->woken = turns->working = 0;
}

void eas_turns_add(struct eas_turns *turns, struct eas_turn *turn, bool works)
{
    *turn = (struct eas_turn){ .works = works, .waits = true };
    APR_RING_INSERT_TAIL(&turns->waiting[works], turn, eas_turn, link);
}

/* One that needs a thread for a moment comes first. */
struct eas_turn *eas_turns_next(struct eas_turns *turns)
{
    struct eas_turn *turn;
    int work;

    for (work = 0; work < 2; work++) {
        if (!APR_RING_EMPTY(&turns->waiting[work], eas_turn, link) && may_wake(turns, work)) {
            turn = APR_RING_FIRST(&turns->waiting[work]);
            APR_RING_REMOVE(turn, link);
            turn->waits = false;
            turn->woken = true;
            turns->woken++;
            turns->working += turn->works;
            return turn;
        }
    }
    return NULL;
}

void eas_turns_leave(struct eas_turns *turns, struct eas_turn *turn)
{
    if (turn->waits) {
        APR_RING_REMOVE(turn, link);
        turn->works = turn->waits = false;
    }
    turns->woken -= turn->woken;
    turn->woken = false;
}

void eas_turns_done(struct eas_turns *turns)
{
    turns->working--;
}
