/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_keytab.c - Keytab of the gateway, in memory */

#include "t/unit/krb5_files.h"
#include "t/unit/unit.h"

#include "auth/kerberos/keytab.h"

#include <apr_time.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#define GATEWAY "gateway@" REALM
#define SERVICE "HTTP/gateway.eas.test@" REALM

static apr_time_t now = apr_time_from_sec(1700000000);

/* Interposes APR's function, so that tests can advance the time.  Each call returns a later one. */
apr_time_t apr_time_now(void)
{
    return now++;
}

struct fixture {
    apr_pool_t *pool;
    krb5_context ctx; /* of the test */
    const char *file;
};

static int start_test(void **state)
{
    static struct fixture fixture;

    fixture.file = "gateway.keytab";
    *state = &fixture;
    return apr_pool_create(&fixture.pool, NULL) == APR_SUCCESS
                   && krb5_init_context(&fixture.ctx) == 0
               ? 0
               : -1;
}

static int end_test(void **state)
{
    struct fixture *f = *state;

    apr_pool_destroy(f->pool);
    krb5_free_context(f->ctx);
    unlink(krb5_path(f->file));
    return 0;
}

/* Adds an entry to the keytab file, and creates the file if needed. */
static void add_entry(struct fixture *f, const char *principal, krb5_kvno kvno)
{
    krb5_keytab_entry entry;
    krb5_keytab keytab;
    char name[128];

    memset(&entry, 0, sizeof(entry));
    snprintf(name, sizeof(name), "FILE:%s", krb5_path(f->file));
    assert_int_equal(krb5_kt_resolve(f->ctx, name, &keytab), 0);
    assert_int_equal(krb5_parse_name(f->ctx, principal, &entry.principal), 0);
    entry.vno = kvno;
    assert_int_equal(krb5_c_make_random_key(f->ctx, ENCTYPE_AES256_CTS_HMAC_SHA1_96, &entry.key),
                     0);
    assert_int_equal(krb5_kt_add_entry(f->ctx, keytab, &entry), 0);
    krb5_free_keytab_entry_contents(f->ctx, &entry);
    krb5_kt_close(f->ctx, keytab);
}

static void write_file(struct fixture *f, const char *bytes, size_t len)
{
    assert_int_equal(krb5_write_file(f->file, bytes, len), 0);
}

static void remove_file(struct fixture *f)
{
    assert_int_equal(unlink(krb5_path(f->file)), 0);
}

static enum eas_rc load(struct fixture *f, const char *principal, struct eas_keytab **out,
                        struct eas_err *err)
{
    *out = NULL;
    memset(err, 0, sizeof(*err));
    return eas_keytab_load(f->pool, krb5_path(f->file), principal, out, err);
}

static struct eas_keytab *must_load(struct fixture *f, const char *principal)
{
    struct eas_keytab *keytab;
    struct eas_err err;

    if (load(f, principal, &keytab, &err) != EAS_OK) {
        fail_msg("EAS%d %s", err.tag, err.text);
    }
    return keytab;
}

static bool has_key(struct fixture *f, krb5_keytab handle, const char *name, krb5_kvno kvno)
{
    krb5_principal principal = NULL;
    krb5_keytab_entry entry;
    krb5_error_code code;

    assert_int_equal(krb5_parse_name(f->ctx, name, &principal), 0);
    code = krb5_kt_get_entry(f->ctx, handle, principal, kvno, 0, &entry);
    if (code == 0) {
        krb5_free_keytab_entry_contents(f->ctx, &entry);
    }
    krb5_free_principal(f->ctx, principal);
    return code == 0;
}

