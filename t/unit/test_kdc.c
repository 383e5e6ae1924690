/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_kdc.c - KDC context, without a KDC */

#include "t/unit/krb5_files.h"
#include "t/unit/unit.h"

#include "auth/kerberos/as.h"

#include <dlfcn.h>
#include <string.h>

#define TIMEOUT apr_time_from_sec(5)

/* The hook that eas_kdc_open() has set. */
static krb5_post_recv_fn recv_hook;
static void *recv_data;

/* Interposes libkrb5's function, which it calls, so that tests can pass replies to the hook. */
void KRB5_CALLCONV krb5_set_kdc_recv_hook(krb5_context ctx, krb5_post_recv_fn hook, void *data)
{
    void(KRB5_CALLCONV * real)(krb5_context, krb5_post_recv_fn, void *);

    *(void **)&real = dlsym(RTLD_NEXT, "krb5_set_kdc_recv_hook");
    assert_non_null(real);
    recv_hook = hook;
    recv_data = data;
    real(ctx, hook, data);
}

static void open_kdc(struct eas_kdc *kdc)
{
    struct eas_err err;

    assert_int_equal(eas_kdc_open(kdc, NULL, TIMEOUT, &err), EAS_OK);
}

static void test_open_sets_all_members(void **state)
{
    apr_time_t before = apr_time_now();
    struct eas_kdc kdc;
    struct eas_err err;

    (void)state;
    memset(&kdc, 0xa5, sizeof(kdc));
    assert_int_equal(eas_kdc_open(&kdc, NULL, TIMEOUT, &err), EAS_OK);
    assert_non_null(kdc.ctx);
    assert_true(kdc.deadline >= before + TIMEOUT && kdc.deadline <= apr_time_now() + TIMEOUT);
    assert_int_equal(kdc.messages, 0);
    assert_int_equal(kdc.ntstatus, 0);
    eas_kdc_close(&kdc);
    assert_null(kdc.ctx);
    eas_kdc_close(&kdc);
}

static const struct {
    const char *name;
    krb5_error_code code;
    enum eas_kdc_cause cause;
} causes[] = {
#define ROW(code, cause)   \
    {                      \
#code, code, cause \
    }
    ROW(KRB5KDC_ERR_PREAUTH_FAILED, EAS_KDC_WRONG_PASSWORD),
    ROW(KRB5KRB_AP_ERR_BAD_INTEGRITY, EAS_KDC_WRONG_PASSWORD),
    ROW(KRB5_PREAUTH_FAILED, EAS_KDC_WRONG_PASSWORD),
    ROW(KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN, EAS_KDC_UNKNOWN_CLIENT),
    ROW(KRB5KDC_ERR_CLIENT_REVOKED, EAS_KDC_REVOKED),
    ROW(KRB5KDC_ERR_CLIENT_NOTYET, EAS_KDC_REVOKED),
    ROW(KRB5KDC_ERR_NAME_EXP, EAS_KDC_REVOKED),
    ROW(KRB5KDC_ERR_KEY_EXP, EAS_KDC_KEY_EXPIRED),
    ROW(KRB5KDC_ERR_POLICY, EAS_KDC_POLICY),
    ROW(KRB5KDC_ERR_ETYPE_NOSUPP, EAS_KDC_NO_KEY),
    ROW(KRB5KDC_ERR_NULL_KEY, EAS_KDC_NO_KEY),
    ROW(KRB5KDC_ERR_BADOPTION, EAS_KDC_BADOPTION),
    ROW(KRB5KDC_ERR_S_PRINCIPAL_UNKNOWN, EAS_KDC_UNKNOWN_SERVER),
    ROW(KRB5KDC_ERR_MUST_USE_USER2USER, EAS_KDC_UNKNOWN_SERVER),
    ROW(KRB5KRB_AP_ERR_SKEW, EAS_KDC_SKEW),
    ROW(KRB5KRB_AP_ERR_TKT_NYV, EAS_KDC_SKEW),
    ROW(KRB5_KDCREP_SKEW, EAS_KDC_SKEW),
    ROW(KRB5KRB_AP_ERR_TKT_EXPIRED, EAS_KDC_STALE),
    ROW(KRB5KRB_AP_ERR_MODIFIED, EAS_KDC_STALE),
    ROW(KRB5KDC_ERR_TGT_REVOKED, EAS_KDC_STALE),
    ROW(KRB5_KDC_UNREACH, EAS_KDC_UNREACHABLE),
    ROW(KRB5_REALM_CANT_RESOLVE, EAS_KDC_UNRESOLVED),
    ROW(KRB5_REALM_UNKNOWN, EAS_KDC_UNREACHABLE),
    ROW(KRB5KDC_ERR_SVC_UNAVAILABLE, EAS_KDC_UNREACHABLE),
    ROW(KRB5KDC_ERR_WRONG_REALM, EAS_KDC_OTHER_REALM),
    ROW(KRB5_ERR_FAST_REQUIRED, EAS_KDC_NO_ARMOR),
    /* These count neither as a wrong password nor as a refusal of the user. */
    ROW(0, EAS_KDC_OTHER),
    ROW(-1, EAS_KDC_OTHER),
    ROW(ENOMEM, EAS_KDC_OTHER),
    ROW(KRB5KDC_ERR_PREAUTH_REQUIRED, EAS_KDC_OTHER),
    ROW(KRB5KRB_ERR_GENERIC, EAS_KDC_OTHER),
    ROW(KRB5KRB_ERR_FIELD_TOOLONG, EAS_KDC_OTHER),
    ROW(KRB5_CC_NOTFOUND, EAS_KDC_OTHER),
    ROW(KRB5_KT_NOTFOUND, EAS_KDC_OTHER),
#undef ROW
};

