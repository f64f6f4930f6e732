// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page tables that two devices of one iommufd use for DMA without a PASID: shared,
 * replaced, revoked on one of them, attached by another process.  Plain ones, those that
 * go with PASIDs, and those in which a guest's could be nested, where the IOMMU has them.
 * Where DMA goes is shown by the devices.
 */
#include "lib/vm_model.h"
#include "lib/cdev.h"
#include "lib/iommufd.h"
#include "lib/recipient.h"
#include "lib/test.h"
#include "lib/testdev.h"
#include "lib/viommu.h"

#define PAGE 4096
#define IOVA 0x10000000ULL
#define NOWHERE -1

#define NEST_PARENT IOMMU_HWPT_ALLOC_NEST_PARENT
#define PASID IOMMU_HWPT_ALLOC_PASID

FIXTURE(page_tables) {
	enum viommu kind;
	/* The second one is bound to the iommufd of the first. */
	struct session s[2];
	volatile void *bar[2];
	/* Two address spaces with a page at one address, and two page tables of each. */
	uint32_t ioas[2], table[2], plain[2];
	uint32_t *page[2];
	int ifd;
};

FIXTURE_VARIANT(page_tables) {
	uint32_t flags;
};

FIXTURE_VARIANT_ADD(page_tables, plain) {
	.flags = 0,
};

FIXTURE_VARIANT_ADD(page_tables, pasid) {
	.flags = PASID,
};

FIXTURE_VARIANT_ADD(page_tables, nest_parent) {
	.flags = NEST_PARENT,
};

FIXTURE_SETUP(page_tables)
{
	struct pci pci[2];

	self->s[0] = SESSION_NONE;
	self->s[1] = SESSION_NONE;
	if (pci_find(TESTDEV, 0, &pci[0]) || pci_find(TESTDEV, 1, &pci[1]))
		SKIP(return, "no two iommu-testdevs in groups of their own");
	self->kind = viommu_of(&pci[0]);
	ASSERT_EQ(0, session_open(&pci[0], &self->s[0]));
	self->ifd = self->s[0].iommufd;
	/* "viommu" sees to it that these are right. */
	if (variant->flags == PASID && pasid_tables(&self->s[0]) == -EOPNOTSUPP)
		SKIP(return, "the IOMMU has no page tables for PASIDs");
	if (variant->flags == NEST_PARENT && !has_nesting(&self->s[0]))
		SKIP(return, "the IOMMU does not nest page tables");
	ASSERT_EQ(0, cdev_detach(self->s[0].fd));
	ASSERT_EQ(0, session_open_node(&pci[1], &self->s[1]));
	ASSERT_EQ(0, cdev_bind(self->s[1].fd, self->ifd, &self->s[1].devid));
	self->ioas[0] = self->s[0].ioas;
	ASSERT_EQ(0, ioas_alloc(self->ifd, &self->ioas[1]));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, cdev_enable_dma(self->s[i].fd));
		self->bar[i] = cdev_map_bar(self->s[i].fd, 0, NULL);
		ASSERT_NE(NULL, self->bar[i]);
		self->page[i] = pages_alloc(PAGE);
		ASSERT_EQ(0, ioas_map(self->ifd, self->ioas[i], self->page[i], PAGE, IOVA));
		/* Made for one device, they serve both. */
		ASSERT_EQ(0, hwpt_alloc(self->ifd, self->s[0].devid, self->ioas[i], variant->flags,
					&self->table[i]));
		ASSERT_EQ(0, hwpt_alloc(self->ifd, self->s[1].devid, self->ioas[i], 0, &self->plain[i]));
	}
}

FIXTURE_TEARDOWN(page_tables)
{
	session_close(&self->s[1]);
	session_close(&self->s[0]);
}

/* In which address space a device's DMA ends: whose page it writes to. */
static int space_of(volatile void *bar, uint32_t **page)
{
	uint32_t result;

	page[0][0] = 0;
	page[1][0] = 0;
	result = testdev_dma(bar, IOVA, page[0], 16);
	for (int i = 0; i < 2; i++)
		if (page[i][0] == TESTDEV_PATTERN && !page[!i][0])
			return result == (i ? TESTDEV_MISMATCH : TESTDEV_OK) ? i : -EIO;
	return result == TESTDEV_FAULT ? NOWHERE : -EIO;
}

#define EXPECT_SPACES(first, second)					\
	do {								\
		EXPECT_EQ(first, space_of(self->bar[0], self->page));	\
		EXPECT_EQ(second, space_of(self->bar[1], self->page));	\
	} while (0)

