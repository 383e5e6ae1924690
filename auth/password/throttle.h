/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/throttle.h - what stands between a password and the KDC: lockout, budgets, what is known */

#ifndef EAS_AUTH_PASSWORD_THROTTLE_H
#define EAS_AUTH_PASSWORD_THROTTLE_H

#include "auth/password/lockout.h"
#include "auth/password/password_cache.h"
#include "auth/password/password.h"
#include "auth/password/address_limit.h"

/*
 * The memory that all processes of the gateway share and that outlives graceful restarts, and the keys
 * of its digests, which do too and which no configuration changes: else to exchange a secret would be
 * to forget all guesses.  Read-only; good in every thread and process.
 */
struct eas_throttle {
    const struct eas_keyring *keyring;
    struct eas_shm_table *
        accounts; /* auth/password/lockout.h and auth/password/known_password.h; nothing else may push these out */
    struct eas_shm_table
        *hints; /* spellings of names, and auth/password/address_limit.h: may be lost */

    /*
     * Counts how often the password of an account was seen to have changed; accounts share the
     * places by their digest.  What was remembered as proved before counts no more.
     */
    volatile apr_uint32_t *generations; /* EAS_THROTTLE_PASSWORD_VERSIONS of them */
};

#define EAS_THROTTLE_PASSWORD_VERSIONS 65536

struct eas_throttle_rules {
    struct eas_lockout_rules lockout;
    apr_interval_time_t known_for;  /* EasKcdKnownPasswords; 0: off */
    apr_interval_time_t proved_for; /* how long auth/password/password_cache.h remembers */
    bool charge_unknown; /* false where somebody else may know those whom the KDC does not */
};

/* What was done with an attempt besides asking, for logs. */
enum eas_throttle_state {
    EAS_THROTTLE_NONE,
    EAS_THROTTLE_REMEMBERED,   /* refused: this very password was refused lately */
    EAS_THROTTLE_LOCKED,       /* refused: too many were wrong */
    EAS_THROTTLE_ADDRESS,      /* refused: too many failures from this address */
    EAS_THROTTLE_KNOWN,        /* asked although one of the last two, as the last proved password */
    EAS_THROTTLE_WOULD_LOCK,   /* log-only: asked, and would have been EAS_THROTTLE_LOCKED */
    EAS_THROTTLE_WOULD_ADDRESS /* log-only: asked, and would have been EAS_THROTTLE_ADDRESS */
};

struct eas_throttle_attempt {
    enum eas_throttle_state state;
    const char *account; /* whose, as the KDC calls it, near enough for a log; NULL if not known */
    unsigned counted;    /* wrong passwords of the account that count now */
    bool locked_now;     /* this was one too many */
    bool source_spent_now; /* this was the last that the address had */
    bool busy;             /* not now; look again whether the password is proved, then try again */
    struct eas_password_version stamp; /* for eas_password_cache_put(), after eas_throttle_end() */

    struct eas_address_limit_key source;
    struct eas_lockout_attempt lockout;
    apr_time_t asked_at;
};

/*
 * May the KDC be asked about the password of that user, which comes from the address?  Asks it for one message
 * the salt of a name that is spelt so for the first time (in a day).  Whoever has just looked for a
 * proved password and found none calls this.
 *
 * EAS_OK: ask, and then call eas_throttle_end(), always.  EAS_DENIED, EAS_UNKNOWN: refused, from outside
 * all alike.  EAS_UNAVAILABLE: the KDC or we cannot tell; with attempt->busy, others ask about this
 * account just now, and the caller tries again while it can wait.  All else as
 * eas_password_salt().  attempt is filled in always; its account is in pool.
 */
enum eas_rc eas_throttle_begin(apr_pool_t *pool, struct eas_job *job,
                               const struct eas_throttle *guard,
                               const struct eas_throttle_rules *rules,
                               const struct eas_authority *authority, const struct eas_login *login,
                               const struct eas_secret *password, const char *address,
                               struct eas_throttle_attempt *attempt, struct eas_err *err);

/*
 * A stamp as bytes, for records that other processes find; whether what it stamps is still good here.
 * A generation is a gateway's own: to what another one has stamped, only time sets an end.
 */
#define EAS_THROTTLE_VERSION_SIZE 16

void eas_throttle_write_version(const struct eas_throttle *guard,
                                const struct eas_password_version *stamp,
                                unsigned char bytes_out[EAS_THROTTLE_VERSION_SIZE]);
bool eas_throttle_read_version(const struct eas_throttle *guard,
                               const unsigned char bytes[EAS_THROTTLE_VERSION_SIZE],
                               struct eas_password_version *stamp_out);

/* What eas_password_verify() returned, and its error unless that is EAS_OK. */
void eas_throttle_end(apr_pool_t *pool, const struct eas_throttle *guard,
                      const struct eas_throttle_rules *rules, struct eas_throttle_attempt *attempt,
                      enum eas_rc rc, const struct eas_err *err);

#endif
