/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_front_end.c - headers and cookies that only Exchange's own front end sends */

#include "delegation/proxy/front_end.h"
#include "t/unit/unit.h"

#include <apr_strings.h>
#include <string.h>

/* The names of the headers that are left, in order, and the Cookie header's value. */
static const char *left(apr_pool_t *pool, apr_table_t *headers)
{
    const apr_array_header_t *all = apr_table_elts(headers);
    const char *names = "";
    int i;

    for (i = 0; i < all->nelts; i++) {
        names = apr_pstrcat(pool, names, i > 0 ? " " : "",
                            APR_ARRAY_IDX(all, i, apr_table_entry_t).key, NULL);
    }
    return names;
}

static apr_table_t *headers_of(apr_pool_t *pool, const char *const *names, apr_size_t n)
{
    apr_table_t *headers = apr_table_make(pool, 8);
    apr_size_t i;

    for (i = 0; i < n; i++) {
        apr_table_addn(headers, names[i], "x");
    }
    return headers;
}

static void test_names_of_the_list(void **state)
{
    static const char *const names[] = {
        "X-CommonAccessToken",
        "x-commonaccesstoken",
        "X_CommonAccessToken",
        "X.Rps.CAT",
        "X-EXT-ACBT",
        "X-IsFromCafe",
        "X-IsFromBackend",
        "X-BEResource",
        "X-AnonResource",
        "X_AnonResource.Backend",
        "SecurityToken",
        "msExchLogonMailbox",
        "MSEXCHLOGONACCOUNT",
        "msExchTargetMailbox",
        "X-vDirObjectId",
        "X-OWA-ExplicitLogonUser",
        "X-MS-EdgeIP",
        "X-Original-URL",
        "X-Rewrite-URL",
        "Front-End-Https",
        "FRONT_END_HTTPS",
        "Remote-User",
        "Remote_User",
        "X-Remote-User",
        "Proxy",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Server",
    };
    apr_table_t *headers = headers_of(*state, names, COUNT_OF(names));

    eas_front_end_strip(*state, headers, NULL);
    assert_string_equal(left(*state, headers), "");
}

static void test_names_of_clients(void **state)
{
    static const char *const names[] = {
        "Host",
        "User-Agent",
        "X-AnchorMailbox",
        "X-MS-PolicyKey",
        "MS-ASProtocolVersion",
        "X-User-Identity",
        "X-PreferServerAffinity",
        "X-OWA-CANARY",
        "X-RequestType",
        "X-ClientInfo",
        "client-request-id",
        "Proxy-Connection",
        "X-Forwarded-Proto",
        "X-CommonAccessTokens",
        "X-IsFrom",
        "",
    };
    apr_table_t *headers = headers_of(*state, names, COUNT_OF(names));

    eas_front_end_strip(*state, headers, NULL);
    assert_int_equal(apr_table_elts(headers)->nelts, COUNT_OF(names));
}

static void test_configured_names(void **state)
{
    static const char *const names[] = { "X-Ours", "x_ours", "Proxy", "proxy", "X-BEResource" };
    static const char *const settings[] = { "x-ours", "-PROXY", "Proxy" };
    apr_array_header_t *list = apr_array_make(*state, 3, sizeof(const char *));
    apr_table_t *headers = headers_of(*state, names, COUNT_OF(names));
    apr_size_t i;

    for (i = 0; i < COUNT_OF(settings); i++) {
        APR_ARRAY_PUSH(list, const char *) = settings[i];
    }
    eas_front_end_strip(*state, headers, list);
    assert_string_equal(left(*state, headers), "Proxy proxy");
}

static void test_cookies(void **state)
{
    static const struct {
        const char *sent, *kept;
    } rows[] = {
        { "a=b; X-BEResource=x; c=d", "a=b; c=d" },
        { "x-beresource=x", NULL },
        { "X-AnonResource=true; X-AnonResource-Backend=evil", NULL },
        { "SecurityToken=x; X-BackEndCookie=y", "X-BackEndCookie=y" },
        { "a=b,X-BEResource=x; c=d", "a=b; c=d" },
        { "X-BEResources=x", "X-BEResources=x" },
    };
    apr_size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        apr_table_t *headers = apr_table_make(*state, 2);
        const char *kept;

        apr_table_addn(headers, "Cookie", rows[i].sent);
        eas_front_end_strip(*state, headers, NULL);
        kept = apr_table_get(headers, "Cookie");
        if (rows[i].kept == NULL ? kept != NULL : kept == NULL || strcmp(kept, rows[i].kept) != 0) {
            fail_msg("%s: %s", rows[i].sent, kept);
        }
    }
}

static void test_configured_words(void **state)
{
    (void)state;
    assert_true(eas_front_end_is_name("X-Ours"));
    assert_true(eas_front_end_is_name("x_o.1"));
    assert_false(eas_front_end_is_name(""));
    assert_false(eas_front_end_is_name("X Ours"));
    assert_false(eas_front_end_is_name("X-Ours:"));
    assert_false(eas_front_end_is_name("X-\xc3\xa4"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_names_of_the_list), POOL_TEST(test_names_of_clients),
        POOL_TEST(test_configured_names),  POOL_TEST(test_cookies),
        POOL_TEST(test_configured_words),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