/* semantics: 65, 66, 109, 114, 116.  One for both, and each loses it by itself. */
TEST_F(page_tables, shared)
{
	uint32_t table = self->table[0];

	EXPECT_SPACES(NOWHERE, NOWHERE);
	ASSERT_EQ(0, pt_attach(self->s[0].fd, 0, table));
	EXPECT_SPACES(0, NOWHERE);
	ASSERT_EQ(0, pt_attach(self->s[1].fd, 0, table));
	EXPECT_SPACES(0, 0);
	/* What the space has, both have. */
	ASSERT_EQ(0, ioas_unmap(self->ifd, self->ioas[0], IOVA, PAGE));
	EXPECT_SPACES(NOWHERE, NOWHERE);
	ASSERT_EQ(0, ioas_map(self->ifd, self->ioas[0], self->page[0], PAGE, IOVA));
	EXPECT_SPACES(0, 0);
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->ifd, table));
	ASSERT_EQ(0, cdev_detach(self->s[0].fd));
	EXPECT_SPACES(NOWHERE, 0);
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->ifd, table));
	ASSERT_EQ(0, pt_attach(self->s[0].fd, 0, table));
	munmap((void *)self->bar[1], PAGE);
	close_fd(&self->s[1].fd);
	EXPECT_EQ(0, space_of(self->bar[0], self->page));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->ifd, table));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->ifd, self->ioas[0]));
	ASSERT_EQ(0, cdev_detach(self->s[0].fd));
	EXPECT_EQ(NOWHERE, space_of(self->bar[0], self->page));
	EXPECT_EQ(0, iommufd_destroy(self->ifd, table));
}

/* semantics: 65, 114.  Others in their place and they in others', on one of two devices. */
TEST_F(page_tables, replaced)
{
	const struct {
		uint32_t pt;
		int space;
	} steps[] = {
		{ self->plain[1], 1 }, { self->table[0], 0 },
		{ self->table[1], 1 }, { self->plain[0], 0 },
		{ self->ioas[1], 1 }, { self->table[1], 1 },
		{ self->ioas[0], 0 }, { self->table[0], 0 },
		{ self->plain[0], 0 }, { self->table[1], 1 },
	};
	uint32_t pt;

	for (int dev = 0; dev < 2; dev++)
		ASSERT_EQ(0, pt_attach(self->s[dev].fd, 0, self->table[0]));
	for (int i = 0; i < ARRAY_SIZE(steps); i++) {
		pt = steps[i].pt;
		ASSERT_EQ(0, cdev_attach(self->s[0].fd, &pt));
		EXPECT_SPACES(steps[i].space, 0);
		/* A refusal leaves it, whatever it is. */
		EXPECT_EQ(-EINVAL, pt_attach(self->s[0].fd, 0, self->s[1].devid));
		EXPECT_EQ(-ENOENT, pt_attach(self->s[0].fd, 0, 0x7fffffff));
		EXPECT_SPACES(steps[i].space, 0);
	}
	/* From the other side: the first keeps the last step's. */
	ASSERT_EQ(0, pt_attach(self->s[1].fd, 0, self->plain[0]));
	EXPECT_SPACES(1, 0);
	EXPECT_EQ(0, iommufd_destroy(self->ifd, self->table[0]));
	ASSERT_EQ(0, cdev_detach(self->s[1].fd));
	EXPECT_SPACES(1, NOWHERE);
}

/* semantics: 67.  Those that were not made for PASIDs serve none, and let none in beside them. */
TEST_F(page_tables, pasids)
{
	int want = variant->flags == PASID ? 0 : -EINVAL, fd = self->s[0].fd;
	uint32_t pasid;

	if (pasid_tables(&self->s[0]) == -EOPNOTSUPP)
		SKIP(return, "the IOMMU has no page tables for PASIDs");
	ASSERT_EQ(0, hwpt_alloc(self->ifd, self->s[0].devid, self->ioas[1], PASID, &pasid));
	EXPECT_EQ(want, pt_attach(fd, 5, self->table[0]));
	EXPECT_EQ(0, cdev_detach_pasid(fd, 5));
	ASSERT_EQ(0, pt_attach(fd, 0, self->table[0]));
	EXPECT_EQ(want, pt_attach(fd, 5, self->table[0]));
	EXPECT_EQ(want, pt_attach(fd, 5, pasid));
	EXPECT_SPACES(0, NOWHERE);
}

/* semantics: 112, 194.  Whoever is handed the file can attach what the iommufd has, no more. */
TEST_F(page_tables, handed_on)
{
	int other = iommufd_open();
	struct recipient s;
	uint32_t id = 0;

	ASSERT_GE(other, 0);
	/* The other one has more than this one. */
	while (id <= self->plain[1])
		ASSERT_EQ(0, ioas_alloc(other, &id));
	ASSERT_EQ(0, pt_attach(self->s[1].fd, 0, self->table[1]));
	ASSERT_EQ(0, recipient_start(&s, self->s[0].fd));
	EXPECT_EQ(-EACCES, recipient_call(&s, RECIPIENT_OPEN_IOMMUFD, 0, 0));
	EXPECT_EQ(-ENOENT, recipient_call(&s, RECIPIENT_ATTACH, 0, id));
	EXPECT_SPACES(NOWHERE, 1);
	EXPECT_EQ(0, recipient_call(&s, RECIPIENT_ATTACH, 0, self->table[0]));
	EXPECT_SPACES(0, 1);
	EXPECT_EQ(0, recipient_call(&s, RECIPIENT_ATTACH, 0, self->plain[1]));
	EXPECT_SPACES(1, 1);
	EXPECT_EQ(0, recipient_call(&s, RECIPIENT_DETACH, 0, 0));
	EXPECT_SPACES(NOWHERE, 1);
	EXPECT_EQ(0, recipient_call(&s, RECIPIENT_ATTACH, 0, self->table[0]));
	EXPECT_EQ(0, recipient_end(&s));
	EXPECT_SPACES(0, 1);
	close(other);
}

