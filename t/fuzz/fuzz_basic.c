/* SPDX-License-Identifier: Apache-2.0 */
/* t/fuzz/fuzz_basic.c - fuzz target of auth/password/basic and auth/identity */

#include "t/fuzz/fuzz.h"

#include "auth/base/utf8.h"
#include "auth/identity.h"
#include "auth/password/basic.h"

#include <apr_encode.h>
#include <apr_strings.h>

#define REALM "CORP.EXAMPLE.COM"
#define SUB "SUB.EXAMPLE.COM"

static struct eas_realms realms_of(apr_pool_t *pool)
{
    static const struct eas_domain domains[] = { { "CORP", REALM },
                                                 { "example.com", REALM },
                                                 { "SUB", SUB } };
    apr_array_header_t *list = apr_array_make(pool, 3, sizeof(domains[0]));
    size_t i;

    for (i = 0; i < sizeof(domains) / sizeof(domains[0]); i++) {
        APR_ARRAY_PUSH(list, struct eas_domain) = domains[i];
    }
    return (struct eas_realms){ REALM, list };
}

/* Fullwidth forms */
#define WIDE_AT "\xef\xbc\xa0"
#define WIDE_BACKSLASH "\xef\xbc\xbc"

static bool has_blank_end(const char *text, size_t len)
{
    return eas_utf8_first_blank(text, len) > 0 || eas_utf8_last_blank(text, len) > 0;
}

/* A user, as far as the gateway can know without the KDC. */
static void check_login(const struct eas_login *login, const struct eas_realms *realms)
{
    const char *user = login->user, *at = strrchr(user, '@');
    size_t len = login->enterprise ? (size_t)(at - user) : strlen(user), i;
    struct eas_err err;

    check(strcmp(login->realm, REALM) == 0 || strcmp(login->realm, SUB) == 0);
    check(!login->enterprise || (at != NULL && at[1] != '\0' && memchr(user, '@', len) == NULL));
    check(len > 0 && strlen(user) <= EAS_NAME_MAX && eas_utf8_is_valid(user, strlen(user)));
    check(!has_blank_end(user, len) && user[len - 1] != '$');
    check(!login->enterprise || !has_blank_end(at + 1, strlen(at + 1)));
    check(strstr(user, WIDE_AT) == NULL && strstr(user, WIDE_BACKSLASH) == NULL);
    check(memchr(user, '/', len) == NULL && memchr(user, '\\', len) == NULL);
    for (i = 0; user[i] != '\0'; i++) {
        check(!fuzz_is_control(user[i]));
    }
    if (!login->enterprise) {
        check(eas_identity_check(user, len, login->realm, realms, &err) == EAS_OK);
    }
}

static void check_foreign(apr_pool_t *pool, const char *name, const struct eas_realms *realms)
{
    const struct eas_identity *identity = NULL;
    struct eas_err err;
    enum eas_rc rc = eas_identity_foreign(pool, name, realms, &identity, &err);

    check((rc == EAS_OK) == (identity != NULL));
    check(rc == EAS_OK || (rc == EAS_FORBIDDEN && err.rc == rc));
    if (identity != NULL) {
        check_login(&identity->login, realms);
        check(identity->evidence == NULL && identity->authenticated_by == EAS_BY_OTHER);
        check((strchr(name, '\\') != NULL) != (strchr(name, '@') != NULL));
        check(!has_blank_end(name, strlen(name)));
        check(strchr(identity->principal, '@') != NULL);
    }
}

/* The same result as that of another spelling; the realm may differ. */
static void check_spelling(const char *name, const struct eas_realms *realms, apr_pool_t *pool,
                           enum eas_rc rc, const struct eas_login *login)
{
    struct eas_login other = { NULL, NULL, false };
    struct eas_err err;

    if (strlen(name) <= EAS_NAME_MAX) {
        check(eas_identity_parse(pool, name, strlen(name), realms, &other, &err) == rc);
        check(rc != EAS_OK
              || (strcmp(other.user, login->user) == 0 && other.enterprise == login->enterprise
                  && (strcmp(other.realm, login->realm) == 0 || strncmp(name, "SUB", 3) == 0)));
    }
}

