/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/long_polls.c - limits for the long polls of a user and of a device */

#include "delegation/proxy/long_polls.h"
#include "auth/base/fnv.h"
#include "auth/base/shm_mutex.h"

#include <string.h>

#define MAGIC 0x4541534c504f4c31u /* "EASLPOL1": layout 1 */

/* The user's limit in limits of a device: a phone, a tablet, a computer, and one more. */
#define DEVICES 4

/* The user's places: those of ended polls, too. */
#define PLACES(limit) (2 * (limit))

struct place {
    uint64_t user;
    uint64_t device;
    uint64_t serial; /* 0: free; a later poll has a higher one */
    int64_t seen;
    bool ended;
};

/*
 * A process that died with the mutex locked has left at worst a place whose serial is old: serial is
 * written last.
 */
struct eas_long_polls {
    uint64_t magic;
    uint64_t size;
    pthread_mutex_t mutex;
    uint64_t serial; /* the last */
    uint32_t n_places;
    uint32_t used; /* all places from there on are free */
    struct place places[];
};

void eas_long_polls_format(void *memory, size_t size)
{
    struct eas_long_polls *all = memory;

    memset(all, 0, sizeof(*all));
    all->size = size;
    all->n_places = (uint32_t)((size - sizeof(*all)) / sizeof(struct place));
    if (eas_shm_mutex_init(&all->mutex)) {
        all->magic = MAGIC; /* else no process attaches it */
    }
}

struct eas_long_polls *eas_long_polls_attach(void *memory, size_t size)
{
    struct eas_long_polls *all = memory;

    return all->magic == MAGIC && all->size == size ? all : NULL;
}

struct eas_long_polls_limits eas_long_polls_limits(unsigned n, unsigned workers)
{
    unsigned most = workers / 2 / PLACES(1);
    struct eas_long_polls_limits limits = { n, n * DEVICES };

    most = most > 0 ? most : 1;
    limits.user = limits.user < most ? limits.user : most;
    limits.device = limits.device < limits.user ? limits.device : limits.user;
    return limits;
}

struct eas_long_polls_key eas_long_polls_key(const char *user, const char *device)
{
    struct eas_long_polls_key key = { eas_fnv_folded(user), eas_fnv_folded(device) };

    return key;
}

static bool lock(struct eas_long_polls *all)
{
    return eas_shm_mutex_lock(&all->mutex) != EAS_SHM_MUTEX_FAILED;
}

/* The state that a new poll finds. */
struct found {
    struct place *free;
    unsigned places;                   /* of the user */
    unsigned device, user;             /* polls that are not ended */
    struct place *of_device, *of_user; /* the oldest of these */
};

static void note(struct place *place, unsigned *n, struct place **oldest)
{
    ++*n;
    if (*oldest == NULL || place->serial < (*oldest)->serial) {
        *oldest = place;
    }
}

static void look(struct place *place, struct eas_long_polls_key key, apr_time_t now,
                 struct found *found)
{
    if (now - place->seen > EAS_LONG_POLLS_LEASE) {
        place->serial = 0;
    }
    if (place->serial == 0) {
        found->free = found->free != NULL ? found->free : place;
    }
    else if (place->user == key.user) {
        found->places++;
        if (!place->ended) {
            note(place, &found->user, &found->of_user);
        }
        if (!place->ended && place->device == key.device) {
            note(place, &found->device, &found->of_device);
        }
    }
}

static void take(struct eas_long_polls *all, struct place *place, struct eas_long_polls_key key,
                 apr_time_t now, struct eas_long_poll *poll)
{
    if (place == NULL) {
        return;
    }
    place->user = key.user;
    place->device = key.device;
    place->seen = now;
    place->ended = false;
    place->serial = poll->serial = ++all->serial;
    poll->place = (unsigned)(place - all->places);
}

bool eas_long_polls_begin(struct eas_long_polls *all, struct eas_long_polls_key key,
                          struct eas_long_polls_limits limits, apr_time_t now,
                          struct eas_long_poll *poll)
{
    struct found found = { 0 };
    bool admitted;
    uint32_t i;

    *poll = (struct eas_long_poll){ all, 0, 0 };
    if (!lock(all)) {
        return true;
    }
    for (i = 0; i < all->used; i++) {
        look(&all->places[i], key, now, &found);
    }
    admitted = found.places < PLACES(limits.user);
    if (admitted) {
        if (found.device >= limits.device) {
            found.of_device->ended = true;
        }
        else if (found.user >= limits.user) {
            found.of_user->ended = true;
        }
        if (found.free == NULL && all->used < all->n_places) {
            found.free = &all->places[all->used++];
        }
        take(all, found.free, key, now, poll);
    }
    eas_shm_mutex_unlock(&all->mutex);
    return admitted;
}

/* Under the mutex.  NULL if the lease has ended, and perhaps another poll has the place. */
static struct place *place_of(const struct eas_long_poll *poll)
{
    struct place *place = &poll->all->places[poll->place];

    return poll->serial != 0 && place->serial == poll->serial ? place : NULL;
}

bool eas_long_polls_keep(const struct eas_long_poll *poll, apr_time_t now)
{
    struct place *place;
    bool ended = false;

    if (lock(poll->all)) {
        place = place_of(poll);
        if (place != NULL) {
            place->seen = now;
            ended = place->ended;
        }
        eas_shm_mutex_unlock(&poll->all->mutex);
    }
    return !ended;
}

void eas_long_polls_end(const struct eas_long_poll *poll)
{
    struct eas_long_polls *all = poll->all;
    struct place *place;

    if (lock(all)) {
        place = place_of(poll);
        if (place != NULL) {
            place->serial = 0;
        }
        while (all->used > 0 && all->places[all->used - 1].serial == 0) {
            all->used--;
        }
        eas_shm_mutex_unlock(&all->mutex);
    }
}

unsigned eas_long_polls_count(struct eas_long_polls *all, apr_time_t now)
{
    unsigned n = 0;
    uint32_t i;

    if (lock(all)) {
        for (i = 0; i < all->used; i++) {
            const struct place *place = &all->places[i];

            n += place->serial != 0 && now - place->seen <= EAS_LONG_POLLS_LEASE;
        }
        eas_shm_mutex_unlock(&all->mutex);
    }
    return n;
}
