// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page tables of user space's own, nested in one of iommufd's, attached by VFIO to
 * devices and to their PASIDs.  No IOMMU that QEMU emulates nests for iommufd, so the
 * IOMMU is iommufd's mock; it says what it was told to translate by.
 */
#include "lib/cdev.h"
#include "lib/iommufd.h"
#include "lib/nested_fixture.h"
#include "lib/task.h"
#include "lib/test.h"

#define PAGE 4096
#define IOVA NESTED_IOVA
#define ADDR 0xdeadb000ULL
#define MAX_PASID NESTED_MAX_PASID
#define FOR_PASIDS IOMMU_HWPT_ALLOC_PASID
#define PARENT (IOMMU_HWPT_ALLOC_NEST_PARENT | FOR_PASIDS)

/*
 * semantics: 65, 66, 114.  Each kind of table takes the place of each other, and is busy
 * for as long as it is attached.
 */
TEST_F(nested, replace_and_detach)
{
	const uint32_t order[] = {
		self->n.nested[0], self->n.parent, self->n.nested[1], self->n.nested[0], 0,
		self->n.nested[1], 0, self->n.parent, self->n.nested[0],
	};
	int n = sizeof(order) / sizeof(*order), ifd = self->n.ifd;
	uint32_t pt;

	EXPECT_TRUE(HAS(&self->n.a, 0));
	for (int i = 0; i < n; i++) {
		/* 0 stands for the automatic table of an address space. */
		pt = order[i] ? order[i] : self->n.ioas;
		ASSERT_EQ(0, cdev_attach(self->n.a.fd, &pt));
		if (order[i])
			EXPECT_EQ(order[i], pt);
		EXPECT_TRUE(HAS(&self->n.a, pt));
		EXPECT_TRUE(HAS(&self->n.b, 0));
		EXPECT_EQ(-EBUSY, iommufd_destroy(ifd, pt));
		/* What is nested needs this one, attached or not. */
		EXPECT_EQ(-EBUSY, iommufd_destroy(ifd, self->n.parent));
		if (!order[i] || order[i] == self->n.parent)
			EXPECT_TRUE(mock_maps(ifd, pt, IOVA, self->n.page, PAGE));
	}
	ASSERT_EQ(0, cdev_detach(self->n.a.fd));
	EXPECT_TRUE(HAS(&self->n.a, 0));
	ASSERT_EQ(0, nested_attach(&self->n.a, self->n.nested[1]));
	EXPECT_EQ(0, iommufd_destroy(ifd, self->n.nested[0]));
	EXPECT_EQ(-EBUSY, iommufd_destroy(ifd, self->n.nested[1]));
	ASSERT_EQ(0, cdev_detach(self->n.a.fd));
	EXPECT_EQ(0, iommufd_destroy(ifd, self->n.nested[1]));
	EXPECT_EQ(0, iommufd_destroy(ifd, self->n.parent));
}

/* semantics: 65, 67.  What is attached is the table whose cache user space drops, by its id. */
TEST_F(nested, invalidate)
{
	int ifd = self->n.ifd;

	ASSERT_EQ(0, nested_attach(&self->n.a, self->n.nested[0]));
	ASSERT_EQ(0, nested_attach_pasid(&self->n.a, 1, self->n.nested[1]));
	for (int i = 0; i < 2; i++) {
		for (uint32_t n = 0; n < MOCK_NESTED_DOMAIN_IOTLB_NUM; n++)
			EXPECT_TRUE(mock_iotlb_is(ifd, self->n.nested[i], n, nested_iotlb[i]));
	}
	ASSERT_EQ(0, mock_iotlb_drop(ifd, self->n.nested[1], 2));
	EXPECT_TRUE(mock_iotlb_is(ifd, self->n.nested[1], 2, 0));
	EXPECT_TRUE(mock_iotlb_is(ifd, self->n.nested[1], 1, nested_iotlb[1]));
	EXPECT_TRUE(mock_iotlb_is(ifd, self->n.nested[0], 2, nested_iotlb[0]));
	/* Of a table that software maps there is none to drop. */
	EXPECT_EQ(-EINVAL, mock_iotlb_drop(ifd, self->n.parent, 0));
	EXPECT_TRUE(HAS(&self->n.a, self->n.nested[0], self->n.nested[1]));
}