static void test_cause_of_each_error_code(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(causes); i++) {
        if (eas_kdc_cause(causes[i].code) != causes[i].cause) {
            fail_msg("%s: cause %d", causes[i].name, eas_kdc_cause(causes[i].code));
        }
    }
}

static void test_clock_skew_of_five_minutes(void **state)
{
    static const struct {
        const char *what;
        uint32_t kdc;
        apr_int64_t ours;
        const char *text; /* in the error; NULL: no error */
    } rows[] = {
        { "the same second", 1700000000u, 1700000000, NULL },
        { "just fast enough", 1700000000u, 1700000300, NULL },
        { "just slow enough", 1700000000u, 1699999700, NULL },
        { "too fast", 1700000000u, 1700000301, "301 seconds ahead of the KDC's" },
        { "too slow", 1700000000u, 1699999699, "301 seconds behind the KDC's" },
        { "a day fast", 1700000000u, 1700086400, "86400 seconds ahead of the KDC's" },
        { "1970", 1700000000u, 0, "1700000000 seconds behind the KDC's" },
        { "across 2038", 2147483647u, 2147483947, NULL },
        { "across 2038, too fast", 2147483647u, 2147483948, "301 seconds ahead of" },
        { "across 2038, too slow", 2147483648u, 2147483347, "301 seconds behind" },
        { "after 2038", 2500000000u, 2500000300, NULL },
        { "after 2038, too slow", 2500000000u, 2499999699, "301 seconds behind" },
        { "the last second of 2106", 4294967295u, 4294967295, NULL },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        struct eas_err err = { EAS_OK, 0, "" };
        enum eas_rc rc =
            eas_kdc_check_clock((krb5_timestamp)rows[i].kdc, apr_time_from_sec(rows[i].ours), &err);
        bool right = rows[i].text == NULL ? rc == EAS_OK && err.tag == 0
                                          : rc == EAS_UNAVAILABLE && err.rc == rc && err.tag == 1021
                                                && strstr(err.text, rows[i].text) != NULL;

        if (!right) {
            fail_msg("%s: rc %d, EAS%d %s", rows[i].what, rc, err.tag, err.text);
        }
    }
}

static void test_fail_has_the_message_of_libkrb5(void **state)
{
    struct eas_kdc kdc;
    struct eas_err err;

    (void)state;
    open_kdc(&kdc);
    assert_int_equal(
        eas_kdc_fail(&kdc, &err, EAS_DENIED, 1031, KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN, "unknown user"),
        EAS_DENIED);
    assert_int_equal(err.rc, EAS_DENIED);
    assert_int_equal(err.tag, 1031);
    assert_string_equal(err.text, "unknown user: Client not found in Kerberos database");
    eas_kdc_close(&kdc);
}

static void test_fail_has_the_message_of_the_context(void **state)
{
    struct eas_kdc kdc;
    struct eas_err err;

    (void)state;
    open_kdc(&kdc);
    krb5_set_error_message(kdc.ctx, KRB5_KDC_UNREACH, "Cannot contact any KDC for realm '%s'",
                           REALM);
    eas_kdc_fail(&kdc, &err, EAS_UNAVAILABLE, 1036, KRB5_KDC_UNREACH, "no KDC answered");
    assert_string_equal(err.text, "no KDC answered: Cannot contact any KDC for realm '" REALM "'");
    eas_kdc_close(&kdc);
}

