/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_kdc_locate.c - the KDCs of realms in krb5.conf, without a name server */

#include "t/unit/krb5_files.h"
#include "t/unit/moved_clock.h"

#include "auth/base/clock.h"
#include "auth/kerberos/kdc_locate.h"
#include "auth/kerberos/kdc_profile.h"

#include <string.h>

#define HEAD "[libdefaults]\n default_realm = A\n dns_lookup_kdc = false\n[realms]\n"

struct opened {
    krb5_context ctx;
    struct eas_kdc_profile *profile;
};

static struct opened open_conf(const char *conf)
{
    struct opened opened;

    assert_int_equal(krb5_write_file("locate.conf", conf, strlen(conf)), 0);
    setenv("KRB5_CONFIG", krb5_path("locate.conf"), 1);
    assert_int_equal(eas_kdc_profile_context(&opened.ctx, &opened.profile), 0);
    return opened;
}

static void close_conf(struct opened *opened)
{
    krb5_free_context(opened->ctx);
    setenv("KRB5_CONFIG", krb5_path("krb5.conf"), 1);
    unlink(krb5_path("locate.conf"));
}

static enum eas_kdc_located locate_with(bool by_plugin, const char *conf, const char *realm,
                                        struct eas_kdc_addresses *addresses)
{
    struct opened opened = open_conf(conf);
    enum eas_kdc_located located = eas_kdc_locate(
        opened.profile->files, realm, by_plugin, eas_clock_now() + apr_time_from_sec(2), addresses);

    close_conf(&opened);
    return located;
}

static enum eas_kdc_located locate(const char *conf, const char *realm,
                                   struct eas_kdc_addresses *addresses)
{
    return locate_with(false, conf, realm, addresses);
}

static void test_addresses_in_numbers(void **state)
{
    static const char *const texts[] = { "[192.0.2.1]:88", "[192.0.2.2]:8888", "[2001:db8::1]:88",
                                         "[2001:db8::2]:8888", "[192.0.2.3]:88" };
    struct eas_kdc_addresses addresses;
    unsigned i;

    (void)state;
    assert_int_equal(locate(HEAD " A = {\n kdc = 192.0.2.1\n kdc = 192.0.2.2:8888\n"
                                 " kdc = [2001:db8::1]\n kdc = [2001:db8::2]:8888\n"
                                 " kdc = tcp/192.0.2.3\n }\n",
                            "A", &addresses),
                     EAS_KDC_LOCATED);
    assert_int_equal(addresses.count, COUNT_OF(texts));
    for (i = 0; i < addresses.count; i++) {
        assert_string_equal(addresses.at[i].text, texts[i]);
    }
}

static void test_more_addresses_than_are_kept(void **state)
{
    char conf[2048] = HEAD " A = {\n";
    struct eas_kdc_addresses addresses;
    int i;

    (void)state;
    for (i = 1; i < 30; i++) {
        sprintf(conf + strlen(conf), " kdc = 192.0.2.%d\n", i);
    }
    strcat(conf, " }\n");
    assert_int_equal(locate(conf, "A", &addresses), EAS_KDC_LOCATED);
    assert_int_equal(addresses.count, EAS_KDC_HEALTH_ADDRESSES);
}

/* The hosts file needs no name server. */
static void test_name_in_the_hosts_file(void **state)
{
    struct eas_kdc_addresses addresses;

    (void)state;
    assert_int_equal(locate(HEAD " A = {\n kdc = localhost:8888\n }\n", "A", &addresses),
                     EAS_KDC_LOCATED);
    assert_true(addresses.count >= 1);
    assert_true(strcmp(addresses.at[0].text, "[127.0.0.1]:8888") == 0
                || strcmp(addresses.at[0].text, "[::1]:8888") == 0);
}

/* The hosts file's for half a minute, the least; then one caller has it looked up again. */
static void test_answer_is_kept_for_its_time(void **state)
{
    static const char conf[] = HEAD " A = {\n kdc = localhost:8889\n }\n";
    struct eas_kdc_addresses addresses;
    struct opened opened;

    (void)state;
    assert_int_equal(locate(conf, "A", &addresses), EAS_KDC_LOCATED);
    advance_clock(apr_time_from_sec(29));
    assert_int_equal(locate(conf, "A", &addresses), EAS_KDC_LOCATED);
    advance_clock(apr_time_from_sec(2));
    assert_int_equal(locate(conf, "A", &addresses), EAS_KDC_LOCATED_STALE);
    assert_true(addresses.count >= 1);
    assert_int_equal(locate(conf, "A", &addresses), EAS_KDC_LOCATED);
    advance_clock(apr_time_from_sec(6)); /* no newer answer has come */
    assert_int_equal(locate(conf, "A", &addresses), EAS_KDC_LOCATED_STALE);
    opened = open_conf(conf);
    eas_kdc_locate_refresh(opened.profile->files, "A", eas_clock_now() + apr_time_from_sec(2));
    close_conf(&opened);
    advance_clock(apr_time_from_sec(6));
    assert_int_equal(locate(conf, "A", &addresses), EAS_KDC_LOCATED);
}