static void test_choice_of_the_principal(void **state)
{
    static const struct {
        const char *entries[3];
        const char *wanted, *chosen;
    } rows[] = {
        { { GATEWAY }, NULL, GATEWAY },
        { { SERVICE, GATEWAY }, NULL, GATEWAY },
        { { GATEWAY, SERVICE }, NULL, GATEWAY },
        { { SERVICE, "first@" REALM, "second@" REALM }, NULL, "first@" REALM },
        { { SERVICE, "GATEWAY$@" REALM }, NULL, "GATEWAY$@" REALM },
        { { SERVICE, "host/gateway@" REALM }, NULL, SERVICE },
        { { "first@" REALM, "second@" REALM }, "second@" REALM, "second@" REALM },
        { { GATEWAY, SERVICE }, SERVICE, SERVICE },
        { { "first@" REALM, "gateway@OTHER.TEST" }, "gateway@OTHER.TEST", "gateway@OTHER.TEST" },
        { { "first@" REALM, GATEWAY }, "gateway", GATEWAY },
    };
    struct fixture *f = *state;
    size_t i, j;

    for (i = 0; i < COUNT_OF(rows); i++) {
        struct eas_keytab *keytab;
        char *text;

        for (j = 0; j < COUNT_OF(rows[i].entries) && rows[i].entries[j] != NULL; j++) {
            add_entry(f, rows[i].entries[j], 1);
        }
        keytab = must_load(f, rows[i].wanted);
        assert_string_equal(eas_keytab_principal_name(keytab), rows[i].chosen);
        assert_int_equal(krb5_unparse_name(f->ctx, eas_keytab_principal(keytab), &text), 0);
        assert_string_equal(text, rows[i].chosen);
        krb5_free_unparsed_name(f->ctx, text);
        remove_file(f);
    }
}

static void test_all_keys_are_in_memory(void **state)
{
    struct fixture *f = *state;
    krb5_keytab handle;

    add_entry(f, SERVICE, 3);
    add_entry(f, GATEWAY, 3);
    add_entry(f, GATEWAY, 4);
    handle = eas_keytab_handle(must_load(f, NULL));
    remove_file(f);
    assert_true(has_key(f, handle, SERVICE, 3));
    assert_true(has_key(f, handle, GATEWAY, 3));
    assert_true(has_key(f, handle, GATEWAY, 4));
    assert_false(has_key(f, handle, GATEWAY, 5));
    assert_false(has_key(f, handle, "other@" REALM, 0));
}

static void test_two_keytabs_are_separate(void **state)
{
    struct fixture *f = *state;
    krb5_keytab one, two;

    add_entry(f, "one@" REALM, 1);
    one = eas_keytab_handle(must_load(f, NULL));
    remove_file(f);
    add_entry(f, "two@" REALM, 1);
    two = eas_keytab_handle(must_load(f, NULL));
    assert_true(has_key(f, one, "one@" REALM, 1));
    assert_false(has_key(f, one, "two@" REALM, 1));
    assert_true(has_key(f, two, "two@" REALM, 1));
    assert_false(has_key(f, two, "one@" REALM, 1));
}

static void assert_load_fails(struct fixture *f, const char *principal, int tag, const char *cure)
{
    struct eas_keytab *keytab;
    struct eas_err err;

    if (load(f, principal, &keytab, &err) != EAS_MISCONFIGURED || err.rc != EAS_MISCONFIGURED
        || err.tag != tag || keytab != NULL || strstr(err.text, f->file) == NULL
        || strstr(err.text, cure) == NULL) {
        fail_msg("EAS%d %s", err.tag, err.text);
    }
}

static void test_missing_file(void **state)
{
    assert_load_fails(*state, NULL, 3001, "EasKcdKeytab");
    assert_load_fails(*state, GATEWAY, 3001, "not found");
}

static void test_directory_as_keytab(void **state)
{
    struct fixture f = *(struct fixture *)*state;

    f.file = ".";
    assert_load_fails(&f, NULL, 3001, "EasKcdKeytab");
}

static void test_files_without_keys(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } rows[] = {
        { "", 0 },
        { "\x05", 1 },
        { "\x05\x02", 2 }, /* a keytab's header and no entry */
        { "\x05\x07", 2 },
        { "\x05\x02\xff\xff\xff\xf0", 6 },
        { "\x05\x02\x7f\xff\xff\xff\x00\x01", 8 },
        { "\x05\x02\x00\x00\x00\x04\xff\xff\xff\xff", 10 },
        { "-----BEGIN CERTIFICATE-----\n", 28 },
        { "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16 },
    };
    struct fixture *f = *state;
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        write_file(f, rows[i].bytes, rows[i].len);
        assert_load_fails(f, NULL, 3001, "EasKcdKeytab");
    }
}

static void set_mode(struct fixture *f, mode_t mode)
{
    assert_int_equal(chmod(krb5_path(f->file), mode), 0);
}