static char *replaced(apr_pool_t *pool, const char *text, const char *word, const char *instead)
{
    char *result = apr_pstrdup(pool, "");
    const char *at;

    for (; (at = strstr(text, word)) != NULL; text = at + strlen(word)) {
        result = apr_pstrcat(pool, result, apr_pstrmemdup(pool, text, (apr_size_t)(at - text)),
                             instead, NULL);
    }
    return apr_pstrcat(pool, result, text, NULL);
}

/* Fullwidth separators, blanks, an empty domain, and a domain before a suffix change no user. */
static void check_spellings(apr_pool_t *pool, const char *name, const struct eas_realms *realms,
                            enum eas_rc rc, const struct eas_login *login)
{
    const char *backslash, *at;

    check_spelling(replaced(pool, name, "@", WIDE_AT), realms, pool, rc, login);
    check_spelling(replaced(pool, name, "\\", WIDE_BACKSLASH), realms, pool, rc, login);
    name = replaced(pool, replaced(pool, name, WIDE_AT, "@"), WIDE_BACKSLASH, "\\");
    check_spelling(name, realms, pool, rc, login);
    backslash = strchr(name, '\\');
    at = strrchr(name, '@');
    check_spelling(apr_pstrcat(pool, "\t \xe3\x80\x80", name, "\xc2\xa0 \t", NULL), realms, pool,
                   rc, login);
    if (backslash != NULL) {
        name = apr_pstrcat(pool, apr_pstrmemdup(pool, name, (apr_size_t)(backslash - name)),
                           "\t\\ ", backslash + 1, NULL);
        check_spelling(name, realms, pool, rc, login);
        return;
    }
    check_spelling(apr_pstrcat(pool, "\\", name, NULL), realms, pool, rc, login);
    if (at != NULL) {
        check_spelling(apr_pstrcat(pool, "corp\\", name, NULL), realms, pool, rc, login);
        check_spelling(apr_pstrcat(pool, "SUB\\", name, NULL), realms, pool, rc, login);
        name = apr_pstrcat(pool, apr_pstrmemdup(pool, name, (apr_size_t)(at - name)), " @\t",
                           at + 1, NULL);
        check_spelling(name, realms, pool, rc, login);
    }
}

static void check_name(apr_pool_t *pool, const char *name, size_t len)
{
    struct eas_realms realms = realms_of(pool);
    struct eas_login login = { NULL, NULL, false };
    struct eas_err err;
    enum eas_rc rc = eas_identity_parse(pool, name, len, &realms, &login, &err);

    check(rc == EAS_OK || (rc == EAS_DENIED && err.rc == rc && login.user == NULL));
    if (rc == EAS_OK) {
        check(memchr(name, '\0', len) == NULL);
        check_login(&login, &realms);
    }
    if (memchr(name, '\0', len) == NULL && len <= EAS_NAME_MAX) {
        check_spellings(pool, apr_pstrmemdup(pool, name, len), &realms, rc, &login);
    }
    if (memchr(name, '\0', len) == NULL) {
        check_foreign(pool, apr_pstrmemdup(pool, name, len), &realms);
    }
}

/* The login of a good name; NULL for any user stands for a refusal. */
static void check_made(apr_pool_t *pool, const char *name, const char *user, const char *realm,
                       bool is_foreign)
{
    struct eas_realms realms = realms_of(pool);
    struct eas_login login = { NULL, NULL, false };
    const struct eas_identity *identity = NULL;
    struct eas_err err;

    check(eas_identity_parse(pool, name, strlen(name), &realms, &login, &err)
          == (user != NULL ? EAS_OK : EAS_DENIED));
    check(user == NULL || (strcmp(login.user, user) == 0 && strcmp(login.realm, realm) == 0));
    check(user == NULL || login.enterprise == (strchr(user, '@') != NULL));
    check(eas_identity_foreign(pool, name, &realms, &identity, &err)
          == (is_foreign ? EAS_OK : EAS_FORBIDDEN));
}