static void test_realm_without_KDCs(void **state)
{
    struct eas_kdc_addresses addresses;

    (void)state;
    assert_int_equal(locate(HEAD, "B", &addresses), EAS_KDC_LOCATED_NONE);
    assert_int_equal(locate("[libdefaults]\n dns_fallback = no\n", "B", &addresses),
                     EAS_KDC_LOCATED_NONE);
}

static void test_proxy_is_left_to_libkrb5(void **state)
{
    struct eas_kdc_addresses addresses;

    (void)state;
    assert_int_equal(locate(HEAD " A = {\n kdc = 192.0.2.1\n"
                                 " kdc = https://proxy.example.com/KdcProxy\n }\n",
                            "A", &addresses),
                     EAS_KDC_LOCATED_BY_OTHERS);
}

static void test_plugin_is_left_to_libkrb5(void **state)
{
    struct eas_kdc_addresses addresses;

    (void)state;
    assert_int_equal(locate_with(true, HEAD, "B", &addresses), EAS_KDC_LOCATED_BY_OTHERS);
    assert_int_equal(locate_with(true, HEAD " A = {\n kdc = 192.0.2.1\n }\n", "A", &addresses),
                     EAS_KDC_LOCATED);
}

/* libkrb5's view: a placeholder where krb5.conf has no KDC, no DNS, and the rest as it is. */
static void test_profile_of_the_context(void **state)
{
    static const struct {
        const char *names[4];
        const char *value; /* NULL: none */
        bool is_placeholder;
    } rows[] = {
        { { "libdefaults", "dns_lookup_kdc", NULL }, "false" },
        { { "libdefaults", "default_realm", NULL }, "A" },
        { { "realms", "A", "kdc", NULL }, "192.0.2.1" },
        { { "realms", "B", "kdc", NULL }, "127.0.0.1", true },
        { { "realms", "B", "admin_server", NULL }, NULL },
        { { "realms", "A", "primary_kdc", NULL }, NULL },
    };
    struct opened opened = open_conf("[libdefaults]\n default_realm = A\n dns_lookup_kdc = true\n"
                                     "[realms]\n A = {\n kdc = 192.0.2.1\n }\n");
    struct _profile_t *ours;
    size_t i;

    (void)state;
    assert_int_equal(krb5_get_profile(opened.ctx, &ours), 0);
    for (i = 0; i < COUNT_OF(rows); i++) {
        char **values = NULL;
        long code = profile_get_values(ours, rows[i].names, &values);

        assert_int_equal(opened.profile->has_placeholder, rows[i].is_placeholder);
        opened.profile->has_placeholder = false;
        assert_int_equal(code == 0, rows[i].value != NULL);
        if (code == 0) {
            assert_string_equal(values[0], rows[i].value);
            profile_free_list(values);
        }
    }
    profile_release(ours);
    close_conf(&opened);
}

/* The first relation that there is names the servers; one port counts. */
static void test_servers_for_changes_of_passwords(void **state)
{
    static const struct {
        const char *relations, *text;
    } rows[] = {
        { " kdc = 192.0.2.1:8888\n admin_server = 192.0.2.2:749\n"
          " kpasswd_server = 192.0.2.3:4640\n",
          "[192.0.2.3]:4640" },
        { " kdc = 192.0.2.1\n kpasswd_server = 192.0.2.3\n", "[192.0.2.3]:464" },
        { " kdc = 192.0.2.1:8888\n admin_server = 192.0.2.2:749\n", "[192.0.2.2]:464" },
        { " kdc = 192.0.2.1:8888\n", "[192.0.2.1]:464" },
        { " kdc = https://192.0.2.1/KdcProxy\n", NULL },
        { "", NULL },
    };
    struct eas_kdc_addresses addresses;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        char conf[512];
        struct opened opened;

        snprintf(conf, sizeof(conf), HEAD " A = {\n%s }\n", rows[i].relations);
        opened = open_conf(conf);
        assert_int_equal(eas_kdc_locate_kpasswd(opened.profile->files, "A",
                                                eas_clock_now() + apr_time_from_sec(2), &addresses),
                         rows[i].text != NULL ? EAS_KDC_LOCATED : EAS_KDC_LOCATED_NONE);
        if (rows[i].text != NULL) {
            assert_int_equal(addresses.count, 1);
            assert_string_equal(addresses.at[0].text, rows[i].text);
        }
        close_conf(&opened);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_in_numbers),
        cmocka_unit_test(test_more_addresses_than_are_kept),
        cmocka_unit_test(test_name_in_the_hosts_file),
        cmocka_unit_test(test_answer_is_kept_for_its_time),
        cmocka_unit_test(test_servers_for_changes_of_passwords),
        cmocka_unit_test(test_realm_without_KDCs),
        cmocka_unit_test(test_proxy_is_left_to_libkrb5),
        cmocka_unit_test(test_plugin_is_left_to_libkrb5),
        cmocka_unit_test(test_profile_of_the_context),
    };

    return cmocka_run_group_tests(tests, krb5_files_start, krb5_files_end);
}
