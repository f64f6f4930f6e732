// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device with PASIDs, ATS and PRI, through VFIO: that the SVA test module's (device/) is a
 * device like others, and that page tables attached by PASID get to where the IOMMU looks
 * for them, of any such device.
 */
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "lib/cdev.h"
#include "lib/iommufd.h"
#include "lib/pasid_table.h"
#include "lib/sva_dma.h"
#include "lib/sva_test.h"
#include "lib/sva_setup.h"
#include "lib/svadev.h"
#include "lib/test.h"

#define PAGE 4096
#define HUGE (2 << 20)
#define IOVA 0x10000000ULL
#define MSIX VFIO_PCI_MSIX_IRQ_INDEX

/* Does the device's DMA without a PASID go by tables of the first stage? */
static bool is_first_stage(const struct pci *pci)
{
	struct pasid_entry entry;

	return !pasid_entry(pci, 0, &entry) && pasid_kind(&entry) == PASID_FIRST_STAGE;
}

/* ---- the SVA test module's device, by its registers ---- */

FIXTURE(by_registers) {
	struct pci pci;
	struct session s;
	volatile void *bar;
	uint32_t *page;
};

FIXTURE_SETUP(by_registers)
{
	size_t size = 0;

	if (pci_find(SVADEV, 0, &self->pci))
		SKIP(return, "no SVA test device");
	ASSERT_EQ(0, session_open(&self->pci, &self->s));
	ASSERT_EQ(0, cdev_enable_dma(self->s.fd));
	self->bar = cdev_map_bar(self->s.fd, 0, &size);
	ASSERT_NE(NULL, self->bar);
	ASSERT_EQ(SVADEV_BAR_SIZE, size);
	self->page = pages_alloc(PAGE);
}

FIXTURE_TEARDOWN(by_registers)
{
	session_close(&self->s);
}

static volatile uint32_t *buffer(volatile void *bar)
{
	return (volatile uint32_t *)((volatile char *)bar + SVADEV_BUFFER);
}

TEST_F(by_registers, registers_and_reset)
{
	EXPECT_EQ(SVADEV_ID, svadev_read(self->bar, SVADEV_REG_ID));
	svadev_write(self->bar, SVADEV_REG_SCRATCH, 0xa5a51234);
	EXPECT_EQ(0xa5a51234, svadev_read(self->bar, SVADEV_REG_SCRATCH));
	buffer(self->bar)[7] = 0x600df00d;
	EXPECT_EQ(0x600df00d, buffer(self->bar)[7]);
	ASSERT_EQ(0, xioctl(self->s.fd, VFIO_DEVICE_RESET, NULL));
	ASSERT_EQ(0, cdev_enable_dma(self->s.fd));
	EXPECT_EQ(SVADEV_ID, svadev_read(self->bar, SVADEV_REG_ID));
	EXPECT_EQ(0, svadev_read(self->bar, SVADEV_REG_SCRATCH));
	EXPECT_EQ(0, buffer(self->bar)[7]);
}

