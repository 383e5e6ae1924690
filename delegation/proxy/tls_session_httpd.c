/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/tls_session_httpd.c - TLS sessions with backends, resumed by later connections */

#include "delegation/proxy/tls_session_httpd.h"
#include "auth/base/clock.h"
#include "auth/base/module_httpd.h"
#include "delegation/proxy/resumption.h"

#include <apr_strings.h>
#include <http_log.h>
#include <openssl/x509_vfy.h>
#include <pthread.h>

#define SESSIONS_MAX 64
#define STOP_LOCK (APR_USEC_PER_SEC / 10)

/* mod_proxy's note: the name that mod_ssl sends as SNI, and compares with the certificate's. */
#define HOST_NAME "proxy-request-hostname"

/* Of a connection whose handshake was a full one: struct handshake. */
#define HANDSHAKE "eas-kcd:tls-session"

struct handshake {
    SSL *ssl; /* NULL: nothing more is to be done */
    apr_time_t since;
};

/* A session belongs to all of these. */
struct key {
    const SSL_CTX *context;
    const server_rec *server;
    const void *backend; /* the worker's connections */
    char name[256];
    char address[64];
};

struct entry {
    struct key key;
    SSL_CTX *context;     /* a reference, so that no other one gets its address; NULL: unused */
    SSL_SESSION *session; /* no connection uses it, each has a copy; NULL: forgotten */
    struct eas_resumption state;
    apr_time_t changed;
};

/* Of a child. */
struct eas_tls_session_store {
    pthread_mutex_t mutex;
    struct entry entries[SESSIONS_MAX]; /* under the mutex */
};

static struct eas_tls_session_store *lock_store(void)
{
    struct eas_tls_session_store *store = eas_module_process()->tls_session;

    pthread_mutex_lock(&store->mutex);
    return store;
}

static void unlock(struct eas_tls_session_store *store)
{
    pthread_mutex_unlock(&store->mutex);
}

static void drop_session(struct entry *entry)
{
    SSL_SESSION_free(entry->session);
    entry->session = NULL;
}

static void drop_entry(struct entry *entry)
{
    drop_session(entry);
    SSL_CTX_free(entry->context);
    memset(entry, 0, sizeof(*entry));
}

/* prefork runs this in a signal handler, which may have interrupted a holder of the mutex. */
static apr_status_t stop(void *data)
{
    struct eas_tls_session_store *store = data;
    int i;

    if (eas_clock_lock(&store->mutex, eas_clock_now() + STOP_LOCK) == 0) {
        for (i = 0; i < SESSIONS_MAX; i++) {
            drop_entry(&store->entries[i]);
        }
        unlock(store);
    }
    return APR_SUCCESS;
}

void eas_tls_session_child_init(apr_pool_t *pchild)
{
    struct eas_tls_session_store *store = apr_pcalloc(pchild, sizeof(*store));

    pthread_mutex_init(&store->mutex, NULL);
    eas_module_process()->tls_session = store;
    apr_pool_cleanup_register(pchild, store, stop, apr_pool_cleanup_null);
}

/* False: the connection's sessions are not remembered. */
static bool make_key(struct key *key, const struct eas_exchange *exchange, const conn_rec *c,
                     const SSL *ssl)
{
    const char *name = apr_table_get(c->notes, HOST_NAME);

    if (name == NULL || strlen(name) >= sizeof(key->name) || c->client_addr == NULL) {
        return false;
    }
    key->context = SSL_get_SSL_CTX(ssl);
    key->server = c->base_server;
    key->backend = exchange->connections;
    apr_cpystrn(key->name, name, sizeof(key->name));
    apr_snprintf(key->address, sizeof(key->address), "%pI", c->client_addr);
    return true;
}

static bool is_equal(const struct key *a, const struct key *b)
{
    return a->context == b->context && a->server == b->server && a->backend == b->backend
           && strcmp(a->name, b->name) == 0 && strcmp(a->address, b->address) == 0;
}

/* NULL: there is none. */
static struct entry *find(struct eas_tls_session_store *store, const struct key *key)
{
    int i;

    for (i = 0; i < SESSIONS_MAX; i++) {
        if (store->entries[i].context != NULL && is_equal(&store->entries[i].key, key)) {
            return &store->entries[i];
        }
    }
    return NULL;
}

/* An unused one, else the one that has not changed for longest. */
static struct entry *find_room(struct eas_tls_session_store *store)
{
    struct entry *oldest = &store->entries[0];
    int i;

    for (i = 0; i < SESSIONS_MAX && oldest->context != NULL; i++) {
        if (store->entries[i].context == NULL || store->entries[i].changed < oldest->changed) {
            oldest = &store->entries[i];
        }
    }
    return oldest;
}

static struct entry *find_or_make(struct eas_tls_session_store *store, const struct key *key,
                                  SSL_CTX *context)
{
    struct entry *entry = find(store, key);

    if (entry == NULL && SSL_CTX_up_ref(context) == 1) {
        entry = find_room(store);
        drop_entry(entry);
        entry->key = *key;
        entry->context = context;
    }
    return entry;
}

static bool has_ended(SSL_SESSION *session)
{
    const X509 *certificate = SSL_SESSION_get0_peer(session);

    return certificate == NULL || X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0;
}