/* A plain user in each form of a name. */
static void check_forms(apr_pool_t *pool, struct eas_bytes input)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz.-_'0123456789";
    char *user = apr_pcalloc(pool, 65), *at = user;
    const char *name;

    for (input = fuzz_take(&input, 64); input.len > 0;) {
        *at++ = plain[fuzz_octet(&input) % (sizeof(plain) - 1)];
    }
    if (at == user) {
        return;
    }
    check_made(pool, user, user, REALM, false);
    check_made(pool, apr_pstrcat(pool, "sub\\", user, NULL), user, SUB, true);
    check_made(pool, apr_pstrcat(pool, "corp.Example.com\\", user, NULL), user, REALM, true);
    check_made(pool, apr_pstrcat(pool, user, "@Sub.example.com", NULL), user, SUB, true);
    name = apr_pstrcat(pool, user, "@Example.com", NULL);
    check_made(pool, name, name, REALM, true);
    name = apr_pstrcat(pool, user, "@else.where", NULL);
    check_made(pool, name, name, REALM, false);
    check_made(pool, apr_pstrcat(pool, user, "@", NULL), NULL, NULL, false);
    check_made(pool, apr_pstrcat(pool, "OTHER\\", user, NULL), NULL, NULL, false);
    check_made(pool, apr_pstrcat(pool, user, "@SUB.example.com ", NULL), user, SUB, false);
    check_made(pool, apr_pstrcat(pool, "corp\\", user, "@SUB.example.com", NULL), user, SUB, false);
    check_made(pool, apr_pstrcat(pool, "\\", user, NULL), user, REALM, false);
    check_made(pool, apr_pstrcat(pool, "SUB\\", name, NULL), name, SUB, false);
    check_made(pool, apr_pstrcat(pool, user, "$", NULL), NULL, NULL, false);
}

static const struct eas_credentials *parse(apr_pool_t *pool, const char *header)
{
    struct eas_credentials *credentials = NULL;
    struct eas_err err = { EAS_OK, 0, "" };
    enum eas_rc rc = eas_basic_parse(pool, header, &credentials, &err);

    check(rc == EAS_OK
          || (rc == EAS_DENIED && credentials == NULL && err.tag >= 1010 && err.tag <= 1012));
    if (credentials != NULL) {
        const struct eas_secret *password = credentials->password;

        check(rc == EAS_OK && strncasecmp(header, "basic", 5) == 0
              && (header[5] == ' ' || header[5] == '\t'));
        check(password->len > 0 && memchr(password->bytes, '\0', password->len) == NULL);
        check(password->bytes[password->len] == '\0');
        check(eas_utf8_is_valid(password->bytes, password->len));
        check(eas_utf8_is_valid(credentials->name, credentials->name_len));
        check(memchr(credentials->name, ':', credentials->name_len) == NULL);
        check_name(pool, credentials->name, credentials->name_len);
    }
    return credentials;
}

/* Credentials in UTF-8 are found as they were sent. */
static void check_plain(apr_pool_t *pool, struct eas_bytes plain)
{
    const char *base64 =
        apr_pencode_base64_binary(pool, plain.at, (apr_ssize_t)plain.len, APR_ENCODE_NONE, NULL);
    const struct eas_credentials *found = parse(pool, apr_pstrcat(pool, "Basic ", base64, NULL));
    const unsigned char *colon = memchr(plain.at, ':', plain.len);
    size_t name_len = colon != NULL ? (size_t)(colon - plain.at) : 0;
    size_t password_at = name_len + 1;
    bool valid = colon != NULL && password_at < plain.len
                 && memchr(colon, '\0', plain.len - name_len) == NULL;

    check((found != NULL) == valid);
    if (found != NULL && eas_utf8_is_valid((const char *)plain.at, plain.len)) {
        check(found->name_len == name_len && memcmp(found->name, plain.at, name_len) == 0);
        check(found->password->len == plain.len - password_at
              && memcmp(found->password->bytes, plain.at + password_at, found->password->len) == 0);
    }
}

static void fuzz(apr_pool_t *pool, struct eas_bytes input)
{
    switch (fuzz_octet(&input) % 3) {
    case 0:
        parse(pool, fuzz_text(pool, &input));
        break;
    case 1:
        check_plain(pool, input);
        break;
    default:
        check_name(pool, (const char *)input.at, input.len);
        check_forms(pool, input);
    }
}
