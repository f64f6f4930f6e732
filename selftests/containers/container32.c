// SPDX-License-Identifier: GPL-2.0-only
/*
 * Containers for a client in 32-bit user space: numbers, layouts and results are the
 * same.  This program is built with -m32; that it is, is its first test.
 */
#include <fcntl.h>

#include "lib/container.h"
#include "lib/test.h"
#include "lib/testdev.h"

#define PAGE 4096u
/* Above what a pointer of this program can hold. */
#define IOVA 0x1234567000ULL

/* semantics: 204 */
TEST(is_32_bit)
{
	EXPECT_EQ(4, sizeof(void *));
	EXPECT_EQ(32, sizeof(struct vfio_iommu_type1_dma_map));
	EXPECT_EQ(24, sizeof(struct vfio_iommu_type1_dma_unmap));
}

FIXTURE(container32) {
	struct pci pci;
	int container, group;
};

FIXTURE_SETUP(container32)
{
	if (!has_containers())
		SKIP(return, NO_CONTAINERS);
	if (pci_find(TESTDEV, 0, &self->pci))
		SKIP(return, "no iommu-testdev");
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	self->container = container_open();
	self->group = group_open(&self->pci);
	ASSERT_GE(self->container, 0);
	ASSERT_GE(self->group, 0);
}

FIXTURE_TEARDOWN(container32)
{
	close(self->container);
	close(self->group);
}

/* semantics: 145, 204.  From the container to the device's DMA, and back. */
TEST_F(container32, life)
{
	int fd, container = self->container;
	uint32_t *page = pages_alloc(PAGE);
	volatile void *bar;

	EXPECT_EQ(0, xioctl(container, VFIO_GET_API_VERSION, NULL));
	EXPECT_EQ(1, container_check(container, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, container_check(container, ~0UL));
	EXPECT_EQ(-EINVAL, container_set_iommu(container, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, group_set(self->group, container));
	EXPECT_EQ(GROUP_SET, group_flags(self->group));
	EXPECT_EQ(-EINVAL, container_unknown(container));
	ASSERT_EQ(0, container_set_iommu(container, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-ENOTTY, container_unknown(container));
	EXPECT_EQ(-EFAULT, xioctl(container, VFIO_IOMMU_MAP_DMA, NULL));
	fd = group_device(self->group, self->pci.bdf);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, cdev_enable_dma(fd));
	bar = cdev_map_bar(fd, 0, NULL);
	ASSERT_TRUE(bar != NULL);
	EXPECT_EQ(TESTDEV_FAULT, testdev_dma(bar, IOVA, page, 16));
	ASSERT_EQ(0, compat_map(container, page, PAGE, IOVA));
	EXPECT_EQ(TESTDEV_OK, testdev_dma(bar, IOVA, page, 16));
	EXPECT_EQ(TESTDEV_PATTERN, page[0]);
	ASSERT_EQ(0, compat_unmap(container, IOVA, PAGE));
	EXPECT_EQ(TESTDEV_FAULT, testdev_dma(bar, IOVA, page, 16));
	EXPECT_EQ(-EBUSY, group_unset(self->group));
	munmap((void *)bar, PAGE);
	close(fd);
	EXPECT_EQ(0, group_unset(self->group));
	EXPECT_EQ(-EINVAL, container_unknown(container));
}

TEST_HARNESS_MAIN
