// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nested page tables, as in nested.c, that the IOMMU refuses, or that cannot be attached: what
 * was attached before stays attached.
 */
#include <string.h>

#include "lib/cdev.h"
#include "lib/fault.h"
#include "lib/introspect.h"
#include "lib/iommufd.h"
#include "lib/nested_fixture.h"
#include "lib/sva.h"
#include "lib/test.h"

#define PAGE 4096
#define PASIDS NESTED_PASIDS
#define MAX_PASID NESTED_MAX_PASID

/*
 * semantics: 65, 67.  Tables that are not made for PASIDs are refused for one, and beside
 * one; what was refused leaves what there was, and no trace in VFIO's list of PASIDs.
 */
TEST_F(nested, not_for_pasids)
{
	const uint32_t n0 = self->n.nested[0], p = self->n.parent;
	uint32_t plain, table, pt = self->n.ioas;
	struct mock *a = &self->n.a;
	int ifd = self->n.ifd;

	ASSERT_EQ(0, hwpt_alloc(ifd, a->devid, self->n.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &plain));
	ASSERT_EQ(0, mock_nested(ifd, a->devid, plain, 0, 0, nested_iotlb[0], &table));

	/* For one, */
	ASSERT_EQ(0, nested_attach(a, p));
	EXPECT_EQ(-EINVAL, nested_attach_pasid(a, 1, table));
	EXPECT_EQ(-EINVAL, nested_attach_pasid(a, 1, plain));
	EXPECT_EQ(-EINVAL, cdev_attach_pasid(a->fd, 1, &pt));
	EXPECT_TRUE(HAS(a, p));
	/* ... in place of one that is, */
	ASSERT_EQ(0, nested_attach_pasid(a, 1, n0));
	EXPECT_EQ(-EINVAL, nested_attach_pasid(a, 1, table));
	EXPECT_EQ(-EINVAL, nested_attach_pasid(a, 1, plain));
	EXPECT_EQ(-EINVAL, cdev_attach_pasid(a->fd, 1, &pt));
	EXPECT_TRUE(HAS(a, p, n0));
	/* ... for the device beside one, */
	EXPECT_EQ(-EINVAL, nested_attach(a, table));
	EXPECT_EQ(-EINVAL, nested_attach(a, plain));
	EXPECT_TRUE(HAS(a, p, n0));
	ASSERT_EQ(0, cdev_detach(a->fd));
	EXPECT_EQ(-EINVAL, nested_attach(a, table));
	EXPECT_TRUE(HAS(a, 0, n0));
	/* ... and in the other order. */
	ASSERT_EQ(0, cdev_detach_pasid(a->fd, 1));
	ASSERT_EQ(0, nested_attach(a, table));
	EXPECT_EQ(-EINVAL, nested_attach_pasid(a, 1, n0));
	EXPECT_TRUE(HAS(a, table));
	ASSERT_EQ(0, nested_attach(a, n0));
	ASSERT_EQ(0, nested_attach_pasid(a, 1, n0));
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
	const uint32_t n0 = self->n.nested[0], n1 = self->n.nested[1];
	struct mock *a = &self->n.a;
	int ifd = self->n.ifd;

	ASSERT_EQ(0, nested_attach_pasid(a, IOMMU_TEST_PASID_RESERVED, n0));
	EXPECT_EQ(-ENOMEM, nested_attach_pasid(a, IOMMU_TEST_PASID_RESERVED, n1));
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

	if (op->pasid)
		return nested_attach_pasid(op->mock, op->pasid, op->hwpt);
	return nested_attach(op->mock, op->hwpt);
}

/*
 * semantics: 65, 67.  Memory runs out at each place where it can, and nothing is attached to
 * the device, or to the PASID; so it can be asked for again.
 */
TEST_F(nested, failed_allocations)
{
	struct op_attach op = { &self->n.a, 0, self->n.nested[0] };
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
			EXPECT_TRUE(nested_has(self->n.ifd, &self->n.a, &want));
			if (ret)
				EXPECT_EQ(0, op_attach(&op));
			EXPECT_EQ(0, op.pasid ? cdev_detach_pasid(self->n.a.fd, op.pasid) :
						cdev_detach(self->n.a.fd));
			EXPECT_TRUE(HAS(&self->n.a, 0));
		} while (sweep.hit);
		EXPECT_GT(sweep.failures, 0);
	}
	close(fault);
	EXPECT_EQ(0, iommufd_destroy(self->n.ifd, self->n.nested[0]));
}

