/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_origin.c - origin of a page, compared with names of a site */

#include "t/unit/unit.h"

#include "auth/login/origin.h"

static void test_origins_of_an_authority(void **state)
{
    static const struct {
        const char *origin, *authority;
        bool same;
    } rows[] = {
        { "https://mail.example.com", "mail.example.com", true },
        { "HTTPS://MAIL.example.com", "mail.EXAMPLE.com", true },
        { "https://mail.example.com:443", "mail.example.com", true },
        { "https://mail.example.com", "mail.example.com:443", true },
        { "https://mail.example.com.", "mail.example.com", true },
        { "https://mail.example.com.:443", "mail.example.com", true },
        { "https://mail.example.com", "mail.example.com.", true },
        { "https://mail.example.com", "mail.example.com..", false },
        { "https://mail.example.com.", "mail.example.com..", false },
        { "https://mail.example.com", ".mail.example.com", false },
        { "https://mail.example.com", ".", false },
        { "https://mail.example.com:8443", "mail.example.com:8443", true },
        { "http://mail.example.com", "mail.example.com:80", true },
        { "http://mail.example.com:80", "mail.example.com", true },
        { "https://[2001:db8::1]", "[2001:DB8::1]:443", true },
        { "https://192.0.2.1:8443", "192.0.2.1:8443", true },
        { "https://mail.example.com:8443", "mail.example.com", false },
        { "https://mail.example.com", "mail.example.com:8443", false },
        { "https://mail.example.com", "mail.example.com:80", false },
        { "http://mail.example.com", "mail.example.com:443", false },
        { "https://mail.example.com", "mail.example.co", false },
        { "https://mail.example.com", "mail.example.comx", false },
        { "https://evil.example", "mail.example.com", false },
        { "https://mail.example.com", "", false },
        { "https://mail.example.com", "mail.example.com:", false },
        { "https://mail.example.com", "mail.example.com:443:443", false },
        { "https://mail.example.com", "mail.example.com:65979", false }, /* 443 in 16 bits */
        { "https://mail.example.com", "https://mail.example.com", false },
        { "https://mail.example.com", "mail.example.com, mail.example.com", false },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        struct eas_origin origin;

        assert_true(eas_origin_parse(rows[i].origin, &origin));
        if (eas_origin_is_at(&origin, rows[i].authority) != rows[i].same) {
            fail_msg("%s, %s", rows[i].origin, rows[i].authority);
        }
    }
}

static void test_no_origins(void **state)
{
    static const char *const rows[] = {
        "",
        "null",
        "mail.example.com",
        "//mail.example.com",
        "https:mail.example.com",
        "https://",
        "https://:443",
        "https:///",
        "https://.",
        "https://.mail.example.com",
        "https://mail..example.com",
        "https://mail.example.com..",
        "https://-..",
        "https://mail.example.com/",
        "https://mail.example.com?",
        "https://mail.example.com:",
        "https://mail.example.com:0",
        "https://mail.example.com:65536",
        "https://mail.example.com:443a",
        "https://mail.example.com:443:443",
        "https://mail.example.com@evil.example",
        "https://mail.example.com:443@evil.example",
        "https://mail.example.com, https://evil.example",
        " https://mail.example.com",
        "https://mail.example.com ",
        "https://mail.example.com\\",
        "https://[2001:db8::1",
        "https://[evil.example]",
        "ftp://mail.example.com",
        "httpsx://mail.example.com",
        "https//mail.example.com",
    };
    struct eas_origin origin;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        if (eas_origin_parse(rows[i], &origin)) {
            fail_msg("%s", rows[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_origins_of_an_authority),
        cmocka_unit_test(test_no_origins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
