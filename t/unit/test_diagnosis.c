/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_diagnosis.c - findings of eas-kcd-check: from refusals of KDCs, and their texts */

#include "t/unit/unit.h"

#include "delegation/check/diagnosis.h"

#include <string.h>

static const struct eas_finding_names nothing;

static void check_finding(const struct eas_diagnosis *diagnosis, const char *name, size_t row)
{
    struct eas_finding_text text;
    apr_pool_t *pool;

    apr_pool_create(&pool, NULL);
    text = eas_finding_text(pool, eas_diagnosis_of(diagnosis), &nothing);
    if (strcmp(text.name, name) != 0) {
        fail_msg("row %d: %s instead of %s", (int)row, text.name, name);
    }
    apr_pool_destroy(pool);
}

/* Answers of Windows, MIT Kerberos and Heimdal, also those that no KDC of the lab gives. */
static const struct {
    enum eas_diagnosis_asked asked;
    int error;
    unsigned ntstatus;
    int tag;
    const char *name;
} refusals[] = {
    { EAS_DIAGNOSIS_LOG_ON, 6, 0, 2012, "gateway-unknown" },
    { EAS_DIAGNOSIS_LOG_ON, 18, 0xc0000072, 2012, "gateway-disabled" },
    { EAS_DIAGNOSIS_LOG_ON, 18, 0xc0000234, 2012, "gateway-locked" },
    { EAS_DIAGNOSIS_LOG_ON, 18, 0xc0000193, 2012, "gateway-expired" },
    { EAS_DIAGNOSIS_LOG_ON, 1, 0, 2012, "gateway-expired" },
    { EAS_DIAGNOSIS_LOG_ON, 18, 0, 2012, "gateway-revoked" },
    { EAS_DIAGNOSIS_LOG_ON, 23, 0xc0000224, 2012, "gateway-must-change" },
    { EAS_DIAGNOSIS_LOG_ON, 23, 0, 2012, "gateway-must-change" },
    { EAS_DIAGNOSIS_LOG_ON, 12, 0, 2012, "gateway-policy" },
    { EAS_DIAGNOSIS_LOG_ON, 12, 0xc0000070, 2012, "gateway-policy" },
    { EAS_DIAGNOSIS_LOG_ON, 24, 0, 2012, "keytab-key" },
    /* RC4 switched off at the KDC, and a keytab without AES */
    { EAS_DIAGNOSIS_LOG_ON, 14, 0, 2012, "gateway-etype" },
    { EAS_DIAGNOSIS_LOG_ON, 25, 0, 2012, "gateway-etype" },
    { EAS_DIAGNOSIS_LOG_ON, 60, 0, 2012, "gateway-refused" },
    { EAS_DIAGNOSIS_LOG_ON, -1, 0, 2010, "kdc-all-down" },
    { EAS_DIAGNOSIS_LOG_ON, -1, 0, 2014, "dns" },
    { EAS_DIAGNOSIS_LOG_ON, 37, 0, 2011, "clock" },
    { EAS_DIAGNOSIS_LOG_ON, -1, 0, 1021, "clock" },
    { EAS_DIAGNOSIS_LOG_ON, -1, 0, 1020, "krb5-conf" },
    { EAS_DIAGNOSIS_OWN, 7, 0, 0, "gateway-no-spn" },
    { EAS_DIAGNOSIS_OWN, 8, 0, 0, "gateway-no-spn" },
    { EAS_DIAGNOSIS_OWN, 27, 0, 0, "gateway-no-spn" },
    { EAS_DIAGNOSIS_OWN, 14, 0, 0, "gateway-etype" },
    { EAS_DIAGNOSIS_USER, 6, 0, 0, "user-unknown" },
    { EAS_DIAGNOSIS_USER, 18, 0xc0000072, 0, "user-disabled" },
    { EAS_DIAGNOSIS_USER, 68, 0, 0, "user-other-realm" },
    { EAS_DIAGNOSIS_USER, 14, 0, 0, "user-etype" },
    { EAS_DIAGNOSIS_SELF, 12, 0, 2023, "user-disabled" },
    { EAS_DIAGNOSIS_SELF, 12, 0xc0000413, 2023, "user-policy" },
    { EAS_DIAGNOSIS_SELF, 18, 0xc0000234, 2023, "user-locked" },
    { EAS_DIAGNOSIS_SELF, 18, 0xc000006f, 2023, "user-revoked" },
    { EAS_DIAGNOSIS_SELF, 1, 0, 2023, "user-expired" },
    { EAS_DIAGNOSIS_SELF, 7, 0, 2024, "gateway-no-spn" },
    { EAS_DIAGNOSIS_SELF, -1, 0, 2026, "user-refused" },
    { EAS_DIAGNOSIS_PASSWORD, 24, 0, 1030, "user-password" },
    { EAS_DIAGNOSIS_PASSWORD, -1, 0, 1030, "user-password" },
    { EAS_DIAGNOSIS_PASSWORD, -1, 0, 1031, "user-unknown" },
    { EAS_DIAGNOSIS_PASSWORD, -1, 0, 1032, "user-revoked" },
    { EAS_DIAGNOSIS_PASSWORD, -1, 0, 1033, "user-must-change" },
    { EAS_DIAGNOSIS_PASSWORD, -1, 0, 1034, "user-policy" },
    { EAS_DIAGNOSIS_PASSWORD, -1, 0, 1040, "gateway-no-spn" },
    { EAS_DIAGNOSIS_PASSWORD, -1, 0, 1043, "keytab-key" },
    { EAS_DIAGNOSIS_PASSWORD, -1, 0, 1045, "no-armor" },
    { EAS_DIAGNOSIS_PASSWORD, -1, 0, 1046, "no-aes" },
    { EAS_DIAGNOSIS_PROXY, 7, 0, 2033, "spn-unknown" },
    { EAS_DIAGNOSIS_PROXY, 8, 0, 2024, "spn-duplicate" },
    { EAS_DIAGNOSIS_PROXY, 7, 0, 2035, "spn-other-realm" },
    { EAS_DIAGNOSIS_PROXY, 12, 0, 2034, "backend-policy" },
    { EAS_DIAGNOSIS_PROXY, 12, 0xc0000413, 2034, "backend-policy" },
    /* RC4 switched off at the KDC, and an account without AES keys */
    { EAS_DIAGNOSIS_PROXY, 14, 0, 2024, "backend-etype" },
    { EAS_DIAGNOSIS_PROXY, 19, 0, 2024, "backend-disabled" },
    { EAS_DIAGNOSIS_PROXY, 2, 0, 2024, "backend-disabled" },
    { EAS_DIAGNOSIS_PROXY, 23, 0, 2023, "user-must-change" },
    { EAS_DIAGNOSIS_PROXY, 18, 0xc0000072, 2023, "user-disabled" },
    { EAS_DIAGNOSIS_PROXY, 60, 0, 2024, "delegation-refused" },
    { EAS_DIAGNOSIS_PROXY, -1, 0, 2021, "kdc-all-down" },
};

