/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/shm_quota.c - limit for the records of one owner in a table in shared memory */

#include "auth/base/shm_quota.h"

#include <stddef.h>
#include <string.h>

#define VERSION 1

struct member {
    uint64_t hash; /* of its key */
    int64_t expires;
};

/* In the table, it is the header, then the used members, the oldest first. */
struct list {
    uint32_t version;
    uint32_t n;
    struct member members[EAS_SHM_QUOTA_MAX];
};

#define HEADER_SIZE offsetof(struct list, members)

_Static_assert(sizeof(struct list) <= EAS_SHM_TABLE_UPDATE_MAX, "a list fits an update");
_Static_assert(sizeof(struct member) == 16 && HEADER_SIZE == 8, "VERSION stands for these sizes");

/* Without the members that have expired.  Bytes of another version or length are no list. */
static void read_list(const struct eas_shm_table_value *value, apr_time_t now, struct list *list)
{
    struct list read = { 0 };
    uint32_t i;

    list->version = VERSION;
    list->n = 0;
    if (value->len < HEADER_SIZE) {
        return;
    }
    memcpy(&read, value->bytes, value->len < sizeof(read) ? value->len : sizeof(read));
    if (read.version != VERSION || read.n > EAS_SHM_QUOTA_MAX
        || value->len != HEADER_SIZE + read.n * sizeof(struct member)) {
        return;
    }
    for (i = 0; i < read.n; i++) {
        if (read.members[i].expires > now) {
            list->members[list->n++] = read.members[i];
        }
    }
}

static void write_list(const struct list *list, struct eas_shm_table_value *value)
{
    uint32_t i;

    value->len = HEADER_SIZE + list->n * sizeof(struct member);
    memcpy(value->bytes, list, value->len);
    value->expires = 0;
    for (i = 0; i < list->n; i++) {
        if (list->members[i].expires > value->expires) {
            value->expires = list->members[i].expires;
        }
    }
}

static void remove_member(struct list *list, uint32_t i)
{
    memmove(&list->members[i], &list->members[i + 1], (list->n - i - 1) * sizeof(struct member));
    list->n--;
}

static void remove_hash(struct list *list, uint64_t hash)
{
    uint32_t i;

    for (i = list->n; i-- > 0;) {
        if (list->members[i].hash == hash) {
            remove_member(list, i);
        }
    }
}

struct change {
    unsigned limit;
    apr_time_t now;
    struct member member; /* to be added or moved */
    uint64_t replaced;    /* out: the hash of the oldest, or the member's own */
    bool full;            /* out */
};

static bool add(void *data, struct eas_shm_table_value *value)
{
    struct change *change = data;
    struct list list;

    read_list(value, change->now, &list);
    remove_hash(&list, change->member.hash);
    change->replaced = change->member.hash;
    while (list.n >= change->limit) {
        change->replaced = list.members[0].hash;
        remove_member(&list, 0);
    }
    list.members[list.n++] = change->member;
    write_list(&list, value);
    return true;
}

static bool move_to_front(void *data, struct eas_shm_table_value *value)
{
    struct change *change = data;
    struct list list;
    uint32_t i = 0;

    read_list(value, change->now, &list);
    while (i < list.n && list.members[i].hash != change->member.hash) {
        i++;
    }
    if (i == list.n) {
        return false;
    }
    change->member = list.members[i];
    memmove(&list.members[1], &list.members[0], i * sizeof(struct member));
    list.members[0] = change->member;
    write_list(&list, value);
    return true;
}

static bool look(void *data, struct eas_shm_table_value *value)
{
    struct change *change = data;
    struct list list;

    read_list(value, change->now, &list);
    change->full = list.n >= change->limit;
    return false;
}

bool eas_shm_quota_put(struct eas_shm_table *table, const struct eas_shm_quota *quota,
                       const unsigned char key[EAS_SHM_TABLE_KEY_SIZE], struct eas_bytes value,
                       apr_time_t now, apr_time_t expires)
{
    struct change change = { .limit = quota->limit,
                             .now = now,
                             .member = { eas_shm_table_hash(key), expires } };

    /* The list must not lose a member for a record that is not written. */
    return eas_shm_table_takes(table, value.len)
           && eas_shm_table_update(table, quota->owner, now, add, &change)
           && eas_shm_table_replace(table, change.replaced, key, value.at, value.len, expires);
}

void eas_shm_quota_release(struct eas_shm_table *table, const struct eas_shm_quota *quota,
                           const unsigned char key[EAS_SHM_TABLE_KEY_SIZE], apr_time_t now)
{
    struct change change = { .now = now, .member = { eas_shm_table_hash(key), 0 } };

    eas_shm_table_update(table, quota->owner, now, move_to_front, &change);
}

bool eas_shm_quota_is_full(struct eas_shm_table *table, const struct eas_shm_quota *quota,
                           apr_time_t now)
{
    struct change change = { .limit = quota->limit, .now = now };

    eas_shm_table_update(table, quota->owner, now, look, &change);
    return change.full;
}
