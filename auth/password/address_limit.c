/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/address_limit.c - Token bucket of failed log-ons for each client address */

#include "auth/password/address_limit.h"

#include <arpa/inet.h>
#include <string.h>

/* Octets of an IPv6 /64. */
#define IPV6_PREFIX 8

/* The time that an empty bucket takes to fill. */
#define FILL_TIME (EAS_ADDRESS_LIMIT_BURST * EAS_ADDRESS_LIMIT_REFILL)

/* With the largest debt.  Log-ons that were admitted at the same time may take more than is there. */
#define DEBT_TIME (2 * FILL_TIME)

/* The whole record: a full bucket needs none, so it expires at full_at. */
struct bucket {
    apr_time_t full_at;
    apr_time_t written_at; /* later than now by more than a refill: the clock has stepped back */
};

/* The octets that tell client addresses apart; 0 if the text is no address. */
static apr_size_t prefix_of(const char *address, unsigned char octets[16])
{
    static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
    char plain[INET6_ADDRSTRLEN];
    apr_size_t len = strcspn(address, "%");

    if (len >= sizeof(plain)) {
        return 0;
    }
    memcpy(plain, address, len);
    plain[len] = '\0';
    if (inet_pton(AF_INET, plain, octets) == 1) {
        return 4;
    }
    if (inet_pton(AF_INET6, plain, octets) != 1) {
        return 0;
    }
    if (memcmp(octets, mapped, sizeof(mapped)) == 0) {
        memmove(octets, octets + sizeof(mapped), 4);
        return 4;
    }
    return IPV6_PREFIX;
}

enum eas_rc eas_address_limit_key(const struct eas_keyring *keyring, const char *address,
                                  struct eas_address_limit_key *key_out, struct eas_err *err)
{
    unsigned char octets[16];
    struct eas_bytes parts[] = { eas_bytes_of_text("source"),
                                 { octets, prefix_of(address, octets) } };

    return eas_seal_mac(keyring, 0, EAS_SEAL_RECORD_NAME, parts, 2, key_out->bytes, err);
}

static struct bucket read_bucket(const struct eas_shm_table_value *value, apr_time_t now)
{
    struct bucket bucket = { now, now };

    if (value->len == sizeof(bucket)) {
        memcpy(&bucket, value->bytes, sizeof(bucket));
    }
    return bucket;
}

static bool clock_stepped_back(const struct bucket *bucket, apr_time_t now)
{
    return bucket->written_at > now + EAS_ADDRESS_LIMIT_REFILL;
}

/* The time until the bucket is full.  A record from before a clock step is at most empty. */
static apr_interval_time_t time_to_full(const struct bucket *bucket, apr_time_t now)
{
    apr_interval_time_t most = clock_stepped_back(bucket, now) ? FILL_TIME : DEBT_TIME;

    return bucket->full_at <= now ? 0 : bucket->full_at - now > most ? most : bucket->full_at - now;
}

static apr_interval_time_t time_to_token(apr_interval_time_t until_full)
{
    apr_interval_time_t left = until_full + EAS_ADDRESS_LIMIT_REFILL - FILL_TIME;

    return left > 0 ? left : 0;
}

static bool holds_token(apr_interval_time_t until_full)
{
    return time_to_token(until_full) == 0;
}

struct query {
    apr_time_t now;
    bool result;
    apr_interval_time_t empty_for;
};

static void write_bucket(struct eas_shm_table_value *value, apr_interval_time_t until_full,
                         apr_time_t now)
{
    struct bucket bucket = { now + until_full, now };

    memcpy(value->bytes, &bucket, sizeof(bucket));
    value->len = sizeof(bucket);
    value->expires = bucket.full_at;
}

/* An empty bucket from before a clock step fills from now on, also where all are refused. */
static bool has_token(void *data, struct eas_shm_table_value *value)
{
    struct query *query = data;
    struct bucket bucket = read_bucket(value, query->now);
    apr_interval_time_t until_full = time_to_full(&bucket, query->now);

    query->result = holds_token(until_full);
    if (!clock_stepped_back(&bucket, query->now)) {
        return false;
    }
    write_bucket(value, until_full, query->now);
    return true;
}

static bool take_token(void *data, struct eas_shm_table_value *value)
{
    struct query *query = data;
    struct bucket bucket = read_bucket(value, query->now);
    apr_interval_time_t before = time_to_full(&bucket, query->now);
    apr_interval_time_t after = before + EAS_ADDRESS_LIMIT_REFILL;

    after = after < DEBT_TIME ? after : DEBT_TIME;
    query->result = holds_token(before) && !holds_token(after);
    query->empty_for = time_to_token(after);
    write_bucket(value, after, query->now);
    return true;
}

bool eas_address_limit_has_tokens(struct eas_shm_table *buckets,
                                  const struct eas_address_limit_key *key, apr_time_t now)
{
    struct query query = { .now = now, .result = true };

    eas_shm_table_update(buckets, key->bytes, now, has_token, &query);
    return query.result;
}

bool eas_address_limit_take(struct eas_shm_table *buckets, const struct eas_address_limit_key *key,
                            apr_time_t now, apr_interval_time_t *empty_for_out)
{
    struct query query = { .now = now };

    eas_shm_table_update(buckets, key->bytes, now, take_token, &query);
    *empty_for_out = query.empty_for;
    return query.result;
}
