/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/status/writer.c - a text that grows, and its escapes */

#include "delegation/status/writer.h"
#include "auth/base/json.h"
#include "auth/base/utf8.h"

#include <apr_strings.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct eas_writer eas_writer_make(apr_pool_t *pool)
{
    struct eas_writer out = { .pool = pool, .room = 16384 };

    out.text = apr_palloc(pool, out.room);
    out.text[0] = '\0';
    return out;
}

/* The pool keeps the old room: all that is doubled is at most twice the text. */
static void make_room(struct eas_writer *out, size_t more)
{
    size_t room = out->room;
    char *text;

    while (out->len + more >= room) {
        room *= 2;
    }
    if (room > out->room) {
        text = apr_palloc(out->pool, room);
        memcpy(text, out->text, out->len + 1);
        out->text = text;
        out->room = room;
    }
}

void eas_writer_print(struct eas_writer *out, const char *fmt, ...)
{
    va_list args;
    int len;

    va_start(args, fmt);
    len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len <= 0) {
        return;
    }
    make_room(out, (size_t)len);
    va_start(args, fmt);
    vsnprintf(out->text + out->len, (size_t)len + 1, fmt, args);
    va_end(args);
    out->len += (size_t)len;
}

struct escape {
    char c;
    const char *text;
};

static const struct escape html_escapes[] = {
    { '&', "&amp;" }, { '<', "&lt;" }, { '>', "&gt;" }, { '"', "&#34;" }, { '\'', "&#39;" }, { 0 },
};
static const struct escape label_escapes[] = { { '"', "\\\"" }, { '\\', "\\\\" }, { 0 } };

#define ESCAPE_MAX 5

static const char *escape(apr_pool_t *pool, const char *text, const struct escape *escapes)
{
    bool is_utf8 = eas_utf8_is_valid(text, strlen(text));
    char *escaped = apr_palloc(pool, ESCAPE_MAX * strlen(text) + 1), *end = escaped;
    const struct escape *found;

    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        for (found = escapes; found->text != NULL && found->c != *text; found++) {
        }
        if (c < 0x20 || c == 0x7f || (c >= 0x80 && !is_utf8)) {
            *end++ = '?';
        }
        else if (found->text != NULL) {
            end = apr_cpystrn(end, found->text, ESCAPE_MAX + 1);
        }
        else {
            *end++ = *text;
        }
    }
    *end = '\0';
    return escaped;
}

const char *eas_writer_html(apr_pool_t *pool, const char *text)
{
    return escape(pool, text, html_escapes);
}

const char *eas_writer_json(apr_pool_t *pool, const char *text)
{
    size_t size = EAS_JSON_ESCAPE_MAX * strlen(text) + 1;
    char *escaped = apr_palloc(pool, size);

    eas_json_escape(text, escaped, size);
    return escaped;
}

const char *eas_writer_label(apr_pool_t *pool, const char *text)
{
    return escape(pool, text, label_escapes);
}
