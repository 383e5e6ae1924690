/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/notes.c - the latest errors, KDCs and throttled names, in memory of all processes */

#include "auth/base/notes.h"
#include "auth/base/fnv.h"
#include "auth/base/shm_mutex.h"

#include <apr_cstr.h>
#include <apr_strings.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Tags that the sources have are fewer.  A power of two. */
#define ERRORS 512
#define KDCS 64
#define THROTTLED 512

#define HOUR apr_time_from_sec(3600)
#define DAY (24 * HOUR)

/* Counted without the mutex.  The tag is written last, and never changes. */
struct error {
    _Atomic int tag; /* 0: unused */
    _Atomic uint64_t count;
    _Atomic int64_t last;
    apr_time_t first;
    char text[sizeof(((struct eas_notes_error *)NULL)->text)];
};

struct notes {
    uint64_t magic; /* the layout */
    apr_time_t since;
    pthread_mutex_t mutex;
    uint32_t n_kdcs;
    struct error errors[ERRORS];
    struct eas_notes_kdc kdcs[KDCS];
    struct eas_notes_throttled throttled[THROTTLED];
};

/* NULL: none. */
static struct notes *notes;

size_t eas_notes_size(void)
{
    return sizeof(struct notes);
}

/* --- layout ----------------------------------------------------------------------------------- */

struct field {
    const char *name;
    size_t at, size;
};

#define FIELD(type, name)                                                              \
    {                                                                                  \
#type " " #name, offsetof(struct type, name), sizeof(((struct type *)0)->name) \
    }

/* All that a process finds in the memory: a field of another name means something else. */
static const struct field fields[] = {
    FIELD(notes, magic),
    FIELD(notes, since),
    FIELD(notes, mutex),
    FIELD(notes, n_kdcs),
    FIELD(notes, errors),
    FIELD(notes, kdcs),
    FIELD(notes, throttled),
    FIELD(error, tag),
    FIELD(error, count),
    FIELD(error, last),
    FIELD(error, first),
    FIELD(error, text),
    FIELD(eas_notes_kdc, address),
    FIELD(eas_notes_kdc, realm),
    FIELD(eas_notes_kdc, answers),
    FIELD(eas_notes_kdc, failures),
    FIELD(eas_notes_kdc, answered_at),
    FIELD(eas_notes_kdc, failed_at),
    FIELD(eas_notes_kdc, took),
    FIELD(eas_notes_kdc, named_at),
    FIELD(eas_notes_throttled, user),
    FIELD(eas_notes_throttled, address),
    FIELD(eas_notes_throttled, since),
    FIELD(eas_notes_throttled, until),
    FIELD(eas_notes_throttled, key),
};

/* A field that is missing above makes a sum too small. */
#define SUM_OF_KDC (56 + 72 + 6 * sizeof(uint64_t))
#define SUM_OF_THROTTLED (256 + 64 + 2 * sizeof(uint64_t) + EAS_NOTES_KEY_SIZE)
#define SUM_OF_ERROR (4 * sizeof(uint64_t) + 480) /* with what aligns the tag */

_Static_assert(sizeof(struct eas_notes_kdc) == SUM_OF_KDC, "fields lacks none of a KDC's");
_Static_assert(sizeof(struct eas_notes_throttled) == SUM_OF_THROTTLED, "nor of a throttle's");
_Static_assert(sizeof(struct error) == SUM_OF_ERROR, "nor of an error's");

static uint64_t layout(void)
{
    uint64_t value = EAS_FNV_FIRST;
    size_t i;

    for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        value = eas_fnv(value, fields[i].name, strlen(fields[i].name) + 1);
        value = eas_fnv(value, &fields[i].at, sizeof(fields[i].at));
        value = eas_fnv(value, &fields[i].size, sizeof(fields[i].size));
    }
    return value;
}

uint32_t eas_notes_layout(void)
{
    return (uint32_t)(layout() ^ (layout() >> 32));
}

void eas_notes_format(void *memory, apr_time_t now)
{
    struct notes *made = memory;

    memset(made, 0, sizeof(*made));
    made->since = now;
    if (eas_shm_mutex_init(&made->mutex)) {
        made->magic = layout(); /* else no process attaches it */
    }
}

