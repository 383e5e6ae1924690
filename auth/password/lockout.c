/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/lockout.c - Lockout of AD users after wrong passwords, ahead of that of AD */

#include "auth/password/lockout.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VERSION 2

/* Of one user: concurrent attempts, and refused passwords remembered. */
#define MAX_PENDING 12
#define MAX_REFUSED 16

/* Of one user: passwords refused during a lockout without a question, the latest. */
#define MAX_UNASKED 4

/* Time of a refusal that depends on the account's state, which an administrator can change. */
#define BRIEFLY apr_time_from_sec(300)

/* Longer than any exchange with a KDC.  The process of an older reservation has died. */
#define PENDING_FOR apr_time_from_sec(120)

/* Of times and durations in a record. */
#define TIME_MAX (INT64_MAX / 4)

/* A process reads the clock before it has the record; so small a difference is no clock step. */
#define CLOCK_JITTER apr_time_from_sec(1)

struct pending {
    uint64_t id;
    int64_t since;
    uint64_t failed_before; /* `failed` when the attempt was reserved */
    uint32_t during_lockout;
    uint32_t unused;
    unsigned char digest[EAS_SEAL_MAC_SIZE];
};

struct refused {
    int64_t at;
    int64_t lasts;
    uint64_t failure; /* `failed` when it was counted; 0: it was not */
    uint32_t outcome; /* of enum eas_lockout_outcome */
    uint32_t unused;
    unsigned char digest[EAS_SEAL_MAC_SIZE];
};

/*
 * Lockout record of a user.  In the table, it is the header, then the used elements of the arrays:
 * plain integers and bytes.
 */
struct record {
    struct header {
        uint32_t version;
        uint16_t n_pending;
        uint16_t n_refused;
        uint32_t known_failed; /* the known password was wrong during this lockout */
        uint32_t n_unasked;    /* all, also those that were replaced */
        uint64_t next_id;
        uint64_t failed;               /* wrong passwords counted since the record exists */
        uint64_t forgiven;             /* of these, the ones that no longer count */
        int64_t last;                  /* time of the latest */
        int64_t window;                /* the longest window under which they were counted */
        uint64_t unasked[MAX_UNASKED]; /* parts of digests */
    } h;
    struct pending pending[MAX_PENDING];
    struct refused refused[MAX_REFUSED];
};

_Static_assert(sizeof(struct record) <= EAS_SHM_TABLE_UPDATE_MAX, "a record fits an update");
_Static_assert(sizeof(struct header) == 88 && sizeof(struct pending) == 64
                   && sizeof(struct refused) == 64,
               "VERSION stands for these sizes");

/* --- the record as bytes --- */

/* Whether the bytes are a record of this version, with the length that its counts stand for. */
static bool read_header(const struct eas_shm_table_value *value, struct header *h)
{
    if (value->len < sizeof(*h)) {
        return false;
    }
    memcpy(h, value->bytes, sizeof(*h));
    return h->version == VERSION && h->n_pending <= MAX_PENDING && h->n_refused <= MAX_REFUSED
           && value->len
                  == sizeof(*h) + h->n_pending * sizeof(struct pending)
                         + h->n_refused * sizeof(struct refused);
}

/* A time of a clock, or a duration of a directive. */
static bool is_time(int64_t time)
{
    return time >= 0 && time <= TIME_MAX;
}

/* Whether the values may be those of a record: no sum or difference of them overflows. */
static bool is_sound(const struct record *record)
{
    unsigned i;

    for (i = 0; i < record->h.n_pending; i++) {
        if (!is_time(record->pending[i].since)
            || record->pending[i].failed_before > record->h.failed) {
            return false;
        }
    }
    for (i = 0; i < record->h.n_refused; i++) {
        if (!is_time(record->refused[i].at) || !is_time(record->refused[i].lasts)) {
            return false;
        }
    }
    return is_time(record->h.last) && is_time(record->h.window)
           && record->h.forgiven <= record->h.failed;
}

static bool read_record(const struct eas_shm_table_value *value, struct record *record)
{
    const unsigned char *p = value->bytes + sizeof(struct header);
    struct header h;
    apr_size_t n;

    if (!read_header(value, &h)) {
        return false;
    }
    record->h = h;
    n = h.n_pending * sizeof(struct pending);
    memcpy(record->pending, p, n);
    memcpy(record->refused, p + n, h.n_refused * sizeof(struct refused));
    return is_sound(record);
}