/* DMA gets where it is let, in both directions, and nowhere else. */
TEST_F(by_registers, dma)
{
	uint32_t *page = self->page, *next = pages_alloc(PAGE);
	int ifd = self->s.iommufd;

	if (is_first_stage(&self->pci))
		SKIP(return, "QEMU tells served devices of second-stage tables alone");
	EXPECT_EQ(SVADEV_FAULT, svadev_dma(self->bar, SVADEV_TO_MEMORY, IOVA, 64));
	ASSERT_EQ(0, ioas_map(ifd, self->s.ioas, page, PAGE, IOVA));
	for (int i = 0; i < 16; i++)
		buffer(self->bar)[i] = 0x1000 + i;
	page[16] = 0xffffffff;
	EXPECT_EQ(SVADEV_DONE, svadev_dma(self->bar, SVADEV_TO_MEMORY, IOVA, 64));
	for (int i = 0; i < 16; i++)
		EXPECT_EQ(0x1000 + i, page[i]);
	EXPECT_EQ(0xffffffff, page[16]);
	page[3] = 0xcafe;
	EXPECT_EQ(SVADEV_DONE, svadev_dma(self->bar, SVADEV_FROM_MEMORY, IOVA, 64));
	EXPECT_EQ(0xcafe, buffer(self->bar)[3]);
	/* Over the end of what is mapped: nothing is moved. */
	page[PAGE / 4 - 1] = 0;
	EXPECT_EQ(SVADEV_FAULT, svadev_dma(self->bar, SVADEV_TO_MEMORY, IOVA + PAGE - 4, 8));
	EXPECT_EQ(0, page[PAGE / 4 - 1]);
	/* With another page behind it, each gets its part. */
	ASSERT_EQ(0, ioas_map(ifd, self->s.ioas, next, PAGE, IOVA + PAGE));
	EXPECT_EQ(SVADEV_DONE, svadev_dma(self->bar, SVADEV_TO_MEMORY, IOVA + PAGE - 4, 8));
	EXPECT_EQ(0x1000, page[PAGE / 4 - 1]);
	EXPECT_EQ(0x1001, next[0]);
	ASSERT_EQ(0, ioas_unmap(ifd, self->s.ioas, IOVA + PAGE, PAGE));
	EXPECT_EQ(SVADEV_FAULT, svadev_dma(self->bar, SVADEV_FROM_MEMORY, IOVA + PAGE, 4));
	EXPECT_EQ(SVADEV_INVALID, svadev_dma(self->bar, SVADEV_TO_MEMORY, IOVA,
					     SVADEV_BUFFER_SIZE + 1));
	EXPECT_EQ(SVADEV_INVALID, svadev_dma(self->bar, 0, IOVA, 4));
	ASSERT_EQ(0, ioas_unmap(ifd, self->s.ioas, IOVA, PAGE));
	EXPECT_EQ(SVADEV_FAULT, svadev_dma(self->bar, SVADEV_TO_MEMORY, IOVA, 64));
}

