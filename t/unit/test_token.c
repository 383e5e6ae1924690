/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_token.c - tokens, as the service that accepts them reads them */

#include "t/unit/tokens.h"

#include "delegation/kerberos/ap.h"

#define FLAGS                                                                      \
    (GSS_C_MUTUAL_FLAG | GSS_C_REPLAY_FLAG | GSS_C_SEQUENCE_FLAG | GSS_C_CONF_FLAG \
     | GSS_C_INTEG_FLAG)

/* --- read by libkrb5 --------------------------------------------------------------------- */

static void test_authenticator(void **state)
{
    struct fixture *f = *state;
    struct eas_ticket *ticket = make_ticket(f, 3600);
    struct request request = read_request(f, make_token(f, ticket).value);
    const krb5_authenticator *a = request.authenticator;
    time_t now = time(NULL);

    assert_true(krb5_principal_compare(f->ctx, a->client, eas_ticket_creds(ticket)->client));
    assert_uint_in_range((uint32_t)a->ctime, now - 60, now);
    assert_int_equal(request.options, AP_OPTS_MUTUAL_REQUIRED);
    assert_non_null(a->subkey);
    assert_int_equal(a->subkey->length, 32);
    assert_memory_not_equal(a->subkey->contents, eas_ticket_creds(ticket)->keyblock.contents, 32);
    assert_true(a->seq_number != 0);
    close_request(f, &request);
}

/*
 * RFC 4121 section 4.1.1: length of the bindings, the bindings, the flags; nothing delegated.
 * libgssapi_krb5 adds GSS_C_TRANS_FLAG, which services ignore.
 */
static void test_checksum_of_gssapi(void **state)
{
    struct fixture *f = *state;
    const unsigned char trans = f->by == EAS_TOKEN_GSSAPI ? GSS_C_TRANS_FLAG >> 8 : 0;
    const unsigned char expected[24] = { 16, 0, 0, 0, [20] = FLAGS, [21] = trans };
    struct request request = read_request(f, make_token(f, make_ticket(f, 3600)).value);
    const krb5_checksum *checksum = request.authenticator->checksum;

    assert_non_null(checksum);
    assert_int_equal(checksum->checksum_type, 0x8003);
    assert_int_equal(checksum->length, sizeof(expected));
    assert_memory_equal(checksum->contents, expected, sizeof(expected));
    close_request(f, &request);
}

static void test_each_token_is_fresh(void **state)
{
    struct fixture *f = *state;
    struct eas_ticket *ticket = make_ticket(f, 3600);
    const char *one = make_token(f, ticket).value, *two = make_token(f, ticket).value;
    struct request r1 = read_request(f, one), r2 = read_request(f, two);

    assert_string_not_equal(one, two);
    assert_true(r1.authenticator->cusec != r2.authenticator->cusec
                || r1.authenticator->ctime != r2.authenticator->ctime);
    assert_memory_not_equal(r1.authenticator->subkey->contents, r2.authenticator->subkey->contents,
                            32);
    close_request(f, &r1);
    close_request(f, &r2);
}

/* Over the end of a second, at which a burst of them begins with the least microseconds. */
static void test_times_are_unique(void **state)
{
    struct fixture *f = *state;
    const krb5_creds *creds = eas_ticket_creds(make_ticket(f, 3600));
    struct eas_ap_time before = { 0, 0 }, time;
    krb5_int32 least = 999999;
    int i, seconds = 0;

    for (i = 0; seconds < 2; i++) {
        assert_int_equal(eas_ap_now(creds, &time), 0);
        assert_uint_in_range(time.cusec, 32768, 999999);
        assert_true(time.ctime > before.ctime
                    || (time.ctime == before.ctime && time.cusec > before.cusec));
        seconds += time.ctime != before.ctime;
        least = time.cusec < least ? time.cusec : least;
        before = time;
    }
    assert_true(i > 1000);
    assert_uint_in_range(least, 32768, 42768);
}

/* An acceptor refuses what lies ahead of its clock, even if this process has lived there. */
static void test_times_follow_a_clock_that_is_set_back(void **state)
{
    const apr_time_t noon = apr_time_from_sec(43200), hour = apr_time_from_sec(3600);
    apr_time_t latest = eas_ap_time_after(0, noon);

    (void)state;
    assert_int_equal(eas_ap_time_after(latest, noon), latest + 1);
    assert_int_equal(eas_ap_time_after(latest, noon - apr_time_from_sec(59)), latest + 1);
    latest = eas_ap_time_after(latest, noon - hour);
    assert_int_equal(latest, noon - hour + 32768);
    assert_int_equal(eas_ap_time_after(latest, noon - hour), latest + 1);
    assert_int_equal(eas_ap_time_after(noon - 1, noon - 2), noon + 32768);
}

