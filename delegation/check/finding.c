/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/finding.c - findings of eas-kcd-check: meanings and cures */

#include "delegation/check/finding.h"

#include <apr_strings.h>
#include <stdbool.h>
#include <string.h>

static const struct eas_finding_text texts[EAS_FINDING_COUNT] = {
    [EAS_FINDING_NONE] = { "", EAS_FINDING_WARNING, "", "", "" },
#define EAS_FINDING(constant, name, weight, meaning, powershell, samba) \
    [EAS_FINDING_##constant] = { name, EAS_FINDING_##weight, meaning, powershell, samba },
#include "delegation/check/findings.def"
#undef EAS_FINDING
};

static bool is_computer(const struct eas_finding_names *names)
{
    const char *account = names->account != NULL ? names->account : "";

    return *account != '\0' && account[strlen(account) - 1] == '$';
}

/* A name without a value stays as it is, in capitals: the reader fills it in. */
static const char *value_of(apr_pool_t *pool, const char *name, size_t len,
                            const struct eas_finding_names *names)
{
    const struct {
        const char *name, *value;
    } rows[] = {
        { "account", names->account },
        { "principal", names->principal },
        { "user", names->user },
        { "spn", names->spn },
        { "host", names->host },
        { "realm", names->realm },
        { "keytab", names->keytab },
        { "kdc", names->kdc },
        { "type", is_computer(names) ? "Computer" : "User" },
        { "class", is_computer(names) ? "computer" : "user" },
    };
    size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strlen(rows[i].name) == len && memcmp(rows[i].name, name, len) == 0) {
            char *placeholder = apr_pstrmemdup(pool, name, len);

            for (len = 0; placeholder[len] != '\0'; len++) {
                placeholder[len] = (char)(placeholder[len] - 'a' + 'A');
            }
            return rows[i].value != NULL ? rows[i].value : placeholder;
        }
    }
    return NULL;
}

static const char *expand(apr_pool_t *pool, const char *text, const struct eas_finding_names *names)
{
    const char *open, *close, *value, *out = "";

    while ((open = strchr(text, '{')) != NULL && (close = strchr(open, '}')) != NULL) {
        value = value_of(pool, open + 1, (size_t)(close - open - 1), names);
        if (value == NULL) { /* a brace of PowerShell's */
            close = open;
            value = "{";
        }
        out = apr_pstrcat(pool, out, apr_pstrmemdup(pool, text, (apr_size_t)(open - text)), value,
                          NULL);
        text = close + 1;
    }
    return apr_pstrcat(pool, out, text, NULL);
}

struct eas_finding_text eas_finding_text(apr_pool_t *pool, enum eas_finding finding,
                                         const struct eas_finding_names *names)
{
    struct eas_finding_text text = texts[finding];

    text.meaning = expand(pool, text.meaning, names);
    text.powershell = expand(pool, text.powershell, names);
    text.samba = expand(pool, text.samba, names);
    return text;
}