/* A copy of what is remembered, or NULL. */
static SSL_SESSION *copy_remembered(const struct key *key)
{
    SSL_SESSION *copy = NULL;
    struct eas_tls_session_store *store = lock_store();
    struct entry *entry = find(store, key);

    if (entry != NULL && entry->session != NULL) {
        if (eas_resumption_is_current(&entry->state, eas_clock_now())
            && !has_ended(entry->session)) {
            copy = SSL_SESSION_dup(entry->session);
        }
        else {
            drop_session(entry);
        }
    }
    unlock(store);
    return copy;
}

/* Whether the connection offers a session to the backend. */
static bool offer(const struct eas_exchange *exchange, const conn_rec *c, SSL *ssl)
{
    SSL_SESSION *session;
    struct key key;
    bool offers;

    if (!make_key(&key, exchange, c, ssl)) {
        return false;
    }
    session = copy_remembered(&key);
    offers = session != NULL && SSL_set_session(ssl, session) == 1;
    SSL_SESSION_free(session); /* the SSL has a reference */
    return offers;
}

void eas_tls_session_begin(struct eas_exchange *exchange, const conn_rec *c, SSL *ssl)
{
    struct handshake *handshake;

    if (exchange == NULL || !exchange->may_resume) {
        return;
    }
    handshake = apr_palloc(c->pool, sizeof(*handshake));
    handshake->ssl = ssl;
    handshake->since = eas_clock_now();
    apr_pool_userdata_setn(handshake, HANDSHAKE, NULL, c->pool);
    exchange->resumed = offer(exchange, c, ssl);
}

static struct handshake *handshake_of(const conn_rec *c)
{
    void *handshake = NULL;

    apr_pool_userdata_get(&handshake, HANDSHAKE, c->pool);
    return handshake;
}

void eas_tls_session_end(struct eas_exchange *exchange, const conn_rec *c, SSL *ssl)
{
    struct handshake *handshake = handshake_of(c);

    if (exchange == NULL || handshake == NULL) {
        return;
    }
    exchange->resumed = SSL_session_reused(ssl) != 0;
    if (exchange->resumed) {
        handshake->ssl = NULL;
        ap_log_cerror(APLOG_MARK, APLOG_TRACE1, 0, c, "has resumed a TLS session with the backend");
    }
}

static bool looks_up_revocation(SSL *ssl)
{
    const X509_STORE *store = SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl));
    unsigned long flags = X509_VERIFY_PARAM_get_flags(SSL_get0_param(ssl));

    if (store != NULL) {
        flags |= X509_VERIFY_PARAM_get_flags(X509_STORE_get0_param(store));
    }
    return (flags & (X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL)) != 0;
}

static struct eas_resumption_facts facts_of(SSL *ssl, const SSL_SESSION *session)
{
    struct eas_resumption_facts facts = {
        .resumed = SSL_session_reused(ssl) != 0,
        .resumable = SSL_SESSION_is_resumable(session) == 1,
        .verifies = (SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) != 0,
        .verified = SSL_get_verify_result(ssl) == X509_V_OK,
        .revocation = looks_up_revocation(ssl),
        .tls13 = SSL_version(ssl) >= TLS1_3_VERSION,
        .extended_secret = SSL_get_extms_support(ssl) == 1,
    };

    return facts;
}

static void put(const struct key *key, const struct handshake *handshake, SSL_SESSION *session)
{
    apr_time_t now = eas_clock_now();
    SSL_SESSION *copy = SSL_SESSION_dup(session);
    struct eas_tls_session_store *store = lock_store();
    struct entry *entry = find_or_make(store, key, SSL_get_SSL_CTX(handshake->ssl));

    if (entry != NULL && copy != NULL
        && eas_resumption_begin(&entry->state, handshake->since, now)) {
        drop_session(entry);
        entry->session = copy;
        entry->changed = now;
        copy = NULL;
    }
    unlock(store);
    SSL_SESSION_free(copy);
}

void eas_tls_session_remember(const struct eas_exchange *exchange, const conn_rec *c)
{
    struct handshake *handshake = exchange->may_resume ? handshake_of(c) : NULL;
    struct eas_resumption_facts facts;
    SSL_SESSION *session;
    struct key key;

    if (handshake == NULL || handshake->ssl == NULL) {
        return;
    }
    session = SSL_get1_session(handshake->ssl);
    if (session == NULL || !SSL_SESSION_is_resumable(session)) {
        SSL_SESSION_free(session);
        return; /* its ticket may come later */
    }
    facts = facts_of(handshake->ssl, session);
    if (eas_resumption_permits(&facts) && make_key(&key, exchange, c, handshake->ssl)) {
        put(&key, handshake, session);
    }
    SSL_SESSION_free(session);
    handshake->ssl = NULL;
}

void eas_tls_session_succeed(const struct eas_exchange *exchange)
{
    struct eas_tls_session_store *store;
    int i;

    if (!exchange->resumed) {
        return;
    }
    store = lock_store();
    for (i = 0; i < SESSIONS_MAX; i++) {
        if (store->entries[i].key.backend == exchange->connections) {
            eas_resumption_succeed(&store->entries[i].state);
        }
    }
    unlock(store);
}

void eas_tls_session_fail(const struct eas_exchange *exchange, bool by_resumption)
{
    apr_time_t now = eas_clock_now();
    struct eas_tls_session_store *store = lock_store();
    int i;

    for (i = 0; i < SESSIONS_MAX; i++) {
        struct entry *entry = &store->entries[i];

        if (entry->context != NULL && entry->key.backend == exchange->connections) {
            drop_session(entry);
            eas_resumption_fail(&entry->state, by_resumption && exchange->resumed, now);
        }
    }
    unlock(store);
}
