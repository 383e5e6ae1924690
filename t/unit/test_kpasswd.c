/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_kpasswd.c - change of a password at a server that this test plays */

#include "t/unit/fake_kdc.h"
#include "t/unit/tokens.h"

#include "auth/kerberos/kpasswd.h"
#include "auth/kerberos/ticket.h"
#include "auth/password/password.h"

#define PASSWORD "New-p\xc3\xa4ssword-1"
#define TIMEOUT apr_time_from_msec(1500)

/* AD's policy: 30 octets, at least 7 characters, complex, 24 passwords, 1 day. */
#define POLICY                         \
    "\0\0\0\0\0\x07\0\0\0\x18\0\0\0\1" \
    "\0\0\x22\xd6\xda\x7a\x40\0\0\0\0\xc9\x2a\x69\xc0\0"

/* Behaviour of the server, and the password that it got. */
struct server {
    int fd;
    unsigned short port;
    pthread_t thread;
    int code;              /* of its result */
    struct eas_bytes text; /* of its result */
    bool fails;            /* by a KRB-ERROR with the result */
    bool is_silent, is_garbage, alters;
    char password[64]; /* seen */
    unsigned requests;
    struct server *next; /* the second one of krb5.conf, or NULL */
};

static unsigned get_16(const unsigned char *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static krb5_data result_of(const struct server *server, char *room)
{
    room[0] = 0;
    room[1] = (char)server->code;
    memcpy(room + 2, server->text.at, server->text.len);
    return (krb5_data){ 0, (unsigned)(2 + server->text.len), room };
}

static krb5_data make_error(krb5_context ctx, krb5_data result)
{
    krb5_error error;
    krb5_data data;

    memset(&error, 0, sizeof(error));
    error.error = KRB5KRB_ERR_GENERIC - ERROR_TABLE_BASE_krb5;
    error.e_data = result;
    assert_int_equal(krb5_parse_name(ctx, SERVICE, &error.server), 0);
    assert_int_equal(krb5_mk_error(ctx, &error, &data), 0);
    krb5_free_principal(ctx, error.server);
    return data;
}

/* Reads the password, and makes the answer with its head. */
static size_t answer(krb5_context ctx, struct server *server, const unsigned char *request,
                     unsigned char *out)
{
    unsigned len = get_16(request), ap_len = get_16(request + 4);
    krb5_data ap_req = { 0, ap_len, (char *)request + 6 };
    krb5_data priv = { 0, len - 6 - ap_len, (char *)request + 6 + ap_len };
    struct in_addr any = { 0 };
    krb5_address address = { 0, ADDRTYPE_INET, sizeof(any), (krb5_octet *)&any };
    krb5_auth_context auth = NULL;
    krb5_data clear, ap_rep, result;
    krb5_replay_data ignored;
    krb5_keytab keytab;
    char room[128];

    assert_int_equal(get_16(request + 2), 1);
    assert_int_equal(krb5_kt_resolve(ctx, KEYTAB, &keytab), 0);
    assert_int_equal(krb5_auth_con_init(ctx, &auth), 0);
    assert_int_equal(krb5_auth_con_setflags(ctx, auth, KRB5_AUTH_CONTEXT_DO_SEQUENCE), 0);
    assert_int_equal(krb5_rd_req(ctx, &auth, &ap_req, NULL, keytab, NULL, NULL), 0);
    assert_int_equal(krb5_rd_priv(ctx, auth, &priv, &clear, &ignored), 0);
    memcpy(server->password, clear.data, clear.length);
    krb5_free_data_contents(ctx, &clear);
    assert_int_equal(krb5_mk_rep(ctx, auth, &ap_rep), 0);
    assert_int_equal(krb5_auth_con_setaddrs(ctx, auth, &address, NULL), 0);
    result = result_of(server, room);
    if (server->fails) {
        result = make_error(ctx, result);
        memcpy(out, result.data, result.length);
        len = result.length;
    }
    else {
        assert_int_equal(krb5_mk_priv(ctx, auth, &result, &priv, &ignored), 0);
        len = 6 + ap_rep.length + priv.length;
        memcpy(out, (unsigned char[]){ 0, 0, 0, 1, 0, 0 }, 6);
        out[0] = (unsigned char)(len >> 8), out[1] = (unsigned char)len;
        out[4] = (unsigned char)(ap_rep.length >> 8), out[5] = (unsigned char)ap_rep.length;
        memcpy(out + 6, ap_rep.data, ap_rep.length);
        memcpy(out + 6 + ap_rep.length, priv.data, priv.length);
    }
    krb5_free_data_contents(ctx, &ap_rep);
    krb5_free_data_contents(ctx, server->fails ? &result : &priv);
    krb5_auth_con_free(ctx, auth);
    krb5_kt_close(ctx, keytab);
    return len;
}

static void *serve(void *data)
{
    struct server *server = data;
    unsigned char head[4], request[4096], reply[4096];
    krb5_context ctx;
    int fd = accept(server->fd, NULL, NULL);
    size_t len;

    if (recv(fd, head, 4, MSG_WAITALL) == 4) {
        len = get_16(head + 2);
        assert_int_equal(recv(fd, request, len, MSG_WAITALL), len);
        assert_int_equal(get_16(request), len);
        server->requests++;
        assert_int_equal(krb5_init_context(&ctx), 0);
        len = server->is_garbage ? 0 : answer(ctx, server, request, reply);
        reply[len > 0 ? len - 1 : 0] ^= server->alters;
        if (!server->is_silent) {
            kdc_write(fd, len > 0 ? (const void *)reply : "HTTP/1.1", len > 0 ? len : 8,
                      len > 0 ? len : 8);
        }
        (void)!recv(fd, head, 1, 0); /* until the client closes */
        krb5_free_context(ctx);
    }
    close(fd);
    return NULL;
}

static void start_server(struct server *server)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    socklen_t len = sizeof(in);

    server->fd = socket(AF_INET, SOCK_STREAM, 0);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&in, &len), 0);
    assert_int_equal(listen(server->fd, 4), 0);
    server->port = ntohs(in.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

/* Also one that nobody has connected to. */
static void stop_server(struct server *server)
{
    shutdown(server->fd, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->fd);
}

static void write_conf(const char *servers)
{
    char conf[512];
    int len = snprintf(conf, sizeof(conf),
                       "[libdefaults]\n default_realm = " REALM "\n dns_lookup_kdc = false\n"
                       "[realms]\n " REALM " = {\n kdc = 127.0.0.1:1\n%s }\n",
                       servers);

    assert_int_equal(krb5_write_file("krb5.conf", conf, (size_t)len), 0);
}

/* The change of alice's password at the server. */
static krb5_error_code change(struct fixture *f, struct server *server,
                              struct eas_kpasswd_result *result)
{
    struct eas_ticket *ticket = make_ticket(f, 3600);
    struct eas_kdc kdc;
    struct eas_err err;
    krb5_error_code code;
    char line[128];
    const struct server *each;
    int len = 0;

    start_server(server);
    if (server->next != NULL) {
        start_server(server->next);
    }
    for (each = server; each != NULL; each = each->next) {
        len += snprintf(line + len, sizeof(line) - (size_t)len, " kpasswd_server = 127.0.0.1:%u\n",
                        each->port);
    }
    write_conf(line);
    assert_int_equal(eas_kdc_open(&kdc, NULL, TIMEOUT, &err), EAS_OK);
    code = eas_kpasswd_change(&kdc, f->pool, eas_ticket_creds(ticket),
                              eas_secret_make(f->pool, PASSWORD, strlen(PASSWORD)), result);
    eas_kdc_close(&kdc);
    pthread_join(server->thread, NULL);
    close(server->fd);
    if (server->next != NULL) {
        stop_server(server->next);
    }
    return code;
}

static void test_changed(void **state)
{
    struct server server = { .code = KRB5_KPASSWD_SUCCESS, .text = eas_bytes_of_text("done") };
    struct eas_kpasswd_result result;

    assert_int_equal(change(*state, &server, &result), 0);
    assert_int_equal(result.code, KRB5_KPASSWD_SUCCESS);
    assert_string_equal(server.password, PASSWORD);
}

/* A text of the server, AD's policy, and octets that are neither. */
static void test_refused_by_policy(void **state)
{
    static const struct {
        const char *octets;
        size_t len;
        const char *text;
    } rows[] = {
        { "too short", 9, "too short" },
        { POLICY, 30, "at least 7 characters." },
        { POLICY, 30, "previous 24 passwords." },
        { POLICY, 30, "include numbers or symbols." },
        { "\xff\xfe", 2, "Try a more complex password" },
    };
    struct eas_kpasswd_result result;
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        struct server server = { .code = KRB5_KPASSWD_SOFTERROR,
                                 .text = eas_bytes_make(rows[i].octets, rows[i].len) };

        assert_int_equal(change(*state, &server, &result), 0);
        assert_int_equal(result.code, KRB5_KPASSWD_SOFTERROR);
        assert_non_null(strstr(result.text, rows[i].text));
    }
}

