/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/lockout.c - Lockout of AD users after wrong passwords, ahead of that of AD */

#include "auth/password/lockout.h"
#include "auth/password/lockout_record.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Time of a refusal that depends on the account's state, which an administrator can change. */
#define BRIEFLY apr_time_from_sec(300)

/* Longer than any exchange with a KDC.  The process of an older reservation has died. */
#define PENDING_FOR apr_time_from_sec(120)

/* A process reads the clock before it has the record; so small a difference is no clock step. */
#define CLOCK_JITTER apr_time_from_sec(1)

static unsigned counted(const struct eas_lockout_record *record)
{
    return (unsigned)(record->h.failed - record->h.forgiven);
}

static void count_failure(struct eas_lockout_record *record, const struct eas_lockout_rules *rules,
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

static void remove_pending(struct eas_lockout_record *record, unsigned i)
{
    record->pending[i] = record->pending[--record->h.n_pending];
}

static void remove_refused(struct eas_lockout_record *record, unsigned i)
{
    record->refused[i] = record->refused[--record->h.n_refused];
}

static bool is_enforced(const struct eas_lockout_rules *rules)
{
    return rules->failures > 0 && !rules->log_only;
}

static bool still_counts(const struct eas_lockout_record *record,
                         const struct eas_lockout_refused *entry)
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

static void end_lockout(struct eas_lockout_record *record)
{
    record->h.forgiven = record->h.failed;
    record->h.window = 0;
    record->h.known_failed = 0;
    memset(record->h.unasked, 0, sizeof(record->h.unasked));
}

/* Applies the time since the last write.  True if the record must be written again. */
static bool advance_time(struct eas_lockout_record *record, const struct eas_lockout_rules *rules,
                         apr_time_t now)
{
    apr_interval_time_t window =
        rules->window > record->h.window ? rules->window : record->h.window;
    bool changed = clamp_time(&record->h.last, now);
    unsigned i;

    for (i = record->h.n_pending; i-- > 0;) {
        struct eas_lockout_pending *pending = &record->pending[i];

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
        end_lockout(record);
    }
    for (i = record->h.n_refused; i-- > 0;) {
        const struct eas_lockout_refused *entry = &record->refused[i];

        changed = clamp_time(&record->refused[i].at, now) || changed;
        if (now - entry->at >= entry->lasts && !still_counts(record, entry)) {
            remove_refused(record, i);
        }
    }
    return changed;
}

static struct eas_lockout_refused *find_refused(struct eas_lockout_record *record,
                                                const unsigned char *digest)
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
static bool is_remembered(const struct eas_lockout_record *record,
                          const struct eas_lockout_rules *rules,
                          const struct eas_lockout_refused *entry, bool locked, apr_time_t now)
{
    /* A reload may have shortened the time. */
    apr_interval_time_t lasts =
        entry->lasts < rules->remember_for ? entry->lasts : rules->remember_for;

    return (lasts > 0 && now - entry->at < lasts)
           || (is_enforced(rules) && still_counts(record, entry)
               && (locked || entry->outcome == EAS_LOCKOUT_WRONG));
}

/* The place of a new entry: that of the oldest if the record is full. */
static struct eas_lockout_refused *make_room(struct eas_lockout_record *record)
{
    unsigned i, oldest = 0;

    if (record->h.n_refused < EAS_LOCKOUT_RECORD_MAX_REFUSED) {
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
static bool counts(const struct eas_lockout_rules *rules, const struct eas_lockout_pending *pending,
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
static void refuse(struct eas_lockout_record *record, const struct eas_lockout_rules *rules,
                   struct eas_lockout_attempt *attempt, const struct eas_lockout_pending *pending,
                   enum eas_lockout_outcome outcome, apr_time_t now)
{
    struct eas_lockout_refused *entry = find_refused(record, attempt->digest);
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

/* The passwords that no longer count may have become right, and this one is. */
static void forget_forgiven(struct eas_lockout_record *record, const unsigned char *right)
{
    unsigned i;

    for (i = record->h.n_refused; i-- > 0;) {
        if (!still_counts(record, &record->refused[i])
            || memcmp(record->refused[i].digest, right, EAS_SEAL_MAC_SIZE) == 0) {
            remove_refused(record, i);
        }
    }
}

/* Another attempt must finish first: with this password, the known one, or up to the limit. */
static bool must_wait(const struct eas_lockout_record *record,
                      const struct eas_lockout_rules *rules,
                      const struct eas_lockout_attempt *attempt)
{
    bool enforced = is_enforced(rules);
    unsigned i;

    for (i = 0; i < record->h.n_pending; i++) {
        const struct eas_lockout_pending *pending = &record->pending[i];

        if ((rules->remember_for > 0 || enforced)
            && memcmp(pending->digest, attempt->digest, EAS_SEAL_MAC_SIZE) == 0) {
            return true;
        }
        if (enforced && attempt->during_lockout && pending->during_lockout) {
            return true;
        }
    }
    return record->h.n_pending == EAS_LOCKOUT_RECORD_MAX_PENDING
           || (enforced && !attempt->during_lockout
               && counted(record) + record->h.n_pending >= rules->failures);
}

static void reserve(struct eas_lockout_record *record, struct eas_lockout_attempt *attempt,
                    apr_time_t now)
{
    struct eas_lockout_pending *pending = &record->pending[record->h.n_pending++];

    attempt->id = record->h.next_id++;
    pending->id = attempt->id;
    pending->since = now;
    pending->failed_before = record->h.failed;
    pending->during_lockout = attempt->during_lockout;
    pending->unused = 0;
    memcpy(pending->digest, attempt->digest, EAS_SEAL_MAC_SIZE);
}

/* True if it is none of the latest. */
static bool note_unasked(struct eas_lockout_record *record,
                         const struct eas_lockout_attempt *attempt)
{
    uint64_t part;
    unsigned i;

    memcpy(&part, attempt->digest, sizeof(part));
    for (i = 0; i < EAS_LOCKOUT_RECORD_MAX_UNASKED; i++) {
        if (record->h.unasked[i] == part) {
            return false;
        }
    }
    record->h.unasked[record->h.n_unasked++ % EAS_LOCKOUT_RECORD_MAX_UNASKED] = part;
    return true;
}

static enum eas_lockout_answer decide(struct eas_lockout_record *record,
                                      const struct eas_lockout_rules *rules,
                                      struct eas_lockout_attempt *attempt, apr_time_t now)
{
    bool locked = rules->failures > 0 && counted(record) >= rules->failures;
    bool refused = locked && !rules->log_only && !(attempt->known && !record->h.known_failed);
    const struct eas_lockout_refused *entry = find_refused(record, attempt->digest);

    attempt->counted = counted(record);
    attempt->locked_now = attempt->is_new_guess = false;
    attempt->during_lockout = locked;
    attempt->id = 0;
    if (entry != NULL && is_remembered(record, rules, entry, refused, now)
        && !(attempt->for_change && entry->outcome == EAS_LOCKOUT_EXPIRED)) {
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
static bool remove_reservation(struct eas_lockout_record *record, apr_uint64_t id,
                               struct eas_lockout_pending *taken)
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

static void apply_outcome(struct eas_lockout_record *record, const struct eas_lockout_rules *rules,
                          struct eas_lockout_attempt *attempt, enum eas_lockout_outcome outcome,
                          apr_time_t now)
{
    unsigned before = counted(record);
    struct eas_lockout_pending pending = { .during_lockout = false };
    bool found = remove_reservation(record, attempt->id, &pending);

    if (outcome == EAS_LOCKOUT_RIGHT) {
        if (found && !pending.during_lockout && pending.failed_before > record->h.forgiven) {
            record->h.forgiven = pending.failed_before;
        }
        forget_forgiven(record, attempt->digest);
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

/* For as long as it counts, and until reservations that no process ends have counted. */
static void store(const struct eas_lockout_record *record, const struct update *update,
                  struct eas_shm_table_value *value)
{
    apr_interval_time_t ours = update->rules->window, theirs = record->h.window;

    eas_lockout_record_pack(record, update->now + (ours > theirs ? ours : theirs) + 2 * PENDING_FOR,
                            value);
}

static bool admit(void *data, struct eas_shm_table_value *value)
{
    struct update *update = data;
    struct eas_lockout_record record;
    bool changed;

    eas_lockout_record_unpack(value, update->now, &record);
    changed = advance_time(&record, update->rules, update->now);
    update->answer = decide(&record, update->rules, update->attempt, update->now);
    if (!changed && update->answer != EAS_LOCKOUT_ASK && !update->attempt->is_new_guess) {
        return false;
    }
    store(&record, update, value);
    return true;
}

static bool finish(void *data, struct eas_shm_table_value *value)
{
    struct update *update = data;
    struct eas_lockout_record record;

    eas_lockout_record_unpack(value, update->now, &record);
    advance_time(&record, update->rules, update->now);
    apply_outcome(&record, update->rules, update->attempt, update->outcome, update->now);
    store(&record, update, value);
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

struct forgiveness {
    apr_time_t now;
    bool found;
};

static bool forgive(void *data, struct eas_shm_table_value *value)
{
    struct forgiveness *forgiveness = data;
    struct eas_lockout_record record;

    forgiveness->found = value->len > 0;
    if (forgiveness->found) {
        eas_lockout_record_unpack(value, forgiveness->now, &record);
        end_lockout(&record);
        eas_lockout_record_pack(&record, forgiveness->now + 2 * PENDING_FOR, value);
    }
    return forgiveness->found;
}

bool eas_lockout_forgive(struct eas_shm_table *records,
                         const unsigned char user[EAS_SHM_TABLE_KEY_SIZE], apr_time_t now)
{
    struct forgiveness forgiveness = { now, false };

    return eas_shm_table_update(records, user, now, forgive, &forgiveness) && forgiveness.found;
}
