/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/outgoing_httpd.c - the guard on every outgoing connection of the process */

#include "delegation/proxy/outgoing_httpd.h"
#include "auth/request_httpd.h"

#include <apr_escape.h>
#include <apr_optional_hooks.h>
#include <apr_strings.h>
#include <http_connection.h>
#include <http_core.h>
#include <mod_ssl_openssl.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <stdatomic.h>
#include <util_filter.h>

#define GUARD_FILTER "EAS_KCD_GUARD"

/* What the channel binding of a TLS connection begins with (RFC 5929 section 4.1). */
#define END_POINT "tls-server-end-point:"

/* What the guard knows of a connection; in the connection's pool. */
struct guarded {
    struct eas_connection *connection; /* NULL before its first exchange */
    bool greeted;                      /* the TLS handshake, if there is one, is over */
    bool alien;                        /* has carried what no exchange knows of */
    bool answered;                     /* the backend has sent something */
    apr_uint64_t authorized;           /* the last exchange whose token it carries */
    char binding[sizeof(END_POINT) - 1 + EVP_MAX_MD_SIZE];
    apr_size_t binding_len; /* 0: no TLS */
};

static _Thread_local struct eas_exchange *current;

/* Of this child; no client can know it. */
static char placeholder[sizeof("Negotiate ") + 32];

/* A variant of the module, built for tests alone, has no veto: they test the check at the write. */
#ifdef EAS_TEST_NO_VETO
static const bool veto = false;
#else
static const bool veto = true;
#endif

const char *eas_outgoing_placeholder(void)
{
    return placeholder;
}

struct eas_exchange *eas_outgoing_begin(struct eas_exchange *exchange)
{
    static _Atomic apr_uint64_t last_serial;
    struct eas_exchange *interrupted = current;

    exchange->serial = atomic_fetch_add(&last_serial, 1) + 1;
    exchange->connection = NULL;
    exchange->pooled = false;
    exchange->heard = false;
    exchange->settled = false;
    exchange->unsent = false;
    exchange->pending = NULL;
    exchange->failure.rc = EAS_OK;
    current = exchange;
    return interrupted;
}

void eas_outgoing_end(struct eas_exchange *exchange, struct eas_exchange *interrupted)
{
    if (exchange->connection != NULL) {
        if (!exchange->settled) {
            eas_connection_abandon(exchange->connection, exchange->serial);
        }
        eas_connection_unref(exchange->connection);
        exchange->connection = NULL;
    }
    current = interrupted;
}

void eas_outgoing_release(struct eas_exchange *exchange)
{
    if (exchange->connection != NULL) {
        eas_connection_release(exchange->connection, exchange->serial, apr_time_now());
        exchange->settled = true;
    }
}

static const char *current_owner(void)
{
    return current != NULL ? current->owner : NULL;
}

static apr_uint64_t current_serial(void)
{
    return current != NULL ? current->serial : 0;
}

static void hang_up(void *socket)
{
    apr_socket_shutdown(socket, APR_SHUTDOWN_READWRITE);
}

static apr_status_t close_connection(void *data)
{
    eas_connection_close(data);
    return APR_SUCCESS;
}

/* May the current exchange have a connection from mod_proxy's pool? */
static bool may_go_on(const struct guarded *guarded)
{
    return guarded->connection != NULL
               ? eas_connection_take(guarded->connection, current_owner(), current_serial())
               : !guarded->alien || current_owner() == NULL;
}

/* Anything but metadata, and what the end of a connection leaves: a bucket of no length. */
static bool has_data(const apr_bucket_brigade *bb)
{
    const apr_bucket *b;

    for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb); b = APR_BUCKET_NEXT(b)) {
        if (!APR_BUCKET_IS_METADATA(b) && b->length != 0) {
            return true;
        }
    }
    return false;
}

static void hear(struct guarded *guarded)
{
    if (!guarded->answered) {
        guarded->answered = true;
        eas_connection_answered(guarded->connection);
    }
    if (current != NULL && current->connection == guarded->connection) {
        current->heard = true;
    }
}

