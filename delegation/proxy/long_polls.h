/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/long_polls.h - limits for the long polls of a user and of a device */

#ifndef EAS_DELEGATION_PROXY_LONG_POLLS_H
#define EAS_DELEGATION_PROXY_LONG_POLLS_H

#include <apr_time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Places in shared memory for the long polls that all processes hold.  Beyond a limit, a new poll
 * ends the oldest of its device, or of its user: a phone that sends another has mostly given up that
 * one.  An ended poll keeps its place until its thread leaves it.  A user has twice as many places
 * as the limit; then a new poll is refused.  So device ids that a client makes up get it no more.
 *
 * A thread that waits renews its lease of the place each second.  The place of a process that died
 * is free after the lease.  The layout has a version and no pointers.  Times are of
 * eas_clock_now(), and common to all processes.  Safe for threads and processes: one that dies
 * inside a call leaves a usable table.
 */
struct eas_long_polls;

#define EAS_LONG_POLLS_LEASE apr_time_from_sec(60)

/* Makes an empty table of shared memory; by one process, before others attach. */
void eas_long_polls_format(void *memory, size_t size);

/* The table in the memory, or NULL if there is none of this version and size. */
struct eas_long_polls *eas_long_polls_attach(void *memory, size_t size);

/* Above zero. */
struct eas_long_polls_limits {
    unsigned device;
    unsigned user;
};

/*
 * The limits for n polls of a device.  The places of one user are no more than half of the server's
 * workers.
 */
struct eas_long_polls_limits eas_long_polls_limits(unsigned n, unsigned workers);

/* Hashes of the names of a user and a device; no accident makes two of them equal. */
struct eas_long_polls_key {
    uint64_t user;
    uint64_t device;
};

/* The device's id compares without letter case. */
struct eas_long_polls_key eas_long_polls_key(const char *user, const char *device);

/* A long poll that is held. */
struct eas_long_poll {
    struct eas_long_polls *all;
    unsigned place;
    uint64_t serial; /* 0: it has no place, because the table was full; nothing limits it */
};

/* False: it is refused. */
bool eas_long_polls_begin(struct eas_long_polls *all, struct eas_long_polls_key key,
                          struct eas_long_polls_limits limits, apr_time_t now,
                          struct eas_long_poll *poll);

/* Renews the lease.  False: a newer poll has ended this one. */
bool eas_long_polls_keep(const struct eas_long_poll *poll, apr_time_t now);

void eas_long_polls_end(const struct eas_long_poll *poll);

/* The polls that are held. */
unsigned eas_long_polls_count(struct eas_long_polls *all, apr_time_t now);

#endif
