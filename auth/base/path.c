/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/path.c - URL paths that httpd and the backend may read differently */

#include "auth/base/path.h"
#include "auth/base/percent.h"
#include "auth/base/utf8.h"

#include <stdbool.h>
#include <string.h>

/* An octet of the path. */
struct octet {
    char value;
    bool escaped;
};

/* A segment, as far as it is read. */
struct segment {
    apr_size_t length; /* decoded */
    bool only_dots;    /* dots and blanks alone */
    bool escaped_dot;
    char last;
    char before_last;
};

struct scan {
    struct segment segment;
    bool has_empty;
    bool has_dots;
    bool has_high; /* octets beyond ASCII */
};

static const char *check_octet(struct octet octet)
{
    if ((unsigned char)octet.value < 0x20 || octet.value == 0x7f) {
        return "a control character";
    }
    if (octet.value == '\\') {
        return "a backslash";
    }
    if (octet.value == '/' && octet.escaped) {
        return "an escaped slash";
    }
    if (octet.value == '%') {
        return "an escape within an escape";
    }
    return NULL;
}

static bool is_letter(char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_dot_segment(const struct segment *segment)
{
    return segment->only_dots && segment->length > 0;
}

/* The cause that this octet makes with those before it. */
static const char *check_sequence(const struct segment *segment, char next)
{
    if (next == ';' && is_dot_segment(segment)) {
        return "path parameters in a dot segment";
    }
    if (next == '(' && is_letter(segment->last) && segment->before_last == '(') {
        return "a cookieless session of ASP.NET";
    }
    if (segment->last == ':' && (next == '$' || next == ':')) {
        return "a stream of NTFS";
    }
    if (segment->last == '~' && next >= '0' && next <= '9') {
        return "a short name of NTFS";
    }
    return NULL;
}

static void begin_segment(struct scan *scan)
{
    memset(&scan->segment, 0, sizeof(scan->segment));
    scan->segment.only_dots = true;
}

static void add_octet(struct segment *segment, struct octet octet)
{
    segment->only_dots &= octet.value == '.' || octet.value == ' ';
    segment->escaped_dot |= octet.escaped && octet.value == '.';
    segment->before_last = segment->last;
    segment->last = octet.value;
    segment->length++;
}

static bool is_plain_dot_segment(const struct segment *segment)
{
    return !segment->escaped_dot && segment->last == '.'
           && (segment->length == 1 || (segment->length == 2 && segment->before_last == '.'));
}

static const char *check_segment(struct scan *scan)
{
    const struct segment *segment = &scan->segment;

    if (is_dot_segment(segment)) {
        scan->has_dots = true;
        return is_plain_dot_segment(segment) ? NULL : "a dot segment that is not plain";
    }
    return segment->last == '.' || segment->last == ' ' ? "a segment that ends with a dot or blank"
                                                        : NULL;
}

/* Nothing but letters, digits, - and _ in its segments, as in most paths: no cause needs less. */
static bool is_ordinary(const char *path, apr_size_t len)
{
    apr_size_t i = 0;

    while (i < len
           && (is_letter(path[i]) || (path[i] >= '0' && path[i] <= '9') || path[i] == '/'
               || path[i] == '-' || path[i] == '_')) {
        i++;
    }
    return i == len;
}

/* Each octet and segment; *decoded gets the path's octets. */
static const char *scan_path(struct scan *scan, struct eas_bytes rest, char *decoded)
{
    const unsigned char *start = rest.at;
    const char *cause = NULL;

    begin_segment(scan);
    while (rest.len > 0 && cause == NULL) {
        struct octet octet = { .escaped = *rest.at == '%' };
        bool is_first = rest.at == start;

        if (!eas_percent_next(&rest, &octet.value)) {
            return "a malformed escape";
        }
        *decoded++ = octet.value;
        scan->has_high |= (unsigned char)octet.value >= 0x80;
        cause = check_octet(octet);
        if (cause == NULL && octet.value == '/') {
            scan->has_empty |= scan->segment.length == 0 && !is_first;
            cause = check_segment(scan);
            begin_segment(scan);
        }
        else if (cause == NULL) {
            cause = check_sequence(&scan->segment, octet.value);
            add_octet(&scan->segment, octet);
        }
    }
    *decoded = '\0';
    return cause != NULL ? cause : check_segment(scan);
}

/* WideCharToMultiByte() maps these to / \ . % : or ; in some ANSI code page: yen and won, too. */
static bool has_best_fit(const char *decoded)
{
    static const char *const characters[] = {
        "\xc2\xa5",     "\xcd\xbe",     "\xd6\x89",     "\xd9\xaa",     "\xe2\x82\xa9",
        "\xe2\x83\xa5", "\xe2\x80\xa4", "\xe2\x81\x84", "\xe2\x88\x95", "\xe2\x88\x96",
        "\xe2\x88\xb6", "\xe2\xa7\xb5", "\xe2\xa7\xb8", "\xef\xb9\x92", "\xef\xb9\x95",
        "\xef\xb9\xa8", "\xef\xbc", /* fullwidth ASCII, up to U+FF3F */
    };
    apr_size_t i;

    for (i = 0; i < sizeof(characters) / sizeof(characters[0]); i++) {
        if (strstr(decoded, characters[i]) != NULL) {
            return true;
        }
    }
    return false;
}

const char *eas_path_ambiguity(apr_pool_t *pool, const char *path, apr_size_t len)
{
    struct scan scan = { .has_empty = false };
    const char *cause;
    char *decoded;

    if (is_ordinary(path, len)) {
        return NULL;
    }
    decoded = apr_palloc(pool, len + 1);
    cause = scan_path(&scan, eas_bytes_make(path, len), decoded);
    if (cause == NULL && scan.has_high && !eas_utf8_is_valid(decoded, strlen(decoded))) {
        return "octets that are no UTF-8";
    }
    if (cause == NULL && scan.has_high && has_best_fit(decoded)) {
        return "a character that Windows may read as another one";
    }
    if (cause == NULL && scan.has_empty && scan.has_dots) {
        return "a dot segment beside an empty segment";
    }
    return cause;
}