static void test_fail_has_the_ntstatus(void **state)
{
    struct eas_kdc kdc;
    struct eas_err err;

    (void)state;
    open_kdc(&kdc);
    kdc.ntstatus = 0xc0000234u;
    eas_kdc_fail(&kdc, &err, EAS_DENIED, 1032, KRB5KDC_ERR_CLIENT_REVOKED, "the account is locked");
    assert_string_equal(err.text, "the account is locked: Client's credentials have been revoked "
                                  "(NTSTATUS 0xc0000234)");
    eas_kdc_close(&kdc);
}

static void test_fail_without_a_context(void **state)
{
    struct eas_kdc kdc;
    struct eas_err err;

    (void)state;
    memset(&kdc, 0, sizeof(kdc));
    eas_kdc_fail(&kdc, &err, EAS_UNAVAILABLE, 1020, KRB5_CONFIG_BADFORMAT, "libkrb5 cannot start");
    assert_int_equal(err.tag, 1020);
    assert_string_equal(err.text,
                        "libkrb5 cannot start: Improper format of Kerberos configuration file");
}

static void test_fail_by_cause(void **state)
{
    static const struct eas_kdc_failure table[] = {
        eas_kdc_failure(EAS_KDC_REVOKED | EAS_KDC_POLICY, EAS_FORBIDDEN, 1, "refused"),
        eas_kdc_failure(EAS_KDC_SKEW, EAS_UNAVAILABLE, 2, "clock"),
        eas_kdc_failure(EAS_KDC_OTHER, EAS_MISCONFIGURED, 3, "other"),
    };
    static const struct {
        krb5_error_code code;
        enum eas_rc rc;
        int tag;
    } rows[] = {
        { KRB5KDC_ERR_CLIENT_REVOKED, EAS_FORBIDDEN, 1 },
        { KRB5KDC_ERR_POLICY, EAS_FORBIDDEN, 1 },
        { KRB5KRB_AP_ERR_SKEW, EAS_UNAVAILABLE, 2 },
        { KRB5KDC_ERR_PREAUTH_FAILED, EAS_MISCONFIGURED, 3 },
        { KRB5KDC_ERR_ETYPE_NOSUPP, EAS_MISCONFIGURED, 3 },
    };
    struct eas_kdc kdc;
    struct eas_err err;
    size_t i;

    (void)state;
    open_kdc(&kdc);
    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(eas_kdc_fail_by_cause(&kdc, &err, rows[i].code, table), rows[i].rc);
        assert_int_equal(err.rc, rows[i].rc);
        assert_int_equal(err.tag, rows[i].tag);
    }
    eas_kdc_close(&kdc);
}

static void test_default_realm(void **state)
{
    const char *realm = NULL;
    struct eas_err err;

    assert_int_equal(eas_kdc_default_realm(*state, &realm, &err), EAS_OK);
    assert_string_equal(realm, REALM);
}

/* With an invalid krb5.conf during the calls. */
static void test_invalid_krb5_conf(void **state)
{
    const char *realm = NULL;
    struct eas_kdc kdc;
    struct eas_err err = { EAS_OK, 0, "" };

    assert_int_equal(krb5_write_file("broken.conf", "[libdefaults\n{{{", 16), 0);
    setenv("KRB5_CONFIG", krb5_path("broken.conf"), 1);
    assert_int_equal(eas_kdc_open(&kdc, NULL, TIMEOUT, &err), EAS_UNAVAILABLE);
    assert_int_equal(err.tag, 1020);
    assert_null(kdc.ctx);
    eas_kdc_close(&kdc);
    assert_int_equal(eas_kdc_default_realm(*state, &realm, &err), EAS_MISCONFIGURED);
    assert_int_equal(err.tag, 3005);
    assert_null(realm);
    setenv("KRB5_CONFIG", krb5_path("krb5.conf"), 1);
    unlink(krb5_path("broken.conf"));
}

static void test_principal_of_a_login(void **state)
{
    static const struct {
        struct eas_login login;
        krb5_int32 type;
        const char *text;
    } rows[] = {
        { { "alice", REALM, false }, KRB5_NT_PRINCIPAL, "alice@" REALM },
        { { "alice@upn.example", REALM, true },
          KRB5_NT_ENTERPRISE_PRINCIPAL,
          "alice\\@upn.example@" REALM },
        { { "alice@upn.example", REALM, false }, KRB5_NT_PRINCIPAL, "alice\\@upn.example@" REALM },
    };
    struct eas_kdc kdc;
    size_t i;

    (void)state;
    open_kdc(&kdc);
    for (i = 0; i < COUNT_OF(rows); i++) {
        krb5_principal principal = NULL;
        char *text = NULL;

        assert_int_equal(eas_kdc_principal(&kdc, &rows[i].login, &principal), 0);
        assert_int_equal(principal->length, 1);
        assert_int_equal(principal->type, rows[i].type);
        assert_int_equal(krb5_unparse_name(kdc.ctx, principal, &text), 0);
        assert_string_equal(text, rows[i].text);
        krb5_free_unparsed_name(kdc.ctx, text);
        krb5_free_principal(kdc.ctx, principal);
    }
    eas_kdc_close(&kdc);
}

