/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/lockout.h - Lockout of AD users after wrong passwords, ahead of that of AD */

#ifndef EAS_AUTH_PASSWORD_LOCKOUT_H
#define EAS_AUTH_PASSWORD_LOCKOUT_H

#include "auth/base/seal.h"
#include "auth/base/shm_table.h"

#include <apr_time.h>
#include <stdbool.h>

/*
 * AD counts wrong passwords by user, and locks the user at its threshold.  It resets the count
 * after a right password, or when its observation window has passed since the last wrong one
 * ([MS-SAMR] 3.1.5.14.5, [MS-ADTS] 3.1.1.4.5.37).  This lockout does the same with a lower
 * threshold, before the KDC is asked, in shared memory that outlives graceful restarts:
 *
 *  - An attempt is reserved before the KDC is asked.  The reservation ends without effect if the
 *    password is right, or if the KDC gives no answer.  AD never counts more than the wrong
 *    passwords and the reservations here together, so concurrent attempts gain nothing over
 *    sequential ones.
 *  - At the limit, the KDC is not asked until the window has passed since the last wrong password.
 *    Refusals meanwhile count nothing, so they do not prolong the lockout.
 *  - A right password forgives the wrong ones counted before its reservation, because AD may have
 *    seen others after it.  During a lockout it forgives nothing; otherwise each log-on of the
 *    victim's phone would admit new guesses.
 *  - A refused password is remembered, and refused again without the KDC, until its time is over or
 *    a later password was right.  While it counts, it is remembered in any case: AD would count it
 *    again.  So devices with less old passwords than the limit lock nobody, however long they try.
 *    While the KDC is asked about a password, further attempts with it wait.
 *  - A refusal for another reason, such as a disabled account, counts too, and is remembered for
 *    five minutes.  AD does not count it, so the KDC may be asked again.  It counts here because a
 *    client could tell such accounts from others by their answers.
 *  - The known password (auth/password/known_password.h) is admitted during a lockout, one attempt
 *    at a time and until it was wrong once.  That adds at most one wrong password.
 *
 * After a clock step back, nothing lasts longer from then on than it would from the start.  A step
 * forward ends times early.  The reservations of a process that died count as wrong after two
 * minutes.
 *
 * Thread-safe, without memory of its own.  A table holds these records and the known passwords
 * only.  There is a record for each user about whom there was a question lately.  Names that AD
 * does not know have records of the same kind in a table of their own, so that they evict none.
 */
struct eas_lockout_rules {
    unsigned failures;                /* limit of wrong passwords; 0: no lockout */
    apr_interval_time_t window;       /* above zero, where there is a lockout */
    bool log_only;                    /* ask the KDC nevertheless, and log */
    apr_interval_time_t remember_for; /* least time of a refused password */
};

enum eas_lockout_answer {
    EAS_LOCKOUT_ASK,        /* the KDC may be asked; eas_lockout_finish() takes the outcome */
    EAS_LOCKOUT_BUSY,       /* other attempts of the user must finish first; try again */
    EAS_LOCKOUT_REMEMBERED, /* refused: attempt->remembered was the outcome lately */
    EAS_LOCKOUT_LOCKED,     /* refused: too many wrong passwords */
    EAS_LOCKOUT_BROKEN      /* refused: the table is unusable */
};

enum eas_lockout_outcome {
    EAS_LOCKOUT_RIGHT,
    EAS_LOCKOUT_WRONG,
    EAS_LOCKOUT_NOBODY,    /* refused whatever the password is: disabled, locked in AD */
    EAS_LOCKOUT_EXPIRED,   /* right, but to be changed; counts nothing */
    EAS_LOCKOUT_ELSEWHERE, /* another provider may know the user; remembered, counts nothing */
    EAS_LOCKOUT_NO_ANSWER  /* no answer of the KDC, or an error that is not about the user */
};

struct eas_lockout_attempt {
    unsigned char user[EAS_SHM_TABLE_KEY_SIZE]; /* in: key of the user's record */
    unsigned char digest[EAS_SEAL_MAC_SIZE];    /* in: keyed, of the user and the password */
    bool known;                                 /* in: it is the known password */
    bool for_change;                            /* in: one that has expired may be changed */

    bool during_lockout; /* out: admitted as the known password, or because of log_only */
    unsigned counted;    /* out: refused passwords that count now */
    bool locked_now;     /* out of eas_lockout_finish(): this one reached the limit */
    bool is_new_guess;   /* out: not a repetition, and no right password so far */
    enum eas_lockout_outcome remembered; /* out, with EAS_LOCKOUT_REMEMBERED */

    apr_uint64_t id; /* of the reservation; 0: none */
};

/* Decides whether the KDC may be asked, and reserves the attempt if so. */
enum eas_lockout_answer eas_lockout_admit(struct eas_shm_table *records,
                                          const struct eas_lockout_rules *rules,
                                          struct eas_lockout_attempt *attempt, apr_time_t now);

/* Ends the reservation.  Called once after each EAS_LOCKOUT_ASK. */
void eas_lockout_finish(struct eas_shm_table *records, const struct eas_lockout_rules *rules,
                        struct eas_lockout_attempt *attempt, enum eas_lockout_outcome outcome,
                        apr_time_t now);

/*
 * Ends a lockout, by an administrator: the wrong passwords count no more.  They are refused without
 * a question as long as before.  False if the table has no record with that key.
 */
bool eas_lockout_forgive(struct eas_shm_table *records,
                         const unsigned char user[EAS_SHM_TABLE_KEY_SIZE], apr_time_t now);

#endif
