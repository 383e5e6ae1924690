/* SPDX-License-Identifier: Apache-2.0 */
/* t/fuzz/fuzz_query.c - fuzz target of auth/activesync: query, wbxml, timeouts */

#include "t/fuzz/fuzz.h"

#include "auth/activesync/query.h"
#include "auth/activesync/timeouts.h"
#include "auth/activesync/wbxml.h"

#include <apr_encode.h>
#include <apr_strings.h>

/* A text for logs and comparisons: not empty, without control characters; or NULL. */
static void check_text(const char *text)
{
    check(text == NULL || *text != '\0');
    for (; text != NULL && *text != '\0'; text++) {
        check(!fuzz_is_control(*text));
    }
}

/* A header of six octets, tags with content, the status as a text, two ends. */
static void check_status(apr_pool_t *pool, const char *command)
{
    static const char head[] = "\x03\x01\x6a\x00", tail[] = "\x03"
                                                            "129\0\x01\x01";
    apr_size_t len = 0;
    const char *body = eas_wbxml_status(pool, command, EAS_STATUS_DEVICE_BLOCKED, &len);

    if (body != NULL) {
        check(len == 8 + sizeof(tail) - 1 && memcmp(body, head, 4) == 0
              && memcmp(body + 8, tail, sizeof(tail) - 1) == 0);
        check(strcmp(command, "Sync") != 0 || memcmp(body + 4, "\0\0\x45\x4e", 4) == 0);
        check(strcmp(command, "FolderSync") != 0 || memcmp(body + 4, "\0\x07\x56\x4c", 4) == 0);
    }
}

static void check_timeouts(apr_pool_t *pool, const char *command)
{
    struct eas_timeout own = { command, 4711 }, others = { "*", 1234 };
    apr_array_header_t *list = eas_timeouts_set(pool, NULL, others);

    check(eas_timeouts_find(NULL, command) > 0);
    check(eas_timeouts_find(list, command) > 0);
    list = eas_timeouts_merge(pool, list, eas_timeouts_set(pool, NULL, own));
    check(eas_timeouts_find(list, command) == 4711);
}

static void check_query(apr_pool_t *pool, const struct eas_query *query)
{
    check_text(query->command);
    check_text(query->user);
    check_text(query->device_id);
    check_text(query->device_type);
    check_text(query->protocol_version);
    check_text(query->policy_key);
    if (query->command != NULL) {
        check_status(pool, query->command);
        check_timeouts(pool, query->command);
    }
    check_status(pool, "Sync");
    check_status(pool, "FolderSync");
}

/* --- queries that were made from fields ------------------------------------------------------- */

struct fields {
    struct eas_bytes user, id, type;
};

static bool is_clean(struct eas_bytes text)
{
    while (text.len > 0) {
        if (fuzz_is_control((char)fuzz_octet(&text))) {
            return false;
        }
    }
    return true;
}

static bool is_same(const char *text, struct eas_bytes expected)
{
    return text != NULL
               ? strlen(text) == expected.len && memcmp(text, expected.at, expected.len) == 0
               : expected.len == 0;
}