static void test_mode_of_the_file(void **state)
{
    static const struct {
        mode_t mode;
        bool refused;
    } rows[] = { { 0600, false }, { 0400, false }, { 0640, false }, { 0644, true },
                 { 0604, true },  { 0602, true },  { 0620, true },  { 0666, true } };
    struct fixture *f = *state;
    size_t i;

    add_entry(f, GATEWAY, 1);
    for (i = 0; i < COUNT_OF(rows); i++) {
        set_mode(f, rows[i].mode);
        if (rows[i].refused) {
            assert_load_fails(f, NULL, 3006, "chmod 600");
        }
        else {
            must_load(f, NULL);
        }
    }
}

static void test_principal_without_a_key(void **state)
{
    struct fixture *f = *state;

    add_entry(f, GATEWAY, 1);
    assert_load_fails(f, "other@" REALM, 3003, "klist -k");
    assert_load_fails(f, "gateway@OTHER.TEST", 3003, "klist -k");
    assert_load_fails(f, "Gateway@" REALM, 3003, "EasKcdPrincipal");
    assert_load_fails(f, SERVICE, 3003, "EasKcdPrincipal");
}

static void test_invalid_principal(void **state)
{
    struct fixture *f = *state;

    add_entry(f, GATEWAY, 1);
    assert_load_fails(f, "a@b@c", 3002, "EasKcdPrincipal");
}

static void reread(struct eas_keytab *keytab)
{
    struct eas_err err;

    eas_keytab_reread(keytab, &err);
}

static void test_paths(void **state)
{
    static const struct {
        const char *name, *path;
    } rows[] = {
        { "/etc/x", "/etc/x" },      { "conf/x", "conf/x" }, { "x", "x" },
        { "FILE:/etc/x", "/etc/x" }, { "FILE:x", "x" },      { "WRFILE:/etc/x", "/etc/x" },
        { "/etc/a:b", "/etc/a:b" },  { "MEMORY:x", NULL },   { "DIR:/etc/x", NULL },
        { "file:/etc/x", NULL },     { ":x", NULL },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        const char *path = eas_keytab_path(rows[i].name);

        assert_true(path == NULL ? rows[i].path == NULL
                                 : rows[i].path != NULL && strcmp(path, rows[i].path) == 0);
    }
}

static void test_name_of_a_file(void **state)
{
    struct fixture *f = *state;
    struct eas_keytab *keytab;
    struct eas_err err;
    char name[128];

    add_entry(f, GATEWAY, 1);
    snprintf(name, sizeof(name), "FILE:%s", krb5_path(f->file));
    assert_int_equal(eas_keytab_load(f->pool, name, NULL, &keytab, &err), EAS_OK);
    assert_int_equal(eas_keytab_load(f->pool, "MEMORY:x", NULL, &keytab, &err), EAS_MISCONFIGURED);
    assert_int_equal(err.tag, 3121);
}

static void test_reread_reads_a_replaced_file(void **state)
{
    struct fixture *f = *state;
    struct eas_keytab *keytab;
    krb5_keytab old;

    add_entry(f, GATEWAY, 1);
    keytab = must_load(f, NULL);
    old = eas_keytab_handle(keytab);
    remove_file(f);
    add_entry(f, GATEWAY, 2);
    reread(keytab);
    assert_true(has_key(f, eas_keytab_handle(keytab), GATEWAY, 2));
    assert_false(has_key(f, eas_keytab_handle(keytab), GATEWAY, 1));
    assert_true(has_key(f, old, GATEWAY, 1));
}

static void test_reread_reads_an_added_entry(void **state)
{
    struct fixture *f = *state;
    struct eas_keytab *keytab;

    add_entry(f, GATEWAY, 1);
    keytab = must_load(f, NULL);
    add_entry(f, GATEWAY, 2);
    reread(keytab);
    assert_true(has_key(f, eas_keytab_handle(keytab), GATEWAY, 1));
    assert_true(has_key(f, eas_keytab_handle(keytab), GATEWAY, 2));
}

/* The principal stays when the file has another first entry. */
static void test_reread_keeps_the_principal(void **state)
{
    struct fixture *f = *state;
    struct eas_keytab *keytab;

    add_entry(f, GATEWAY, 1);
    keytab = must_load(f, NULL);
    remove_file(f);
    add_entry(f, "another@" REALM, 1);
    add_entry(f, GATEWAY, 2);
    reread(keytab);
    assert_string_equal(eas_keytab_principal_name(keytab), GATEWAY);
    assert_true(has_key(f, eas_keytab_handle(keytab), GATEWAY, 2));
}

