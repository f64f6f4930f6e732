/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel log from now on. */
#ifndef LIB_KMSG_H
#define LIB_KMSG_H

#include <stdbool.h>
#include <stddef.h>

/* At the end of the log. */
int kmsg_open(void);
/*
 * Reads on until a line holds @what; that line, without its prefix, goes to
 * @line (may be NULL).  False if none comes in @ms.
 */
bool kmsg_wait(int fd, const char *what, int ms, char *line, size_t size);
/* Has the kernel warned since the last reading?  No waiting. */
bool kmsg_warned(int fd);
/* How many lines have held @what since the last reading: up to now, and no waiting. */
int kmsg_count(int fd, const char *what);
/* The level (6: info) of the next line with @what that is there already, or -1. */
int kmsg_level(int fd, const char *what);
/*
 * Tells who reads the log later that kernel warnings are expected on that core (c
 * or rust; NULL: both) from here on, or no more.
 */
void kmsg_expect_warning(bool begin, const char *core);

#endif
