// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where DMA goes: to what is mapped in the address space that the device is
 * attached to, at that time, and nowhere else.
 */
#include "lib/cdev.h"
#include "lib/edu.h"
#include "lib/iommufd.h"
#include "lib/kmsg.h"
#include "lib/test.h"
#include "lib/testdev.h"
#include "lib/viommu.h"

#define IOVA 0x10000000ULL
#define PAGE 4096

FIXTURE(dma) {
	struct pci pci;
	struct session s;
	volatile void *bar;
	uint32_t *page[3];
};

FIXTURE_SETUP(dma)
{
	if (pci_find(TESTDEV, 0, &self->pci))
		SKIP(return, "no iommu-testdev");
	ASSERT_EQ(0, session_open(&self->pci, &self->s));
	ASSERT_EQ(0, cdev_enable_dma(self->s.fd));
	self->bar = cdev_map_bar(self->s.fd, 0, NULL);
	ASSERT_NE(NULL, self->bar);
	for (int i = 0; i < 3; i++)
		self->page[i] = pages_alloc(PAGE);
}

FIXTURE_TEARDOWN(dma)
{
	session_close(&self->s);
}

/* semantics: 65, 114 */
TEST_F(dma, ioas)
{
	int ifd = self->s.iommufd;
	uint32_t ioas = self->s.ioas;

	EXPECT_TRUE(testdev_faults(self->bar, IOVA, self->page[0]));
	ASSERT_EQ(0, ioas_map(ifd, ioas, self->page[0], PAGE, IOVA));
	ASSERT_EQ(0, ioas_map(ifd, ioas, self->page[1], PAGE, 1ULL << 36));
	EXPECT_TRUE(testdev_reaches(self->bar, IOVA, self->page[0]));
	EXPECT_TRUE(testdev_reaches(self->bar, 1ULL << 36, self->page[1]));
	EXPECT_TRUE(testdev_reaches(self->bar, IOVA + PAGE - 16,
				    self->page[0] + PAGE / 4 - 4));
	EXPECT_TRUE(testdev_faults(self->bar, IOVA + PAGE, self->page[0]));
	EXPECT_TRUE(testdev_faults(self->bar, IOVA - PAGE, self->page[0]));
	ASSERT_EQ(0, ioas_unmap(ifd, ioas, IOVA, PAGE));
	EXPECT_TRUE(testdev_faults(self->bar, IOVA, self->page[0]));
	EXPECT_TRUE(testdev_reaches(self->bar, 1ULL << 36, self->page[1]));
}

/* semantics: 65, 114.  The same by a page table of one's own. */
TEST_F(dma, hwpt)
{
	int ifd = self->s.iommufd;
	uint32_t hwpt, pt;

	ASSERT_EQ(0, ioas_map(ifd, self->s.ioas, self->page[0], PAGE, IOVA));
	ASSERT_EQ(0, hwpt_alloc(ifd, self->s.devid, self->s.ioas, 0, &hwpt));
	pt = hwpt;
	ASSERT_EQ(0, cdev_attach(self->s.fd, &pt));
	EXPECT_TRUE(testdev_reaches(self->bar, IOVA, self->page[0]));
	/* Mappings that come and go later are in it too. */
	ASSERT_EQ(0, ioas_map(ifd, self->s.ioas, self->page[1], PAGE,
			      IOVA + PAGE));
	EXPECT_TRUE(testdev_reaches(self->bar, IOVA + PAGE, self->page[1]));
	ASSERT_EQ(0, ioas_unmap(ifd, self->s.ioas, IOVA, PAGE));
	EXPECT_TRUE(testdev_faults(self->bar, IOVA, self->page[0]));
}

