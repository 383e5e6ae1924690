/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/http.c - HTTP/1.1 client for one request, without its body */

#include "delegation/check/http.h"
#include "auth/base/clock.h"
#include "delegation/check/resolve.h"

#include <apr_cstr.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_uri.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define HEAD_MAX 65536
#define END_POINT "tls-server-end-point:"

struct eas_http {
    apr_pool_t *pool;
    const struct eas_http_target *target;
    int fd;
    apr_time_t until; /* of eas_clock_now(): the end of the step */
    SSL_CTX *ssl_ctx;
    SSL *ssl; /* NULL: plain HTTP */
    unsigned char binding[sizeof(END_POINT) - 1 + EVP_MAX_MD_SIZE];
    size_t binding_len;
};

bool eas_http_parse(apr_pool_t *pool, const char *url, struct eas_http_target *target_out)
{
    apr_uri_t uri;

    if (apr_uri_parse(pool, url, &uri) != APR_SUCCESS || uri.scheme == NULL || uri.hostname == NULL
        || *uri.hostname == '\0') {
        return false;
    }
    target_out->tls = apr_cstr_casecmp(uri.scheme, "https") == 0;
    target_out->host = uri.hostname;
    target_out->port = uri.port_str != NULL ? uri.port_str : target_out->tls ? "443" : "80";
    target_out->path =
        apr_pstrcat(pool, uri.path != NULL ? uri.path : "/", uri.query != NULL ? "?" : "",
                    uri.query != NULL ? uri.query : "", NULL);
    return target_out->tls || apr_cstr_casecmp(uri.scheme, "http") == 0;
}

static apr_status_t close_connection(void *data)
{
    struct eas_http *http = data;

    SSL_free(http->ssl);
    SSL_CTX_free(http->ssl_ctx);
    if (http->fd >= 0) {
        close(http->fd);
    }
    return APR_SUCCESS;
}

/* For the next call.  SO_SNDTIMEO ends connect(), too (socket(7)).  False if the time is over. */
static bool set_limit(int fd, apr_time_t until)
{
    apr_interval_time_t left = until - eas_clock_now();
    const struct timeval limit = { (time_t)apr_time_sec(left), (suseconds_t)apr_time_usec(left) };

    return left > 0 && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0
           && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0;
}

static int connect_to(const struct addrinfo *address, apr_time_t until)
{
    int fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -1;
    }
    if (!set_limit(fd, until) || connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static enum eas_http_problem open_socket(struct eas_http *http, const char **detail_out)
{
    struct addrinfo *found, *address;
    int code = eas_resolve(http->target->host, http->target->port, 0, http->until, &found);

    if (code != 0) {
        *detail_out = gai_strerror(code);
        return EAS_HTTP_DOWN;
    }
    for (address = found; address != NULL && http->fd < 0; address = address->ai_next) {
        http->fd = connect_to(address, http->until);
    }
    freeaddrinfo(found);
    *detail_out = http->fd >= 0 ? "" : "no address answers";
    return http->fd >= 0 ? EAS_HTTP_OPEN : EAS_HTTP_DOWN;
}

/* The digest of the signature; SHA-256 instead of MD5 and SHA-1 (RFC 5929 section 4.1). */
static void note_binding(struct eas_http *http, X509 *certificate)
{
    const size_t prefix = sizeof(END_POINT) - 1;
    const EVP_MD *md = NULL;
    int digest = NID_undef;
    unsigned len;

    if (X509_get_signature_info(certificate, &digest, NULL, NULL, NULL) == 1 && digest != NID_md5
        && digest != NID_sha1) {
        md = EVP_get_digestbynid(digest);
    }
    if (X509_digest(certificate, md != NULL ? md : EVP_sha256(), http->binding + prefix, &len)
        == 1) {
        memcpy(http->binding, END_POINT, prefix);
        http->binding_len = prefix + len;
    }
}

static bool start_tls(struct eas_http *http, const char *ca_file)
{
    const char *host = http->target->host;

    http->ssl_ctx = SSL_CTX_new(TLS_client_method());
    if (http->ssl_ctx == NULL
        || (ca_file != NULL ? SSL_CTX_load_verify_locations(http->ssl_ctx, ca_file, NULL)
                            : SSL_CTX_set_default_verify_paths(http->ssl_ctx))
               != 1) {
        return false;
    }
    /* check_certificate() names the reason, after the handshake. */
    SSL_CTX_set_verify(http->ssl_ctx, SSL_VERIFY_NONE, NULL);
    http->ssl = SSL_new(http->ssl_ctx);
    if (http->ssl == NULL || SSL_set_fd(http->ssl, http->fd) != 1) {
        return false;
    }
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(http->ssl), host) != 1
        && (SSL_set1_host(http->ssl, host) != 1
            || SSL_set_tlsext_host_name(http->ssl, host) != 1)) {
        return false;
    }
    return set_limit(http->fd, http->until) && SSL_connect(http->ssl) == 1;
}

static enum eas_http_problem check_certificate(struct eas_http *http, const char **detail_out)
{
    long result = SSL_get_verify_result(http->ssl);
    X509 *certificate = SSL_get0_peer_certificate(http->ssl);
    char subject[256] = "";