static void assert_reread_keeps_keys(struct fixture *f, struct eas_keytab *keytab)
{
    krb5_keytab old = eas_keytab_handle(keytab);

    reread(keytab);
    assert_ptr_equal(eas_keytab_handle(keytab), old);
    assert_true(has_key(f, old, GATEWAY, 1));
}

static void test_reread_of_an_unchanged_file(void **state)
{
    struct fixture *f = *state;

    add_entry(f, GATEWAY, 1);
    assert_reread_keeps_keys(f, must_load(f, NULL));
}

static void test_reread_keeps_the_keys_when_the_file_is_unusable(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } rows[] = { { "", 0 }, { "\x05\x02", 2 }, { "garbage that is no keytab", 25 } };
    struct fixture *f = *state;
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        struct eas_keytab *keytab;

        add_entry(f, GATEWAY, 1);
        keytab = must_load(f, NULL);
        remove_file(f);
        write_file(f, rows[i].bytes, rows[i].len);
        assert_reread_keeps_keys(f, keytab);
        remove_file(f);
    }
}

static void test_reread_ignores_a_file_that_everybody_reads(void **state)
{
    struct fixture *f = *state;
    struct eas_keytab *keytab;

    add_entry(f, GATEWAY, 1);
    keytab = must_load(f, NULL);
    add_entry(f, GATEWAY, 2);
    set_mode(f, 0644);
    assert_reread_keeps_keys(f, keytab);
    assert_false(has_key(f, eas_keytab_handle(keytab), GATEWAY, 2));
    set_mode(f, 0640);
    reread(keytab);
    assert_true(has_key(f, eas_keytab_handle(keytab), GATEWAY, 2));
}

static void test_reread_keeps_the_keys_when_the_file_is_gone(void **state)
{
    struct fixture *f = *state;
    struct eas_keytab *keytab;

    add_entry(f, GATEWAY, 1);
    keytab = must_load(f, NULL);
    remove_file(f);
    assert_reread_keeps_keys(f, keytab);
}

static void test_reread_keeps_the_keys_when_the_principal_is_missing(void **state)
{
    struct fixture *f = *state;
    struct eas_keytab *keytab;

    add_entry(f, GATEWAY, 1);
    keytab = must_load(f, NULL);
    remove_file(f);
    add_entry(f, "another@" REALM, 2);
    assert_reread_keeps_keys(f, keytab);
}

/* A program may be about to write the rest. */
static void test_reread_waits_for_a_file_at_rest(void **state)
{
    struct fixture *f = *state;
    struct eas_keytab *keytab;
    apr_time_t before = now;
    struct eas_err err;
    apr_finfo_t file;

    add_entry(f, GATEWAY, 1);
    keytab = must_load(f, NULL);
    add_entry(f, GATEWAY, 2);
    assert_int_equal(apr_stat(&file, krb5_path(f->file), APR_FINFO_CTIME, f->pool), APR_SUCCESS);
    now = file.ctime + apr_time_from_sec(1);
    assert_false(eas_keytab_reread(keytab, &err));
    assert_false(has_key(f, eas_keytab_handle(keytab), GATEWAY, 2));
    now = file.ctime + apr_time_from_sec(2);
    assert_true(eas_keytab_reread(keytab, &err));
    assert_true(has_key(f, eas_keytab_handle(keytab), GATEWAY, 2));
    now = before;
}

/* libkrb5 reads a file that ends within a record as if it ended before. */
static void test_reread_refuses_half_a_file(void **state)
{
    struct fixture *f = *state;
    struct eas_keytab *keytab;
    struct eas_err err;
    struct stat whole;

    add_entry(f, GATEWAY, 1);
    keytab = must_load(f, NULL);
    add_entry(f, GATEWAY, 2);
    assert_int_equal(stat(krb5_path(f->file), &whole), 0);
    assert_int_equal(truncate(krb5_path(f->file), whole.st_size - 1), 0);
    assert_true(eas_keytab_reread(keytab, &err));
    assert_int_equal(err.rc, EAS_MISCONFIGURED);
    assert_int_equal(err.tag, 1324);
    assert_false(eas_keytab_reread(keytab, &err)); /* said once */
    assert_true(has_key(f, eas_keytab_handle(keytab), GATEWAY, 1));
    assert_false(eas_keytab_was_replaced(keytab));
}

