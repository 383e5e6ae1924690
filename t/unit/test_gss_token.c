/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_gss_token.c - what GSSAPI may use for a token: the ticket, and nothing else */

#include "delegation/kerberos/gss_token.h"
#include "t/unit/tokens.h"

#include <dlfcn.h>
#include <netdb.h>
#include <sys/socket.h>

#define CLIENT_KEYTAB "client.keytab"
#define DEFAULT_CCACHE "MEMORY:default"

/* Steps towards the network, of any library.  None happens in parallel. */
static int sockets, lookups;

int socket(int domain, int type, int protocol)
{
    int (*real)(int, int, int);

    *(void **)&real = dlsym(RTLD_NEXT, "socket");
    sockets++;
    return real(domain, type, protocol);
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    lookups++;
    return real(node, service, hints, found);
}

/* The last ccache that was opened. */
static char ccache_name[64];

krb5_error_code KRB5_CALLCONV krb5_cc_resolve(krb5_context ctx, const char *name,
                                              krb5_ccache *ccache)
{
    krb5_error_code(KRB5_CALLCONV * real)(krb5_context, const char *, krb5_ccache *);

    *(void **)&real = dlsym(RTLD_NEXT, "krb5_cc_resolve");
    snprintf(ccache_name, sizeof(ccache_name), "%s", name);
    return real(ctx, name, ccache);
}

/* The ccache that an interposing mechanism takes instead; NULL: none. */
static const char *other_ccache;

OM_uint32 gss_acquire_cred_from(OM_uint32 *minor, gss_name_t name, OM_uint32 time,
                                gss_OID_set mechs, gss_cred_usage_t usage,
                                gss_const_key_value_set_t store, gss_cred_id_t *cred,
                                gss_OID_set *actual, OM_uint32 *time_out)
{
    gss_key_value_element_desc element = { "ccache", other_ccache };
    const gss_key_value_set_desc other = { 1, &element };
    OM_uint32 (*real)(OM_uint32 *, gss_name_t, OM_uint32, gss_OID_set, gss_cred_usage_t,
                      gss_const_key_value_set_t, gss_cred_id_t *, gss_OID_set *, OM_uint32 *);

    *(void **)&real = dlsym(RTLD_NEXT, "gss_acquire_cred_from");
    return real(minor, name, time, mechs, usage, other_ccache != NULL ? &other : store, cred,
                actual, time_out);
}

/* --- what could lead GSSAPI to the KDC --------------------------------------------------- */

/* Resolves names of hosts, and permits one enctype. */
static int write_conf(void)
{
    static const char conf[] = "[libdefaults]\n"
                               "    default_realm = " REALM "\n"
                               "    dns_canonicalize_hostname = fallback\n"
                               "    permitted_enctypes = aes256-cts-hmac-sha1-96\n"
                               "[realms]\n"
                               "    " REALM " = {\n"
                               "        kdc = 127.0.0.1:1\n"
                               "    }\n";

    return krb5_write_file("krb5.conf", conf, sizeof(conf) - 1);
}

/* A ccache with one ticket. */
static void fill_ccache(struct fixture *f, const char *name, const char *client, const char *server)
{
    krb5_creds creds = alices_creds(f, 3600, ENCTYPE);
    krb5_ccache ccache;
    struct blob der;

    krb5_free_principal(f->ctx, creds.client);
    krb5_free_principal(f->ctx, creds.server);
    assert_int_equal(krb5_parse_name(f->ctx, client, &creds.client), 0);
    assert_int_equal(krb5_parse_name(f->ctx, server, &creds.server), 0);
    der = ticket_der(f->ctx, &f->key, &creds);
    creds.ticket = (krb5_data){ 0, (unsigned)der.len, (char *)der.bytes };
    assert_int_equal(krb5_cc_resolve(f->ctx, name, &ccache), 0);
    assert_int_equal(krb5_cc_initialize(f->ctx, ccache, creds.client), 0);
    assert_int_equal(krb5_cc_store_cred(f->ctx, ccache, &creds), 0);
    krb5_cc_close(f->ctx, ccache);
    creds.ticket = (krb5_data){ 0, 0, NULL };
    krb5_free_cred_contents(f->ctx, &creds);
}

