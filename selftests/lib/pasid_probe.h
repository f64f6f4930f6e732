/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What shows that a process is bound to a device: the IOMMU's table of PASIDs, in which an
 * entry with the process's page table comes with the bond and goes with it.
 *
 * The table can be read where the IOMMU is a VT-d (lib/pasid_table.h), and which page table
 * is whose is known in a kernel that has its driver (lib/sva_test.h).  Where it cannot be
 * read, all that is asked here is answered as the caller expects, and the test says so; the
 * rest of it, errnos and what fdinfo says, stands by itself.  A case of which nothing would be
 * left is skipped, with the reason.
 */
#ifndef LIB_PASID_PROBE_H
#define LIB_PASID_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "sysfs.h"

/* From now on: the table of the IOMMU that @pci is behind, and the SVA test module @control. */
void pasid_probe_call(const struct pci *pci, int control);
/* NULL if there is a PASID probe; else why there is none. */
const char *pasid_probe_absent(void);

/* Has the device so many entries?  If not, it says how many. */
bool entries_are(const struct pci *pci, int count);
/* The same after a while, if need be. */
bool entries_become(const struct pci *pci, int count);
/* 0 if there is an entry for @pasid, -ENOENT if not; another -errno without a pasid_probe. */
int entry_of(const struct pci *pci, uint32_t pasid);
/* Is there one, and is it, or is it not, the caller's page table? */
bool is_there(const struct pci *pci, uint32_t pasid);
bool is_gone(const struct pci *pci, uint32_t pasid);
bool is_mine(int control, const struct pci *pci, uint32_t pasid);
bool is_not_mine(int control, const struct pci *pci, uint32_t pasid);

/* Waits until fdinfo of a bound file says @pasids ("" for none).  Any IOMMU will do. */
bool processes_become(int fd, const char *pasids);

#endif
