/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/throttle_ends.c - throttles whose end is awaited, in memory of all processes */

#include "auth/base/throttle_ends.h"
#include "auth/base/shm_mutex.h"

#include <stdint.h>
#include <string.h>

#define PLACES 256

#define MAGIC 0x4541535448454e31u /* "EASTHEN1": layout 1 */

struct ends {
    uint64_t magic;
    pthread_mutex_t mutex;
    struct eas_throttle_end places[PLACES]; /* `until` is 0 in a free one */
};

size_t eas_throttle_ends_size(void)
{
    return sizeof(struct ends);
}

bool eas_throttle_ends_attach(void *memory)
{
    struct ends *ends = memory;

    if (ends->magic == 0 && eas_shm_mutex_init(&ends->mutex)) {
        ends->magic = MAGIC;
    }
    return ends->magic == MAGIC;
}

static bool is_same(const struct eas_throttle_end *a, const struct eas_throttle_end *b)
{
    return strcmp(a->vhost, b->vhost) == 0 && strcmp(a->account, b->account) == 0
           && (a->account[0] != '\0' || strcmp(a->address, b->address) == 0);
}

bool eas_throttle_ends_await(void *memory, const struct eas_throttle_end *end)
{
    struct eas_throttle_end *place = NULL, *found;
    struct ends *ends = memory;
    bool begins = true;

    if (eas_shm_mutex_lock(&ends->mutex) == EAS_SHM_MUTEX_FAILED) {
        return true;
    }
    for (found = ends->places; found < ends->places + PLACES && begins; found++) {
        if (found->until != 0 && is_same(found, end)) {
            place = found;
            begins = false;
        }
        place = place == NULL && found->until == 0 ? found : place;
    }
    if (place != NULL) {
        *place = *end;
    }
    eas_shm_mutex_unlock(&ends->mutex);
    return begins;
}

bool eas_throttle_ends_take(void *memory, const char *account, apr_time_t now,
                            struct eas_throttle_end *out)
{
    struct eas_throttle_end *place;
    struct ends *ends = memory;
    bool found = false;

    if (eas_shm_mutex_lock(&ends->mutex) == EAS_SHM_MUTEX_FAILED) {
        return false;
    }
    for (place = ends->places; place < ends->places + PLACES && !found; place++) {
        found = place->until != 0
                && (account != NULL ? strcmp(place->account, account) == 0 : place->until <= now);
        if (found) {
            *out = *place;
            place->until = 0;
        }
    }
    eas_shm_mutex_unlock(&ends->mutex);
    return found;
}
