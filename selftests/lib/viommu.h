/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which IOMMU a device is behind, and what can be expected of it.  A test that is
 * not for every IOMMU asks here, and says what it assumes.
 */
#ifndef LIB_VIOMMU_H
#define LIB_VIOMMU_H

#include <stdbool.h>
#include <stdint.h>

#include "sysfs.h"

struct session;

enum viommu {
	VIOMMU_NONE,
	VIOMMU_VTD,	/* Intel's */
	VIOMMU_AMD,
	VIOMMU_VIRTIO,
	VIOMMU_SMMUV3,	/* Arm's */
};

/* The driver of the device's IOMMU, by the name that it has in sysfs. */
enum viommu viommu_of(const struct pci *pci);

/*
 * Whether the platform confines the interrupts of devices: the interrupt chips are
 * those of interrupt remapping (x86) or of an ITS (arm64).
 */
bool interrupts_isolated(void);
/* iommufd's parameter allow_unsafe_interrupts, and its setting. */
int unsafe_interrupts_allowed(void);
int allow_unsafe_interrupts(bool yes);

/* 0 if the IOMMU has page tables for PASIDs, -EOPNOTSUPP if not. */
int pasid_tables(const struct session *s);
/* Whether its registers say that it nests: page tables of the user's in another. */
int has_nesting(const struct session *s);

/* Waits for the kernel's message on a write by @pci to @iova that was refused. */
bool fault_is_told(int kmsg, const struct pci *pci, uint64_t iova, int ms);

#endif
