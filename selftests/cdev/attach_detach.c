// SPDX-License-Identifier: GPL-2.0-only
/*
 * ATTACH_IOMMUFD_PT and DETACH_IOMMUFD_PT, for the device and for a PASID: their
 * errors in their order, what they leave behind, and what close undoes.
 */
#include "lib/cdev.h"
#include "lib/iommufd.h"
#include "lib/test.h"
#include "lib/testdev.h"
#include "lib/viommu.h"

#define IOVA 0x10000000ULL
#define BAD_ID 0x7fffffff
#define PASID VFIO_DEVICE_ATTACH_PASID
#define MAX_PASID 0xfffff

static int attach_raw(int fd, const void *arg)
{
	return xioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, (void *)arg);
}

static int detach_raw(int fd, const void *arg)
{
	return xioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, (void *)arg);
}

/* An argument of which only the first @there bytes exist. */
static void *edge(const void *arg, size_t size, size_t there)
{
	void *p = edge_alloc(there);

	return memcpy(p, arg, there < size ? there : size);
}

static int attach_edge(int fd, struct vfio_device_attach_iommufd_pt arg, size_t there)
{
	return attach_raw(fd, edge(&arg, sizeof(arg), there));
}

static int detach_edge(int fd, struct vfio_device_detach_iommufd_pt arg, size_t there)
{
	return detach_raw(fd, edge(&arg, sizeof(arg), there));
}

/* ATTACH with an argument that cannot be written to. */
static int attach_read_only(int fd, uint32_t flags, uint32_t pt, uint32_t pasid)
{
	struct vfio_device_attach_iommufd_pt *p = pages_alloc(4096);

	*p = (struct vfio_device_attach_iommufd_pt){ sizeof(*p), flags, pt, pasid };
	if (mprotect(p, 4096, PROT_READ))
		return -errno;
	return attach_raw(fd, p);
}

/* A bound edu, not attached: arguments, identifiers, PASIDs. */
FIXTURE(attach_detach) {
	struct pci pci;
	struct session s;
	uint32_t ioas;
};

FIXTURE_SETUP(attach_detach)
{
	if (pci_find_at(EDU, false, &self->pci))
		SKIP(return, "no edu device on the root bus");
	ASSERT_EQ(0, session_open(&self->pci, &self->s));
	ASSERT_EQ(0, cdev_detach(self->s.fd));
	self->ioas = self->s.ioas;
}

FIXTURE_TEARDOWN(attach_detach)
{
	session_close(&self->s);
}

#define NO_PASID_TABLES "the IOMMU has no page tables for PASIDs"

/* Two page tables that take PASIDs, the first of them attached to the device. */
static int setup_pasid(struct session *s, uint32_t *hwpt)
{
	for (int i = 0; i < 2; i++) {
		int ret = hwpt_alloc(s->iommufd, s->devid, s->ioas,
				     IOMMU_HWPT_ALLOC_PASID, &hwpt[i]);

		if (ret)
			return ret;
	}
	s->hwpt = hwpt[0];
	return cdev_attach(s->fd, &s->hwpt);
}

/* semantics: 112 */
TEST_F(attach_detach, attach_errors)
{
	struct vfio_device_attach_iommufd_pt arg = { .argsz = 12, .pt_id = self->ioas };
	int fd = self->s.fd;

	EXPECT_EQ(-EFAULT, attach_raw(fd, NULL));
	/* The first 12 bytes, before the size in them. */
	arg.argsz = 4;
	EXPECT_EQ(-EFAULT, attach_edge(fd, arg, 11));
	for (arg.argsz = 0; arg.argsz < 12; arg.argsz++)
		EXPECT_EQ(-EINVAL, attach_edge(fd, arg, 12));
	/* Flags, before the id. */
	arg.argsz = sizeof(arg);
	arg.pt_id = BAD_ID;
	for (arg.flags = 2; arg.flags; arg.flags <<= 1)
		EXPECT_EQ(-EINVAL, attach_edge(fd, arg, 12));
	/* Only then the id. */
	EXPECT_EQ(-ENOENT, attach_edge(fd, arg, 12));
	arg.pt_id = 0;
	EXPECT_EQ(-ENOENT, attach_edge(fd, arg, 12));
	arg.pt_id = self->s.devid;
	EXPECT_EQ(-EINVAL, attach_edge(fd, arg, 12));
	/* A wrong id, before a result that cannot be written. */
	EXPECT_EQ(-ENOENT, attach_read_only(fd, 0, BAD_ID, 0));

	arg.argsz = 12;
	arg.pt_id = self->ioas;
	EXPECT_EQ(0, attach_edge(fd, arg, 12));
}

