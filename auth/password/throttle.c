/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/throttle.c - Log-on throttle: lockout, token buckets and known passwords */

#include "auth/password/throttle.h"
#include "auth/password/known_password.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <openssl/crypto.h>
#include <string.h>

/* How long the name cache keeps the AD user of a login name. */
#define NAME_FOR apr_time_from_sec(24 * 3600)

/* Size of the gateway's id in a password version as bytes. */
#define GATEWAY_ID_SIZE 8

/* Record of the name cache: the key of the AD user's lockout record, and a name for logs. */
struct name_record {
    unsigned char user[EAS_SHM_TABLE_KEY_SIZE];
    char label[EAS_NAME_MAX + 1];
};

/* The arguments of eas_throttle_begin(). */
struct context {
    const struct eas_throttle *throttle;
    apr_pool_t *pool;
    struct eas_job *job;
    const struct eas_throttle_request *request;
    struct eas_throttle_attempt *attempt;
    const char *spelling; /* of a name that another provider knows; "" for the KDC */
};

/* AD ignores letter case.  Other names that AD takes for the same have records of their own. */
static char *fold_case(apr_pool_t *pool, const char *text)
{
    char *copy = apr_pstrdup(pool, text), *p;

    for (p = copy; *p != '\0'; p++) {
        *p = (char)apr_tolower(*p);
    }
    return copy;
}

/* The key of a record for two texts. */
static enum eas_rc make_key(const struct eas_throttle *throttle, const char *label, const char *a,
                            const char *b, unsigned char key[EAS_SHM_TABLE_KEY_SIZE],
                            struct eas_err *err)
{
    const struct eas_bytes parts[] = { eas_bytes_of_text(label), eas_bytes_of_text(a),
                                       eas_bytes_of_text(b) };

    return eas_seal_mac(throttle->keyring, 0, EAS_SEAL_RECORD_NAME, parts, 3, key, err);
}

static enum eas_rc digest_password(const struct eas_throttle *throttle,
                                   const struct eas_secret *password, const char *spelling,
                                   struct eas_lockout_attempt *attempt, struct eas_err *err)
{
    const struct eas_bytes parts[] = { eas_bytes_of_text("password"),
                                       eas_bytes_make(attempt->user, sizeof(attempt->user)),
                                       eas_bytes_make(password->bytes, password->len),
                                       eas_bytes_of_text(spelling) };

    return eas_seal_mac(throttle->keyring, 0, EAS_SEAL_PASSWORD, parts, 4, attempt->digest, err);
}

/* --- AD user of a login name ------------------------------------------------------------------ */

/* The salt of AES keys in AD is the realm and the user's name.  Other salts are the label whole. */
static const char *label_of(apr_pool_t *pool, const char *salt, const struct eas_login *login)
{
    apr_size_t len = strlen(login->realm);

    return strncmp(salt, login->realm, len) == 0 && salt[len] != '\0'
               ? apr_pstrcat(pool, salt + len, "@", login->realm, NULL)
               : salt;
}

/* Asks the KDC for the salt.  A user without a salt is identified by the login name. */
static enum eas_rc learn_name(const struct context *ctx, const unsigned char *key,
                              struct name_record *record, struct eas_err *err)
{
    const struct eas_login *login = &ctx->request->log_on->login;
    const char *salt, *user = fold_case(ctx->pool, login->user);
    enum eas_rc rc = eas_password_salt(ctx->pool, ctx->job, ctx->request->log_on, &salt, err);

    if (rc == EAS_OK) {
        bool has_salt = *salt != '\0';

        rc = make_key(ctx->throttle, has_salt ? "salt" : "name",
                      has_salt ? fold_case(ctx->pool, salt) : user, "", record->user, err);
        apr_cpystrn(record->label, label_of(ctx->pool, has_salt ? salt : user, login),
                    sizeof(record->label));
    }
    if (rc == EAS_OK) {
        eas_shm_table_put(ctx->throttle->name_cache, key, record,
                          sizeof(record->user) + strlen(record->label),
                          ctx->attempt->asked_at + NAME_FOR);
    }
    return rc;
}

