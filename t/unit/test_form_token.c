/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_form_token.c - anti-forgery token of an administrator's forms */

#include "t/unit/unit.h"

#include "delegation/status/form_token.h"
#include "t/unit/seals.h"

#include <apr_strings.h>

#define NOW (apr_time_from_sec(3600) * 500000 + 1)
#define HOURS(n) apr_time_from_sec(3600 * (n))

static enum eas_rc check(const struct eas_keyring *keyring, apr_pool_t *pool, const char *user,
                         apr_time_t now, const char *token)
{
    struct eas_err err;
    enum eas_rc rc = eas_form_token_check(keyring, pool, user, now, token, &err);

    if (rc != EAS_OK) {
        assert_int_equal(err.tag, 2202);
    }
    return rc;
}

static void test_token(void **state)
{
    const struct eas_keyring *keyring = ring_of(*state, "a");
    struct eas_err err;
    const char *token;
    char *other;

    assert_int_equal(eas_form_token_make(keyring, *state, "alice@A", NOW, &token, &err), EAS_OK);
    assert_int_equal(check(keyring, *state, "alice@A", NOW, token), EAS_OK);
    assert_int_equal(check(keyring, *state, "alice@A", NOW + HOURS(1), token), EAS_OK);
    assert_int_equal(check(keyring, *state, "alice@A", NOW + HOURS(2), token), EAS_FORBIDDEN);
    assert_int_equal(check(keyring, *state, "alice@A", NOW - HOURS(1), token), EAS_FORBIDDEN);
    assert_int_equal(check(keyring, *state, "bob@A", NOW, token), EAS_FORBIDDEN);
    assert_int_equal(check(keyring, *state, "alice@A", NOW, NULL), EAS_FORBIDDEN);
    assert_int_equal(check(keyring, *state, "alice@A", NOW, ""), EAS_FORBIDDEN);
    other = apr_pstrdup(*state, token);
    other[3] = other[3] == 'x' ? 'y' : 'x';
    assert_int_equal(check(keyring, *state, "alice@A", NOW, other), EAS_FORBIDDEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = { POOL_TEST(test_token) };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
