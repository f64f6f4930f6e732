/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the IOMMU finds for a device and a PASID: the entries of VT-d's PASID tables,
 * as its driver shows them in debugfs.  They are read from the tables in memory, so
 * they say what the hardware uses, not what somebody remembers to have asked for.
 */
#ifndef LIB_PASID_TABLE_H
#define LIB_PASID_TABLE_H

#include <stdint.h>

#include "sysfs.h"

/* How addresses with the PASID are translated. */
enum pasid_kind {
	PASID_FIRST_STAGE = 1,	/* page tables as processors have them */
	PASID_SECOND_STAGE,
	PASID_NESTED,
	PASID_PASS_THROUGH,
};

struct pasid_entry {
	uint64_t words[3];	/* of eight, as the hardware has them */
};

/* 0 if the device has an entry for @pasid, -ENOENT if it has none, other -errno. */
int pasid_entry(const struct pci *pci, uint32_t pasid, struct pasid_entry *entry);
/* All that the device has, 0 among them, up to @max; how many, or -errno. */
struct pasid_line {
	uint32_t pasid;
	struct pasid_entry entry;
};
int pasid_lines(const struct pci *pci, struct pasid_line *lines, int max);
/* How many PASIDs but 0, which are requests without one, have entries; or -errno. */
int pasid_entries(const struct pci *pci);

enum pasid_kind pasid_kind(const struct pasid_entry *entry);
/* Physical address of the page table, of whichever stage. */
uint64_t pasid_root(const struct pasid_entry *entry);

#endif
