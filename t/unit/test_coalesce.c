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

/* Data behind the FLUSH bucket stay as they are. */
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

/* Passes a brigade on, and returns what mod_ssl gets of it. */
static const char *pass(struct eas_coalesce_held *held, apr_bucket_brigade *bb)
{
    const char *text = "(held)";

    if (eas_coalesce_stream(held, bb)) {
        text = text_of(bb);
        apr_brigade_cleanup(bb);
    }
    assert_true(APR_BRIGADE_EMPTY(bb));
    return text;
}

/* As httpd sends a response: the head by itself, then the body, then the end of the request. */
static void test_stream(void **state)
{
    apr_bucket_brigade *bb = make_brigade(*state);
    struct eas_coalesce_held held = { NULL, 0 };
    char head[] = "head ";
    int i;

    for (i = 0; i < 2; i++) {
        strcpy(head, "head ");
        add(bb, apr_bucket_transient_create(head, strlen(head), bb->bucket_alloc));
        assert_string_equal(pass(&held, bb), "(held)");
        strcpy(head, "wrong"); /* the caller's memory is its own again */
        add_text(bb, "more ");
        add_text(bb, "");
        assert_string_equal(pass(&held, bb), "(held)");
        add_text(bb, "bo");
        add_text(bb, "dy");
        add(bb, apr_bucket_eos_create(bb->bucket_alloc));
        assert_true(eas_coalesce_stream(&held, bb));
        assert_int_equal(count(bb), 2);
        assert_string_equal(pass(&held, bb), "head more body");
        assert_int_equal(held.len, 0);
        assert_null(held.data);
    }
}

static void test_stream_metadata(void **state)
{
    apr_bucket_brigade *bb = make_brigade(*state);
    struct eas_coalesce_held held = { NULL, 0 };

    add_flush(bb);
    assert_true(eas_coalesce_stream(&held, bb));
    assert_int_equal(count(bb), 1);
    apr_brigade_cleanup(bb);

    add_text(bb, "head");
    assert_string_equal(pass(&held, bb), "(held)");
    assert_string_equal(pass(&held, bb), "(held)"); /* an empty brigade */
    add_flush(bb);
    add_text(bb, "later");
    assert_true(eas_coalesce_stream(&held, bb));
    assert_int_equal(count(bb), 3);
    assert_string_equal(text_of(bb), "headlater");
    assert_true(APR_BUCKET_IS_FLUSH(APR_BUCKET_NEXT(APR_BRIGADE_FIRST(bb))));
}

/* A bucket that mod_ssl passes on without its buffer is not copied. */
static void test_stream_untouched(void **state)
{
    static const apr_size_t lengths[] = { EAS_COALESCE_MAX, EAS_COALESCE_MAX + 1, 100000 };
    apr_bucket_brigade *bb = make_brigade(*state);
    struct eas_coalesce_held held = { NULL, 0 };
    apr_bucket *first;
    size_t i;

    for (i = 0; i < COUNT_OF(lengths); i++) {
        add_zeros(bb, lengths[i]);
        first = APR_BRIGADE_FIRST(bb);
        assert_true(eas_coalesce_stream(&held, bb));
        assert_ptr_equal(APR_BRIGADE_FIRST(bb), first);
        apr_brigade_cleanup(bb);
    }
    add_text(bb, "alone");
    add_flush(bb);
    first = APR_BRIGADE_FIRST(bb);
    assert_true(eas_coalesce_stream(&held, bb));
    assert_ptr_equal(APR_BRIGADE_FIRST(bb), first);
}

/* All data come, in their order, and the first bucket is one that mod_ssl does not join to others. */
static void test_stream_of_any_lengths(void **state)
{
    static const apr_size_t lengths[] = { 1,    5000, 3191, 8191, 1,    2, 8190, 8192,  3,
                                          8189, 100,  8193, 7,    9000, 0, 0,    20000, 1 };
    apr_bucket_brigade *bb = make_brigade(*state), *out = make_brigade(*state);
    struct eas_coalesce_held held = { NULL, 0 };
    apr_size_t i, total = 0, len;
    unsigned char *data, *all = apr_palloc(*state, 200000);
    char *sent;

    for (i = 0; i < COUNT_OF(lengths) * 2; i++) {
        apr_size_t n = lengths[i % COUNT_OF(lengths)];

        data = all + total;
        for (len = 0; len < n; len++) {
            data[len] = (unsigned char)((total + len) % 251);
        }
        total += n;
        add(bb, apr_bucket_transient_create((char *)data, n, bb->bucket_alloc));
        if (i % 3 == 0) {
            continue; /* two in a brigade */
        }
        if (i == 2 * COUNT_OF(lengths) - 1) {
            add_flush(bb);
        }
        if (eas_coalesce_stream(&held, bb)) {
            assert_true(APR_BRIGADE_FIRST(bb)->length >= EAS_COALESCE_MAX
                        || APR_BUCKET_IS_METADATA(APR_BUCKET_NEXT(APR_BRIGADE_FIRST(bb))));
            apr_brigade_pflatten(bb, &sent, &len, *state);
            apr_brigade_cleanup(bb);
            add(out, apr_bucket_pool_create(sent, len, *state, out->bucket_alloc));
        }
        assert_true(held.len < EAS_COALESCE_MAX);
    }
    apr_brigade_pflatten(out, &sent, &len, *state);
    assert_int_equal(len, total);
    assert_memory_equal(sent, all, total);
}

/* Of a pipe: what is held comes before. */
static void test_stream_of_unknown_length(void **state)
{
    apr_bucket_brigade *bb = make_brigade(*state);
    struct eas_coalesce_held held = { NULL, 0 };
    apr_file_t *in, *out;

    assert_int_equal(apr_file_pipe_create(&in, &out, *state), APR_SUCCESS);
    apr_file_puts("of a pipe", out);
    apr_file_close(out);
    add_text(bb, "head ");
    assert_string_equal(pass(&held, bb), "(held)");
    add(bb, apr_bucket_pipe_create(in, bb->bucket_alloc));
    assert_string_equal(pass(&held, bb), "head of a pipe");
    assert_null(held.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_joined),
        POOL_TEST(test_only_up_to_flush),
        POOL_TEST(test_file),
        POOL_TEST(test_limit),
        POOL_TEST(test_left_alone),
        POOL_TEST(test_stream),
        POOL_TEST(test_stream_metadata),
        POOL_TEST(test_stream_untouched),
        POOL_TEST(test_stream_of_any_lengths),
        POOL_TEST(test_stream_of_unknown_length),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
