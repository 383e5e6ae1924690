/* SPDX-License-Identifier: Apache-2.0 */
/* t/fuzz/fuzz_accept_language.c - fuzz target of auth/login/accept_language */

#include "t/fuzz/fuzz.h"

#include "auth/login/accept_language.h"

#include <apr_strings.h>

static const char *const tags[] = { "en", "de", "fr", "pt", "pt-BR", "zh-TW", "he" };
#define COUNT ((int)(sizeof(tags) / sizeof(tags[0])))

static void fuzz(apr_pool_t *pool, struct eas_bytes input)
{
    int wanted = fuzz_octet(&input) % COUNT;
    const char *header = fuzz_text(pool, &input);
    int found = eas_accept_language_choose(header, tags, COUNT);

    check(found >= 0 && found < COUNT);
    check(found == eas_accept_language_choose(header, tags, COUNT));

    /* The first range with the highest weight decides, and beyond the limits nothing does. */
    check(
        eas_accept_language_choose(apr_pstrcat(pool, tags[wanted], ",", header, NULL), tags, COUNT)
        == wanted);
    check(eas_accept_language_choose(
              apr_pstrcat(pool, apr_psprintf(pool, "%1024s", ""), header, NULL), tags, COUNT)
          == 0);
    check(strlen(header) == 0 || eas_accept_language_choose(header, tags, 1) == 0);
    eas_accept_language_is_tag(header);
}
