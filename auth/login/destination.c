/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/destination.c - check of a redirect target: a path of this site */

#include "auth/login/destination.h"
#include "auth/base/percent.h"

#include <string.h>

static struct eas_bytes bytes_between(const char *start, const char *end)
{
    return (struct eas_bytes){ (const unsigned char *)start, (size_t)(end - start) };
}

/* Browsers drop tabs and newlines, and read a backslash as a slash: then "/\t/host" is a host. */
static bool has_safe_characters(struct eas_bytes rest)
{
    char c;

    while (rest.len > 0) {
        unsigned char raw = *rest.at;

        if (raw < 0x21 || raw > 0x7e || raw == '\\' || raw == '#' || !eas_percent_next(&rest, &c)) {
            return false;
        }
    }
    return true;
}

/* An escape that a second decoder of the path would read as a separator or a control character. */
static bool has_bad_escape(struct eas_bytes path)
{
    while (path.len > 0) {
        bool escaped = *path.at == '%';
        char c = '\0';

        eas_percent_next(&path, &c);
        if (escaped && ((unsigned char)c < 0x20 || c == '/' || c == '\\' || c == 0x7f)) {
            return true;
        }
    }
    return false;
}

/* "." or "..", each dot plain or escaped, as the URL parser of the WHATWG reads them. */
static bool is_dots(struct eas_bytes segment)
{
    int dots = 0;
    char c;

    while (segment.len > 0) {
        if (!eas_percent_next(&segment, &c) || c != '.') {
            return false;
        }
        dots++;
    }
    return dots == 1 || dots == 2;
}

/* The path begins with a slash.  Only its last segment may be empty. */
static bool has_plain_segments(const char *path, const char *end)
{
    while (path < end) {
        const char *segment = path + 1;
        const char *slash = memchr(segment, '/', (size_t)(end - segment));

        path = slash != NULL ? slash : end;
        if ((path == segment && path != end) || is_dots(bytes_between(segment, path))) {
            return false;
        }
    }
    return true;
}

bool eas_destination_is_local(const char *destination)
{
    const char *end;
    size_t len;

    if (destination == NULL || destination[0] != '/') {
        return false;
    }
    len = strnlen(destination, EAS_DESTINATION_MAX + 1);
    if (len > EAS_DESTINATION_MAX
        || !has_safe_characters(bytes_between(destination, destination + len))) {
        return false;
    }
    end = destination + strcspn(destination, "?");
    return !has_bad_escape(bytes_between(destination, end)) && has_plain_segments(destination, end);
}

bool eas_destination_is_below(const char *destination, const char *prefix)
{
    struct eas_bytes rest = bytes_between(destination, destination + strcspn(destination, "?"));
    char c;

    while (*prefix != '\0' && eas_percent_next(&rest, &c) && c == *prefix) {
        prefix++;
    }
    return *prefix == '\0';
}
