/* SPDX-License-Identifier: Apache-2.0 */
/* t/fuzz/replay.c - runs a fuzz target with its corpus, for compilers without libFuzzer */

#include "t/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX 65536

static void die(const char *what)
{
    perror(what);
    exit(99);
}

static void replay(const char *path)
{
    static uint8_t data[INPUT_MAX];
    FILE *file = fopen(path, "rb");
    size_t size;

    if (file == NULL) {
        die(path);
    }
    size = fread(data, 1, sizeof(data), file);
    if (ferror(file) || size == sizeof(data)) {
        die(path);
    }
    fclose(file);
    LLVMFuzzerTestOneInput(data, size);
}

int main(void)
{
    const char *top = getenv("EAS_FUZZ_CORPUS");
    char directory[2048], path[4096];
    struct dirent *entry;
    int replayed = 0;
    DIR *dir;

    snprintf(directory, sizeof(directory), "%s/%s", top != NULL ? top : "t/fuzz/corpus",
             fuzz_corpus);
    dir = opendir(directory);
    if (dir == NULL) {
        die(directory);
    }
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
            replay(path);
            replayed++;
        }
    }
    closedir(dir);
    printf("%s: %d inputs\n", fuzz_corpus, replayed);
    return replayed > 0 ? 0 : 99;
}