/* A name as a KDC may return it, with NULs in its parts.  libkrb5 owns none of the memory. */
struct kdc_name {
    const char *parts[2];
    unsigned lens[2];
    int n_parts;
    const char *realm;
    unsigned realm_len;
};

static enum eas_rc user_name(apr_pool_t *pool, const struct kdc_name *name, const char **text,
                             struct eas_err *err)
{
    struct eas_realms realms = { REALM, NULL };
    struct eas_kdc kdc;
    krb5_principal_data principal;
    krb5_data parts[2];
    enum eas_rc rc;
    int i;

    open_kdc(&kdc);
    memset(&principal, 0, sizeof(principal));
    for (i = 0; i < name->n_parts; i++) {
        parts[i] = (krb5_data){ 0, name->lens[i], (char *)name->parts[i] };
    }
    principal.realm = (krb5_data){ 0, name->realm_len, (char *)name->realm };
    principal.data = parts;
    principal.length = name->n_parts;
    rc = eas_kdc_user_name(&kdc, pool, &principal, &realms, text, err);
    eas_kdc_close(&kdc);
    return rc;
}

static void test_user_names_from_the_kdc(void **state)
{
    static const struct {
        struct kdc_name name;
        const char *text;
    } rows[] = {
        { { { "alice" }, { 5 }, 1, REALM, 8 }, "alice@" REALM },
        { { { "alice smith" }, { 11 }, 1, REALM, 8 }, "alice smith@" REALM },
        { { { "alice@upn" }, { 9 }, 1, REALM, 8 }, "alice\\@upn@" REALM },
        { { { "alice+more" }, { 5 }, 1, REALM "+more", 8 }, "alice@" REALM },
    };
    const char *text;
    struct eas_err err;
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        text = NULL;
        assert_int_equal(user_name(*state, &rows[i].name, &text, &err), EAS_OK);
        assert_string_equal(text, rows[i].text);
    }
}

static void assert_no_user(apr_pool_t *pool, const struct kdc_name *name, int tag)
{
    struct eas_err err = { EAS_OK, 0, "" };
    const char *text = NULL;
    enum eas_rc rc = user_name(pool, name, &text, &err);

    if (rc != EAS_DENIED || err.rc != EAS_DENIED || err.tag != tag || text != NULL) {
        fail_msg("%s: rc %d, EAS%d %s; %s", name->parts[0], rc, err.tag, err.text,
                 text ? text : "no name");
    }
}

static void test_other_names_from_the_kdc_are_denied(void **state)
{
    static const struct {
        struct kdc_name name;
        int tag;
    } rows[] = {
        { { { "" }, { 0 }, 1, REALM, 8 }, 1001 },
        { { { "gateway$" }, { 8 }, 1, REALM, 8 }, 1002 },
        { { { "HTTP/cas1" }, { 9 }, 1, REALM, 8 }, 1002 },
        { { { "al\0ice" }, { 6 }, 1, REALM, 8 }, 1006 },
        { { { "alice" }, { 5 }, 1, "EVIL.ORG", 8 }, 1007 },
        { { { "alice" }, { 5 }, 1, REALM ".EVIL", 13 }, 1007 },
        { { { "alice" }, { 5 }, 1, "", 0 }, 1007 },
        { { { NULL }, { 0 }, 0, REALM, 8 }, 1022 },
        { { { "HTTP", "cas1" }, { 4, 4 }, 2, REALM, 8 }, 1022 },
        { { { "alice", "" }, { 5, 0 }, 2, REALM, 8 }, 1022 },
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_no_user(*state, &rows[i].name, rows[i].tag);
    }
}

/* As a C string, the realm of a rogue KDC would be equal to a configured one. */
static void test_realm_with_a_nul_is_denied(void **state)
{
    static const struct kdc_name name = { { "alice" }, { 5 }, 1, REALM "\0EVIL.ORG", 17 };

    assert_no_user(*state, &name, 1022);
}

