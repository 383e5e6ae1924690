/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_coalesce.c - data of a brigade in one bucket, for one record of TLS */

#include "t/unit/unit.h"

#include "delegation/proxy/coalesce.h"

#include <apr_strings.h>
#include <string.h>

static apr_bucket_brigade *make_brigade(apr_pool_t *pool)
{
    return apr_brigade_create(pool, apr_bucket_alloc_create(pool));
}

static void add(apr_bucket_brigade *bb, apr_bucket *b)
{
    APR_BRIGADE_INSERT_TAIL(bb, b);
}

static void add_text(apr_bucket_brigade *bb, const char *text)
{
    add(bb, apr_bucket_immortal_create(text, strlen(text), bb->bucket_alloc));
}

static void add_zeros(apr_bucket_brigade *bb, apr_size_t len)
{
    add(bb, apr_bucket_pool_create(apr_pcalloc(bb->p, len + 1), len, bb->p, bb->bucket_alloc));
}

static void add_flush(apr_bucket_brigade *bb)
{
    add(bb, apr_bucket_flush_create(bb->bucket_alloc));
}

static unsigned count(const apr_bucket_brigade *bb)
{
    unsigned n = 0;
    apr_bucket *b;

    for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb); b = APR_BUCKET_NEXT(b)) {
        n++;
    }
    return n;
}

static const char *text_of(apr_bucket_brigade *bb)
{
    char *text;
    apr_size_t len;

    assert_int_equal(apr_brigade_pflatten(bb, &text, &len, bb->p), APR_SUCCESS);
    return apr_pstrmemdup(bb->p, text, len);
}

static void test_joined(void **state)
{
    apr_bucket_brigade *bb = make_brigade(*state);
    apr_bucket *first;

    add_text(bb, "POST / HTTP/1.1\r\n");
    add_text(bb, "");
    add_text(bb, "Host: a\r\n\r\n");
    add_text(bb, "body");
    add_flush(bb);
    eas_coalesce(bb);
    assert_int_equal(count(bb), 2);
    first = APR_BRIGADE_FIRST(bb);
    assert_true(APR_BUCKET_IS_HEAP(first));
    assert_true(APR_BUCKET_IS_FLUSH(APR_BUCKET_NEXT(first)));
    assert_string_equal(text_of(bb), "POST / HTTP/1.1\r\nHost: a\r\n\r\nbody");
}

/* What follows the FLUSH bucket stays as it is. */
static void test_only_up_to_flush(void **state)
{
    apr_bucket_brigade *bb = make_brigade(*state);

    add_text(bb, "a");
    add_text(bb, "b");
    add_flush(bb);
    add_text(bb, "c");
    add_text(bb, "d");
    eas_coalesce(bb);
    assert_int_equal(count(bb), 4);
    assert_string_equal(text_of(bb), "abcd");
}

/* The file of a body: its data follow the head. */
static void test_file(void **state)
{
    apr_bucket_brigade *bb = make_brigade(*state);
    apr_file_t *file;
    char name[] = "/tmp/coalesce.XXXXXX";

    assert_int_equal(apr_file_mktemp(&file, name, 0, *state), APR_SUCCESS);
    apr_file_puts("of a file", file);
    add_text(bb, "head ");
    apr_brigade_insert_file(bb, file, 0, strlen("of a file"), *state);
    add_flush(bb);
    eas_coalesce(bb);
    assert_int_equal(count(bb), 2);
    assert_string_equal(text_of(bb), "head of a file");
}

static void test_limit(void **state)
{
    static const struct {
        apr_size_t lengths[2];
        unsigned buckets; /* with FLUSH */
    } rows[] = {
        { { 1, EAS_COALESCE_MAX - 1 }, 2 }, { { EAS_COALESCE_MAX - 1, 1 }, 2 },
        { { 1, EAS_COALESCE_MAX }, 3 },     { { EAS_COALESCE_MAX, 1 }, 3 },
        { { EAS_COALESCE_MAX + 1, 1 }, 3 }, { { 1, 1000000 }, 3 },
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        apr_bucket_brigade *bb = make_brigade(*state);
        apr_off_t before, after;

        add_zeros(bb, rows[i].lengths[0]);
        add_zeros(bb, rows[i].lengths[1]);
        add_flush(bb);
        apr_brigade_length(bb, 0, &before);
        eas_coalesce(bb);
        apr_brigade_length(bb, 0, &after);
        assert_int_equal(count(bb), rows[i].buckets);
        assert_int_equal(after, before);
    }
}

/* mod_ssl waits for more data, or makes records of it. */
static void test_left_alone(void **state)
{
    apr_bucket_brigade *bb = make_brigade(*state);
    apr_bucket *first;
    apr_file_t *in, *out;

    eas_coalesce(bb);
    assert_int_equal(count(bb), 0);

    add_text(bb, "a");
    add_text(bb, "b");
    eas_coalesce(bb);
    assert_int_equal(count(bb), 2); /* no FLUSH */

    add(bb, apr_bucket_eos_create(bb->bucket_alloc));
    add_flush(bb);
    eas_coalesce(bb);
    assert_int_equal(count(bb), 4); /* other metadata before it */

    apr_brigade_cleanup(bb);
    add_flush(bb);
    eas_coalesce(bb);
    assert_int_equal(count(bb), 1); /* no data */

    apr_brigade_cleanup(bb);
    add_text(bb, "a");
    add_text(bb, "");
    add_flush(bb);
    first = APR_BRIGADE_FIRST(bb);
    eas_coalesce(bb);
    assert_int_equal(count(bb), 3); /* one with data: it is not copied */
    assert_ptr_equal(APR_BRIGADE_FIRST(bb), first);

    assert_int_equal(apr_file_pipe_create(&in, &out, *state), APR_SUCCESS);
    apr_brigade_cleanup(bb);
    add_text(bb, "a");
    add(bb, apr_bucket_pipe_create(in, bb->bucket_alloc));
    add_flush(bb);
    eas_coalesce(bb);
    assert_int_equal(count(bb), 3); /* unknown length; a read would wait */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_joined), POOL_TEST(test_only_up_to_flush), POOL_TEST(test_file),
        POOL_TEST(test_limit),  POOL_TEST(test_left_alone),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
