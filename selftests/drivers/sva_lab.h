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
 * -ERESTARTSYS when the caller is killed: who wants the lock meanwhile waits.  SVA_LAB_LET_GO also
 * lets go one who faults on a page that is mapped from this file: until then it does not come.
 */
#define SVA_LAB_HOLD		SVA_LAB_DO(7)
#define SVA_LAB_LET_GO		SVA_LAB_DO(8)

/*
 * One transfer of the device, marked with a PASID (sva_lab_dma.c).  Both addresses are those
 * of the PASID, or one is in the device itself, whose memory is then the caller's.
 */
enum sva_lab_dma_kind {
	SVA_LAB_DMA_COPY = 1,
	SVA_LAB_DMA_READ,	/* to is in the device */
	SVA_LAB_DMA_WRITE,	/* from is in the device */
};

enum sva_lab_dma_result {
	/* All of it was moved. */
	SVA_LAB_DMA_DONE = 1,
	/* The device sends no requests with a PASID: bus master, PASIDs or ATS are off. */
	SVA_LAB_DMA_OFF,
	/* The IOMMU has no entry for the device and the PASID. */
	SVA_LAB_DMA_NO_ENTRY,
	/* Nothing that can be read, or written, is at address. */
	SVA_LAB_DMA_FAULT_READ,
	SVA_LAB_DMA_FAULT_WRITE,
};

struct sva_lab_dma {
	__u32 device;		/* as above */
	__u32 pasid;
	__u32 kind;
	__u32 result;
	__u64 from, to, size;
	__u64 moved;		/* bytes, whatever the result */
	__u64 address;		/* of a fault: the first byte that was not reached */
};

/*
 * 0, and the result above.  -ENODEV on hardware, whose devices do DMA by themselves;
 * -EOPNOTSUPP for an entry that is of neither stage alone; -EINTR for who is killed.
 */
#define SVA_LAB_DMA		_IOWR('S', 9, struct sva_lab_dma)

#endif