/*
 * semantics: 64, 65, 114.  Nested, through a vIOMMU: the table is for devices that the
 * vIOMMU has a number for, which is that of VFIO's device, as long as that is bound.
 */
TEST_F(nested, viommu)
{
	uint32_t viommu, table, vdevice, virt_id = 0;
	int events, ifd = self->n.ifd;

	ASSERT_EQ(0, mock_viommu(ifd, self->n.a.devid, self->n.parent, &viommu));
	events = mock_events(ifd, viommu);
	ASSERT_GE(events, 0);
	ASSERT_EQ(0, mock_nested(ifd, self->n.a.devid, viommu, FOR_PASIDS, 0, nested_iotlb[0],
				 &table));

	/* Without a number: the old table stays. */
	ASSERT_EQ(0, nested_attach(&self->n.a, self->n.parent));
	EXPECT_EQ(-ENOENT, nested_attach(&self->n.a, table));
	EXPECT_TRUE(HAS(&self->n.a, self->n.parent));
	EXPECT_EQ(-ENOENT, mock_event(ifd, self->n.a.devid));

	ASSERT_EQ(0, mock_vdevice(ifd, viommu, self->n.a.devid, 0x99, &vdevice));
	ASSERT_EQ(0, nested_attach(&self->n.a, table));
	EXPECT_TRUE(HAS(&self->n.a, table));
	EXPECT_EQ(-EBUSY, iommufd_destroy(ifd, table));
	/* Only this device. */
	EXPECT_EQ(-ENOENT, nested_attach(&self->n.b, table));
	EXPECT_TRUE(HAS(&self->n.b, 0));

	/* Attached, its events come to the vIOMMU, under that number. */
	ASSERT_EQ(0, mock_event(ifd, self->n.a.devid));
	EXPECT_EQ(0, mock_event_read(events, &virt_id));
	EXPECT_EQ(0x99, virt_id);
	ASSERT_EQ(0, mock_cache_drop(ifd, viommu, 0x99, 3));
	EXPECT_TRUE(mock_cache_is(ifd, self->n.a.devid, 3, 0));
	EXPECT_TRUE(mock_cache_is(ifd, self->n.a.devid, 2, IOMMU_TEST_DEV_CACHE_DEFAULT));
	EXPECT_TRUE(mock_cache_is(ifd, self->n.b.devid, 3, IOMMU_TEST_DEV_CACHE_DEFAULT));

	/* Replaced by, and replacing, tables without a vIOMMU. */
	ASSERT_EQ(0, nested_attach(&self->n.a, self->n.nested[0]));
	EXPECT_EQ(-ENOENT, mock_event(ifd, self->n.a.devid));
	EXPECT_EQ(-EAGAIN, mock_event_read(events, &virt_id));
	ASSERT_EQ(0, nested_attach(&self->n.a, table));
	EXPECT_EQ(0, mock_event(ifd, self->n.a.devid));
	EXPECT_EQ(0, mock_event_read(events, &virt_id));
	/* By PASID as well. */
	ASSERT_EQ(0, nested_attach_pasid(&self->n.a, 1, table));
	ASSERT_EQ(0, nested_attach_pasid(&self->n.a, 2, self->n.nested[0]));
	ASSERT_EQ(0, nested_attach_pasid(&self->n.a, 2, table));
	EXPECT_TRUE(HAS(&self->n.a, table, table, table));

	/* With the device, its number goes, though nobody gave it back. */
	close(self->n.a.fd);
	self->n.a.fd = -1;
	EXPECT_TRUE(HAS(&self->n.a, 0));
	EXPECT_EQ(-ENOENT, iommufd_destroy(ifd, vdevice));
	EXPECT_EQ(-EINVAL, mock_cache_drop(ifd, viommu, 0x99, 2));
	EXPECT_EQ(0, iommufd_destroy(ifd, table));
	ASSERT_EQ(0, mock_vdevice(ifd, viommu, self->n.b.devid, 0x99, &vdevice));
	EXPECT_EQ(0, iommufd_destroy(ifd, vdevice));
	close(events);
}