/* Nothing protects a KRB-ERROR: its code counts, unless it is that of success; its text is none. */
static void test_unprotected_error(void **state)
{
    struct server refuses = { .code = KRB5_KPASSWD_ACCESSDENIED,
                              .text = eas_bytes_of_text("call 555-1234"),
                              .fails = true };
    struct server succeeds = { .code = KRB5_KPASSWD_SUCCESS, .fails = true };
    struct eas_kpasswd_result result;

    assert_int_equal(change(*state, &refuses, &result), 0);
    assert_int_equal(result.code, KRB5_KPASSWD_ACCESSDENIED);
    assert_null(result.text);
    assert_int_equal(change(*state, &succeeds, &result), KRB5KRB_ERR_GENERIC);
    assert_int_equal(result.code, -1);
}

static void test_changed_octet(void **state)
{
    struct server server = { .code = KRB5_KPASSWD_SUCCESS, .alters = true };
    struct eas_kpasswd_result result;

    assert_int_not_equal(change(*state, &server, &result), 0);
    assert_int_equal(result.code, -1);
}

/* No second server gets the message, which would find the password changed. */
static void test_no_answer(void **state)
{
    struct server second = { .code = KRB5_KPASSWD_SUCCESS }, garbage = { .is_garbage = true };
    struct server silent = { .is_silent = true, .next = &second };
    struct eas_kpasswd_result result;
    apr_time_t began = apr_time_now();

    assert_int_equal(change(*state, &garbage, &result), KRB5_KDC_UNREACH);
    assert_true(apr_time_now() - began < apr_time_from_msec(500));
    assert_int_equal(change(*state, &silent, &result), KRB5_KDC_UNREACH);
    assert_true(apr_time_now() - began < TIMEOUT + apr_time_from_msec(1000));
    assert_int_equal(silent.requests, 1);
    assert_int_equal(second.requests, 0);
}

