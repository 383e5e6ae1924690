/* SPDX-License-Identifier: Apache-2.0 */
/* t/fuzz/fuzz_form.c - fuzz target of auth/login/form */

#include "t/fuzz/fuzz.h"

#include "auth/base/utf8.h"
#include "auth/login/form.h"

#include <apr_strings.h>

#define TYPE "application/x-www-form-urlencoded"

static const char *escaped(apr_pool_t *pool, const char *name, const char *value, size_t len)
{
    char *text, *at;
    size_t i;

    if (value == NULL) {
        return "";
    }
    text = at = apr_palloc(pool, 3 * len + 1);
    *at = '\0';
    for (i = 0; i < len; i++, at += 3) {
        snprintf(at, 4, "%%%02X", (unsigned char)value[i]);
    }
    return apr_pstrcat(pool, "&", name, "=", text, NULL);
}

static const char *escaped_text(apr_pool_t *pool, const char *name, const char *value)
{
    return escaped(pool, name, value, value != NULL ? strlen(value) : 0);
}

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* The fields, escaped in another way, are the same form. */
static void check_round_trip(apr_pool_t *pool, const struct eas_form *form)
{
    const struct eas_secret *password = form->password;
    const char *body =
        apr_pstrcat(pool, escaped(pool, "password", password->bytes, password->len),
                    escaped_text(pool, "token", form->token), form->trusted ? "&trusted=4" : "",
                    escaped_text(pool, "destination", form->destination),
                    escaped(pool, "username", form->username, form->username_len), NULL);
    struct eas_form *again = NULL;
    struct eas_err err;

    if (strlen(body) > EAS_FORM_MAX) {
        return;
    }
    check(eas_form_parse(pool, TYPE, body, strlen(body), &again, &err) == EAS_OK);
    check(same_text(again->username, form->username) && again->trusted == form->trusted
          && same_text(again->destination, form->destination)
          && same_text(again->token, form->token) && again->password->len == password->len
          && memcmp(again->password->bytes, password->bytes, password->len) == 0);
}

static void check_text(const char *text)
{
    check(text == NULL || eas_utf8_is_valid(text, strlen(text)));
}

static void check_form(apr_pool_t *pool, const struct eas_form *form, enum eas_rc rc)
{
    check_text(form->username);
    check_text(form->destination);
    check_text(form->token);
    check(form->username_len == (form->username != NULL ? strlen(form->username) : 0));
    if (rc == EAS_DENIED) {
        check(form->password == NULL);
        return;
    }
    check(form->username_len > 0 && form->password->len > 0);
    check(memchr(form->password->bytes, '\0', form->password->len) == NULL);
    check(form->password->bytes[form->password->len] == '\0');
    check_round_trip(pool, form);
}

/* A form of two texts is accepted exactly if it can be one, with these texts. */
static void check_made(apr_pool_t *pool, struct eas_bytes input)
{
    struct eas_bytes name = fuzz_take(&input, input.len / 2);
    const char *body =
        apr_pstrcat(pool, "x=&token", escaped(pool, "username", (const char *)name.at, name.len),
                    escaped(pool, "p%61ssword", (const char *)input.at, input.len), NULL);
    bool has_nul = memchr(name.at, '\0', name.len) || memchr(input.at, '\0', input.len);
    char *utf8 = apr_palloc(pool, 3 * name.len + 1);
    struct eas_form *form = NULL;
    struct eas_err err;
    enum eas_rc rc;

    if (strlen(body) > EAS_FORM_MAX) {
        return;
    }
    rc = eas_form_parse(pool, TYPE, body, strlen(body), &form, &err);
    check(rc
              == (has_nul        ? EAS_MALFORMED
                  : name.len > 0 ? EAS_OK
                                 : EAS_DENIED)
          || (rc == EAS_DENIED && input.len == 0));
    if (rc == EAS_OK) {
        if (!eas_utf8_is_valid((const char *)name.at, name.len)) {
            name.len = eas_utf8_from_windows((const char *)name.at, name.len, utf8);
            name.at = (unsigned char *)utf8;
        }
        check(form->username_len == name.len && memcmp(form->username, name.at, name.len) == 0);
        check(form->password->len == input.len
              && memcmp(form->password->bytes, input.at, input.len) == 0);
        check(!form->trusted && form->destination == NULL && *form->token == '\0');
    }
}

static void fuzz(apr_pool_t *pool, struct eas_bytes input)
{
    static const char *const types[] = { TYPE, TYPE " ; charset=utf-8", TYPE "x", NULL };
    unsigned type = fuzz_octet(&input) % 4;
    struct eas_form *form = NULL;
    struct eas_err err = { EAS_OK, 0, "" };
    char *copy = calloc(1, input.len + 1);
    enum eas_rc rc;

    check(copy != NULL);
    memcpy(copy, input.at, input.len);
    rc = eas_form_parse(pool, types[type], copy, input.len, &form, &err);
    memset(copy, 'x', input.len);
    free(copy);
    check(type < 2 || (rc == EAS_MALFORMED && err.tag == 1100));
    check(rc == EAS_OK || (rc == err.rc && err.tag >= 1100 && err.tag <= 1107));
    check((rc == EAS_OK || rc == EAS_DENIED) == (form != NULL));
    if (form != NULL) {
        check_form(pool, form, rc);
    }
    check_made(pool, input);
}