/* semantics: 114.  After a replacement the new one is right, the old one wrong. */
TEST_F(dma, replace)
{
	int ifd = self->s.iommufd;
	uint32_t ioas[3], pt;

	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, ioas_alloc(ifd, &ioas[i]));
		ASSERT_EQ(0, ioas_map(ifd, ioas[i], self->page[i], PAGE, IOVA));
	}
	for (int i = 0; i < 12; i++) {
		pt = ioas[i % 3];
		ASSERT_EQ(0, cdev_attach(self->s.fd, &pt));
		for (int j = 0; j < 3; j++)
			self->page[j][0] = 0;
		EXPECT_TRUE(testdev_reaches(self->bar, IOVA, self->page[i % 3]));
		EXPECT_EQ(0, self->page[(i + 1) % 3][0]);
		EXPECT_EQ(0, self->page[(i + 2) % 3][0]);
	}
}

/* semantics: 66, 115 */
TEST_F(dma, detach)
{
	uint32_t pt;

	ASSERT_EQ(0, ioas_map(self->s.iommufd, self->s.ioas, self->page[0],
			      PAGE, IOVA));
	for (int i = 0; i < 10; i++) {
		EXPECT_TRUE(testdev_reaches(self->bar, IOVA, self->page[0]));
		ASSERT_EQ(0, cdev_detach(self->s.fd));
		EXPECT_TRUE(testdev_faults(self->bar, IOVA, self->page[0]));
		pt = self->s.ioas;
		ASSERT_EQ(0, cdev_attach(self->s.fd, &pt));
	}
}

/* semantics: 65.  A write to what is not mapped is told. */
TEST_F(dma, fault_is_told)
{
	int kmsg = kmsg_open();
	bool told = false;

	ASSERT_GE(kmsg, 0);
	/* Of many faults the kernel tells some. */
	for (int ms = 0; ms < EVENT_MS && !told; ms += 500) {
		ASSERT_TRUE(testdev_faults(self->bar, 0x2345000, self->page[0]));
		told = fault_is_told(kmsg, &self->pci, 0x2345000, 500);
	}
	EXPECT_TRUE(told);
	close(kmsg);
}

/* semantics: 66.  ... and so is one of a device that is not attached. */
TEST_F(dma, detached_fault_is_told)
{
	int kmsg = kmsg_open();
	bool told = false;

	if (viommu_of(&self->pci) == VIOMMU_SMMUV3)
		SKIP(return, "SMMUv3 aborts what a detached device does without an event");
	if (viommu_of(&self->pci) == VIOMMU_AMD)
		SKIP(return, "QEMU's AMD IOMMU logs no event of a detached device");
	ASSERT_GE(kmsg, 0);
	ASSERT_EQ(0, cdev_detach(self->s.fd));
	for (int ms = 0; ms < EVENT_MS && !told; ms += 500) {
		ASSERT_TRUE(testdev_faults(self->bar, 0x6789000, self->page[0]));
		told = fault_is_told(kmsg, &self->pci, 0x6789000, 500);
	}
	EXPECT_TRUE(told);
	close(kmsg);
}

/* semantics: 201.  Closing the iommufd leaves the DMA to the bound device. */
TEST_F(dma, iommufd_closed)
{
	ASSERT_EQ(0, ioas_map(self->s.iommufd, self->s.ioas, self->page[0],
			      PAGE, IOVA));
	close_fd(&self->s.iommufd);
	EXPECT_TRUE(testdev_reaches(self->bar, IOVA, self->page[0]));
	ASSERT_EQ(0, cdev_detach(self->s.fd));
	EXPECT_TRUE(testdev_faults(self->bar, IOVA, self->page[0]));
}

/* semantics: 95, 109.  A new owner starts with nothing. */
TEST_F(dma, next_owner)
{
	ASSERT_EQ(0, ioas_map(self->s.iommufd, self->s.ioas, self->page[0],
			      PAGE, IOVA));
	EXPECT_TRUE(testdev_reaches(self->bar, IOVA, self->page[0]));
	munmap((void *)self->bar, PAGE);
	session_close(&self->s);

	ASSERT_EQ(0, session_open(&self->pci, &self->s));
	self->bar = cdev_map_bar(self->s.fd, 0, NULL);
	ASSERT_NE(NULL, self->bar);
	ASSERT_EQ(0, cdev_enable_dma(self->s.fd));
	EXPECT_TRUE(testdev_faults(self->bar, IOVA, self->page[0]));
}

