/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_query.c - the query of an ActiveSync request, plain and base64 */

#include "t/unit/unit.h"

#include "auth/activesync/query.h"

#include <apr_strings.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* Examples of [MS-ASHTTP] 2.2.1.1.1, of Horde's unit tests, and of Windows Mail on the wire. */
#define E1 "jAAJBAp2MTQwRGV2aWNlAApTbWFydFBob25l"
#define E2 "oBEJBBBOaW5lMkVDN0VDMEJCNTREBAGJpmIHQW5kcm9pZAcBAA=="
#define E3 "eQIJBBCuTs0Z9ZK6Vldwb/dM8JusBHVeHIQDUFBDBwEBAwYxMTkyODEBBUlOQk9Y"
#define E4 "jQMJCBBgMOo4NRIhymNelU6Z7jHTBDzZUJwLV2luZG93c01haWwHAQE="

/* What goes before the parts that vary: 14.1, Sync, English. */
#define HEAD "\x8d\x00\x09\x04"

struct row {
    const char *query;
    struct eas_query expected;
};

/* In memory of exactly its size, so that a sanitizer notices one byte read too much. */
static enum eas_rc parse(apr_pool_t *pool, const char *query, size_t len, struct eas_query **out,
                         struct eas_err *err)
{
    char *exact = malloc(len + (len == 0));
    enum eas_rc rc;

    assert_non_null(exact);
    memcpy(exact, query, len);
    rc = eas_query_parse(pool, exact, len, out, err);
    free(exact);
    return rc;
}

static void assert_text(const char *query, const char *what, const char *is, const char *expected)
{
    if ((is == NULL) != (expected == NULL) || (is != NULL && strcmp(is, expected) != 0)) {
        fail_msg("\"%s\": %s is %s, not %s", query, what, is ? is : "(none)",
                 expected ? expected : "(none)");
    }
}

static void assert_query(apr_pool_t *pool, const char *query, size_t len,
                         const struct eas_query *expected)
{
    struct eas_err err = { EAS_OK, 0, "" };
    struct eas_query *out = NULL;

    if (parse(pool, query, len, &out, &err) != EAS_OK) {
        fail_msg("\"%s\": EAS%d %s", query, err.tag, err.text);
    }
    assert_text(query, "the command", out->command, expected->command);
    assert_text(query, "the user", out->user, expected->user);
    assert_text(query, "the device id", out->device_id, expected->device_id);
    assert_text(query, "the device type", out->device_type, expected->device_type);
    assert_text(query, "the version", out->protocol_version, expected->protocol_version);
    assert_text(query, "the policy key", out->policy_key, expected->policy_key);
}

static void assert_rows(apr_pool_t *pool, const struct row *rows, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        assert_query(pool, rows[i].query, strlen(rows[i].query), &rows[i].expected);
    }
}

static void assert_malformed(apr_pool_t *pool, const char *query, size_t len, int tag)
{
    struct eas_err err = { EAS_OK, 0, "" };
    struct eas_query *out = NULL;
    enum eas_rc rc = parse(pool, query, len, &out, &err);

    if (rc != EAS_MALFORMED || err.rc != rc || err.tag != tag || out != NULL) {
        fail_msg("\"%s\": rc %d, EAS%d %s", query, rc, err.tag, err.text);
    }
}

static const char *base64_of(apr_pool_t *pool, const char *bytes, size_t len)
{
    char *text = apr_palloc(pool, len / 3 * 4 + 5);

    EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)bytes, (int)len);
    return text;
}

static void assert_blob(apr_pool_t *pool, const char *bytes, size_t len,
                        const struct eas_query *expected)
{
    const char *query = base64_of(pool, bytes, len);

    assert_query(pool, query, strlen(query), expected);
}

static void assert_malformed_blob(apr_pool_t *pool, const char *bytes, size_t len, int tag)
{
    const char *query = base64_of(pool, bytes, len);

    assert_malformed(pool, query, strlen(query), tag);
}

#define BLOB(literal) literal, sizeof(literal) - 1

static void test_worked_examples(void **state)
{
    static const struct row rows[] = {
        { E1, { "Sync", NULL, "v140Device", "SmartPhone", "14.0", NULL } },
        { E2, { "Settings", NULL, "Nine2EC7EC0BB54D", "Android", "16.0", "1655081217" } },
        { E3,
          { "SmartForward", NULL, "AE4ECD19F592BA5657706FF74CF09BAC", "PPC", "12.1",
            "2216451701" } },
        { E4,
          { "SmartReply", NULL, "6030EA38351221CA635E954E99EE31D3", "WindowsMail", "14.1",
            "2622544188" } },
        { "Cmd=Sync&User=rmjones&DeviceId=v140Device&DeviceType=SmartPhone",
          { "Sync", "rmjones", "v140Device", "SmartPhone", NULL, NULL } },
    };

    assert_rows(*state, rows, COUNT_OF(rows));
}