/* Other bytes give an empty record; its ids start at now and never repeat old ones. */
static void unpack(const struct eas_shm_table_value *value, apr_time_t now, struct record *record)
{
    memset(record, 0, sizeof(*record));
    if (!read_record(value, record)) {
        memset(record, 0, sizeof(*record));
        record->h.version = VERSION;
        record->h.next_id = (uint64_t)now + 1;
    }
}

static void pack(const struct record *record, apr_time_t now, const struct eas_lockout_rules *rules,
                 struct eas_shm_table_value *value)
{
    apr_size_t pending = record->h.n_pending * sizeof(struct pending);
    apr_size_t refused = record->h.n_refused * sizeof(struct refused);
    apr_interval_time_t window =
        rules->window > record->h.window ? rules->window : record->h.window;
    unsigned i;

    memcpy(value->bytes, &record->h, sizeof(record->h));
    memcpy(value->bytes + sizeof(record->h), record->pending, pending);
    memcpy(value->bytes + sizeof(record->h) + pending, record->refused, refused);
    value->len = sizeof(record->h) + pending + refused;
    value->expires = now + window + 2 * PENDING_FOR;
    for (i = 0; i < record->h.n_refused; i++) {
        const struct refused *entry = &record->refused[i];

        if (entry->at + entry->lasts > value->expires) {
            value->expires = entry->at + entry->lasts;
        }
    }
}

/* --- the arithmetic --- */

static unsigned counted(const struct record *record)
{
    return (unsigned)(record->h.failed - record->h.forgiven);
}

static void count_failure(struct record *record, const struct eas_lockout_rules *rules,
                          apr_time_t when)
{
    record->h.failed++;
    if (when > record->h.last) {
        record->h.last = when;
    }
    if (rules->window > record->h.window) {
        record->h.window = rules->window;
    }
}

static void remove_pending(struct record *record, unsigned i)
{
    record->pending[i] = record->pending[--record->h.n_pending];
}

static void remove_refused(struct record *record, unsigned i)
{
    record->refused[i] = record->refused[--record->h.n_refused];
}

static bool is_enforced(const struct eas_lockout_rules *rules)
{
    return rules->failures > 0 && !rules->log_only;
}

static bool still_counts(const struct record *record, const struct refused *entry)
{
    return entry->failure > record->h.forgiven;
}

/* A future time in the record dates from before a clock step back. */
static bool clamp_time(int64_t *when, apr_time_t now)
{
    if (*when > now + CLOCK_JITTER) {
        *when = now;
        return true;
    }
    return false;
}

/* Applies the time since the last write.  True if the record must be written again. */
static bool advance_time(struct record *record, const struct eas_lockout_rules *rules,
                         apr_time_t now)
{
    apr_interval_time_t window =
        rules->window > record->h.window ? rules->window : record->h.window;
    bool changed = clamp_time(&record->h.last, now);
    unsigned i;

    for (i = record->h.n_pending; i-- > 0;) {
        struct pending *pending = &record->pending[i];

        changed = clamp_time(&pending->since, now) || changed;
        if (now - pending->since >= PENDING_FOR) {
            /* The KDC may have counted it, at the latest at that time. */
            count_failure(record, rules, pending->since + PENDING_FOR);
            record->h.known_failed |= pending->during_lockout;
            remove_pending(record, i);
            changed = true;
        }
    }
    if (counted(record) > 0 && now - record->h.last >= window) {
        record->h.forgiven = record->h.failed;
        record->h.window = 0;
        record->h.known_failed = 0;
        memset(record->h.unasked, 0, sizeof(record->h.unasked));
    }
    for (i = record->h.n_refused; i-- > 0;) {
        const struct refused *entry = &record->refused[i];

        changed = clamp_time(&record->refused[i].at, now) || changed;
        if (now - entry->at >= entry->lasts && !still_counts(record, entry)) {
            remove_refused(record, i);
        }
    }
    return changed;
}

static struct refused *find_refused(struct record *record, const unsigned char *digest)
{
    unsigned i;

    for (i = 0; i < record->h.n_refused; i++) {
        if (memcmp(record->refused[i].digest, digest, EAS_SEAL_MAC_SIZE) == 0) {
            return &record->refused[i];
        }
    }
    return NULL;
}

/*
 * AD counts each wrong password, also a repeated one.  So a wrong one that still counts here is not
 * asked about again, although its time is over.  During a lockout this holds for all refusals: the
 * status must not tell the state of the account.
 */
static bool is_remembered(const struct record *record, const struct eas_lockout_rules *rules,
                          const struct refused *entry, bool locked, apr_time_t now)
{
    return now - entry->at < entry->lasts
           || (is_enforced(rules) && still_counts(record, entry)
               && (locked || entry->outcome == EAS_LOCKOUT_WRONG));
}