/* The lengths of the DER are of two octets then. */
static void test_long_name(void **state)
{
    struct fixture *f = *state;
    krb5_creds creds = alices_creds(f, 3600, ENCTYPE);
    char name[300 + sizeof("@" REALM)];
    struct eas_ticket *ticket;
    struct request request;

    memset(name, 'a', 300);
    strcpy(name + 300, "@" REALM);
    krb5_free_principal(f->ctx, creds.client);
    assert_int_equal(krb5_parse_name(f->ctx, name, &creds.client), 0);
    ticket = issue_ticket(f, creds);
    request = read_request(f, make_token(f, ticket).value);
    assert_true(krb5_principal_compare(f->ctx, request.authenticator->client,
                                       eas_ticket_creds(ticket)->client));
    close_request(f, &request);
}

/* Every length of the octets before the authenticator, which base64 takes by threes. */
static void test_each_token_of_a_ticket_begins_alike(void **state)
{
    struct fixture *f = *state;
    krb5_creds creds;
    char name[sizeof("aaa@" REALM)];
    int len;

    for (len = 1; len <= 3; len++) {
        struct eas_ticket *ticket;
        const char *value[3];
        size_t i;

        creds = alices_creds(f, 3600, ENCTYPE);
        apr_snprintf(name, sizeof(name), "%.*s@" REALM, len, "aaa");
        krb5_free_principal(f->ctx, creds.client);
        assert_int_equal(krb5_parse_name(f->ctx, name, &creds.client), 0);
        ticket = issue_ticket(f, creds);
        for (i = 0; i < COUNT_OF(value); i++) {
            struct request request;

            value[i] = make_token(f, ticket).value;
            request = read_request(f, value[i]);
            close_request(f, &request);
        }
        assert_true(strncmp(value[0], value[1], 300) == 0);
        assert_true(strncmp(value[1], value[2], 300) == 0);
        assert_int_equal(strlen(value[0]), strlen(value[2]));
    }
}

static void test_ticket_is_unchanged(void **state)
{
    struct fixture *f = *state;
    struct eas_ticket *ticket = make_ticket(f, 3600);
    krb5_creds before = *eas_ticket_creds(ticket);
    struct blob der = bytes(before.ticket.data, before.ticket.length);

    make_token(f, ticket);
    assert_memory_equal(eas_ticket_creds(ticket), &before, sizeof(before));
    assert_memory_equal(before.ticket.data, der.bytes, der.len);
}

/* --- read by GSSAPI ---------------------------------------------------------------------- */

static void test_gssapi_accepts_the_token(void **state)
{
    struct fixture *f = *state;
    struct accepted a = accept_token(f, make_token(f, make_ticket(f, 3600)).value, NULL);

    assert_int_equal(a.major, GSS_S_COMPLETE);
    assert_name(a.client, CLIENT);
    assert_int_equal(a.flags & (FLAGS | GSS_C_DELEG_FLAG | GSS_C_ANON_FLAG), FLAGS);
    assert_ptr_equal(a.delegated, GSS_C_NO_CREDENTIAL);
    forget_accepted(&a);
}

#define CHANNEL "tls-server-end-point:0123456789abcdef0123456789abcdef"

static void test_channel_bindings(void **state)
{
    const struct eas_bytes binding = { (const unsigned char *)CHANNEL, strlen(CHANNEL) };
    struct fixture *f = *state;
    struct eas_ticket *ticket = make_ticket(f, 3600);
    const char *bound = make_bound_token(f, ticket, binding).value;
    struct accepted right = accept_token(f, bound, CHANNEL);
    struct accepted wrong = accept_token(f, bound, "tls-server-end-point:x");
    struct accepted without = accept_token(f, make_token(f, ticket).value, CHANNEL);

    assert_int_equal(right.major, GSS_S_COMPLETE);
    assert_true(right.flags & GSS_C_CHANNEL_BOUND_FLAG);
    assert_int_equal(wrong.major, GSS_S_BAD_BINDINGS);
    assert_int_equal(without.major, GSS_S_COMPLETE);
    assert_false(without.flags & GSS_C_CHANNEL_BOUND_FLAG);
    forget_accepted(&right);
    forget_accepted(&wrong);
    forget_accepted(&without);
}

