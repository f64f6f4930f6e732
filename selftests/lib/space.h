/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the DMA of devices goes to on this kernel: an iommufd, or a container with type1 where
 * there is no iommufd.
 */
#ifndef LIB_SPACE_H
#define LIB_SPACE_H

#include "core.h"

/* What comes of it with an iommufd, and with a container. */
#define BY_SPACE(iommufd, container) (has_iommufd() ? (iommufd) : (container))

int space_open(void);
/* Gives it to a group.  A container has no driver before its first group, and gets one. */
int space_set(int group, int space);
/*
 * The device below the folder @parent, in a space: by its own node, and bound, if that is an
 * iommufd, else by its group, where it is called @name.  Its fd, or -errno.
 */
int space_device(int space, const char *parent, const char *name);

#endif
