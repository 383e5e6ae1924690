/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/throttle.h - Log-on throttle: lockout, token buckets and known passwords */

#ifndef EAS_AUTH_PASSWORD_THROTTLE_H
#define EAS_AUTH_PASSWORD_THROTTLE_H

#include "auth/password/address_limit.h"
#include "auth/password/lockout.h"
#include "auth/password/password.h"
#include "auth/password/password_cache.h"

#include <stdatomic.h>

/*
 * Shared memory of all processes of the gateway, and the keyring of its digests.  Both outlive
 * graceful restarts.  The configuration does not change the keyring, because a new secret would
 * make all counted failures unreachable.  Read-only; valid in every thread and process.
 */
struct eas_throttle {
    const struct eas_keyring *keyring;

    /* Lockout records and known passwords.  No other record may evict these. */
    struct eas_shm_table *lockout_records;

    /*
     * The same of names that the KDC gives no salt for, and of users of other providers.  Records
     * may be lost; AD locks none of these.
     */
    struct eas_shm_table *strangers;

    /* Login names and token buckets of client addresses.  Records may be lost. */
    struct eas_shm_table *name_cache;

    /*
     * EAS_THROTTLE_PASSWORD_VERSIONS counters.  A counter changes with each change of a password
     * that a log-on shows, which invalidates older entries of the password cache.  AD users whose
     * records have the same hash have one counter in common.
     */
    _Atomic(apr_uint32_t) *password_versions;
};

#define EAS_THROTTLE_PASSWORD_VERSIONS 65536

struct eas_throttle_rules {
    struct eas_lockout_rules lockout; /* with this gateway's share of EasKcdLockout */
    unsigned gateways;                /* with a share each */
    apr_interval_time_t known_for;    /* EasKcdKnownPasswords; 0: off */
    apr_interval_time_t cache_for;    /* EasKcdPasswordCache; 0: off */
    bool count_unknown_users;         /* false where another provider may know such a user */
    bool charge_unknown_users;        /* false where that provider charges them itself */
};

/* Result of the throttle, for logs. */
enum eas_throttle_state {
    EAS_THROTTLE_NONE,
    EAS_THROTTLE_REMEMBERED,   /* refused: this password was refused lately */
    EAS_THROTTLE_LOCKED,       /* refused: too many wrong passwords of the name */
    EAS_THROTTLE_ADDRESS,      /* refused: too many failures of the client address */
    EAS_THROTTLE_KNOWN,        /* asked despite one of the last two: the known password */
    EAS_THROTTLE_WOULD_LOCK,   /* log-only: asked instead of EAS_THROTTLE_LOCKED */
    EAS_THROTTLE_WOULD_ADDRESS /* log-only: asked instead of EAS_THROTTLE_ADDRESS */
};

struct eas_throttle_request {
    const struct eas_password_request *log_on;
    const struct eas_throttle_rules *rules;
    const char *address; /* of the client */
    const char *vhost;   /* for another provider: the name of the virtual host, and its port */
    bool for_change;     /* an expired password may be changed: that it was refused is no answer */
};

struct eas_throttle_attempt {
    enum eas_throttle_state state;
    const char *user;        /* name of the AD user for logs, from the salt; NULL: not known */
    unsigned counted;        /* refused passwords of the name that count now */
    bool locked_now;         /* this refused password reached the limit */
    bool bucket_emptied_now; /* this failure took the last token of the client address */
    apr_interval_time_t bucket_empty_for; /* after this failure; 0: the address has a token */
    bool busy; /* try again later, after another look into the password cache */
    struct eas_password_version
        version; /* for eas_password_cache_put(), after eas_throttle_end() */

    /* Of the throttle alone. */
    struct eas_address_limit_key address_key;
    bool bucket_was_empty;
    struct eas_shm_table *records; /* with the reservation */
    struct eas_lockout_attempt lockout;
    apr_time_t asked_at;
};

/*
 * Decides whether the KDC is asked about a password.  The caller has found no entry in the password
 * cache.  For a login name that is not in the name cache, one message to the KDC gets the salt.
 * The name cache keeps the result for a day.  Runs on the thread of the job.
 *
 * EAS_OK: the caller asks, and then calls eas_throttle_end() whatever the result is.  EAS_DENIED,
 * EAS_UNKNOWN or EAS_EXPIRED: refused, as this password was lately.  EAS_THROTTLED: refused by a
 * count, which does not tell whether the password is right.  The client sees no difference between
 * users and names that nobody has.  An address without tokens gets EAS_THROTTLED for all passwords
 * but the known one; otherwise its guesses could find those that are remembered.
 *
 * EAS_UNAVAILABLE with attempt->busy: other log-ons of the user are under way, and the caller tries
 * again while it can wait.  Other errors are those of eas_password_salt().  *attempt is always set;
 * its user is in pool.
 */
enum eas_rc eas_throttle_begin(const struct eas_throttle *throttle, apr_pool_t *pool,
                               struct eas_job *job, const struct eas_throttle_request *request,
                               struct eas_throttle_attempt *attempt, struct eas_err *err);

/*
 * The same before a password is put to another provider than the KDC.  Of the log-on, it reads the
 * name, as typed, and the password.  The count is that of the virtual host, whose provider may know
 * other users than the next one's.  Sends no message; runs on any thread.
 */
enum eas_rc eas_throttle_begin_elsewhere(const struct eas_throttle *throttle, apr_pool_t *pool,
                                         const struct eas_throttle_request *request,
                                         struct eas_throttle_attempt *attempt, struct eas_err *err);

/* The outcome of a result of eas_password_verify(); its error is read unless it is EAS_OK. */
enum eas_lockout_outcome eas_throttle_outcome(const struct eas_throttle_rules *rules,
                                              enum eas_rc rc, const struct eas_err *err);

/* Ends an attempt that was admitted. */
void eas_throttle_end(const struct eas_throttle *throttle, apr_pool_t *pool,
                      const struct eas_throttle_rules *rules, struct eas_throttle_attempt *attempt,
                      enum eas_lockout_outcome outcome);

/*
 * Ends an attempt whose password the user has changed: as for a right one, which is the new one from
 * now on.  The old one is remembered no longer, and entries of the password cache with it are void.
 */
void eas_throttle_end_changed(const struct eas_throttle *throttle, apr_pool_t *pool,
                              const struct eas_throttle_rules *rules,
                              struct eas_throttle_attempt *attempt,
                              const struct eas_secret *new_password);

/*
 * A password version as bytes, for records of the shared cache.  Counters belong to one gateway:
 * the version of another gateway's record stays current until the record expires.
 */
#define EAS_THROTTLE_VERSION_SIZE 16

void eas_throttle_write_version(const struct eas_throttle *throttle,
                                const struct eas_password_version *version,
                                unsigned char bytes_out[EAS_THROTTLE_VERSION_SIZE]);

/* False if the version is no longer current, or if it cannot be read. */
bool eas_throttle_read_version(const struct eas_throttle *throttle,
                               const unsigned char bytes[EAS_THROTTLE_VERSION_SIZE],
                               struct eas_password_version *version_out);

#endif
