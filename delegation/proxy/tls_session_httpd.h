/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/tls_session_httpd.h - TLS sessions with backends, resumed by later connections */

#ifndef EAS_DELEGATION_PROXY_TLS_SESSION_HTTPD_H
#define EAS_DELEGATION_PROXY_TLS_SESSION_HTTPD_H

#include "delegation/proxy/exchange_httpd.h"

#include <mod_ssl_openssl.h>

/*
 * Each user's connection would make a full handshake and parse a certificate of its own.  Therefore
 * the session of one is remembered, and later ones to the same backend resume it.  The certificate is
 * then a reference to that of the full handshake.
 *
 * What a resumed handshake omits is the verification of the certificate: OpenSSL calls no verify
 * callback and reads no CRL.  mod_ssl still compares its name and its time.  Hence:
 *  - Only connections of exchanges in a user's name, with EasKcdBackendResume On, have part in it.
 *  - A session is resumed for five minutes from its full handshake, so that each certificate is
 *    verified anew after that.  A resumed connection's own tickets are not remembered.
 *  - None is remembered whose verification failed where SSLProxyVerify asks for one, which includes
 *    optional_no_ca.  None is where certificates are looked up in CRLs.  mod_ssl asks no OCSP
 *    responder about a backend.
 *  - A session belongs to the SSL_CTX, virtual host, worker, name and address of its connection.
 *    Another host or <Proxy> with other CAs, or another certificate of its own, has another SSL_CTX.
 *    The virtual host decides the session id context of mod_ssl.
 *  - Before TLS 1.3, the session must have the extended master secret (RFC 7627).  Without it, a
 *    man in the middle can make two sessions with one secret (triple handshake).  The channel binding
 *    hashes a certificate and not that secret, but no backend needs to be trusted to care.
 *  - Nothing is sent as early data, which could be replayed.
 *  - A certificate that has ended since is verified anew.
 *  - A refused token, a failed handshake, a failed mutual authentication or a connection without a
 *    response ends all sessions of the worker.  After an exchange of its certificate, a backend with
 *    Extended Protection may resume a session and refuse tokens that are bound to the old one.  The
 *    request's second try then makes a full handshake.
 *  - Sessions are in the memory of one child, and each connection gets a copy of its own: no two
 *    threads use the same SSL_SESSION.  There are 64 at most; the oldest makes room.
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
