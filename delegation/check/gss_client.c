/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/gss_client.c - token and AP-REP by libgssapi, a second opinion to token.h */

#include "delegation/check/gss_client.h"

#include <apr_encode.h>
#include <apr_strings.h>
#include <gssapi/gssapi.h>
#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <string.h>

static gss_OID_desc spnego = { 6, (void *)"\x2b\x06\x01\x05\x05\x02" };

struct eas_gss_client {
    apr_pool_t *pool;
    krb5_context krb5;
    krb5_ccache ccache;
    gss_cred_id_t credential;
    gss_name_t server;
    gss_ctx_id_t context;
    struct gss_channel_bindings_struct bindings;
};

static apr_status_t close_client(void *data)
{
    struct eas_gss_client *client = data;
    OM_uint32 ignored;

    gss_delete_sec_context(&ignored, &client->context, GSS_C_NO_BUFFER);
    gss_release_cred(&ignored, &client->credential);
    gss_release_name(&ignored, &client->server);
    if (client->ccache != NULL) {
        krb5_cc_destroy(client->krb5, client->ccache);
    }
    if (client->krb5 != NULL) {
        krb5_free_context(client->krb5);
    }
    return APR_SUCCESS;
}

/* A ccache that holds the ticket, for a server of the ticket's own name and realm. */
static krb5_error_code fill_ccache(struct eas_gss_client *client, const struct eas_ticket *ticket,
                                   char **ccache_name, char **server_name)
{
    krb5_creds creds = *eas_ticket_creds(ticket);
    krb5_ticket *decoded = NULL;
    krb5_error_code code = krb5_init_context(&client->krb5);

    if (code == 0) {
        code = krb5_decode_ticket(&creds.ticket, &decoded);
    }
    if (code == 0) {
        creds.server = decoded->server;
        code = krb5_cc_new_unique(client->krb5, "MEMORY", NULL, &client->ccache);
    }
    if (code == 0) {
        code = krb5_cc_initialize(client->krb5, client->ccache, creds.client);
    }
    if (code == 0) {
        code = krb5_cc_store_cred(client->krb5, client->ccache, &creds);
    }
    if (code == 0) {
        code = krb5_cc_get_full_name(client->krb5, client->ccache, ccache_name);
    }
    if (code == 0) {
        code = krb5_unparse_name(client->krb5, creds.server, server_name);
    }
    krb5_free_ticket(client->krb5, decoded);
    return code;
}

static const char *describe(apr_pool_t *pool, OM_uint32 major, OM_uint32 minor)
{
    gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
    OM_uint32 ignored, more = 0;
    const char *copy;
    int type = minor != 0 ? GSS_C_MECH_CODE : GSS_C_GSS_CODE;

    gss_display_status(&ignored, minor != 0 ? minor : major, type, GSS_C_NO_OID, &more, &text);
    copy = apr_pstrmemdup(pool, text.value != NULL ? text.value : "", text.length);
    gss_release_buffer(&ignored, &text);
    return copy;
}

/* Makes the credential and the name of the server. */
static OM_uint32 acquire(struct eas_gss_client *client, const char *ccache, char *server,
                         OM_uint32 *minor)
{
    gss_key_value_element_desc element = { "ccache", ccache };
    const gss_key_value_set_desc store = { 1, &element };
    gss_OID_set_desc mechanisms = { 1, &spnego };
    gss_buffer_desc name = { strlen(server), server };
    OM_uint32 major = gss_acquire_cred_from(minor, GSS_C_NO_NAME, 0, &mechanisms, GSS_C_INITIATE,
                                            &store, &client->credential, NULL, NULL);

    return major != GSS_S_COMPLETE
               ? major
               : gss_import_name(minor, &name, GSS_KRB5_NT_PRINCIPAL_NAME, &client->server);
}

static OM_uint32 step(struct eas_gss_client *client, gss_buffer_t in, gss_buffer_t out,
                      OM_uint32 *minor)
{
    bool bound = client->bindings.application_data.length > 0;

    return gss_init_sec_context(
        minor, client->credential, &client->context, client->server, &spnego, GSS_C_MUTUAL_FLAG, 0,
        bound ? &client->bindings : GSS_C_NO_CHANNEL_BINDINGS, in, NULL, out, NULL, NULL);
}

struct eas_gss_client *eas_gss_client_begin(apr_pool_t *pool, const struct eas_ticket *ticket,
                                            struct eas_bytes binding, const char **value_out)
{
    struct eas_gss_client *client = apr_pcalloc(pool, sizeof(*client));
    gss_buffer_desc token = GSS_C_EMPTY_BUFFER;
    char *ccache = NULL, *server = NULL;
    OM_uint32 major = GSS_S_FAILURE, minor;

    client->pool = pool;
    client->bindings.application_data.value = apr_pmemdup(pool, binding.at, binding.len);
    client->bindings.application_data.length = binding.len;
    apr_pool_cleanup_register(pool, client, close_client, apr_pool_cleanup_null);
    minor = (OM_uint32)fill_ccache(client, ticket, &ccache, &server);
    if (minor == 0) {
        major = acquire(client, ccache, server, &minor);
    }
    if (major == GSS_S_COMPLETE) {
        major = step(client, GSS_C_NO_BUFFER, &token, &minor);
    }
    krb5_free_string(client->krb5, ccache);
    krb5_free_unparsed_name(client->krb5, server);
    if (GSS_ERROR(major)) {
        *value_out = describe(pool, major, minor);
        return NULL;
    }
    *value_out = apr_pstrcat(
        pool, "Negotiate ",
        apr_pencode_base64_binary(pool, token.value, (apr_ssize_t)token.length, 0, NULL), NULL);
    gss_release_buffer(&minor, &token);
    return client;
}

bool eas_gss_client_verify(struct eas_gss_client *client, const char *value)
{
    gss_buffer_desc in, out = GSS_C_EMPTY_BUFFER;
    OM_uint32 major, minor;
    apr_size_t len;

    value += strcspn(value, " ");
    in.value = (void *)apr_pdecode_base64_binary(client->pool, value + strspn(value, " "),
                                                 APR_ENCODE_STRING, APR_ENCODE_NONE, &len);
    in.length = len;
    if (in.value == NULL) {
        return false;
    }
    major = step(client, &in, &out, &minor);
    gss_release_buffer(&minor, &out);
    return major == GSS_S_COMPLETE;
}
