/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/throttle.c - what stands between a password and the KDC: lockout, budgets, what is known */

#include "auth/password/throttle.h"
#include "auth/password/known_password.h"

#include <apr_atomic.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <openssl/crypto.h>
#include <string.h>

/* How long a spelling is believed to mean an account. */
#define SPELLING_FOR apr_time_from_sec(24 * 3600)

/* A spelling's record: the account's name in the store, and what to call it in a log. */
struct spelling {
    unsigned char account[EAS_SHM_TABLE_KEY_SIZE];
    char label[EAS_NAME_MAX + 1];
};

/* AD does not tell letter case apart; what else it takes for the same has records of its own. */
static char *folded(apr_pool_t *pool, const char *text)
{
    char *copy = apr_pstrdup(pool, text), *p;

    for (p = copy; *p != '\0'; p++) {
        *p = (char)apr_tolower(*p);
    }
    return copy;
}

static enum eas_rc digest(const struct eas_throttle *guard, enum eas_seal_purpose purpose,
                          const char *label, const void *a, apr_size_t a_len, const void *b,
                          apr_size_t b_len, unsigned char out[EAS_SEAL_MAC_SIZE],
                          struct eas_err *err)
{
    struct eas_bytes parts[] = { eas_bytes_of_text(label), { a, a_len }, { b, b_len } };

    return eas_seal_mac(guard->keyring, 0, purpose, parts, 3, out, err);
}

/* The name that the salt of AES keys in AD spells, REALM and name, else all of the salt. */
static const char *label_of(apr_pool_t *pool, const char *salt, const struct eas_login *login)
{
    apr_size_t len = strlen(login->realm);

    return strncmp(salt, login->realm, len) == 0 && salt[len] != '\0'
               ? apr_pstrcat(pool, salt + len, "@", login->realm, NULL)
               : salt;
}

/* Asks the KDC whom the name means, and keeps the answer if it means somebody. */
static enum eas_rc learn_spelling(apr_pool_t *pool, struct eas_job *job,
                                  const struct eas_throttle *guard,
                                  const struct eas_authority *authority,
                                  const struct eas_login *login, const unsigned char *name,
                                  apr_time_t now, struct spelling *spelling, struct eas_err *err)
{
    const char *salt, *user = folded(pool, login->user);
    enum eas_rc rc = eas_password_salt(pool, job, authority, login, &salt, err);

    if (rc == EAS_OK) {
        const char *shared = *salt != '\0' ? folded(pool, salt) : user;

        rc = digest(guard, EAS_SEAL_RECORD_NAME, *salt != '\0' ? "salt" : "name", shared,
                    strlen(shared), "", 0, spelling->account, err);
        apr_cpystrn(spelling->label, label_of(pool, *salt != '\0' ? salt : user, login),
                    sizeof(spelling->label));
    }
    if (rc == EAS_OK) {
        eas_shm_table_put(guard->hints, name, spelling,
                          sizeof(spelling->account) + strlen(spelling->label), now + SPELLING_FOR);
    }
    return rc;
}

static bool find_spelling(apr_pool_t *pool, const struct eas_throttle *guard,
                          const unsigned char *name, apr_time_t now, struct spelling *spelling)
{
    const unsigned char *value;
    apr_size_t len;

    if (!eas_shm_table_get(guard->hints, pool, name, now, &value, &len)
        || len < sizeof(spelling->account) || len >= sizeof(*spelling)) {
        return false;
    }
    memset(spelling, 0, sizeof(*spelling));
    memcpy(spelling, value, len);
    return true;
}

static enum eas_rc refuse_source(struct eas_throttle_attempt *attempt, struct eas_err *err)
{
    attempt->state = EAS_THROTTLE_ADDRESS;
    return eas_fail(err, EAS_DENIED, 1303,
                    "the KDC was not asked: too many log-ons from this address have failed lately");
}

static void charge(const struct eas_throttle *guard, const struct eas_throttle_rules *rules,
                   struct eas_throttle_attempt *attempt)
{
    if (rules->lockout.failures > 0) {
        attempt->source_spent_now =
            eas_address_limit_take(guard->hints, &attempt->source, apr_time_now());
    }
}

/* Whose account is it?  A stranger's names are not looked up for an address that has spent its budget. */
static enum eas_rc find_account(apr_pool_t *pool, struct eas_job *job,
                                const struct eas_throttle *guard,
                                const struct eas_throttle_rules *rules,
                                const struct eas_authority *authority,
                                const struct eas_login *login, bool spent,
                                struct eas_throttle_attempt *attempt, struct eas_err *err)
{
    const char *user = folded(pool, login->user), *realm = folded(pool, login->realm);
    unsigned char name[EAS_SHM_TABLE_KEY_SIZE];
    struct spelling spelling;
    enum eas_rc rc =
        digest(guard, EAS_SEAL_RECORD_NAME, login->enterprise ? "enterprise" : "principal", user,
               strlen(user), realm, strlen(realm), name, err);