static bool find_name(const struct context *ctx, const unsigned char *key,
                      struct name_record *record)
{
    const unsigned char *value;
    apr_size_t len;

    if (!eas_shm_table_get(ctx->throttle->name_cache, ctx->pool, key, ctx->attempt->asked_at,
                           &value, &len)
        || len < sizeof(record->user) || len >= sizeof(*record)) {
        return false;
    }
    memset(record, 0, sizeof(*record));
    memcpy(record, value, len);
    return true;
}

/* --- password versions ------------------------------------------------------------------------ */

static _Atomic(apr_uint32_t) *version_of(const struct eas_throttle *throttle,
                                         const unsigned char *user)
{
    apr_uint32_t word;

    /* The hash of eas_shm_table takes the first eight bytes. */
    memcpy(&word, user + sizeof(apr_uint64_t), sizeof(word));
    return &throttle->password_versions[word % EAS_THROTTLE_PASSWORD_VERSIONS];
}

static bool make_gateway_id(const struct eas_throttle *throttle, unsigned char id[GATEWAY_ID_SIZE])
{
    unsigned char mac[EAS_SEAL_MAC_SIZE];
    struct eas_err ignored;

    if (make_key(throttle, "generations", "", "", mac, &ignored) != EAS_OK) {
        return false;
    }
    memcpy(id, mac, GATEWAY_ID_SIZE);
    return true;
}

/*
 * gateway id (8) | index of the counter (4) | value (4).  Integers have the byte order of this
 * machine, because only the gateway with this id reads them.
 */
void eas_throttle_write_version(const struct eas_throttle *throttle,
                                const struct eas_password_version *version,
                                unsigned char bytes_out[EAS_THROTTLE_VERSION_SIZE])
{
    apr_uint32_t index = 0;

    memset(bytes_out, 0, EAS_THROTTLE_VERSION_SIZE);
    if (version->current != NULL && make_gateway_id(throttle, bytes_out)) {
        index = (apr_uint32_t)(version->current - throttle->password_versions);
        memcpy(bytes_out + 8, &index, sizeof(index));
        memcpy(bytes_out + 12, &version->value, sizeof(version->value));
    }
}

bool eas_throttle_read_version(const struct eas_throttle *throttle,
                               const unsigned char bytes[EAS_THROTTLE_VERSION_SIZE],
                               struct eas_password_version *version_out)
{
    struct eas_password_version version = { NULL, 0 };
    unsigned char id[GATEWAY_ID_SIZE];
    apr_uint32_t index;

    if (!make_gateway_id(throttle, id)) {
        return false;
    }
    if (memcmp(id, bytes, sizeof(id)) == 0) {
        memcpy(&index, bytes + 8, sizeof(index));
        memcpy(&version.value, bytes + 12, sizeof(version.value));
        version.current = &throttle->password_versions[index % EAS_THROTTLE_PASSWORD_VERSIONS];
    }
    *version_out = version;
    return version.current == NULL || atomic_load(version.current) == version.value;
}

/* --- one attempt ------------------------------------------------------------------------------ */

static enum eas_rc refuse_address(struct eas_throttle_attempt *attempt, struct eas_err *err)
{
    attempt->state = EAS_THROTTLE_ADDRESS;
    return eas_fail(
        err, EAS_THROTTLED, 1303,
        "too many log-ons from this address have failed lately; this one was not verified");
}

static void take_token(const struct eas_throttle *throttle, const struct eas_throttle_rules *rules,
                       struct eas_throttle_attempt *attempt)
{
    if (rules->lockout.failures > 0
        && eas_address_limit_take(throttle->name_cache, &attempt->address_key, apr_time_now(),
                                  &attempt->bucket_empty_for)) {
        attempt->bucket_emptied_now = true;
    }
}

