/* SPDX-License-Identifier: GPL-2.0-only */
/* A page of user memory that stalls whoever touches it, until it is released. */
#ifndef LIB_UFFD_H
#define LIB_UFFD_H

#include <stddef.h>

struct stall {
	int fd;
	char *page;	/* not there yet */
	size_t size;
};

/* One page that stalls its first toucher. */
int stall_open(struct stall *s);
/* Blocks until somebody is stalled; false if nobody comes. */
int stall_wait(struct stall *s);
/* Puts @content (one page) there and lets everybody go on. */
int stall_release(struct stall *s, const void *content);
void stall_close(struct stall *s);

#endif