/* mod_proxy looks whether a pooled connection is still alive by reading ahead without blocking. */
static apr_status_t guard_input(ap_filter_t *f, apr_bucket_brigade *bb, ap_input_mode_t mode,
                                apr_read_type_e block, apr_off_t readbytes)
{
    struct guarded *guarded = f->ctx;
    apr_status_t rv;

    if (veto && mode == AP_MODE_SPECULATIVE && !may_go_on(guarded)) {
        return APR_ECONNABORTED;
    }
    rv = ap_get_brigade(f->next, bb, mode, block, readbytes);
    if (guarded->connection != NULL && mode != AP_MODE_INIT && rv == APR_SUCCESS && has_data(bb)) {
        hear(guarded);
    }
    return rv;
}

/* Its first exchange: from now on it is known among the backend's connections. */
static void enlist(conn_rec *c, struct guarded *guarded)
{
    if (guarded->connection != NULL || guarded->alien) {
        return;
    }
    if (current == NULL) {
        guarded->alien = true; /* what mod_proxy does on its own account, such as health checks */
        return;
    }
    guarded->connection =
        eas_connection_open(current->siblings, hang_up, ap_get_conn_socket(c), apr_time_now());
    /* Before the socket's own cleanup, which gives its number to somebody else. */
    apr_pool_pre_cleanup_register(c->pool, guarded->connection, close_connection);
}

static enum eas_rc claim(const struct guarded *guarded, struct eas_err *err)
{
    struct eas_connection *connection = guarded->connection;

    if (connection == NULL && current_owner() == NULL) {
        return EAS_OK;
    }
    if (connection == NULL
        || !eas_connection_claim(connection, current_owner(), current_serial())) {
        return eas_fail(err, EAS_MISCONFIGURED, 2050,
                        "refused to use a backend connection that belongs to another request");
    }
    if (current != NULL && current->connection != connection) {
        eas_connection_unref(current->connection);
        current->connection = eas_connection_ref(connection);
        current->pooled = guarded->answered;
        current->heard = current->settled = false;
    }
    return EAS_OK;
}

/* The bucket that holds the placeholder, cut out of its neighbours, or NULL. */
static apr_bucket *find_placeholder(apr_bucket_brigade *bb)
{
    apr_size_t want = strlen(placeholder), len;
    const char *data, *found;
    apr_bucket *b;

    if (want == 0) {
        return NULL; /* eas_outgoing_child_init() found no randomness */
    }
    for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb); b = APR_BUCKET_NEXT(b)) {
        if (APR_BUCKET_IS_METADATA(b) || b->length == (apr_size_t)-1 || b->length < want
            || apr_bucket_read(b, &data, &len, APR_NONBLOCK_READ) != APR_SUCCESS) {
            continue;
        }
        found = memmem(data, len, placeholder, want);
        if (found != NULL) {
            if (found != data) {
                apr_bucket_split(b, (apr_size_t)(found - data));
                b = APR_BUCKET_NEXT(b);
            }
            if (b->length > want) {
                apr_bucket_split(b, want);
            }
            return b;
        }
    }
    return NULL;
}

/* Puts a token where the placeholder is; the body that follows the head needs none. */
static enum eas_rc authorize(struct guarded *guarded, apr_bucket_brigade *bb, struct eas_err *err)
{
    struct eas_channel_binding binding = { guarded->binding, guarded->binding_len };
    apr_bucket *place, *token;
    const char *value;
    enum eas_rc rc;

    place = find_placeholder(bb);
    if (place == NULL) {
        return guarded->authorized == current->serial
                   ? EAS_OK
                   : eas_fail(err, EAS_UNAVAILABLE, 2051,
                              "a request in a user's name was about to leave without a token");
    }
    rc = eas_kcd_token(current->account, current->r->pool, current->ticket,
                       current->bind && binding.len > 0 ? &binding : NULL, &value,
                       &current->pending, err);
    if (rc == EAS_OK) {
        token = apr_bucket_pool_create(value, strlen(value), current->r->pool, bb->bucket_alloc);
        APR_BUCKET_INSERT_BEFORE(place, token);
        apr_bucket_delete(place);
        guarded->authorized = current->serial;
    }
    return rc;
}

/* The handshake would otherwise begin with our first byte, and the channel be unknown until then. */
static apr_status_t shake_hands(conn_rec *c, apr_bucket_alloc_t *alloc)
{
    apr_bucket_brigade *none = apr_brigade_create(c->pool, alloc);
    apr_status_t rv = ap_get_brigade(c->input_filters, none, AP_MODE_INIT, APR_BLOCK_READ, 0);

    apr_brigade_destroy(none);
    return rv;
}

