/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/parking.c - poller for the sockets and times of parked requests */

#include "delegation/proxy/parking.h"
#include "auth/base/clock.h"
#include "auth/base/thread.h"
#include "delegation/proxy/dismissal.h"

#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* Long polls are looked at so often, and times no more often than that. */
#define ROUND_OF_POLLS apr_time_from_sec(1)
#define ROUND_OF_TIMES (APR_USEC_PER_SEC / 10)
#define EVENTS_AT_ONCE 128
#define NEVER APR_INT64_MAX
#define PLACES_MIN 64

#define ENDED ((unsigned)(EPOLLRDHUP | EPOLLHUP | EPOLLERR))

/* A place in the table.  An event of epoll may be older than the request that is in it. */
struct place {
    struct eas_parked *parked; /* NULL: free */
    uint32_t serial;
    unsigned next_free;
};

struct eas_parking {
    pthread_t thread;
    int epoll;
    int bell; /* an eventfd: the thread has something new to do */

    pthread_mutex_t mutex; /* for all that follows; no call under it blocks */
    struct place *places;
    unsigned n_places;
    unsigned n_parked;
    unsigned first_free; /* n_places: none */
    struct eas_dismissal dismissal;
    apr_time_t next; /* when the thread looks at all; NEVER: nothing is parked */
    apr_time_t last; /* ... and when it has */
    apr_time_t next_polls;
    struct eas_turns turns;
    bool claims;
    bool ends;
};

/* The data of an epoll event: serial number, place, and whether the socket is the client's. */
#define BELL UINT64_MAX
#define OF_CLIENT 1U

static uint64_t key_of(const struct eas_parked *parked, unsigned whose)
{
    return (uint64_t)parked->serial << 32 | parked->place << 1 | whose;
}

/* --- under the mutex -------------------------------------------------------------------------- */

static void ring(int eventfd_)
{
    const uint64_t one = 1;
    ssize_t written = write(eventfd_, &one, sizeof(one));

    (void)written; /* a counter that is full is readable already */
}

static void give_turns(struct eas_parking *parking)
{
    struct eas_turn *turn;

    while ((turn = eas_turns_next(&parking->turns)) != NULL) {
        ring(((struct eas_parked *)((char *)turn - offsetof(struct eas_parked, turn)))->wake);
    }
}

static void note_events(struct eas_parking *parking, struct eas_parked *parked, unsigned events)
{
    bool first = parked->events == 0;

    parked->events |= events;
    if (first && events != 0) {
        eas_turns_add(&parking->turns, &parked->turn, eas_park_is_work(events));
        give_turns(parking);
    }
}

static void note_socket_event(struct eas_parking *parking, const struct epoll_event *event)
{
    unsigned place = (unsigned)(event->data.u64 & UINT32_MAX) >> 1;
    struct eas_parked *parked = place < parking->n_places ? parking->places[place].parked : NULL;

    if (parked == NULL || parked->serial != event->data.u64 >> 32) {
        return;
    }
    if ((event->data.u64 & OF_CLIENT) == 0) {
        note_events(parking, parked, EAS_PARK_BACKEND);
    }
    else {
        note_events(parking, parked,
                    event->events & ENDED ? EAS_PARK_CLIENT_LEFT : EAS_PARK_CLIENT);
    }
}

static bool is_over(apr_time_t at, apr_time_t now)
{
    return at != 0 && now >= at;
}

/* A connection without a request (eas_parking_keep()). */
static bool is_kept(const struct eas_parked *parked)
{
    return parked->backend < 0;
}

static void look_at_kept(const struct eas_parking *parking, struct eas_parked *parked,
                         apr_time_t now)
{
    if (parked->events == 0 && (parking->dismissal.ordered || is_over(parked->deadline, now))) {
        parked->events = EAS_PARK_STOP;
        shutdown(parked->client, SHUT_RD);
    }
}

static void look_at(struct eas_parking *parking, unsigned place, apr_time_t now, bool polls)
{
    struct eas_parked *parked = parking->places[place].parked;
    unsigned events = 0;

    if (is_over(parked->deadline, now)) {
        events |= EAS_PARK_TIME;
    }
    if (is_over(parked->refresh, now)) {
        events |= EAS_PARK_REFRESH;
    }
    if (eas_dismissal_is_due(&parking->dismissal, place, now)) {
        events |= EAS_PARK_STOP;
    }
    if (polls && parked->poll != NULL && !eas_long_polls_keep(parked->poll, now)) {
        events |= EAS_PARK_REPLACED;
    }
    note_events(parking, parked, events);
}

/* Returns whether the next round is earlier than it was. */
static bool note_time(struct eas_parking *parking, apr_time_t at)
{
    apr_time_t soonest = parking->last + ROUND_OF_TIMES, before = parking->next;

    if (at != 0 && at < parking->next) {
        parking->next = at > soonest ? at : soonest;
    }
    return parking->next < before;
}

static bool note_times(struct eas_parking *parking, const struct eas_parked *parked)
{
    bool earlier = note_time(parking, parked->deadline);

    return note_time(parking, parked->refresh) || earlier;
}

