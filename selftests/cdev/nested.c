// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page tables of user space's own, nested in one of iommufd's, attached by VFIO to
 * devices and to their PASIDs.  No IOMMU that QEMU emulates nests for iommufd, so the
 * IOMMU is iommufd's mock; it says what it was told to translate by.
 */
#include <string.h>

#include "lib/cdev.h"
#include "lib/fault.h"
#include "lib/introspect.h"
#include "lib/iommufd.h"
#include "lib/mock.h"
#include "lib/sva.h"
#include "lib/task.h"
#include "lib/test.h"

#define PAGE 4096
#define IOVA ((uint64_t)MOCK_APERTURE_START)
#define ADDR 0xdeadb000ULL
#define PASIDS 8
#define MAX_PASID ((1u << MOCK_PASID_WIDTH) - 1)

/* What the caches of the two tables hold at first. */
static const uint32_t iotlb[2] = { 0x1070, 0x1071 };

#define FOR_PASIDS IOMMU_HWPT_ALLOC_PASID
#define PARENT (IOMMU_HWPT_ALLOC_NEST_PARENT | FOR_PASIDS)

/* Two bound devices, a table that others nest in, and two that do. */
FIXTURE(nested) {
	int ifd;
	struct mock a, b;
	uint32_t ioas, parent, nested[2];
	void *page;
};

FIXTURE_SETUP(nested)
{
	int ret;

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	/* Before the devices' files: at the end of a test it goes after them. */
	self->ifd = iommufd_open();
	ASSERT_GE(self->ifd, 0);
	ret = mock_bind(self->ifd, MOCK_FLAGS_DEVICE_PASID, &self->a);
	if (ret == -ENOENT)
		SKIP(return, NO_MOCK);
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, mock_bind(self->ifd, MOCK_FLAGS_DEVICE_PASID, &self->b));
	ASSERT_EQ(0, ioas_alloc(self->ifd, &self->ioas));
	self->page = pages_alloc(PAGE);
	ASSERT_EQ(0, ioas_map(self->ifd, self->ioas, self->page, PAGE, IOVA));
	ASSERT_EQ(0, hwpt_alloc(self->ifd, self->a.devid, self->ioas, PARENT, &self->parent));
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, mock_nested(self->ifd, self->a.devid, self->parent, FOR_PASIDS, 0,
					 iotlb[i], &self->nested[i]));
}

FIXTURE_TEARDOWN(nested)
{
	close(self->a.fd);
	close(self->b.fd);
	close(self->ifd);
	EXPECT_EQ(0, mock_unload());
}

/* A page table comes out as it goes in. */
static int attach(const struct mock *mock, uint32_t hwpt)
{
	uint32_t pt = hwpt;
	int ret = cdev_attach(mock->fd, &pt);

	return !ret && pt != hwpt ? -EBADE : ret;
}

static int attach_pasid(const struct mock *mock, uint32_t pasid, uint32_t hwpt)
{
	uint32_t pt = hwpt;
	int ret = cdev_attach_pasid(mock->fd, pasid, &pt);

	return !ret && pt != hwpt ? -EBADE : ret;
}

/* The table of the device (PASID 0) and of each PASID; 0: none. */
struct tables {
	uint32_t of[PASIDS];
};

static bool has_exactly(int ifd, const struct mock *mock, const struct tables *want)
{
	for (uint32_t pasid = 0; pasid < PASIDS; pasid++) {
		uint32_t hwpt = want->of[pasid];

		if (hwpt ? mock_has(ifd, mock, pasid, hwpt) : mock_has_none(ifd, mock, pasid))
			continue;
		ksft_print_msg("%s: PASID %u has another table than %u\n", mock->path, pasid,
			       hwpt);
		return false;
	}
	return true;
}

#define HAS(mock, ...) has_exactly(self->ifd, mock, &(struct tables){ { __VA_ARGS__ } })

/*
 * semantics: 65, 66, 114.  Each kind of table takes the place of each other, and is busy
 * for as long as it is attached.
 */
