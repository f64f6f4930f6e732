/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A page of user memory that stalls who touches it (or who writes to it), until it
 * is released.
 */
#ifndef LIB_UFFD_H
#define LIB_UFFD_H

#include <stddef.h>

struct stall {
	int fd;
	char *page;
	size_t size;
	size_t before;	/* bytes in front of it that do not stall */
};

/* One page that is not there yet: it stalls its first toucher. */
int stall_open(struct stall *s);
/* One page that begins with @content: it stalls its first writer. */
int stall_open_write(struct stall *s, const void *content, size_t size);
/* The same two with a page in front that is there: what crosses into the other stalls. */
int stall_open_second(struct stall *s);
int stall_open_second_write(struct stall *s, const void *content, size_t size);
/* Blocks until somebody is stalled; false if nobody comes. */
int stall_wait(struct stall *s);
/* Puts @content (one page) there and lets everybody go on. */
int stall_release(struct stall *s, const void *content);
/* Lets a writer go on. */
int stall_release_write(struct stall *s);
/* Takes the page away: who is stalled gets a fault. */
int stall_revoke(struct stall *s);
void stall_close(struct stall *s);

/* A read from a file into the page, for a worker: the number of bytes, or -errno. */
struct stalled_read {
	int fd;
	struct stall *stall;
};

int stalled_read(void *call);

#endif
