/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_event.c - lines of the event log, and JSON strings */

#include "t/unit/unit.h"

#include "auth/base/event.h"
#include "auth/base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void test_line(void **state)
{
    struct eas_event event;

    (void)state;
    eas_event_begin(&event, "log-on", apr_time_make(1700000000, 42));
    eas_event_text(&event, "user", "alice@CORP");
    eas_event_text(&event, "device", NULL);
    eas_event_text(&event, "spn", "");
    eas_event_number(&event, "status", 303);
    eas_event_end(&event);
    assert_string_equal(event.text,
                        "{\"time\":\"2023-11-14T22:13:20.000042Z\",\"event\":\"log-on\","
                        "\"user\":\"alice@CORP\",\"status\":303}\n");
    assert_int_equal(event.len, strlen(event.text));
}

static void test_escapes(void **state)
{
    static const struct {
        const char *text, *json;
    } rows[] = {
        { .text = "plain", .json = "plain" },
        { .text = "a\"b\\c/", .json = "a\\\"b\\\\c/" },
        { .text = "\r\n\t\x01\x1f\x7f", .json = "\\u000d\\u000a\\u0009\\u0001\\u001f\\u007f" },
        { .text = "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
          .json = "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
        { .text = "<&>", .json = "\\u003c\\u0026\\u003e" },
        { .text = "\xff", .json = "\\ufffd" },
        { .text = "a\xc3", .json = "a\\ufffd" },                     /* cut off */
        { .text = "\xc0\xaf", .json = "\\ufffd\\ufffd" },            /* overlong */
        { .text = "\xed\xa0\x80", .json = "\\ufffd\\ufffd\\ufffd" }, /* a surrogate */
        { .text = "\xe2\x82\"", .json = "\\ufffd\\ufffd\\\"" },      /* hides no quote */
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        char out[64];

        assert_int_equal(eas_json_escape(rows[i].text, out, sizeof(out)), strlen(rows[i].json));
        assert_string_equal(out, rows[i].json);
    }
}

/* No escape and no character is cut. */
static void test_room(void **state)
{
    char out[8];
    size_t size;

    (void)state;
    for (size = 1; size <= sizeof(out); size++) {
        assert_int_equal(eas_json_escape("\x01", out, size), size > 6 ? 6 : 0);
        assert_int_equal(eas_json_escape("a\xe2\x82\xac", out, size), size > 4   ? 4
                                                                      : size > 1 ? 1
                                                                                 : 0);
    }
}

static void test_line_is_bounded(void **state)
{
    char value[2000];
    struct eas_event event;
    int i;

    (void)state;
    memset(value, '\x01', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    eas_event_begin(&event, "refusal", 0);
    for (i = 0; i < 100; i++) {
        eas_event_text(&event, "device", value);
        eas_event_number(&event, "status", 401);
    }
    eas_event_end(&event);
    assert_uint_in_range(event.len, EAS_EVENT_MAX - 64, EAS_EVENT_MAX);
    assert_string_equal(event.text + event.len - 3, "1}\n");
    assert_int_equal(strcspn(event.text, "\n"), event.len - 1);
}

static struct eas_event event_named(const char *name)
{
    struct eas_event event;

    eas_event_begin(&event, name, 0);
    eas_event_end(&event);
    return event;
}

/* Of this process, until it is ended by RLIM_INFINITY. */
static void limit_files(rlim_t size)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size < limit.rlim_max ? size : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* After a line that had room for its beginning, the next one is a line of its own. */
static void test_torn_line(void **state)
{
    static const char *const lines[] = { "whole", "torn", "lost", "next", "last" };
    char path[] = "/tmp/eas-event-XXXXXX", text[1024], *line, *end;
    int fd = mkstemp(path), results[COUNT_OF(lines)];
    atomic_int is_torn = 0;
    ssize_t len;
    size_t i;

    (void)state;
    unlink(path);
    signal(SIGXFSZ, SIG_IGN);
    for (i = 0; i < COUNT_OF(lines); i++) {
        struct eas_event event = event_named(lines[i]);

        limit_files(i == 1 || i == 2 ? event.len + 20 : RLIM_INFINITY);
        results[i] = eas_event_write(&event, fd, &is_torn);
    }
    len = pread(fd, text, sizeof(text) - 1, 0);
    close(fd);
    assert_true(len > 0);
    text[len] = '\0';
    assert_int_equal(results[0] | results[3] | results[4], 0);
    assert_int_equal(results[1], ENOSPC);
    assert_int_equal(results[2], EFBIG);
    for (line = text, i = 0; (end = strchr(line, '\n')) != NULL; line = end + 1, i++) {
        *end = '\0';
        assert_true(i == 1 || (*line == '{' && end[-1] == '}'));
        assert_true(i == 1 || strstr(line, lines[i < 2 ? i : i + 1]) != NULL);
    }
    assert_int_equal(i, 4);
    assert_int_equal(*line, '\0');
}

/* A line that the kernel does not take leaves no trace. */
static void test_pipe_without_room(void **state)
{
    struct eas_event event = event_named("log-on");
    atomic_int is_torn = 0;
    int fds[2], error = 0;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    while (error == 0) {
        error = eas_event_write(&event, fds[1], &is_torn);
    }
    assert_int_equal(error, EAGAIN);
    assert_int_equal(is_torn, 0);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line),      cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_room),      cmocka_unit_test(test_line_is_bounded),
        cmocka_unit_test(test_torn_line), cmocka_unit_test(test_pipe_without_room),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
