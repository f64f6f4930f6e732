/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What user space says to sva_test.ko, by ioctl on /dev/sva-test.  Every command returns
 * what the function of the IOMMU core that it is about has returned.
 */
#ifndef SVA_TEST_H
#define SVA_TEST_H

#include <linux/ioctl.h>
#include <linux/types.h>

struct sva_test_args {
	__u32 device;		/* domain << 16 | bus << 8 | devfn */
	__u32 pasid;
	__u64 root;		/* physical address of a page table */
	__u64 address;
};

#define SVA_TEST_DO(n)		_IOWR('S', n, struct sva_test_args)

/*
 * iommu_sva_bind_device(device, the caller's memory): pasid.  Bonds belong to the open
 * file, and end with it.
 */
#define SVA_TEST_BIND		SVA_TEST_DO(1)
/* iommu_sva_unbind_device() of the device's bond that is the last of this file. */
#define SVA_TEST_UNBIND		SVA_TEST_DO(2)
/* iommu_device_claim_dma_owner(device, this file), and back. */
#define SVA_TEST_CLAIM		SVA_TEST_DO(3)
#define SVA_TEST_RELEASE		SVA_TEST_DO(4)
/* The root of the caller's page table; -EOPNOTSUPP in a kernel without VT-d. */
#define SVA_TEST_ROOT		SVA_TEST_DO(5)
/*
 * What is at address for a device to which root is given as a first-stage page table:
 * the physical address, in address; -EFAULT if nothing is, or nothing of user space;
 * -EINVAL on hardware, for another table than the caller's.
 */
#define SVA_TEST_WALK		SVA_TEST_DO(6)
/*
 * Holds the lock of the device's group and returns when SVA_TEST_LET_GO says so, or with
 * -ERESTARTSYS when the caller is killed: who wants the lock meanwhile waits.  SVA_TEST_LET_GO also
 * lets go one who faults on a page that is mapped from this file: until then it does not come.
 */
#define SVA_TEST_HOLD		SVA_TEST_DO(7)
#define SVA_TEST_LET_GO		SVA_TEST_DO(8)

/*
 * One transfer of the device, marked with a PASID (sva_test_dma.c).  Both addresses are those
 * of the PASID, or one is in the device itself, whose memory is then the caller's.
 */
enum sva_test_dma_kind {
	SVA_TEST_DMA_COPY = 1,
	SVA_TEST_DMA_READ,	/* to is in the device */
	SVA_TEST_DMA_WRITE,	/* from is in the device */
};

enum sva_test_dma_result {
	/* All of it was moved. */
	SVA_TEST_DMA_DONE = 1,
	/* The device sends no requests with a PASID: bus master, PASIDs or ATS are off. */
	SVA_TEST_DMA_OFF,
	/* The IOMMU has no entry for the device and the PASID. */
	SVA_TEST_DMA_NO_ENTRY,
	/* Nothing that can be read, or written, is at address. */
	SVA_TEST_DMA_FAULT_READ,
	SVA_TEST_DMA_FAULT_WRITE,
};

struct sva_test_dma {
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
#define SVA_TEST_DMA		_IOWR('S', 9, struct sva_test_dma)

#endif