static krb5_error_code log_on(struct eas_kdc *kdc)
{
    static const struct eas_login login = { "alice", REALM, false };
    krb5_principal client = NULL;
    krb5_creds tgt;
    krb5_error_code code;

    assert_int_equal(eas_kdc_principal(kdc, &login, &client), 0);
    code = eas_as_log_on(kdc, &(struct eas_as_request){ .client = client, .password = "secret" },
                         &tgt);
    krb5_free_principal(kdc->ctx, client);
    return code;
}

/* The KDC of the next two tests is a closed port of this machine. */
static void test_no_message_after_the_deadline(void **state)
{
    struct eas_kdc kdc;
    struct eas_err err;
    krb5_error_code code;

    (void)state;
    assert_int_equal(eas_kdc_open(&kdc, NULL, 0, &err), EAS_OK);
    code = log_on(&kdc);
    assert_int_equal(eas_kdc_cause(code), EAS_KDC_UNREACHABLE);
    assert_int_equal(kdc.messages, 0);
    eas_kdc_close(&kdc);
}

static void test_closed_port_is_unreachable(void **state)
{
    struct eas_kdc kdc;
    krb5_error_code code;

    (void)state;
    open_kdc(&kdc);
    code = log_on(&kdc);
    assert_int_equal(eas_kdc_cause(code), EAS_KDC_UNREACHABLE);
    assert_int_equal(kdc.messages, 1);
    assert_int_equal(kdc.ntstatus, 0);
    eas_kdc_close(&kdc);
}

/* Result of the hook for a reply. */
static krb5_error_code receive(struct eas_kdc *kdc, krb5_error_code code, krb5_data answer)
{
    static const krb5_data realm = { 0, 8, (char *)REALM }, message = { 0, 1, (char *)"?" };
    krb5_data *new_answer = NULL;

    assert_ptr_equal(recv_data, kdc);
    code = recv_hook(kdc->ctx, recv_data, code, &realm, &message, &answer, &new_answer);
    assert_null(new_answer);
    return code;
}

/* Result of the hook for a KRB-ERROR with e-data. */
static krb5_error_code receive_error_about(struct eas_kdc *kdc, krb5_error_code error,
                                           const char *client, const char *e_data, size_t len)
{
    krb5_error message;
    krb5_data encoded;
    krb5_error_code code;

    memset(&message, 0, sizeof(message));
    message.error = (krb5_ui_4)(error - ERROR_TABLE_BASE_krb5);
    message.e_data = (krb5_data){ 0, (unsigned)len, (char *)e_data };
    assert_int_equal(krb5_parse_name(kdc->ctx, "krbtgt/" REALM "@" REALM, &message.server), 0);
    if (client != NULL) {
        assert_int_equal(krb5_parse_name(kdc->ctx, client, &message.client), 0);
    }
    assert_int_equal(krb5_mk_error(kdc->ctx, &message, &encoded), 0);
    code = receive(kdc, 0, encoded);
    krb5_free_data_contents(kdc->ctx, &encoded);
    krb5_free_principal(kdc->ctx, message.server);
    krb5_free_principal(kdc->ctx, message.client);
    return code;
}

static krb5_error_code receive_error(struct eas_kdc *kdc, krb5_error_code error, const char *e_data,
                                     size_t len)
{
    return receive_error_about(kdc, error, NULL, e_data, len);
}

static void test_only_a_wrong_password_ends_the_exchange(void **state)
{
    static const krb5_error_code others[] = {
        KRB5KDC_ERR_PREAUTH_REQUIRED, KRB5KDC_ERR_CLIENT_REVOKED,   KRB5KDC_ERR_KEY_EXP,
        KRB5KRB_AP_ERR_SKEW,          KRB5KRB_ERR_RESPONSE_TOO_BIG, KRB5KDC_ERR_WRONG_REALM,
    };
    struct eas_kdc kdc;
    size_t i;

    (void)state;
    open_kdc(&kdc);
    assert_int_equal(receive_error(&kdc, KRB5KDC_ERR_PREAUTH_FAILED, NULL, 0),
                     KRB5KDC_ERR_PREAUTH_FAILED);
    for (i = 0; i < COUNT_OF(others); i++) {
        assert_int_equal(receive_error(&kdc, others[i], NULL, 0), 0);
    }
    eas_kdc_close(&kdc);
}

