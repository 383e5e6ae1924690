/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/lockout.c - how many wrong passwords of an account may reach the KDC, and which not again */

#include "auth/password/lockout.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VERSION 1

/* How many may be asked about at once, and how many refused passwords are remembered, by account. */
#define MAX_PENDING 12
#define MAX_REFUSED 16

/* Longer than any exchange with a KDC lasts: whoever made the reservation is dead. */
#define PENDING_FOR apr_time_from_sec(120)

/* Processes read the clock a moment before they get at the record; that is no step back. */
#define CLOCK_JITTER apr_time_from_sec(1)

struct pending {
    uint64_t id;
    int64_t since;
    uint64_t known_failed; /* `failed` at that time */
    uint32_t during_lockout;
    uint32_t unused;
    unsigned char digest[EAS_SEAL_MAC_SIZE];
};

struct refused {
    int64_t at;
    int64_t lasts;
    unsigned char digest[EAS_SEAL_MAC_SIZE];
};

/*
 * An account's record as this file works with it.  In the store it is the header, then the pending and
 * the refused that there are: all of it plain integers and bytes.
 */
struct account {
    struct header {
        uint32_t version;
        uint16_t n_pending;
        uint16_t n_refused;
        uint32_t exception_failed; /* the known password was wrong during this lockout */
        uint32_t unused;
        uint64_t next_id;
        uint64_t failed;   /* wrong ones ever counted */
        uint64_t forgiven; /* of these, those that count no more */
        int64_t last;      /* when the latest was counted */
        int64_t window;    /* the longest of the rules under which they were counted */
    } h;
    struct pending pending[MAX_PENDING];
    struct refused refused[MAX_REFUSED];
};

_Static_assert(sizeof(struct account) <= EAS_SHM_TABLE_UPDATE_MAX, "an account must fit an update");

/* --- the record as bytes --- */

/* An empty one, if the bytes are none; whose numbers are not those of one that a clock has ended. */
static void unpack(const struct eas_shm_table_value *value, apr_time_t now, struct account *account)
{
    const unsigned char *p = value->bytes;
    apr_size_t n;

    memset(account, 0, sizeof(*account));
    account->h.version = VERSION;
    account->h.next_id = (uint64_t)now + 1;
    if (value->len < sizeof(account->h)) {
        return;
    }
    memcpy(&account->h, p, sizeof(account->h));
    p += sizeof(account->h);
    n = account->h.n_pending * sizeof(struct pending);
    memcpy(account->pending, p, n);
    memcpy(account->refused, p + n, account->h.n_refused * sizeof(struct refused));
}

static void pack(const struct account *account, apr_time_t now,
                 const struct eas_lockout_rules *rules, struct eas_shm_table_value *value)
{
    apr_size_t pending = account->h.n_pending * sizeof(struct pending);
    apr_size_t refused = account->h.n_refused * sizeof(struct refused);
    apr_interval_time_t window =
        rules->window > account->h.window ? rules->window : account->h.window;
    unsigned i;

    memcpy(value->bytes, &account->h, sizeof(account->h));
    memcpy(value->bytes + sizeof(account->h), account->pending, pending);
    memcpy(value->bytes + sizeof(account->h) + pending, account->refused, refused);
    value->len = sizeof(account->h) + pending + refused;
    value->expires = now + window + 2 * PENDING_FOR;
    for (i = 0; i < account->h.n_refused; i++) {
        const struct refused *entry = &account->refused[i];

        if (entry->at + entry->lasts > value->expires) {
            value->expires = entry->at + entry->lasts;
        }
    }
}

/* --- the arithmetic --- */

static unsigned counted(const struct account *account)
{
    return (unsigned)(account->h.failed - account->h.forgiven);
}

static void count_failure(struct account *account, const struct eas_lockout_rules *rules,
                          apr_time_t when)
{
    account->h.failed++;
    if (when > account->h.last) {
        account->h.last = when;
    }
    if (rules->window > account->h.window) {
        account->h.window = rules->window;
    }
}

static void remove_pending(struct account *account, unsigned i)
{
    account->pending[i] = account->pending[--account->h.n_pending];
}

static void remove_refused(struct account *account, unsigned i)
{
    account->refused[i] = account->refused[--account->h.n_refused];
}