/* The default client keytab has the user's key. */
static void add_client_key(struct fixture *f)
{
    krb5_keytab_entry entry;
    krb5_keytab keytab;

    memset(&entry, 0, sizeof(entry));
    assert_int_equal(krb5_kt_client_default(f->ctx, &keytab), 0);
    assert_int_equal(krb5_parse_name(f->ctx, CLIENT, &entry.principal), 0);
    entry.key = f->key;
    assert_int_equal(krb5_kt_add_entry(f->ctx, keytab, &entry), 0);
    krb5_free_principal(f->ctx, entry.principal);
    krb5_kt_close(f->ctx, keytab);
}

static int start(void **state)
{
    char name[64];

    if (krb5_files_start(state) != 0 || write_conf() != 0) {
        return -1;
    }
    setenv("KRB5CCNAME", DEFAULT_CCACHE, 1);
    snprintf(name, sizeof(name), "FILE:%s", krb5_path(CLIENT_KEYTAB));
    setenv("KRB5_CLIENT_KTNAME", name, 1);
    return 0;
}

static int end(void **state)
{
    unlink(krb5_path(CLIENT_KEYTAB));
    return krb5_files_end(state);
}

static int start_tempted_test(void **state)
{
    int failed = start_gssapi_test(state);

    fill_ccache(*state, DEFAULT_CCACHE, CLIENT, "krbtgt/" REALM "@" REALM);
    add_client_key(*state);
    sockets = lookups = 0;
    other_ccache = NULL;
    return failed;
}

#define TEMPTED_TEST(test) cmocka_unit_test_setup_teardown(test, start_tempted_test, end_test)

static void assert_no_network(void)
{
    assert_int_equal(sockets, 0);
    assert_int_equal(lookups, 0);
}

static void assert_accepted(struct fixture *f, const struct eas_ticket *ticket)
{
    struct accepted a = accept_token(f, make_token(f, ticket).value, NULL);

    assert_int_equal(a.major, GSS_S_COMPLETE);
    assert_name(a.client, CLIENT);
    forget_accepted(&a);
    assert_no_network();
}

/* --- the tests --------------------------------------------------------------------------- */

/* A default credential finds the TGT, and asks the KDC. */
static void test_steps_are_counted(void **state)
{
    char text[] = "HTTP/other@" REALM;
    gss_buffer_desc name = { strlen(text), text }, out;
    gss_ctx_id_t context = GSS_C_NO_CONTEXT;
    gss_name_t target;
    OM_uint32 minor;

    (void)state;
    assert_int_equal(gss_import_name(&minor, &name, (gss_OID)GSS_KRB5_NT_PRINCIPAL_NAME, &target),
                     GSS_S_COMPLETE);
    assert_true(GSS_ERROR(gss_init_sec_context(
        &minor, GSS_C_NO_CREDENTIAL, &context, target, GSS_C_NO_OID, GSS_C_MUTUAL_FLAG, 0,
        GSS_C_NO_CHANNEL_BINDINGS, GSS_C_NO_BUFFER, NULL, &out, NULL, NULL)));
    assert_true(sockets > 0);
    gss_release_name(&minor, &target);
}

/* GSSAPI renews a credential that ends in 30 seconds, by the client keytab. */
static void test_ticket_near_its_end(void **state)
{
    struct fixture *f = *state;

    assert_accepted(f, make_ticket(f, 20));
}

static void assert_no_token(struct fixture *f, const struct eas_ticket *ticket, const char *words)
{
    const struct eas_token_request request = { f->by, ticket, no_binding, NULL };
    struct eas_err err = { EAS_OK, 0, "" };
    struct eas_token token;

    assert_int_equal(eas_token_make(f->maker, f->pool, &request, &token, &err), EAS_UNAVAILABLE);
    assert_int_equal(err.tag, 2002);
    assert_non_null(strstr(err.text, words));
    assert_no_network();
}

