/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_der.c - DER (X.690): written from its end, read from its beginning */

#include "t/unit/der.h"
#include "t/unit/unit.h"

#include "auth/base/der.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* X.690 section 8.3: the shortest two's complement. */
static void test_integers(void **state)
{
    static const struct {
        apr_int32_t value;
        const char *octets;
        size_t len;
    } rows[] = {
        { 0, "\x00", 1 },
        { 1, "\x01", 1 },
        { 127, "\x7f", 1 },
        { 128, "\x00\x80", 2 },
        { 255, "\x00\xff", 2 },
        { 256, "\x01\x00", 2 },
        { 0x8003, "\x00\x80\x03", 3 },
        { 999999, "\x0f\x42\x3f", 3 },
        { 0x3fffffff, "\x3f\xff\xff\xff", 4 },
        { INT32_MAX, "\x7f\xff\xff\xff", 4 },
        { -1, "\xff", 1 },
        { -128, "\x80", 1 },
        { -129, "\xff\x7f", 2 },
        { -32769, "\xff\x7f\xff", 3 },
        { INT32_MIN, "\x80\x00\x00\x00", 4 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        unsigned char room[8];
        struct eas_der der = eas_der_begin(room, sizeof(room));
        struct der_text text, contents;

        eas_der_put_integer(&der, rows[i].value);
        text = der_begin(der.at, (size_t)(der.end - der.at));
        contents = der_enter(&text, 0x02);
        der_done(&text);
        assert_int_equal(der_left(&contents), rows[i].len);
        assert_memory_equal(contents.at, rows[i].octets, rows[i].len);
    }
}

/* Lengths of one, two, three and four octets; t/unit/der.h requires the shortest form. */
static void test_lengths(void **state)
{
    static const size_t lengths[] = { 0, 1, 127, 128, 255, 256, 65535, 65536, 70000 };
    static unsigned char contents[70000], room[70000 + EAS_DER_HEAD_MAX];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(lengths); i++) {
        struct eas_der der = eas_der_begin(room, lengths[i] + EAS_DER_HEAD_MAX);
        struct eas_bytes text, read;
        struct der_text all;

        eas_der_put_element(&der, EAS_DER_OCTET_STRING, contents, lengths[i]);
        all = der_begin(der.at, (size_t)(der.end - der.at));
        text = (struct eas_bytes){ der.at, der_left(&all) };
        assert_int_equal(der_enter(&all, 0x04).end - der.at, der.end - der.at);
        der_done(&all);
        assert_true(eas_der_enter(&text, EAS_DER_OCTET_STRING, &read));
        assert_int_equal(read.len, lengths[i]);
        assert_int_equal(text.len, 0);
    }
}

static void test_elements_within_elements(void **state)
{
    static const unsigned char expected[] = { 0x30, 0x08, 0xa0, 0x03, 0x02,
                                              0x01, 0x05, 0x04, 0x01, 'x' };
    unsigned char room[sizeof(expected)];
    struct eas_der der = eas_der_begin(room, sizeof(room));
    const unsigned char *end;

    (void)state;
    eas_der_put_element(&der, EAS_DER_OCTET_STRING, "x", 1);
    end = der.at;
    eas_der_put_integer(&der, 5);
    eas_der_wrap(&der, end, EAS_DER_CONTEXT(0));
    eas_der_wrap(&der, der.end, EAS_DER_SEQUENCE);
    assert_ptr_equal(der.at, der.start);
    assert_memory_equal(room, expected, sizeof(expected));
}

/* In a block of its own size, so that valgrind reports a read beyond it. */
static bool enters(const void *bytes, size_t len)
{
    unsigned char *copy = malloc(len > 0 ? len : 1);
    struct eas_bytes text = { copy, len }, contents;
    bool entered;

    memcpy(copy, bytes, len);
    entered = eas_der_enter(&text, 0x04, &contents);
    assert_true(!entered || contents.at + contents.len <= copy + len);
    free(copy);
    return entered;
}

static void test_malformed_elements(void **state)
{
    (void)state;
    assert_true(enters("\x04\x01x", 3));
    assert_true(enters("\x04\x81\x01x", 4)); /* not DER, but harmless */
    assert_false(enters("", 0));
    assert_false(enters("\x04", 1));
    assert_false(enters("\x05\x01x", 3));    /* another tag */
    assert_false(enters("\x04\x02x", 3));    /* longer than the text */
    assert_false(enters("\x04\x80x", 3));    /* of indefinite length */
    assert_false(enters("\x04\x82\x01", 3)); /* cut in the length */
    assert_false(
        enters("\x04\x84\x00\x00\x00\x01x", 7)); /* a length of more octets than any token needs */
    assert_false(enters("\x04\x83\xff\xff\xffx", 6));            /* 16 MB, of one octet */
    assert_false(enters("\x04\xff\xff\xff\xff\xff\xff\xff", 8)); /* all ones */
}

static void test_the_only_element(void **state)
{
    struct eas_bytes one = { (const unsigned char *)"\x04\x01x", 3 }, contents;
    struct eas_bytes more = { (const unsigned char *)"\x04\x01xy", 4 };

    (void)state;
    assert_true(eas_der_enter_only(one, EAS_DER_OCTET_STRING, &contents));
    assert_int_equal(contents.len, 1);
    assert_false(eas_der_enter_only(more, EAS_DER_OCTET_STRING, &contents));
    assert_false(eas_der_enter_only(one, EAS_DER_SEQUENCE, &contents));
}

static void test_taken_octets(void **state)
{
    struct eas_bytes text = { (const unsigned char *)"abc", 3 };

    (void)state;
    assert_false(eas_der_take(&text, "b", 1));
    assert_false(eas_der_take(&text, "abcd", 4));
    assert_true(eas_der_take(&text, "ab", 2));
    assert_int_equal(text.len, 1);
    assert_int_equal(*text.at, 'c');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_elements_within_elements),
        cmocka_unit_test(test_malformed_elements),
        cmocka_unit_test(test_the_only_element),
        cmocka_unit_test(test_taken_octets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
