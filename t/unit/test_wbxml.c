/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_wbxml.c - WBXML encoder for a response with a status */

#include "t/unit/unit.h"

#include "auth/activesync/wbxml.h"

#include <string.h>

static void assert_body(apr_pool_t *pool, const char *command, int status, const char *expected,
                        size_t len)
{
    apr_size_t is_len = 0;
    const char *is = eas_wbxml_status(pool, command, status, &is_len);

    assert_non_null(is);
    assert_int_equal(is_len, len);
    assert_memory_equal(is, expected, len);
}

#define BODY(literal) literal, sizeof(literal) - 1

static void test_worked_examples(void **state)
{
    assert_body(*state, "FolderSync", 129,
                BODY("\x03\x01\x6a\x00\x00\x07\x56\x4c\x03"
                     "129"
                     "\x00\x01\x01"));
    assert_body(*state, "FolderSync", 111,
                BODY("\x03\x01\x6a\x00\x00\x07\x56\x4c\x03"
                     "111"
                     "\x00\x01\x01"));
    assert_body(*state, "Ping", 1,
                BODY("\x03\x01\x6a\x00\x00\x0d\x45\x47\x03"
                     "1"
                     "\x00\x01\x01"));
}

static void test_other_pages(void **state)
{
    assert_body(*state, "Sync", 129,
                BODY("\x03\x01\x6a\x00\x00\x00\x45\x4e\x03"
                     "129"
                     "\x00\x01\x01"));
    assert_body(*state, "SendMail", 129,
                BODY("\x03\x01\x6a\x00\x00\x15\x45\x52\x03"
                     "129"
                     "\x00\x01\x01"));
}

static void test_commands_without_a_status(void **state)
{
    static const char *const names[] = { "GetAttachment", "GetHierarchy", "OPTIONS", "24", "sync" };
    apr_size_t len;
    size_t i;

    for (i = 0; i < COUNT_OF(names); i++) {
        assert_null(eas_wbxml_status(*state, names[i], 129, &len));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_worked_examples),
        POOL_TEST(test_other_pages),
        POOL_TEST(test_commands_without_a_status),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