/* A client in the field that swaps policy key and device type, and writes the key as text. */
static void test_negative_example(void **state)
{
    assert_malformed_blob(*state,
                          BLOB(HEAD "\x0av140Device\x0aSmartPhone\x0a"
                                    "1655081217"),
                          1204);
    assert_malformed(*state, "jQAJBAp2MTQwRGV2aWNlClNtYXJ0UGhvbmUKMTY1NTA4MTIxNw", 50, 1204);
}

static void test_plain_in_any_order_and_case(void **state)
{
    static const struct row rows[] = {
        { "DeviceType=iPhone&DeviceId=ApplDN6&User=a&Cmd=Ping",
          { "Ping", "a", "ApplDN6", "iPhone", NULL, NULL } },
        { "cmd=PING&USER=a&deviceid=ApplDN6&DEVICETYPE=iPhone",
          { "Ping", "a", "ApplDN6", "iPhone", NULL, NULL } },
        { "%43m%64=P%69ng&%55ser=a", { "Ping", "a", NULL, NULL, NULL, NULL } },
        { "&Cmd=Ping&&User=a&", { "Ping", "a", NULL, NULL, NULL, NULL } },
        { "Cmd=GetAttachment&AttachmentName=a%2fb%3d1&DeviceId=x&SaveInSent=T",
          { "GetAttachment", NULL, "x", NULL, NULL, NULL } },
        { "Cmd=Ping&Cmd2=Sync&XCmd=Sync&Cm=Sync", { "Ping", NULL, NULL, NULL, NULL, NULL } },
    };

    assert_rows(*state, rows, COUNT_OF(rows));
}

static void test_plain_values(void **state)
{
    static const struct row rows[] = {
        { "Cmd=Sync&User=CORP%5Calice", { "Sync", "CORP\\alice", NULL, NULL, NULL, NULL } },
        { "Cmd=Sync&User=alice%40example.com",
          { "Sync", "alice@example.com", NULL, NULL, NULL, NULL } },
        { "Cmd=Sync&User=j%C3%B6rg%20b", { "Sync", "j\xc3\xb6rg b", NULL, NULL, NULL, NULL } },
        { "Cmd=Sync&User=j%f6rg", { "Sync", "j\xf6rg", NULL, NULL, NULL, NULL } },
        { "Cmd=Sync&User=a+b%2Bc", { "Sync", "a+b+c", NULL, NULL, NULL, NULL } },
        { "Cmd=Sync&User=a%2526b", { "Sync", "a%26b", NULL, NULL, NULL, NULL } },
        { "Cmd=Sync&User=a=b%26Cmd=Ping", { "Sync", "a=b&Cmd=Ping", NULL, NULL, NULL, NULL } },
        { "Cmd=Sync&User=&DeviceId=&DeviceType=", { "Sync", NULL, NULL, NULL, NULL, NULL } },
        { "Cmd=Sync&User&DeviceId&DeviceType", { "Sync", NULL, NULL, NULL, NULL, NULL } },
    };

    assert_rows(*state, rows, COUNT_OF(rows));
}

/* One spelling, whichever form the device chose. */
static void test_device_ids(void **state)
{
    static const struct row rows[] = {
        { "Cmd=Sync&DeviceId=androidc123", { "Sync", NULL, "androidc123", NULL, NULL, NULL } },
        { "Cmd=Sync&DeviceId=a-b.c_D", { "Sync", NULL, "a-b.c_D", NULL, NULL, NULL } },
        { "Cmd=Sync&DeviceId=a%20b", { "Sync", NULL, "612062", NULL, NULL, NULL } },
        { "Cmd=Sync&DeviceId=%7Ba%7d", { "Sync", NULL, "7B617D", NULL, NULL, NULL } },
        { "Cmd=Sync&DeviceId=%ff%FE", { "Sync", NULL, "FFFE", NULL, NULL, NULL } },
    };
    struct eas_query expected = { "Sync", NULL, "a-b.c_D", "T", "14.1", NULL };

    assert_rows(*state, rows, COUNT_OF(rows));
    assert_blob(*state,
                BLOB(HEAD "\x07"
                          "a-b.c_D"
                          "\x00\x01T"),
                &expected);
    expected.device_id = "612062";
    assert_blob(*state,
                BLOB(HEAD "\x03"
                          "a b"
                          "\x00\x01T"),
                &expected);
    expected.device_id = "00";
    assert_blob(*state, BLOB(HEAD "\x01\x00\x00\x01T"), &expected);
}

