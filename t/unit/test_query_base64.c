/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_query_base64.c - parser of an ActiveSync query in its base64 form */

#include "t/unit/queries.h"

#include <apr_strings.h>
#include <openssl/evp.h>

/* Examples of [MS-ASHTTP] 2.2.1.1.1, of Horde's unit tests, and of Windows Mail on the wire. */
#define E1 "jAAJBAp2MTQwRGV2aWNlAApTbWFydFBob25l"
#define E2 "oBEJBBBOaW5lMkVDN0VDMEJCNTREBAGJpmIHQW5kcm9pZAcBAA=="
#define E3 "eQIJBBCuTs0Z9ZK6Vldwb/dM8JusBHVeHIQDUFBDBwEBAwYxMTkyODEBBUlOQk9Y"
#define E4 "jQMJCBBgMOo4NRIhymNelU6Z7jHTBDzZUJwLV2luZG93c01haWwHAQE="

/* The fixed fields before the others: version 14.1, Sync, English. */
#define HEAD "\x8d\x00\x09\x04"

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
        { .query = E1,
          .expected = { .command = "Sync",
                        .device_id = "v140Device",
                        .device_type = "SmartPhone",
                        .protocol_version = "14.0" } },
        { .query = E2,
          .expected = { .command = "Settings",
                        .device_id = "Nine2EC7EC0BB54D",
                        .device_type = "Android",
                        .protocol_version = "16.0",
                        .policy_key = "1655081217" } },
        { .query = E3,
          .expected = { .command = "SmartForward",
                        .device_id = "AE4ECD19F592BA5657706FF74CF09BAC",
                        .device_type = "PPC",
                        .protocol_version = "12.1",
                        .policy_key = "2216451701" } },
        { .query = E4,
          .expected = { .command = "SmartReply",
                        .device_id = "6030EA38351221CA635E954E99EE31D3",
                        .device_type = "WindowsMail",
                        .protocol_version = "14.1",
                        .policy_key = "2622544188" } },
    };

    assert_rows(*state, rows, COUNT_OF(rows));
}

/* A real client swaps policy key and device type, and sends the key as text. */
static void test_swapped_fields(void **state)
{
    assert_malformed_blob(*state,
                          BLOB(HEAD "\x0av140Device\x0aSmartPhone\x0a"
                                    "1655081217"),
                          1204);
    assert_malformed(*state, "jQAJBAp2MTQwRGV2aWNlClNtYXJ0UGhvbmUKMTY1NTA4MTIxNw", 50, 1204);
}

static void test_device_ids(void **state)
{
    struct eas_query expected = {
        .command = "Sync", .device_id = "a-b.c_D", .device_type = "T", .protocol_version = "14.1"
    };

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

static void test_every_command_code(void **state)
{
    static const char *const names[] = { "Sync",
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
                                         "24" };
    char bytes[] = HEAD "\x01x\x00\x01T";
    struct eas_query expected = { .device_id = "x",
                                  .device_type = "T",
                                  .protocol_version = "14.1" };
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
    struct eas_query expected = { .command = "Sync", .device_id = "x", .device_type = "T" };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        bytes[0] = (char)rows[i].byte;
        expected.protocol_version = rows[i].version;
        assert_blob(*state, bytes, sizeof(bytes) - 1, &expected);
    }
}

static void test_policy_keys(void **state)
{
    struct eas_query expected = { .command = "Sync", .device_id = "x", .protocol_version = "14.1" };

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
    struct eas_query expected = {
        .command = "Sync", .device_id = "x", .device_type = "T", .protocol_version = "14.1"
    };

    assert_blob(*state, BLOB(HEAD "\x01x\x00\x01T\x07\x01\x01\x01\x05INBOX\x63\x00"), &expected);
    assert_blob(*state, BLOB(HEAD "\x01x\x00\x01T\x03\x02\x00\x08\x01\x00"), &expected);
    assert_blob(*state, BLOB(HEAD "\x01x\x00\x01T\x08\x00"), &expected);
    expected.user = "CORP\\alice";
    assert_blob(*state,
                BLOB(HEAD "\x01x\x00\x01T\x07\x01\x00\x08\x0a"
                          "CORP\\alice"),
                &expected);
}

