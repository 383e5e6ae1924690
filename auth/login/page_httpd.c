/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/page_httpd.c - files of the login page, read at the start; headers of pages */

#include "auth/login/page_httpd.h"
#include "auth/config_httpd.h"
#include "auth/login/accept_language.h"
#include "auth/login/language.h"
#include "auth/login/page.h"

#include <apr_file_info.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <stdlib.h>

/* Enough for a page with inlined images. */
#define FILE_MAX_KB 256

/* More are not compared with a request's Accept-Language. */
#define LANGUAGES_MAX 100

#define SUFFIX ".txt"

const char *eas_page_set_info(cmd_parms *cmd, const char *kind, const char *value)
{
    struct eas_auth_server *conf = eas_auth_server_of(cmd->server);
    bool is_help = ap_cstr_casecmp(kind, "help") == 0;

    if (ap_cstr_casecmp(kind, "organization") == 0) {
        conf->site.organization = value;
        return NULL;
    }
    if (ap_cstr_casecmp(kind, "logo") == 0) {
        conf->login_logo = ap_server_root_relative(cmd->pool, value);
        return NULL;
    }
    if (!is_help && ap_cstr_casecmp(kind, "privacy") != 0) {
        return apr_psprintf(cmd->pool, "%s: '%s' is neither organization, logo, help nor privacy",
                            cmd->cmd->name, kind);
    }
    if (!eas_site_is_link(value)) {
        return apr_psprintf(cmd->pool,
                            "%s: '%s' must begin with https://, http://, mailto:, tel: or a slash",
                            cmd->cmd->name, value);
    }
    *(is_help ? &conf->site.help : &conf->site.privacy) = value;
    return NULL;
}

static enum eas_rc read_file(apr_pool_t *pool, const char *directive, const char *path,
                             struct eas_bytes *out, struct eas_err *err)
{
    apr_file_t *file;
    apr_finfo_t finfo;
    apr_size_t len;
    char *bytes, reason[120];
    apr_status_t rv = apr_file_open(&file, path, APR_FOPEN_READ, APR_FPROT_OS_DEFAULT, pool);

    if (rv == APR_SUCCESS) {
        rv = apr_file_info_get(&finfo, APR_FINFO_SIZE, file);
    }
    if (rv != APR_SUCCESS || finfo.size > (apr_off_t)FILE_MAX_KB * 1024) {
        return eas_fail(err, EAS_MISCONFIGURED, 3030,
                        "%s %s cannot be read or is larger than %d KB: %s", directive, path,
                        FILE_MAX_KB,
                        rv != APR_SUCCESS ? apr_strerror(rv, reason, sizeof(reason)) : "too large");
    }
    bytes = apr_palloc(pool, (apr_size_t)finfo.size + 1);
    if (apr_file_read_full(file, bytes, (apr_size_t)finfo.size, &len) != APR_SUCCESS) {
        len = 0; /* an empty page is refused */
    }
    bytes[len] = '\0';
    apr_file_close(file);
    *out = eas_bytes_make(bytes, len);
    return EAS_OK;
}

/* Puts directive and file before the text of an error. */
static enum eas_rc name_file(apr_pool_t *pool, const char *directive, const char *path,
                             struct eas_err *err)
{
    const char *text = apr_pstrdup(pool, err->text);

    return eas_fail(err, err->rc, err->tag, "%s %s: %s", directive, path, text);
}