static void test_binding_that_is_too_long(void **state)
{
    static const unsigned char octets[256];
    const struct eas_bytes binding = { octets, sizeof(octets) };
    struct fixture *f = *state;
    const struct eas_token_request request = { f->by, make_ticket(f, 3600), binding, NULL };
    struct eas_err err = { EAS_OK, 0, "" };
    struct eas_token token;

    assert_int_equal(eas_token_make(f->maker, f->pool, &request, &token, &err), EAS_UNAVAILABLE);
    assert_int_equal(err.tag, 2002);
}

/* --- refusals and threads ---------------------------------------------------------------- */

static void assert_no_token(struct fixture *f, const struct eas_ticket *ticket, const char *words)
{
    const struct eas_token_request request = { f->by, ticket, no_binding, NULL };
    struct eas_err err = { EAS_OK, 0, "" };
    struct eas_token token = { NULL, NULL };

    assert_int_equal(eas_token_make(f->maker, f->pool, &request, &token, &err), EAS_UNAVAILABLE);
    assert_int_equal(err.rc, EAS_UNAVAILABLE);
    assert_int_equal(err.tag, 2002);
    assert_non_null(strstr(err.text, words));
    assert_null(token.value);
}

static void test_expired_ticket(void **state)
{
    assert_no_token(*state, make_ticket(*state, 0), "Ticket expired");
    assert_no_token(*state, make_ticket(*state, -3600), "Ticket expired");
}

static void test_no_ticket_in_the_credentials(void **state)
{
    struct fixture *f = *state;
    krb5_creds creds;

    memset(&creds, 0, sizeof(creds));
    creds.times.endtime = (krb5_timestamp)(time(NULL) + 3600);
    assert_no_token(f, eas_ticket_to_pool(eas_ticket_take(&creds), f->pool), "cannot make");
}

/* The krb5_context of a failure is used again. */
static void test_token_after_a_failure(void **state)
{
    struct fixture *f = *state;
    struct request request;

    test_expired_ticket(state);
    request = read_request(f, make_token(f, make_ticket(f, 3600)).value);
    close_request(f, &request);
}

#define EACH 40

struct thread {
    struct fixture *f;
    struct eas_ticket *ticket;
    apr_pool_t *pool;
    const char *values[EACH];
};

static void *APR_THREAD_FUNC make_many(apr_thread_t *thread, void *data)
{
    struct thread *self = data;
    const struct eas_token_request request = { self->f->by, self->ticket, no_binding, NULL };
    struct eas_token token;
    struct eas_err err;
    int i;

    (void)thread;
    for (i = 0; i < EACH; i++) {
        if (eas_token_make(self->f->maker, self->pool, &request, &token, &err) == EAS_OK) {
            self->values[i] = token.value;
        }
    }
    return NULL;
}

static int compare_values(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void test_eight_threads(void **state)
{
    struct fixture *f = *state;
    struct thread threads[UNIT_THREADS];
    const char *all[UNIT_THREADS * EACH];
    size_t i;

    memset(threads, 0, sizeof(threads));
    for (i = 0; i < UNIT_THREADS; i++) {
        threads[i].f = f;
        threads[i].ticket = i == 0 ? make_ticket(f, 3600) : threads[0].ticket;
        assert_int_equal(apr_pool_create(&threads[i].pool, f->pool), APR_SUCCESS);
    }
    unit_run_threads(f->pool, make_many, threads, sizeof(threads[0]));
    for (i = 0; i < COUNT_OF(all); i++) {
        struct request request;

        all[i] = threads[i / EACH].values[i % EACH];
        assert_non_null(all[i]);
        request = read_request(f, all[i]);
        close_request(f, &request);
    }
    qsort(all, COUNT_OF(all), sizeof(all[0]), compare_values);
    for (i = 1; i < COUNT_OF(all); i++) {
        assert_string_not_equal(all[i - 1], all[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_authenticator),
        TOKEN_TEST(test_checksum_of_gssapi),
        TOKEN_TEST(test_each_token_is_fresh),
        NATIVE_TEST(test_times_are_unique),
        cmocka_unit_test(test_times_follow_a_clock_that_is_set_back),
        NATIVE_TEST(test_long_name),
        NATIVE_TEST(test_each_token_of_a_ticket_begins_alike),
        TOKEN_TEST(test_ticket_is_unchanged),
        TOKEN_TEST(test_gssapi_accepts_the_token),
        TOKEN_TEST(test_channel_bindings),
        NATIVE_TEST(test_binding_that_is_too_long),
        TOKEN_TEST(test_expired_ticket),
        TOKEN_TEST(test_no_ticket_in_the_credentials),
        TOKEN_TEST(test_token_after_a_failure),
        TOKEN_TEST(test_eight_threads),
    };

    return cmocka_run_group_tests(tests, krb5_files_start, krb5_files_end);
}