/* semantics: 112.  The PASID is asked for by a flag, and read late. */
TEST_F(attach_detach, attach_pasid_errors)
{
	struct vfio_device_attach_iommufd_pt arg = { .flags = PASID, .pasid = 5 };
	uint32_t hwpt[2], pt;
	int fd = self->s.fd;

	if (pasid_tables(&self->s) == -EOPNOTSUPP)
		SKIP(return, NO_PASID_TABLES);
	ASSERT_EQ(0, setup_pasid(&self->s, hwpt));
	arg.pt_id = hwpt[0];
	for (arg.argsz = 12; arg.argsz < 16; arg.argsz++)
		EXPECT_EQ(-EINVAL, attach_edge(fd, arg, 12));
	arg.argsz = 16;
	EXPECT_EQ(-EFAULT, attach_edge(fd, arg, 12));
	EXPECT_EQ(-EFAULT, attach_edge(fd, arg, 15));
	arg.flags |= 2;
	EXPECT_EQ(-EINVAL, attach_edge(fd, arg, 12));
	arg.flags = PASID;
	/* The memory, before the id. */
	arg.pt_id = BAD_ID;
	EXPECT_EQ(-EFAULT, attach_edge(fd, arg, 15));
	EXPECT_EQ(-ENOENT, attach_edge(fd, arg, 16));
	EXPECT_EQ(-ENOENT, attach_read_only(fd, PASID, BAD_ID, 5));
	arg.pt_id = self->s.devid;
	EXPECT_EQ(-EINVAL, attach_edge(fd, arg, 16));
	/* The failures took no PASID: it can have a page table. */
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, hwpt[1]));
	pt = hwpt[0];
	EXPECT_EQ(0, cdev_attach_pasid(fd, 5, &pt));
	EXPECT_EQ(hwpt[0], pt);
}

/*
 * defect: B10 (D7).  PASID 0 is the device itself and PASIDs have 20 bits: seen
 * after the memory, before the page table.
 */
TEST_F(attach_detach, attach_pasid_range)
{
	static const uint32_t high[] = { MAX_PASID + 1, 0x7fffffff };
	static const uint32_t huge[] = { 0x80000000, 0xffffffff };
	struct vfio_device_attach_iommufd_pt arg = { sizeof(arg), PASID, BAD_ID, 0 };
	uint32_t hwpt[2], pt;
	int fd = self->s.fd;

	if (pasid_tables(&self->s) == -EOPNOTSUPP)
		SKIP(return, NO_PASID_TABLES);
	ASSERT_EQ(0, setup_pasid(&self->s, hwpt));
	EXPECT_EQ(-EFAULT, attach_edge(fd, arg, 12));
	arg.argsz = 12;
	EXPECT_EQ(-EINVAL, attach_edge(fd, arg, 16));
	arg.argsz = sizeof(arg);
	EXPECT_EQ(BY_CORE(-ENOENT, -EINVAL), attach_edge(fd, arg, 16));
	for (int i = 0; i < 2; i++) {
		arg.pasid = high[i];
		EXPECT_EQ(BY_CORE(-ENOENT, -EINVAL), attach_edge(fd, arg, 16));
		pt = hwpt[1];
		EXPECT_EQ(BY_CORE(0, -EINVAL),
			  cdev_attach_pasid(fd, high[i], &pt));
		EXPECT_EQ(0, cdev_detach_pasid(fd, high[i]));
		arg.pasid = huge[i];
		EXPECT_EQ(BY_CORE(-ENOSPC, -EINVAL), attach_edge(fd, arg, 16));
		EXPECT_EQ(0, cdev_detach_pasid(fd, huge[i]));
	}
	pt = hwpt[1];
	EXPECT_EQ(0, cdev_attach_pasid(fd, 1, &pt));
	EXPECT_EQ(0, cdev_attach_pasid(fd, MAX_PASID, &pt));
	EXPECT_EQ(0, cdev_detach_pasid(fd, MAX_PASID));
	/* The device's own attachment was never touched. */
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->s.iommufd, hwpt[0]));
}

