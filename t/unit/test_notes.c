/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_notes.c - the latest errors, KDCs and throttled names */

#include "t/unit/unit.h"

#include "auth/base/notes.h"

#include <apr_strings.h>
#include <string.h>

#define SECOND apr_time_from_sec(1)

static void attach(apr_pool_t *pool)
{
    void *memory = apr_pcalloc(pool, eas_notes_size());

    assert_false(eas_notes_attach(memory));
    eas_notes_format(memory, 5);
    assert_true(eas_notes_attach(memory));
}

static void test_without_memory(void **state)
{
    assert_true(eas_notes_attach(NULL));
    eas_notes_error(1030, "wrong", 1);
    eas_notes_kdc("[::1]:88", "A", 1);
    assert_int_equal(eas_notes_read(*state, 0).errors->nelts, 0);
    assert_int_equal(eas_notes_read(*state, 0).since, 0);
}

static struct eas_notes_error error_at(apr_pool_t *pool, int i)
{
    struct eas_notes_view view = eas_notes_read(pool, 0);

    assert_true(i < view.errors->nelts);
    return APR_ARRAY_IDX(view.errors, i, struct eas_notes_error);
}

static void test_errors(void **state)
{
    attach(*state);
    eas_notes_error(2050, "backend", 7 * SECOND);
    eas_notes_error(1030, "first", SECOND);
    eas_notes_error(1030, "of the same second", SECOND + 1);
    assert_string_equal(error_at(*state, 0).text, "first");
    eas_notes_error(1030, "last", 9 * SECOND);
    assert_int_equal(eas_notes_read(*state, 0).errors->nelts, 2);
    assert_int_equal(error_at(*state, 0).tag, 1030);
    assert_int_equal(error_at(*state, 0).count, 3);
    assert_int_equal(error_at(*state, 0).first, SECOND);
    assert_int_equal(error_at(*state, 0).last, 9 * SECOND);
    assert_string_equal(error_at(*state, 0).text, "last");
    assert_int_equal(error_at(*state, 1).tag, 2050);
    eas_notes_attach(NULL);
}

/* Tags with the same row, and more tags than rows. */
static void test_many_errors(void **state)
{
    char text[1000];
    int i;

    attach(*state);
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (i = 0; i < 1200; i++) {
        eas_notes_error(1000 + i, text, SECOND);
    }
    assert_int_equal(eas_notes_read(*state, 0).errors->nelts, 512);
    for (i = 0; i < 512; i++) {
        assert_int_equal(error_at(*state, i).count, 1);
        assert_int_equal(strlen(error_at(*state, i).text), 479);
    }
    eas_notes_attach(NULL);
}

static struct eas_notes_kdc kdc_at(apr_pool_t *pool, int i)
{
    struct eas_notes_view view = eas_notes_read(pool, 0);

    assert_true(i < view.kdcs->nelts);
    return APR_ARRAY_IDX(view.kdcs, i, struct eas_notes_kdc);
}

static void test_kdcs(void **state)
{
    attach(*state);
    eas_notes_kdc("[10.0.0.1]:88", "A", 10);
    eas_notes_kdc("[10.0.0.2]:88", "B", 10);
    eas_notes_kdc_answered("[10.0.0.1]:88", "A", 800, 11);
    eas_notes_kdc_answered("[10.0.0.1]:88", "A", 1600, 12);
    eas_notes_kdc_failed("[10.0.0.2]:88", "B", 13);
    assert_string_equal(kdc_at(*state, 0).realm, "A");
    assert_int_equal(kdc_at(*state, 0).answers, 2);
    assert_int_equal(kdc_at(*state, 0).answered_at, 12);
    assert_int_equal(kdc_at(*state, 0).took, 900);
    assert_int_equal(kdc_at(*state, 1).failures, 1);
    assert_int_equal(kdc_at(*state, 1).failed_at, 13);
    eas_notes_attach(NULL);
}

/* One address, with a name that is cut. */
static void test_kdc_of_two_realms(void **state)
{
    char realm[200];
    int i;

    attach(*state);
    memset(realm, 'R', sizeof(realm) - 1);
    realm[sizeof(realm) - 1] = '\0';
    for (i = 1; i < 4; i++) {
        eas_notes_kdc("[10.0.0.1]:88", "A", i);
        eas_notes_kdc("[10.0.0.1]:88", realm, i);
        eas_notes_kdc_answered("[10.0.0.1]:88", "A", 1, i);
        eas_notes_kdc_failed("[10.0.0.1]:88", realm, i);
    }
    assert_int_equal(eas_notes_read(*state, 4).kdcs->nelts, 2);
    assert_string_equal(kdc_at(*state, 0).realm, "A");
    assert_int_equal(kdc_at(*state, 0).answers, 3);
    assert_int_equal(kdc_at(*state, 0).failures, 0);
    assert_int_equal(kdc_at(*state, 1).answers, 0);
    assert_int_equal(kdc_at(*state, 1).failures, 3);
    eas_notes_attach(NULL);
}

static int shown(apr_pool_t *pool, apr_time_t now)
{
    return eas_notes_read(pool, now).kdcs->nelts;
}