/* semantics: 67, 68.  Tables by PASID, of each kind, each replaced by each other. */
TEST_F(nested, pasids)
{
	const uint32_t n0 = self->n.nested[0], n1 = self->n.nested[1], p = self->n.parent;
	const uint32_t kinds[] = { n0, n1, p };
	struct mock *a = &self->n.a;

	ASSERT_EQ(0, nested_attach(a, p));
	ASSERT_EQ(0, nested_attach_pasid(a, 1, n0));
	ASSERT_EQ(0, nested_attach_pasid(a, 2, n1));
	ASSERT_EQ(0, nested_attach_pasid(a, 5, p));
	EXPECT_TRUE(HAS(a, p, n0, n1, [5] = p));
	for (int from = 0; from < 3; from++) {
		for (int to = 0; to < 3; to++) {
			ASSERT_EQ(0, nested_attach_pasid(a, 7, kinds[from]));
			EXPECT_TRUE(HAS(a, p, n0, n1, [5] = p, [7] = kinds[from]));
			ASSERT_EQ(0, nested_attach_pasid(a, 7, kinds[to]));
			EXPECT_TRUE(HAS(a, p, n0, n1, [5] = p, [7] = kinds[to]));
		}
	}
	/* The device's own table changes by itself. */
	ASSERT_EQ(0, nested_attach(a, n1));
	EXPECT_TRUE(HAS(a, n1, n0, n1, [5] = p, [7] = p));
	ASSERT_EQ(0, cdev_detach_pasid(a->fd, 1));
	EXPECT_TRUE(HAS(a, n1, 0, n1, [5] = p, [7] = p));
	EXPECT_EQ(0, iommufd_destroy(self->n.ifd, n0));
	ASSERT_EQ(0, cdev_detach(a->fd));
	EXPECT_TRUE(HAS(a, 0, 0, n1, [5] = p, [7] = p));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->n.ifd, n1));
	ASSERT_EQ(0, cdev_detach_pasid(a->fd, 2));
	EXPECT_EQ(0, iommufd_destroy(self->n.ifd, n1));
	EXPECT_TRUE(HAS(a, [5] = p, [7] = p));
}

/* semantics: 67.  The last PASID that the IOMMU has, and the first that it has not. */
TEST_F(nested, last_pasid)
{
	ASSERT_EQ(0, nested_attach_pasid(&self->n.a, MAX_PASID, self->n.nested[0]));
	EXPECT_TRUE(mock_has(self->n.ifd, &self->n.a, MAX_PASID, self->n.nested[0]));
	EXPECT_EQ(-EINVAL, nested_attach_pasid(&self->n.a, MAX_PASID + 1, self->n.nested[0]));
	EXPECT_TRUE(mock_has_none(self->n.ifd, &self->n.a, MAX_PASID + 1));
	ASSERT_EQ(0, cdev_detach_pasid(self->n.a.fd, MAX_PASID));
	EXPECT_TRUE(mock_has_none(self->n.ifd, &self->n.a, MAX_PASID));
	EXPECT_EQ(0, iommufd_destroy(self->n.ifd, self->n.nested[0]));
}

/*
 * semantics: 64, 68, 116.  One iommufd, two address spaces, two devices: each device has
 * exactly what it was given, by PASID, whatever becomes of the other one.
 */
