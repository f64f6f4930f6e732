/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Somebody who is given a device's file, over a socket, and has no other: no iommufd, nor
 * the right to open one.
 */
#ifndef LIB_RECIPIENT_H
#define LIB_RECIPIENT_H

#include <stdint.h>
#include <sys/types.h>

struct recipient {
	pid_t pid;
	int sock;
};

int recipient_start(struct recipient *s, int fd);
/* 0 if it has done what it was asked to the end. */
int recipient_end(struct recipient *s);

enum recipient_call {
	RECIPIENT_ATTACH,		/* as attach() */
	RECIPIENT_DETACH,		/* as detach() */
	RECIPIENT_BIND,			/* to the iommufd @pt */
	RECIPIENT_OPEN_IOMMUFD,
	RECIPIENT_BIND_PROCESS,		/* itself: its PASID */
	RECIPIENT_UNBIND_PROCESS,
};

int recipient_call(struct recipient *s, enum recipient_call what, uint32_t pasid, uint32_t pt);

#endif