/* libkrb5 would put the password to any realm that a KDC refers to. */
static void test_referral_ends_the_as_exchange(void **state)
{
    static const struct {
        bool running;
        krb5_error_code error;
        const char *client;
        krb5_error_code code;
        const char *referral;
    } rows[] = {
        { true, KRB5KDC_ERR_WRONG_REALM, "alice@OTHER.TEST", KRB5KDC_ERR_WRONG_REALM,
          "OTHER.TEST" },
        { true, KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN, "alice@OTHER.TEST", KRB5KDC_ERR_WRONG_REALM,
          "OTHER.TEST" },
        { true, KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN, "alice@" REALM, 0, "" },
        { true, KRB5KDC_ERR_WRONG_REALM, "alice@" REALM, 0, "" },
        { true, KRB5KDC_ERR_WRONG_REALM, NULL, 0, "" },
        { true, KRB5KDC_ERR_WRONG_REALM, "alice@A\\0B", 0, "" },
        { true, KRB5KDC_ERR_KEY_EXP, "alice@OTHER.TEST", 0, "" },
        { false, KRB5KDC_ERR_WRONG_REALM, "alice@OTHER.TEST", 0, "" },
    };
    struct eas_kdc kdc;
    size_t i;

    (void)state;
    open_kdc(&kdc);
    for (i = 0; i < COUNT_OF(rows); i++) {
        memset(&kdc.as, 0, sizeof(kdc.as));
        kdc.as.running = rows[i].running;
        assert_int_equal(receive_error_about(&kdc, rows[i].error, rows[i].client, NULL, 0),
                         rows[i].code);
        assert_string_equal(kdc.as.referral, rows[i].referral);
    }
    eas_kdc_close(&kdc);
}

static void test_referrals_to_realms_that_are_ours(void **state)
{
    static const struct eas_domain domain = { "OTHER", "OTHER.TEST" };
    apr_array_header_t *domains = apr_array_make(*state, 1, sizeof(domain));
    const struct eas_realms realms = { REALM, domains };
    krb5_principal client;
    struct eas_kdc kdc;
    unsigned hops = 0;

    APR_ARRAY_PUSH(domains, struct eas_domain) = domain;
    open_kdc(&kdc);
    assert_int_equal(krb5_parse_name(kdc.ctx, "alice@" REALM, &client), 0);
    strcpy(kdc.as.referral, "EVIL.TEST");
    assert_false(eas_as_follow(&kdc, &realms, &hops, client));
    strcpy(kdc.as.referral, "");
    assert_false(eas_as_follow(&kdc, &realms, &hops, client));
    assert_int_equal(hops, 0);
    strcpy(kdc.as.referral, "other.test");
    while (hops < EAS_AS_REFERRALS) {
        assert_true(eas_as_follow(&kdc, &realms, &hops, client));
    }
    assert_int_equal(client->realm.length, strlen("OTHER.TEST"));
    assert_memory_equal(client->realm.data, "OTHER.TEST", client->realm.length);
    assert_false(eas_as_follow(&kdc, &realms, &hops, client));
    krb5_free_principal(kdc.ctx, client);
    eas_kdc_close(&kdc);
}

/* In FAST, the KDC's reason is encrypted, and libkrb5 may repeat the guess in another way. */
static void test_errors_to_an_armoured_message(void **state)
{
    static const char armoured[] = "\x30\x0e\x30\x0c\xa1\x04\x02\x02\x00\x88\xa2\x04\x04\x02xx";
    static const struct {
        krb5_error_code error;
        bool is_fast;
        bool unarmored, ended;
    } rows[] = {
        { KRB5KDC_ERR_PREAUTH_REQUIRED, true, false, false },
        { KRB5KDC_ERR_MORE_PREAUTH_DATA_REQUIRED, true, false, false },
        { KRB5KRB_ERR_GENERIC, true, false, true },
        { KRB5KDC_ERR_POLICY, true, false, true },
        { KRB5KDC_ERR_PREAUTH_REQUIRED, false, true, false },
        { KRB5KRB_AP_ERR_BAD_INTEGRITY, false, true, false },
        { KRB5KRB_ERR_RESPONSE_TOO_BIG, false, false, false },
    };
    struct eas_kdc kdc;
    size_t i;

    (void)state;
    open_kdc(&kdc);
    for (i = 0; i < COUNT_OF(rows); i++) {
        memset(&kdc.as, 0, sizeof(kdc.as));
        kdc.as.running = kdc.as.armored = true;
        assert_int_equal(receive_error(&kdc, rows[i].error, rows[i].is_fast ? armoured : NULL,
                                       rows[i].is_fast ? sizeof(armoured) - 1 : 0),
                         rows[i].unarmored ? rows[i].error : 0);
        assert_int_equal(kdc.as.unarmored, rows[i].unarmored);
        assert_int_equal(kdc.as.ended, rows[i].ended);
    }
    eas_kdc_close(&kdc);
}