TEST_F(nested, two_devices)
{
	const uint32_t n0 = self->n.nested[0], n1 = self->n.nested[1], p = self->n.parent;
	struct mock *a = &self->n.a, *b = &self->n.b;
	void *page = pages_alloc(PAGE);
	uint32_t ioas, parent, other;
	int ifd = self->n.ifd;

	ASSERT_EQ(0, ioas_alloc(ifd, &ioas));
	ASSERT_EQ(0, ioas_map(ifd, ioas, page, PAGE, IOVA));
	ASSERT_EQ(0, hwpt_alloc(ifd, b->devid, ioas, PARENT, &parent));
	ASSERT_EQ(0, mock_nested(ifd, b->devid, parent, FOR_PASIDS, 0, nested_iotlb[0], &other));
	EXPECT_TRUE(mock_maps(ifd, parent, IOVA, page, PAGE));
	EXPECT_FALSE(mock_maps(ifd, parent, IOVA, self->n.page, PAGE));
	EXPECT_TRUE(mock_maps(ifd, p, IOVA, self->n.page, PAGE));

	ASSERT_EQ(0, nested_attach(a, p));
	ASSERT_EQ(0, nested_attach(b, parent));
	/* The same table by two PASIDs, and two tables by the same PASID. */
	ASSERT_EQ(0, nested_attach_pasid(a, 1, n0));
	ASSERT_EQ(0, nested_attach_pasid(a, 2, n1));
	ASSERT_EQ(0, nested_attach_pasid(a, 3, other));
	ASSERT_EQ(0, nested_attach_pasid(b, 1, other));
	ASSERT_EQ(0, nested_attach_pasid(b, 4, n0));
	EXPECT_TRUE(HAS(a, p, n0, n1, other));
	EXPECT_TRUE(HAS(b, parent, other, [4] = n0));

	/* One loses some of it, what it has not is not taken from the other. */
	ASSERT_EQ(0, cdev_detach_pasid(a->fd, 1));
	EXPECT_EQ(0, cdev_detach_pasid(a->fd, 4));
	EXPECT_TRUE(HAS(a, p, [2] = n1, [3] = other));
	EXPECT_TRUE(HAS(b, parent, other, [4] = n0));
	ASSERT_EQ(0, nested_attach_pasid(b, 1, n1));
	ASSERT_EQ(0, cdev_detach(b->fd));
	EXPECT_TRUE(HAS(a, p, [2] = n1, [3] = other));
	EXPECT_TRUE(HAS(b, 0, n1, [4] = n0));

	/* One loses everything. */
	close(a->fd);
	a->fd = -1;
	EXPECT_TRUE(HAS(a, 0));
	EXPECT_TRUE(HAS(b, 0, n1, [4] = n0));
	EXPECT_EQ(0, iommufd_destroy(ifd, other));
	EXPECT_EQ(-EBUSY, iommufd_destroy(ifd, n0));
	EXPECT_EQ(-EBUSY, iommufd_destroy(ifd, n1));
	ASSERT_EQ(0, cdev_detach_pasid(b->fd, 4));
	EXPECT_EQ(0, iommufd_destroy(ifd, n0));
	close(b->fd);
	b->fd = -1;
	EXPECT_TRUE(HAS(b, 0));
	EXPECT_EQ(0, iommufd_destroy(ifd, n1));
	EXPECT_EQ(0, iommufd_destroy(ifd, p));
}

/* semantics: 64, 109, 116.  Close detaches all there is; the device can be had again. */
TEST_F(nested, close_detaches)
{
	struct mock *a = &self->n.a;
	int ifd = self->n.ifd;

	for (int round = 0; round < 3; round++) {
		ASSERT_EQ(0, nested_attach(a, self->n.nested[round & 1]));
		for (uint32_t pasid = 1; pasid < 1000; pasid += 7)
			ASSERT_EQ(0, nested_attach_pasid(a, pasid, self->n.nested[pasid & 1]));
		close(a->fd);
		EXPECT_TRUE(HAS(a, 0));
		for (uint32_t pasid = 1; pasid < 1000; pasid += 7)
			EXPECT_TRUE(mock_has_none(ifd, a, pasid));
		EXPECT_EQ(-ENOENT, iommufd_destroy(ifd, a->devid));
		a->fd = cdev_open_below(a->path);
		ASSERT_GE(a->fd, 0);
		ASSERT_EQ(0, cdev_bind(a->fd, ifd, &a->devid));
		/* The PASIDs are not remembered: replacing what is not there would fail. */
		ASSERT_EQ(0, nested_attach_pasid(a, 1, self->n.nested[0]));
		ASSERT_EQ(0, cdev_detach_pasid(a->fd, 1));
	}
	EXPECT_EQ(0, iommufd_destroy(ifd, self->n.nested[0]));
	EXPECT_EQ(0, iommufd_destroy(ifd, self->n.nested[1]));
}