/* Of one that has a place since now.  Until the first one, there were no rounds. */
static bool note_first_times(struct eas_parking *parking, const struct eas_parked *parked)
{
    bool earlier = note_times(parking, parked);

    return note_time(parking, eas_clock_now() + ROUND_OF_POLLS) || earlier;
}

static void look_at_all(struct eas_parking *parking, apr_time_t now)
{
    bool polls = now >= parking->next_polls;
    unsigned i;

    if (polls) {
        parking->next_polls = now + ROUND_OF_POLLS;
    }
    parking->last = now;
    eas_dismissal_look(&parking->dismissal, now);
    parking->next = parking->n_parked == 0       ? NEVER
                    : parking->dismissal.ordered ? now + ROUND_OF_TIMES
                                                 : parking->next_polls;
    for (i = 0; i < parking->n_places; i++) {
        struct eas_parked *parked = parking->places[i].parked;

        if (parked != NULL && is_kept(parked)) {
            look_at_kept(parking, parked, now);
        }
        else if (parked != NULL && parked->events == 0) {
            look_at(parking, i, now, polls);
        }
        if (parked != NULL && parked->events == 0) {
            (void)note_times(parking, parked);
        }
    }
}

static bool grow(struct eas_parking *parking)
{
    unsigned n = parking->n_places > 0 ? 2 * parking->n_places : PLACES_MIN, i;
    struct place *places = realloc(parking->places, n * sizeof(*places));

    if (places == NULL) {
        return false;
    }
    for (i = parking->n_places; i < n; i++) {
        places[i] = (struct place){ .next_free = i + 1 };
    }
    parking->places = places;
    parking->n_places = n;
    return true;
}

static bool take_place(struct eas_parking *parking, struct eas_parked *parked)
{
    struct place *place;

    if (parking->first_free == parking->n_places && !grow(parking)) {
        return false;
    }
    parked->place = parking->first_free;
    place = &parking->places[parked->place];
    parking->first_free = place->next_free;
    place->parked = parked;
    parked->serial = ++place->serial;
    parking->n_parked++;
    return true;
}

static void leave_place(struct eas_parking *parking, const struct eas_parked *parked)
{
    struct place *place = &parking->places[parked->place];

    place->parked = NULL;
    place->next_free = parking->first_free;
    parking->first_free = parked->place;
    parking->n_parked--;
}

static bool watch(const struct eas_parking *parking, const struct eas_parked *parked)
{
    struct epoll_event backend = { .events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT,
                                   .data = { .u64 = key_of(parked, 0) } };
    struct epoll_event client = { .events = EPOLLRDHUP | EPOLLONESHOT
                                            | (parked->reads_client ? (unsigned)EPOLLIN : 0),
                                  .data = { .u64 = key_of(parked, OF_CLIENT) } };

    if (epoll_ctl(parking->epoll, EPOLL_CTL_ADD, parked->backend, &backend) != 0) {
        return false;
    }
    if (epoll_ctl(parking->epoll, EPOLL_CTL_ADD, parked->client, &client) != 0) {
        epoll_ctl(parking->epoll, EPOLL_CTL_DEL, parked->backend, NULL);
        return false;
    }
    return true;
}

/* --- the thread ------------------------------------------------------------------------------- */

/* For epoll_wait(). */
static int milliseconds_until(apr_time_t time, apr_time_t now)
{
    return time == NEVER ? -1 : time > now ? (int)((time - now + 999) / 1000) : 0;
}

static void silence(int eventfd_)
{
    uint64_t rings;
    ssize_t got = read(eventfd_, &rings, sizeof(rings));

    (void)got;
}

static void *run(void *data)
{
    struct eas_parking *parking = data;
    struct epoll_event events[EVENTS_AT_ONCE];
    apr_time_t now;
    bool ends = false;
    int i, n, wait = 0;

    while (!ends) {
        n = epoll_wait(parking->epoll, events, EVENTS_AT_ONCE, wait);
        now = eas_clock_now();
        pthread_mutex_lock(&parking->mutex);
        for (i = 0; i < n; i++) {
            if (events[i].data.u64 == BELL) {
                silence(parking->bell);
            }
            else {
                note_socket_event(parking, &events[i]);
            }
        }
        if (now >= parking->next) {
            look_at_all(parking, now);
        }
        wait = milliseconds_until(parking->next, now);
        ends = parking->ends;
        pthread_mutex_unlock(&parking->mutex);
    }
    return NULL;
}

/* --- the interface ---------------------------------------------------------------------------- */

static void release(struct eas_parking *parking)
{
    if (parking->epoll >= 0) {
        close(parking->epoll);
    }
    if (parking->bell >= 0) {
        close(parking->bell);
    }
    pthread_mutex_destroy(&parking->mutex);
    free(parking->places);
    free(parking);
}

struct eas_parking *eas_parking_create(unsigned threads)
{
    struct eas_parking *parking = calloc(1, sizeof(*parking));
    struct epoll_event bell = { .events = EPOLLIN, .data = { .u64 = BELL } };