/* An id with other characters than those of ids is in hexadecimal. */
static bool is_same_id(apr_pool_t *pool, const char *id, struct eas_bytes expected)
{
    static const char plain[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._";
    char *hex = apr_palloc(pool, 2 * expected.len + 1);
    size_t i, n = 0;

    for (i = 0; i < expected.len; i++) {
        n += expected.at[i] != 0 && strchr(plain, expected.at[i]) != NULL;
        snprintf(hex + 2 * i, 3, "%02X", expected.at[i]);
    }
    return n == expected.len ? is_same(id, expected)
                             : is_same(id, eas_bytes_make(hex, 2 * expected.len));
}

/* Parses a query that must be good exactly if its texts are. */
static void check_made(apr_pool_t *pool, const char *text, bool good, const struct fields *fields,
                       const char *command)
{
    struct eas_query *query = NULL;
    struct eas_err err;
    enum eas_rc rc = eas_query_parse(pool, text, strlen(text), &query, &err);

    check(rc == (good ? EAS_OK : EAS_MALFORMED));
    if (good) {
        check((command != NULL ? strcmp(query->command, command) == 0 : query->command == NULL)
              && is_same(query->user, fields->user) && is_same(query->device_type, fields->type)
              && is_same_id(pool, query->device_id, fields->id));
        check(query->protocol_version == NULL || strcmp(query->protocol_version, "14.1") == 0);
        check(query->policy_key == NULL || strcmp(query->policy_key, "67305985") == 0);
    }
}

static const char *escaped(apr_pool_t *pool, struct eas_bytes value)
{
    char *text = apr_pcalloc(pool, 3 * value.len + 1);
    size_t i;

    for (i = 0; i < value.len; i++) {
        snprintf(text + 3 * i, 4, "%%%02x", value.at[i]);
    }
    return text;
}

static void check_plain(apr_pool_t *pool, const struct fields *fields)
{
    bool good = is_clean(fields->user) && is_clean(fields->id) && is_clean(fields->type);
    const char *rest = apr_pstrcat(pool, "user=", escaped(pool, fields->user),
                                   "&DEVICEID=", escaped(pool, fields->id),
                                   "&X=1&DeviceType=", escaped(pool, fields->type), NULL);

    check_made(pool, apr_pstrcat(pool, rest, "&cmd=sYNC", NULL), good, fields, "Sync");
    check_made(pool, apr_pstrcat(pool, "Cmd=Other&", rest, NULL), good, fields, "Other");
    check_made(pool, apr_pstrcat(pool, "Cmd=Ping&", rest, "&Cmd=Ping", NULL), false, fields, NULL);
    check_made(pool, apr_pstrcat(pool, rest, "&Cmd=4711", NULL), false, fields, NULL);
    check_made(pool, rest, good, fields, NULL);
}

static unsigned char *put(unsigned char *to, struct eas_bytes value)
{
    *to++ = (unsigned char)value.len;
    memcpy(to, value.at, value.len);
    return to + value.len;
}

/* Version 14.1, FolderSync, a locale, the fields with a policy key. */
static void check_blob(apr_pool_t *pool, const struct fields *fields)
{
    unsigned char blob[1024] = { 141, 9, 9, 4 }, *end = put(blob + 4, fields->id);
    bool good = fields->id.len > 0 && is_clean(fields->user) && is_clean(fields->type);

    end = put(put(end, eas_bytes_make("\x01\x02\x03\x04", 4)), fields->type);
    *end++ = 7; /* another parameter */
    end = put(end, eas_bytes_make("x", 1));
    *end++ = 8;
    end = put(end, fields->user);
    check_made(pool, apr_pencode_base64_binary(pool, blob, end - blob, APR_ENCODE_NONE, NULL), good,
               fields, "FolderSync");
}

static void check_fields(apr_pool_t *pool, struct eas_bytes input)
{
    struct fields fields;
    size_t n = input.len / 3 < 255 ? input.len / 3 : 255;

    fields.id = fuzz_take(&input, n);
    fields.user = fuzz_take(&input, n);
    fields.type = fuzz_take(&input, 255);
    check_plain(pool, &fields);
    check_blob(pool, &fields);
}

static void fuzz(apr_pool_t *pool, struct eas_bytes input)
{
    struct eas_query *query = NULL;
    struct eas_err err = { EAS_OK, 0, "" };
    char *copy = calloc(1, input.len + 1);
    enum eas_rc rc;

    check(copy != NULL);
    memcpy(copy, input.at, input.len);
    rc = eas_query_parse(pool, copy, input.len, &query, &err);
    free(copy); /* results must not refer to it */
    if (rc == EAS_OK) {
        check(query != NULL);
        check_query(pool, query);
    }
    else {
        check(rc == EAS_MALFORMED && err.rc == rc && err.tag >= 1200 && err.tag <= 1208
              && query == NULL);
    }
    check_fields(pool, input);
}