/* semantics: 106.  What belongs to one iommufd is not another's; nothing is left of the try. */
TEST_F(nested, second_iommufd)
{
	struct mock *a = &self->n.a;
	int ifd = self->n.ifd, second = iommufd_open();

	ASSERT_GE(second, 0);
	ASSERT_EQ(0, nested_attach_pasid(&self->n.b, 1, self->n.nested[0]));
	close(a->fd);
	a->fd = cdev_open_below(a->path);
	ASSERT_GE(a->fd, 0);
	EXPECT_EQ(-EPERM, cdev_bind(a->fd, second, NULL));
	EXPECT_EQ(-EPERM, cdev_bind(a->fd, second, NULL));
	ASSERT_EQ(0, cdev_bind(a->fd, ifd, &a->devid));
	ASSERT_EQ(0, nested_attach(a, self->n.nested[0]));
	EXPECT_TRUE(HAS(a, self->n.nested[0]));
	EXPECT_TRUE(HAS(&self->n.b, 0, self->n.nested[0]));
	close(second);
	EXPECT_TRUE(HAS(a, self->n.nested[0]));
}

/*
 * semantics: 64, 107.  A bound file keeps the iommufd, and all that is attached.  (Of a
 * mock device iommufd counts no reference by itself.)
 */
TEST_F(nested, iommufd_closed_first)
{
	int ifd = self->n.ifd;

	ASSERT_EQ(0, nested_attach(&self->n.a, self->n.nested[0]));
	ASSERT_EQ(0, nested_attach_pasid(&self->n.a, 1, self->n.nested[1]));
	close(self->n.b.fd);
	self->n.b.fd = -1;
	close(ifd);
	self->n.ifd = -1;
	/* It is there: its tables can be attached. */
	EXPECT_EQ(0, nested_attach_pasid(&self->n.a, 2, self->n.nested[0]));
	EXPECT_EQ(0, nested_attach(&self->n.a, self->n.parent));
	EXPECT_EQ(0, access(self->n.a.path, F_OK));
	/* The last one to hold it closes it, and the devices go with it. */
	close(self->n.a.fd);
	self->n.a.fd = -1;
	EXPECT_EQ(-1, access(self->n.a.path, F_OK));
	EXPECT_EQ(-1, access(self->n.b.path, F_OK));
}

struct removal {
	int ifd;
	uint32_t stdev;
};

static int do_remove(void *arg)
{
	struct removal *removal = arg;

	return iommufd_destroy(removal->ifd, removal->stdev);
}

/*
 * semantics: 64, 86, 90.  A device that goes waits for its file, which keeps what it has;
 * then it has nothing, and the other device still all.
 */
TEST_F(nested, removal)
{
	const uint32_t n0 = self->n.nested[0], n1 = self->n.nested[1];
	struct removal removal = { self->n.ifd, self->n.a.stdev };
	int ifd = self->n.ifd;
	struct worker worker;

	ASSERT_EQ(0, nested_attach(&self->n.a, n0));
	ASSERT_EQ(0, mock_share(ifd, &self->n.a, n0));
	ASSERT_EQ(0, nested_attach_pasid(&self->n.a, 1, n1));
	ASSERT_EQ(0, nested_attach_pasid(&self->n.b, 1, n0));
	ASSERT_EQ(0, worker_start(&worker, do_remove, &removal));
	EXPECT_TRUE(worker_sleeps_in(&worker, "mock_remove"));
	EXPECT_EQ(-EBUSY, iommufd_destroy(ifd, n1));
	/* By now VFIO's binding alone makes it iommufd's: it can still be given tables. */
	EXPECT_EQ(0, nested_attach_pasid(&self->n.a, 2, n1));
	EXPECT_EQ(0, cdev_detach(self->n.a.fd));
	EXPECT_FALSE(worker_ended(&worker));
	close(self->n.a.fd);
	self->n.a.fd = -1;
	EXPECT_EQ(0, worker_join(&worker));
	EXPECT_EQ(-1, access(self->n.a.path, F_OK));
	EXPECT_EQ(0, iommufd_destroy(ifd, n1));
	EXPECT_EQ(-EBUSY, iommufd_destroy(ifd, n0));
	EXPECT_TRUE(HAS(&self->n.b, 0, n0));
}

/*
 * semantics: 64-68.  I/O page faults of what is nested come to user space as those of
 * VFIO's device; when a table is detached they are answered for it.
 */
