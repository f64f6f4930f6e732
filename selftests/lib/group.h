/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The group's node, the legacy open path of a device, with an iommufd in the place of a
 * container where there is one.
 */
#ifndef LIB_GROUP_H
#define LIB_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdev.h"

/* Opens the node of a device's group. */
int group_open(const struct pci *pci);
/* The same of the VFIO device below @parent, a folder of sysfs. */
int group_open_below(const char *parent);
/* Can its group be had, or has somebody got it or its devices?  Both true without groups. */
bool group_is_free(const struct pci *pci);
bool group_is_busy(const struct pci *pci);

/* VFIO_GROUP_FLAGS_*, as GET_STATUS says. */
int group_flags(int group);
#define GROUP_VIABLE	VFIO_GROUP_FLAGS_VIABLE
#define GROUP_SET	(VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET)

int group_set(int group, int fd);
int group_unset(int group);
/* The device of that name; its fd. */
int group_device(int group, const char *name);

/* The address space that an iommufd uses for the ioctls of containers. */
int compat_ioas_get(int iommufd, uint32_t *id);
int compat_ioas_set(int iommufd, uint32_t id);
int compat_ioas_clear(int iommufd);
/* Those ioctls: readable and writeable, at a fixed address. */
int compat_map(int iommufd, void *va, size_t size, uint64_t iova);
int compat_unmap(int iommufd, uint64_t iova, uint64_t size);

/* A device through its group: group opened and given a space (space.h), device opened. */
struct legacy {
	int group, fd, space;
};

int legacy_open(const struct pci *pci, struct legacy *l);
void legacy_close(struct legacy *l);

#endif
