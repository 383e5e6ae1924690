/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/address_limit.c - a budget of failures for each address that log-ons come from */

#include "auth/password/address_limit.h"

#include <arpa/inet.h>
#include <string.h>

#define SUBSCRIBER 8 /* octets of an IPv6 address: /64 */

/* Until when a budget is not full: so the record is all there is, and it ends by itself. */
struct budget {
    apr_time_t full_at;
};

#define EMPTY_FOR (EAS_ADDRESS_LIMIT_BURST * EAS_ADDRESS_LIMIT_REFILL)

/* The octets that tell sources apart; 0 if it is no address. */
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
    return SUBSCRIBER;
}

enum eas_rc eas_address_limit_key(const struct eas_keyring *ring, const char *address,
                                  struct eas_address_limit_key *source_out, struct eas_err *err)
{
    unsigned char octets[16];
    struct eas_bytes parts[] = { eas_bytes_of_text("source"),
                                 { octets, prefix_of(address, octets) } };

    return eas_seal_mac(ring, 0, EAS_SEAL_RECORD_NAME, parts, 2, source_out->name, err);
}

/* How far a budget is from full; one noted before the clock stepped back is empty at most. */
static apr_interval_time_t missing(const struct eas_shm_table_value *value, apr_time_t now)
{
    struct budget budget;

    if (value->len != sizeof(budget)) {
        return 0;
    }
    memcpy(&budget, value->bytes, sizeof(budget));
    return budget.full_at <= now              ? 0
           : budget.full_at - now > EMPTY_FOR ? EMPTY_FOR
                                              : budget.full_at - now;
}

static bool left(apr_interval_time_t lacking)
{
    return lacking + EAS_ADDRESS_LIMIT_REFILL <= EMPTY_FOR;
}

struct look {
    apr_time_t now;
    bool answer;
};

static bool look(void *data, struct eas_shm_table_value *value)
{
    struct look *l = data;

    l->answer = left(missing(value, l->now));
    return false;
}

static bool charge(void *data, struct eas_shm_table_value *value)
{
    struct look *l = data;
    apr_interval_time_t before = missing(value, l->now), after = before + EAS_ADDRESS_LIMIT_REFILL;
    struct budget budget = { l->now + (after < EMPTY_FOR ? after : EMPTY_FOR) };

    l->answer = left(before) && !left(after);
    memcpy(value->bytes, &budget, sizeof(budget));
    value->len = sizeof(budget);
    value->expires = budget.full_at;
    return true;
}

bool eas_address_limit_has_tokens(struct eas_shm_table *sources,
                                  const struct eas_address_limit_key *source, apr_time_t now)
{
    struct look l = { now, true };

    eas_shm_table_update(sources, source->name, now, look, &l);
    return l.answer;
}

bool eas_address_limit_take(struct eas_shm_table *sources,
                            const struct eas_address_limit_key *source, apr_time_t now)
{
    struct look l = { now, false };

    eas_shm_table_update(sources, source->name, now, charge, &l);
    return l.answer;
}
