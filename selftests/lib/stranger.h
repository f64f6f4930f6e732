/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Somebody who is given a device's file, over a socket, and has no other: no iommufd, nor
 * the right to open one.
 */
#ifndef LIB_STRANGER_H
#define LIB_STRANGER_H

#include <stdint.h>
#include <sys/types.h>

struct stranger {
	pid_t pid;
	int sock;
};

int stranger_start(struct stranger *s, int fd);
/* 0 if it has done what it was asked to the end. */
int stranger_end(struct stranger *s);

enum stranger_call {
	STRANGER_ATTACH,		/* as attach() */
	STRANGER_DETACH,		/* as detach() */
	STRANGER_BIND,			/* to the iommufd @pt */
	STRANGER_OPEN_IOMMUFD,
	STRANGER_BIND_PROCESS,		/* itself: its PASID */
	STRANGER_UNBIND_PROCESS,
};

int stranger_call(struct stranger *s, enum stranger_call what, uint32_t pasid, uint32_t pt);

#endif