TEST_F(nested, page_faults)
{
	struct iommu_hwpt_pgfault fault;
	struct mock *a = &self->n.a;
	uint32_t id, table;
	int faults, ifd = self->n.ifd;

	if (!has_procfs())
		SKIP(return, NO_PROCFS);
	if (!kernel_has("iopf_queue_alloc"))
		SKIP(return, "a kernel without IOMMU_IOPF");
	faults = mock_faults(ifd, &id);
	ASSERT_GE(faults, 0);
	ASSERT_EQ(0, mock_nested(ifd, a->devid, self->n.parent,
				 FOR_PASIDS | IOMMU_HWPT_FAULT_ID_VALID, id, nested_iotlb[0],
				 &table));

	/* The device's own; with a PASID that has no table, the user's PASID table is asked. */
	ASSERT_EQ(0, nested_attach(a, table));
	ASSERT_EQ(0, nested_attach_pasid(a, 2, self->n.nested[1]));
	for (uint32_t pasid = 0; pasid < 2; pasid++) {
		ASSERT_EQ(0, mock_fault(ifd, a->devid, pasid, 7, ADDR));
		ASSERT_EQ(0, mock_fault_read(faults, &fault));
		EXPECT_EQ(a->devid, fault.dev_id);
		EXPECT_EQ(pasid, fault.pasid);
		EXPECT_EQ(7, fault.grpid);
		EXPECT_EQ(ADDR, fault.addr);
		EXPECT_EQ(IOMMU_PGFAULT_FLAGS_LAST_PAGE |
			  (pasid ? IOMMU_PGFAULT_FLAGS_PASID_VALID : 0), fault.flags);
		EXPECT_EQ(0, mock_fault_answer(faults, fault.cookie));
		EXPECT_EQ(-EINVAL, mock_fault_answer(faults, fault.cookie));
	}
	/* One with a table that has no faults, and another device, tell nothing. */
	ASSERT_EQ(0, mock_fault(ifd, a->devid, 2, 7, ADDR));
	ASSERT_EQ(0, mock_fault(ifd, self->n.b.devid, 0, 7, ADDR));
	EXPECT_EQ(-EAGAIN, mock_fault_read(faults, &fault));

	/* By PASID alone. */
	ASSERT_EQ(0, nested_attach(a, self->n.nested[0]));
	ASSERT_EQ(0, nested_attach_pasid(a, 2, table));
	ASSERT_EQ(0, mock_fault(ifd, a->devid, 0, 7, ADDR));
	EXPECT_EQ(-EAGAIN, mock_fault_read(faults, &fault));
	ASSERT_EQ(0, mock_fault(ifd, a->devid, 2, 8, ADDR));
	ASSERT_EQ(0, mock_fault_read(faults, &fault));
	EXPECT_EQ(a->devid, fault.dev_id);
	EXPECT_EQ(2, fault.pasid);

	/* Unanswered, and unread, ones end with the attachment: replaced, */
	ASSERT_EQ(0, mock_fault(ifd, a->devid, 2, 9, ADDR));
	ASSERT_EQ(0, nested_attach_pasid(a, 2, self->n.nested[1]));
	EXPECT_EQ(-EINVAL, mock_fault_answer(faults, fault.cookie));
	EXPECT_EQ(-EAGAIN, mock_fault_read(faults, &fault));
	/* ... detached, */
	ASSERT_EQ(0, nested_attach_pasid(a, 2, table));
	ASSERT_EQ(0, mock_fault(ifd, a->devid, 2, 9, ADDR));
	ASSERT_EQ(0, mock_fault_read(faults, &fault));
	ASSERT_EQ(0, cdev_detach_pasid(a->fd, 2));
	EXPECT_EQ(-EINVAL, mock_fault_answer(faults, fault.cookie));
	/* ... closed. */
	ASSERT_EQ(0, nested_attach_pasid(a, 2, table));
	ASSERT_EQ(0, mock_fault(ifd, a->devid, 2, 9, ADDR));
	ASSERT_EQ(0, mock_fault_read(faults, &fault));
	close(a->fd);
	a->fd = -1;
	EXPECT_EQ(-EINVAL, mock_fault_answer(faults, fault.cookie));
	close(faults);
	EXPECT_EQ(0, iommufd_destroy(ifd, table));
	EXPECT_EQ(0, iommufd_destroy(ifd, id));
}

TEST_HARNESS_MAIN