static apr_status_t refuse(ap_filter_t *f, apr_bucket_brigade *bb, const struct eas_err *err)
{
    if (current != NULL) {
        current->failure = *err;
    }
    else {
        ap_log_cerror(APLOG_MARK, APLOG_CRIT, 0, f->c, "EAS%04d: %s", err->tag, err->text);
    }
    f->c->aborted = 1; /* lest mod_proxy blame the client */
    apr_brigade_cleanup(bb);
    return APR_ECONNABORTED;
}

static apr_status_t guard_output(ap_filter_t *f, apr_bucket_brigade *bb)
{
    struct guarded *guarded = f->ctx;
    struct eas_err err;
    apr_status_t rv;

    if (!has_data(bb)) {
        return ap_pass_brigade(f->next, bb);
    }
    enlist(f->c, guarded);
    if (current != NULL && current->ticket != NULL && !guarded->greeted) {
        guarded->greeted = true;
        rv = shake_hands(f->c, bb->bucket_alloc);
        if (rv != APR_SUCCESS) {
            f->c->aborted = 1;
            return rv;
        }
    }
    if (claim(guarded, &err) != EAS_OK
        || (current != NULL && current->ticket != NULL && authorize(guarded, bb, &err) != EAS_OK)) {
        return refuse(f, bb, &err);
    }
    if (current != NULL) {
        /* Always: it stays with the pooled connection, where another exchange has left its own. */
        apr_socket_timeout_set(ap_get_conn_socket(f->c), current->timeout);
    }
    rv = ap_pass_brigade(f->next, bb);
    if (rv != APR_SUCCESS && current != NULL) {
        current->unsent = true;
    }
    return rv;
}

static int pre_connection(conn_rec *c, void *socket)
{
    (void)socket;
    if (c->outgoing) {
        struct guarded *guarded = apr_pcalloc(c->pool, sizeof(*guarded));

        ap_set_module_config(c->conn_config, &eas_kcd_module, guarded);
        ap_add_input_filter(GUARD_FILTER, guarded, NULL, c);
        ap_add_output_filter(GUARD_FILTER, guarded, NULL, c);
    }
    return OK;
}

/* The digest of the certificate's signature; SHA-256 for what is weaker (RFC 5929 section 4.1). */
static const EVP_MD *end_point_digest(X509 *certificate)
{
    int digest = NID_undef;
    const EVP_MD *md = NULL;

    if (X509_get_signature_info(certificate, &digest, NULL, NULL, NULL) == 1 && digest != NID_md5
        && digest != NID_sha1) {
        md = EVP_get_digestbynid(digest);
    }
    return md != NULL ? md : EVP_sha256();
}

static int proxy_post_handshake(conn_rec *c, SSL *ssl)
{
    struct guarded *guarded = ap_get_module_config(c->conn_config, &eas_kcd_module);
    X509 *certificate = SSL_get0_peer_certificate(ssl);
    const apr_size_t prefix = sizeof(END_POINT) - 1;
    unsigned len;

    if (guarded != NULL && certificate != NULL
        && X509_digest(certificate, end_point_digest(certificate),
                       (unsigned char *)guarded->binding + prefix, &len)
               == 1) {
        memcpy(guarded->binding, END_POINT, prefix);
        guarded->binding_len = prefix + len;
    }
    return OK;
}

void eas_outgoing_child_init(void)
{
    unsigned char random[16];

    /* Without randomness somebody could know it; then it stays empty, and is found nowhere. */
    if (RAND_bytes(random, sizeof(random)) == 1) {
        apr_cpystrn(placeholder, "Negotiate ", sizeof(placeholder));
        apr_escape_hex(placeholder + strlen("Negotiate "), random, sizeof(random), 0, NULL);
    }
}

void eas_outgoing_register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_pre_connection(pre_connection, NULL, NULL, APR_HOOK_MIDDLE);
    APR_OPTIONAL_HOOK(ssl, proxy_post_handshake, proxy_post_handshake, NULL, NULL, APR_HOOK_MIDDLE);
    /* Above mod_ssl's, so that they see requests and not TLS records. */
    ap_register_input_filter(GUARD_FILTER, guard_input, NULL, AP_FTYPE_CONNECTION);
    ap_register_output_filter(GUARD_FILTER, guard_output, NULL, AP_FTYPE_CONNECTION);
}