/* The place of a new entry: that of the oldest if the record is full. */
static struct refused *make_room(struct record *record)
{
    unsigned i, oldest = 0;

    if (record->h.n_refused < MAX_REFUSED) {
        return &record->refused[record->h.n_refused++];
    }
    for (i = 1; i < record->h.n_refused; i++) {
        if (record->refused[i].at < record->refused[oldest].at) {
            oldest = i;
        }
    }
    return &record->refused[oldest];
}

/*
 * Whether a refused password counts.  Without log_only, the KDC would not have been asked during a
 * lockout, unless about the known password.
 */
static bool counts(const struct eas_lockout_rules *rules, const struct pending *pending,
                   enum eas_lockout_outcome outcome)
{
    return outcome == EAS_LOCKOUT_WRONG    ? !(pending->during_lockout && rules->log_only)
           : outcome == EAS_LOCKOUT_NOBODY ? !pending->during_lockout
                                           : false;
}

static apr_interval_time_t time_of(const struct eas_lockout_rules *rules,
                                   enum eas_lockout_outcome outcome)
{
    bool brief = outcome == EAS_LOCKOUT_NOBODY || outcome == EAS_LOCKOUT_EXPIRED;

    return brief && rules->remember_for > BRIEFLY ? BRIEFLY : rules->remember_for;
}

/* Counts a refused password, unless it counts already, and remembers it. */
static void refuse(struct record *record, const struct eas_lockout_rules *rules,
                   struct eas_lockout_attempt *attempt, const struct pending *pending,
                   enum eas_lockout_outcome outcome, apr_time_t now)
{
    struct refused *entry = find_refused(record, attempt->digest);
    uint64_t failure = entry != NULL && still_counts(record, entry) ? entry->failure : 0;

    attempt->is_new_guess = failure == 0 && outcome != EAS_LOCKOUT_EXPIRED;
    if (failure == 0 && counts(rules, pending, outcome)) {
        count_failure(record, rules, now);
        failure = record->h.failed;
    }
    record->h.known_failed |= pending->during_lockout && outcome == EAS_LOCKOUT_WRONG;
    if (entry == NULL) {
        entry = make_room(record);
        memcpy(entry->digest, attempt->digest, EAS_SEAL_MAC_SIZE);
    }
    entry->at = now;
    entry->lasts = time_of(rules, outcome);
    entry->failure = failure;
    entry->outcome = outcome;
}

/* The passwords that no longer count may have become right. */
static void forget_forgiven(struct record *record)
{
    unsigned i;

    for (i = record->h.n_refused; i-- > 0;) {
        if (!still_counts(record, &record->refused[i])) {
            remove_refused(record, i);
        }
    }
}

/* Another attempt must finish first: with this password, the known one, or up to the limit. */
static bool must_wait(const struct record *record, const struct eas_lockout_rules *rules,
                      const struct eas_lockout_attempt *attempt)
{
    bool enforced = is_enforced(rules);
    unsigned i;

    for (i = 0; i < record->h.n_pending; i++) {
        const struct pending *pending = &record->pending[i];

        if ((rules->remember_for > 0 || enforced)
            && memcmp(pending->digest, attempt->digest, EAS_SEAL_MAC_SIZE) == 0) {
            return true;
        }
        if (enforced && attempt->during_lockout && pending->during_lockout) {
            return true;
        }
    }
    return record->h.n_pending == MAX_PENDING
           || (enforced && !attempt->during_lockout
               && counted(record) + record->h.n_pending >= rules->failures);
}

static void reserve(struct record *record, struct eas_lockout_attempt *attempt, apr_time_t now)
{
    struct pending *pending = &record->pending[record->h.n_pending++];

    attempt->id = record->h.next_id++;
    pending->id = attempt->id;
    pending->since = now;
    pending->failed_before = record->h.failed;
    pending->during_lockout = attempt->during_lockout;
    pending->unused = 0;
    memcpy(pending->digest, attempt->digest, EAS_SEAL_MAC_SIZE);
}

/* True if it is none of the latest. */
static bool note_unasked(struct record *record, const struct eas_lockout_attempt *attempt)
{
    uint64_t part;
    unsigned i;

    memcpy(&part, attempt->digest, sizeof(part));
    for (i = 0; i < MAX_UNASKED; i++) {
        if (record->h.unasked[i] == part) {
            return false;
        }
    }
    record->h.unasked[record->h.n_unasked++ % MAX_UNASKED] = part;
    return true;
}