/* semantics: 67.  A PASID's page table must be made for PASIDs, as the device's. */
TEST_F(attach_detach, attach_pasid_needs_pasid_tables)
{
	uint32_t pt = self->ioas, hwpt;
	int fd = self->s.fd;

	if (pasid_tables(&self->s) == -EOPNOTSUPP)
		SKIP(return, NO_PASID_TABLES);
	ASSERT_EQ(0, cdev_attach(fd, &pt));
	pt = self->ioas;
	EXPECT_EQ(-EINVAL, cdev_attach_pasid(fd, 5, &pt));
	ASSERT_EQ(0, hwpt_alloc(self->s.iommufd, self->s.devid, self->ioas,
				IOMMU_HWPT_ALLOC_PASID, &hwpt));
	pt = hwpt;
	EXPECT_EQ(-EINVAL, cdev_attach_pasid(fd, 5, &pt));
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, hwpt));
}

/* semantics: 67, 68, 114 */
TEST_F(attach_detach, pasid_replace_and_detach)
{
	int fd = self->s.fd, ifd = self->s.iommufd;
	uint32_t hwpt[2], pt;

	if (pasid_tables(&self->s) == -EOPNOTSUPP)
		SKIP(return, NO_PASID_TABLES);
	ASSERT_EQ(0, setup_pasid(&self->s, hwpt));
	pt = hwpt[1];
	ASSERT_EQ(0, cdev_attach_pasid(fd, 7, &pt));
	EXPECT_EQ(-EBUSY, iommufd_destroy(ifd, hwpt[1]));
	pt = hwpt[0];
	ASSERT_EQ(0, cdev_attach_pasid(fd, 7, &pt));
	EXPECT_EQ(hwpt[0], pt);
	EXPECT_EQ(0, iommufd_destroy(ifd, hwpt[1]));
	/* Detaching another PASID, or the device, is not detaching this one. */
	EXPECT_EQ(0, cdev_detach_pasid(fd, 8));
	EXPECT_EQ(0, cdev_detach(fd));
	EXPECT_EQ(-EBUSY, iommufd_destroy(ifd, hwpt[0]));
	EXPECT_EQ(0, cdev_detach_pasid(fd, 7));
	EXPECT_EQ(0, cdev_detach_pasid(fd, 7));
	EXPECT_EQ(0, iommufd_destroy(ifd, hwpt[0]));
}

/* semantics: 115 */
TEST_F(attach_detach, detach_errors)
{
	struct vfio_device_detach_iommufd_pt arg = { .argsz = 4 };
	uint32_t pt = self->ioas;
	int fd = self->s.fd;

	ASSERT_EQ(0, cdev_attach(fd, &pt));
	EXPECT_EQ(-EFAULT, detach_raw(fd, NULL));
	EXPECT_EQ(-EFAULT, detach_edge(fd, arg, 7));
	for (arg.argsz = 0; arg.argsz < 8; arg.argsz++)
		EXPECT_EQ(-EINVAL, detach_edge(fd, arg, 8));
	arg.argsz = sizeof(arg);
	for (arg.flags = 2; arg.flags; arg.flags <<= 1)
		EXPECT_EQ(-EINVAL, detach_edge(fd, arg, 8));
	arg.flags = VFIO_DEVICE_DETACH_PASID;
	for (arg.argsz = 8; arg.argsz < 12; arg.argsz++)
		EXPECT_EQ(-EINVAL, detach_edge(fd, arg, 8));
	arg.argsz = 12;
	EXPECT_EQ(-EFAULT, detach_edge(fd, arg, 8));
	EXPECT_EQ(-EFAULT, detach_edge(fd, arg, 11));
	arg.flags |= 2;
	EXPECT_EQ(-EINVAL, detach_edge(fd, arg, 8));
	/* None of them detached. */
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->s.iommufd, self->ioas));
	arg.flags = 0;
	arg.argsz = 8;
	EXPECT_EQ(0, detach_edge(fd, arg, 8));
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, self->ioas));
}

/* semantics: 113, 115.  Longer arguments pass, whatever is in the tail. */
TEST_F(attach_detach, longer_arguments)
{
	struct vfio_device_attach_iommufd_pt *attach = pages_alloc(8192);
	struct vfio_device_detach_iommufd_pt *detach = pages_alloc(8192);
	int fd = self->s.fd;

	memset(attach + 1, 0xff, 4096);
	memset(detach + 1, 0xff, 4096);
	*attach = (struct vfio_device_attach_iommufd_pt){ 4096, 0, self->ioas, 0xffffffff };
	*detach = (struct vfio_device_detach_iommufd_pt){ 4096, 0, 0xffffffff };
	EXPECT_EQ(0, attach_raw(fd, attach));
	EXPECT_EQ(0, detach_raw(fd, detach));
	/* A size alone costs nothing. */
	attach->argsz = ~0u;
	attach->pt_id = self->ioas;
	detach->argsz = ~0u;
	EXPECT_EQ(0, attach_edge(fd, *attach, 12));
	EXPECT_EQ(0, detach_edge(fd, *detach, 8));
}