/* GSSAPI passes over it in the ccache, as if it were missing. */
static void test_ticket_that_libkrb5_may_not_use(void **state)
{
    struct fixture *f = *state;

    assert_no_token(f, make_ticket_for(f, 3600, ENCTYPE_AES128_CTS_HMAC_SHA1_96),
                    "Matching credential not found");
}

/* It is for the same service. */
static void test_credential_of_another_user(void **state)
{
    struct fixture *f = *state;

    fill_ccache(f, "MEMORY:other", "carol@" REALM, SERVICE);
    other_ccache = "MEMORY:other";
    assert_no_token(f, make_ticket(f, 3600), "another user");
}

/* libkrb5 would resolve the host of such a name. */
static void test_ticket_of_a_host(void **state)
{
    struct fixture *f = *state;
    krb5_creds creds = alices_creds(f, 3600, ENCTYPE);

    creds.server->type = KRB5_NT_SRV_HST;
    assert_accepted(f, issue_ticket(f, creds));
}

/* The name of the request, which is an alias without a realm. */
static void test_ticket_after_a_referral(void **state)
{
    struct fixture *f = *state;
    struct eas_ticket *ticket = make_ticket(f, 3600);
    krb5_creds *creds = eas_ticket_creds(ticket);

    krb5_free_principal(f->ctx, creds->server);
    assert_int_equal(krb5_parse_name_flags(f->ctx, "HTTP/alias.eas.test",
                                           KRB5_PRINCIPAL_PARSE_NO_DEF_REALM, &creds->server),
                     0);
    assert_accepted(f, ticket);
}

/* No other code can guess its name, and it is gone. */
static void test_ccache_of_a_token(void **state)
{
    struct fixture *f = *state;
    char name[sizeof(ccache_name)];
    krb5_principal client;
    krb5_ccache ccache;

    make_token(f, make_ticket(f, 3600));
    snprintf(name, sizeof(name), "%s", ccache_name);
    assert_int_equal(strspn(name + strlen("MEMORY:"), "0123456789abcdef"), 32);
    assert_int_equal(krb5_cc_resolve(f->ctx, name, &ccache), 0);
    assert_int_equal(krb5_cc_get_principal(f->ctx, ccache, &client), KRB5_FCC_NOFILE);
    krb5_cc_close(f->ctx, ccache);
}

/* A reply without an AP-REP, such as a KRB-ERROR, does not reach GSSAPI's parsers. */
static void test_reply_without_an_ap_rep(void **state)
{
    static const unsigned char octets[] = { 0xa1, 0x07, 0x30, 0x05, 0xa0, 0x03, 0x0a, 0x01, 0x00 };
    const struct eas_bytes reply = { octets, sizeof(octets) };
    struct fixture *f = *state;
    struct eas_gss_token *made;
    struct eas_secret *token;

    assert_null(eas_gss_token_make(f->ctx, f->pool, make_ticket(f, 3600), (struct eas_bytes){ 0 },
                                   &made, &token));
    assert_string_equal(eas_gss_token_verify(made, f->pool, reply), "the reply has no AP-REP");
    assert_string_equal(eas_gss_token_verify(made, f->pool, reply),
                        "an earlier reply to this token was wrong");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEMPTED_TEST(test_steps_are_counted),
        TEMPTED_TEST(test_ticket_near_its_end),
        TEMPTED_TEST(test_ticket_that_libkrb5_may_not_use),
        TEMPTED_TEST(test_credential_of_another_user),
        TEMPTED_TEST(test_ticket_of_a_host),
        TEMPTED_TEST(test_ticket_after_a_referral),
        TEMPTED_TEST(test_ccache_of_a_token),
        TEMPTED_TEST(test_reply_without_an_ap_rep),
    };

    return cmocka_run_group_tests(tests, start, end);
}