/* semantics: 65, 67.  The same of a replacement: then the old table stays. */
TEST_F(nested, failed_allocations_replace)
{
	struct op_attach old = { &self->n.a, 0, self->n.nested[0] };
	struct op_attach new = { &self->n.a, 0, self->n.nested[1] };
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
			EXPECT_TRUE(nested_has(self->n.ifd, &self->n.a, &want));
			ASSERT_EQ(0, op_attach(&old));
		} while (sweep.hit);
		EXPECT_GT(sweep.failures, 0);
	}
	close(fault);
	EXPECT_EQ(0, iommufd_destroy(self->n.ifd, self->n.nested[1]));
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
	const uint32_t n0 = self->n.nested[0], n1 = self->n.nested[1], p = self->n.parent;
	struct mock *a = &self->n.a;

	ASSERT_EQ(0, nested_attach(a, p));
	EXPECT_EQ(-EFAULT, attach_read_only(a, 3, n0));
	EXPECT_TRUE(HAS(a, BY_CORE(0, p), [3] = BY_CORE(n0, 0)));
	ASSERT_EQ(0, nested_attach(a, p));
	ASSERT_EQ(0, nested_attach_pasid(a, 3, n0));
	EXPECT_EQ(-EFAULT, attach_read_only(a, 3, n1));
	EXPECT_TRUE(HAS(a, BY_CORE(0, p), [3] = n1));
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

	ASSERT_EQ(0, mock_bind(self->n.ifd, 0, &c));
	ASSERT_EQ(0, nested_attach(&c, self->n.nested[0]));
	EXPECT_EQ(-EINVAL, nested_attach_pasid(&c, 1, self->n.nested[0]));
	EXPECT_EQ(-EINVAL, nested_attach_pasid(&c, 1, self->n.parent));
	if (has_procfs())
		EXPECT_EQ(process_error(-ENOSPC), process_bind(c.fd, NULL));
	EXPECT_TRUE(HAS(&c, self->n.nested[0]));
	/* What serves a PASID of another device serves this one as it is. */
	ASSERT_EQ(0, nested_attach_pasid(&self->n.a, 1, self->n.nested[0]));
	EXPECT_EQ(0, nested_attach(&c, self->n.parent));
	EXPECT_TRUE(HAS(&self->n.a, 0, self->n.nested[0]));
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
	struct mock *a = &self->n.a;
	int unsupported, ifd = self->n.ifd;
	uint32_t max_pasids = 0;

	if (!has_procfs())
		SKIP(return, NO_PROCFS);
	unsupported = process_error(-EOPNOTSUPP);
	EXPECT_EQ(BY_CORE(-ENOTTY, 0),
		  sva_feature(a->fd, VFIO_DEVICE_FEATURE_GET, &max_pasids));
	EXPECT_EQ(BY_CORE(0, MAX_PASID + 1), max_pasids);
	ASSERT_EQ(0, nested_attach(a, self->n.nested[1]));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(unsupported, process_bind(a->fd, NULL));
		EXPECT_EQ(BY_CORE(-ENOTTY, -ENOENT), process_unbind(a->fd));
	}
	EXPECT_EQ(NULL, strstr(core_lines(a->fd), "process"));
	for (uint32_t pasid = 1; pasid < MANY; pasid++) {
		EXPECT_TRUE(mock_has_none(ifd, a, pasid));
		ASSERT_EQ(0, nested_attach_pasid(a, pasid, self->n.nested[0]));
	}
	/* The process's own is among them. */
	EXPECT_EQ(process_error(-EBUSY), process_bind(a->fd, NULL));
	EXPECT_TRUE(mock_has(ifd, a, 0, self->n.nested[1]));
	for (uint32_t pasid = 1; pasid < MANY; pasid++) {
		EXPECT_TRUE(mock_has(ifd, a, pasid, self->n.nested[0]));
		ASSERT_EQ(0, cdev_detach_pasid(a->fd, pasid));
	}
	EXPECT_EQ(unsupported, process_bind(a->fd, NULL));
	close(a->fd);
	a->fd = -1;
	EXPECT_EQ(0, iommufd_destroy(ifd, self->n.nested[0]));
}

TEST_HARNESS_MAIN
