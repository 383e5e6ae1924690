/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/form.c - parser of the login form */

#include "auth/login/form.h"
#include "auth/base/percent.h"
#include "auth/base/utf8.h"

#include <apr_cstr.h>
#include <string.h>

/* The forms have seven at most; the limit bounds the work for a hostile body. */
#define FIELDS_MAX 64

enum field { USERNAME, PASSWORD, TRUSTED, DESTINATION, TOKEN, NEW_PASSWORD, AGAIN, FIELDS };

static const char *const field_names[FIELDS] = { "username",          "password", "trusted",
                                                 "destination",       "token",    "new_password",
                                                 "new_password_again" };

/* Ignores parameters, such as charset: the form is always UTF-8. */
static bool is_urlencoded(const char *content_type)
{
    static const char type[] = "application/x-www-form-urlencoded";
    const apr_size_t len = sizeof(type) - 1;

    if (content_type == NULL || apr_cstr_casecmpn(content_type, type, len) != 0) {
        return false;
    }
    content_type += len;
    while (*content_type == ' ' || *content_type == '\t') {
        content_type++;
    }
    return *content_type == '\0' || *content_type == ';';
}

/* No bad escape, and no octet 0, plain or escaped. */
static bool is_well_encoded(struct eas_bytes body)
{
    char c;

    while (body.len > 0) {
        if (!eas_percent_next(&body, &c) || c == '\0') {
            return false;
        }
    }
    return true;
}

/* The next character of a well encoded, non-empty text; `+` is a space. */
static char next_character(struct eas_bytes *rest)
{
    bool is_plus = *rest->at == '+';
    char c = ' ';

    eas_percent_next(rest, &c);
    if (is_plus) {
        c = ' ';
    }
    return c;
}

/* Compares decoded names: `user%6eame` is `username`, and counts as its duplicate. */
static bool is_named(struct eas_bytes raw, const char *name)
{
    while (raw.len > 0 && *name != '\0') {
        if (next_character(&raw) != *name++) {
            return false;
        }
    }
    return raw.len == 0 && *name == '\0';
}

/* Returns the length, which is at most raw.len. */
static apr_size_t decode(struct eas_bytes raw, char *decoded)
{
    apr_size_t n = 0;

    while (raw.len > 0) {
        decoded[n++] = next_character(&raw);
    }
    return n;
}

/* Scripts for older log-on forms send the name in the charset of Windows. */
static const char *utf8_name(apr_pool_t *pool, const char *name)
{
    apr_size_t len = name != NULL ? strlen(name) : 0;
    char *utf8;

    if (eas_utf8_is_valid(name, len)) {
        return name;
    }
    utf8 = apr_palloc(pool, 3 * len + 1);
    utf8[eas_utf8_from_windows(name, len, utf8)] = '\0';
    return utf8;
}

static const char *decoded_text(apr_pool_t *pool, struct eas_bytes raw)
{
    char *text;

    if (raw.at == NULL) {
        return NULL;
    }
    text = apr_palloc(pool, raw.len + 1);
    text[decode(raw, text)] = '\0';
    return text;
}

static struct eas_secret *decoded_secret(apr_pool_t *pool, struct eas_bytes raw)
{
    struct eas_secret *secret = eas_secret_room(pool, raw.len);
    apr_size_t len = decode(raw, secret->bytes);

    memset(secret->bytes + len, 0, raw.len - len);
    secret->len = len;
    return secret;
}

static struct eas_secret *decoded_or_none(apr_pool_t *pool, struct eas_bytes raw)
{
    return raw.len > 0 ? decoded_secret(pool, raw) : NULL;
}

static enum eas_rc note_field(struct eas_bytes name, struct eas_bytes value,
                              struct eas_bytes fields[FIELDS], struct eas_err *err)
{
    int i;

    for (i = 0; i < FIELDS; i++) {
        if (!is_named(name, field_names[i])) {
            continue;
        }
        if (fields[i].at != NULL) {
            return eas_fail(err, EAS_MALFORMED, 1103, "the form has the field %s twice",
                            field_names[i]);
        }
        fields[i] = value;
    }
    return EAS_OK;
}

static enum eas_rc split(struct eas_bytes body, struct eas_bytes fields[FIELDS],
                         struct eas_err *err)
{
    int n = 0;

    while (body.len > 0) {
        struct eas_bytes name, value;
        enum eas_rc rc;

        eas_percent_pair(&body, &name, &value);
        rc = note_field(name, value, fields, err);
        if (rc != EAS_OK) {
            return rc;
        }
        if (++n > FIELDS_MAX) {
            return eas_fail(err, EAS_MALFORMED, 1104, "the form has more than %d fields",
                            FIELDS_MAX);
        }
    }
    return EAS_OK;
}

static enum eas_rc read_text(apr_pool_t *pool, const struct eas_bytes fields[FIELDS],
                             struct eas_form *form, struct eas_err *err)
{
    static const enum field texts[] = { TRUSTED, DESTINATION, TOKEN };
    const char *text[FIELDS] = { [USERNAME] =
                                     utf8_name(pool, decoded_text(pool, fields[USERNAME])) };
    apr_size_t i;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        enum field f = texts[i];

        text[f] = decoded_text(pool, fields[f]);
        if (text[f] != NULL && !eas_utf8_is_valid(text[f], strlen(text[f]))) {
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
    struct eas_bytes fields[FIELDS] = { { NULL, 0 } };
    struct eas_bytes bytes = { (const unsigned char *)body, len };
    enum eas_rc rc;

    if (!is_urlencoded(content_type)) {
        return eas_fail(err, EAS_MALFORMED, 1100,
                        "the form does not have the type application/x-www-form-urlencoded");
    }
    if (len > EAS_FORM_MAX) {
        return eas_fail(err, EAS_MALFORMED, 1101, "the form is longer than %d bytes", EAS_FORM_MAX);
    }
    if (!is_well_encoded(bytes)) {
        return eas_fail(err, EAS_MALFORMED, 1102, "the form has a bad %%-escape or a NUL");
    }
    rc = split(bytes, fields, err);
    if (rc == EAS_OK) {
        rc = read_text(pool, fields, form, err);
    }
    if (rc != EAS_OK) {
        return rc;
    }
    *form_out = form;
    form->new_password = decoded_or_none(pool, fields[NEW_PASSWORD]);
    form->again = decoded_or_none(pool, fields[AGAIN]);
    if (form->username_len == 0 || fields[PASSWORD].len == 0) {
        return eas_fail(err, EAS_DENIED, 1107, "the form has no user name or no password");
    }
    form->password = decoded_secret(pool, fields[PASSWORD]);
    return EAS_OK;
}
