/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_keytab_share.c - keys of a keytab in memory that processes share */

#include "t/unit/krb5_files.h"
#include "t/unit/seals.h"
#include "t/unit/unit.h"

#include "auth/kerberos/keytab.h"

#include <string.h>

#define GATEWAY "gateway@" REALM

/* A parent process and a child, with a context each. */
struct fixture {
    apr_pool_t *pool;
    krb5_context ctx;
    void *memory;
    struct eas_keytab_share *parent, *child;
};

static int start_test(void **state)
{
    static struct fixture fixture;
    struct fixture *f = *state = &fixture;
    struct eas_keyring *ring;

    assert_int_equal(apr_pool_create(&f->pool, NULL), APR_SUCCESS);
    assert_int_equal(krb5_init_context(&f->ctx), 0);
    ring = ring_of(f->pool, "a");
    f->memory = apr_pcalloc(f->pool, eas_keytab_share_size());
    f->parent = eas_keytab_share_create(f->pool, f->memory, ring, "x");
    f->child = eas_keytab_share_create(f->pool, f->memory, ring, "x");
    return 0;
}

static int end_test(void **state)
{
    struct fixture *f = *state;

    krb5_free_context(f->ctx);
    apr_pool_destroy(f->pool);
    return 0;
}

static krb5_keytab make(struct fixture *f, const char *name)
{
    krb5_keytab keytab;

    assert_int_equal(krb5_kt_resolve(f->ctx, name, &keytab), 0);
    return keytab;
}

static void add(struct fixture *f, krb5_keytab keytab, const char *principal, krb5_kvno kvno)
{
    krb5_keytab_entry entry;

    memset(&entry, 0, sizeof(entry));
    entry.vno = kvno;
    assert_int_equal(krb5_parse_name(f->ctx, principal, &entry.principal), 0);
    assert_int_equal(krb5_c_make_random_key(f->ctx, ENCTYPE_AES256_CTS_HMAC_SHA1_96, &entry.key),
                     0);
    assert_int_equal(krb5_kt_add_entry(f->ctx, keytab, &entry), 0);
    krb5_free_keytab_entry_contents(f->ctx, &entry);
}

/* Whether both have the same key of the gateway's in this version. */
static bool same_key(struct fixture *f, krb5_keytab a, krb5_keytab b, krb5_kvno kvno)
{
    krb5_keytab_entry of_a, of_b;
    krb5_principal us;
    bool same;

    assert_int_equal(krb5_parse_name(f->ctx, GATEWAY, &us), 0);
    assert_int_equal(krb5_kt_get_entry(f->ctx, a, us, kvno, 0, &of_a), 0);
    assert_int_equal(krb5_kt_get_entry(f->ctx, b, us, kvno, 0, &of_b), 0);
    same = of_a.key.enctype == of_b.key.enctype && of_a.key.length == of_b.key.length
           && memcmp(of_a.key.contents, of_b.key.contents, of_a.key.length) == 0;
    krb5_free_keytab_entry_contents(f->ctx, &of_a);
    krb5_free_keytab_entry_contents(f->ctx, &of_b);
    krb5_free_principal(f->ctx, us);
    return same;
}

static void test_keys_arrive(void **state)
{
    struct fixture *f = *state;
    krb5_keytab from = make(f, "MEMORY:from"), to = make(f, "MEMORY:to");
    struct eas_err err;

    add(f, from, GATEWAY, 3);
    add(f, from, GATEWAY, 70000);
    add(f, from, "HTTP/gateway.eas.test@" REALM, 3);
    assert_false(eas_keytab_share_is_newer(f->child));
    assert_int_equal(eas_keytab_share_put(f->parent, f->ctx, from, &err), EAS_OK);
    assert_false(eas_keytab_share_is_newer(f->parent));
    assert_true(eas_keytab_share_is_newer(f->child));
    assert_true(eas_keytab_share_get(f->child, f->ctx, to));
    assert_false(eas_keytab_share_is_newer(f->child));
    assert_true(same_key(f, from, to, 3));
    assert_true(same_key(f, from, to, 70000));
    krb5_kt_close(f->ctx, from);
    krb5_kt_close(f->ctx, to);
}

/* Nothing else than keys of the last version arrives. */
static void test_changed_memory(void **state)
{
    struct fixture *f = *state;
    krb5_keytab from = make(f, "MEMORY:changed"), to = make(f, "MEMORY:unchanged");
    unsigned char *bytes = f->memory;
    struct eas_keytab_share *other =
        eas_keytab_share_create(f->pool, f->memory, ring_of(f->pool, "a"), "y");
    struct eas_err err;
    size_t i, changed = 0;

    add(f, from, GATEWAY, 3);
    assert_int_equal(eas_keytab_share_put(f->parent, f->ctx, from, &err), EAS_OK);
    assert_false(eas_keytab_share_get(other, f->ctx, to));
    for (i = 0; i < eas_keytab_share_size(); i++) {
        if (bytes[i] != 0) {
            bytes[i] ^= 1;
            assert_false(eas_keytab_share_get(f->child, f->ctx, to));
            bytes[i] ^= 1;
            changed++;
        }
    }
    assert_true(changed > 60);
    assert_int_not_equal(krb5_kt_have_content(f->ctx, to), 0);
    assert_true(eas_keytab_share_get(f->child, f->ctx, to));
    krb5_kt_close(f->ctx, from);
    krb5_kt_close(f->ctx, to);
}

static void test_too_many_keys(void **state)
{
    struct fixture *f = *state;
    krb5_keytab from = make(f, "MEMORY:many");
    struct eas_err err;
    krb5_kvno kvno;

    for (kvno = 1; kvno <= 1500; kvno++) {
        add(f, from, GATEWAY, kvno);
    }
    assert_int_equal(eas_keytab_share_put(f->parent, f->ctx, from, &err), EAS_MISCONFIGURED);
    assert_int_equal(err.tag, 1326);
    assert_false(eas_keytab_share_is_newer(f->child));
    krb5_kt_close(f->ctx, from);
}

/* A child whose file is root's alone gets what the parent has read. */
static void test_rotation(void **state)
{
    struct fixture *f = *state;
    krb5_keytab file;
    struct eas_keytab *parent, *child;
    struct eas_err err;
    char name[128];

    snprintf(name, sizeof(name), "FILE:%s", krb5_path("shared.keytab"));
    file = make(f, name);
    add(f, file, GATEWAY, 1);
    assert_int_equal(eas_keytab_load(f->pool, name, NULL, &parent, &err), EAS_OK);
    assert_int_equal(eas_keytab_load(f->pool, name, NULL, &child, &err), EAS_OK);
    eas_keytab_attach(parent, f->parent);
    eas_keytab_attach(child, f->child);
    add(f, file, GATEWAY, 2);
    eas_keytab_refresh(child);
    assert_false(eas_keytab_was_replaced(child));
    while (!eas_keytab_reread(parent, &err)) {
        apr_sleep(apr_time_from_msec(50)); /* until the file is at rest */
    }
    assert_int_equal(err.rc, EAS_OK);
    eas_keytab_refresh(child);
    assert_true(eas_keytab_was_replaced(child));
    assert_true(same_key(f, eas_keytab_handle(child), file, 1));
    assert_true(same_key(f, eas_keytab_handle(child), file, 2));
    krb5_kt_close(f->ctx, file);
    unlink(krb5_path("shared.keytab"));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, start_test, end_test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_keys_arrive),
        CASE(test_changed_memory),
        CASE(test_too_many_keys),
        CASE(test_rotation),
    };

    return cmocka_run_group_tests(tests, krb5_files_start, krb5_files_end);
}