static enum eas_rc refuse_remembered(struct eas_throttle_attempt *attempt, struct eas_err *err)
{
    attempt->state = EAS_THROTTLE_REMEMBERED;
    switch (attempt->lockout.remembered) {
    case EAS_LOCKOUT_EXPIRED:
        return eas_fail(err, EAS_EXPIRED, 1305,
                        "the KDC said lately that this password has expired or must be changed; it "
                        "was not asked again");
    case EAS_LOCKOUT_ELSEWHERE:
        return eas_fail(err, EAS_UNKNOWN, 1306,
                        "the KDC did not know this user lately; it was not asked again");
    default:
        return eas_fail(err, EAS_DENIED, 1300,
                        "this password was refused lately, and was not verified again");
    }
}

static enum eas_rc admit(const struct context *ctx, struct eas_err *err)
{
    const struct eas_throttle_rules *rules = ctx->request->rules;
    struct eas_throttle_attempt *attempt = ctx->attempt;
    enum eas_lockout_answer answer =
        eas_lockout_admit(attempt->records, &rules->lockout, &attempt->lockout, attempt->asked_at);

    attempt->counted = attempt->lockout.counted;
    switch (answer) {
    case EAS_LOCKOUT_ASK:
        if (attempt->lockout.during_lockout) {
            attempt->state = rules->lockout.log_only ? EAS_THROTTLE_WOULD_LOCK : EAS_THROTTLE_KNOWN;
        }
        return EAS_OK;
    case EAS_LOCKOUT_REMEMBERED:
        return refuse_remembered(attempt, err);
    case EAS_LOCKOUT_LOCKED:
        attempt->state = EAS_THROTTLE_LOCKED;
        /* Else guesses would find the passwords that are remembered, which get another answer. */
        if (attempt->lockout.is_new_guess) {
            take_token(ctx->throttle, rules, attempt);
        }
        return eas_fail(err, EAS_THROTTLED, 1301,
                        "%u passwords of this name were refused lately; this one was not verified",
                        attempt->counted);
    case EAS_LOCKOUT_BUSY:
        attempt->busy = true;
        return eas_fail(err, EAS_UNAVAILABLE, 1302, "other log-ons with this name take too long");
    case EAS_LOCKOUT_BROKEN:
        break;
    }
    return eas_fail(err, EAS_UNAVAILABLE, 1304, "the table of wrong passwords cannot be used");
}

static bool is_known(const struct context *ctx)
{
    const struct eas_throttle_attempt *attempt = ctx->attempt;
    struct eas_known_password presented = { attempt->records, ctx->throttle->keyring,
                                            attempt->lockout.user, attempt->lockout.digest };

    return eas_known_password_is(&presented, ctx->pool, ctx->request->rules->known_for,
                                 attempt->asked_at);
}

/*
 * Admits the password, or refuses it, by the record with that key in one of the tables.  Without a
 * reservation, the digest is cleansed.
 */
static enum eas_rc check(const struct context *ctx, struct eas_shm_table *records,
                         const unsigned char *key, struct eas_err *err)
{
    struct eas_throttle_attempt *attempt = ctx->attempt;
    bool log_only = ctx->request->rules->lockout.log_only;
    enum eas_rc rc;

    attempt->records = records;
    memcpy(attempt->lockout.user, key, sizeof(attempt->lockout.user));
    rc = digest_password(ctx->throttle, ctx->request->log_on->password, ctx->spelling,
                         &attempt->lockout, err);
    if (rc != EAS_OK) {
        return rc;
    }
    attempt->lockout.known = is_known(ctx);
    attempt->lockout.for_change = ctx->request->for_change;
    if (attempt->bucket_was_empty) {
        attempt->state = attempt->lockout.known ? EAS_THROTTLE_KNOWN : EAS_THROTTLE_WOULD_ADDRESS;
    }
    rc = attempt->bucket_was_empty && !attempt->lockout.known && !log_only
             ? refuse_address(attempt, err)
             : admit(ctx, err);
    if (rc != EAS_OK) {
        OPENSSL_cleanse(attempt->lockout.digest, sizeof(attempt->lockout.digest));
    }
    return rc;
}

