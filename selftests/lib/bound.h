/* SPDX-License-Identifier: GPL-2.0-only */
/* Processes that bind themselves. */
#ifndef LIB_BOUND_H
#define LIB_BOUND_H

#include <sys/types.h>

#include "sva_setup.h"
#include "pasid_probe.h"

/*
 * Another process, bound to a device by @fd, or past VFIO by @control if @fd is -1, until it is
 * told to end.
 */
struct bound_child {
	pid_t pid;
	int to, from;
	int ends[2];		/* the other ends of the pipes, if it shares them */
};

/*
 * It is there, and not bound yet.  If it is told of @pci it sees that the entry is its own.
 * One that shares the caller's descriptors has whatever file is @fd at the moment, and
 * keeps none open that the caller closes.
 */
int bound_fork(struct bound_child *child, int fd, int control, const struct pci *pci, bool share);
/*
 * The same with files of its own, and bound: its PASID, or what it was told instead;
 * -EBADMSG if that is not its page table on @pci.
 */
int bound_start(struct bound_child *child, int fd, int control, const struct pci *pci);
/* It makes a call and says what came of it. */
int bound_call(struct bound_child *child, char what);
#define BOUND_BIND	'b'	/* its PASID, or -errno */
#define BOUND_UNBIND	'u'
#define BOUND_ROOT	'r'	/* the frame of its page table's root, by the SVA test module */
#define BOUND_CLOSE	'c'	/* its copy of the file */
#define BOUND_EXEC	'x'	/* it becomes a new program, which keeps the file */
#define BOUND_END	'e'
/* The end of it, by itself or by a signal. */
int bound_end(struct bound_child *child);
int bound_kill(struct bound_child *child);

#endif
