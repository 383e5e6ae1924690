/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/form.c - reads what the login form posts */

#include "auth/login/form.h"
#include "auth/identity.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>

/* Ours has five; whoever sends more than this is not filling in a form. */
#define FIELDS_MAX 64

enum field { USERNAME, PASSWORD, TRUSTED, DESTINATION, TOKEN, FIELDS };

static const char *const field_names[FIELDS] = { "username", "password", "trusted", "destination",
                                                 "token" };

/* A part of the body, still encoded; bytes is NULL if the field was not posted. */
struct slice {
    const char *bytes;
    apr_size_t len;
};

/* Parameters say nothing: a form is always UTF-8 here, and what is not will be refused as such. */
static bool is_urlencoded(const char *content_type)
{
    static const char type[] = "application/x-www-form-urlencoded";
    const apr_size_t len = sizeof(type) - 1;

    if (content_type == NULL || strncasecmp(content_type, type, len) != 0) {
        return false;
    }
    content_type += len;
    while (*content_type == ' ' || *content_type == '\t') {
        content_type++;
    }
    return *content_type == '\0' || *content_type == ';';
}

static char hex_value(char c)
{
    return (char)(apr_isdigit(c) ? c - '0' : apr_tolower(c) - 'a' + 10);
}

/* Whether take() can be let loose on it, and will find no NUL. */
static bool is_well_encoded(const char *body, apr_size_t len)
{
    apr_size_t i = 0;

    while (i < len) {
        if (body[i] == '\0') {
            return false;
        }
        if (body[i] != '%') {
            i++;
            continue;
        }
        if (len - i < 3 || !apr_isxdigit(body[i + 1]) || !apr_isxdigit(body[i + 2])
            || (body[i + 1] == '0' && body[i + 2] == '0')) {
            return false;
        }
        i += 3;
    }
    return true;
}

/* The next character of what is well encoded. */
static char take(const char **raw)
{
    const char *p = *raw;

    if (*p == '%') {
        *raw += 3;
        return (char)(hex_value(p[1]) << 4 | hex_value(p[2]));
    }
    *raw += 1;
    return *p == '+' ? ' ' : *p;
}

/* Whether it spells the name: decoded, so that no spelling makes a second field of one name. */
static bool is_named(const struct slice *raw, const char *name)
{
    const char *p = raw->bytes, *end = raw->bytes + raw->len;

    while (p < end && *name != '\0') {
        if (take(&p) != *name++) {
            return false;
        }
    }
    return p == end && *name == '\0';
}

/* Returns the length. */
static apr_size_t decode(const struct slice *raw, char *bytes)
{
    const char *p = raw->bytes, *end = raw->bytes + raw->len;
    apr_size_t n = 0;

    while (p < end) {
        bytes[n++] = take(&p);
    }
    return n;
}

static const char *decoded_text(apr_pool_t *pool, const struct slice *raw)
{
    char *text;

    if (raw->bytes == NULL) {
        return NULL;
    }
    text = apr_palloc(pool, raw->len + 1);
    text[decode(raw, text)] = '\0';
    return text;
}

static struct eas_secret *decoded_secret(apr_pool_t *pool, const struct slice *raw)
{
    struct eas_secret *secret = eas_secret_make(pool, raw->bytes, raw->len);
    apr_size_t len = decode(raw, secret->bytes);

    /* What is left of the encoded form is the password's end. */
    OPENSSL_cleanse(secret->bytes + len, secret->len - len);
    secret->len = len;
    return secret;
}

static enum eas_rc note_field(const char *pair, apr_size_t len, struct slice fields[FIELDS],
                              struct eas_err *err)
{
    const char *equals = memchr(pair, '=', len);
    struct slice name = { pair, equals != NULL ? (apr_size_t)(equals - pair) : len };
    struct slice value = { pair + len, 0 };
    int i;