/* Lengths are unsigned bytes. */
static void test_longest_fields(void **state)
{
    char bytes[4 + 1 + 255 + 1 + 1 + 255 + 2 + 255], id[256], type[256], user[256], *p = bytes;
    struct eas_query expected = { .command = "Sync",
                                  .user = user,
                                  .device_id = id,
                                  .device_type = type,
                                  .protocol_version = "14.1" };

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

/* Variants of E1 to E4, which have each length of padding, and a '/'. */
static void test_encodings_of_base64(void **state)
{
    static const struct row rows[] = {
        { .query = "oBEJBBBOaW5lMkVDN0VDMEJCNTREBAGJpmIHQW5kcm9pZAcBAA",
          .expected = { .command = "Settings",
                        .device_id = "Nine2EC7EC0BB54D",
                        .device_type = "Android",
                        .protocol_version = "16.0",
                        .policy_key = "1655081217" } },
        { .query = "oBEJBBBOaW5lMkVDN0VDMEJCNTREBAGJpmIHQW5kcm9pZAcBAA%3D%3d",
          .expected = { .command = "Settings",
                        .device_id = "Nine2EC7EC0BB54D",
                        .device_type = "Android",
                        .protocol_version = "16.0",
                        .policy_key = "1655081217" } },
        { .query = "oBEJBBBOaW5lMkVDN0VDMEJCNTREBAGJpmIHQW5kcm9pZAcBAA%3D=",
          .expected = { .command = "Settings",
                        .device_id = "Nine2EC7EC0BB54D",
                        .device_type = "Android",
                        .protocol_version = "16.0",
                        .policy_key = "1655081217" } },
        { .query = "eQIJBBCuTs0Z9ZK6Vldwb%2FdM8JusBHVeHIQDUFBDBwEBAwYxMTkyODEBBUlOQk9Y",
          .expected = { .command = "SmartForward",
                        .device_id = "AE4ECD19F592BA5657706FF74CF09BAC",
                        .device_type = "PPC",
                        .protocol_version = "12.1",
                        .policy_key = "2216451701" } },
        { .query = "jQMJCBBgMOo4NRIhymNelU6Z7jHTBDzZUJwLV2luZG93c01haWwHAQE",
          .expected = { .command = "SmartReply",
                        .device_id = "6030EA38351221CA635E954E99EE31D3",
                        .device_type = "WindowsMail",
                        .protocol_version = "14.1",
                        .policy_key = "2622544188" } },
        { .query = "%6aAAJBAp2MTQwRGV2aWNlAApTbWFydFBob25l",
          .expected = { .command = "Sync",
                        .device_id = "v140Device",
                        .device_type = "SmartPhone",
                        .protocol_version = "14.0" } },
    };

    assert_rows(*state, rows, COUNT_OF(rows));
}

/* A plus sign is the value 62 of base64, never a space. */
static void test_plus_stays_plus(void **state)
{
    static const struct row rows[] = {
        { .query = "jQAJBAT/++++AAFU",
          .expected = { .command = "Sync",
                        .device_id = "FFFBEFBE",
                        .device_type = "T",
                        .protocol_version = "14.1" } },
        { .query = "jQAJBAT/%2B%2B++AAFU",
          .expected = { .command = "Sync",
                        .device_id = "FFFBEFBE",
                        .device_type = "T",
                        .protocol_version = "14.1" } },
    };

    assert_rows(*state, rows, COUNT_OF(rows));
    assert_malformed(*state, "jQAJBAT/ +++AAFU", 16, 1203);
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

/* A truncated blob is malformed, except between two parameters. */
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
        POOL_TEST(test_worked_examples),     POOL_TEST(test_swapped_fields),
        POOL_TEST(test_device_ids),          POOL_TEST(test_every_command_code),
        POOL_TEST(test_every_version),       POOL_TEST(test_policy_keys),
        POOL_TEST(test_command_parameters),  POOL_TEST(test_longest_fields),
        POOL_TEST(test_encodings_of_base64), POOL_TEST(test_plus_stays_plus),
        POOL_TEST(test_malformed_base64),    POOL_TEST(test_malformed_blobs),
        POOL_TEST(test_every_truncation),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
