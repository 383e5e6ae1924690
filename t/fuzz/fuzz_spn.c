/* SPDX-License-Identifier: Apache-2.0 */
/* t/fuzz/fuzz_spn.c - fuzz target of delegation/kerberos/spn: a pattern and a worker's host */

#include "t/fuzz/fuzz.h"

#include "delegation/kerberos/spn.h"

/* One service, one host, no realm, and nothing that krb5 reads otherwise. */
static void check_spn(const char *spn)
{
    const char *slash = strchr(spn, '/');

    check(slash != NULL && slash != spn && slash[1] != '\0' && strchr(slash + 1, '/') == NULL);
    for (; *spn != '\0'; spn++) {
        check(*spn > ' ' && *spn < 0x7f && *spn != '\\' && *spn != '@');
    }
}

/* The SPN is the pattern with the host, less a dot at its end, for each %h, and a percent sign for
   each %%. */
static void check_expansion(const char *spn, const char *pattern, const char *host)
{
    size_t len = strlen(host);

    if (len > 1 && host[len - 1] == '.') {
        len--;
    }
    for (; *pattern != '\0'; pattern++) {
        if (*pattern != '%') {
            check(*spn++ == *pattern);
        }
        else if (*++pattern == '%') {
            check(*spn++ == '%');
        }
        else {
            check(strncmp(spn, host, len) == 0);
            spn += len;
        }
    }
    check(*spn == '\0');
}

/* A pattern of good pieces is one, and expands; with a bad piece it is none. */
static void check_made(apr_pool_t *pool, struct eas_bytes input)
{
    static const char *const good[] = { "a", "Z", "9", "-", ".", "_", "%h", "%%", ":", "$" };
    static const char *const bad[] = { "/",    "@R", " ",  "\\",       "\t",
                                       "\x7f", "%x", "%H", "\xc3\xa4", "%" };
    const char *host = "cas-1.eas_test.example", *spn = NULL;
    unsigned which = fuzz_octet(&input) % (sizeof(bad) / sizeof(*bad));
    char *pattern = apr_pcalloc(pool, 2 * input.len + 16), *at = pattern;
    struct eas_err err;

    for (at += sprintf(at, "HTTP/a"); input.len > 0;) {
        at += sprintf(at, "%s", good[fuzz_octet(&input) % (sizeof(good) / sizeof(*good))]);
    }
    if (at - pattern > 400) {
        return;
    }
    check(eas_spn_check(pattern) == NULL);
    check(eas_spn_expand(pool, pattern, host, &spn, &err) == EAS_OK);
    check_expansion(spn, pattern, host);
    sprintf(at, "%s", bad[which]);
    check(eas_spn_check(pattern) != NULL);
}

static void fuzz(apr_pool_t *pool, struct eas_bytes input)
{
    struct eas_bytes pieces = input;
    const char *pattern = fuzz_text(pool, &input), *host = fuzz_text(pool, &input), *spn = NULL;
    struct eas_err err = { EAS_OK, 0, "" };
    enum eas_rc rc;

    check_made(pool, pieces);
    if (eas_spn_check(pattern) != NULL) {
        return;
    }
    rc = eas_spn_expand(pool, pattern, host, &spn, &err);
    if (rc == EAS_OK) {
        check(*host != '\0' && strlen(host) <= 255);
        check_spn(spn);
        check_expansion(spn, pattern, host);
    }
    else {
        check(rc == EAS_MISCONFIGURED && err.tag == 2001 && spn == NULL);
    }
}