    if (equals != NULL) {
        value.bytes = equals + 1;
        value.len = len - name.len - 1;
    }
    for (i = 0; i < FIELDS; i++) {
        if (!is_named(&name, field_names[i])) {
            continue;
        }
        if (fields[i].bytes != NULL) {
            return eas_fail(err, EAS_MALFORMED, 1103, "the form has the field %s twice",
                            field_names[i]);
        }
        fields[i] = value;
    }
    return EAS_OK;
}

static enum eas_rc split(const char *body, apr_size_t len, struct slice fields[FIELDS],
                         struct eas_err *err)
{
    const char *pair = body, *end = body + len;
    int n = 0;

    while (pair < end) {
        const char *ampersand = memchr(pair, '&', (apr_size_t)(end - pair));
        const char *pair_end = ampersand != NULL ? ampersand : end;
        enum eas_rc rc = note_field(pair, (apr_size_t)(pair_end - pair), fields, err);

        if (rc != EAS_OK) {
            return rc;
        }
        if (++n > FIELDS_MAX) {
            return eas_fail(err, EAS_MALFORMED, 1104, "the form has more than %d fields",
                            FIELDS_MAX);
        }
        pair = pair_end + 1;
    }
    return EAS_OK;
}

static enum eas_rc read_text(apr_pool_t *pool, const struct slice fields[FIELDS],
                             struct eas_form *form, struct eas_err *err)
{
    static const enum field texts[] = { USERNAME, TRUSTED, DESTINATION, TOKEN };
    const char *text[FIELDS] = { NULL };
    apr_size_t i;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        enum field f = texts[i];

        text[f] = decoded_text(pool, &fields[f]);
        if (text[f] != NULL && !eas_identity_is_utf8(text[f], strlen(text[f]))) {
            return eas_fail(err, EAS_MALFORMED, 1105, "the form's field %s is not UTF-8",
                            field_names[f]);
        }
    }
    if (text[TRUSTED] != NULL && strcmp(text[TRUSTED], "0") != 0
        && strcmp(text[TRUSTED], "4") != 0) {
        return eas_fail(err, EAS_MALFORMED, 1106,
                        "the form's field trusted is neither 0 (public) nor 4 (private)");
    }
    form->username = text[USERNAME];
    form->username_len = text[USERNAME] != NULL ? strlen(text[USERNAME]) : 0;
    form->trusted = text[TRUSTED] != NULL && text[TRUSTED][0] == '4';
    form->destination = text[DESTINATION];
    form->token = text[TOKEN];
    return EAS_OK;
}

enum eas_rc eas_form_parse(apr_pool_t *pool, const char *content_type, const char *body,
                           apr_size_t len, struct eas_form **form_out, struct eas_err *err)
{
    struct eas_form *form = apr_pcalloc(pool, sizeof(*form));
    struct slice fields[FIELDS] = { { NULL, 0 } };
    enum eas_rc rc;

    if (!is_urlencoded(content_type)) {
        return eas_fail(err, EAS_MALFORMED, 1100,
                        "the form is not of the type application/x-www-form-urlencoded");
    }
    if (len > EAS_FORM_MAX) {
        return eas_fail(err, EAS_MALFORMED, 1101, "the form is longer than %d bytes", EAS_FORM_MAX);
    }
    if (!is_well_encoded(body, len)) {
        return eas_fail(err, EAS_MALFORMED, 1102, "the form has a bad %%-escape or a NUL");
    }
    rc = split(body, len, fields, err);
    if (rc == EAS_OK) {
        rc = read_text(pool, fields, form, err);
    }
    if (rc != EAS_OK) {
        return rc;
    }
    *form_out = form;
    if (form->username_len == 0 || fields[PASSWORD].len == 0) {
        return eas_fail(err, EAS_DENIED, 1107, "the form has no user name or no password");
    }
    form->password = decoded_secret(pool, &fields[PASSWORD]);
    return EAS_OK;
}
