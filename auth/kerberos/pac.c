/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/pac.c - verified PAC of a ticket for the gateway ([MS-PAC]) */

#include "auth/kerberos/pac.h"

#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>

static struct eas_pac *make_fault(const char *fault)
{
    struct eas_pac *pac = calloc(1, sizeof(*pac));

    if (pac == NULL) {
        abort(); /* as APR's pools do */
    }
    pac->fault = fault;
    return pac;
}

void eas_pac_free(struct eas_pac *pac)
{
    free(pac);
}

/* A copy in the memory behind the structure. */
static char *put(char **room, const void *at, size_t len)
{
    char *copy = memcpy(*room, at, len);

    *room += len;
    return copy;
}

static const char *put_text(char **room, const char *text)
{
    return text != NULL ? put(room, text, strlen(text) + 1) : NULL;
}

static size_t size_of(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

static struct eas_pac *make(apr_pool_t *scratch, struct eas_bytes logon_info,
                            struct eas_bytes upn_info)
{
    const char *upn = eas_logon_info_text(scratch, eas_logon_info_upn(upn_info)), *account;
    struct eas_logon_info parsed;
    struct eas_pac *pac;
    char *room;

    if (!eas_logon_info_parse(logon_info, &parsed)) {
        return make_fault("the PAC in the ticket is malformed; report it");
    }
    account = eas_logon_info_text(scratch, parsed.name);
    pac = malloc(sizeof(*pac) + logon_info.len + size_of(account) + size_of(upn));
    if (pac == NULL) {
        abort();
    }
    room = (char *)(pac + 1);
    pac->fault = NULL;
    eas_logon_info_parse(eas_bytes_make(put(&room, logon_info.at, logon_info.len), logon_info.len),
                         &pac->logon_info);
    pac->account = put_text(&room, account);
    pac->upn = put_text(&room, upn);
    return pac;
}

static struct eas_bytes get_buffer(krb5_context ctx, krb5_pac pac, apr_pool_t *scratch,
                                   krb5_ui_4 type)
{
    struct eas_bytes buffer = { NULL, 0 };
    krb5_data data = { 0 };

    if (krb5_pac_get_buffer(ctx, pac, type, &data) == 0) {
        buffer = eas_bytes_make(apr_pmemdup(scratch, data.data, data.length), data.length);
        krb5_free_data_contents(ctx, &data);
    }
    return buffer;
}

static struct eas_pac *read_verified(krb5_context ctx, krb5_pac pac)
{
    struct eas_pac *made;
    apr_pool_t *scratch;

    apr_pool_create(&scratch, NULL);
    made = make(scratch, get_buffer(ctx, pac, scratch, KRB5_PAC_LOGON_INFO),
                get_buffer(ctx, pac, scratch, KRB5_PAC_UPN_DNS_INFO));
    apr_pool_destroy(scratch);
    return made;
}

/* More than one is none: libkrb5 does not say which one the KDC has put there. */
static struct eas_pac *read_authdata(krb5_context ctx, const krb5_enc_tkt_part *part,
                                     const krb5_keyblock *key)
{
    krb5_authdata **authdata = NULL;
    struct eas_pac *made;
    krb5_pac pac = NULL;

    if (krb5_find_authdata(ctx, part->authorization_data, NULL, KRB5_AUTHDATA_WIN2K_PAC, &authdata)
            != 0
        || authdata == NULL || authdata[0] == NULL || authdata[1] != NULL) {
        made = make_fault("the ticket has no PAC; clear NO_AUTH_DATA_REQUIRED in the "
                          "userAccountControl of the gateway's account");
    }
    else if (krb5_pac_parse(ctx, authdata[0]->contents, authdata[0]->length, &pac) != 0
             || krb5_pac_verify(ctx, pac, part->times.authtime, part->client, key, NULL) != 0) {
        made = make_fault("the PAC in the ticket is not signed by the KDC for this user");
    }
    else {
        made = read_verified(ctx, pac);
    }
    krb5_pac_free(ctx, pac);
    krb5_free_authdata(ctx, authdata);
    return made;
}

struct eas_pac *eas_pac_of_decrypted(krb5_context ctx, krb5_keytab keys, krb5_const_principal us,
                                     const krb5_ticket *ticket)
{
    struct eas_pac *made = NULL;
    krb5_keytab_entry entry;

    if (krb5_kt_get_entry(ctx, keys, us, ticket->enc_part.kvno, ticket->enc_part.enctype, &entry)
        == 0) {
        made = read_authdata(ctx, ticket->enc_part2, &entry.key);
        krb5_free_keytab_entry_contents(ctx, &entry);
    }
    return made;
}

struct eas_pac *eas_pac_read(krb5_context ctx, struct eas_keytab *keytab, const krb5_data *ticket)
{
    struct eas_pac *made = NULL;
    krb5_keytab keys;
    krb5_ticket *decoded;

    if (krb5_decode_ticket(ticket, &decoded) != 0) {
        return NULL;
    }
    /* Another process may have got the ticket, with a key that this one has not used yet. */
    eas_keytab_refresh(keytab);
    keys = eas_keytab_handle(keytab);
    if (krb5_server_decrypt_ticket_keytab(ctx, keys, decoded) == 0) {
        made = eas_pac_of_decrypted(ctx, keys, eas_keytab_principal(keytab), decoded);
    }
    krb5_free_ticket(ctx, decoded);
    return made;
}