TEST_F(by_registers, interrupts)
{
	const uint32_t how = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	struct vfio_irq_info info;
	int32_t events[SVADEV_VECTORS];
	uint64_t n;

	ASSERT_EQ(0, cdev_irq_info(self->s.fd, MSIX, &info));
	ASSERT_EQ(SVADEV_VECTORS, info.count);
	for (int i = 0; i < SVADEV_VECTORS; i++)
		events[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ASSERT_EQ(0, cdev_set_irqs(self->s.fd, MSIX, how, 0, SVADEV_VECTORS, events));
	for (int i = SVADEV_VECTORS - 1; i >= 0; i--) {
		svadev_write(self->bar, SVADEV_REG_INTERRUPT, i);
		ASSERT_TRUE(wait_readable(events[i], EVENT_MS));
		EXPECT_EQ(8, read(events[i], &n, 8));
		EXPECT_EQ(1, n);
		for (int other = 0; other < i; other++)
			EXPECT_FALSE(wait_readable(events[other], 0));
	}
}

/* ---- any device ---- */

FIXTURE(pasid_device) {
	struct pci pci;
	struct session s;
	uint32_t pasids;	/* how many it has */
};

FIXTURE_SETUP(pasid_device)
{
	struct iommu_hw_info info = { .size = sizeof(info) };

	if (!sva_find(&self->pci, 1))
		SKIP(return, "no device with PASIDs, ATS and PRI");
	ASSERT_EQ(0, session_open(&self->pci, &self->s));
	info.dev_id = self->s.devid;
	ASSERT_EQ(0, xioctl(self->s.iommufd, IOMMU_GET_HW_INFO, &info));
	self->pasids = 1u << info.out_max_pasid_log2;
}

FIXTURE_TEARDOWN(pasid_device)
{
	session_close(&self->s);
}

/* The kernel has made out that it knows PASIDs, and how many. */
TEST_F(pasid_device, hardware_info)
{
	EXPECT_GT(self->pasids, 1);
	if (self->pci.id == SVADEV)
		EXPECT_EQ(1u << SVADEV_PASID_BITS, self->pasids);
}

/*
 * semantics: 67, 68.  A page table attached by PASID: it is what the IOMMU finds, until
 * it is replaced or detached, or the file is closed.
 */
TEST_F(pasid_device, page_tables_by_pasid)
{
	struct pasid_entry rid, entry, replaced;
	uint32_t hwpt, ioas, other, pt;
	int fd = self->s.fd, ifd = self->s.iommufd;

	if (pasid_entries(&self->pci) < 0)
		SKIP(return, "the IOMMU's tables of PASIDs cannot be read");
	ASSERT_EQ(0, hwpt_alloc(ifd, self->s.devid, self->s.ioas, IOMMU_HWPT_ALLOC_PASID, &hwpt));
	ASSERT_EQ(0, ioas_alloc(ifd, &ioas));
	ASSERT_EQ(0, hwpt_alloc(ifd, self->s.devid, ioas, IOMMU_HWPT_ALLOC_PASID, &other));
	pt = hwpt;
	ASSERT_EQ(0, cdev_attach(fd, &pt));
	ASSERT_EQ(0, pasid_entry(&self->pci, 0, &rid));
	EXPECT_EQ(0, pasid_entries(&self->pci));

	for (uint32_t pasid = 1; pasid < self->pasids; pasid <<= 5) {
		pt = hwpt;
		ASSERT_EQ(0, cdev_attach_pasid(fd, pasid, &pt));
		ASSERT_EQ(0, pasid_entry(&self->pci, pasid, &entry));
		/* The same address space, so the same table. */
		EXPECT_EQ(pasid_kind(&rid), pasid_kind(&entry));
		EXPECT_EQ(pasid_root(&rid), pasid_root(&entry));
		pt = other;
		ASSERT_EQ(0, cdev_attach_pasid(fd, pasid, &pt));
		ASSERT_EQ(0, pasid_entry(&self->pci, pasid, &replaced));
		EXPECT_NE(pasid_root(&entry), pasid_root(&replaced));
		EXPECT_EQ(1, pasid_entries(&self->pci));
		ASSERT_EQ(0, cdev_detach_pasid(fd, pasid));
		EXPECT_EQ(0, pasid_entries(&self->pci));
	}
	pt = hwpt;
	EXPECT_EQ(-EINVAL, cdev_attach_pasid(fd, self->pasids, &pt));

	pt = hwpt;
	ASSERT_EQ(0, cdev_attach_pasid(fd, 5, &pt));
	pt = hwpt;
	ASSERT_EQ(0, cdev_attach_pasid(fd, 6, &pt));
	EXPECT_EQ(2, pasid_entries(&self->pci));
	close(fd);
	self->s.fd = -1;
	EXPECT_EQ(0, pasid_entries(&self->pci));
}

/*
 * semantics: 67, 68.  DMA with a PASID reaches what is mapped in the address space that is
 * attached by it, as long as that is so; the engine is the SVA test module's (lib/sva_dma.h).
 */
TEST_F(pasid_device, dma_by_pasid)
{
	const uint32_t pasid = self->pasids - 1;
	struct dma dma = { .control = sva_test_open(), .pci = &self->pci, .pasid = pasid };
	char *page = pages_alloc(PAGE), *fixed = pages_alloc(PAGE), *large = pages_reserve(HUGE, HUGE);
	void *iova = (void *)IOVA, *high = (void *)(IOVA + HUGE);
	int fd = self->s.fd, ifd = self->s.iommufd;
	uint32_t hwpt, ioas, other, pt;

	if (dma.control < 0 || !has_dma(dma.control, &self->pci)) {
		sva_test_close(dma.control);
		SKIP(return, NO_DMA);
	}
	madvise(large, HUGE, MADV_HUGEPAGE);
	for (uint32_t i = 0; i < HUGE / 4; i++)
		((uint32_t *)large)[i] = i;
	ASSERT_EQ(0, cdev_enable_dma(fd));
	ASSERT_EQ(0, hwpt_alloc(ifd, self->s.devid, self->s.ioas, IOMMU_HWPT_ALLOC_PASID, &hwpt));
	ASSERT_EQ(0, ioas_alloc(ifd, &ioas));
	ASSERT_EQ(0, hwpt_alloc(ifd, self->s.devid, ioas, IOMMU_HWPT_ALLOC_PASID, &other));
	pt = hwpt;
	ASSERT_EQ(0, cdev_attach(fd, &pt));
	ASSERT_EQ(0, ioas_map(ifd, self->s.ioas, page, PAGE, IOVA));
	EXPECT_EQ(SVA_TEST_DMA_NO_ENTRY, dma_write(&dma, iova, "x", 1));
	pt = hwpt;
	ASSERT_EQ(0, cdev_attach_pasid(fd, pasid, &pt));
	EXPECT_EQ(SVA_TEST_DMA_DONE, dma_write(&dma, iova, "x", 1));
	EXPECT_EQ('x', page[0]);
	/* Next to it nothing, until it is mapped. */
	EXPECT_EQ(SVA_TEST_DMA_FAULT_WRITE, dma_write(&dma, iova + PAGE - 1, "yz", 2));
	EXPECT_EQ(1, dma.moved);
	EXPECT_EQ(IOVA + PAGE, dma.address);
	EXPECT_EQ('y', page[PAGE - 1]);
	ASSERT_EQ(0, ioas_map_readable(ifd, self->s.ioas, fixed, PAGE, IOVA + PAGE));
	EXPECT_EQ(SVA_TEST_DMA_FAULT_WRITE, dma_write(&dma, iova + PAGE, "z", 1));
	EXPECT_EQ(SVA_TEST_DMA_DONE, dma_copy(&dma, iova, iova + PAGE, 1));
	EXPECT_EQ(0, page[0]);
	/* By a large entry of the page table, if the memory is one page. */
	ASSERT_EQ(0, ioas_map(ifd, self->s.ioas, large, HUGE, IOVA + HUGE));
	EXPECT_EQ(SVA_TEST_DMA_DONE, dma_copy(&dma, high, high + HUGE / 2 + 4, HUGE / 4));
	EXPECT_EQ(0, memcmp(large, large + HUGE / 2 + 4, HUGE / 4));
	EXPECT_EQ(HUGE / 4 / 4, ((uint32_t *)large)[HUGE / 4 / 4]);
	ASSERT_EQ(0, ioas_unmap(ifd, self->s.ioas, IOVA + HUGE, HUGE));
	EXPECT_EQ(SVA_TEST_DMA_FAULT_READ, dma_copy(&dma, iova, high, 1));

	/* Another address space, in which the same address is another page's. */
	ASSERT_EQ(0, ioas_map(ifd, ioas, fixed, PAGE, IOVA));
	pt = other;
	ASSERT_EQ(0, cdev_attach_pasid(fd, pasid, &pt));
	EXPECT_EQ(SVA_TEST_DMA_DONE, dma_write(&dma, iova, "o", 1));
	EXPECT_EQ(0, page[0]);
	EXPECT_EQ('o', fixed[0]);
	ASSERT_EQ(0, ioas_unmap(ifd, ioas, IOVA, PAGE));
	EXPECT_EQ(SVA_TEST_DMA_FAULT_WRITE, dma_write(&dma, iova, "x", 1));
	ASSERT_EQ(0, cdev_detach_pasid(fd, pasid));
	EXPECT_EQ(SVA_TEST_DMA_NO_ENTRY, dma_write(&dma, iova, "x", 1));
	sva_test_close(dma.control);
}

/* An IOMMU without first-stage tables cannot use a process's. */
TEST_F(pasid_device, no_first_stage)
{
	int control;

	if (self->pci.id != SVADEV || is_first_stage(&self->pci))
		SKIP(return, "no SVA test device, or one that has first-stage tables");
	control = sva_test_open();
	ASSERT_GE(control, 0);
	EXPECT_EQ(-ENODEV, sva_test_bind(control, &self->pci));
	ASSERT_EQ(0, sva_test_capable(true));
	EXPECT_EQ(-EINVAL, sva_test_bind(control, &self->pci));
	EXPECT_EQ(0, pasid_entries(&self->pci));
	sva_test_close(control);
}

TEST_HARNESS_MAIN
