// SPDX-License-Identifier: GPL-2.0-only
#include "user.h"

int user_open(const struct pci *pci, enum way way, struct user *u)
{
	int ret;

	*u = (struct user){
		.way = way,
		.fd = -1,
		.s = { .fd = -1, .iommufd = -1 },
		.l = { -1, -1, -1 },
		.b = BOXED_NONE,
	};
	switch (way) {
	case BY_CDEV:
		ret = session_open(pci, &u->s);
		u->fd = u->s.fd;
		break;
	case BY_GROUP:
		ret = legacy_open(pci, &u->l);
		u->fd = u->l.fd;
		break;
	default:
		ret = boxed_open(pci, &u->b);
		u->fd = u->b.fd;
	}
	return ret;
}

void user_close(struct user *u)
{
	session_close(&u->s);
	legacy_close(&u->l);
	boxed_close(&u->b);
	u->fd = -1;
}