static void test_reread_recovers_from_garbage(void **state)
{
    struct fixture *f = *state;
    struct eas_keytab *keytab;

    add_entry(f, GATEWAY, 1);
    keytab = must_load(f, NULL);
    write_file(f, "garbage that is no keytab", 25);
    assert_reread_keeps_keys(f, keytab);
    remove_file(f);
    add_entry(f, GATEWAY, 2);
    reread(keytab);
    assert_true(has_key(f, eas_keytab_handle(keytab), GATEWAY, 2));
}

/* Whether the table of memory keytabs in libkrb5 still has keys under the name. */
static bool name_has_keys(struct fixture *f, const char *name)
{
    krb5_keytab keytab;
    bool has_keys;

    assert_int_equal(krb5_kt_resolve(f->ctx, name, &keytab), 0);
    has_keys = krb5_kt_have_content(f->ctx, keytab) == 0;
    krb5_kt_close(f->ctx, keytab);
    return has_keys;
}

static void get_name(struct fixture *f, struct eas_keytab *keytab, char name[128])
{
    assert_int_equal(krb5_kt_get_name(f->ctx, eas_keytab_handle(keytab), name, 128), 0);
    assert_true(name_has_keys(f, name));
}

static void test_keys_are_freed_with_the_pool(void **state)
{
    struct fixture *f = *state;
    char name[128];

    add_entry(f, GATEWAY, 1);
    get_name(f, must_load(f, NULL), name);
    apr_pool_clear(f->pool);
    assert_false(name_has_keys(f, name));
}

/* Replaced keytabs may be in use until the pool is cleared. */
static void test_replaced_keys_are_freed_with_the_pool(void **state)
{
    struct fixture *f = *state;
    struct eas_keytab *keytab;
    char old[128], current[128];

    add_entry(f, GATEWAY, 1);
    keytab = must_load(f, NULL);
    get_name(f, keytab, old);
    remove_file(f);
    add_entry(f, GATEWAY, 2);
    reread(keytab);
    get_name(f, keytab, current);
    assert_string_not_equal(old, current);
    apr_pool_clear(f->pool);
    assert_false(name_has_keys(f, current));
    assert_false(name_has_keys(f, old));
}

#define KEYTAB_TEST(test) cmocka_unit_test_setup_teardown(test, start_test, end_test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        KEYTAB_TEST(test_choice_of_the_principal),
        KEYTAB_TEST(test_all_keys_are_in_memory),
        KEYTAB_TEST(test_two_keytabs_are_separate),
        KEYTAB_TEST(test_missing_file),
        KEYTAB_TEST(test_directory_as_keytab),
        KEYTAB_TEST(test_files_without_keys),
        KEYTAB_TEST(test_mode_of_the_file),
        KEYTAB_TEST(test_reread_ignores_a_file_that_everybody_reads),
        KEYTAB_TEST(test_principal_without_a_key),
        KEYTAB_TEST(test_invalid_principal),
        KEYTAB_TEST(test_paths),
        KEYTAB_TEST(test_name_of_a_file),
        KEYTAB_TEST(test_reread_reads_a_replaced_file),
        KEYTAB_TEST(test_reread_reads_an_added_entry),
        KEYTAB_TEST(test_reread_keeps_the_principal),
        KEYTAB_TEST(test_reread_of_an_unchanged_file),
        KEYTAB_TEST(test_reread_keeps_the_keys_when_the_file_is_unusable),
        KEYTAB_TEST(test_reread_keeps_the_keys_when_the_file_is_gone),
        KEYTAB_TEST(test_reread_keeps_the_keys_when_the_principal_is_missing),
        KEYTAB_TEST(test_reread_waits_for_a_file_at_rest),
        KEYTAB_TEST(test_reread_refuses_half_a_file),
        KEYTAB_TEST(test_reread_recovers_from_garbage),
        KEYTAB_TEST(test_keys_are_freed_with_the_pool),
        KEYTAB_TEST(test_replaced_keys_are_freed_with_the_pool),
    };

    return cmocka_run_group_tests(tests, krb5_files_start, krb5_files_end);
}
