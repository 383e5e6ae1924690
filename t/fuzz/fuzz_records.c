/* SPDX-License-Identifier: Apache-2.0 */
/* t/fuzz/fuzz_records.c - fuzz target of auth/password: known_password, address_limit */

#include "t/fuzz/fuzz.h"

#include "auth/password/address_limit.h"
#include "auth/password/known_password.h"

#include <apr_strings.h>
#include <arpa/inet.h>

#define TABLE_SIZE 16384
#define STEPS 32
#define USERS 2
#define KEEP_FOR apr_time_from_sec(30 * 86400)
#define EXCHANGE_MAX apr_time_from_sec(120)
#define START apr_time_from_sec(1000000000)

static const struct eas_keyring *make_keyring(void)
{
    static const char bytes[] = "0123456789abcdef0123456789abcdef";
    static struct eas_keyring *ring;
    const struct eas_secret *secret;
    struct eas_err err;
    apr_pool_t *pool;

    if (ring == NULL) {
        check(apr_pool_create(&pool, NULL) == APR_SUCCESS);
        secret = eas_secret_make(pool, bytes, sizeof(bytes) - 1);
        check(eas_seal_keyring_create(pool, &secret, 1, &ring, &err) == EAS_OK);
    }
    return ring;
}

static struct eas_shm_table *make_table(void *memory)
{
    check(memory != NULL);
    memset(memory, 0, TABLE_SIZE);
    eas_shm_table_format(memory, TABLE_SIZE);
    return eas_shm_table_attach(memory, TABLE_SIZE);
}

/* --- the known password, against a model ------------------------------------------------------ */

/* The record of a user; a record whose bytes were changed is none. */
struct known {
    bool set;
    unsigned digest;
    apr_time_t asked_at;
    struct eas_bytes bytes; /* as they are in the table */
};

struct run {
    apr_pool_t *pool;
    struct eas_shm_table *table;
    apr_time_t now;
    struct known users[USERS];
};

static void make_user(unsigned char user[EAS_SHM_TABLE_KEY_SIZE], unsigned id)
{
    memset(user, 'a' + (int)id, EAS_SHM_TABLE_KEY_SIZE);
}

/* The key of the record is the user's complement, so that it is not the lockout record's. */
static void make_key(unsigned char key[EAS_SHM_TABLE_KEY_SIZE], unsigned id)
{
    memset(key, ~('a' + (int)id), EAS_SHM_TABLE_KEY_SIZE);
}

static bool get(struct run *run, unsigned id, struct eas_bytes *bytes)
{
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE];

    make_key(key, id);
    return eas_shm_table_get(run->table, run->pool, key, run->now, &bytes->at, &bytes->len);
}

static void put(struct run *run, unsigned id, struct eas_bytes bytes)
{
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE];

    make_key(key, id);
    check(eas_shm_table_put(run->table, key, bytes.at, bytes.len, APR_INT64_MAX));
}

static void learn(struct run *run, unsigned id, unsigned digest, apr_time_t asked_at)
{
    unsigned char user[EAS_SHM_TABLE_KEY_SIZE], mac[EAS_SEAL_MAC_SIZE];
    struct eas_known_password verified = { run->table, make_keyring(), user, mac };
    struct known *known = &run->users[id];
    bool late =
        known->set && known->asked_at > asked_at && known->asked_at - asked_at < EXCHANGE_MAX;
    bool same = known->set && known->digest == digest, learnt;

    make_user(user, id);
    memset(mac, (int)digest, sizeof(mac));
    learnt = eas_known_password_learn(&verified, run->pool, asked_at, KEEP_FOR);
    check(learnt == (!late && !same));
    if (learnt || (!late && asked_at - known->asked_at >= KEEP_FOR / 16)) {
        *known = (struct known){ true, digest, asked_at, { NULL, 0 } };
        check(get(run, id, &known->bytes));
    }
}

static void check_known(struct run *run, unsigned id, unsigned digest, apr_time_t known_for)
{
    unsigned char user[EAS_SHM_TABLE_KEY_SIZE], mac[EAS_SEAL_MAC_SIZE];
    struct eas_known_password presented = { run->table, make_keyring(), user, mac };
    const struct known *known = &run->users[id];

    make_user(user, id);
    memset(mac, (int)digest, sizeof(mac));
    check(eas_known_password_is(&presented, run->pool, known_for, run->now)
          == (known->set && known->digest == digest && known_for > 0
              && run->now - known->asked_at < known_for));
}

/* Bytes of the input, of the other user, or of the record with other bits or another length. */
static void change(struct run *run, unsigned id, struct eas_bytes *input)
{
    struct known *known = &run->users[id];
    struct eas_bytes bytes = run->users[!id].bytes;
    unsigned how = fuzz_octet(input) % 4, bits;
    unsigned char *octets;

    if (how == 0 || known->bytes.len == 0 || bytes.len == 0) {
        bytes = fuzz_take(input, fuzz_octet(input));
    }
    else if (how == 1) {
        octets = apr_pmemdup(run->pool, known->bytes.at, known->bytes.len);
        bits = fuzz_octet(input);
        octets[fuzz_octet(input) % known->bytes.len] ^= (unsigned char)(bits > 0 ? bits : 1);
        bytes = eas_bytes_make(octets, known->bytes.len);
    }
    else if (how == 2) {
        bytes = eas_bytes_make(known->bytes.at, fuzz_octet(input) % known->bytes.len);
    }
    put(run, id, bytes);
    known->set = false;
}

