/* SPDX-License-Identifier: Apache-2.0 */
/* t/fuzz/fuzz_ticket.c - fuzz target of auth/kerberos/ticket and of records that hold a ticket */

#include "t/fuzz/fuzz.h"

#include "auth/password/credentials.h"
#include "auth/base/der.h"
#include "delegation/kerberos/token.h"
#include "delegation/ticket_cache.h"

#include <apr_encode.h>
#include <apr_strings.h>

#define CACHE_SIZE 65536
#define ALIVE_FOR apr_time_from_sec(300)
#define INPUT_MAX 4096

#define SECRET "the secret of all the runs, of forty-eight octets"

/* The shared cache holds these bytes under every name. */
static struct eas_bytes record;

static bool find(const struct eas_shared_cache *cache, apr_pool_t *pool, struct eas_bytes id,
                 enum eas_shared_cache_reach reach, struct eas_bytes *value, apr_time_t *expires)
{
    (void)cache, (void)id, (void)reach;
    value->at = apr_pmemdup(pool, record.at, record.len);
    value->len = record.len;
    *expires = apr_time_now() + ALIVE_FOR;
    return true;
}

static const struct eas_shared_cache shared_cache = { .find = find };

/* --- a ticket --------------------------------------------------------------------------------- */

static void check_times(const struct eas_ticket *ticket)
{
    apr_time_t end = eas_ticket_end(ticket), stale = eas_ticket_stale_at(ticket);

    check(eas_ticket_renew_at(ticket) <= stale && stale <= end && end - stale <= ALIVE_FOR);
    check(end >= 0);
}

/* A ticket is the same after it was kept, and so are its bytes. */
static void check_kept(apr_pool_t *pool, const struct eas_ticket *ticket)
{
    const unsigned char *kept, *again;
    apr_size_t kept_len, again_len;
    struct eas_ticket *copy;
    struct eas_err err;

    check(eas_ticket_marshal(ticket, pool, &kept, &kept_len, &err) == EAS_OK);
    copy = eas_ticket_unmarshal(kept, kept_len);
    check(copy != NULL && eas_ticket_same(ticket, copy));
    check(eas_ticket_end(copy) == eas_ticket_end(ticket)
          && eas_ticket_stale_at(copy) == eas_ticket_stale_at(ticket)
          && eas_ticket_forwardable(copy) == eas_ticket_forwardable(ticket));
    check(eas_ticket_marshal(copy, pool, &again, &again_len, &err) == EAS_OK);
    check(kept_len == again_len && memcmp(kept, again, kept_len) == 0);
    eas_ticket_unref(copy);
}

static bool contains(struct eas_bytes whole, const krb5_data *part)
{
    return part->length == 0 || memmem(whole.at, whole.len, part->data, part->length) != NULL;
}

/* One element of DER around the ticket. */
static void check_header(apr_pool_t *pool, const char *value, const krb5_creds *creds)
{
    apr_size_t len = 0;
    const unsigned char *octets;
    struct eas_bytes token, contents;

    check(strncmp(value, "Negotiate ", 10) == 0);
    octets = apr_pdecode_base64_binary(pool, value + 10, APR_ENCODE_STRING, APR_ENCODE_NONE, &len);
    token = eas_bytes_make(octets, len);
    check(octets != NULL && eas_der_enter_only(token, EAS_DER_APPLICATION(0), &contents));
    check(contains(contents, &creds->ticket));
}

/* A token has room for any names and any ticket, or is refused; no reply fits it. */
static void check_token(apr_pool_t *pool, struct eas_ticket *ticket)
{
    struct eas_token_maker *maker = eas_token_maker_create(pool);
    const struct eas_token_request request = { .by = EAS_TOKEN_NATIVE, .ticket = ticket };
    struct eas_token token = { NULL, NULL };
    struct eas_err err = { EAS_OK, 0, "" };
    enum eas_rc rc = eas_token_make(maker, pool, &request, &token, &err);

    check(rc == EAS_OK ? token.value != NULL : err.rc == rc && err.tag != 0);
    if (rc == EAS_OK) {
        check_header(pool, token.value, eas_ticket_creds(ticket));
        check(eas_token_verify(pool, token.pending, "Negotiate oYGV", &err) == EAS_BACKEND);
    }
}

static void check_ticket(apr_pool_t *pool, struct eas_bytes bytes)
{
    struct eas_ticket *ticket = eas_ticket_unmarshal(bytes.at, bytes.len);

    if (ticket != NULL) {
        eas_ticket_to_pool(ticket, pool);
        check_times(ticket);
        check_kept(pool, ticket);
        check_token(pool, ticket);
        check(eas_ticket_size(ticket) < bytes.len + 4096);
    }
}

/* --- a record of the ticket cache ------------------------------------------------------------- */