static void test_errors_of_answers(void **state)
{
    static const struct {
        int code;
        enum eas_rc rc;
        int tag;
    } rows[] = {
        { KRB5_KPASSWD_SUCCESS, EAS_OK, 0 },
        { KRB5_KPASSWD_SOFTERROR, EAS_DENIED, 1165 },
        { KRB5_KPASSWD_ACCESSDENIED, EAS_FORBIDDEN, 1168 },
        { KRB5_KPASSWD_MALFORMED, EAS_UNAVAILABLE, 1331 },
        { KRB5_KPASSWD_HARDERROR, EAS_UNAVAILABLE, 1331 },
        { KRB5_KPASSWD_AUTHERROR, EAS_UNAVAILABLE, 1331 },
        { KRB5_KPASSWD_INITIAL_FLAG_NEEDED, EAS_UNAVAILABLE, 1331 },
        { 65535, EAS_UNAVAILABLE, 1331 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        const struct eas_kpasswd_result result = { rows[i].code, NULL };
        struct eas_password_change change = { NULL, NULL };
        struct eas_err err = { EAS_OK, 0, "" };

        assert_int_equal(eas_password_read_change(&result, &change, &err), rows[i].rc);
        assert_int_equal(err.tag, rows[i].tag);
        assert_true((change.reason != NULL) == (rows[i].tag == 1165));
    }
}

static void test_replies_that_are_none(void **state)
{
    static const struct {
        const char *octets;
        size_t len;
        bool is_reply;
    } rows[] = {
        { "\0\x08\0\1\0\1ab", 8, true },    { "\0\x08\xff\x80\0\1ab", 8, true },
        { "\0\x08\0\1\0\2ab", 8, true },    { "\0\x08\0\1\0\0ab", 8, true },
        { "\0\x06\0\1\0\0", 6, true },      { "\x7e\x04\x30\x02\xa0\0", 6, true },
        { "\0\x08\0\1\0\3ab", 8, false },   { "\0\x08\0\1\xff\xff\x61\x62", 8, false },
        { "\0\x09\0\1\0\1ab", 8, false },   { "\0\x07\0\1\0\1ab", 8, false },
        { "\0\x08\0\2\0\1ab", 8, false },   { "\0\x05\0\1\0", 5, false },
        { "\x7e\x03\x30\x01\0", 5, false }, { "", 0, false },
    };
    struct eas_kpasswd_reply reply;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        struct eas_bytes octets = eas_bytes_make(rows[i].octets, rows[i].len);

        if (eas_kpasswd_split(octets, &reply) != rows[i].is_reply) {
            fail_msg("row %d", (int)i);
        }
    }
    assert_true(eas_kpasswd_split(eas_bytes_make(rows[0].octets, 8), &reply));
    assert_memory_equal(reply.ap_rep.at, "a", 1);
    assert_int_equal(reply.ap_rep.len, 1);
    assert_memory_equal(reply.krb_priv.at, "b", 1);
    assert_int_equal(reply.krb_priv.len, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NATIVE_TEST(test_changed),
        TOKEN_TEST(test_refused_by_policy),
        NATIVE_TEST(test_unprotected_error),
        TOKEN_TEST(test_changed_octet),
        NATIVE_TEST(test_no_answer),
        cmocka_unit_test(test_replies_that_are_none),
        cmocka_unit_test(test_errors_of_answers),
    };

    return cmocka_run_group_tests(tests, krb5_files_start, krb5_files_end);
}