/* A time of the record that has not come yet was noted before the clock stepped back. */
static bool pull_back(int64_t *when, apr_time_t now)
{
    if (*when > now + CLOCK_JITTER) {
        *when = now;
        return true;
    }
    return false;
}

/* What time alone has changed since the record was written.  True if it must be written again. */
static bool let_time_pass(struct account *account, const struct eas_lockout_rules *rules,
                          apr_time_t now)
{
    apr_interval_time_t window =
        rules->window > account->h.window ? rules->window : account->h.window;
    bool changed = pull_back(&account->h.last, now);
    unsigned i;

    for (i = account->h.n_pending; i-- > 0;) {
        struct pending *pending = &account->pending[i];

        changed = pull_back(&pending->since, now) || changed;
        if (now - pending->since >= PENDING_FOR) {
            /* By then at the latest the KDC has heard of it, if it ever has. */
            count_failure(account, rules, pending->since + PENDING_FOR);
            account->h.exception_failed |= pending->during_lockout;
            remove_pending(account, i);
            changed = true;
        }
    }
    if (counted(account) > 0 && now - account->h.last >= window) {
        account->h.forgiven = account->h.failed;
        account->h.window = 0;
        account->h.exception_failed = 0;
    }
    for (i = account->h.n_refused; i-- > 0;) {
        changed = pull_back(&account->refused[i].at, now) || changed;
        if (now - account->refused[i].at >= account->refused[i].lasts) {
            remove_refused(account, i);
        }
    }
    return changed;
}

