/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_log_name.c - the name of a refused log-on, as the error log has it */

#include "t/unit/seals.h"

#include "auth/password/log_name.h"

static struct eas_keyring *make_ring(apr_pool_t *pool, unsigned char first)
{
    const struct eas_secret *secret = secret_from(pool, first);
    struct eas_keyring *ring;
    struct eas_err err;

    assert_int_equal(eas_seal_keyring_create(pool, &secret, 1, &ring, &err), EAS_OK);
    return ring;
}

static const char *hashed(apr_pool_t *pool, unsigned char secret, const char *typed)
{
    const struct eas_log_name name = { .typed = typed };

    return eas_log_name(pool, make_ring(pool, secret), &name);
}

static void test_account(void **state)
{
    const struct eas_log_name name = { .account = "alice@EAS.TEST", .typed = "x", .shown = true };

    assert_string_equal(eas_log_name(*state, NULL, &name), " (account alice@EAS.TEST)");
}

static void test_hash(void **state)
{
    const char *first = hashed(*state, 1, "alice");

    assert_int_equal(strlen(first), strlen(" (name #01234567)"));
    assert_memory_equal(first, " (name #", 8);
    assert_string_equal(hashed(*state, 1, "ALICE"), first);
    assert_string_not_equal(hashed(*state, 1, "alicf"), first);
    assert_string_not_equal(hashed(*state, 2, "alice"), first); /* nobody can try names */
}

static void test_shown(void **state)
{
    static const struct {
        const char *typed, *shown;
    } rows[] = {
        { "alice", " (name \"alice\")" },
        { "CORP\\alice", " (name \"CORP\\alice\")" },
        { "", " (name \"\")" },
        { "a\") (account bob@EAS.TEST", " (name \"a?) (account bob@EAS.TEST\")" },
        { "a\r\n\x7f\x1b[1m", " (name \"a????[1m\")" },
        { "\xc3\xa4\xc3\xff", " (name \"\xc3\xa4??\")" },
        { "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
          " (name \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\")" },
        { "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdefg",
          " (name \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\", cut)" },
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        const struct eas_log_name name = { .typed = rows[i].typed, .shown = true };

        assert_string_equal(eas_log_name(*state, NULL, &name), rows[i].shown);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_account),
        POOL_TEST(test_hash),
        POOL_TEST(test_shown),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
