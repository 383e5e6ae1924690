/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/prompt.c - password from the terminal, without an echo, or from stdin */

#include "delegation/check/prompt.h"

#include <openssl/crypto.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define PASSWORD_MAX 1022

/* Between looks for signals. */
#define LOOK_MILLISECONDS 50

static struct eas_secret *read_line(apr_pool_t *pool)
{
    char line[PASSWORD_MAX + 2];
    struct eas_secret *password = NULL;

    if (fgets(line, sizeof(line), stdin) != NULL) {
        size_t len = strcspn(line, "\r\n");

        /* A part of a password would be a wrong guess. */
        password = len > 0 && len <= PASSWORD_MAX ? eas_secret_make(pool, line, len) : NULL;
    }
    OPENSSL_cleanse(line, sizeof(line));
    return password;
}

/* Those that end or stop the program.  A blocked one has its effect when it is released. */
static void block_signals(sigset_t *blocked, sigset_t *before_out)
{
    static const int signals[] = { SIGINT, SIGHUP, SIGQUIT, SIGTERM, SIGTSTP };
    size_t i;

    sigemptyset(blocked);
    for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        sigaddset(blocked, signals[i]);
    }
    sigprocmask(SIG_BLOCK, blocked, before_out);
}

/* A signal that was blocked before is not awaited. */
static bool is_pending(const sigset_t *blocked, const sigset_t *before)
{
    sigset_t pending;
    int number;

    sigpending(&pending);
    for (number = 1; number <= SIGTSTP; number++) {
        if (sigismember(&pending, number) == 1 && sigismember(blocked, number) == 1
            && sigismember(before, number) == 0) {
            return true;
        }
    }
    return false;
}

/* False if a signal comes first. */
static bool wait_for_line(const sigset_t *blocked, const sigset_t *before)
{
    struct pollfd terminal = { .fd = STDIN_FILENO, .events = POLLIN };

    while (!is_pending(blocked, before)) {
        if (poll(&terminal, 1, LOOK_MILLISECONDS) != 0) {
            return true;
        }
    }
    return false;
}

/* False if a signal has stopped the program, which goes on by now. */
static bool ask(apr_pool_t *pool, const char *user, const struct termios *terminal,
                struct eas_secret **password_out)
{
    struct termios silent = *terminal;
    sigset_t blocked, before;
    bool has_line;

    silent.c_lflag &= ~(tcflag_t)ECHO;
    block_signals(&blocked, &before);
    fprintf(stderr, "Password of %s: ", user);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    has_line = wait_for_line(&blocked, &before);
    if (has_line) {
        *password_out = read_line(pool);
    }
    tcsetattr(STDIN_FILENO, TCSAFLUSH, terminal);
    fputc('\n', stderr);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return has_line;
}

struct eas_secret *eas_prompt_password(apr_pool_t *pool, const char *user)
{
    struct eas_secret *password = NULL;
    struct termios terminal;

    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &terminal) != 0) {
        return read_line(pool);
    }
    while (!ask(pool, user, &terminal, &password)) {
    }
    return password;
}