TEST_F(nested, replace_and_detach)
{
	const uint32_t order[] = {
		self->nested[0], self->parent, self->nested[1], self->nested[0], 0,
		self->nested[1], 0, self->parent, self->nested[0],
	};
	int n = sizeof(order) / sizeof(*order), ifd = self->ifd;
	uint32_t pt;

	EXPECT_TRUE(HAS(&self->a, 0));
	for (int i = 0; i < n; i++) {
		/* 0 stands for the automatic table of an address space. */
		pt = order[i] ? order[i] : self->ioas;
		ASSERT_EQ(0, cdev_attach(self->a.fd, &pt));
		if (order[i])
			EXPECT_EQ(order[i], pt);
		EXPECT_TRUE(HAS(&self->a, pt));
		EXPECT_TRUE(HAS(&self->b, 0));
		EXPECT_EQ(-EBUSY, iommufd_destroy(ifd, pt));
		/* What is nested needs this one, attached or not. */
		EXPECT_EQ(-EBUSY, iommufd_destroy(ifd, self->parent));
		if (!order[i] || order[i] == self->parent)
			EXPECT_TRUE(mock_maps(ifd, pt, IOVA, self->page, PAGE));
	}
	ASSERT_EQ(0, cdev_detach(self->a.fd));
	EXPECT_TRUE(HAS(&self->a, 0));
	ASSERT_EQ(0, attach(&self->a, self->nested[1]));
	EXPECT_EQ(0, iommufd_destroy(ifd, self->nested[0]));
	EXPECT_EQ(-EBUSY, iommufd_destroy(ifd, self->nested[1]));
	ASSERT_EQ(0, cdev_detach(self->a.fd));
	EXPECT_EQ(0, iommufd_destroy(ifd, self->nested[1]));
	EXPECT_EQ(0, iommufd_destroy(ifd, self->parent));
}

/* semantics: 65, 67.  What is attached is the table whose cache user space drops, by its id. */
TEST_F(nested, invalidate)
{
	int ifd = self->ifd;

	ASSERT_EQ(0, attach(&self->a, self->nested[0]));
	ASSERT_EQ(0, attach_pasid(&self->a, 1, self->nested[1]));
	for (int i = 0; i < 2; i++) {
		for (uint32_t n = 0; n < MOCK_NESTED_DOMAIN_IOTLB_NUM; n++)
			EXPECT_TRUE(mock_iotlb_is(ifd, self->nested[i], n, iotlb[i]));
	}
	ASSERT_EQ(0, mock_iotlb_drop(ifd, self->nested[1], 2));
	EXPECT_TRUE(mock_iotlb_is(ifd, self->nested[1], 2, 0));
	EXPECT_TRUE(mock_iotlb_is(ifd, self->nested[1], 1, iotlb[1]));
	EXPECT_TRUE(mock_iotlb_is(ifd, self->nested[0], 2, iotlb[0]));
	/* Of a table that software maps there is none to drop. */
	EXPECT_EQ(-EINVAL, mock_iotlb_drop(ifd, self->parent, 0));
	EXPECT_TRUE(HAS(&self->a, self->nested[0], self->nested[1]));
}

/*
 * semantics: 64, 65, 114.  Nested, through a vIOMMU: the table is for devices that the
 * vIOMMU has a number for, which is that of VFIO's device, as long as that is bound.
 */