    if (parking == NULL) {
        return NULL;
    }
    eas_turns_init(&parking->turns, threads);
    pthread_mutex_init(&parking->mutex, NULL);
    parking->epoll = epoll_create1(EPOLL_CLOEXEC);
    parking->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (parking->epoll < 0 || parking->bell < 0
        || epoll_ctl(parking->epoll, EPOLL_CTL_ADD, parking->bell, &bell) != 0
        || !eas_thread_start(&parking->thread, run, parking)) {
        release(parking);
        return NULL;
    }
    return parking;
}

void eas_parking_destroy(struct eas_parking *parking)
{
    pthread_mutex_lock(&parking->mutex);
    parking->ends = true;
    pthread_mutex_unlock(&parking->mutex);
    ring(parking->bell);
    pthread_join(parking->thread, NULL);
    release(parking);
}

bool eas_parking_add(struct eas_parking *parking, struct eas_parked *parked)
{
    bool added;

    parked->events = 0;
    parked->suspended = false;
    parked->turn = (struct eas_turn){ .works = false };
    parked->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (parked->wake < 0) {
        return false;
    }
    pthread_mutex_lock(&parking->mutex);
    added = take_place(parking, parked);
    if (added && !watch(parking, parked)) {
        leave_place(parking, parked);
        added = false;
    }
    if (added
        && (parking->claims
            || eas_dismissal_is_due(&parking->dismissal, parked->place, eas_clock_now()))) {
        note_events(parking, parked, EAS_PARK_STOP);
    }
    else if (added && note_first_times(parking, parked)) {
        ring(parking->bell);
    }
    pthread_mutex_unlock(&parking->mutex);
    if (!added) {
        close(parked->wake);
        parked->wake = -1;
    }
    return added;
}

void eas_parking_suspend(struct eas_parking *parking, struct eas_parked *parked)
{
    pthread_mutex_lock(&parking->mutex);
    parked->suspended = true;
    pthread_mutex_unlock(&parking->mutex);
}

bool eas_parking_keep(struct eas_parking *parking, struct eas_parked *parked)
{
    bool added;

    *parked = (struct eas_parked){
        .backend = -1, .client = parked->client, .wake = -1, .deadline = parked->deadline
    };
    pthread_mutex_lock(&parking->mutex);
    added = !parking->dismissal.ordered && !parking->claims && take_place(parking, parked);
    if (added && note_first_times(parking, parked)) {
        ring(parking->bell);
    }
    pthread_mutex_unlock(&parking->mutex);
    return added;
}

unsigned eas_parking_remove(struct eas_parking *parking, struct eas_parked *parked)
{
    unsigned events;

    pthread_mutex_lock(&parking->mutex);
    if (!is_kept(parked)) {
        epoll_ctl(parking->epoll, EPOLL_CTL_DEL, parked->backend, NULL);
        epoll_ctl(parking->epoll, EPOLL_CTL_DEL, parked->client, NULL);
    }
    leave_place(parking, parked);
    eas_turns_leave(&parking->turns, &parked->turn);
    give_turns(parking);
    events = parked->events;
    pthread_mutex_unlock(&parking->mutex);
    if (!is_kept(parked)) {
        close(parked->wake);
        parked->wake = -1;
    }
    return events;
}

void eas_parking_done(struct eas_parking *parking)
{
    pthread_mutex_lock(&parking->mutex);
    eas_turns_done(&parking->turns);
    give_turns(parking);
    pthread_mutex_unlock(&parking->mutex);
}

void eas_parking_begin_work(struct eas_parking *parking)
{
    atomic_fetch_add(&parking->turns.busy, 1);
}

void eas_parking_end_work(struct eas_parking *parking)
{
    atomic_fetch_sub(&parking->turns.busy, 1);
}

void eas_parking_stop(struct eas_parking *parking, apr_interval_time_t spread,
                      bool (*may_begin)(void))
{
    unsigned i, places = 0;

    pthread_mutex_lock(&parking->mutex);
    for (i = 0; i < parking->n_places; i++) {
        places = parking->places[i].parked != NULL ? i + 1 : places;
    }
    parking->next = eas_clock_now();
    eas_dismissal_order(&parking->dismissal, parking->next, spread, places, may_begin);
    pthread_mutex_unlock(&parking->mutex);
    ring(parking->bell);
}

struct eas_parked *eas_parking_claim(struct eas_parking *parking, bool is_last_thread)
{
    struct eas_parked *claimed = NULL;
    unsigned i;

    pthread_mutex_lock(&parking->mutex);
    parking->claims = true;
    for (i = 0; claimed == NULL && i < parking->n_places; i++) {
        struct eas_parked *parked = parking->places[i].parked;

        if (parked != NULL && parked->suspended && (is_last_thread || !parked->turn.woken)) {
            claimed = parked;
            claimed->suspended = false;
            claimed->events = EAS_PARK_STOP; /* without waking the MPM */
            eas_turns_leave(&parking->turns, &claimed->turn);
        }
    }
    pthread_mutex_unlock(&parking->mutex);
    return claimed;
}
