/* SPDX-License-Identifier: GPL-2.0-only */
/* Processes that bind themselves, and what the IOMMU has of them. */
#ifndef LIB_BOUND_H
#define LIB_BOUND_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sysfs.h"

/*
 * The two devices that have it all, and the laboratory, which makes Linux believe in
 * their IOMMU.  The laboratory, -ENODEV without such devices, -ENOENT without its module,
 * other -errno.
 */
int sva_devices(struct pci *a, struct pci *b);
#define NO_SVA_DEVICES "no two devices with PASIDs, ATS and PRI, or no module sva_lab"
#define no_sva_devices(lab) ((lab) == -ENODEV || (lab) == -ENOENT)

/* Is @pasid the caller's page table, for this device? */
bool is_mine(int lab, const struct pci *pci, uint32_t pasid);
/* 0 if the device has an entry for it, -ENOENT if not. */
int entry_of(const struct pci *pci, uint32_t pasid);
/* Waits until the device has @count entries; false if it does not come to that. */
bool entries_become(const struct pci *pci, int count);
/* Waits until fdinfo of a bound file says @pasids ("" for none). */
bool processes_become(int fd, const char *pasids);

/* Another process, bound to a device by @fd, until it is told to end. */
struct bound_child {
	pid_t pid;
	int to, from;
};

/* Its PASID, or what it was told instead. */
int bound_start(struct bound_child *child, int fd, int lab, const struct pci *pci);
/* It makes a call and says what came of it. */
int bound_call(struct bound_child *child, char what);
#define BOUND_BIND	'b'	/* its PASID, or -errno */
#define BOUND_UNBIND	'u'
#define BOUND_CLOSE	'c'	/* its copy of the file */
#define BOUND_EXEC	'x'	/* it becomes a new program, which keeps the file */
#define BOUND_END	'e'
/* The end of it, by itself or by a signal. */
int bound_end(struct bound_child *child);
int bound_kill(struct bound_child *child);

#endif