static void test_commands_by_name(void **state)
{
    static const struct row rows[] = {
        { "Cmd=folderSYNC&x", { "FolderSync", NULL, NULL, NULL, NULL, NULL } },
        { "Cmd=GetHierarchy&x", { "GetHierarchy", NULL, NULL, NULL, NULL, NULL } },
        { "Cmd=OPTIONS&x", { "OPTIONS", NULL, NULL, NULL, NULL, NULL } },
        { "Cmd=Pin&x", { "Pin", NULL, NULL, NULL, NULL, NULL } },
        { "Cmd=Pings&x", { "Pings", NULL, NULL, NULL, NULL, NULL } },
        { "Cmd=Find", { "Find", NULL, NULL, NULL, NULL, NULL } },
    };

    assert_rows(*state, rows, COUNT_OF(rows));
}

static void test_every_command_code(void **state)
{
    static const char *const names[] = {
        "Sync",
        "SendMail",
        "SmartForward",
        "SmartReply",
        "GetAttachment",
        "5",
        "6",
        "7",
        "8",
        "FolderSync",
        "FolderCreate",
        "FolderDelete",
        "FolderUpdate",
        "MoveItems",
        "GetItemEstimate",
        "MeetingResponse",
        "Search",
        "Settings",
        "Ping",
        "ItemOperations",
        "Provision",
        "ResolveRecipients",
        "ValidateCert",
        "Find",
        "24",
    };
    char bytes[] = HEAD "\x01x\x00\x01T";
    struct eas_query expected = { NULL, NULL, "x", "T", "14.1", NULL };
    size_t i;

    for (i = 0; i < COUNT_OF(names); i++) {
        bytes[1] = (char)i;
        expected.command = names[i];
        assert_blob(*state, bytes, sizeof(bytes) - 1, &expected);
    }
    bytes[1] = (char)0xff;
    expected.command = "255";
    assert_blob(*state, bytes, sizeof(bytes) - 1, &expected);
}

static void test_every_version(void **state)
{
    static const struct {
        unsigned char byte;
        const char *version;
    } rows[] = { { 0, "0.0" },    { 25, "2.5" },   { 120, "12.0" }, { 121, "12.1" },
                 { 140, "14.0" }, { 160, "16.0" }, { 161, "16.1" }, { 255, "25.5" } };
    char bytes[] = HEAD "\x01x\x00\x01T";
    struct eas_query expected = { "Sync", NULL, "x", "T", NULL, NULL };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        bytes[0] = (char)rows[i].byte;
        expected.protocol_version = rows[i].version;
        assert_blob(*state, bytes, sizeof(bytes) - 1, &expected);
    }
}

static void test_policy_keys(void **state)
{
    struct eas_query expected = { "Sync", NULL, "x", NULL, "14.1", NULL };

    assert_blob(*state, BLOB(HEAD "\x01x\x00\x00"), &expected);
    expected.policy_key = "0";
    assert_blob(*state, BLOB(HEAD "\x01x\x04\x00\x00\x00\x00\x00"), &expected);
    expected.policy_key = "4294967295";
    assert_blob(*state, BLOB(HEAD "\x01x\x04\xff\xff\xff\xff\x00"), &expected);
    expected.policy_key = "16909060";
    assert_blob(*state, BLOB(HEAD "\x01x\x04\x04\x03\x02\x01\x00"), &expected);
}

static void test_command_parameters(void **state)
{
    struct eas_query expected = { "Sync", NULL, "x", "T", "14.1", NULL };

    assert_blob(*state, BLOB(HEAD "\x01x\x00\x01T\x07\x01\x01\x01\x05INBOX\x63\x00"), &expected);
    assert_blob(*state, BLOB(HEAD "\x01x\x00\x01T\x03\x02\x00\x08\x01\x00"), &expected);
    assert_blob(*state, BLOB(HEAD "\x01x\x00\x01T\x08\x00"), &expected);
    expected.user = "CORP\\alice";
    assert_blob(*state,
                BLOB(HEAD "\x01x\x00\x01T\x07\x01\x00\x08\x0a"
                          "CORP\\alice"),
                &expected);
}