/* The cache holds that ticket afterwards, until it is stale. */
static void check_found(struct eas_ticket_cache *cache, const struct eas_ticket *ticket,
                        apr_time_t now)
{
    struct eas_ticket_cache_query query = { .key = eas_bytes_of_text("k"), .spn = "HTTP/cas1" };
    struct eas_ticket *found = NULL;
    struct eas_err err = { EAS_OK, 0, "" };
    enum eas_ticket_cache_state state = eas_ticket_cache_find(cache, &query, now, &found, &err);

    check(state == (found != NULL ? EAS_TICKET_CACHE_HIT : EAS_TICKET_CACHE_NOTHING));
    check((found != NULL) == (now < eas_ticket_stale_at(ticket)));
    check(found == NULL || eas_ticket_same(found, ticket));
    if (found != NULL) {
        query.refused = ticket;
        eas_ticket_unref(found);
        state = eas_ticket_cache_find(cache, &query, now, &found, &err);
        check(found == NULL
              && (state == EAS_TICKET_CACHE_NOTHING
                  || (state == EAS_TICKET_CACHE_REFUSED && err.tag == 2110)));
    }
}

static void check_cache(apr_pool_t *pool, struct eas_bytes input)
{
    apr_time_t now = (apr_time_t)(fuzz_number(&input, 7) >> 4);
    apr_time_t ends_after = now + apr_time_from_sec(fuzz_octet(&input));
    struct eas_ticket_cache *cache = eas_ticket_cache_create(pool, CACHE_SIZE, &shared_cache);
    struct eas_bytes rest = input;
    struct eas_ticket *ticket;
    bool loaded;

    record = input;
    loaded = eas_ticket_cache_load(cache, pool, eas_bytes_of_text("k"), EAS_SHARED_CACHE_LOCAL,
                                   ends_after, now);
    fuzz_take(&rest, sizeof(apr_time_t));
    ticket = eas_ticket_unmarshal(rest.at, rest.len);
    check(loaded == (ticket != NULL && eas_ticket_end(ticket) > ends_after));
    if (loaded) {
        check_found(cache, ticket, now);
    }
    eas_ticket_unref(ticket);
}

/* --- a record of a verified password ---------------------------------------------------------- */

static const struct eas_throttle *make_throttle(void)
{
    static _Atomic(apr_uint32_t) versions[EAS_THROTTLE_PASSWORD_VERSIONS];
    static struct eas_throttle throttle = { .password_versions = versions };
    const struct eas_secret *key;
    struct eas_keyring *ring = NULL;
    struct eas_err err;
    apr_pool_t *lasting;

    if (throttle.keyring == NULL) {
        check(apr_pool_create(&lasting, NULL) == APR_SUCCESS);
        key = eas_secret_make(lasting, SECRET, 48);
        check(eas_seal_keyring_create(lasting, &key, 1, &ring, &err) == EAS_OK);
        throttle.keyring = ring;
    }
    return &throttle;
}

/* The log-on of a name that reaches no KDC: only the record can let it in. */
static struct eas_identity *log_on(apr_pool_t *pool)
{
    static const struct eas_authority authority = { .realms = { .default_realm = "TEST" } };
    struct eas_verifier verifier = { .shared_cache = &shared_cache, .throttle = make_throttle() };
    struct eas_credentials credentials = { "a/b", 3, eas_secret_make(pool, "secret", 6) };
    struct eas_throttle_rules rules = { .cache_for = ALIVE_FOR };
    struct eas_credentials_request request = { &authority, "vhost", &credentials,
                                               &rules,     "::1",   false };
    struct eas_credentials_result result = { .waited = 0 };
    struct eas_err err = { EAS_OK, 0, "" };
    enum eas_rc rc;

    check(eas_password_cache_create(pool, CACHE_SIZE, (const unsigned char *)SECRET,
                                    &verifier.cache, &err)
          == EAS_OK);
    rc = eas_credentials_check(&verifier, pool, &request, &result, &err);
    check((rc == EAS_OK) == (result.identity != NULL) && (rc == EAS_OK || rc == EAS_DENIED));
    return result.identity;
}

/* The record, behind a version: a name, NUL, a ticket. */
static void check_password(apr_pool_t *pool, struct eas_bytes input)
{
    bool is_ours = fuzz_octet(&input) % 2 == 1, is_current = true;
    struct eas_password_version version = { &make_throttle()->password_versions[0], 0 };
    struct eas_identity *identity;
    const unsigned char *nul;
    unsigned char *octets = apr_pmemdup(pool, input.at, input.len);

    if (is_ours && input.len >= EAS_THROTTLE_VERSION_SIZE) {
        version.value = octets[0] % 2; /* the counter is 0 */
        is_current = version.value == 0;
        eas_throttle_write_version(make_throttle(), &version, octets);
    }
    record = eas_bytes_make(octets, input.len);
    identity = log_on(pool);
    if (identity == NULL) {
        return;
    }
    check(is_current && input.len > EAS_THROTTLE_VERSION_SIZE);
    fuzz_take(&input, EAS_THROTTLE_VERSION_SIZE);
    nul = memchr(input.at, '\0', input.len);
    check(nul != NULL && strcmp(identity->principal, (const char *)input.at) == 0);
    check(identity->authenticated_by == EAS_BY_CACHE && identity->evidence != NULL);
}

static void fuzz(apr_pool_t *pool, struct eas_bytes input)
{
    unsigned how = fuzz_octet(&input) % 3;

    setenv("KRB5_CONFIG", "/dev/null", 1);
    if (input.len > INPUT_MAX) {
        return;
    }
    if (how == 0) {
        check_ticket(pool, input);
    }
    else if (how == 1) {
        check_cache(pool, input);
    }
    else {
        check_password(pool, input);
    }
}