/* A KDC that demands armour asks again for a password that it has. */
static void test_second_question_for_a_password(void **state)
{
    struct eas_kdc kdc;

    (void)state;
    open_kdc(&kdc);
    kdc.as.running = true;
    assert_int_equal(receive_error(&kdc, KRB5KDC_ERR_PREAUTH_REQUIRED, NULL, 0), 0);
    kdc.as.guessed = true;
    assert_int_equal(receive_error(&kdc, KRB5KDC_ERR_PREAUTH_REQUIRED, NULL, 0),
                     KRB5_ERR_FAST_REQUIRED);
    assert_int_equal(receive_error(&kdc, KRB5KDC_ERR_MORE_PREAUTH_DATA_REQUIRED, NULL, 0), 0);
    eas_kdc_close(&kdc);
}

static void test_probe_ends_with_the_first_answer(void **state)
{
    static const krb5_data as_rep = { 0, 14,
                                      (char *)"\x6b\x0c\x30\x0a\xa0\x03\x02\x01\x05\xa1\x03\x02"
                                              "\x01\x0b" };
    struct eas_kdc kdc;

    (void)state;
    open_kdc(&kdc);
    kdc.as.running = true;
    assert_int_equal(receive(&kdc, 0, as_rep), 0);
    assert_int_equal(receive_error(&kdc, KRB5KDC_ERR_PREAUTH_REQUIRED, NULL, 0), 0);
    kdc.as.probing = true;
    assert_int_equal(receive(&kdc, 0, as_rep), KRB5KDC_ERR_PREAUTH_REQUIRED);
    assert_int_equal(receive_error(&kdc, KRB5KDC_ERR_PREAUTH_REQUIRED, NULL, 0),
                     KRB5KDC_ERR_PREAUTH_REQUIRED);
    assert_int_equal(receive_error(&kdc, KRB5KDC_ERR_KEY_EXP, NULL, 0), 0);
    eas_kdc_close(&kdc);
}

/* [MS-KILE] 2.2.1.  Other e-data has no NTSTATUS, and replaces that of the error before. */
#define E_DATA "\x30\x15\xa1\x03\x02\x01\x03\xa2\x0e\x04\x0c"

static void test_ntstatus_of_an_error(void **state)
{
    static const struct {
        const char *e_data;
        size_t len;
        unsigned ntstatus;
    } rows[] = {
        { E_DATA "\x34\x02\x00\xc0\0\0\0\0\1\0\0\0", 23, 0xc0000234u },
        { NULL, 0, 0 },
        { E_DATA "\x72\x00\x00\xc0\0\0\0\0\0\0\0\0", 23, 0xc0000072u },
        { E_DATA "\x72\x00\x00\xc0\0\0\0\0\0\0\0\0", 22, 0 },
        { E_DATA "\xff\xfe\xfd\xfc\0\0\0\0\0\0\0\0", 23, 0xfcfdfeffu },
        { E_DATA "\x72\x00\x00\xc0\0\0\0\0\0\0\0\0\0", 24, 0 },
        { E_DATA, 11, 0 },
        /* one of several PA-DATA, as AD answers an AS-REQ */
        { "\x30\x1e\x30\x05\xa1\x03\x02\x01\x13" E_DATA "\x34\x02\x00\xc0\0\0\0\0\1\0\0\0", 32,
          0xc0000234u },
        { "\x30\x17" E_DATA "\x72\x00\x00\xc0\0\0\0\0\0\0\0\0", 25, 0xc0000072u },
        { "\x30\x16" E_DATA "\x72\x00\x00\xc0\0\0\0\0\0\0\0", 24, 0 },
        { "\x30\x15\xa1\x03\x02\x01\x01\xa2\x0e\x04\x0c\x72\0\0\xc0\0\0\0\0\0\0\0\0", 23, 0 },
    };
    struct eas_kdc kdc;
    size_t i;

    (void)state;
    open_kdc(&kdc);
    for (i = 0; i < COUNT_OF(rows); i++) {
        receive_error(&kdc, KRB5KDC_ERR_CLIENT_REVOKED, rows[i].e_data, rows[i].len);
        assert_int_equal(kdc.ntstatus, rows[i].ntstatus);
    }
    eas_kdc_close(&kdc);
}

