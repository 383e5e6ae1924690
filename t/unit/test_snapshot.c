/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_snapshot.c - the status page, JSON and Prometheus, with hostile texts */

#include "t/unit/unit.h"

#include "delegation/status/admit.h"
#include "delegation/status/html.h"
#include "delegation/status/json.h"
#include "delegation/status/prometheus.h"
#include "delegation/status/writer.h"

#include <apr_strings.h>
#include <string.h>

#define EVIL "<script>alert(\"1\")</script>'\\\n\x80"
#define USER "mallory" EVIL

static void add_notes(apr_pool_t *pool, struct eas_notes_view *notes)
{
    struct eas_notes_error error = { .tag = 1063, .count = 2, .first = 1, .last = 2 };
    struct eas_notes_kdc kdc = { .answers = 3, .answered_at = 9, .took = 1500 };
    struct eas_notes_throttled user = { .since = 1, .until = 99 }, address = user;

    *notes = (struct eas_notes_view){
        .since = 1,
        .errors = apr_array_make(pool, 1, sizeof(struct eas_notes_error)),
        .kdcs = apr_array_make(pool, 1, sizeof(struct eas_notes_kdc)),
        .throttled = apr_array_make(pool, 2, sizeof(struct eas_notes_throttled)),
    };
    apr_cpystrn(error.text, "refused: " USER, sizeof(error.text));
    apr_cpystrn(kdc.address, EVIL, sizeof(kdc.address));
    apr_cpystrn(kdc.realm, EVIL, sizeof(kdc.realm));
    apr_cpystrn(user.user, USER, sizeof(user.user));
    apr_cpystrn(user.address, "192.0.2.1", sizeof(user.address));
    apr_cpystrn(address.address, "192.0.2.2", sizeof(address.address));
    APR_ARRAY_PUSH(notes->errors, struct eas_notes_error) = error;
    APR_ARRAY_PUSH(notes->kdcs, struct eas_notes_kdc) = kdc;
    APR_ARRAY_PUSH(notes->throttled, struct eas_notes_throttled) = user;
    APR_ARRAY_PUSH(notes->throttled, struct eas_notes_throttled) = address;
}

/* For an administrator. */
static struct eas_snapshot make(apr_pool_t *pool)
{
    struct eas_snapshot snapshot = {
        .version = EVIL,
        .host = EVIL,
        .now = apr_time_from_sec(100),
        .accounts = apr_array_make(pool, 1, sizeof(struct eas_snapshot_account)),
        .backends = apr_array_make(pool, 1, sizeof(struct eas_snapshot_backend)),
        .counts = eas_counters_read(pool),
        .user = USER,
        .token = EVIL,
        .message = EVIL,
    };

    APR_ARRAY_PUSH(snapshot.accounts, struct eas_snapshot_account) =
        (struct eas_snapshot_account){ EVIL, EVIL, EVIL };
    APR_ARRAY_PUSH(snapshot.backends, struct eas_snapshot_backend) =
        (struct eas_snapshot_backend){ EVIL, EVIL, true };
    add_notes(pool, &snapshot.notes);
    eas_snapshot_count(&snapshot);
    return snapshot;
}

static void assert_lacks(const char *text, const char *part)
{
    assert_null(strstr(text, part));
}

static void test_texts_are_escaped(void **state)
{
    struct eas_snapshot snapshot = make(*state);
    const char *html = eas_html_write(*state, &snapshot);
    const char *json = eas_json_write(*state, &snapshot);
    const char *prometheus = eas_prometheus_write(*state, &snapshot);

    assert_lacks(html, "<script");
    assert_lacks(html, "alert(\"");
    assert_non_null(
        strstr(html, "mallory&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;&#39;\\??"));
    assert_lacks(json, "<");
    assert_non_null(strstr(json, "\\u003cscript\\u003ealert(\\\"1\\\")"));
    assert_lacks(json, "\x80");
    assert_non_null(strstr(prometheus, "realm=\"<script>alert(\\\"1\\\")</script>'\\\\??\""));
}

static void test_redacted(void **state)
{
    struct eas_snapshot snapshot = make(*state);
    const char *texts[3];
    size_t i;

    eas_snapshot_redact(&snapshot);
    texts[0] = eas_html_write(*state, &snapshot);
    texts[1] = eas_json_write(*state, &snapshot);
    texts[2] = eas_prometheus_write(*state, &snapshot);
    for (i = 0; i < COUNT_OF(texts); i++) {
        assert_lacks(texts[i], "mallory");
        assert_lacks(texts[i], "192.0.2.");
        assert_non_null(strstr(texts[i], "EAS1063"));
    }
    assert_int_equal(snapshot.accounts_locked, 1);
    assert_int_equal(snapshot.addresses_throttled, 1);
    assert_non_null(strstr(texts[2], "\neas_kcd_accounts_locked 1\n"));
}

static void test_prometheus_names_nobody(void **state)
{
    struct eas_snapshot snapshot = make(*state);
    const char *text = eas_prometheus_write(*state, &snapshot);

    assert_lacks(text, "mallory");
    assert_lacks(text, "192.0.2.");
}

static void test_kdc_state(void **state)
{
    struct eas_notes_kdc kdc = { .answers = 0 };

    (void)state;
    assert_false(eas_snapshot_kdc_was_asked(&kdc));
    assert_false(eas_snapshot_kdc_is_up(&kdc));
    kdc.failures = 1;
    kdc.failed_at = 5;
    assert_true(eas_snapshot_kdc_was_asked(&kdc));
    assert_false(eas_snapshot_kdc_is_up(&kdc));
    kdc.answers = 1;
    kdc.answered_at = 6;
    assert_true(eas_snapshot_kdc_is_up(&kdc));
    kdc.failed_at = 7;
    assert_false(eas_snapshot_kdc_is_up(&kdc));
}

/* A text that needs more room than the first. */
static void test_long_text(void **state)
{
    struct eas_writer out = eas_writer_make(*state);
    int i;

    for (i = 0; i < 100000; i++) {
        eas_writer_print(&out, "%d", i % 10);
    }
    assert_int_equal(out.len, 100000);
    assert_int_equal(strlen(out.text), 100000);
    assert_int_equal(out.text[99999], '9');
}

static void test_private_addresses(void **state)
{
    static const char *const private[] = { "127.0.0.1",  "10.255.0.1",     "172.16.0.1",
                                           "172.31.9.9", "192.168.1.1",    "169.254.1.1",
                                           "::1",        "fe80::1%eth0",   "fd00::1",
                                           "fc01::1",    "::ffff:10.1.1.1" };
    static const char *const others[] = { "203.0.113.1", "172.15.0.1",     "172.32.0.1",
                                          "192.169.0.1", "11.0.0.1",       "2001:db8::1",
                                          "fec0::1",     "::ffff:8.8.8.8", "",
                                          "localhost",   "10.0.0.1.x",     "::2",
                                          "10.0.0.1 ",   "0.0.0.0" };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(private); i++) {
        assert_true(eas_admit_is_private(private[i]));
    }
    for (i = 0; i < COUNT_OF(others); i++) {
        assert_false(eas_admit_is_private(others[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_texts_are_escaped),
        POOL_TEST(test_redacted),
        POOL_TEST(test_prometheus_names_nobody),
        POOL_TEST(test_kdc_state),
        POOL_TEST(test_long_text),
        POOL_TEST(test_private_addresses),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
