/* SPDX-License-Identifier: GPL-2.0-only */
/* A user of a device, whichever way it came: for tests of what is the same for all. */
#ifndef LIB_USER_H
#define LIB_USER_H

#include "cdev.h"
#include "container.h"
#include "group.h"

enum way {
	BY_CDEV,	/* its own node, bound and attached */
	BY_GROUP,	/* its group's, with an iommufd */
	BY_CONTAINER,	/* its group's, with a container */
};

struct user {
	enum way way;
	int fd;			/* the device */
	struct session s;
	struct legacy l;
	struct boxed b;
};

int user_open(const struct pci *pci, enum way way, struct user *u);
void user_close(struct user *u);

#endif
