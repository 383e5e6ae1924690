/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/gss_token.c - tokens and verification by GSSAPI (EasKcdToken gssapi) */

#include "delegation/kerberos/gss_token.h"
#include "auth/kerberos/spnego.h"

#include <apr_escape.h>
#include <apr_strings.h>
#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <string.h>

#define FLAGS                                                                      \
    (GSS_C_MUTUAL_FLAG | GSS_C_REPLAY_FLAG | GSS_C_SEQUENCE_FLAG | GSS_C_CONF_FLAG \
     | GSS_C_INTEG_FLAG)

/* 1.3.6.1.5.5.2 */
static const gss_OID_desc spnego = { 6, (void *)"\x2b\x06\x01\x05\x05\x02" };

struct eas_gss_token {
    apr_pool_t *pool;
    gss_cred_id_t cred; /* empty after the first token; without it, GSSAPI takes a default one */
    gss_ctx_id_t context;
    gss_name_t target;
};

static apr_status_t end(void *data)
{
    struct eas_gss_token *made = data;
    OM_uint32 minor;

    gss_delete_sec_context(&minor, &made->context, GSS_C_NO_BUFFER);
    gss_release_cred(&minor, &made->cred);
    gss_release_name(&minor, &made->target);
    return APR_SUCCESS;
}

static const char *words_of_krb5(krb5_context ctx, apr_pool_t *pool, krb5_error_code code)
{
    const char *words = krb5_get_error_message(ctx, code), *copy = apr_pstrdup(pool, words);

    krb5_free_error_message(ctx, words);
    return copy;
}

const char *eas_gss_token_words(apr_pool_t *pool, unsigned major, unsigned minor)
{
    gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
    OM_uint32 more = 0, ignored;
    const char *words = "no reason given";

    if (gss_display_status(&ignored, minor != 0 ? minor : major,
                           minor != 0 ? GSS_C_MECH_CODE : GSS_C_GSS_CODE, GSS_C_NO_OID, &more,
                           &text)
        == GSS_S_COMPLETE) {
        words = apr_pstrmemdup(pool, text.value, text.length);
    }
    gss_release_buffer(&ignored, &text);
    return words;
}

/* --- the credential --------------------------------------------------------------------------- */

const char *eas_gss_token_secret_name(apr_pool_t *pool)
{
    unsigned char random[16];

    return RAND_bytes(random, sizeof(random)) == 1 ? apr_pstrcat(
               pool, "MEMORY:", apr_pescape_hex(pool, random, sizeof(random), 0), NULL)
                                                   : NULL;
}

static krb5_error_code check_ticket(krb5_context ctx, const krb5_creds *creds)
{
    krb5_timestamp now;
    krb5_error_code code;

    if (creds->ticket.length == 0 || creds->client == NULL) {
        return KRB5_NO_TKT_SUPPLIED;
    }
    /* GSSAPI would look for a TGT instead. */
    code = krb5_timeofday(ctx, &now);
    if (code == 0 && (uint32_t)now >= (uint32_t)creds->times.endtime) {
        code = KRB5KRB_AP_ERR_TKT_EXPIRED;
    }
    return code;
}

/* Under the server's name in the ticket: after a referral, the name in the request is another. */
static krb5_error_code store_ticket(krb5_context ctx, krb5_ccache ccache, const krb5_creds *creds,
                                    krb5_principal server)
{
    krb5_creds copy = { .client = creds->client,
                        .server = server,
                        .keyblock = creds->keyblock,
                        .times = creds->times,
                        .ticket_flags = creds->ticket_flags,
                        .ticket = creds->ticket };
    krb5_error_code code = krb5_cc_initialize(ctx, ccache, copy.client);

    return code != 0 ? code : krb5_cc_store_cred(ctx, ccache, &copy);
}

static OM_uint32 acquire(OM_uint32 *minor, const char *name, gss_cred_id_t *cred)
{
    gss_key_value_element_desc elements[] = { { "ccache", name }, { "client_keytab", name } };
    const gss_key_value_set_desc store = { 2, elements };
    gss_OID_set_desc outer = { 1, (gss_OID)&spnego }, inner = { 1, (gss_OID)gss_mech_krb5 };
    OM_uint32 major = gss_acquire_cred_from(minor, GSS_C_NO_NAME, GSS_C_INDEFINITE, &outer,
                                            GSS_C_INITIATE, &store, cred, NULL, NULL);

    return major != GSS_S_COMPLETE ? major : gss_set_neg_mechs(minor, *cred, &inner);
}

/*
 * Whether the credential is the user's.  A mechanism that interposes (gssproxy) may take another
 * than that of the ccache.
 */
static bool is_of(gss_cred_id_t cred, const char *client)
{
    gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
    gss_name_t name = GSS_C_NO_NAME;
    OM_uint32 minor;
    bool is = gss_inquire_cred(&minor, cred, &name, NULL, NULL, NULL) == GSS_S_COMPLETE
              && gss_display_name(&minor, name, &text, NULL) == GSS_S_COMPLETE
              && text.length == strlen(client) && memcmp(text.value, client, text.length) == 0;

    gss_release_buffer(&minor, &text);
    gss_release_name(&minor, &name);
    return is;
}

/* As a principal's name: GSSAPI canonicalizes only the names of hosts. */
static OM_uint32 import_target(OM_uint32 *minor, char *text, gss_name_t *target)
{
    gss_buffer_desc name = { strlen(text), text };

    return gss_import_name(minor, &name, (gss_OID)GSS_KRB5_NT_PRINCIPAL_NAME, target);
}

/* --- the token -------------------------------------------------------------------------------- */