    if (rc == EAS_OK && !find_spelling(pool, guard, name, attempt->asked_at, &spelling)) {
        if (spent && !rules->lockout.log_only) {
            return refuse_source(attempt, err);
        }
        rc = learn_spelling(pool, job, guard, authority, login, name, attempt->asked_at, &spelling,
                            err);
        if (rc == EAS_UNKNOWN && rules->charge_unknown) {
            charge(guard, rules, attempt);
        }
    }
    if (rc == EAS_OK) {
        memcpy(attempt->lockout.account, spelling.account, sizeof(spelling.account));
        attempt->account = apr_pstrdup(pool, spelling.label);
    }
    return rc;
}

static volatile apr_uint32_t *generation_of(const struct eas_throttle *guard,
                                            const unsigned char *account)
{
    apr_uint32_t word;

    memcpy(&word, account + sizeof(apr_uint64_t), sizeof(word)); /* the store goes by the first */
    return &guard->generations[word % EAS_THROTTLE_PASSWORD_VERSIONS];
}

/* Which gateway's generations a stamp speaks of. */
static bool gateway_id(const struct eas_throttle *guard, unsigned char id[8])
{
    unsigned char mac[EAS_SEAL_MAC_SIZE];
    struct eas_err ignored;

    if (digest(guard, EAS_SEAL_RECORD_NAME, "generations", "", 0, "", 0, mac, &ignored) != EAS_OK) {
        return false;
    }
    memcpy(id, mac, 8);
    return true;
}

/* gateway (8) | place (4) | value (4), in this machine's order: who reads the rest has the first. */
void eas_throttle_write_version(const struct eas_throttle *guard,
                                const struct eas_password_version *stamp,
                                unsigned char bytes_out[EAS_THROTTLE_VERSION_SIZE])
{
    apr_uint32_t place = 0;

    memset(bytes_out, 0, EAS_THROTTLE_VERSION_SIZE);
    if (stamp->current != NULL && gateway_id(guard, bytes_out)) {
        place = (apr_uint32_t)(stamp->current - guard->generations);
        memcpy(bytes_out + 8, &place, sizeof(place));
        memcpy(bytes_out + 12, &stamp->value, sizeof(stamp->value));
    }
}

bool eas_throttle_read_version(const struct eas_throttle *guard,
                               const unsigned char bytes[EAS_THROTTLE_VERSION_SIZE],
                               struct eas_password_version *stamp_out)
{
    struct eas_password_version stamp = { NULL, 0 };
    unsigned char id[8];
    apr_uint32_t place;

    if (!gateway_id(guard, id)) {
        return false;
    }
    if (memcmp(id, bytes, sizeof(id)) == 0) {
        memcpy(&place, bytes + 8, sizeof(place));
        memcpy(&stamp.value, bytes + 12, sizeof(stamp.value));
        stamp.current = &guard->generations[place % EAS_THROTTLE_PASSWORD_VERSIONS];
    }
    *stamp_out = stamp;
    return stamp.current == NULL || apr_atomic_read32(stamp.current) == stamp.value;
}

static enum eas_rc admit(const struct eas_throttle *guard, const struct eas_throttle_rules *rules,
                         struct eas_throttle_attempt *attempt, struct eas_err *err)
{
    enum eas_lockout_answer answer =
        eas_lockout_admit(guard->accounts, &rules->lockout, &attempt->lockout, attempt->asked_at);

    attempt->counted = attempt->lockout.counted;
    switch (answer) {
    case EAS_LOCKOUT_ASK:
        if (attempt->lockout.during_lockout) {
            attempt->state = rules->lockout.log_only ? EAS_THROTTLE_WOULD_LOCK : EAS_THROTTLE_KNOWN;
        }
        return EAS_OK;
    case EAS_LOCKOUT_REMEMBERED:
        attempt->state = EAS_THROTTLE_REMEMBERED;
        return eas_fail(err, EAS_DENIED, 1300,
                        "the KDC was not asked: it has refused this same password lately");
    case EAS_LOCKOUT_LOCKED:
        attempt->state = EAS_THROTTLE_LOCKED;
        return eas_fail(err, EAS_DENIED, 1301,
                        "the KDC was not asked: %u wrong passwords of this account lately",
                        attempt->counted);
    case EAS_LOCKOUT_BUSY:
        attempt->busy = true;
        return eas_fail(err, EAS_UNAVAILABLE, 1302,
                        "the KDC takes too long over other log-ons of this account");
    case EAS_LOCKOUT_BROKEN:
        break;
    }
    return eas_fail(err, EAS_UNAVAILABLE, 1304, "the memory of wrong passwords cannot be used");
}