TEST_F(nested, viommu)
{
	uint32_t viommu, table, vdevice, virt_id = 0;
	int events, ifd = self->ifd;

	ASSERT_EQ(0, mock_viommu(ifd, self->a.devid, self->parent, &viommu));
	events = mock_events(ifd, viommu);
	ASSERT_GE(events, 0);
	ASSERT_EQ(0, mock_nested(ifd, self->a.devid, viommu, FOR_PASIDS, 0, iotlb[0], &table));

	/* Without a number: the old table stays. */
	ASSERT_EQ(0, attach(&self->a, self->parent));
	EXPECT_EQ(-ENOENT, attach(&self->a, table));
	EXPECT_TRUE(HAS(&self->a, self->parent));
	EXPECT_EQ(-ENOENT, mock_event(ifd, self->a.devid));

	ASSERT_EQ(0, mock_vdevice(ifd, viommu, self->a.devid, 0x99, &vdevice));
	ASSERT_EQ(0, attach(&self->a, table));
	EXPECT_TRUE(HAS(&self->a, table));
	EXPECT_EQ(-EBUSY, iommufd_destroy(ifd, table));
	/* Only this device. */
	EXPECT_EQ(-ENOENT, attach(&self->b, table));
	EXPECT_TRUE(HAS(&self->b, 0));

	/* Attached, its events come to the vIOMMU, under that number. */
	ASSERT_EQ(0, mock_event(ifd, self->a.devid));
	EXPECT_EQ(0, mock_event_read(events, &virt_id));
	EXPECT_EQ(0x99, virt_id);
	ASSERT_EQ(0, mock_cache_drop(ifd, viommu, 0x99, 3));
	EXPECT_TRUE(mock_cache_is(ifd, self->a.devid, 3, 0));
	EXPECT_TRUE(mock_cache_is(ifd, self->a.devid, 2, IOMMU_TEST_DEV_CACHE_DEFAULT));
	EXPECT_TRUE(mock_cache_is(ifd, self->b.devid, 3, IOMMU_TEST_DEV_CACHE_DEFAULT));

	/* Replaced by, and replacing, tables without a vIOMMU. */
	ASSERT_EQ(0, attach(&self->a, self->nested[0]));
	EXPECT_EQ(-ENOENT, mock_event(ifd, self->a.devid));
	EXPECT_EQ(-EAGAIN, mock_event_read(events, &virt_id));
	ASSERT_EQ(0, attach(&self->a, table));
	EXPECT_EQ(0, mock_event(ifd, self->a.devid));
	EXPECT_EQ(0, mock_event_read(events, &virt_id));
	/* By PASID as well. */
	ASSERT_EQ(0, attach_pasid(&self->a, 1, table));
	ASSERT_EQ(0, attach_pasid(&self->a, 2, self->nested[0]));
	ASSERT_EQ(0, attach_pasid(&self->a, 2, table));
	EXPECT_TRUE(HAS(&self->a, table, table, table));

	/* With the device, its number goes, though nobody gave it back. */
	close(self->a.fd);
	self->a.fd = -1;
	EXPECT_TRUE(HAS(&self->a, 0));
	EXPECT_EQ(-ENOENT, iommufd_destroy(ifd, vdevice));
	EXPECT_EQ(-EINVAL, mock_cache_drop(ifd, viommu, 0x99, 2));
	EXPECT_EQ(0, iommufd_destroy(ifd, table));
	ASSERT_EQ(0, mock_vdevice(ifd, viommu, self->b.devid, 0x99, &vdevice));
	EXPECT_EQ(0, iommufd_destroy(ifd, vdevice));
	close(events);
}

/* semantics: 67, 68.  Tables by PASID, of each kind, each replaced by each other. */
TEST_F(nested, pasids)
{
	const uint32_t n0 = self->nested[0], n1 = self->nested[1], p = self->parent;
	const uint32_t kinds[] = { n0, n1, p };
	struct mock *a = &self->a;

	ASSERT_EQ(0, attach(a, p));
	ASSERT_EQ(0, attach_pasid(a, 1, n0));
	ASSERT_EQ(0, attach_pasid(a, 2, n1));
	ASSERT_EQ(0, attach_pasid(a, 5, p));
	EXPECT_TRUE(HAS(a, p, n0, n1, [5] = p));
	for (int from = 0; from < 3; from++) {
		for (int to = 0; to < 3; to++) {
			ASSERT_EQ(0, attach_pasid(a, 7, kinds[from]));
			EXPECT_TRUE(HAS(a, p, n0, n1, [5] = p, [7] = kinds[from]));
			ASSERT_EQ(0, attach_pasid(a, 7, kinds[to]));
			EXPECT_TRUE(HAS(a, p, n0, n1, [5] = p, [7] = kinds[to]));
		}
	}
	/* The device's own table changes by itself. */
	ASSERT_EQ(0, attach(a, n1));
	EXPECT_TRUE(HAS(a, n1, n0, n1, [5] = p, [7] = p));
	ASSERT_EQ(0, cdev_detach_pasid(a->fd, 1));
	EXPECT_TRUE(HAS(a, n1, 0, n1, [5] = p, [7] = p));
	EXPECT_EQ(0, iommufd_destroy(self->ifd, n0));
	ASSERT_EQ(0, cdev_detach(a->fd));
	EXPECT_TRUE(HAS(a, 0, 0, n1, [5] = p, [7] = p));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->ifd, n1));
	ASSERT_EQ(0, cdev_detach_pasid(a->fd, 2));
	EXPECT_EQ(0, iommufd_destroy(self->ifd, n1));
	EXPECT_TRUE(HAS(a, [5] = p, [7] = p));
}

/* semantics: 67.  The last PASID that the IOMMU has, and the first that it has not. */
TEST_F(nested, last_pasid)
{
	ASSERT_EQ(0, attach_pasid(&self->a, MAX_PASID, self->nested[0]));
	EXPECT_TRUE(mock_has(self->ifd, &self->a, MAX_PASID, self->nested[0]));
	EXPECT_EQ(-EINVAL, attach_pasid(&self->a, MAX_PASID + 1, self->nested[0]));
	EXPECT_TRUE(mock_has_none(self->ifd, &self->a, MAX_PASID + 1));
	ASSERT_EQ(0, cdev_detach_pasid(self->a.fd, MAX_PASID));
	EXPECT_TRUE(mock_has_none(self->ifd, &self->a, MAX_PASID));
	EXPECT_EQ(0, iommufd_destroy(self->ifd, self->nested[0]));
}

