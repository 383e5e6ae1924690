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
    struct eas_lockout_rules lockout;
    apr_interval_time_t known_for; /* EasKcdKnownPasswords; 0: off */
    apr_interval_time_t cache_for; /* EasKcdPasswordCache; 0: off */
    bool count_unknown_users;      /* false where another provider may know such a user */
};

/* Result of the throttle, for logs. */
enum eas_throttle_state {
    EAS_THROTTLE_NONE,
    EAS_THROTTLE_REMEMBERED,   /* refused: the KDC refused this password lately */
    EAS_THROTTLE_LOCKED,       /* refused: too many wrong passwords of the user */
    EAS_THROTTLE_ADDRESS,      /* refused: too many failures of the client address */
    EAS_THROTTLE_KNOWN,        /* asked despite one of the last two: the known password */
    EAS_THROTTLE_WOULD_LOCK,   /* log-only: asked instead of EAS_THROTTLE_LOCKED */
    EAS_THROTTLE_WOULD_ADDRESS /* log-only: asked instead of EAS_THROTTLE_ADDRESS */
};

struct eas_throttle_request {
    const struct eas_password_request *log_on;
    const struct eas_throttle_rules *rules;
    const char *address; /* of the client */
};

struct eas_throttle_attempt {
    enum eas_throttle_state state;
    const char *user;        /* name of the AD user for logs, from the salt; NULL: not known */
    unsigned counted;        /* wrong passwords of the user that count now */
    bool locked_now;         /* this wrong password reached the limit */
    bool bucket_emptied_now; /* this failure took the last token of the client address */
    bool busy;               /* try again later, after another look into the password cache */
    struct eas_password_version
        version; /* for eas_password_cache_put(), after eas_throttle_end() */

    /* Of the throttle alone. */
    struct eas_address_limit_key address_key;
    struct eas_lockout_attempt lockout;
    apr_time_t asked_at;
};

/*
 * Decides whether the KDC is asked about a password.  The caller has found no entry in the password
 * cache.  For a login name that is not in the name cache, one message to the KDC gets the salt.
 * The name cache keeps the result for a day.  Runs on the thread of the job.
 *
 * EAS_OK: the caller asks, and then calls eas_throttle_end() whatever the result is.  EAS_DENIED or
 * EAS_UNKNOWN: refused; the client sees no difference.  EAS_UNAVAILABLE with attempt->busy: other
 * log-ons of the user are under way, and the caller tries again while it can wait.  Other errors
 * are those of eas_password_salt().  *attempt is always set; its user is in pool.
 */
enum eas_rc eas_throttle_begin(const struct eas_throttle *throttle, apr_pool_t *pool,
                               struct eas_job *job, const struct eas_throttle_request *request,
                               struct eas_throttle_attempt *attempt, struct eas_err *err);

/* Takes the result of eas_password_verify(), and its error unless that is EAS_OK. */
void eas_throttle_end(const struct eas_throttle *throttle, apr_pool_t *pool,
                      const struct eas_throttle_rules *rules, struct eas_throttle_attempt *attempt,
                      enum eas_rc rc, const struct eas_err *err);

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
