/* SPDX-License-Identifier: Apache-2.0 */
/* t/fuzz/fuzz_answer.c - fuzz target of delegation/check: answers of backends, flags in a PAC */

#include "t/fuzz/fuzz.h"

#include "auth/base/utf8.h"
#include "delegation/check/answer.h"
#include "delegation/check/logon_info.h"

#include <apr_strings.h>

/* --- PAC -------------------------------------------------------------------------------------- */

#define FIXED 236
#define PROTECTED_USERS 525

static void check_text(const char *text)
{
    check(text == NULL || eas_utf8_is_valid(text, strlen(text)));
}

static void check_any_octets(apr_pool_t *pool, struct eas_bytes input)
{
    struct eas_logon_info info;

    eas_logon_info_read(pool, input, &info);
    check_text(info.account);
    check_text(eas_logon_info_upn(pool, input));
}

/* Groups that are put behind a name are those that are found. */
static void check_groups(apr_pool_t *pool, struct eas_bytes input)
{
    size_t count = input.len / 2, i;
    unsigned char *octets = apr_pcalloc(pool, FIXED + 4 + 8 * count);
    struct eas_logon_info info;
    bool is_protected = false;

    octets[128] = (unsigned char)count;
    octets[129] = (unsigned char)(count >> 8);
    octets[132] = 1;
    for (i = 0; i < count; i++) {
        unsigned char *group = octets + FIXED + 4 + 8 * i;

        group[0] = input.at[2 * i];
        group[1] = input.at[2 * i + 1] & 3; /* the wanted RID is among 1024 */
        is_protected = is_protected || (group[0] | group[1] << 8) == PROTECTED_USERS;
    }
    eas_logon_info_read(pool, eas_bytes_make(octets, FIXED + 4 + 8 * count), &info);
    check(info.protected_user == is_protected && !info.sensitive && !info.transition);
    /* Without its last octet, the array is none. */
    eas_logon_info_read(pool, eas_bytes_make(octets, FIXED + 3 + 8 * count), &info);
    check(!info.protected_user);
}

/* --- HTTP ------------------------------------------------------------------------------------- */

static bool is_offer(enum eas_finding finding)
{
    return finding == EAS_FINDING_NONE
           || (finding >= EAS_FINDING_OFFERS_BASIC && finding <= EAS_FINDING_OFFERS_NOTHING);
}

/* A further challenge of Negotiate is found in any 401, and in nothing else. */
static void check_head(apr_pool_t *pool, struct eas_bytes input)
{
    const char *head = apr_pstrmemdup(pool, (const char *)input.at, input.len);
    struct eas_http_response response;

    if (!eas_http_parse_response(pool, head, &response)) {
        return;
    }
    check(response.status >= 0 && response.status <= 999);
    check(is_offer(eas_answer_offer(&response)));
    apr_table_add(response.headers, "WWW-Authenticate", "Basic realm=\"x\", Negotiate");
    check((eas_answer_offer(&response) == EAS_FINDING_NONE) == (response.status == 401));
}

static void fuzz(apr_pool_t *pool, struct eas_bytes input)
{
    check_any_octets(pool, input);
    check_groups(pool, input);
    check_head(pool, input);
}
