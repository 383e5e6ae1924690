/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_session_memory.c - cookies that a process has unsealed already */

#include "t/unit/sessions.h"

#include "auth/login/session_memory.h"

#include <stdlib.h>

/*
 * The tag of a cookie in a process that has the memory.  Its keyring may lack the cookie's key:
 * only a remembered cookie is valid then.
 */
static int tag_with(struct eas_session_memory *memory, const struct eas_keyring *ring,
                    apr_pool_t *pool, const char *cookie, apr_time_t now, struct eas_session **out)
{
    struct eas_session_params params = params_of(ring);
    struct eas_session *session = NULL;
    struct eas_err err = { EAS_OK, 0, "" };

    params.memory = memory;
    eas_session_unseal(&params, pool, cookie, now, &session, &err);
    if (out != NULL) {
        *out = session;
    }
    return err.tag;
}

static struct eas_session_memory *make_memory(apr_pool_t *pool, apr_size_t max_bytes)
{
    struct eas_session_memory *memory = eas_session_memory_create(pool, max_bytes);

    assert_non_null(memory);
    return memory;
}

static void test_cookie_is_unsealed_once(void **state)
{
    struct eas_session_memory *memory = make_memory(*state, 1 << 20);
    struct eas_keyring *ring = ring_of(*state, "a"), *other = ring_of(*state, "b");
    const char *cookie = cookie_of(ring, *state, begin(*state, false, NOW));
    struct eas_session *first, *second;

    assert_int_equal(tag_with(memory, other, *state, cookie, NOW, NULL), 1147);
    assert_int_equal(tag_with(memory, ring, *state, cookie, NOW, &first), 0);
    assert_int_equal(tag_with(memory, other, *state, cookie, NOW, &second), 0);
    assert_same(first, second);
    assert_non_null(first->memo);
    assert_ptr_equal(first->memo, second->memo);
    assert_int_equal(tag_with(make_memory(*state, 1 << 20), other, *state, cookie, NOW, NULL),
                     1147);
}

static void test_every_changed_character_is_unknown(void **state)
{
    struct eas_session_memory *memory = make_memory(*state, 1 << 20);
    struct eas_keyring *ring = ring_of(*state, "a");
    const char *cookie = cookie_of(ring, *state, begin(*state, false, NOW));
    size_t i, len = strlen(cookie);
    int tag;

    assert_int_equal(tag_with(memory, ring, *state, cookie, NOW, NULL), 0);
    for (i = 0; i < len; i++) {
        char *changed = apr_pstrdup(*state, cookie);

        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        tag = tag_with(memory, ring, *state, changed, NOW, NULL);
        assert_true(tag == 1147 || tag == 1152);
    }
    assert_int_equal(
        tag_with(memory, ring, *state, apr_pstrcat(*state, cookie, "=", NULL), NOW, NULL), 1152);
    assert_int_equal(
        tag_with(memory, ring, *state, apr_pstrmemdup(*state, cookie, len - 1), NOW, NULL) == 0, 0);
}

static void test_other_host_is_unknown(void **state)
{
    struct eas_session_memory *memory = make_memory(*state, 1 << 20);
    struct eas_keyring *ring = ring_of(*state, "a");
    const char *cookie = cookie_of(ring, *state, begin(*state, false, NOW));
    struct eas_session_params params = params_of(ring);
    struct eas_session *session = NULL;
    struct eas_err err;

    assert_int_equal(tag_with(memory, ring, *state, cookie, NOW, NULL), 0);
    params.memory = memory;
    params.vhost = "owa.example.com:443";
    assert_int_equal(eas_session_unseal(&params, *state, cookie, NOW, &session, &err), EAS_DENIED);
    assert_null(session);
}

/* A module for many virtual hosts may write the name of each request to the same place. */
static void test_other_host_at_the_same_address_is_unknown(void **state)
{
    struct eas_session_memory *memory = make_memory(*state, 1 << 20);
    struct eas_keyring *ring = ring_of(*state, "a");
    const char *cookie = cookie_of(ring, *state, begin(*state, false, NOW));
    struct eas_session_params params = params_of(ring);
    char *name = apr_pstrdup(*state, params.vhost);
    struct eas_session *session = NULL;
    struct eas_err err;

    params.memory = memory;
    params.vhost = name;
    assert_int_equal(eas_session_unseal(&params, *state, cookie, NOW, &session, &err), EAS_OK);
    name[0] ^= 1;
    session = NULL;
    assert_int_equal(eas_session_unseal(&params, *state, cookie, NOW, &session, &err), EAS_DENIED);
    assert_int_equal(err.tag, 1147);
    assert_null(session);
}