static enum eas_rc add_language(apr_pool_t *pool, server_rec *s, apr_array_header_t *languages,
                                const char *directory, const char *name, struct eas_err *err)
{
    const char *path = apr_pstrcat(pool, directory, "/", name, NULL);
    const char *tag = apr_pstrndup(pool, name, strlen(name) - strlen(SUFFIX));
    const struct eas_language *language;
    struct eas_bytes file;
    enum eas_rc rc;

    if (!eas_accept_language_is_tag(tag) || languages->nelts >= LANGUAGES_MAX) {
        return eas_fail(err, EAS_MISCONFIGURED, 3150,
                        "EasKcdLoginLanguages %s: the name is no language tag, such as de" SUFFIX
                        " or pt-BR" SUFFIX ", or there are more than %d languages",
                        path, LANGUAGES_MAX);
    }
    rc = read_file(pool, "EasKcdLoginLanguages", path, &file, err);
    if (rc != EAS_OK) {
        return rc;
    }
    if (eas_language_add(pool, languages, tag, file, err) != EAS_OK) {
        return name_file(pool, "EasKcdLoginLanguages", path, err);
    }
    language = &APR_ARRAY_IDX(languages, eas_language_find(languages, tag), struct eas_language);
    if (language->missing > 0) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "EAS3151: %s lacks %d texts, which the page has in English; add them, as "
                     "build/languages/en.txt has them",
                     path, language->missing);
    }
    return EAS_OK;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The order does not depend on the file system. */
static apr_status_t list_files(apr_pool_t *pool, const char *directory, apr_array_header_t *names)
{
    apr_dir_t *dir;
    apr_finfo_t finfo;
    apr_status_t rv = apr_dir_open(&dir, directory, pool);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    while (apr_dir_read(&finfo, APR_FINFO_NAME, dir) == APR_SUCCESS) {
        apr_size_t len = strlen(finfo.name);

        if (len > strlen(SUFFIX) && strcmp(finfo.name + len - strlen(SUFFIX), SUFFIX) == 0) {
            APR_ARRAY_PUSH(names, const char *) = apr_pstrdup(pool, finfo.name);
        }
    }
    apr_dir_close(dir);
    qsort(names->elts, (size_t)names->nelts, sizeof(const char *), compare);
    return APR_SUCCESS;
}

static enum eas_rc read_languages(apr_pool_t *pool, server_rec *s, apr_array_header_t *languages,
                                  struct eas_err *err)
{
    const char *directory = eas_auth_server_of(s)->login_languages;
    apr_array_header_t *names = apr_array_make(pool, 16, sizeof(const char *));
    apr_status_t rv = directory != NULL ? list_files(pool, directory, names) : APR_SUCCESS;
    enum eas_rc rc = EAS_OK;
    char reason[120];
    int i;

    if (rv != APR_SUCCESS) {
        return eas_fail(err, EAS_MISCONFIGURED, 3152, "EasKcdLoginLanguages %s cannot be read: %s",
                        directory, apr_strerror(rv, reason, sizeof(reason)));
    }
    for (i = 0; rc == EAS_OK && i < names->nelts; i++) {
        rc =
            add_language(pool, s, languages, directory, APR_ARRAY_IDX(names, i, const char *), err);
    }
    return rc;
}

static enum eas_rc add_page(apr_pool_t *pool, const apr_array_header_t *languages, const char *path,
                            struct eas_template **template, struct eas_err *err)
{
    struct eas_bytes file;
    enum eas_rc rc;

    if (*path == '\0') {
        return eas_page_compile(pool, languages, NULL, 0, template, err);
    }
    rc = read_file(pool, "EasKcdLoginPage", path, &file, err);
    if (rc == EAS_OK
        && eas_page_compile(pool, languages, (const char *)file.at, file.len, template, err)
               != EAS_OK) {
        rc = name_file(pool, "EasKcdLoginPage", path, err);
    }
    return rc;
}

/* NULL: not a picture that all browsers show. */
static const char *type_of_picture(const char *path)
{
    static const char *const types[][2] = {
        { ".png", "image/png" }, { ".jpg", "image/jpeg" },  { ".jpeg", "image/jpeg" },
        { ".gif", "image/gif" }, { ".webp", "image/webp" }, { ".svg", "image/svg+xml" }
    };
    const char *dot = strrchr(path, '.');
    size_t i;

    for (i = 0; dot != NULL && i < sizeof(types) / sizeof(types[0]); i++) {
        if (ap_cstr_casecmp(dot, types[i][0]) == 0) {
            return types[i][1];
        }
    }
    return NULL;
}