enum eas_lockout_outcome eas_throttle_outcome(const struct eas_throttle_rules *rules,
                                              enum eas_rc rc, const struct eas_err *err)
{
    switch (rc) {
    case EAS_OK:
        return EAS_LOCKOUT_RIGHT;
    case EAS_UNKNOWN:
        return rules->count_unknown_users ? EAS_LOCKOUT_WRONG : EAS_LOCKOUT_ELSEWHERE;
    case EAS_EXPIRED:
        return EAS_LOCKOUT_EXPIRED;
    case EAS_DENIED:
        return eas_password_was_wrong(err) ? EAS_LOCKOUT_WRONG : EAS_LOCKOUT_NOBODY;
    default:
        return EAS_LOCKOUT_NO_ANSWER;
    }
}

static void finish(const struct eas_throttle *throttle, const struct eas_throttle_rules *rules,
                   struct eas_throttle_attempt *attempt, enum eas_lockout_outcome outcome)
{
    bool charged = outcome != EAS_LOCKOUT_ELSEWHERE || rules->charge_unknown_users;

    eas_lockout_finish(attempt->records, &rules->lockout, &attempt->lockout, outcome,
                       apr_time_now());
    if (attempt->lockout.is_new_guess && charged) {
        take_token(throttle, rules, attempt);
    }
    if (attempt->lockout.id != 0) {
        attempt->counted = attempt->lockout.counted;
        attempt->locked_now = attempt->lockout.locked_now;
    }
    OPENSSL_cleanse(attempt->lockout.digest, sizeof(attempt->lockout.digest));
}

/* Counts an answer of the KDC by which there is no such user.  Another one may have come first. */
static enum eas_rc count_stranger(const struct context *ctx, const unsigned char *key,
                                  enum eas_rc answer, struct eas_err *err)
{
    const struct eas_throttle_rules *rules = ctx->request->rules;
    enum eas_lockout_outcome outcome = eas_throttle_outcome(rules, answer, err);
    struct eas_err refusal;
    enum eas_rc rc;

    if (outcome == EAS_LOCKOUT_NO_ANSWER) {
        return answer;
    }
    rc = check(ctx, ctx->throttle->strangers, key, &refusal);
    if (rc != EAS_OK) {
        *err = refusal;
        return rc;
    }
    finish(ctx->throttle, rules, ctx->attempt, outcome);
    return answer;
}

/* The key of a record about the login name.  Kinds of records have prefixes. */
static enum eas_rc make_login_key(const struct context *ctx, const char *prefix, unsigned char *key,
                                  struct eas_err *err)
{
    const struct eas_login *login = &ctx->request->log_on->login;
    const char *label =
        apr_pstrcat(ctx->pool, prefix, login->enterprise ? "enterprise" : "principal", NULL);

    return make_key(ctx->throttle, label, fold_case(ctx->pool, login->user),
                    fold_case(ctx->pool, login->realm), key, err);
}

/*
 * The same answer of the KDC is a wrong password where no provider follows, and none where another
 * provider may know the user.  So neither record may decide in place of the other.
 */
static const char *prefix_of_stranger(const struct eas_throttle_rules *rules)
{
    return rules->count_unknown_users ? "stranger " : "stranger elsewhere ";
}

/*
 * The AD user of a login name, from the name cache or from the KDC.  A name that the KDC gives no
 * salt for is counted as a user is, in a table of its own: so the answers to guesses do not tell
 * whether there is such a user.
 *
 * No reservation is kept meanwhile: AD locks no stranger, and a silent KDC would hold it.
 */
static enum eas_rc find_user(const struct context *ctx, struct name_record *record,
                             struct eas_err *err)
{
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE], stranger[EAS_SHM_TABLE_KEY_SIZE];
    enum eas_rc rc = make_login_key(ctx, "", key, err);

    if (rc != EAS_OK || find_name(ctx, key, record)) {
        return rc;
    }
    rc = make_login_key(ctx, prefix_of_stranger(ctx->request->rules), stranger, err);
    if (rc == EAS_OK) {
        rc = check(ctx, ctx->throttle->strangers, stranger, err);
    }
    if (rc == EAS_OK) {
        finish(ctx->throttle, ctx->request->rules, ctx->attempt, EAS_LOCKOUT_NO_ANSWER);
        rc = learn_name(ctx, key, record, err);
        if (rc != EAS_OK) {
            rc = count_stranger(ctx, stranger, rc, err);
        }
    }
    return rc;
}

