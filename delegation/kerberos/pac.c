/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/pac.c - Account name in a ticket's PAC ([MS-PAC]) */

#include "delegation/kerberos/pac.h"

#include <apr_strings.h>
#include <string.h>

/*
 * NDR ([MS-RPCE] 2.2.6): two headers and a pointer, the fixed part of the structure, then what its
 * pointers point to, in their order.  That of EffectiveName is the first one.
 */
#define EFFECTIVE_NAME (20 + 48)
#define DEFERRED (20 + 216)

/* Before the characters of a string: their greatest count, an offset, their count. */
#define STRING_HEAD 12

static unsigned word(const unsigned char *at)
{
    return at[0] | (unsigned)at[1] << 8;
}

static unsigned long dword(const unsigned char *at)
{
    return word(at) | (unsigned long)word(at + 2) << 16;
}

/* The length of the character in UTF-8. */
static size_t put_utf8(unsigned long character, char *out)
{
    size_t more = character < 0x80 ? 0 : character < 0x800 ? 1 : character < 0x10000 ? 2 : 3, i;
    static const unsigned char lead[] = { 0x00, 0xc0, 0xe0, 0xf0 };

    out[0] = (char)(lead[more] | (character >> 6 * more));
    for (i = 1; i <= more; i++) {
        out[i] = (char)(0x80 | ((character >> 6 * (more - i)) & 0x3f));
    }
    return more + 1;
}

const char *eas_pac_utf8(apr_pool_t *pool, const unsigned char *utf16, size_t count)
{
    char *text = apr_palloc(pool, 3 * count + 1), *end = text;
    size_t i;

    for (i = 0; i < count; i++) {
        unsigned long character = word(utf16 + 2 * i);

        if (character >= 0xd800 && character < 0xdc00 && i + 1 < count
            && word(utf16 + 2 * i + 2) >> 10 == 0xdc00 >> 10) {
            i++;
            character = 0x10000 + ((character & 0x3ff) << 10) + (word(utf16 + 2 * i) & 0x3ff);
        }
        else if (character == 0 || (character >= 0xd800 && character < 0xe000)) {
            return NULL;
        }
        end += put_utf8(character, end);
    }
    *end = '\0';
    return text;
}

const char *eas_pac_effective_name(apr_pool_t *pool, struct eas_bytes logon_info)
{
    const unsigned char *string;
    size_t len;

    if (logon_info.len < DEFERRED + STRING_HEAD) {
        return NULL;
    }
    string = logon_info.at + DEFERRED;
    len = word(logon_info.at + EFFECTIVE_NAME);
    if (len == 0 || len % 2 != 0 || dword(logon_info.at + EFFECTIVE_NAME + 4) == 0
        || dword(string + 4) != 0 || dword(string + 8) != len / 2
        || len > logon_info.len - DEFERRED - STRING_HEAD) {
        return NULL;
    }
    return eas_pac_utf8(pool, string + STRING_HEAD, len / 2);
}

static struct eas_bytes read_pac(krb5_context ctx, apr_pool_t *pool, const krb5_authdata *authdata,
                                 krb5_ui_4 type)
{
    struct eas_bytes buffer = { NULL, 0 };
    krb5_data data = { 0 };
    krb5_pac pac;

    if (krb5_pac_parse(ctx, authdata->contents, authdata->length, &pac) != 0) {
        return buffer;
    }
    if (krb5_pac_get_buffer(ctx, pac, type, &data) == 0) {
        buffer = eas_bytes_make(apr_pmemdup(pool, data.data, data.length), data.length);
        krb5_free_data_contents(ctx, &data);
    }
    krb5_pac_free(ctx, pac);
    return buffer;
}

struct eas_bytes eas_pac_buffer(struct eas_kdc *kdc, apr_pool_t *pool, struct eas_keytab *keytab,
                                const struct eas_ticket *ticket, krb5_ui_4 type)
{
    krb5_authdata **authdata = NULL;
    krb5_ticket *decoded = NULL;
    struct eas_bytes buffer = { NULL, 0 };

    if (krb5_decode_ticket(&eas_ticket_creds(ticket)->ticket, &decoded) == 0
        && krb5_server_decrypt_ticket_keytab(kdc->ctx, eas_keytab_handle(keytab), decoded) == 0
        && krb5_find_authdata(kdc->ctx, decoded->enc_part2->authorization_data, NULL,
                              KRB5_AUTHDATA_WIN2K_PAC, &authdata)
               == 0
        && authdata != NULL && authdata[0] != NULL) {
        buffer = read_pac(kdc->ctx, pool, authdata[0], type);
    }
    krb5_free_authdata(kdc->ctx, authdata);
    krb5_free_ticket(kdc->ctx, decoded);
    return buffer;
}

const char *eas_pac_account(struct eas_kdc *kdc, apr_pool_t *pool, struct eas_keytab *keytab,
                            const struct eas_ticket *ticket)
{
    return eas_pac_effective_name(pool,
                                  eas_pac_buffer(kdc, pool, keytab, ticket, KRB5_PAC_LOGON_INFO));
}
