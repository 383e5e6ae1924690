/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/log_limit.c - rate limits of the error log */

#include "auth/base/log_limit.h"
#include "auth/base/fnv.h"
#include "auth/base/thread.h"

#include <apr_strings.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

/* Tags in use at once.  A further one takes the place of another. */
#define TAGS 64

/* Texts and addresses of the current windows.  One that has lost its place counts anew. */
#define KEYS 2048

struct tag {
    struct eas_log_limit_rest rest; /* its tag is 0 in an unused place */
    apr_time_t since;
    unsigned window; /* a number that no other window has */
    unsigned addresses, lines, texts;
};

struct key {
    uint64_t hash;
    unsigned window;
    unsigned count;
};

struct eas_log_limit {
    apr_thread_mutex_t *mutex;
    atomic_uint counted; /* tags with a rest */
    unsigned windows;
    struct tag tags[TAGS];
    struct key keys[KEYS];
};

struct eas_log_limit *eas_log_limit_create(apr_pool_t *pool)
{
    struct eas_log_limit *limit = apr_pcalloc(pool, sizeof(*limit));

    limit->mutex = eas_thread_make_mutex(pool);
    return limit;
}

static uint64_t hash_of(uint64_t hash, const char *text)
{
    return eas_fnv(hash, text, strlen(text));
}

/* The number of lines before with that hash, in the window. */
static unsigned count(struct eas_log_limit *limit, unsigned window, uint64_t hash)
{
    struct key *key = &limit->keys[(hash ^ (hash >> 32) ^ window) % KEYS];

    if (key->hash != hash || key->window != window) {
        *key = (struct key){ .hash = hash, .window = window };
    }
    return key->count++;
}

static void begin_window(struct eas_log_limit *limit, struct tag *tag, int number, apr_time_t now)
{
    if (tag->rest.count > 0) {
        atomic_fetch_sub(&limit->counted, 1);
    }
    tag->rest.tag = number;
    tag->rest.count = 0;
    tag->since = now;
    tag->window = ++limit->windows;
    tag->addresses = tag->lines = tag->texts = 0;
}

/* A tag without a rest goes first: the rest of an evicted tag is lost. */
static bool is_evicted_before(const struct tag *tag, const struct tag *other)
{
    bool has_rest = tag->rest.count > 0, other_has_rest = other->rest.count > 0;

    return has_rest != other_has_rest ? other_has_rest : tag->since < other->since;
}

/* A window with a rest goes on until eas_log_limit_next() has returned that. */
static struct tag *tag_of(struct eas_log_limit *limit, int number, apr_time_t now)
{
    struct tag *evicted = &limit->tags[0];
    int i;

    for (i = 0; i < TAGS; i++) {
        struct tag *tag = &limit->tags[i];

        if (tag->rest.tag == number) {
            if (now - tag->since >= EAS_LOG_LIMIT_WINDOW && tag->rest.count == 0) {
                begin_window(limit, tag, number, now);
            }
            return tag;
        }
        if (is_evicted_before(tag, evicted)) {
            evicted = tag;
        }
    }
    begin_window(limit, evicted, number, now);
    return evicted;
}

static bool take(unsigned *taken, unsigned room)
{
    bool has_room = *taken < room;

    *taken += has_room;
    return has_room;
}

static bool has_room(struct eas_log_limit *limit, struct tag *tag,
                     const struct eas_log_limit_line *line)
{
    uint64_t text = hash_of(EAS_FNV_FIRST, line->text);
    /* The separator is no letter of a text. */
    uint64_t address = hash_of(hash_of(EAS_FNV_FIRST, "\n"), line->address);
    uint64_t both = hash_of(hash_of(text, "\n"), line->address);
    bool is_new_text = count(limit, tag->window, text) == 0;
    bool is_new_address = count(limit, tag->window, address) == 0;
    bool repeats = count(limit, tag->window, both) >= EAS_LOG_LIMIT_SAME;

    return !repeats
           && ((is_new_address && take(&tag->addresses, EAS_LOG_LIMIT_ADDRESSES))
               || take(&tag->lines, EAS_LOG_LIMIT_LINES)
               || (is_new_text && take(&tag->texts, EAS_LOG_LIMIT_TEXTS)));
}

bool eas_log_limit_admit(struct eas_log_limit *limit, const struct eas_log_limit_line *line,
                         apr_time_t now)
{
    struct tag *tag;
    bool admitted;

    apr_thread_mutex_lock(limit->mutex);
    tag = tag_of(limit, line->tag, now);
    admitted = has_room(limit, tag, line);
    if (!admitted) {
        if (tag->rest.count++ == 0) {
            atomic_fetch_add(&limit->counted, 1);
        }
        tag->rest.level = line->level;
        tag->rest.server = line->server;
        apr_cpystrn(tag->rest.text, line->text, sizeof(tag->rest.text));
        apr_cpystrn(tag->rest.address, line->address, sizeof(tag->rest.address));
    }
    apr_thread_mutex_unlock(limit->mutex);
    return admitted;
}

bool eas_log_limit_next(struct eas_log_limit *limit, apr_time_t now, bool all,
                        struct eas_log_limit_rest *rest_out)
{
    bool found = false;
    int i;

    if (atomic_load(&limit->counted) == 0) {
        return false;
    }
    apr_thread_mutex_lock(limit->mutex);
    for (i = 0; i < TAGS && !found; i++) {
        struct tag *tag = &limit->tags[i];

        if (tag->rest.count > 0 && (all || now - tag->since >= EAS_LOG_LIMIT_WINDOW)) {
            *rest_out = tag->rest;
            rest_out->during = now - tag->since;
            begin_window(limit, tag, tag->rest.tag, now);
            found = true;
        }
    }
    apr_thread_mutex_unlock(limit->mutex);
    return found;
}
