/* SPDX-License-Identifier: GPL-2.0-only */
/* A device that is opened by one of the three open paths, with memory for its DMA. */
#ifndef LIB_OPEN_PATH_H
#define LIB_OPEN_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sysfs.h"

enum open_path {
	OPEN_CDEV,	/* by its own node */
	OPEN_GROUP,	/* by its group, an iommufd in the place of a container */
	OPEN_CONTAINER,	/* by its group, with a container and type1 */
};

struct opened {
	enum open_path open_path;
	int space;	/* the iommufd or the container */
	int group;	/* -1 without one */
	int fd;
	uint32_t devid, ioas;	/* by its own node */
	void *bar;
	size_t bar_size;
};

#define OPENED_NONE ((struct opened){ .space = -1, .group = -1, .fd = -1 })

/*
 * Opens a device that is on its driver already, with @token (16 bytes) if that is not
 * NULL, in the address space of @with, or in a new one if that is NULL.  0 or -errno,
 * and then nothing is left open.
 */
int open_path_open(enum open_path open_path, const struct pci *pci, const void *token,
		   const struct opened *with, struct opened *o);
/* The same of a device that it gives to vfio-pci first. */
int open_path_open_vfio(enum open_path open_path, const struct pci *pci, struct opened *o);
/*
 * The same in three steps, with what was opened so far in @o, whatever comes of it: all
 * that can be done before, the one call that makes somebody the owner of the group's DMA,
 * and what is left to do.  0 or -errno; the last two can be made again if they failed.
 */
int open_path_begin(enum open_path open_path, const struct pci *pci, const struct opened *with,
		    struct opened *o);
int open_path_claim(const struct pci *pci, const void *token, struct opened *o);
int open_path_finish(const struct pci *pci, const void *token, const struct opened *with,
		     struct opened *o);
/* The same of any VFIO device: below the folder @parent of sysfs, called @name by its group. */
int open_path_open_below(enum open_path open_path, const char *parent, const char *name,
			 const struct opened *with, struct opened *o);
/*
 * The open path of a test that is not about one: the device's own node, or a container where there
 * is no iommufd.
 */
enum open_path open_path_usual(void);
/* What this open path needs and the kernel lacks, or NULL. */
const char *open_path_lacks(enum open_path open_path);
void open_path_close(struct opened *o);
/* Maps BAR 0, until it is closed: a mapping keeps the device open.  NULL if that fails. */
void *open_path_bar(struct opened *o);
/* Readable and writeable. */
int open_path_map(const struct opened *o, void *va, size_t size, uint64_t iova);
int open_path_unmap(const struct opened *o, uint64_t iova, size_t size);
/* An edu reads and writes memory by it.  Nothing is left mapped. */
bool open_path_edu_works(const struct opened *o);

#endif