/* Lengths are bytes without a sign. */
static void test_longest_fields(void **state)
{
    char bytes[4 + 1 + 255 + 1 + 1 + 255 + 2 + 255], id[256], type[256], user[256], *p = bytes;
    struct eas_query expected = { "Sync", user, id, type, "14.1", NULL };

    memset(id, 'i', 255);
    memset(type, 't', 255);
    memset(user, 'u', 255);
    id[255] = type[255] = user[255] = '\0';
    memcpy(p, HEAD "\xff", 5);
    memcpy(p += 5, id, 255);
    memcpy(p += 255, "\x00\xff", 2);
    memcpy(p += 2, type, 255);
    memcpy(p += 255, "\x08\xff", 2);
    memcpy(p + 2, user, 255);
    assert_blob(*state, bytes, sizeof(bytes), &expected);
}

/* Of E1 to E4, whose paddings are of each length, and which hold '/'. */
static void test_encodings_of_base64(void **state)
{
    static const struct row rows[] = {
        { "oBEJBBBOaW5lMkVDN0VDMEJCNTREBAGJpmIHQW5kcm9pZAcBAA",
          { "Settings", NULL, "Nine2EC7EC0BB54D", "Android", "16.0", "1655081217" } },
        { "oBEJBBBOaW5lMkVDN0VDMEJCNTREBAGJpmIHQW5kcm9pZAcBAA%3D%3d",
          { "Settings", NULL, "Nine2EC7EC0BB54D", "Android", "16.0", "1655081217" } },
        { "oBEJBBBOaW5lMkVDN0VDMEJCNTREBAGJpmIHQW5kcm9pZAcBAA%3D=",
          { "Settings", NULL, "Nine2EC7EC0BB54D", "Android", "16.0", "1655081217" } },
        { "eQIJBBCuTs0Z9ZK6Vldwb%2FdM8JusBHVeHIQDUFBDBwEBAwYxMTkyODEBBUlOQk9Y",
          { "SmartForward", NULL, "AE4ECD19F592BA5657706FF74CF09BAC", "PPC", "12.1",
            "2216451701" } },
        { "jQMJCBBgMOo4NRIhymNelU6Z7jHTBDzZUJwLV2luZG93c01haWwHAQE",
          { "SmartReply", NULL, "6030EA38351221CA635E954E99EE31D3", "WindowsMail", "14.1",
            "2622544188" } },
        { "%6aAAJBAp2MTQwRGV2aWNlAApTbWFydFBob25l",
          { "Sync", NULL, "v140Device", "SmartPhone", "14.0", NULL } },
    };

    assert_rows(*state, rows, COUNT_OF(rows));
}

/* A plus sign is the 62 of base64, and never a blank. */
static void test_plus_stays_plus(void **state)
{
    static const struct row rows[] = {
        { "jQAJBAT/++++AAFU", { "Sync", NULL, "FFFBEFBE", "T", "14.1", NULL } },
        { "jQAJBAT/%2B%2B++AAFU", { "Sync", NULL, "FFFBEFBE", "T", "14.1", NULL } },
    };

    assert_rows(*state, rows, COUNT_OF(rows));
    assert_malformed(*state, "jQAJBAT/ +++AAFU", 16, 1203);
}

static void test_malformed_plain(void **state)
{
    static const struct {
        const char *query;
        int tag;
    } rows[] = {
        { "Cmd=Sync&User=%", 1200 },
        { "Cmd=Sync&User=%4", 1200 },
        { "Cmd=Sync&User=%zz", 1200 },
        { "Cmd=Sync&User=%4g&DeviceId=x", 1200 },
        { "Cmd=Sync&User=%00", 1200 },
        { "Cmd=Sync&User=a%0d%0aX", 1200 },
        { "Cmd=Sync&User=a%7f", 1200 },
        { "Cmd=Sync&User=a\tb", 1200 },
        { "Cmd=Sync&Unknown=%", 1200 },
        { "Cmd=Sync&%=x", 1200 },
        { "Cmd=Sync&Cmd=Ping", 1201 },
        { "Cmd=Sync&cmd=Sync", 1201 },
        { "Cmd=Sync&%63md=Ping", 1201 },
        { "Cmd=Sync&Cmd", 1201 },
        { "Cmd=Sync&DeviceId=a&deviceID=b", 1201 },
        { "Cmd=Sync&DeviceType=a&DeviceType=", 1201 },
        { "User=a&Cmd=Sync&User=a", 1201 },
        { "User=a&DeviceId=x", 1202 },
        { "Cmd=&User=a", 1202 },
        { "Cmd&User=a", 1202 },
        { "Cmd=Sync1&User=a", 1202 },
        { "Cmd=Sync%20&User=a", 1202 },
        { "Cmd=Sync+&User=a", 1202 },
        { "Cmd=S%C3%BCnc&User=a", 1202 },
        { "&&", 1202 },
        { "foo=bar", 1202 },
        { E1 "&Cmd=Sync&Cmd=Ping", 1201 },
        { "&" E1, 1202 },
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_malformed(*state, rows[i].query, strlen(rows[i].query), rows[i].tag);
    }
}

