/* SPDX-License-Identifier: GPL-2.0-only */
/* Mediated devices: of the sample drivers, by sysfs; their regions. */
#ifndef LIB_MDEV_H
#define LIB_MDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdev.h"
#include "open_path.h"

/* Names for devices. */
#define MDEV_UUIDS 5
extern const char *const mdev_uuids[MDEV_UUIDS];

/*
 * Inserts a sample driver and removes devices that a test which failed has left;
 * -ENOENT if there is no such module.
 */
int mdev_sample_load(const char *module);
/* Removes it, and mdev. */
int mdev_sample_unload(const char *module);
/* The same with a device of that type, mdev_uuids[0], which is open; and the end of both. */
int mdev_sample_open(const char *module, const char *type, struct opened *o);
int mdev_sample_close(const char *module);

/* Attribute of a type of devices; how many more of it there may be. */
int mdev_type_attr(const char *module, const char *type, const char *name,
		   char *text, size_t size);
int mdev_available(const char *module, const char *type);

int mdev_create(const char *module, const char *type, const char *uuid);
/* Waits for its users. */
int mdev_remove(const char *uuid);
bool mdev_exists(const char *uuid);
/* "vfioN" */
int mdev_name(const char *uuid, char *name, size_t size);
/* Its IOMMU group, -1 if none. */
int mdev_group(const char *uuid);
/* Its device node. */
int mdev_open(const char *uuid);
/*
 * Opens it by the usual open path (open_path.h), in the address space of @with, or in a new
 * one if that is NULL.
 */
int mdev_use(const char *uuid, const struct opened *with, struct opened *o);

/* The same without an address space of an iommufd, as space_device() of space.h. */
int mdev_device(const char *uuid, int space);

/* Reads or writes in a region; true if all of it was done. */
bool region_read(int fd, uint32_t index, uint32_t offset, void *data, size_t size);
bool region_write(int fd, uint32_t index, uint32_t offset, const void *data,
		  size_t size);
/* The beginning of a region, or MAP_FAILED. */
void *region_map(int fd, const struct vfio_region_info *info, size_t size);
/* Is it said to be so? */
bool region_is(int fd, uint32_t index, uint64_t size, uint32_t flags);

#endif
