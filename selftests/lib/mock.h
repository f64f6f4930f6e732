/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * iommufd's mock IOMMU (CONFIG_IOMMUFD_TEST) and devices behind it, which
 * drivers/vfio_mock.c gives to VFIO.
 */
#ifndef LIB_MOCK_H
#define LIB_MOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iommufd_test.h>

/*
 * A mock device.  The iommufd that it was made on has bound it as well, by itself: its
 * DMA belongs to that iommufd for as long as there is the device, and there is the
 * device until @stdev is destroyed or the iommufd closed.
 */
struct mock {
	char path[64];		/* in sysfs */
	uint32_t stdev;		/* the device, to the IOMMU's own ioctls */
	int fd;			/* VFIO's file, bound */
	uint32_t devid;
};

#define NO_MOCK "a kernel without IOMMUFD_TEST, or no module vfio_mock"

/*
 * Makes one, of which nothing is attached, and inserts the driver.  -ENOENT without the
 * one or the other.  @flags: MOCK_FLAGS_DEVICE_*.
 */
int mock_make(int iommufd, uint32_t flags, struct mock *mock);
/* The same, VFIO's file being opened and bound to that iommufd. */
int mock_bind(int iommufd, uint32_t flags, struct mock *mock);
/* The end of all tests: their files are closed by then. */
int mock_unload(void);
/*
 * Attaches a table to the device for iommufd itself, which so has a part in what VFIO has
 * attached: the group has two users.
 */
int mock_share(int iommufd, const struct mock *mock, uint32_t pt);

/* Of PASID 0, that is of the device itself, and of others: what the IOMMU has there. */
bool mock_has(int iommufd, const struct mock *mock, uint32_t pasid, uint32_t hwpt);
bool mock_has_none(int iommufd, const struct mock *mock, uint32_t pasid);
/* Is the memory at @va what a page table of software's has at @iova? */
bool mock_maps(int iommufd, uint32_t hwpt, uint64_t iova, void *va, size_t size);

/*
 * A page table of the user's: all entries of its cache are @iotlb at first.  @pt is the
 * table that it is nested in, or a vIOMMU; @fault_id: what IOMMU_HWPT_FAULT_ID_VALID
 * wants.
 */
int mock_nested(int iommufd, uint32_t devid, uint32_t pt, uint32_t flags, uint32_t fault_id,
		uint32_t iotlb, uint32_t *hwpt);
/* Entry @n of its cache. */
bool mock_iotlb_is(int iommufd, uint32_t hwpt, uint32_t n, uint32_t want);
int mock_iotlb_drop(int iommufd, uint32_t hwpt, uint32_t n);

int mock_viommu(int iommufd, uint32_t devid, uint32_t hwpt, uint32_t *viommu);
int mock_vdevice(int iommufd, uint32_t viommu, uint32_t devid, uint64_t virt_id, uint32_t *vdevice);
/* Entry @n of the cache of a device, by the number it has in the vIOMMU. */
int mock_cache_drop(int iommufd, uint32_t viommu, uint32_t virt_id, uint32_t n);
bool mock_cache_is(int iommufd, uint32_t devid, uint32_t n, uint32_t want);
/* Where a vIOMMU's events come from; the device makes one; the number it says it has. */
int mock_events(int iommufd, uint32_t viommu);
int mock_event(int iommufd, uint32_t devid);
int mock_event_read(int events, uint32_t *virt_id);

/* Where I/O page faults come from; the device makes one, with or (0) without a PASID. */
int mock_faults(int iommufd, uint32_t *fault_id);
int mock_fault(int iommufd, uint32_t devid, uint32_t pasid, uint32_t grpid, uint64_t addr);
int mock_fault_read(int faults, struct iommu_hwpt_pgfault *fault);
int mock_fault_answer(int faults, uint32_t cookie);

#endif
