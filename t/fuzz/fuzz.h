/* SPDX-License-Identifier: Apache-2.0 */
/* t/fuzz/fuzz.h - frame of a fuzz target: for libFuzzer (make fuzz), else main() with the corpus */

#ifndef EAS_T_FUZZ_FUZZ_H
#define EAS_T_FUZZ_FUZZ_H

#include "auth/base/bytes.h"

#include <apr_general.h>
#include <apr_pools.h>
#include <dirent.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Runs one input, which ends where its allocation ends.  The pool is cleared afterwards. */
static void fuzz(apr_pool_t *pool, struct eas_bytes input);

/* An invariant, as assert() with all compilers' options. */
#define check(condition) ((condition) ? (void)0 : fuzz_fail(#condition, __FILE__, __LINE__))

static inline void fuzz_fail(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
    abort();
}

/* --- each piece of a pool is an allocation of its own ----------------------------------------- */

/* NULL without a sanitizer. */
void __lsan_ignore_object(const void *block) __attribute__((weak));

static apr_status_t fuzz_free(void *block)
{
    free(block);
    return APR_SUCCESS;
}

/* Replaces libapr's function, so that a sanitizer finds an access behind the end of a piece. */
void *apr_palloc(apr_pool_t *pool, apr_size_t size)
{
    static void *(*real)(apr_pool_t *, apr_size_t);
    static _Thread_local bool registers;
    void *block;

    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "apr_palloc");
    }
    if (registers) {
        return real(pool, size);
    }
    block = malloc(size > 0 ? size : 1);
    check(block != NULL);
    if (__lsan_ignore_object != NULL) {
        __lsan_ignore_object(block); /* APR's own memory refers to it */
    }
    registers = true;
    apr_pool_cleanup_register(pool, block, fuzz_free, apr_pool_cleanup_null);
    registers = false;
    return block;
}

/* --- parts of an input ------------------------------------------------------------------------ */

/* The next n octets, or the rest. */
static inline struct eas_bytes fuzz_take(struct eas_bytes *rest, size_t n)
{
    struct eas_bytes part = { rest->at, n < rest->len ? n : rest->len };

    rest->at += part.len;
    rest->len -= part.len;
    return part;
}

/* The next octet; 0 behind the end. */
static inline unsigned fuzz_octet(struct eas_bytes *rest)
{
    struct eas_bytes part = fuzz_take(rest, 1);

    return part.len > 0 ? *part.at : 0;
}

/* A big-endian number of n octets. */
static inline uint64_t fuzz_number(struct eas_bytes *rest, int n)
{
    uint64_t number = 0;

    while (n-- > 0) {
        number = number << 8 | fuzz_octet(rest);
    }
    return number;
}

/* The octets before the next NUL, or all, as a text in pool; removes the NUL, too. */
static inline char *fuzz_text(apr_pool_t *pool, struct eas_bytes *rest)
{
    const unsigned char *end = memchr(rest->at, '\0', rest->len);
    struct eas_bytes part = fuzz_take(rest, end != NULL ? (size_t)(end - rest->at) : rest->len);
    char *text = apr_palloc(pool, part.len + 1);

    memcpy(text, part.at, part.len);
    text[part.len] = '\0';
    fuzz_take(rest, 1);
    return text;
}

static inline bool fuzz_is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

/* --- entry points ----------------------------------------------------------------------------- */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *pool;
    unsigned char *exact = malloc(size > 0 ? size : 1);

    if (pool == NULL) {
        check(apr_initialize() == APR_SUCCESS && apr_pool_create(&pool, NULL) == APR_SUCCESS);
    }
    check(exact != NULL);
    memcpy(exact, data, size);
    fuzz(pool, eas_bytes_make(exact, size));
    free(exact);
    apr_pool_clear(pool);
    return 0;
}

#ifndef EAS_LIBFUZZER

#define FUZZ_INPUT_MAX 65536

static void fuzz_die(const char *what)
{
    perror(what);
    exit(99);
}

static void fuzz_replay(const char *path)
{
    static uint8_t data[FUZZ_INPUT_MAX];
    FILE *file = fopen(path, "rb");
    size_t size;

    if (file == NULL) {
        fuzz_die(path);
    }
    size = fread(data, 1, sizeof(data), file);
    if (ferror(file) || size == sizeof(data)) {
        fuzz_die(path);
    }
    fclose(file);
    LLVMFuzzerTestOneInput(data, size);
}

/* The corpus of fuzz_<unit>.c is t/fuzz/corpus/<unit>. */
int main(void)
{
    const char *top = getenv("EAS_FUZZ_CORPUS"), *unit = strstr(__BASE_FILE__, "fuzz_");
    char directory[2048], path[4096];
    struct dirent *entry;
    int replayed = 0;
    DIR *dir;

    check(unit != NULL);
    snprintf(directory, sizeof(directory), "%s/%.*s", top != NULL ? top : "t/fuzz/corpus",
             (int)strcspn(unit + 5, "."), unit + 5);
    dir = opendir(directory);
    if (dir == NULL) {
        fuzz_die(directory);
    }
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
            fuzz_replay(path);
            replayed++;
        }
    }
    closedir(dir);
    printf("%s: %d inputs\n", directory, replayed);
    return replayed > 0 ? 0 : 99;
}

#endif

#endif