/* semantics: 115.  Detaching what is not attached is no error. */
TEST_F(attach_detach, detach_nothing)
{
	EXPECT_EQ(0, cdev_detach(self->s.fd));
	EXPECT_EQ(0, cdev_detach(self->s.fd));
	EXPECT_EQ(0, cdev_detach_pasid(self->s.fd, 0));
	EXPECT_EQ(0, cdev_detach_pasid(self->s.fd, 3));
	EXPECT_EQ(0, cdev_detach_pasid(self->s.fd, 0xffffffff));
}

/* semantics: 112, 114.  What comes back is the page table's id, and no more. */
TEST_F(attach_detach, result)
{
	struct vfio_device_attach_iommufd_pt arg = { sizeof(arg), 0, self->ioas, 0x55555555 };
	uint32_t first, hwpt;

	ASSERT_EQ(0, attach_raw(self->s.fd, &arg));
	first = arg.pt_id;
	EXPECT_NE(self->ioas, first);
	EXPECT_EQ(sizeof(arg), arg.argsz);
	EXPECT_EQ(0, arg.flags);
	EXPECT_EQ(0x55555555, arg.pasid);
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->s.iommufd, first));

	/* A page table goes in and comes out the same. */
	ASSERT_EQ(0, hwpt_alloc(self->s.iommufd, self->s.devid, self->ioas, 0,
				&hwpt));
	arg.pt_id = hwpt;
	ASSERT_EQ(0, attach_raw(self->s.fd, &arg));
	EXPECT_EQ(hwpt, arg.pt_id);
	/* The automatic one is gone with its last user. */
	EXPECT_EQ(-ENOENT, iommufd_destroy(self->s.iommufd, first));
}

/* semantics: 64, 116.  Close detaches all there is. */
TEST_F(attach_detach, close_detaches)
{
	int ifd = self->s.iommufd;
	uint32_t hwpt[2], pt;

	if (pasid_tables(&self->s) == -EOPNOTSUPP)
		SKIP(return, NO_PASID_TABLES);
	ASSERT_EQ(0, setup_pasid(&self->s, hwpt));
	for (uint32_t pasid = 1; pasid < 100; pasid += 7) {
		pt = hwpt[pasid & 1];
		ASSERT_EQ(0, cdev_attach_pasid(self->s.fd, pasid, &pt));
	}
	EXPECT_EQ(-EBUSY, iommufd_destroy(ifd, hwpt[0]));
	EXPECT_EQ(-EBUSY, iommufd_destroy(ifd, hwpt[1]));
	close_fd(&self->s.fd);
	EXPECT_EQ(0, iommufd_destroy(ifd, hwpt[0]));
	EXPECT_EQ(0, iommufd_destroy(ifd, hwpt[1]));
	EXPECT_EQ(0, iommufd_destroy(ifd, self->ioas));
	EXPECT_EQ(-ENOENT, iommufd_destroy(ifd, self->s.devid));
}

/*
 * semantics: 112; defect: B8 (D6).  A PASID's result that cannot be written
 * undoes the PASID's attachment, not the device's.
 */
TEST_F(attach_detach, unwritable_pasid_result)
{
	int fd = self->s.fd, ifd = self->s.iommufd;
	uint32_t hwpt[2];

	if (pasid_tables(&self->s) == -EOPNOTSUPP)
		SKIP(return, NO_PASID_TABLES);
	ASSERT_EQ(0, setup_pasid(&self->s, hwpt));
	EXPECT_EQ(-EFAULT, attach_read_only(fd, PASID, hwpt[1], 9));
	EXPECT_EQ(BY_CORE(0, -EBUSY), iommufd_destroy(ifd, hwpt[0]));
	EXPECT_EQ(BY_CORE(-EBUSY, 0), iommufd_destroy(ifd, hwpt[1]));
}