static enum eas_rc prepare_site(apr_pool_t *pool, struct eas_auth_server *conf, struct eas_err *err)
{
    if (conf->authority != NULL && eas_auth_asks_kdc_first(conf)) {
        conf->site.realms = &conf->authority->realms;
    }
    if (eas_auth_serves_change(conf) && eas_auth_password_change(conf) == EAS_CHANGE_ON) {
        conf->site.change =
            apr_pstrcat(pool, eas_auth_login_path(conf), EAS_PAGE_CHANGE_PATH, NULL);
    }
    if (conf->login_logo == NULL) {
        return EAS_OK;
    }
    conf->logo_type = type_of_picture(conf->login_logo);
    if (conf->logo_type == NULL) {
        return eas_fail(err, EAS_MISCONFIGURED, 3153,
                        "EasKcdLoginInfo logo %s: the name must end in .png, .jpg, .jpeg, .gif, "
                        ".webp or .svg",
                        conf->login_logo);
    }
    conf->site.logo = apr_pstrcat(pool, eas_auth_login_path(conf), EAS_PAGE_LOGO, NULL);
    return read_file(pool, "EasKcdLoginInfo logo", conf->login_logo, &conf->logo, err);
}

struct eas_page eas_page_begin(request_rec *r, enum eas_page_reason reason)
{
    const struct eas_auth_server *conf = eas_auth_server_of(r->server);
    const char *title = ap_auth_name(r);

    return (struct eas_page){
        .title = title != NULL ? title : r->server->server_hostname,
        .reason = reason,
        .site = &conf->site,
        .variant = eas_page_choose(eas_auth_login_page(conf),
                                   apr_table_get(r->headers_in, "Accept-Language")),
    };
}

void eas_page_set_headers(request_rec *r)
{
    r->no_cache = 1; /* CacheStoreNoStore makes mod_cache ignore no-store */
    apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->err_headers_out, "Content-Security-Policy", eas_page_csp());
    apr_table_setn(r->err_headers_out, "X-Frame-Options", "DENY");
    apr_table_setn(r->err_headers_out, "X-Content-Type-Options", "nosniff");
    apr_table_setn(r->err_headers_out, "Referrer-Policy", "same-origin");
}

void eas_page_set_type(request_rec *r, const struct eas_page *page)
{
    const struct eas_template *template = eas_auth_login_page(eas_auth_server_of(r->server));

    r->content_languages = apr_array_make(r->pool, 1, sizeof(const char *));
    APR_ARRAY_PUSH(r->content_languages, const char *) = eas_page_language(template, page->variant);
    ap_set_content_type(r, "text/html; charset=utf-8");
}

int eas_page_send_logo(request_rec *r)
{
    const struct eas_auth_server *conf = eas_auth_server_of(r->server);

    if (conf->logo_type == NULL) {
        return HTTP_NOT_FOUND;
    }
    ap_set_content_type(r, conf->logo_type);
    ap_set_content_length(r, (apr_off_t)conf->logo.len);
    if (!r->header_only) {
        ap_rwrite(conf->logo.at, (int)conf->logo.len, r);
    }
    return OK;
}

enum eas_rc eas_page_prepare(apr_pool_t *pconf, server_rec *s, struct eas_err *err)
{
    struct eas_auth_server *conf = eas_auth_server_of(s);
    struct eas_template *template = NULL;
    apr_array_header_t *languages;
    enum eas_rc rc = eas_language_builtin(pconf, &languages, err);
    int i;

    if (rc == EAS_OK) {
        rc = read_languages(pconf, s, languages, err);
    }
    if (rc == EAS_OK && conf->login_pages == NULL) {
        rc = add_page(pconf, languages, "", &template, err);
    }
    for (i = 0; rc == EAS_OK && conf->login_pages != NULL && i < conf->login_pages->nelts; i++) {
        rc = add_page(pconf, languages, APR_ARRAY_IDX(conf->login_pages, i, const char *),
                      &template, err);
    }
    conf->page = template;
    return rc == EAS_OK ? prepare_site(pconf, conf, err) : rc;
}