    if (certificate != NULL) {
        note_binding(http, certificate);
        X509_NAME_oneline(X509_get_subject_name(certificate), subject, sizeof(subject));
    }
    *detail_out = apr_psprintf(http->pool, "%s, %s%s%s", SSL_get_version(http->ssl), subject,
                               result == X509_V_OK ? "" : ": ",
                               result == X509_V_OK ? "" : X509_verify_cert_error_string(result));
    return result == X509_V_OK ? EAS_HTTP_OPEN
           : result == X509_V_ERR_HOSTNAME_MISMATCH || result == X509_V_ERR_IP_ADDRESS_MISMATCH
               ? EAS_HTTP_NAME
               : EAS_HTTP_CHAIN;
}

enum eas_http_problem eas_http_open(apr_pool_t *pool, const struct eas_http_target *target,
                                    const char *ca_file, apr_interval_time_t timeout,
                                    struct eas_http **http_out, const char **detail_out)
{
    struct eas_http *http = apr_pcalloc(pool, sizeof(*http));
    enum eas_http_problem problem;

    http->pool = pool;
    http->target = target;
    http->fd = -1;
    http->until = eas_clock_now() + timeout;
    ERR_clear_error();
    apr_pool_cleanup_register(pool, http, close_connection, apr_pool_cleanup_null);
    problem = open_socket(http, detail_out);
    if (problem == EAS_HTTP_OPEN && target->tls) {
        if (start_tls(http, ca_file)) {
            problem = check_certificate(http, detail_out);
        }
        else {
            const char *reason = ERR_reason_error_string(ERR_peek_last_error());

            *detail_out = reason != NULL ? reason : "no TLS handshake";
            problem = EAS_HTTP_NO_TLS;
        }
    }
    *http_out = http;
    return problem;
}

struct eas_bytes eas_http_binding(const struct eas_http *http)
{
    return eas_bytes_make(http->binding, http->binding_len);
}

/* --- one exchange ----------------------------------------------------------------------------- */

static bool send_all(struct eas_http *http, const char *text)
{
    size_t len = strlen(text);

    while (len > 0 && set_limit(http->fd, http->until)) {
        ssize_t n = http->ssl != NULL ? SSL_write(http->ssl, text, (int)len)
                                      : send(http->fd, text, len, MSG_NOSIGNAL);

        if (n <= 0) {
            return false;
        }
        text += n;
        len -= (size_t)n;
    }
    return len == 0;
}

/* NULL unless the empty line has come. */
static char *read_head(struct eas_http *http)
{
    char *head = apr_palloc(http->pool, HEAD_MAX + 1), *end = NULL;
    size_t len = 0;

    while (end == NULL && len < HEAD_MAX && set_limit(http->fd, http->until)) {
        ssize_t n = http->ssl != NULL ? SSL_read(http->ssl, head + len, (int)(HEAD_MAX - len))
                                      : recv(http->fd, head + len, HEAD_MAX - len, 0);

        if (n <= 0) {
            return NULL;
        }
        len += (size_t)n;
        head[len] = '\0';
        end = strstr(head, "\r\n\r\n");
    }
    if (end != NULL) {
        end[2] = '\0';
    }
    return end != NULL ? head : NULL;
}

bool eas_http_parse_response(apr_pool_t *pool, const char *head,
                             struct eas_http_response *response_out)
{
    char *copy = apr_pstrdup(pool, head), *state, *line = apr_strtok(copy, "\r\n", &state);

    if (line == NULL || strncmp(line, "HTTP/1.", 7) != 0 || strlen(line) < 12 || line[8] != ' '
        || !apr_isdigit(line[9]) || !apr_isdigit(line[10]) || !apr_isdigit(line[11])) {
        return false;
    }
    response_out->status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + line[11] - '0';
    response_out->headers = apr_table_make(pool, 16);
    while ((line = apr_strtok(NULL, "\r\n", &state)) != NULL) {
        char *colon = strchr(line, ':');

        if (colon == NULL) {
            return false;
        }
        *colon++ = '\0';
        apr_table_add(response_out->headers, line, colon + strspn(colon, " \t"));
    }
    return true;
}

bool eas_http_exchange(struct eas_http *http, const char *authorization,
                       struct eas_http_response *response_out)
{
    const struct eas_http_target *target = http->target;
    bool activesync = apr_cstr_casecmpn(target->path, "/Microsoft-Server-ActiveSync", 28) == 0;
    const char *request = apr_pstrcat(
        http->pool, activesync ? "OPTIONS " : "GET ", target->path,
        " HTTP/1.1\r\nHost: ", target->host, ":", target->port,
        "\r\nUser-Agent: eas-kcd-check/" EAS_KCD_VERSION "\r\nConnection: close\r\n",
        authorization != NULL ? "Authorization: " : "", authorization != NULL ? authorization : "",
        authorization != NULL ? "\r\n" : "", "\r\n", NULL);
    const char *head = send_all(http, request) ? read_head(http) : NULL;

    return head != NULL && eas_http_parse_response(http->pool, head, response_out);
}
