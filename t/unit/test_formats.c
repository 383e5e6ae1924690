/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_formats.c - formats that an upgrade keeps, as version 0.1.0 wrote them */

#include "t/unit/seals.h"

#include "auth/kerberos/ticket.h"
#include "auth/login/session.h"
#include "auth/password/lockout_record.h"

/*
 * A text here never changes.  A format that does gets a new number, and an entry of its own here;
 * build/doc/operating.md (UPGRADE) states for how long the older one is read.
 */

#define ALICE "alice@CORP.EXAMPLE.COM"
#define SECONDS(n) apr_time_from_sec((apr_time_t)(n))
#define NOW (SECONDS(1800000000) + 123456)

/* With the secret "a…". */
static const char cookie_1[] =
    "AsLzR7msYSHixphkgNnp-mmp4CdFzcOkxi-g6iMo_ih7-rbyhvIJuhX8YQTUPi7rV_dlHKww_JXo3mzWUm7V"
    "1_BpV7ehB5dS4dpadoh_oliMD5kpXQjgYfjNAJsUhNP4IwO9GShzq8b_7ujvvHzU";

static void test_cookie(void **state)
{
    static const struct eas_session_limits limits[2] = {
        { .idle = SECONDS(900), .max = SECONDS(3600) },
        { .idle = SECONDS(28800), .max = SECONDS(86400) },
    };
    const struct eas_session_params params = { ring_of(*state, "ba"), VHOST, limits };
    struct eas_session *session;
    struct eas_err err;

    assert_int_equal(eas_session_unseal(&params, *state, cookie_1, NOW, &session, &err), EAS_OK);
    assert_memory_equal(session->id, "0123456789abcdef", EAS_SESSION_ID_SIZE);
    assert_string_equal(session->principal, ALICE);
    assert_true(session->is_private && session->has_evidence);
    assert_int_equal(session->started, NOW);
    assert_int_equal(session->seen, NOW + SECONDS(60));
    assert_int_equal(session->end, NOW + SECONDS(86400));
}

/* Of the time before which a user's sessions are void: 1 is the number of the kind. */
static void test_name_of_a_record(void **state)
{
    static const unsigned char kind = 1;
    const struct eas_bytes parts[] = { { &kind, 1 }, eas_bytes_of_text(ALICE) };
    const struct eas_keyring *ring = ring_of(*state, "a");
    unsigned char name[EAS_SEAL_MAC_SIZE];
    struct eas_err err;

    assert_int_equal(eas_seal_mac(ring, 0, EAS_SEAL_RECORD_NAME, parts, 2, name, &err), EAS_OK);
    assert_string_equal(eas_seal_to_text(*state, name, sizeof(name)),
                        "jCUWEofzUZhQC8IT5dYOW_eZTgnhd_CKELuGzd7lr3E");
}

/* Bytes as `xxd -p` writes them; spaces separate the fields. */
static struct eas_bytes of_hex(apr_pool_t *pool, const char *hex)
{
    unsigned char *bytes = apr_palloc(pool, strlen(hex));
    apr_size_t len = 0;

    for (; *hex != '\0'; hex++) {
        if (*hex != ' ') {
            char digits[] = { hex[0], hex[1], '\0' };

            bytes[len++] = (unsigned char)strtoul(digits, NULL, 16);
            hex++;
        }
    }
    return eas_bytes_make(bytes, len);
}

/* libkrb5's format 4 of a credentials cache. */
static const char ticket_4[] =
    "00000001 00000001 00000004 54455354 00000005 616c696365 " /* client */
    "00000001 00000002 00000004 54455354 00000004 48545450 00000004 63617331 "
    "0012 00000020 6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b "
    "000003e8 000007d0 00000bb8 00000000 00 40000000 00000000 00000000 " /* times, flags */
    "00000014 6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b 00000000";

static void test_ticket(void **state)
{
    const struct eas_bytes bytes = of_hex(*state, ticket_4);
    struct eas_ticket *ticket = eas_ticket_unmarshal(bytes.at, bytes.len);
    const unsigned char *written;
    struct eas_err err;
    apr_size_t len;

    assert_non_null(ticket);
    eas_ticket_to_pool(ticket, *state);
    assert_int_equal(eas_ticket_end(ticket), SECONDS(3000));
    assert_true(eas_ticket_forwardable(ticket));
    assert_int_equal(eas_ticket_creds(ticket)->ticket.length, 20);
    assert_int_equal(eas_ticket_creds(ticket)->keyblock.length, 32);
    /* The version before may read what this one writes. */
    assert_int_equal(eas_ticket_marshal(ticket, *state, &written, &len, &err), EAS_OK);
    assert_int_equal(len, bytes.len);
    assert_memory_equal(written, bytes.at, len);
}

/* In the memory of one machine, so in its byte order; this is that of most. */
static const char lockout_2[] =
    "02000000 0000 0100 00000000 00000000 "
    "0700000000000000 0300000000000000 0100000000000000 40629a2817650600 00d2496b00000000 "
    "0000000000000000 0000000000000000 0000000000000000 0000000000000000 "
    "40629a2817650600 00e9a43500000000 0300000000000000 00000000 00000000 "
    "6464646464646464646464646464646464646464646464646464646464646464";

static void test_lockout(void **state)
{
    const struct eas_bytes bytes = of_hex(*state, lockout_2);
    struct eas_shm_table_value value = { .len = bytes.len };
    struct eas_lockout_record record;

    if (APR_IS_BIGENDIAN) {
        skip();
    }
    memcpy(value.bytes, bytes.at, bytes.len);
    eas_lockout_record_unpack(&value, NOW, &record);
    assert_int_equal(record.h.next_id, 7);
    assert_int_equal(record.h.failed, 3);
    assert_int_equal(record.h.forgiven, 1);
    assert_int_equal(record.h.last, NOW);
    assert_int_equal(record.h.window, SECONDS(1800));
    assert_int_equal(record.refused[0].at, NOW);
    assert_int_equal(record.refused[0].lasts, SECONDS(900));
    assert_int_equal(record.refused[0].failure, 3);
    assert_int_equal(record.refused[0].digest[31], 'd');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_cookie),
        POOL_TEST(test_name_of_a_record),
        POOL_TEST(test_ticket),
        POOL_TEST(test_lockout),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