static void test_refusals(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(refusals); i++) {
        const struct eas_diagnosis diagnosis = { .asked = refusals[i].asked,
                                                 .error = refusals[i].error,
                                                 .ntstatus = refusals[i].ntstatus,
                                                 .tag = refusals[i].tag };

        check_finding(&diagnosis, refusals[i].name, i);
    }
}

/* KDC_ERR_PREAUTH_REQUIRED again, after the proof of the key. */
static void test_armour_is_demanded(void **state)
{
    const struct eas_diagnosis diagnosis = {
        .asked = EAS_DIAGNOSIS_LOG_ON, .error = 25, .tag = 2012, .guessed = true
    };

    (void)state;
    check_finding(&diagnosis, "gateway-armor", 0);
}

/* KDC_ERR_BADOPTION has several reasons. */
static void test_badoption(void **state)
{
    static const struct {
        struct eas_diagnosis diagnosis;
        const char *name;
    } rows[] = {
        { { .forwardable = true }, "spn-not-allowed" },
        { { .forwardable = true, .from_password = true }, "spn-not-allowed" },
        { { .forwardable = true, .tag = 2035 }, "spn-other-realm" },
        { { .forwardable = true, .ntstatus = 0xc000006e }, "user-not-delegated" },
        { { .from_password = true }, "user-not-delegated" },
        { { .from_password = true, .sensitive = true }, "user-sensitive" },
        { { .protected_user = true }, "user-protected" },
        { { .transition = true }, "transition-missing" },
        { { .transition = false }, "password-needed" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        struct eas_diagnosis diagnosis = rows[i].diagnosis;

        diagnosis.asked = EAS_DIAGNOSIS_PROXY;
        diagnosis.error = 13;
        check_finding(&diagnosis, rows[i].name, i);
    }
}

/* A braced word in a text is the name of a value; a brace after @ is PowerShell's. */
static void test_texts_have_no_unknown_names(void **state)
{
    enum eas_finding finding;

    for (finding = EAS_FINDING_NONE + 1; finding < EAS_FINDING_COUNT; finding++) {
        struct eas_finding_text text = eas_finding_text(*state, finding, &nothing);
        const char *all[] = { text.meaning, text.powershell, text.samba };
        size_t i;

        assert_true(text.name[0] >= 'a' && text.name[0] <= 'z');
        assert_true(strlen(text.meaning) > 15);
        for (i = 0; i < COUNT_OF(all); i++) {
            const char *brace = strchr(all[i], '{');

            if (brace != NULL && (brace == all[i] || brace[-1] != '@')) {
                fail_msg("%s: %s", text.name, all[i]);
            }
        }
    }
}

static void test_names_are_filled_in(void **state)
{
    const struct eas_finding_names names = { .account = "gw", .spn = "HTTP/{user}" };
    const struct eas_finding_names computer = { .account = "GW$", .spn = "HTTP/x" };
    struct eas_finding_text text = eas_finding_text(*state, EAS_FINDING_SPN_NOT_ALLOWED, &names);

    assert_string_equal(text.powershell,
                        "Set-ADUser gw -Add @{'msDS-AllowedToDelegateTo'='HTTP/{user}'}");
    assert_string_equal(text.samba, "samba-tool delegation add-service gw HTTP/{user}");
    text = eas_finding_text(*state, EAS_FINDING_SPN_NOT_ALLOWED, &computer);
    assert_string_equal(text.powershell,
                        "Set-ADComputer GW$ -Add @{'msDS-AllowedToDelegateTo'='HTTP/x'}");
    text = eas_finding_text(*state, EAS_FINDING_GATEWAY_REVOKED, &computer);
    assert_string_equal(text.samba, "samba-tool computer show GW$");
    text = eas_finding_text(*state, EAS_FINDING_SPN_NOT_ALLOWED, &nothing);
    assert_string_equal(text.samba, "samba-tool delegation add-service ACCOUNT SPN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),     cmocka_unit_test(test_armour_is_demanded),
        cmocka_unit_test(test_badoption),    POOL_TEST(test_texts_have_no_unknown_names),
        POOL_TEST(test_names_are_filled_in),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