bool eas_notes_attach(void *memory)
{
    struct notes *found = memory;

    notes = found != NULL && found->magic == layout() ? found : NULL;
    return notes != NULL || memory == NULL;
}

static bool lock(void)
{
    return notes != NULL && eas_shm_mutex_lock(&notes->mutex) != EAS_SHM_MUTEX_FAILED;
}

static void unlock(void)
{
    eas_shm_mutex_unlock(&notes->mutex);
}

/* --- errors ----------------------------------------------------------------------------------- */

/* The row of the tag, or the unused one where it belongs; NULL if all are used. */
static struct error *row_of(int tag)
{
    unsigned i, at = (unsigned)tag;

    for (i = 0; i < ERRORS; i++) {
        struct error *row = &notes->errors[(at + i) % ERRORS];
        int found = atomic_load(&row->tag);

        if (found == tag || found == 0) {
            return row;
        }
    }
    return NULL;
}

void eas_notes_error(int tag, const char *text, apr_time_t now)
{
    struct error *row = notes != NULL ? row_of(tag) : NULL;

    if (row == NULL) {
        return;
    }
    if (atomic_load(&row->tag) != tag
        || apr_time_sec(atomic_load(&row->last)) != apr_time_sec(now)) {
        if (!lock()) {
            return;
        }
        row = row_of(tag);
        if (row != NULL) {
            if (atomic_load(&row->tag) == 0) {
                row->first = now;
            }
            apr_cpystrn(row->text, text, sizeof(row->text));
            atomic_store(&row->last, now);
            atomic_store(&row->tag, tag);
        }
        unlock();
    }
    if (row != NULL) {
        atomic_fetch_add(&row->count, 1);
    }
}

/* --- KDCs ------------------------------------------------------------------------------------- */

/* Under the mutex.  A new address takes the row of the one that was used the longest ago. */
static struct eas_notes_kdc *kdc_of(const char *address, const char *realm)
{
    struct eas_notes_kdc *oldest = &notes->kdcs[0], *kdc;

    for (kdc = notes->kdcs; kdc < notes->kdcs + notes->n_kdcs; kdc++) {
        if (strcmp(kdc->address, address) == 0
            && strncmp(kdc->realm, realm, sizeof(kdc->realm) - 1) == 0) {
            return kdc;
        }
        if (kdc->answered_at + kdc->failed_at < oldest->answered_at + oldest->failed_at) {
            oldest = kdc;
        }
    }
    kdc = notes->n_kdcs < KDCS ? &notes->kdcs[notes->n_kdcs++] : oldest;
    memset(kdc, 0, sizeof(*kdc));
    apr_cpystrn(kdc->address, address, sizeof(kdc->address));
    apr_cpystrn(kdc->realm, realm, sizeof(kdc->realm));
    return kdc;
}

void eas_notes_kdc(const char *address, const char *realm, apr_time_t now)
{
    if (lock()) {
        kdc_of(address, realm)->named_at = now;
        unlock();
    }
}

void eas_notes_kdc_answered(const char *address, const char *realm, apr_interval_time_t took,
                            apr_time_t now)
{
    if (lock()) {
        struct eas_notes_kdc *kdc = kdc_of(address, realm);

        kdc->took = kdc->answers == 0 ? took : (7 * kdc->took + took) / 8;
        kdc->answers++;
        kdc->answered_at = now;
        unlock();
    }
}

void eas_notes_kdc_failed(const char *address, const char *realm, apr_time_t now)
{
    if (lock()) {
        struct eas_notes_kdc *kdc = kdc_of(address, realm);

        kdc->failures++;
        kdc->failed_at = now;
        unlock();
    }
}

/* --- throttled users and addresses ------------------------------------------------------------ */

static bool is_same(const struct eas_notes_throttled *a, const struct eas_notes_throttled *b)
{
    return a->user[0] != '\0' ? strcmp(a->user, b->user) == 0
                              : b->user[0] == '\0' && memcmp(a->key, b->key, sizeof(a->key)) == 0;
}

