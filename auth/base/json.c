/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/json.c - text as content of a JSON string */

#include "auth/base/json.h"
#include "auth/base/utf8.h"

#include <stdio.h>
#include <string.h>

/* The next character as JSON; returns how many octets of the text it takes. */
static size_t escape(const char *text, size_t left, char out[EAS_JSON_ESCAPE_MAX + 1])
{
    unsigned char c = (unsigned char)*text;
    size_t len = eas_utf8_length(text, left);

    if (len == 0) {
        memcpy(out, "\\ufffd", EAS_JSON_ESCAPE_MAX + 1);
        return 1;
    }
    if (c == '"' || c == '\\') {
        snprintf(out, EAS_JSON_ESCAPE_MAX + 1, "\\%c", c);
    }
    else if (c < 0x20 || c == 0x7f || c == '<' || c == '>' || c == '&') {
        snprintf(out, EAS_JSON_ESCAPE_MAX + 1, "\\u%04x", c);
    }
    else {
        memcpy(out, text, len);
        out[len] = '\0';
    }
    return len;
}

size_t eas_json_escape(const char *text, char *out, size_t size)
{
    size_t left = strlen(text), len = 0, more;
    char next[EAS_JSON_ESCAPE_MAX + 1];

    while (left > 0) {
        size_t taken = escape(text, left, next);

        more = strlen(next);
        if (len + more >= size) {
            break;
        }
        memcpy(out + len, next, more);
        len += more;
        text += taken;
        left -= taken;
    }
    out[len] = '\0';
    return len;
}