enum eas_rc eas_throttle_begin(apr_pool_t *pool, struct eas_job *job,
                               const struct eas_throttle *guard,
                               const struct eas_throttle_rules *rules,
                               const struct eas_authority *authority, const struct eas_login *login,
                               const struct eas_secret *password, const char *address,
                               struct eas_throttle_attempt *attempt, struct eas_err *err)
{
    bool spent = false;
    enum eas_rc rc;

    memset(attempt, 0, sizeof(*attempt));
    attempt->asked_at = apr_time_now();
    rc = eas_address_limit_key(guard->keyring, address, &attempt->source, err);
    if (rc == EAS_OK) {
        spent = rules->lockout.failures > 0
                && !eas_address_limit_has_tokens(guard->hints, &attempt->source, attempt->asked_at);
        rc = find_account(pool, job, guard, rules, authority, login, spent, attempt, err);
    }
    if (rc == EAS_OK) {
        rc = digest(guard, EAS_SEAL_PASSWORD, "password", attempt->lockout.account,
                    EAS_SHM_TABLE_KEY_SIZE, password->bytes, password->len, attempt->lockout.digest,
                    err);
    }
    if (rc != EAS_OK) {
        return rc;
    }
    attempt->lockout.known =
        eas_known_password_is(guard->accounts, guard->keyring, pool, attempt->lockout.account,
                              attempt->lockout.digest, rules->known_for, attempt->asked_at);
    if (spent && !attempt->lockout.known) {
        if (!rules->lockout.log_only) {
            OPENSSL_cleanse(attempt->lockout.digest, sizeof(attempt->lockout.digest));
            return refuse_source(attempt, err);
        }
        attempt->state = EAS_THROTTLE_WOULD_ADDRESS;
    }
    else if (spent) {
        attempt->state = EAS_THROTTLE_KNOWN;
    }
    attempt->stamp.current = generation_of(guard, attempt->lockout.account);
    attempt->stamp.value = apr_atomic_read32(generation_of(guard, attempt->lockout.account));
    rc = admit(guard, rules, attempt, err);
    if (rc != EAS_OK) {
        OPENSSL_cleanse(attempt->lockout.digest, sizeof(attempt->lockout.digest));
    }
    return rc;
}

/* If it is a new one, whatever was proved before is over, in all processes. */
static void learn_password(apr_pool_t *pool, const struct eas_throttle *guard,
                           const struct eas_throttle_rules *rules,
                           struct eas_throttle_attempt *attempt)
{
    apr_interval_time_t keep_for =
        rules->known_for > rules->proved_for ? rules->known_for : rules->proved_for;
    volatile apr_uint32_t *generation = generation_of(guard, attempt->lockout.account);
    apr_uint32_t before = attempt->stamp.value;

    if (keep_for > 0
        && eas_known_password_learn(guard->accounts, guard->keyring, pool, attempt->lockout.account,
                                    attempt->lockout.digest, attempt->asked_at, keep_for)
        && apr_atomic_cas32(generation, before + 1, before) == before) {
        attempt->stamp.value = before + 1;
    }
}

void eas_throttle_end(apr_pool_t *pool, const struct eas_throttle *guard,
                      const struct eas_throttle_rules *rules, struct eas_throttle_attempt *attempt,
                      enum eas_rc rc, const struct eas_err *err)
{
    enum eas_lockout_outcome outcome = rc == EAS_OK                  ? EAS_LOCKOUT_RIGHT
                                       : eas_password_was_wrong(err) ? EAS_LOCKOUT_WRONG
                                                                     : EAS_LOCKOUT_NO_ANSWER;

    if (outcome == EAS_LOCKOUT_RIGHT) {
        learn_password(pool, guard, rules, attempt);
    }
    else if (outcome == EAS_LOCKOUT_WRONG || (rc == EAS_UNKNOWN && rules->charge_unknown)) {
        charge(guard, rules, attempt);
    }
    eas_lockout_finish(guard->accounts, &rules->lockout, &attempt->lockout, outcome,
                       apr_time_now());
    if (attempt->lockout.id != 0) {
        attempt->counted = attempt->lockout.counted;
        attempt->locked_now = attempt->lockout.locked_now;
    }
    OPENSSL_cleanse(attempt->lockout.digest, sizeof(attempt->lockout.digest));
}