/*
 * semantics: 65, 67.  Tables that are not made for PASIDs are refused for one, and beside
 * one; what was refused leaves what there was, and no trace in VFIO's list of PASIDs.
 */
TEST_F(nested, not_for_pasids)
{
	const uint32_t n0 = self->nested[0], p = self->parent;
	uint32_t plain, table, pt = self->ioas;
	struct mock *a = &self->a;
	int ifd = self->ifd;

	ASSERT_EQ(0, hwpt_alloc(ifd, a->devid, self->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &plain));
	ASSERT_EQ(0, mock_nested(ifd, a->devid, plain, 0, 0, iotlb[0], &table));

	/* For one, */
	ASSERT_EQ(0, attach(a, p));
	EXPECT_EQ(-EINVAL, attach_pasid(a, 1, table));
	EXPECT_EQ(-EINVAL, attach_pasid(a, 1, plain));
	EXPECT_EQ(-EINVAL, cdev_attach_pasid(a->fd, 1, &pt));
	EXPECT_TRUE(HAS(a, p));
	/* ... in place of one that is, */
	ASSERT_EQ(0, attach_pasid(a, 1, n0));
	EXPECT_EQ(-EINVAL, attach_pasid(a, 1, table));
	EXPECT_EQ(-EINVAL, attach_pasid(a, 1, plain));
	EXPECT_EQ(-EINVAL, cdev_attach_pasid(a->fd, 1, &pt));
	EXPECT_TRUE(HAS(a, p, n0));
	/* ... for the device beside one, */
	EXPECT_EQ(-EINVAL, attach(a, table));
	EXPECT_EQ(-EINVAL, attach(a, plain));
	EXPECT_TRUE(HAS(a, p, n0));
	ASSERT_EQ(0, cdev_detach(a->fd));
	EXPECT_EQ(-EINVAL, attach(a, table));
	EXPECT_TRUE(HAS(a, 0, n0));
	/* ... and in the other order. */
	ASSERT_EQ(0, cdev_detach_pasid(a->fd, 1));
	ASSERT_EQ(0, attach(a, table));
	EXPECT_EQ(-EINVAL, attach_pasid(a, 1, n0));
	EXPECT_TRUE(HAS(a, table));
	ASSERT_EQ(0, attach(a, n0));
	ASSERT_EQ(0, attach_pasid(a, 1, n0));
	EXPECT_TRUE(HAS(a, n0, n0));
	EXPECT_EQ(0, iommufd_destroy(ifd, table));
	EXPECT_EQ(0, iommufd_destroy(ifd, plain));
}

/*
 * semantics: 67.  A replacement that the IOMMU's driver fails, as the mock does for this
 * PASID: the old table stays attached, to VFIO as well.
 */
TEST_F(nested, failed_replacement)
{
	const uint32_t n0 = self->nested[0], n1 = self->nested[1];
	struct mock *a = &self->a;
	int ifd = self->ifd;

	ASSERT_EQ(0, attach_pasid(a, IOMMU_TEST_PASID_RESERVED, n0));
	EXPECT_EQ(-ENOMEM, attach_pasid(a, IOMMU_TEST_PASID_RESERVED, n1));
	EXPECT_TRUE(mock_has(ifd, a, IOMMU_TEST_PASID_RESERVED, n0));
	EXPECT_EQ(-EBUSY, iommufd_destroy(ifd, n0));
	EXPECT_EQ(0, iommufd_destroy(ifd, n1));
	ASSERT_EQ(0, cdev_detach_pasid(a->fd, IOMMU_TEST_PASID_RESERVED));
	EXPECT_TRUE(mock_has_none(ifd, a, IOMMU_TEST_PASID_RESERVED));
	EXPECT_EQ(0, iommufd_destroy(ifd, n0));
}

struct op_attach {
	const struct mock *mock;
	uint32_t pasid, hwpt;
};

static int op_attach(void *arg)
{
	struct op_attach *op = arg;

	return op->pasid ? attach_pasid(op->mock, op->pasid, op->hwpt) : attach(op->mock, op->hwpt);
}

/*
 * semantics: 65, 67.  Memory runs out at each place where it can, and nothing is attached to
 * the device, or to the PASID; so it can be asked for again.
 */