static void test_limits_hold(void **state)
{
    struct eas_session_memory *memory = make_memory(*state, 1 << 20);
    struct eas_keyring *ring = ring_of(*state, "a");
    const char *cookie = cookie_of(ring, *state, begin(*state, false, NOW));
    static const struct eas_session_limits lower[2] = { { SECONDS(60), HOUR },
                                                        { SECONDS(60), HOUR } };
    struct eas_session_params params = params_of(ring);
    struct eas_session *session = NULL;
    struct eas_err err;

    assert_int_equal(tag_with(memory, ring, *state, cookie, NOW, NULL), 0);
    assert_int_equal(tag_with(memory, ring, *state, cookie, NOW + SECONDS(900), NULL), 0);
    assert_int_equal(tag_with(memory, ring, *state, cookie, NOW + SECONDS(901), NULL), 1156);
    assert_int_equal(tag_with(memory, ring, *state, cookie, NOW + HOUR, &session), 1155);
    assert_non_null(session); /* it can be signed out */
    assert_int_equal(tag_with(memory, ring, *state, cookie, NOW - SECONDS(301), NULL), 1154);
    params.memory = memory;
    params.limits = lower;
    assert_int_equal(eas_session_unseal(&params, *state, cookie, NOW + SECONDS(61), &session, &err),
                     EAS_EXPIRED);
}

static void test_expired_cookie_gets_no_entry(void **state)
{
    struct eas_session_memory *memory = make_memory(*state, 1 << 20);
    struct eas_keyring *ring = ring_of(*state, "a"), *other = ring_of(*state, "b");
    const char *cookie = cookie_of(ring, *state, begin(*state, false, NOW));

    assert_int_equal(tag_with(memory, ring, *state, cookie, NOW + HOUR, NULL), 1155);
    assert_int_equal(tag_with(memory, other, *state, cookie, NOW, NULL), 1147);
}

static void test_memory_is_bounded(void **state)
{
    struct eas_session_memory *memory = make_memory(*state, 20000);
    struct eas_keyring *ring = ring_of(*state, "a"), *other = ring_of(*state, "b");
    const char *cookies[100];
    int i, kept = 0;

    for (i = 0; i < 100; i++) {
        cookies[i] = cookie_of(ring, *state, begin(*state, false, NOW));
        assert_int_equal(tag_with(memory, ring, *state, cookies[i], NOW, NULL), 0);
    }
    for (i = 0; i < 100; i++) {
        kept += tag_with(memory, other, *state, cookies[i], NOW, NULL) == 0;
    }
    assert_int_equal(tag_with(memory, other, *state, cookies[99], NOW, NULL), 0);
    assert_int_equal(tag_with(memory, other, *state, cookies[0], NOW, NULL), 1147);
    assert_in_range(kept, 10, 40);
}

static void test_names_are_made_once(void **state)
{
    struct eas_session_memory *memory = make_memory(*state, 1 << 20);
    struct eas_keyring *ring = ring_of(*state, "a");
    const char *cookie = cookie_of(ring, *state, begin(*state, false, NOW));
    unsigned char *names = malloc(32);
    struct eas_session *session;

    assert_int_equal(tag_with(memory, ring, *state, cookie, NOW, &session), 0);
    assert_null(eas_session_memory_names(session->memo, NULL));
    assert_ptr_equal(eas_session_memory_names(session->memo, names), names);
    assert_ptr_equal(eas_session_memory_names(session->memo, malloc(32)), names);
    assert_ptr_equal(eas_session_memory_names(session->memo, NULL), names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_cookie_is_unsealed_once),
        POOL_TEST(test_every_changed_character_is_unknown),
        POOL_TEST(test_other_host_is_unknown),
        POOL_TEST(test_other_host_at_the_same_address_is_unknown),
        POOL_TEST(test_limits_hold),
        POOL_TEST(test_expired_cookie_gets_no_entry),
        POOL_TEST(test_memory_is_bounded),
        POOL_TEST(test_names_are_made_once),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
