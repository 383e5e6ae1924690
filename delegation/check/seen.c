/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/seen.c - errors that a KDC has returned in one conversation */

#include "delegation/check/seen.h"
#include "auth/kerberos/kdc_message.h"

#include <apr_strings.h>

static void observe(struct eas_kdc *kdc, const krb5_data *reply)
{
    struct eas_seen *seen = kdc->observer;
    int code = eas_kdc_message_error(eas_bytes_make(reply->data, reply->length));

    if (code >= 0) {
        seen->last = (struct eas_seen_error){ code, kdc->ntstatus };
        if (seen->first.code < 0) {
            seen->first = seen->last;
        }
    }
}

void eas_seen_attach(struct eas_seen *seen, struct eas_kdc *kdc)
{
    seen->first = seen->last = (struct eas_seen_error){ -1, 0 };
    kdc->observe = observe;
    kdc->observer = seen;
}

const char *eas_seen_text(apr_pool_t *pool, const struct eas_seen_error *error, int tag)
{
    const char *text = "no answer of a KDC", *message;

    if (error->code >= 0) {
        message = krb5_get_error_message(NULL, ERROR_TABLE_BASE_krb5 + error->code);
        text = apr_psprintf(pool, "the KDC answers %d, %s", error->code, message);
        krb5_free_error_message(NULL, message);
    }
    if (error->ntstatus != 0) {
        text = apr_psprintf(pool, "%s, NTSTATUS 0x%08x", text, error->ntstatus);
    }
    return tag != 0 ? apr_psprintf(pool, "%s (EAS%d)", text, tag) : text;
}