TEST_F(nested, failed_allocations)
{
	struct op_attach op = { &self->a, 0, self->nested[0] };
	int fault = fault_open(), ret;

	if (fault < 0)
		SKIP(return, "no fault injection in this kernel");
	for (op.pasid = 0; op.pasid < PASIDS; op.pasid += 5) {
		struct sweep sweep = { .fault = fault };

		do {
			struct tables want = { { 0 } };

			ret = sweep_call(&sweep, op_attach, &op);
			EXPECT_TRUE(sweep_fine_iommufd(&sweep, ret));
			want.of[op.pasid] = ret ? 0 : op.hwpt;
			EXPECT_TRUE(has_exactly(self->ifd, &self->a, &want));
			if (ret)
				EXPECT_EQ(0, op_attach(&op));
			EXPECT_EQ(0, op.pasid ? cdev_detach_pasid(self->a.fd, op.pasid) :
						cdev_detach(self->a.fd));
			EXPECT_TRUE(HAS(&self->a, 0));
		} while (sweep.hit);
		EXPECT_GT(sweep.failures, 0);
	}
	close(fault);
	EXPECT_EQ(0, iommufd_destroy(self->ifd, self->nested[0]));
}

/* semantics: 65, 67.  The same of a replacement: then the old table stays. */
TEST_F(nested, failed_allocations_replace)
{
	struct op_attach old = { &self->a, 0, self->nested[0] };
	struct op_attach new = { &self->a, 0, self->nested[1] };
	int fault = fault_open(), ret;

	if (fault < 0)
		SKIP(return, "no fault injection in this kernel");
	for (uint32_t pasid = 0; pasid < PASIDS; pasid += 5) {
		struct sweep sweep = { .fault = fault };
		struct tables want = { { 0 } };

		old.pasid = pasid;
		new.pasid = pasid;
		ASSERT_EQ(0, op_attach(&old));
		do {
			ret = sweep_call(&sweep, op_attach, &new);
			EXPECT_TRUE(sweep_fine_iommufd(&sweep, ret));
			want.of[0] = pasid ? old.hwpt : 0;
			want.of[pasid] = ret ? old.hwpt : new.hwpt;
			EXPECT_TRUE(has_exactly(self->ifd, &self->a, &want));
			ASSERT_EQ(0, op_attach(&old));
		} while (sweep.hit);
		EXPECT_GT(sweep.failures, 0);
	}
	close(fault);
	EXPECT_EQ(0, iommufd_destroy(self->ifd, self->nested[1]));
}

/* ATTACH by PASID with an argument that cannot be written to. */
static int attach_read_only(const struct mock *mock, uint32_t pasid, uint32_t pt)
{
	struct vfio_device_attach_iommufd_pt *p = pages_alloc(PAGE);

	*p = (struct vfio_device_attach_iommufd_pt){
		sizeof(*p), VFIO_DEVICE_ATTACH_PASID, pt, pasid,
	};
	if (mprotect(p, PAGE, PROT_READ))
		return -errno;
	return xioctl(mock->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, p);
}

/*
 * semantics: 112; defect: B8, B9 (D6).  A result that cannot be told: on ours the PASID is
 * as it was, or has the new table in place of the old one; in C it is the device that
 * loses its table.
 */
TEST_F(nested, unwritable_result)
{
	const uint32_t n0 = self->nested[0], n1 = self->nested[1], p = self->parent;
	struct mock *a = &self->a;

	ASSERT_EQ(0, attach(a, p));
	EXPECT_EQ(-EFAULT, attach_read_only(a, 3, n0));
	EXPECT_TRUE(HAS(a, BY_CORE(0, p), [3] = BY_CORE(n0, 0)));
	ASSERT_EQ(0, attach(a, p));
	ASSERT_EQ(0, attach_pasid(a, 3, n0));
	EXPECT_EQ(-EFAULT, attach_read_only(a, 3, n1));
	EXPECT_TRUE(HAS(a, BY_CORE(0, p), [3] = n1));
}

/*
 * semantics: 64, 68, 116.  One iommufd, two address spaces, two devices: each device has
 * exactly what it was given, by PASID, whatever becomes of the other one.
 */