static enum eas_lockout_answer decide(struct record *record, const struct eas_lockout_rules *rules,
                                      struct eas_lockout_attempt *attempt, apr_time_t now)
{
    bool locked = rules->failures > 0 && counted(record) >= rules->failures;
    bool refused = locked && !rules->log_only && !(attempt->known && !record->h.known_failed);
    const struct refused *entry = find_refused(record, attempt->digest);

    attempt->counted = counted(record);
    attempt->locked_now = attempt->is_new_guess = false;
    attempt->during_lockout = locked;
    attempt->id = 0;
    if (entry != NULL && is_remembered(record, rules, entry, refused, now)) {
        attempt->remembered = (enum eas_lockout_outcome)entry->outcome;
        return EAS_LOCKOUT_REMEMBERED;
    }
    if (refused) {
        attempt->is_new_guess = note_unasked(record, attempt);
        return EAS_LOCKOUT_LOCKED;
    }
    if (must_wait(record, rules, attempt)) {
        return EAS_LOCKOUT_BUSY;
    }
    reserve(record, attempt, now);
    return EAS_LOCKOUT_ASK;
}

/* False if the reservation was too old and has been counted. */
static bool remove_reservation(struct record *record, apr_uint64_t id, struct pending *taken)
{
    unsigned i;

    for (i = 0; i < record->h.n_pending; i++) {
        if (record->pending[i].id == id) {
            *taken = record->pending[i];
            remove_pending(record, i);
            return true;
        }
    }
    return false;
}

static void apply_outcome(struct record *record, const struct eas_lockout_rules *rules,
                          struct eas_lockout_attempt *attempt, enum eas_lockout_outcome outcome,
                          apr_time_t now)
{
    unsigned before = counted(record);
    struct pending pending = { .during_lockout = false };
    bool found = remove_reservation(record, attempt->id, &pending);

    if (outcome == EAS_LOCKOUT_RIGHT) {
        if (found && !pending.during_lockout && pending.failed_before > record->h.forgiven) {
            record->h.forgiven = pending.failed_before;
        }
        forget_forgiven(record);
    }
    else if (outcome != EAS_LOCKOUT_NO_ANSWER) {
        refuse(record, rules, attempt, &pending, outcome, now);
    }
    attempt->counted = counted(record);
    attempt->locked_now =
        rules->failures > 0 && before < rules->failures && attempt->counted >= rules->failures;
}

/* --- updates of the table --- */

struct update {
    const struct eas_lockout_rules *rules;
    struct eas_lockout_attempt *attempt;
    apr_time_t now;
    enum eas_lockout_outcome outcome; /* in, for finish */
    enum eas_lockout_answer answer;   /* out of admit */
};

static bool admit(void *data, struct eas_shm_table_value *value)
{
    struct update *update = data;
    struct record record;
    bool changed;

    unpack(value, update->now, &record);
    changed = advance_time(&record, update->rules, update->now);
    update->answer = decide(&record, update->rules, update->attempt, update->now);
    if (!changed && update->answer != EAS_LOCKOUT_ASK && !update->attempt->is_new_guess) {
        return false;
    }
    pack(&record, update->now, update->rules, value);
    return true;
}

static bool finish(void *data, struct eas_shm_table_value *value)
{
    struct update *update = data;
    struct record record;

    unpack(value, update->now, &record);
    advance_time(&record, update->rules, update->now);
    apply_outcome(&record, update->rules, update->attempt, update->outcome, update->now);
    pack(&record, update->now, update->rules, value);
    return true;
}

enum eas_lockout_answer eas_lockout_admit(struct eas_shm_table *records,
                                          const struct eas_lockout_rules *rules,
                                          struct eas_lockout_attempt *attempt, apr_time_t now)
{
    struct update update = { rules, attempt, now, EAS_LOCKOUT_NO_ANSWER, EAS_LOCKOUT_BROKEN };

    if (rules->failures == 0 && rules->remember_for == 0) {
        attempt->id = 0;
        attempt->is_new_guess = false;
        return EAS_LOCKOUT_ASK;
    }
    return eas_shm_table_update(records, attempt->user, now, admit, &update) ? update.answer
                                                                             : EAS_LOCKOUT_BROKEN;
}

void eas_lockout_finish(struct eas_shm_table *records, const struct eas_lockout_rules *rules,
                        struct eas_lockout_attempt *attempt, enum eas_lockout_outcome outcome,
                        apr_time_t now)
{
    struct update update = { rules, attempt, now, outcome, EAS_LOCKOUT_BROKEN };

    if (attempt->id == 0) {
        return;
    }
    eas_shm_table_update(records, attempt->user, now, finish, &update);
}