/* defect: B9 (D6).  ... and a PASID's replacement stays. */
TEST_F(attach_detach, unwritable_pasid_replace)
{
	int fd = self->s.fd, ifd = self->s.iommufd;
	uint32_t hwpt[2], third, pt;

	if (pasid_tables(&self->s) == -EOPNOTSUPP)
		SKIP(return, NO_PASID_TABLES);
	ASSERT_EQ(0, setup_pasid(&self->s, hwpt));
	ASSERT_EQ(0, hwpt_alloc(ifd, self->s.devid, self->ioas,
				IOMMU_HWPT_ALLOC_PASID, &third));
	pt = hwpt[1];
	ASSERT_EQ(0, cdev_attach_pasid(fd, 9, &pt));
	EXPECT_EQ(-EFAULT, attach_read_only(fd, PASID, third, 9));
	EXPECT_EQ(0, iommufd_destroy(ifd, hwpt[1]));
	EXPECT_EQ(-EBUSY, iommufd_destroy(ifd, third));
	EXPECT_EQ(BY_CORE(0, -EBUSY), iommufd_destroy(ifd, hwpt[0]));
}

/* Where the DMA of an attachment goes is the proof of it. */
FIXTURE(attach_dma) {
	struct pci pci;
	struct session s;
	volatile void *bar;
	uint32_t *page[2], other;
};

FIXTURE_SETUP(attach_dma)
{
	if (pci_find(TESTDEV, 0, &self->pci))
		SKIP(return, "no iommu-testdev");
	/* Which tells where a page is. */
	if (!has_procfs())
		SKIP(return, NO_PROCFS);
	ASSERT_EQ(0, session_open(&self->pci, &self->s));
	ASSERT_EQ(0, cdev_detach(self->s.fd));
	ASSERT_EQ(0, cdev_enable_dma(self->s.fd));
	self->bar = cdev_map_bar(self->s.fd, 0, NULL);
	ASSERT_NE(NULL, self->bar);
	ASSERT_EQ(0, ioas_alloc(self->s.iommufd, &self->other));
	for (int i = 0; i < 2; i++) {
		self->page[i] = pages_alloc(4096);
		ASSERT_EQ(0, ioas_map(self->s.iommufd,
				      i ? self->other : self->s.ioas,
				      self->page[i], 4096, IOVA));
	}
}

FIXTURE_TEARDOWN(attach_dma)
{
	session_close(&self->s);
}

/* semantics: 112; defect: B9.  A first attachment that cannot be told is undone. */
TEST_F(attach_dma, unwritable_result)
{
	uint32_t pt = self->s.ioas;

	EXPECT_EQ(-EFAULT, attach_read_only(self->s.fd, 0, pt, 0));
	EXPECT_EQ(TESTDEV_FAULT,
		  testdev_dma(self->bar, IOVA, self->page[0], 4));
	EXPECT_EQ(0, self->page[0][0]);
	ASSERT_EQ(0, cdev_attach(self->s.fd, &pt));
	EXPECT_EQ(TESTDEV_OK, testdev_dma(self->bar, IOVA, self->page[0], 4));
	EXPECT_EQ(TESTDEV_PATTERN, self->page[0][0]);
}

/* semantics: 112, 114; defect: B9 (D6).  A replacement that cannot be told stays. */
TEST_F(attach_dma, unwritable_replace)
{
	uint32_t pt = self->s.ioas;

	ASSERT_EQ(0, cdev_attach(self->s.fd, &pt));
	EXPECT_EQ(-EFAULT, attach_read_only(self->s.fd, 0, self->other, 0));
	EXPECT_EQ(BY_CORE(TESTDEV_FAULT, TESTDEV_OK),
		  testdev_dma(self->bar, IOVA, self->page[1], 4));
	EXPECT_EQ(BY_CORE(0, TESTDEV_PATTERN), self->page[1][0]);
	EXPECT_EQ(0, self->page[0][0]);
	EXPECT_EQ(0, cdev_detach(self->s.fd));
	EXPECT_EQ(TESTDEV_FAULT,
		  testdev_dma(self->bar, IOVA, self->page[1], 4));
}

/* semantics: 65.  A replacement that is refused leaves the old attachment. */
TEST_F(attach_dma, refused_replace)
{
	uint32_t pt = self->s.ioas;

	ASSERT_EQ(0, cdev_attach(self->s.fd, &pt));
	pt = BAD_ID;
	EXPECT_EQ(-ENOENT, cdev_attach(self->s.fd, &pt));
	EXPECT_EQ(BAD_ID, pt);
	pt = self->s.devid;
	EXPECT_EQ(-EINVAL, cdev_attach(self->s.fd, &pt));
	EXPECT_EQ(TESTDEV_OK, testdev_dma(self->bar, IOVA, self->page[0], 4));
	EXPECT_EQ(TESTDEV_PATTERN, self->page[0][0]);
}

TEST_HARNESS_MAIN