static bool is_refused(const struct account *account, const unsigned char *digest)
{
    unsigned i;

    for (i = 0; i < account->h.n_refused; i++) {
        if (memcmp(account->refused[i].digest, digest, EAS_SEAL_MAC_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

/* The oldest goes where there is no room. */
static void remember_refused(struct account *account, const unsigned char *digest, apr_time_t now,
                             apr_interval_time_t lasts)
{
    unsigned i, oldest = 0;

    for (i = 1; i < account->h.n_refused; i++) {
        if (account->refused[i].at < account->refused[oldest].at) {
            oldest = i;
        }
    }
    if (account->h.n_refused < MAX_REFUSED) {
        oldest = account->h.n_refused++;
    }
    account->refused[oldest].at = now;
    account->refused[oldest].lasts = lasts;
    memcpy(account->refused[oldest].digest, digest, EAS_SEAL_MAC_SIZE);
}

/* Is the same password being asked about, or the account at its one exception? */
static bool must_wait(const struct account *account, const struct eas_lockout_rules *rules,
                      const struct eas_lockout_attempt *attempt)
{
    bool enforced = rules->failures > 0 && !rules->log_only;
    unsigned i;

    for (i = 0; i < account->h.n_pending; i++) {
        const struct pending *pending = &account->pending[i];

        if (rules->remember_for > 0
            && memcmp(pending->digest, attempt->digest, EAS_SEAL_MAC_SIZE) == 0) {
            return true;
        }
        if (enforced && attempt->during_lockout && pending->during_lockout) {
            return true;
        }
    }
    return account->h.n_pending == MAX_PENDING
           || (enforced && !attempt->during_lockout
               && counted(account) + account->h.n_pending >= rules->failures);
}

static void reserve(struct account *account, struct eas_lockout_attempt *attempt, apr_time_t now)
{
    struct pending *pending = &account->pending[account->h.n_pending++];

    attempt->id = account->h.next_id++;
    pending->id = attempt->id;
    pending->since = now;
    pending->known_failed = account->h.failed;
    pending->during_lockout = attempt->during_lockout;
    pending->unused = 0;
    memcpy(pending->digest, attempt->digest, EAS_SEAL_MAC_SIZE);
}

static enum eas_lockout_answer decide(struct account *account,
                                      const struct eas_lockout_rules *rules,
                                      struct eas_lockout_attempt *attempt, apr_time_t now)
{
    bool locked = rules->failures > 0 && counted(account) >= rules->failures;

    attempt->counted = counted(account);
    attempt->locked_now = false;
    attempt->during_lockout = locked;
    attempt->id = 0;
    if (rules->remember_for > 0 && is_refused(account, attempt->digest)) {
        return EAS_LOCKOUT_REMEMBERED;
    }
    if (locked && !rules->log_only && !(attempt->known && !account->h.exception_failed)) {
        return EAS_LOCKOUT_LOCKED;
    }
    if (must_wait(account, rules, attempt)) {
        return EAS_LOCKOUT_BUSY;
    }
    reserve(account, attempt, now);
    return EAS_LOCKOUT_ASK;
}

/* What of the reservation is needed is in *taken; false if it was too old. */
static bool take_back(struct account *account, apr_uint64_t id, struct pending *taken)
{
    unsigned i;

    for (i = 0; i < account->h.n_pending; i++) {
        if (account->pending[i].id == id) {
            *taken = account->pending[i];
            remove_pending(account, i);
            return true;
        }
    }
    return false;
}

static void conclude(struct account *account, const struct eas_lockout_rules *rules,
                     struct eas_lockout_attempt *attempt, enum eas_lockout_outcome outcome,
                     apr_time_t now)
{
    unsigned before = counted(account);
    struct pending pending = { .during_lockout = false };
    bool found = take_back(account, attempt->id, &pending);

    if (outcome == EAS_LOCKOUT_RIGHT) {
        account->h.n_refused = 0;
        if (found && !pending.during_lockout && pending.known_failed > account->h.forgiven) {
            account->h.forgiven = pending.known_failed;
        }
    }
    else if (outcome == EAS_LOCKOUT_WRONG) {
        /* What would not have been asked, but for log_only, would not have been counted. */
        if (!(pending.during_lockout && rules->log_only)) {
            count_failure(account, rules, now);
            account->h.exception_failed |= pending.during_lockout;
        }
        if (rules->remember_for > 0 && !is_refused(account, attempt->digest)) {
            remember_refused(account, attempt->digest, now, rules->remember_for);
        }
    }
    attempt->counted = counted(account);
    attempt->locked_now =
        rules->failures > 0 && before < rules->failures && attempt->counted >= rules->failures;
}

/* --- with the store --- */

struct step {
    const struct eas_lockout_rules *rules;
    struct eas_lockout_attempt *attempt;
    apr_time_t now;
    enum eas_lockout_outcome outcome; /* in, for settling */
    enum eas_lockout_answer answer;   /* out, of admitting */
};

static bool admit(void *data, struct eas_shm_table_value *value)
{
    struct step *step = data;
    struct account account;
    bool changed;

    unpack(value, step->now, &account);
    changed = let_time_pass(&account, step->rules, step->now);
    step->answer = decide(&account, step->rules, step->attempt, step->now);
    if (!changed && step->answer != EAS_LOCKOUT_ASK) {
        return false; /* refusals leave no trace */
    }
    pack(&account, step->now, step->rules, value);
    return true;
}

static bool settle(void *data, struct eas_shm_table_value *value)
{
    struct step *step = data;
    struct account account;

    unpack(value, step->now, &account);
    let_time_pass(&account, step->rules, step->now);
    conclude(&account, step->rules, step->attempt, step->outcome, step->now);
    pack(&account, step->now, step->rules, value);
    return true;
}

enum eas_lockout_answer eas_lockout_admit(struct eas_shm_table *accounts,
                                          const struct eas_lockout_rules *rules,
                                          struct eas_lockout_attempt *attempt, apr_time_t now)
{
    struct step step = { rules, attempt, now, EAS_LOCKOUT_NO_ANSWER, EAS_LOCKOUT_BROKEN };

    if (rules->failures == 0 && rules->remember_for == 0) {
        attempt->id = 0;
        return EAS_LOCKOUT_ASK;
    }
    return eas_shm_table_update(accounts, attempt->account, now, admit, &step) ? step.answer
                                                                               : EAS_LOCKOUT_BROKEN;
}

void eas_lockout_finish(struct eas_shm_table *accounts, const struct eas_lockout_rules *rules,
                        struct eas_lockout_attempt *attempt, enum eas_lockout_outcome outcome,
                        apr_time_t now)
{
    struct step step = { rules, attempt, now, outcome, EAS_LOCKOUT_BROKEN };

    if (attempt->id == 0) {
        return;
    }
    eas_shm_table_update(accounts, attempt->account, now, settle, &step);
}
