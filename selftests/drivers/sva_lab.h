/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What user space says to sva_lab.ko, by ioctl on /dev/sva-lab.  Every command returns
 * what the function of the IOMMU core that it is about has returned.
 */
#ifndef SVA_LAB_H
#define SVA_LAB_H

#include <linux/ioctl.h>
#include <linux/types.h>

struct sva_lab_args {
	__u32 device;		/* domain << 16 | bus << 8 | devfn */
	__u32 pasid;
	__u64 root;		/* physical address of a page table */
	__u64 address;
};

#define SVA_LAB_DO(n)		_IOWR('S', n, struct sva_lab_args)

/*
 * iommu_sva_bind_device(device, the caller's memory): pasid.  Bonds belong to the open
 * file, and end with it.
 */
#define SVA_LAB_BIND		SVA_LAB_DO(1)
/* iommu_sva_unbind_device() of the device's bond that is the last of this file. */
#define SVA_LAB_UNBIND		SVA_LAB_DO(2)
/* iommu_device_claim_dma_owner(device, this file), and back. */
#define SVA_LAB_CLAIM		SVA_LAB_DO(3)
#define SVA_LAB_RELEASE		SVA_LAB_DO(4)
/* The root of the caller's page table; -EOPNOTSUPP in a kernel without VT-d. */
#define SVA_LAB_ROOT		SVA_LAB_DO(5)
/*
 * What is at address for a device to which root is given as a first-stage page table:
 * the physical address, in address; -EFAULT if nothing is, or nothing of user space;
 * -EINVAL on hardware, for another table than the caller's.
 */
#define SVA_LAB_WALK		SVA_LAB_DO(6)
/*
 * Holds the lock of the device's group and returns when SVA_LAB_LET_GO says so, or with
 * -ERESTARTSYS when the caller is killed: who wants the lock meanwhile waits.
 */
#define SVA_LAB_HOLD		SVA_LAB_DO(7)
#define SVA_LAB_LET_GO		SVA_LAB_DO(8)

#endif