static OM_uint32 init_context(OM_uint32 *minor, struct eas_gss_token *made,
                              struct eas_bytes binding, gss_buffer_t out)
{
    /* Without addresses: their type is GSS_C_AF_UNSPEC, 0, as in RFC 4121 section 4.1.1.2. */
    struct gss_channel_bindings_struct channel = { .application_data = { binding.len,
                                                                         (void *)binding.at } };

    return gss_init_sec_context(minor, made->cred, &made->context, made->target, (gss_OID)&spnego,
                                FLAGS, 0, binding.len > 0 ? &channel : GSS_C_NO_CHANNEL_BINDINGS,
                                GSS_C_NO_BUFFER, NULL, out, NULL, NULL);
}

/* The names that GSSAPI gets. */
struct names {
    const char *ccache;
    char *client;
    char *target;
};

static const char *begin(apr_pool_t *pool, struct eas_gss_token *made, const struct names *names,
                         struct eas_bytes binding, struct eas_secret **token)
{
    gss_buffer_desc out = GSS_C_EMPTY_BUFFER;
    OM_uint32 minor = 0, ignored, major = import_target(&minor, names->target, &made->target);
    const char *words = NULL;

    if (major == GSS_S_COMPLETE) {
        major = acquire(&minor, names->ccache, &made->cred);
    }
    if (major == GSS_S_COMPLETE && !is_of(made->cred, names->client)) {
        return "GSSAPI takes the credential of another user";
    }
    if (major == GSS_S_COMPLETE) {
        major = init_context(&minor, made, binding, &out);
    }
    /* Not complete before the AP-REP. */
    if (major != GSS_S_CONTINUE_NEEDED || out.length == 0) {
        words = eas_gss_token_words(pool, major, minor);
    }
    else {
        *token = eas_secret_make(pool, out.value, out.length);
        OPENSSL_cleanse(out.value, out.length);
    }
    gss_release_buffer(&ignored, &out);
    return words;
}

/* The ccache lives for this call; destroying it wipes the copy of the session key. */
static const char *begin_with_ccache(krb5_context ctx, apr_pool_t *pool, struct eas_gss_token *made,
                                     const krb5_creds *creds, struct eas_bytes binding,
                                     struct eas_secret **token)
{
    struct names names = { eas_gss_token_secret_name(pool), NULL, NULL };
    const char *words = NULL;
    krb5_ccache ccache = NULL;
    krb5_ticket *ticket = NULL;
    krb5_error_code code = check_ticket(ctx, creds);

    if (names.ccache == NULL) {
        code = KRB5_CRYPTO_INTERNAL;
    }
    if (code == 0) {
        code = krb5_decode_ticket(&creds->ticket, &ticket);
    }
    if (code == 0) {
        code = krb5_unparse_name(ctx, creds->client, &names.client);
    }
    if (code == 0) {
        code = krb5_unparse_name(ctx, ticket->server, &names.target);
    }
    if (code == 0) {
        code = krb5_cc_resolve(ctx, names.ccache, &ccache);
    }
    if (code == 0) {
        code = store_ticket(ctx, ccache, creds, ticket->server);
    }
    words = code != 0 ? words_of_krb5(ctx, pool, code) : begin(pool, made, &names, binding, token);
    if (ccache != NULL) {
        krb5_cc_destroy(ctx, ccache);
    }
    krb5_free_unparsed_name(ctx, names.client);
    krb5_free_unparsed_name(ctx, names.target);
    krb5_free_ticket(ctx, ticket);
    return words;
}

const char *eas_gss_token_make(krb5_context ctx, apr_pool_t *pool, const struct eas_ticket *ticket,
                               struct eas_bytes binding, struct eas_gss_token **made,
                               struct eas_secret **token)
{
    const char *words;

    *made = apr_pcalloc(pool, sizeof(**made)); /* no credential, no context, no name */
    (*made)->pool = pool;
    words = begin_with_ccache(ctx, pool, *made, eas_ticket_creds(ticket), binding, token);
    if (words != NULL) {
        end(*made);
    }
    else {
        apr_pool_cleanup_register(pool, *made, end, apr_pool_cleanup_null);
    }
    return words;
}

const char *eas_gss_token_verify(struct eas_gss_token *made, apr_pool_t *pool,
                                 struct eas_bytes reply)
{
    gss_buffer_desc in = { reply.len, (void *)reply.at }, out = GSS_C_EMPTY_BUFFER;
    OM_uint32 minor = 0, ignored, flags = 0, major;
    gss_OID mechanism = GSS_C_NO_OID;
    const char *words = NULL;
    struct eas_bytes ap_rep;

    if (made->context == GSS_C_NO_CONTEXT) {
        return "an earlier reply to this token was wrong";
    }
    /* GSSAPI keeps an entry for ever for each error code in a KRB-ERROR. */
    if (!eas_spnego_find_ap_rep(reply, &ap_rep)) {
        apr_pool_cleanup_run(made->pool, made, end);
        return "the reply has no AP-REP";
    }
    major = gss_init_sec_context(&minor, made->cred, &made->context, made->target, (gss_OID)&spnego,
                                 FLAGS, 0, GSS_C_NO_CHANNEL_BINDINGS, &in, &mechanism, &out, &flags,
                                 NULL);
    if (GSS_ERROR(major)) {
        words = eas_gss_token_words(pool, major, minor);
    }
    /* HTTP has no room for a third token. */
    else if (major != GSS_S_COMPLETE || out.length > 0) {
        words = "the backend wants another token";
    }
    else if (!gss_oid_equal(mechanism, gss_mech_krb5) || (flags & GSS_C_MUTUAL_FLAG) == 0) {
        words = "the exchange has ended without mutual authentication by Kerberos";
    }
    gss_release_buffer(&ignored, &out);
    apr_pool_cleanup_run(made->pool, made, end);
    return words;
}