static void step(struct run *run, struct eas_bytes *input)
{
    unsigned what = fuzz_octet(input), id = what / 8 % USERS, digest = what / 16 % 3;

    switch (what % 8) {
    case 0:
        change(run, id, input);
        break;
    case 1:
        run->now += apr_time_from_sec(fuzz_number(input, 2) % 0x8000);
        break;
    case 2:
    case 3:
        learn(run, id, digest, run->now - apr_time_from_sec(fuzz_octet(input)));
        break;
    default:
        check_known(run, id, digest, apr_time_from_sec(fuzz_octet(input)) * 64);
    }
}

static void check_passwords(apr_pool_t *pool, struct eas_bytes input)
{
    void *memory = malloc(TABLE_SIZE);
    struct run run = { .pool = pool, .table = make_table(memory), .now = START };
    unsigned n_steps = 0;

    while (input.len > 0 && n_steps++ < STEPS) {
        step(&run, &input);
    }
    free(memory);
}

/* --- the bucket of an address ----------------------------------------------------------------- */

/* Of the octets that stand for the address; 0 if it is none. */
static size_t prefix_of(const char *address, unsigned char octets[16])
{
    char plain[64] = "";

    if (strcspn(address, "%") >= sizeof(plain)) {
        return 0;
    }
    memcpy(plain, address, strcspn(address, "%"));
    if (inet_pton(AF_INET, plain, octets) == 1) {
        return 4;
    }
    if (inet_pton(AF_INET6, plain, octets) != 1) {
        return 0;
    }
    if (IN6_IS_ADDR_V4MAPPED((struct in6_addr *)octets)) {
        memmove(octets, octets + 12, 4);
        return 4;
    }
    return 8;
}

static struct eas_address_limit_key key_of(const char *address)
{
    struct eas_address_limit_key key;
    struct eas_err err;

    check(eas_address_limit_key(make_keyring(), address, &key, &err) == EAS_OK);
    return key;
}

/* Two addresses have one key exactly if their prefixes are the same. */
static void check_keys(apr_pool_t *pool, struct eas_bytes input)
{
    const char *one = fuzz_text(pool, &input), *two = fuzz_text(pool, &input);
    struct eas_address_limit_key a = key_of(one), b = key_of(two);
    unsigned char c[16] = { 0 }, d[16] = { 0 };
    size_t len = prefix_of(one, c);
    bool same = len == prefix_of(two, d) && memcmp(c, d, len) == 0;

    check((memcmp(a.bytes, b.bytes, sizeof(a.bytes)) == 0) == same);
}

/* Any bytes as the bucket, then failures: none is admitted beyond the tokens and their refill. */
static void check_bucket(struct eas_bytes input)
{
    void *memory = malloc(TABLE_SIZE);
    struct eas_shm_table *table = make_table(memory);
    struct eas_address_limit_key key = { "the key of an address" };
    apr_time_t now = START + apr_time_from_sec(fuzz_octet(&input)), begin = now;
    struct eas_bytes bytes = fuzz_take(&input, fuzz_octet(&input) % 12);
    unsigned admitted = 0, n_steps = 0;

    check(eas_shm_table_put(table, key.bytes, bytes.at, bytes.len, APR_INT64_MAX));
    check(eas_address_limit_has_tokens(table, &key, now) || bytes.len == sizeof(apr_time_t));
    while (input.len > 0 && n_steps++ < STEPS) {
        unsigned what = fuzz_octet(&input), n = what / 2;

        for (now += what % 2 ? apr_time_from_sec(n) : 0; what % 2 == 0 && n > 0; n--) {
            bool has = eas_address_limit_has_tokens(table, &key, now);
            apr_interval_time_t empty_for = 0;
            bool emptied = has && eas_address_limit_take(table, &key, now, &empty_for);

            admitted += has;
            check(!emptied || !eas_address_limit_has_tokens(table, &key, now));
            check(emptied == (empty_for > 0));
        }
    }
    check(admitted <= EAS_ADDRESS_LIMIT_BURST + (now - begin) / EAS_ADDRESS_LIMIT_REFILL);
    check(eas_address_limit_has_tokens(table, &key, now + EAS_ADDRESS_LIMIT_REFILL));
    free(memory);
}

static void fuzz(apr_pool_t *pool, struct eas_bytes input)
{
    unsigned how = fuzz_octet(&input) % 3;

    if (how == 0) {
        check_passwords(pool, input);
    }
    else if (how == 1) {
        check_bucket(input);
    }
    else {
        check_keys(pool, input);
    }
}