static enum eas_rc start(const struct context *ctx, struct eas_err *err)
{
    struct eas_throttle_attempt *attempt = ctx->attempt;
    enum eas_rc rc;

    memset(attempt, 0, sizeof(*attempt));
    attempt->asked_at = apr_time_now();
    rc = eas_address_limit_key(ctx->throttle->keyring, ctx->request->address, &attempt->address_key,
                               err);
    attempt->bucket_was_empty =
        rc == EAS_OK && ctx->request->rules->lockout.failures > 0
        && !eas_address_limit_has_tokens(ctx->throttle->name_cache, &attempt->address_key,
                                         attempt->asked_at);
    return rc;
}

enum eas_rc eas_throttle_begin(const struct eas_throttle *throttle, apr_pool_t *pool,
                               struct eas_job *job, const struct eas_throttle_request *request,
                               struct eas_throttle_attempt *attempt, struct eas_err *err)
{
    const struct context ctx = { throttle, pool, job, request, attempt, "" };
    struct name_record record;
    enum eas_rc rc = start(&ctx, err);

    if (rc == EAS_OK) {
        rc = find_user(&ctx, &record, err);
    }
    if (rc == EAS_OK) {
        attempt->user = apr_pstrdup(pool, record.label);
        rc = check(&ctx, throttle->lockout_records, record.user, err);
    }
    /* A change that held the reservation until now has moved the version. */
    if (rc == EAS_OK) {
        attempt->version.current = version_of(throttle, record.user);
        attempt->version.value = atomic_load(attempt->version.current);
    }
    return rc;
}

enum eas_rc eas_throttle_begin_elsewhere(const struct eas_throttle *throttle, apr_pool_t *pool,
                                         const struct eas_throttle_request *request,
                                         struct eas_throttle_attempt *attempt, struct eas_err *err)
{
    const char *name = request->log_on->login.user;
    const struct context ctx = { throttle, pool, NULL, request, attempt, name };
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE];
    enum eas_rc rc = start(&ctx, err);

    if (rc == EAS_OK) {
        rc = make_key(throttle, "provider", fold_case(pool, name), request->vhost, key, err);
    }
    return rc == EAS_OK ? check(&ctx, throttle->strangers, key, err) : rc;
}

/* A changed password invalidates older entries of the password caches of all processes. */
static void learn_password(const struct eas_throttle *throttle, apr_pool_t *pool,
                           const struct eas_throttle_rules *rules,
                           struct eas_throttle_attempt *attempt)
{
    apr_interval_time_t keep_for =
        rules->known_for > rules->cache_for ? rules->known_for : rules->cache_for;
    struct eas_known_password verified = { attempt->records, throttle->keyring,
                                           attempt->lockout.user, attempt->lockout.digest };
    apr_uint32_t before = attempt->version.value;

    if (keep_for > 0 && eas_known_password_learn(&verified, pool, attempt->asked_at, keep_for)
        && attempt->version.current != NULL
        && atomic_compare_exchange_strong(attempt->version.current, &before, before + 1)) {
        attempt->version.value = before + 1;
    }
}

void eas_throttle_end(const struct eas_throttle *throttle, apr_pool_t *pool,
                      const struct eas_throttle_rules *rules, struct eas_throttle_attempt *attempt,
                      enum eas_lockout_outcome outcome)
{
    if (outcome == EAS_LOCKOUT_RIGHT) {
        learn_password(throttle, pool, rules, attempt);
    }
    finish(throttle, rules, attempt, outcome);
}

void eas_throttle_end_changed(const struct eas_throttle *throttle, apr_pool_t *pool,
                              const struct eas_throttle_rules *rules,
                              struct eas_throttle_attempt *attempt,
                              const struct eas_secret *new_password)
{
    struct eas_err ignored;
    enum eas_rc rc = digest_password(throttle, new_password, "", &attempt->lockout, &ignored);

    eas_throttle_end(throttle, pool, rules, attempt,
                     rc == EAS_OK ? EAS_LOCKOUT_RIGHT : EAS_LOCKOUT_NO_ANSWER);
}