/* Two devices with one address space, then with one each. */
TEST_F(dma, two_devices)
{
	int ifd = self->s.iommufd;
	struct session second;
	volatile void *bar;
	uint32_t other, pt;
	struct pci pci;

	if (pci_find(TESTDEV, 1, &pci))
		SKIP(return, "no second iommu-testdev");
	ASSERT_EQ(0, session_open_node(&pci, &second));
	ASSERT_EQ(0, cdev_bind(second.fd, ifd, &second.devid));
	EXPECT_NE(self->s.devid, second.devid);
	ASSERT_EQ(0, cdev_enable_dma(second.fd));
	bar = cdev_map_bar(second.fd, 0, NULL);
	ASSERT_NE(NULL, bar);

	ASSERT_EQ(0, ioas_map(ifd, self->s.ioas, self->page[0], PAGE, IOVA));
	EXPECT_TRUE(testdev_faults(bar, IOVA, self->page[0]));
	pt = self->s.ioas;
	ASSERT_EQ(0, cdev_attach(second.fd, &pt));
	EXPECT_EQ(self->s.hwpt, pt);
	EXPECT_TRUE(testdev_reaches(bar, IOVA, self->page[0]));
	EXPECT_TRUE(testdev_reaches(self->bar, IOVA, self->page[0]));

	ASSERT_EQ(0, ioas_alloc(ifd, &other));
	ASSERT_EQ(0, ioas_map(ifd, other, self->page[1], PAGE, IOVA));
	pt = other;
	ASSERT_EQ(0, cdev_attach(second.fd, &pt));
	EXPECT_TRUE(testdev_reaches(bar, IOVA, self->page[1]));
	EXPECT_TRUE(testdev_reaches(self->bar, IOVA, self->page[0]));
	ASSERT_EQ(0, cdev_detach(self->s.fd));
	EXPECT_TRUE(testdev_reaches(bar, IOVA, self->page[1]));
	EXPECT_TRUE(testdev_faults(self->bar, IOVA, self->page[0]));
	session_close(&second);
}

/* A device that reads as well as writes. */
TEST(edu_both_ways)
{
	volatile void *bar;
	struct session s;
	struct pci pci;
	char *page;

	if (pci_find_at(EDU, false, &pci))
		SKIP(return, "no edu device on the root bus");
	ASSERT_EQ(0, session_open(&pci, &s));
	ASSERT_EQ(0, cdev_enable_dma(s.fd));
	bar = cdev_map_bar(s.fd, 0, NULL);
	ASSERT_NE(NULL, bar);
	page = pages_alloc(2 * PAGE);
	for (int i = 0; i < PAGE; i++)
		page[i] = i * 7;
	/* In by one address, out by another. */
	ASSERT_EQ(0, ioas_map(s.iommufd, s.ioas, page, PAGE, IOVA));
	ASSERT_EQ(0, ioas_map(s.iommufd, s.ioas, page + PAGE, PAGE, 2 * IOVA));
	EXPECT_TRUE(edu_dma_in(bar, IOVA, PAGE));
	EXPECT_TRUE(edu_dma_out(bar, 2 * IOVA, PAGE));
	EXPECT_EQ(0, memcmp(page, page + PAGE, PAGE));
	/* Unmapped: the page keeps what it has. */
	memset(page + PAGE, 0x33, PAGE);
	ASSERT_EQ(0, ioas_unmap(s.iommufd, s.ioas, 2 * IOVA, PAGE));
	EXPECT_TRUE(edu_dma_out(bar, 2 * IOVA, PAGE));
	EXPECT_EQ(0x33, page[PAGE]);
	EXPECT_EQ(0x33, page[2 * PAGE - 1]);
	session_close(&s);
}

TEST_HARNESS_MAIN