TEST_F(nested, two_devices)
{
	const uint32_t n0 = self->nested[0], n1 = self->nested[1], p = self->parent;
	struct mock *a = &self->a, *b = &self->b;
	void *page = pages_alloc(PAGE);
	uint32_t ioas, parent, other;
	int ifd = self->ifd;

	ASSERT_EQ(0, ioas_alloc(ifd, &ioas));
	ASSERT_EQ(0, ioas_map(ifd, ioas, page, PAGE, IOVA));
	ASSERT_EQ(0, hwpt_alloc(ifd, b->devid, ioas, PARENT, &parent));
	ASSERT_EQ(0, mock_nested(ifd, b->devid, parent, FOR_PASIDS, 0, iotlb[0], &other));
	EXPECT_TRUE(mock_maps(ifd, parent, IOVA, page, PAGE));
	EXPECT_FALSE(mock_maps(ifd, parent, IOVA, self->page, PAGE));
	EXPECT_TRUE(mock_maps(ifd, p, IOVA, self->page, PAGE));

	ASSERT_EQ(0, attach(a, p));
	ASSERT_EQ(0, attach(b, parent));
	/* The same table by two PASIDs, and two tables by the same PASID. */
	ASSERT_EQ(0, attach_pasid(a, 1, n0));
	ASSERT_EQ(0, attach_pasid(a, 2, n1));
	ASSERT_EQ(0, attach_pasid(a, 3, other));
	ASSERT_EQ(0, attach_pasid(b, 1, other));
	ASSERT_EQ(0, attach_pasid(b, 4, n0));
	EXPECT_TRUE(HAS(a, p, n0, n1, other));
	EXPECT_TRUE(HAS(b, parent, other, [4] = n0));

	/* One loses some of it, what it has not is not taken from the other. */
	ASSERT_EQ(0, cdev_detach_pasid(a->fd, 1));
	EXPECT_EQ(0, cdev_detach_pasid(a->fd, 4));
	EXPECT_TRUE(HAS(a, p, [2] = n1, [3] = other));
	EXPECT_TRUE(HAS(b, parent, other, [4] = n0));
	ASSERT_EQ(0, attach_pasid(b, 1, n1));
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
	struct mock *a = &self->a;
	int ifd = self->ifd;

	for (int round = 0; round < 3; round++) {
		ASSERT_EQ(0, attach(a, self->nested[round & 1]));
		for (uint32_t pasid = 1; pasid < 1000; pasid += 7)
			ASSERT_EQ(0, attach_pasid(a, pasid, self->nested[pasid & 1]));
		close(a->fd);
		EXPECT_TRUE(HAS(a, 0));
		for (uint32_t pasid = 1; pasid < 1000; pasid += 7)
			EXPECT_TRUE(mock_has_none(ifd, a, pasid));
		EXPECT_EQ(-ENOENT, iommufd_destroy(ifd, a->devid));
		a->fd = cdev_open_below(a->path);
		ASSERT_GE(a->fd, 0);
		ASSERT_EQ(0, cdev_bind(a->fd, ifd, &a->devid));
		/* The PASIDs are not remembered: replacing what is not there would fail. */
		ASSERT_EQ(0, attach_pasid(a, 1, self->nested[0]));
		ASSERT_EQ(0, cdev_detach_pasid(a->fd, 1));
	}
	EXPECT_EQ(0, iommufd_destroy(ifd, self->nested[0]));
	EXPECT_EQ(0, iommufd_destroy(ifd, self->nested[1]));
}

/* semantics: 106.  What belongs to one iommufd is not another's; nothing is left of the try. */
TEST_F(nested, second_iommufd)
{
	struct mock *a = &self->a;
	int ifd = self->ifd, second = iommufd_open();

	ASSERT_GE(second, 0);
	ASSERT_EQ(0, attach_pasid(&self->b, 1, self->nested[0]));
	close(a->fd);
	a->fd = cdev_open_below(a->path);
	ASSERT_GE(a->fd, 0);
	EXPECT_EQ(-EPERM, cdev_bind(a->fd, second, NULL));
	EXPECT_EQ(-EPERM, cdev_bind(a->fd, second, NULL));
	ASSERT_EQ(0, cdev_bind(a->fd, ifd, &a->devid));
	ASSERT_EQ(0, attach(a, self->nested[0]));
	EXPECT_TRUE(HAS(a, self->nested[0]));
	EXPECT_TRUE(HAS(&self->b, 0, self->nested[0]));
	close(second);
	EXPECT_TRUE(HAS(a, self->nested[0]));
}

/*
 * semantics: 64, 107.  A bound file keeps the iommufd, and all that is attached.  (Of a
 * mock device iommufd counts no reference by itself.)
 */