static void test_other_replies_pass(void **state)
{
    static const struct {
        krb5_error_code code;
        krb5_data answer;
    } rows[] = {
        { 0, { 0, 2, (char *)"\x6b\x00" } }, /* an AS-REP */
        { 0, { 0, 2, (char *)"\x7e\x00" } }, /* the tag of a KRB-ERROR, and no KRB-ERROR */
        { 0, { 0, 4, (char *)"\x7e\x84\xff\xff" } }, { 0, { 0, 0, NULL } },
        { KRB5_KDC_UNREACH, { 0, 0, NULL } },
    };
    struct eas_kdc kdc;
    size_t i;

    (void)state;
    open_kdc(&kdc);
    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(receive(&kdc, rows[i].code, rows[i].answer), rows[i].code);
        assert_int_equal(kdc.ntstatus, 0);
    }
    eas_kdc_close(&kdc);
}

static krb5_creds make_tgt(struct eas_kdc *kdc)
{
    krb5_creds tgt;

    memset(&tgt, 0, sizeof(tgt));
    assert_int_equal(krb5_parse_name(kdc->ctx, "alice@" REALM, &tgt.client), 0);
    assert_int_equal(krb5_parse_name(kdc->ctx, "krbtgt/" REALM "@" REALM, &tgt.server), 0);
    tgt.ticket.data = strdup("ticket");
    assert_non_null(tgt.ticket.data);
    tgt.ticket.length = 6;
    return tgt;
}

static void test_ccache_holds_only_the_tgt(void **state)
{
    struct eas_kdc kdc;
    krb5_creds tgt, found;
    krb5_ccache ccache = NULL, other = NULL;
    krb5_cc_cursor cursor;

    (void)state;
    open_kdc(&kdc);
    tgt = make_tgt(&kdc);
    assert_int_equal(eas_kdc_ccache(&kdc, &tgt, &ccache), 0);
    assert_int_equal(eas_kdc_ccache(&kdc, &tgt, &other), 0);
    assert_string_equal(krb5_cc_get_type(kdc.ctx, ccache), "MEMORY");
    assert_string_not_equal(krb5_cc_get_name(kdc.ctx, ccache), krb5_cc_get_name(kdc.ctx, other));
    assert_int_equal(krb5_cc_start_seq_get(kdc.ctx, ccache, &cursor), 0);
    assert_int_equal(krb5_cc_next_cred(kdc.ctx, ccache, &cursor, &found), 0);
    assert_true(krb5_principal_compare(kdc.ctx, found.client, tgt.client));
    assert_true(krb5_principal_compare(kdc.ctx, found.server, tgt.server));
    krb5_free_cred_contents(kdc.ctx, &found);
    assert_int_equal(krb5_cc_next_cred(kdc.ctx, ccache, &cursor, &found), KRB5_CC_END);
    krb5_cc_end_seq_get(kdc.ctx, ccache, &cursor);
    krb5_cc_destroy(kdc.ctx, ccache);
    krb5_cc_destroy(kdc.ctx, other);
    krb5_free_cred_contents(kdc.ctx, &tgt);
    eas_kdc_close(&kdc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_sets_all_members),
        cmocka_unit_test(test_cause_of_each_error_code),
        cmocka_unit_test(test_clock_skew_of_five_minutes),
        cmocka_unit_test(test_fail_has_the_message_of_libkrb5),
        cmocka_unit_test(test_fail_has_the_message_of_the_context),
        cmocka_unit_test(test_fail_has_the_ntstatus),
        cmocka_unit_test(test_fail_without_a_context),
        cmocka_unit_test(test_fail_by_cause),
        POOL_TEST(test_default_realm),
        POOL_TEST(test_invalid_krb5_conf),
        cmocka_unit_test(test_principal_of_a_login),
        POOL_TEST(test_user_names_from_the_kdc),
        POOL_TEST(test_other_names_from_the_kdc_are_denied),
        POOL_TEST(test_realm_with_a_nul_is_denied),
        cmocka_unit_test(test_no_message_after_the_deadline),
        cmocka_unit_test(test_closed_port_is_unreachable),
        cmocka_unit_test(test_only_a_wrong_password_ends_the_exchange),
        cmocka_unit_test(test_referral_ends_the_as_exchange),
        POOL_TEST(test_referrals_to_realms_that_are_ours),
        cmocka_unit_test(test_errors_to_an_armoured_message),
        cmocka_unit_test(test_second_question_for_a_password),
        cmocka_unit_test(test_probe_ends_with_the_first_answer),
        cmocka_unit_test(test_ntstatus_of_an_error),
        cmocka_unit_test(test_other_replies_pass),
        cmocka_unit_test(test_ccache_holds_only_the_tgt),
    };

    return cmocka_run_group_tests(tests, krb5_files_start, krb5_files_end);
}
