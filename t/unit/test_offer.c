/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_offer.c - schemes and forms by which a backend asks for a user */

#include "t/unit/unit.h"

#include "delegation/kerberos/offer.h"

#include <string.h>

static void test_schemes(void **state)
{
    static const struct {
        const char *lines[3];
        enum eas_offer offer;
    } rows[] = {
        { { NULL }, EAS_OFFER_NOTHING },
        { { "" }, EAS_OFFER_NOTHING },
        { { "Digest realm=\"x\"" }, EAS_OFFER_NOTHING },
        { { "Basic realm=\"x\"" }, EAS_OFFER_BASIC },
        { { "basic" }, EAS_OFFER_BASIC },
        { { "Basic realm=\"NTLM, Negotiate\"" }, EAS_OFFER_BASIC },
        { { "Basic realm=\"a\\\", NTLM\"" }, EAS_OFFER_BASIC },
        { { "Basics, NTLMv2, Negotiated" }, EAS_OFFER_NOTHING },
        { { "NTLM" }, EAS_OFFER_NTLM },
        { { "NTLM", "Basic realm=\"x\"" }, EAS_OFFER_NTLM },
        { { "Basic realm=\"x\"", "NTLM" }, EAS_OFFER_NTLM },
        { { "Negotiate" }, EAS_OFFER_NEGOTIATE },
        { { "Negotiate oQcwBaADCgEC" }, EAS_OFFER_NEGOTIATE },
        { { "NTLM,negotiate" }, EAS_OFFER_NEGOTIATE },
        { { "Negotiate", "NTLM" }, EAS_OFFER_NEGOTIATE },
    };
    size_t i, j;

    for (i = 0; i < COUNT_OF(rows); i++) {
        apr_table_t *headers = apr_table_make(*state, 3);

        for (j = 0; rows[i].lines[j] != NULL; j++) {
            apr_table_add(headers, "WWW-Authenticate", rows[i].lines[j]);
        }
        assert_int_equal(eas_offer_of(401, headers), rows[i].offer);
        assert_int_equal(eas_offer_of(403, headers), EAS_OFFER_NOTHING);
        assert_int_equal(eas_offer_of(200, headers), EAS_OFFER_NOTHING);
    }
}

static void test_forms(void **state)
{
    static const struct {
        int status;
        const char *location;
        enum eas_offer offer;
    } rows[] = {
        { 302, "https://cas1/owa/auth/logon.aspx?url=x", EAS_OFFER_FORM },
        { 303, "/login", EAS_OFFER_FORM },
        { 302, "/owa/", EAS_OFFER_NOTHING },
        { 302, NULL, EAS_OFFER_NOTHING },
        { 201, "/login", EAS_OFFER_NOTHING },
        { 440, NULL, EAS_OFFER_FORM },
        { 200, NULL, EAS_OFFER_NOTHING },
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        apr_table_t *headers = apr_table_make(*state, 1);

        if (rows[i].location != NULL) {
            apr_table_set(headers, "Location", rows[i].location);
        }
        assert_int_equal(eas_offer_of(rows[i].status, headers), rows[i].offer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_schemes),
        POOL_TEST(test_forms),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