TEST_F(nested, iommufd_closed_first)
{
	int ifd = self->ifd;

	ASSERT_EQ(0, attach(&self->a, self->nested[0]));
	ASSERT_EQ(0, attach_pasid(&self->a, 1, self->nested[1]));
	close(self->b.fd);
	self->b.fd = -1;
	close(ifd);
	self->ifd = -1;
	/* It is there: its tables can be attached. */
	EXPECT_EQ(0, attach_pasid(&self->a, 2, self->nested[0]));
	EXPECT_EQ(0, attach(&self->a, self->parent));
	EXPECT_EQ(0, access(self->a.path, F_OK));
	/* The last one to hold it closes it, and the devices go with it. */
	close(self->a.fd);
	self->a.fd = -1;
	EXPECT_EQ(-1, access(self->a.path, F_OK));
	EXPECT_EQ(-1, access(self->b.path, F_OK));
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
	const uint32_t n0 = self->nested[0], n1 = self->nested[1];
	struct removal removal = { self->ifd, self->a.stdev };
	int ifd = self->ifd;
	struct worker worker;

	ASSERT_EQ(0, attach(&self->a, n0));
	ASSERT_EQ(0, mock_share(ifd, &self->a, n0));
	ASSERT_EQ(0, attach_pasid(&self->a, 1, n1));
	ASSERT_EQ(0, attach_pasid(&self->b, 1, n0));
	ASSERT_EQ(0, worker_start(&worker, do_remove, &removal));
	EXPECT_TRUE(worker_sleeps_in(&worker, "mock_remove"));
	EXPECT_EQ(-EBUSY, iommufd_destroy(ifd, n1));
	/* By now VFIO's binding alone makes it iommufd's: it can still be given tables. */
	EXPECT_EQ(0, attach_pasid(&self->a, 2, n1));
	EXPECT_EQ(0, cdev_detach(self->a.fd));
	EXPECT_FALSE(worker_ended(&worker));
	close(self->a.fd);
	self->a.fd = -1;
	EXPECT_EQ(0, worker_join(&worker));
	EXPECT_EQ(-1, access(self->a.path, F_OK));
	EXPECT_EQ(0, iommufd_destroy(ifd, n1));
	EXPECT_EQ(-EBUSY, iommufd_destroy(ifd, n0));
	EXPECT_TRUE(HAS(&self->b, 0, n0));
}

/*
 * semantics: 64-68.  I/O page faults of what is nested come to user space as those of
 * VFIO's device; when a table is detached they are answered for it.
 */
TEST_F(nested, page_faults)
{
	struct iommu_hwpt_pgfault fault;
	struct mock *a = &self->a;
	uint32_t id, table;
	int faults, ifd = self->ifd;

	if (!has_procfs())
		SKIP(return, NO_PROCFS);
	if (!kernel_has("iopf_queue_alloc"))
		SKIP(return, "a kernel without IOMMU_IOPF");
	faults = mock_faults(ifd, &id);
	ASSERT_GE(faults, 0);
	ASSERT_EQ(0, mock_nested(ifd, a->devid, self->parent,
				 FOR_PASIDS | IOMMU_HWPT_FAULT_ID_VALID, id, iotlb[0], &table));

	/* The device's own; with a PASID that has no table, the user's PASID table is asked. */
	ASSERT_EQ(0, attach(a, table));
	ASSERT_EQ(0, attach_pasid(a, 2, self->nested[1]));
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
	ASSERT_EQ(0, mock_fault(ifd, self->b.devid, 0, 7, ADDR));
	EXPECT_EQ(-EAGAIN, mock_fault_read(faults, &fault));

	/* By PASID alone. */
	ASSERT_EQ(0, attach(a, self->nested[0]));
	ASSERT_EQ(0, attach_pasid(a, 2, table));
	ASSERT_EQ(0, mock_fault(ifd, a->devid, 0, 7, ADDR));
	EXPECT_EQ(-EAGAIN, mock_fault_read(faults, &fault));
	ASSERT_EQ(0, mock_fault(ifd, a->devid, 2, 8, ADDR));
	ASSERT_EQ(0, mock_fault_read(faults, &fault));
	EXPECT_EQ(a->devid, fault.dev_id);
	EXPECT_EQ(2, fault.pasid);

	/* Unanswered, and unread, ones end with the attachment: replaced, */
	ASSERT_EQ(0, mock_fault(ifd, a->devid, 2, 9, ADDR));
	ASSERT_EQ(0, attach_pasid(a, 2, self->nested[1]));
	EXPECT_EQ(-EINVAL, mock_fault_answer(faults, fault.cookie));
	EXPECT_EQ(-EAGAIN, mock_fault_read(faults, &fault));
	/* ... detached, */
	ASSERT_EQ(0, attach_pasid(a, 2, table));
	ASSERT_EQ(0, mock_fault(ifd, a->devid, 2, 9, ADDR));
	ASSERT_EQ(0, mock_fault_read(faults, &fault));
	ASSERT_EQ(0, cdev_detach_pasid(a->fd, 2));
	EXPECT_EQ(-EINVAL, mock_fault_answer(faults, fault.cookie));
	/* ... closed. */
	ASSERT_EQ(0, attach_pasid(a, 2, table));
	ASSERT_EQ(0, mock_fault(ifd, a->devid, 2, 9, ADDR));
	ASSERT_EQ(0, mock_fault_read(faults, &fault));
	close(a->fd);
	a->fd = -1;
	EXPECT_EQ(-EINVAL, mock_fault_answer(faults, fault.cookie));
	close(faults);
	EXPECT_EQ(0, iommufd_destroy(ifd, table));
	EXPECT_EQ(0, iommufd_destroy(ifd, id));
}

