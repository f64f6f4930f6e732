/* SPDX-License-Identifier: GPL-2.0-only */
/* Containers, /dev/vfio/vfio, and devices that are opened through one. */
#ifndef LIB_CONTAINER_H
#define LIB_CONTAINER_H

#include <stdint.h>

#include "group.h"

#define CONTAINER "/dev/vfio/vfio"

int container_open(void);
int container_check(int container, unsigned long extension);
int container_set_iommu(int container, unsigned long type);
/* An ioctl that the core does not know and no driver either. */
int container_unknown(int container);

/* A container that maps, a group in it, a device of the group. */
struct boxed {
	int container, group, fd;
};

#define BOXED_NONE ((struct boxed){ -1, -1, -1 })

/* With type1, version 2. */
int boxed_open(const struct pci *pci, struct boxed *b);
/* The same in a container that there is already: the first group chooses the driver. */
int boxed_join(const struct pci *pci, int container, struct boxed *b);
void boxed_close(struct boxed *b);

#endif
