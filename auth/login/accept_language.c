/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/accept_language.c - Accept-Language (RFC 9110, 12.5.4; RFC 4647, 3.4) */

#include "auth/login/accept_language.h"
#include "auth/base/bytes.h"

#include <apr_cstr.h>
#include <apr_lib.h>
#include <string.h>

/* Browsers send a dozen ranges at most.  These bound the work for a hostile header. */
#define HEADER_MAX 1024
#define RANGES_MAX 32
#define TAG_MAX 35 /* RFC 5646, 4.4.1 */

#define ALPHA "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define ALNUM ALPHA "0123456789"

bool eas_accept_language_is_tag(const char *tag)
{
    apr_size_t len = strspn(tag, ALPHA);
    const char *rest = tag + len;

    while (len >= 1 && len <= 8 && *rest == '-') {
        len = strspn(++rest, ALNUM);
        rest += len;
    }
    return len >= 1 && len <= 8 && *rest == '\0' && strspn(tag, ALPHA) >= 2
           && strlen(tag) <= TAG_MAX;
}

/* Whether the tag is the range's first len octets, and ends there or at a subtag. */
static bool begins(const char *tag, struct eas_bytes range, bool whole)
{
    return apr_cstr_casecmpn(tag, (const char *)range.at, range.len) == 0
           && (tag[range.len] == '\0' || (!whole && tag[range.len] == '-'));
}

/* -1: none.  The range loses subtags from its end until a tag is found. */
static int find(struct eas_bytes range, const char *const *tags, int count)
{
    struct eas_bytes prefix = range;
    int i;

    if (range.len == 1 && *range.at == '*') {
        return 0;
    }
    while (prefix.len > 0) {
        for (i = 0; i < count; i++) {
            if (begins(tags[i], prefix, true)) {
                return i;
            }
        }
        do {
            prefix.len--;
        } while (prefix.len > 0 && prefix.at[prefix.len] != '-');
    }
    for (i = 0; range.len > 0 && i < count; i++) {
        if (begins(tags[i], range, false)) {
            return i;
        }
    }
    return -1;
}

static bool skip(struct eas_bytes *rest, const char *set)
{
    if (rest->len == 0 || *rest->at == '\0' || strchr(set, *rest->at) == NULL) {
        return false;
    }
    rest->at++;
    rest->len--;
    return true;
}

static void skip_blanks(struct eas_bytes *rest)
{
    while (skip(rest, " \t")) {
    }
}

/* In thousandths; 0 is "0", or no weight of RFC 9110. */
static int number_of(struct eas_bytes *rest)
{
    int q = rest->len > 0 ? *rest->at - '0' : -1, digits;

    if (!skip(rest, "01")) {
        return 0;
    }
    skip(rest, ".");
    for (digits = 0; digits < 3; digits++) {
        q *= 10;
        if (rest->len > 0 && apr_isdigit(*rest->at)) {
            q += *rest->at++ - '0';
            rest->len--;
        }
    }
    while (skip(rest, "0123456789")) {
    }
    return q <= 1000 ? q : 0;
}

static int weight_of(struct eas_bytes rest)
{
    int q;

    skip_blanks(&rest);
    if (rest.len == 0) {
        return 1000;
    }
    if (!skip(&rest, ";")) {
        return 0;
    }
    skip_blanks(&rest);
    if (!skip(&rest, "qQ") || !skip(&rest, "=")) {
        return 0;
    }
    q = number_of(&rest);
    skip_blanks(&rest);
    return rest.len == 0 ? q : 0;
}

/* Cuts the next range, with its weight, from the header. */
static struct eas_bytes next_item(struct eas_bytes *rest)
{
    const unsigned char *comma = memchr(rest->at, ',', rest->len);
    struct eas_bytes item =
        eas_bytes_make(rest->at, comma != NULL ? (apr_size_t)(comma - rest->at) : rest->len);

    rest->at += item.len;
    rest->len -= item.len;
    skip(rest, ",");
    skip_blanks(&item);
    return item;
}

int eas_accept_language_choose(const char *header, const char *const *tags, int count)
{
    struct eas_bytes rest = { (const unsigned char *)header,
                              header != NULL ? strnlen(header, HEADER_MAX) : 0 };
    int best = 0, best_weight = 0, ranges;

    for (ranges = 0; rest.len > 0 && ranges < RANGES_MAX; ranges++) {
        struct eas_bytes params = next_item(&rest), range = { params.at, 0 };
        int weight, found;

        while (skip(&params, ALNUM "-*")) {
            range.len++;
        }
        weight = weight_of(params);
        if (weight > best_weight && range.len <= TAG_MAX) {
            found = find(range, tags, count);
            best = found >= 0 ? found : best;
            best_weight = found >= 0 ? weight : best_weight;
        }
    }
    return best;
}
