/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/key.c - key versions and encryption types of the keytab and of tickets */

#include "delegation/check/key.h"

#include <apr_strings.h>
#include <string.h>

/* AD counts in 16 bits.  The others are the number of a read-only domain controller ([MS-KILE]). */
#define KVNO_MASK 0xffff

bool eas_key_is_rc4(krb5_enctype enctype)
{
    return enctype == ENCTYPE_ARCFOUR_HMAC || enctype == ENCTYPE_ARCFOUR_HMAC_EXP;
}

static const char *describe(apr_pool_t *pool, unsigned kvno, krb5_enctype enctype)
{
    char name[64];

    if (krb5_enctype_to_name(enctype, FALSE, name, sizeof(name)) != 0) {
        apr_snprintf(name, sizeof(name), "enctype %d", (int)enctype);
    }
    return apr_psprintf(pool, "kvno %u (%s)", kvno, name);
}

void eas_key_list(apr_pool_t *pool, struct eas_keytab *keytab, struct eas_key_list *list_out)
{
    krb5_keytab handle = eas_keytab_handle(keytab);
    krb5_context ctx = NULL;
    krb5_kt_cursor cursor;
    krb5_keytab_entry entry;

    *list_out = (struct eas_key_list){ .text = "", .only_rc4 = true };
    if (krb5_init_context(&ctx) != 0) {
        return;
    }
    if (krb5_kt_start_seq_get(ctx, handle, &cursor) == 0) {
        while (krb5_kt_next_entry(ctx, handle, &entry, &cursor) == 0) {
            if (krb5_principal_compare(ctx, entry.principal, eas_keytab_principal(keytab))) {
                list_out->text =
                    apr_pstrcat(pool, list_out->text, *list_out->text != '\0' ? ", " : "",
                                describe(pool, entry.vno, entry.key.enctype), NULL);
                list_out->newest = entry.vno > list_out->newest ? entry.vno : list_out->newest;
                list_out->only_rc4 = list_out->only_rc4 && eas_key_is_rc4(entry.key.enctype);
            }
            krb5_free_keytab_entry_contents(ctx, &entry);
        }
        krb5_kt_end_seq_get(ctx, handle, &cursor);
    }
    krb5_free_context(ctx);
}

bool eas_key_of_ticket(apr_pool_t *pool, const krb5_creds *ticket, struct eas_key *key_out)
{
    krb5_ticket *decoded;

    if (krb5_decode_ticket(&ticket->ticket, &decoded) != 0) {
        return false;
    }
    key_out->kvno = decoded->enc_part.kvno & KVNO_MASK;
    key_out->enctype = decoded->enc_part.enctype;
    key_out->text = describe(pool, key_out->kvno, key_out->enctype);
    krb5_free_ticket(NULL, decoded);
    return true;
}

bool eas_key_decrypts(krb5_context ctx, struct eas_keytab *keytab, const krb5_creds *ticket)
{
    krb5_ticket *decoded;
    bool decrypts;

    if (krb5_decode_ticket(&ticket->ticket, &decoded) != 0) {
        return false;
    }
    decrypts = krb5_server_decrypt_ticket_keytab(ctx, eas_keytab_handle(keytab), decoded) == 0;
    krb5_free_ticket(ctx, decoded);
    return decrypts;
}

enum eas_finding eas_key_finding(const struct eas_key *key, const struct eas_key_list *list)
{
    unsigned newest = list->newest & KVNO_MASK;

    return key->kvno > newest    ? EAS_FINDING_KEYTAB_OLD
           : key->kvno == newest ? EAS_FINDING_KEYTAB_FOREIGN
                                 : EAS_FINDING_KEYTAB_KEY;
}