static void test_malformed_base64(void **state)
{
    static const struct {
        const char *query;
        int tag;
    } rows[] = {
        { "*", 1203 },          { "Sync", 1204 },     { "Cmd=", 1204 },
        { "=", 1203 },          { "====", 1203 },     { "A", 1203 },
        { "AAAAA", 1203 },      { E1 "=", 1203 },     { E1 "====", 1203 },
        { E4 "=", 1203 },       { "%", 1203 },        { E1 "%", 1203 },
        { E1 "%3", 1203 },      { E1 "%00", 1203 },   { "jAAJ-Ap2", 1203 },
        { "jAAJ_Ap2", 1203 },   { "jAAJ.Ap2", 1203 }, { "jAAJ Ap2", 1203 },
        { "jAAJ%20Ap2", 1203 }, { E1 "%0a", 1203 },   { "jAAJ\xc3\xb6", 1203 },
        { "", 1204 },           { "AA", 1204 },       { "jAA", 1204 },
        { "jAAJBAA", 1204 },    { "%3d%3d", 1203 },   { "jA%3D%3DAJ", 1203 },
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_malformed(*state, rows[i].query, strlen(rows[i].query), rows[i].tag);
    }
}

static void test_malformed_blobs(void **state)
{
    assert_malformed_blob(*state, BLOB(HEAD "\x00\x00\x01T"), 1204);       /* no device id */
    assert_malformed_blob(*state, BLOB(HEAD "\x01x\x01k\x01T"), 1204);     /* key of 1 */
    assert_malformed_blob(*state, BLOB(HEAD "\x01x\x05kkkkk\x01T"), 1204); /* key of 5 */
    assert_malformed_blob(*state, BLOB(HEAD "\x80x\x00\x01T"), 1204);      /* 128, not -128 */
    assert_malformed_blob(*state, BLOB(HEAD "\xffx\x00\x01T"), 1204);
    assert_malformed_blob(*state, BLOB(HEAD "\x01x\x00\xffT"), 1204);
    assert_malformed_blob(*state, BLOB(HEAD "\x01x\x00\x01T\x07"), 1205);     /* tag alone */
    assert_malformed_blob(*state, BLOB(HEAD "\x01x\x00\x01T\x07\x01"), 1205); /* no value */
    assert_malformed_blob(*state,
                          BLOB(HEAD "\x01x\x00\x01T\x07\xff"
                                    "ab"),
                          1205);
    assert_malformed_blob(*state,
                          BLOB(HEAD "\x01x\x00\x01T\x08\x01"
                                    "a\x08\x01"
                                    "b"),
                          1206);
    assert_malformed_blob(*state,
                          BLOB(HEAD "\x01x\x00\x01T\x08\x00\x08\x01"
                                    "b"),
                          1206);
    assert_malformed_blob(*state, BLOB(HEAD "\x01x\x00\x02T\n"), 1207);
    assert_malformed_blob(*state, BLOB(HEAD "\x01x\x00\x02T\x00"), 1207);
    assert_malformed_blob(*state,
                          BLOB(HEAD "\x01x\x00\x01T\x08\x02"
                                    "a\x7f"),
                          1207);
}

/* Wherever a blob is cut it is no blob any more, unless between two parameters. */
static void test_every_truncation(void **state)
{
    static const char bytes[] = HEAD "\x02xy\x04kkkk\x02TU\x07\x01\x01\x08\x05"
                                     "alice";
    const size_t whole = sizeof(bytes) - 1, first = 15, second = 18;
    size_t len;

    for (len = 0; len < whole; len++) {
        if (len != first && len != second) {
            assert_malformed_blob(*state, bytes, len, len < first ? 1204 : 1205);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_worked_examples),
        POOL_TEST(test_negative_example),
        POOL_TEST(test_plain_in_any_order_and_case),
        POOL_TEST(test_plain_values),
        POOL_TEST(test_device_ids),
        POOL_TEST(test_commands_by_name),
        POOL_TEST(test_every_command_code),
        POOL_TEST(test_every_version),
        POOL_TEST(test_policy_keys),
        POOL_TEST(test_command_parameters),
        POOL_TEST(test_longest_fields),
        POOL_TEST(test_encodings_of_base64),
        POOL_TEST(test_plus_stays_plus),
        POOL_TEST(test_malformed_plain),
        POOL_TEST(test_malformed_base64),
        POOL_TEST(test_malformed_blobs),
        POOL_TEST(test_every_truncation),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
