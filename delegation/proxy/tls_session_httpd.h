/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/tls_session_httpd.h - TLS sessions with backends, resumed by later connections */

#ifndef EAS_DELEGATION_PROXY_TLS_SESSION_HTTPD_H
#define EAS_DELEGATION_PROXY_TLS_SESSION_HTTPD_H

#include "delegation/proxy/exchange_httpd.h"

#include <mod_ssl_openssl.h>

/*
 * Each user's connection would make a full handshake, and parse a certificate of its own.  Therefore
 * the session of one is remembered, and later ones to the same backend resume it.  Their certificate
 * is a reference to that of the full handshake; a channel binding hashes it.
 *
 * A resumed handshake verifies no certificate: OpenSSL calls no verify callback and reads no CRL.
 * mod_ssl still compares its name and its time.  Hence these rules:
 *  - Only connections of exchanges in a user's name, with EasKcdBackendResume On, have part in it.
 *  - A session is resumed for five minutes from its full handshake, so that each certificate is
 *    verified anew after that.  A resumed connection's own tickets are not remembered.
 *  - A session whose verification failed is not remembered where SSLProxyVerify asks for one, which
 *    includes optional_no_ca.
 *  - None is remembered where CRLs are read.  mod_ssl asks no OCSP responder about a backend.
 *  - A session belongs to the SSL_CTX, virtual host, worker, name and address of its connection.
 *    A host or <Proxy> with other CAs, or another client certificate, has another SSL_CTX.  mod_ssl's
 *    session id context is that of the virtual host.
 *  - Before TLS 1.3, a session must have the extended master secret (RFC 7627).  Without it, a man in
 *    the middle can have two sessions with one secret (triple handshake).  tls-server-end-point would
 *    survive that, since it hashes the certificate; a requirement costs less than to rely on it.
 *  - Nothing is sent as early data, which could be replayed.
 *  - A session whose certificate has ended since is not resumed.
 *  - A refused token, a failed handshake, a failed mutual authentication or a connection without a
 *    response ends all sessions of the worker.  Otherwise, a backend with Extended Protection and a new
 *    certificate would resume the old one's sessions, and refuse the tokens bound to it.  The second
 *    try of the request makes a full handshake.
 *  - Sessions are in the memory of one child.  Each connection gets a copy, because no two threads may
 *    use the same SSL_SESSION.  There are 64 at most; the oldest makes room.
 */

/* Per child. */
void eas_tls_session_child_init(apr_pool_t *pchild);

/* Before a connection's handshake; the exchange is that of the thread, or NULL.  Offers a session. */
void eas_tls_session_begin(struct eas_exchange *exchange, const conn_rec *c, SSL *ssl);

/* After it. */
void eas_tls_session_end(struct eas_exchange *exchange, const conn_rec *c, SSL *ssl);

/*
 * A read from the backend's connection has returned, so that a ticket would have come: TLS 1.3 sends
 * it after the handshake.  Remembers the session unless it was resumed.
 */
void eas_tls_session_remember(const struct eas_exchange *exchange, const conn_rec *c);

/* The backend has served the exchange: it accepts what the connection has resumed, if anything. */
void eas_tls_session_succeed(const struct eas_exchange *exchange);

/*
 * The exchange has failed: no connection resumes what is remembered of its worker.  by_resumption:
 * in such a way that, if it has resumed a session, this may be the reason.
 */
void eas_tls_session_fail(const struct eas_exchange *exchange, bool by_resumption);

#endif