/* Neither krb5.conf nor DNS names it any more. */
static void test_kdc_that_has_left(void **state)
{
    const apr_time_t hour = 3600 * SECOND;

    attach(*state);
    eas_notes_kdc("[10.0.0.1]:88", "A", SECOND);
    eas_notes_kdc_failed("[10.0.0.1]:88", "A", SECOND);
    eas_notes_kdc("[10.0.0.2]:88", "A", SECOND);
    eas_notes_kdc("[10.0.0.3]:88", "B", SECOND);
    assert_int_equal(shown(*state, 20 * hour), 3); /* nothing was asked since */
    eas_notes_kdc("[10.0.0.2]:88", "A", hour);
    assert_int_equal(shown(*state, hour), 3);
    eas_notes_kdc("[10.0.0.2]:88", "A", SECOND + hour);
    assert_int_equal(shown(*state, SECOND + hour), 2);
    eas_notes_kdc("[10.0.0.2]:88", "A", 24 * hour);
    assert_int_equal(shown(*state, 24 * hour), 2);
    assert_int_equal(shown(*state, 24 * hour + SECOND), 1); /* a realm that is gone */
    eas_notes_kdc("[10.0.0.1]:88", "A", 24 * hour);
    assert_int_equal(shown(*state, 24 * hour + SECOND), 2); /* it is back, with its numbers */
    assert_int_equal(kdc_at(*state, 0).failures, 1);
    eas_notes_attach(NULL);
}

/* DNS may name ever new addresses; that of a KDC in use stays. */
static void test_many_kdcs(void **state)
{
    char address[32];
    int i, found = 0;

    attach(*state);
    eas_notes_kdc("[10.0.0.1]:88", "A", 1000);
    eas_notes_kdc_answered("[10.0.0.1]:88", "A", 1, 1000);
    for (i = 0; i < 500; i++) {
        apr_snprintf(address, sizeof(address), "[10.1.%d.%d]:88", i / 256, i % 256);
        eas_notes_kdc(address, "A", 1000);
    }
    assert_int_equal(shown(*state, 0), 64);
    for (i = 0; i < 64; i++) {
        found += strcmp(kdc_at(*state, i).address, "[10.0.0.1]:88") == 0;
    }
    assert_int_equal(found, 1);
    eas_notes_attach(NULL);
}

static void throttle(const char *user, const char *address, apr_time_t until)
{
    struct eas_notes_throttled note = { .since = 1, .until = until };

    apr_cpystrn(note.user, user, sizeof(note.user));
    apr_cpystrn(note.address, address, sizeof(note.address));
    apr_cpystrn((char *)note.key, user[0] != '\0' ? user : address, 9); /* IPv4: one for a bucket */
    eas_notes_throttle(&note);
}

static void test_throttled(void **state)
{
    struct eas_notes_throttled found;

    attach(*state);
    throttle("alice@A", "10.0.0.1", 50);
    throttle("alice@A", "10.0.0.2", 60);
    throttle("", "10.0.0.1", 70);
    throttle("", "10.0.0.1", 80);
    throttle("", "10.0.0.2", 90);
    throttle("", "2001:db8:1::1", 90);
    throttle("", "2001:db8:1::2", 90); /* another address of that prefix */
    assert_int_equal(eas_notes_read(*state, 55).throttled->nelts, 4);
    assert_int_equal(eas_notes_read(*state, 60).throttled->nelts, 3);
    assert_true(eas_notes_find("ALICE@a", 59, &found));
    assert_string_equal(found.address, "10.0.0.2");
    assert_string_equal(found.key, "alice@A");
    assert_false(eas_notes_find("alice@A", 60, &found));
    assert_false(eas_notes_find("", 1, &found));
    assert_false(eas_notes_find("bob@A", 1, &found));
    eas_notes_drop("Alice@A");
    eas_notes_drop("");
    assert_int_equal(eas_notes_read(*state, 0).throttled->nelts, 3);
    eas_notes_attach(NULL);
}

/* A throttle that goes on began when it began; one that is over begins anew. */
static void test_since(void **state)
{
    static const struct {
        apr_time_t since, until, shown;
    } rows[] = { { 1, 10, 1 }, { 5, 20, 1 }, { 20, 30, 1 }, { 31, 40, 31 } };
    size_t i;

    attach(*state);
    for (i = 0; i < COUNT_OF(rows); i++) {
        struct eas_notes_throttled note = { .since = rows[i].since,
                                            .until = rows[i].until,
                                            .address = "10.0.0.1" };
        struct eas_notes_view view;

        eas_notes_throttle(&note);
        view = eas_notes_read(*state, rows[i].since);
        assert_int_equal(APR_ARRAY_IDX(view.throttled, 0, struct eas_notes_throttled).since,
                         rows[i].shown);
    }
    eas_notes_attach(NULL);
}

/* The one whose time ends first makes room. */
static void test_many_throttled(void **state)
{
    struct eas_notes_throttled found;
    char user[16];
    int i;

    attach(*state);
    for (i = 1; i <= 600; i++) {
        apr_snprintf(user, sizeof(user), "user%d@A", i);
        throttle(user, "10.0.0.1", i);
    }
    assert_int_equal(eas_notes_read(*state, 0).throttled->nelts, 512);
    assert_false(eas_notes_find("user88@A", 0, &found));
    assert_true(eas_notes_find("user89@A", 0, &found));
    eas_notes_attach(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_without_memory),
        POOL_TEST(test_errors),
        POOL_TEST(test_many_errors),
        POOL_TEST(test_kdcs),
        POOL_TEST(test_kdc_of_two_realms),
        POOL_TEST(test_kdc_that_has_left),
        POOL_TEST(test_many_kdcs),
        POOL_TEST(test_throttled),
        POOL_TEST(test_since),
        POOL_TEST(test_many_throttled),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