/* ---- what would be nested ---- */

/* Nothing came of it: the next object gets the next id, and the page table is nobody's. */
static bool nothing_is_left(int ifd, uint32_t table, uint32_t next)
{
	uint32_t id;

	return !ioas_alloc(ifd, &id) && id == next && !iommufd_destroy(ifd, id) &&
	       !iommufd_destroy(ifd, table);
}

static int viommu_alloc(int ifd, struct iommu_viommu_alloc arg)
{
	int ret;

	arg.size = sizeof(arg);
	ret = xioctl(ifd, IOMMU_VIOMMU_ALLOC, &arg);
	return ret ? ret : (int)arg.out_viommu_id;
}

/* No IOMMU that QEMU emulates has what it takes: SMMUv3's second stage does not force coherency. */
TEST_F(page_tables, virtual_iommu)
{
	uint32_t devid = self->s[0].devid, table = self->table[0];
	struct iommu_viommu_alloc arg = { .dev_id = devid, .hwpt_id = table };

	ASSERT_EQ(0, pt_attach(self->s[1].fd, 0, table));
	for (arg.type = 0; arg.type < 16; arg.type++)
		EXPECT_EQ(-EOPNOTSUPP, viommu_alloc(self->ifd, arg));
	/* What is wrong about the arguments comes before: flags, then the device. */
	arg.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3;
	arg.dev_id = table;
	EXPECT_EQ(-ENOENT, viommu_alloc(self->ifd, arg));
	arg.flags = 1;
	EXPECT_EQ(-EOPNOTSUPP, viommu_alloc(self->ifd, arg));
	EXPECT_SPACES(NOWHERE, 0);
	ASSERT_EQ(0, cdev_detach(self->s[1].fd));
	EXPECT_TRUE(nothing_is_left(self->ifd, table, self->plain[1] + 1));
}

static int nested_alloc(int ifd, struct iommu_hwpt_alloc arg)
{
	uint64_t data[4] = { 0 };
	int ret;

	arg.size = sizeof(arg);
	arg.data_uptr = (uintptr_t)data;
	ret = xioctl(ifd, IOMMU_HWPT_ALLOC, &arg);
	return ret ? ret : (int)arg.out_hwpt_id;
}

/*
 * A page table of the user's in one of the kernel's: of an SMMUv3 through a virtual
 * IOMMU alone, of VT-d in a parent, which the one that is emulated does not have.
 */
TEST_F(page_tables, nested)
{
	const uint32_t size[] = {
		[IOMMU_HWPT_DATA_VTD_S1] = sizeof(struct iommu_hwpt_vtd_s1),
		[IOMMU_HWPT_DATA_ARM_SMMUV3] = sizeof(struct iommu_hwpt_arm_smmuv3),
		[IOMMU_HWPT_DATA_AMD_GUEST] = sizeof(struct iommu_hwpt_amd_guest),
	};
	uint32_t table = self->table[0];
	struct iommu_hwpt_alloc arg = { .dev_id = self->s[0].devid, .pt_id = table };
	int want = self->kind == VIOMMU_VTD ? -EINVAL : -EOPNOTSUPP;

	ASSERT_EQ(0, pt_attach(self->s[0].fd, 0, table));
	EXPECT_EQ(-EOPNOTSUPP, nested_alloc(self->ifd, arg));
	for (int type = 1; type < ARRAY_SIZE(size); type++) {
		arg.data_type = type;
		arg.data_len = 0;
		EXPECT_EQ(-EINVAL, nested_alloc(self->ifd, arg));
		arg.data_len = size[type];
		EXPECT_EQ(want, nested_alloc(self->ifd, arg));
		arg.flags = NEST_PARENT;
		EXPECT_EQ(-EOPNOTSUPP, nested_alloc(self->ifd, arg));
		arg.flags = 0;
	}
	EXPECT_SPACES(0, NOWHERE);
	ASSERT_EQ(0, cdev_detach(self->s[0].fd));
	EXPECT_TRUE(nothing_is_left(self->ifd, table, self->plain[1] + 1));
}

TEST_HARNESS_MAIN
