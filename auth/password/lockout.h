/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/lockout.h - how many wrong passwords of an account may reach the KDC, and which not again */

#ifndef EAS_AUTH_PASSWORD_LOCKOUT_H
#define EAS_AUTH_PASSWORD_LOCKOUT_H

#include "auth/base/seal.h"
#include "auth/base/shm_table.h"

#include <apr_time.h>
#include <stdbool.h>

/*
 * AD counts wrong passwords by account, forgets them when its observation window has passed since the
 * last one or a right one comes, and locks the account at its threshold ([MS-SAMR] 3.1.5.14.5,
 * [MS-ADTS] 3.1.1.4.5.37).  This does the same with a lower threshold, before asking, in memory that
 * all processes share and that outlives graceful restarts:
 *
 *  - An attempt is reserved before the KDC is asked, and given back when the password was right or
 *    nobody could say.  What AD may have counted is never more than what is counted here: wrong
 *    passwords and reservations together.  So many attempts at once reach it no oftener than one
 *    after the other.
 *  - When as many as allowed were wrong, nothing is asked any more until the window has passed since
 *    the last of them.  What is refused meanwhile is not counted, and so prolongs nothing.
 *  - A right password forgives the wrong ones that were known before it was asked about: AD may have
 *    seen others after it.  During a lockout it forgives nothing, lest whoever guesses be given new
 *    tries by the victim's phone.
 *  - A refused password is remembered; the same is refused without asking until its time is over or a
 *    password was right.  While one is being asked about, the same waits.
 *  - The last proved password (auth/password/known_password.h) may be asked about during a lockout, by one attempt at a
 *    time and until it was wrong once: so this adds one at most.
 *
 * A clock that steps back makes nothing last longer than it would from then on.  One that steps forward
 * ends things early, as it does everywhere.  A process that dies leaves reservations, which count as
 * wrong after two minutes.
 *
 * Thread-safe, without memory of its own.  `accounts` is a store that nothing else is kept in, and has
 * a record for each account that has been asked about lately, none for names that nobody has.
 */
struct eas_lockout_rules {
    unsigned failures;                /* so many may be wrong; 0: no lockout */
    apr_interval_time_t window;       /* above zero, where there is a lockout */
    bool log_only;                    /* ask nevertheless, but tell */
    apr_interval_time_t remember_for; /* a refused password; 0: not at all */
};

enum eas_lockout_answer {
    EAS_LOCKOUT_ASK,        /* the KDC may be asked; tell eas_lockout_finish() what it said */
    EAS_LOCKOUT_BUSY,       /* not before others of this account have been settled: try again */
    EAS_LOCKOUT_REMEMBERED, /* refused: AD has lately refused this very password */
    EAS_LOCKOUT_LOCKED,     /* refused: too many were wrong */
    EAS_LOCKOUT_BROKEN      /* the store is unusable: refuse */
};

enum eas_lockout_outcome {
    EAS_LOCKOUT_RIGHT,
    EAS_LOCKOUT_WRONG,
    EAS_LOCKOUT_NO_ANSWER /* the KDC did not answer, or spoke of something else than the password */
};

struct eas_lockout_attempt {
    unsigned char account[EAS_SHM_TABLE_KEY_SIZE]; /* in: which */
    unsigned char digest[EAS_SEAL_MAC_SIZE];       /* in: keyed, of the account and the password */
    bool known;                                    /* in: it is the last proved password */

    bool during_lockout; /* out: asked about because it is known, or because of log_only */
    unsigned counted;    /* out: how many wrong ones count now */
    bool locked_now;     /* out of eas_lockout_finish(): this was one too many */

    apr_uint64_t id; /* the reservation; 0: none was needed */
};

/* May the KDC be asked?  Reserves if so. */
enum eas_lockout_answer eas_lockout_admit(struct eas_shm_table *accounts,
                                          const struct eas_lockout_rules *rules,
                                          struct eas_lockout_attempt *attempt, apr_time_t now);

/* What came of it; once for each EAS_LOCKOUT_ASK. */
void eas_lockout_finish(struct eas_shm_table *accounts, const struct eas_lockout_rules *rules,
                        struct eas_lockout_attempt *attempt, enum eas_lockout_outcome outcome,
                        apr_time_t now);

#endif
