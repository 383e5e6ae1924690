/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_query.c - parser of an ActiveSync query in its plain form */

#include "t/unit/queries.h"

static void test_plain_in_any_order_and_case(void **state)
{
    static const struct row rows[] = {
        { .query = "Cmd=Sync&User=rmjones&DeviceId=v140Device&DeviceType=SmartPhone",
          .expected = { .command = "Sync",
                        .user = "rmjones",
                        .device_id = "v140Device",
                        .device_type = "SmartPhone" } },
        { .query = "DeviceType=iPhone&DeviceId=ApplDN6&User=a&Cmd=Ping",
          .expected = { .command = "Ping",
                        .user = "a",
                        .device_id = "ApplDN6",
                        .device_type = "iPhone" } },
        { .query = "cmd=PING&USER=a&deviceid=ApplDN6&DEVICETYPE=iPhone",
          .expected = { .command = "Ping",
                        .user = "a",
                        .device_id = "ApplDN6",
                        .device_type = "iPhone" } },
        { .query = "%43m%64=P%69ng&%55ser=a", .expected = { .command = "Ping", .user = "a" } },
        { .query = "&Cmd=Ping&&User=a&", .expected = { .command = "Ping", .user = "a" } },
        { .query = "Cmd=GetAttachment&AttachmentName=a%2fb%3d1&DeviceId=x&SaveInSent=T",
          .expected = { .command = "GetAttachment", .device_id = "x" } },
        { .query = "Cmd=Ping&Cmd2=Sync&XCmd=Sync&Cm=Sync", .expected = { .command = "Ping" } },
    };

    assert_rows(*state, rows, COUNT_OF(rows));
}

static void test_plain_values(void **state)
{
    static const struct row rows[] = {
        { .query = "Cmd=Sync&User=CORP%5Calice",
          .expected = { .command = "Sync", .user = "CORP\\alice" } },
        { .query = "Cmd=Sync&User=alice%40example.com",
          .expected = { .command = "Sync", .user = "alice@example.com" } },
        { .query = "Cmd=Sync&User=j%C3%B6rg%20b",
          .expected = { .command = "Sync", .user = "j\xc3\xb6rg b" } },
        { .query = "Cmd=Sync&User=j%f6rg", .expected = { .command = "Sync", .user = "j\xf6rg" } },
        { .query = "Cmd=Sync&User=a+b%2Bc", .expected = { .command = "Sync", .user = "a+b+c" } },
        { .query = "Cmd=Sync&User=a%2526b", .expected = { .command = "Sync", .user = "a%26b" } },
        { .query = "Cmd=Sync&User=a=b%26Cmd=Ping",
          .expected = { .command = "Sync", .user = "a=b&Cmd=Ping" } },
        { .query = "Cmd=Sync&User=&DeviceId=&DeviceType=", .expected = { .command = "Sync" } },
        { .query = "Cmd=Sync&User&DeviceId&DeviceType", .expected = { .command = "Sync" } },
    };

    assert_rows(*state, rows, COUNT_OF(rows));
}

/* The same id in both forms. */
static void test_device_ids(void **state)
{
    static const struct row rows[] = {
        { .query = "Cmd=Sync&DeviceId=androidc123",
          .expected = { .command = "Sync", .device_id = "androidc123" } },
        { .query = "Cmd=Sync&DeviceId=a-b.c_D",
          .expected = { .command = "Sync", .device_id = "a-b.c_D" } },
        { .query = "Cmd=Sync&DeviceId=a%20b",
          .expected = { .command = "Sync", .device_id = "612062" } },
        { .query = "Cmd=Sync&DeviceId=%7Ba%7d",
          .expected = { .command = "Sync", .device_id = "7B617D" } },
        { .query = "Cmd=Sync&DeviceId=%ff%FE",
          .expected = { .command = "Sync", .device_id = "FFFE" } },
    };

    assert_rows(*state, rows, COUNT_OF(rows));
}

static void test_commands_by_name(void **state)
{
    static const struct row rows[] = {
        { .query = "Cmd=folderSYNC&x", .expected = { .command = "FolderSync" } },
        { .query = "Cmd=GetHierarchy&x", .expected = { .command = "GetHierarchy" } },
        { .query = "Cmd=OPTIONS&x", .expected = { .command = "OPTIONS" } },
        { .query = "Cmd=Pin&x", .expected = { .command = "Pin" } },
        { .query = "Cmd=Pings&x", .expected = { .command = "Pings" } },
        { .query = "Cmd=Find", .expected = { .command = "Find" } },
    };

    assert_rows(*state, rows, COUNT_OF(rows));
}

static void test_words_of_rules(void **state)
{
    assert_true(eas_query_is_command("Ping"));
    assert_true(eas_query_is_command("itemOPERATIONS"));
    assert_true(eas_query_is_command("200"));
    assert_false(eas_query_is_command("Syncc"));
    assert_false(eas_query_is_command("Syn"));
    assert_false(eas_query_is_command("2x"));
    assert_false(eas_query_is_command("*"));
    assert_false(eas_query_is_command(""));
}

/* Windows Mail and Windows Phone 8 send the first one with OPTIONS. */
static void test_plain_without_command(void **state)
{
    static const struct row rows[] = {
        { .query = "User=CORP%5Calice&DeviceId=A1B2&DeviceType=WP8",
          .expected = { .user = "CORP\\alice", .device_id = "A1B2", .device_type = "WP8" } },
        { .query = "Cmd=&User=a", .expected = { .user = "a" } },
        { .query = "Cmd&User=a", .expected = { .user = "a" } },
        { .query = "&&" },
        { .query = "foo=bar" },
        { .query = "&jAAJBAp2" },
    };

    assert_rows(*state, rows, COUNT_OF(rows));
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
        { "Cmd=Sync1&User=a", 1208 },
        { "Cmd=Sync%20&User=a", 1208 },
        { "Cmd=Sync+&User=a", 1208 },
        { "Cmd=S%C3%BCnc&User=a", 1208 },
        { "jAAJBAp2&Cmd=Sync&Cmd=Ping", 1201 },
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_malformed(*state, rows[i].query, strlen(rows[i].query), rows[i].tag);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_plain_in_any_order_and_case),
        POOL_TEST(test_plain_values),
        POOL_TEST(test_device_ids),
        POOL_TEST(test_commands_by_name),
        POOL_TEST(test_words_of_rules),
        POOL_TEST(test_plain_without_command),
        POOL_TEST(test_malformed_plain),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