void eas_notes_throttle(const struct eas_notes_throttled *throttled)
{
    struct eas_notes_throttled *place;
    apr_time_t since = throttled->since;
    unsigned i;

    if (!lock()) {
        return;
    }
    place = &notes->throttled[0];
    for (i = 0; i < THROTTLED; i++) {
        struct eas_notes_throttled *row = &notes->throttled[i];

        if (is_same(throttled, row)) {
            place = row;
            since = row->until >= since ? row->since : since;
            break;
        }
        if (row->until < place->until) {
            place = row;
        }
    }
    *place = *throttled;
    place->since = since;
    unlock();
}

/* Under the mutex. */
static struct eas_notes_throttled *find(const char *user)
{
    unsigned i;

    for (i = 0; *user != '\0' && i < THROTTLED; i++) {
        if (apr_cstr_casecmp(notes->throttled[i].user, user) == 0) {
            return &notes->throttled[i];
        }
    }
    return NULL;
}

bool eas_notes_find(const char *user, apr_time_t now, struct eas_notes_throttled *out)
{
    const struct eas_notes_throttled *row;
    bool found = false;

    if (lock()) {
        row = find(user);
        found = row != NULL && row->until > now;
        if (found) {
            *out = *row;
        }
        unlock();
    }
    return found;
}

void eas_notes_drop(const char *user)
{
    struct eas_notes_throttled *row;

    if (lock()) {
        row = find(user);
        if (row != NULL) {
            memset(row, 0, sizeof(*row));
        }
        unlock();
    }
}

/* --- reading ---------------------------------------------------------------------------------- */

static int by_tag(const void *a, const void *b)
{
    return ((const struct eas_notes_error *)a)->tag - ((const struct eas_notes_error *)b)->tag;
}

static void read_errors(apr_array_header_t *errors)
{
    unsigned i;

    for (i = 0; i < ERRORS; i++) {
        const struct error *row = &notes->errors[i];
        struct eas_notes_error *error;

        if (atomic_load(&row->tag) == 0) {
            continue;
        }
        error = apr_array_push(errors);
        error->tag = atomic_load(&row->tag);
        error->count = atomic_load(&row->count);
        error->first = row->first;
        error->last = atomic_load(&row->last);
        apr_cpystrn(error->text, row->text, sizeof(error->text));
    }
    qsort(errors->elts, (size_t)errors->nelts, sizeof(struct eas_notes_error), by_tag);
}

/* The last message to the realm of the KDC. */
static apr_time_t last_of_realm(const char *realm)
{
    const struct eas_notes_kdc *kdc;
    apr_time_t last = 0;

    for (kdc = notes->kdcs; kdc < notes->kdcs + notes->n_kdcs; kdc++) {
        if (kdc->named_at > last && strcmp(kdc->realm, realm) == 0) {
            last = kdc->named_at;
        }
    }
    return last;
}

static void read_kdcs(apr_array_header_t *kdcs, apr_time_t now)
{
    const struct eas_notes_kdc *kdc;

    for (kdc = notes->kdcs; kdc < notes->kdcs + notes->n_kdcs; kdc++) {
        if (kdc->named_at + HOUR > last_of_realm(kdc->realm) && kdc->named_at + DAY > now) {
            APR_ARRAY_PUSH(kdcs, struct eas_notes_kdc) = *kdc;
        }
    }
}

struct eas_notes_view eas_notes_read(apr_pool_t *pool, apr_time_t now)
{
    struct eas_notes_view view = {
        .errors = apr_array_make(pool, 16, sizeof(struct eas_notes_error)),
        .kdcs = apr_array_make(pool, 4, sizeof(struct eas_notes_kdc)),
        .throttled = apr_array_make(pool, 4, sizeof(struct eas_notes_throttled)),
    };
    unsigned i;

    if (!lock()) {
        return view;
    }
    view.since = notes->since;
    read_errors(view.errors);
    read_kdcs(view.kdcs, now);
    for (i = 0; i < THROTTLED; i++) {
        if (notes->throttled[i].until > now) {
            APR_ARRAY_PUSH(view.throttled, struct eas_notes_throttled) = notes->throttled[i];
        }
    }
    unlock();
    return view;
}
