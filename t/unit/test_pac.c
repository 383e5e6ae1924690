/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_pac.c - Account name in a PAC */

#include "t/unit/unit.h"

#include "delegation/kerberos/pac.h"

#include <string.h>

/* KERB_VALIDATION_INFO with an EffectiveName of UTF-16, and all other fields zero. */
#define HEAD 248

static struct eas_bytes logon_info(apr_pool_t *pool, const char *utf16, size_t len)
{
    unsigned char *info = apr_pcalloc(pool, HEAD + len);

    info[68] = info[70] = (unsigned char)len;
    info[72] = 0x04;
    info[236] = info[244] = (unsigned char)(len / 2);
    memcpy(info + HEAD, utf16, len);
    return eas_bytes_make(info, HEAD + len);
}

static void test_names(void **state)
{
    static const struct {
        const char *utf16;
        size_t len;
        const char *name;
    } rows[] = {
        { "b\0o\0b\0", 6, "bob" },
        { "\xe4\0x\0", 4, "\xc3\xa4x" },
        { "\xac\x20", 2, "\xe2\x82\xac" },
        { "\x3d\xd8\x00\xde", 4, "\xf0\x9f\x98\x80" },
        { "\x3d\xd8x\0", 4, NULL },
        { "x\0\x3d\xd8", 4, NULL },
        { "\x00\xde", 2, NULL },
        { "b\0\0\0b\0", 6, NULL },
        { "", 0, NULL },
        { "b\0o", 3, NULL },
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        const char *name =
            eas_pac_effective_name(*state, logon_info(*state, rows[i].utf16, rows[i].len));

        if (rows[i].name == NULL) {
            assert_null(name);
        }
        else {
            assert_non_null(name);
            assert_string_equal(name, rows[i].name);
        }
    }
}

static void test_truncated(void **state)
{
    struct eas_bytes whole = logon_info(*state, "b\0o\0b\0", 6);
    size_t len;

    for (len = 0; len < whole.len; len++) {
        unsigned char *copy = test_malloc(len);

        memcpy(copy, whole.at, len);
        assert_null(eas_pac_effective_name(*state, eas_bytes_make(copy, len)));
        test_free(copy);
    }
}

/* A null pointer, another offset, another count. */
static void test_inconsistent(void **state)
{
    static const size_t at[] = { 72, 240, 244 };
    size_t i;

    for (i = 0; i < COUNT_OF(at); i++) {
        struct eas_bytes info = logon_info(*state, "b\0o\0b\0", 6);

        ((unsigned char *)info.at)[at[i]] = at[i] == 72 ? 0 : 2;
        assert_null(eas_pac_effective_name(*state, info));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_names),
        POOL_TEST(test_truncated),
        POOL_TEST(test_inconsistent),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