/* What is said to a process: ours knows the ioctl, and the kernel may have no SVA. */
static int process_error(int error)
{
	if (!core_is_rust())
		return -ENOTTY;
	return kernel_has("iommu_sva_bind_device") ? error : -ENODEV;
}

/* semantics: 67.  A mock device without PASIDs is one that knows itself by PASID 0 alone. */
TEST_F(nested, device_without_pasids)
{
	struct mock c;

	ASSERT_EQ(0, mock_bind(self->ifd, 0, &c));
	ASSERT_EQ(0, attach(&c, self->nested[0]));
	EXPECT_EQ(-EINVAL, attach_pasid(&c, 1, self->nested[0]));
	EXPECT_EQ(-EINVAL, attach_pasid(&c, 1, self->parent));
	if (has_procfs())
		EXPECT_EQ(process_error(-ENOSPC), process_bind(c.fd, NULL));
	EXPECT_TRUE(HAS(&c, self->nested[0]));
	/* What serves a PASID of another device serves this one as it is. */
	ASSERT_EQ(0, attach_pasid(&self->a, 1, self->nested[0]));
	EXPECT_EQ(0, attach(&c, self->parent));
	EXPECT_TRUE(HAS(&self->a, 0, self->nested[0]));
	close(c.fd);
}

/* More than there are processes in the machine that were ever bound. */
#define MANY 64

/*
 * The IOMMU has PASIDs and cannot share page tables with processes.  Nothing is left of the
 * try, and a PASID that has a table is not a process's.
 */
TEST_F(nested, process)
{
	struct mock *a = &self->a;
	int unsupported, ifd = self->ifd;
	uint32_t max_pasids = 0;

	if (!has_procfs())
		SKIP(return, NO_PROCFS);
	unsupported = process_error(-EOPNOTSUPP);
	EXPECT_EQ(BY_CORE(-ENOTTY, 0),
		  sva_feature(a->fd, VFIO_DEVICE_FEATURE_GET, &max_pasids));
	EXPECT_EQ(BY_CORE(0, MAX_PASID + 1), max_pasids);
	ASSERT_EQ(0, attach(a, self->nested[1]));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(unsupported, process_bind(a->fd, NULL));
		EXPECT_EQ(BY_CORE(-ENOTTY, -ENOENT), process_unbind(a->fd));
	}
	EXPECT_EQ(NULL, strstr(core_lines(a->fd), "process"));
	for (uint32_t pasid = 1; pasid < MANY; pasid++) {
		EXPECT_TRUE(mock_has_none(ifd, a, pasid));
		ASSERT_EQ(0, attach_pasid(a, pasid, self->nested[0]));
	}
	/* The process's own is among them. */
	EXPECT_EQ(process_error(-EBUSY), process_bind(a->fd, NULL));
	EXPECT_TRUE(mock_has(ifd, a, 0, self->nested[1]));
	for (uint32_t pasid = 1; pasid < MANY; pasid++) {
		EXPECT_TRUE(mock_has(ifd, a, pasid, self->nested[0]));
		ASSERT_EQ(0, cdev_detach_pasid(a->fd, pasid));
	}
	EXPECT_EQ(unsupported, process_bind(a->fd, NULL));
	close(a->fd);
	a->fd = -1;
	EXPECT_EQ(0, iommufd_destroy(ifd, self->nested[0]));
}

TEST_HARNESS_MAIN
