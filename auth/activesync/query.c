/* SPDX-License-Identifier: Apache-2.0 */
/* auth/activesync/query.c - parser of an ActiveSync query, plain or base64 */

#include "auth/activesync/query.h"
#include "auth/base/percent.h"

#include <apr_cstr.h>
#include <apr_encode.h>
#include <apr_escape.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <stdbool.h>
#include <string.h>

/* The index is the code in the base64 form, [MS-ASHTTP] 2.2.1.1.1.1.2. */
static const char *const commands[] = {
    [0] = "Sync",
    [1] = "SendMail",
    [2] = "SmartForward",
    [3] = "SmartReply",
    [4] = "GetAttachment",
    [9] = "FolderSync",
    [10] = "FolderCreate",
    [11] = "FolderDelete",
    [12] = "FolderUpdate",
    [13] = "MoveItems",
    [14] = "GetItemEstimate",
    [15] = "MeetingResponse",
    [16] = "Search",
    [17] = "Settings",
    [18] = "Ping",
    [19] = "ItemOperations",
    [20] = "Provision",
    [21] = "ResolveRecipients",
    [22] = "ValidateCert",
    [23] = "Find",
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* The tag of the command parameter User in the base64 form, [MS-ASHTTP] 2.2.1.1.1.1.3. */
#define TAG_USER 8

/*
 * Decodes percent-encoding once.  False on a bad escape, and on a control character, which could
 * hide a part of the value from a log or a comparison.
 */
static bool decode_percent(apr_pool_t *pool, struct eas_bytes raw, struct eas_bytes *out)
{
    char *bytes = apr_palloc(pool, raw.len + 1), c;
    size_t n = 0;

    while (raw.len > 0) {
        if (!eas_percent_next(&raw, &c) || apr_iscntrl(c)) {
            return false;
        }
        bytes[n++] = c;
    }
    *out = (struct eas_bytes){ (const unsigned char *)bytes, n };
    return true;
}

/* NULL if the value is empty or missing. */
static const char *text_of(apr_pool_t *pool, struct eas_bytes value)
{
    return value.len > 0 ? apr_pstrmemdup(pool, (const char *)value.at, value.len) : NULL;
}

static bool is_plain_in_ids(unsigned char c)
{
    return apr_isalnum(c) || c == '-' || c == '.' || c == '_';
}

static const char *canonical_device_id(apr_pool_t *pool, struct eas_bytes id)
{
    apr_size_t i;
    char *hex, *p;

    for (i = 0; i < id.len; i++) {
        if (!is_plain_in_ids(id.at[i])) {
            break;
        }
    }
    if (i == id.len) {
        return text_of(pool, id);
    }
    hex = (char *)apr_pescape_hex(pool, id.at, id.len, 0);
    for (p = hex; *p != '\0'; p++) {
        *p = apr_toupper(*p);
    }
    return hex;
}

/* As in the specification, or NULL. */
static const char *find_command(struct eas_bytes name)
{
    apr_size_t i;

    for (i = 0; i < COMMANDS; i++) {
        if (commands[i] != NULL && strlen(commands[i]) == name.len
            && apr_cstr_casecmpn(commands[i], (const char *)name.at, name.len) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

bool eas_query_is_command(const char *word)
{
    return find_command(eas_bytes_of_text(word)) != NULL
           || (*word != '\0' && strspn(word, "0123456789") == strlen(word));
}

/* A known command as in the specification, another one as sent.  NULL: not a command's name. */
static const char *canonical_command(apr_pool_t *pool, struct eas_bytes name)
{
    const char *known = find_command(name);
    apr_size_t i;

    for (i = 0; i < name.len; i++) {
        if (!apr_isalpha(name.at[i])) {
            return NULL;
        }
    }
    return known != NULL ? known : text_of(pool, name);
}

/* --- the plain form ---------------------------------------------------------------------------- */

enum parameter { CMD, USER, DEVICE_ID, DEVICE_TYPE, PARAMETERS };

static const char *const parameter_names[PARAMETERS] = { "Cmd", "User", "DeviceId", "DeviceType" };

static enum eas_rc note_parameter(struct eas_bytes name, struct eas_bytes value,
                                  struct eas_bytes parameters[PARAMETERS], struct eas_err *err)
{
    int i;

    for (i = 0; i < PARAMETERS; i++) {
        if (strlen(parameter_names[i]) != name.len
            || apr_cstr_casecmpn(parameter_names[i], (const char *)name.at, name.len) != 0) {
            continue;
        }
        if (parameters[i].at != NULL) {
            return eas_fail(err, EAS_MALFORMED, 1201, "the ActiveSync query has %s twice",
                            parameter_names[i]);
        }
        parameters[i] = value;
    }
    return EAS_OK;
}

static enum eas_rc split_plain(apr_pool_t *pool, struct eas_bytes query,
                               struct eas_bytes parameters[PARAMETERS], struct eas_err *err)
{
    while (query.len > 0) {
        struct eas_bytes name, value;
        enum eas_rc rc;

        eas_percent_pair(&query, &name, &value);
        if (!decode_percent(pool, name, &name) || !decode_percent(pool, value, &value)) {
            return eas_fail(err, EAS_MALFORMED, 1200,
                            "the ActiveSync query has a bad %%-escape or a control character");
        }
        rc = note_parameter(name, value, parameters, err);
        if (rc != EAS_OK) {
            return rc;
        }
    }
    return EAS_OK;
}

static enum eas_rc parse_plain(apr_pool_t *pool, struct eas_bytes query, struct eas_query *out,
                               struct eas_err *err)
{
    struct eas_bytes parameters[PARAMETERS] = { { NULL, 0 } };
    enum eas_rc rc = split_plain(pool, query, parameters, err);

    if (rc != EAS_OK) {
        return rc;
    }
    if (parameters[CMD].len > 0) {
        out->command = canonical_command(pool, parameters[CMD]);
        if (out->command == NULL) {
            return eas_fail(err, EAS_MALFORMED, 1208,
                            "Cmd of the ActiveSync query is not a command's name");
        }
    }
    out->user = text_of(pool, parameters[USER]);
    out->device_type = text_of(pool, parameters[DEVICE_TYPE]);
    if (parameters[DEVICE_ID].len > 0) {
        out->device_id = canonical_device_id(pool, parameters[DEVICE_ID]);
    }
    return EAS_OK;
}

/* --- the base64 form --------------------------------------------------------------------------- */

/* No `&`, and no `=` but as padding. */
static bool is_base64(struct eas_bytes query)
{
    while (query.len > 0 && query.at[query.len - 1] == '=') {
        query.len--;
    }
    return memchr(query.at, '&', query.len) == NULL && memchr(query.at, '=', query.len) == NULL;
}

/* RFC 4648 section 4, padding optional.  APR alone would also accept the alphabet of section 5. */
static bool decode_base64(apr_pool_t *pool, struct eas_bytes text, struct eas_bytes *out)
{
    apr_size_t len = text.len, padding = 0, i;
    unsigned char *bytes;

    while (padding < len && text.at[len - padding - 1] == '=') {
        padding++;
    }
    len -= padding;
    for (i = 0; i < len; i++) {
        if (!apr_isalnum(text.at[i]) && text.at[i] != '+' && text.at[i] != '/') {
            return false;
        }
    }
    if (len % 4 == 1 || (padding > 0 && (len + padding) % 4 != 0) || padding > 2) {
        return false;
    }
    bytes = apr_palloc(pool, len + 1); /* more than the three bytes for each four characters */
    out->at = bytes;
    return apr_decode_base64_binary(bytes, (const char *)text.at, (apr_ssize_t)len, APR_ENCODE_NONE,
                                    &out->len)
           == APR_SUCCESS;
}

/* Removes len bytes from the front of *left.  False, with nothing changed, if it has fewer. */
static bool take(struct eas_bytes *left, apr_size_t len, struct eas_bytes *out)
{
    if (len > left->len) {
        return false;
    }
    out->at = left->at;
    out->len = len;
    left->at += len;
    left->len -= len;
    return true;
}

/* Removes a field and the unsigned byte before it, which is its length. */
static bool take_field(struct eas_bytes *left, struct eas_bytes *out)
{
    struct eas_bytes length;

    return take(left, 1, &length) && take(left, length.at[0], out);
}

static bool has_control(struct eas_bytes value)
{
    apr_size_t i;

    for (i = 0; i < value.len; i++) {
        if (apr_iscntrl(value.at[i])) {
            return true;
        }
    }
    return false;
}

static apr_uint32_t little_endian(struct eas_bytes value)
{
    apr_uint32_t number = 0;
    apr_size_t i;

    for (i = value.len; i > 0; i--) {
        number = number << 8 | value.at[i - 1];
    }
    return number;
}

/* Parses the command parameters at the end of the blob (tag, length, value) for the user. */
static enum eas_rc read_parameters(struct eas_bytes *left, struct eas_bytes *user,
                                   struct eas_err *err)
{
    while (left->len > 0) {
        struct eas_bytes tag, value;

        if (!take(left, 1, &tag) || !take_field(left, &value)) {
            return eas_fail(err, EAS_MALFORMED, 1205,
                            "a command parameter of the base64 ActiveSync query is truncated");
        }
        if (tag.at[0] != TAG_USER) {
            continue;
        }
        if (user->at != NULL) {
            return eas_fail(err, EAS_MALFORMED, 1206, "the base64 ActiveSync query has User twice");
        }
        *user = value;
    }
    return EAS_OK;
}

static const char *command_of(apr_pool_t *pool, unsigned char code)
{
    return code < COMMANDS && commands[code] != NULL ? commands[code] : apr_itoa(pool, code);
}

static enum eas_rc parse_blob(apr_pool_t *pool, struct eas_bytes left, struct eas_query *out,
                              struct eas_err *err)
{
    struct eas_bytes version, code, locale, device_id, policy_key, device_type, user = { NULL, 0 };
    enum eas_rc rc;

    if (!take(&left, 1, &version) || !take(&left, 1, &code) || !take(&left, 2, &locale)
        || !take_field(&left, &device_id) || device_id.len == 0 || !take_field(&left, &policy_key)
        || (policy_key.len != 0 && policy_key.len != 4) || !take_field(&left, &device_type)) {
        return eas_fail(err, EAS_MALFORMED, 1204,
                        "the base64 ActiveSync query is truncated, or a length in it is wrong");
    }
    rc = read_parameters(&left, &user, err);
    if (rc != EAS_OK) {
        return rc;
    }
    if (has_control(device_type) || has_control(user)) {
        return eas_fail(err, EAS_MALFORMED, 1207,
                        "a text of the base64 ActiveSync query has a control character");
    }
    out->command = command_of(pool, code.at[0]);
    out->user = text_of(pool, user);
    out->device_id = canonical_device_id(pool, device_id);
    out->device_type = text_of(pool, device_type);
    out->protocol_version = apr_psprintf(pool, "%d.%d", version.at[0] / 10, version.at[0] % 10);
    if (policy_key.len > 0) {
        out->policy_key =
            apr_psprintf(pool, "%" APR_UINT64_T_FMT, (apr_uint64_t)little_endian(policy_key));
    }
    return EAS_OK;
}

static enum eas_rc parse_base64(apr_pool_t *pool, struct eas_bytes query, struct eas_query *out,
                                struct eas_err *err)
{
    struct eas_bytes text, blob;

    if (!decode_percent(pool, query, &text) || !decode_base64(pool, text, &blob)) {
        return eas_fail(err, EAS_MALFORMED, 1203,
                        "the query is neither in ActiveSync's plain form nor base64");
    }
    return parse_blob(pool, blob, out, err);
}

enum eas_rc eas_query_parse(apr_pool_t *pool, const char *query, apr_size_t len,
                            struct eas_query **query_out, struct eas_err *err)
{
    struct eas_query *out = apr_pcalloc(pool, sizeof(*out));
    struct eas_bytes bytes = { (const unsigned char *)query, len };
    enum eas_rc rc =
        is_base64(bytes) ? parse_base64(pool, bytes, out, err) : parse_plain(pool, bytes, out, err);

    if (rc == EAS_OK) {
        *query_out = out;
    }
    return rc;
}
