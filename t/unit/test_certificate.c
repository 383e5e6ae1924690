/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_certificate.c - a client's certificate as an identity, and its user */

#include "t/unit/tickets.h"

#include "delegation/kerberos/certificate.h"

#include <apr_strings.h>

#define PEM(label, text) "-----BEGIN " label "-----\n" text "\n-----END " label "-----\n"

static void test_identity(void **state)
{
    static const unsigned char der[] = { 0x30, 0x03, 0x02, 0x01, 0x01 };
    static const char *const texts[] = { PEM("CERTIFICATE", "MAMCAQE="),
                                         PEM("CERTIFICATE", "MAMCAQE=")
                                             PEM("CERTIFICATE", "MAMCAQI=") };
    const struct eas_identity *identity;
    struct eas_err err;
    size_t i;

    for (i = 0; i < COUNT_OF(texts); i++) {
        assert_int_equal(eas_certificate_identity(*state, texts[i], &identity, &err), EAS_OK);
        assert_int_equal(identity->certificate.len, sizeof(der));
        assert_memory_equal(identity->certificate.at, der, sizeof(der));
        assert_string_equal(identity->principal,
                            "certificate "
                            "1b65f68a522c858715f5dd951cd0402dc16691778814bf0759822b7a257421d0");
        assert_int_equal(identity->authenticated_by, EAS_BY_OTHER);
        assert_null(identity->login.user);
        assert_null(identity->evidence);
    }
}

static void test_what_is_no_certificate(void **state)
{
    char *long_line = apr_palloc(*state, 90000);
    const char *rows[] = {
        "",
        "x",
        PEM("PRIVATE KEY", "MAMCAQE="),
        PEM("CERTIFICATE", "MAMCAQE=") + 1,
        PEM("CERTIFICATE", ""),
        PEM("CERTIFICATE", "?"),
        "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n",
        PEM("PRIVATE KEY", "MAMCAQE=") PEM("CERTIFICATE", "MAMCAQE="),
        long_line,
    };
    const struct eas_identity *identity = NULL;
    char *p = apr_cpystrn(long_line, "-----BEGIN CERTIFICATE-----\n", 90000);
    struct eas_err err;
    size_t i;

    for (i = 0; i < 1366; i++) { /* 48 octets each */
        p = apr_cpystrn(p, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
                        66);
    }
    apr_cpystrn(p, "-----END CERTIFICATE-----\n", 40);
    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(eas_certificate_identity(*state, rows[i], &identity, &err), EAS_FORBIDDEN);
        assert_int_equal(err.tag, 2098);
        assert_null(identity);
    }
}

static void test_user(void **state)
{
    struct eas_ticket *ticket = tickets_make(1, 2);
    krb5_creds creds = tickets_creds(1, 1, 2);

    assert_string_equal(eas_certificate_user(*state, ticket), "alice@TEST");
    eas_ticket_unref(ticket);

    krb5_free_principal(NULL, creds.client);
    assert_int_equal(
        krb5_build_principal(NULL, &creds.client, 4, "TEST", "HTTP", "host", (char *)NULL), 0);
    ticket = eas_ticket_take(&creds);
    assert_string_equal(eas_certificate_user(*state, ticket), "");
    eas_ticket_unref(ticket);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_identity),
        POOL_TEST(test_what_is_no_certificate),
        POOL_TEST(test_user),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
