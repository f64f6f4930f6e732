// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that a container maps by vfio_iommu_type1: where the DMA of its devices goes,
 * and that of those which are not in it; who owns a group meanwhile.
 */
#include <fcntl.h>

#include "lib/container.h"
#include "lib/edu.h"
#include "lib/iommufd.h"
#include "lib/test.h"
#include "lib/testdev.h"

#define PAGE 4096u
#define IOVA 0x10000000ULL

/* Two DMA probes in groups of their own, the first of them in a container. */
FIXTURE(container_type1) {
	struct pci a, b;
	struct boxed box, second;
	volatile void *bar, *bar_b;
	uint32_t *page[2];
};

static volatile void *dma_probe(int fd)
{
	return cdev_enable_dma(fd) ? NULL : cdev_map_bar(fd, 0, NULL);
}

FIXTURE_SETUP(container_type1)
{
	self->box = BOXED_NONE;
	self->second = BOXED_NONE;
	if (!has_containers())
		SKIP(return, NO_CONTAINERS);
	if (pci_find(TESTDEV, 0, &self->a) || pci_find(TESTDEV, 1, &self->b))
		SKIP(return, "no two iommu-testdev");
	ASSERT_EQ(0, boxed_open(&self->a, &self->box));
	self->bar = dma_probe(self->box.fd);
	ASSERT_NE(NULL, self->bar);
	for (int i = 0; i < 2; i++)
		self->page[i] = pages_alloc(PAGE);
}

FIXTURE_TEARDOWN(container_type1)
{
	if (self->bar)
		munmap((void *)self->bar, PAGE);
	if (self->bar_b)
		munmap((void *)self->bar_b, PAGE);
	close_fd(&self->second.fd);
	close_fd(&self->second.group);
	boxed_close(&self->box);
}

/* semantics: 163.  What is mapped can be reached, and no longer when it is not. */
TEST_F(container_type1, map_and_unmap)
{
	int fd = self->box.container;

	EXPECT_TRUE(testdev_faults(self->bar, IOVA, self->page[0]));
	ASSERT_EQ(0, compat_map(fd, self->page[0], PAGE, IOVA));
	EXPECT_TRUE(testdev_reaches(self->bar, IOVA, self->page[0]));
	EXPECT_TRUE(testdev_faults(self->bar, IOVA + PAGE, self->page[0]));
	EXPECT_EQ(-EEXIST, compat_map(fd, self->page[1], PAGE, IOVA));
	ASSERT_EQ(0, compat_map(fd, self->page[1], PAGE, IOVA + PAGE));
	EXPECT_TRUE(testdev_reaches(self->bar, IOVA + PAGE, self->page[1]));
	ASSERT_EQ(0, compat_unmap(fd, IOVA, PAGE));
	EXPECT_TRUE(testdev_faults(self->bar, IOVA, self->page[0]));
	EXPECT_TRUE(testdev_reaches(self->bar, IOVA + PAGE, self->page[1]));
	EXPECT_EQ(-EINVAL, compat_unmap(fd, IOVA, PAGE - 1));
}

/* A page that may be read and not written. */
TEST_F(container_type1, read_only)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ,
		.vaddr = (uintptr_t)self->page[0],
		.iova = IOVA,
		.size = PAGE,
	};

	ASSERT_EQ(0, xioctl(self->box.container, VFIO_IOMMU_MAP_DMA, &map));
	EXPECT_TRUE(testdev_faults(self->bar, IOVA, self->page[0]));
}

/* semantics: 46, 47, 48, 163.  The driver builds its answer with the core's functions. */
TEST_F(container_type1, info)
{
	static const uint16_t wanted[] = {
		VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION,
		VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL,
		VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
	};
	union {
		struct vfio_iommu_type1_info info;
		char bytes[PAGE];
	} u = { .info.argsz = sizeof(u.info) };
	struct vfio_info_cap_header *cap;
	int n = 0, fd = self->box.container;
	uint32_t size;

	ASSERT_EQ(0, xioctl(fd, VFIO_IOMMU_GET_INFO, &u));
	size = u.info.argsz;
	ASSERT_GT(size, sizeof(u.info));
	ASSERT_LT(size, PAGE);
	EXPECT_EQ(VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS, u.info.flags);
	EXPECT_EQ(PAGE, u.info.iova_pgsizes & -u.info.iova_pgsizes);
	EXPECT_EQ(0, u.info.cap_offset);
	ASSERT_EQ(0, xioctl(fd, VFIO_IOMMU_GET_INFO, &u));
	EXPECT_EQ(size, u.info.argsz);
	for (uint32_t at = u.info.cap_offset; at && n < 3; at = cap->next, n++) {
		ASSERT_EQ(0, at % 8);
		ASSERT_LE(at + sizeof(*cap), size);
		cap = (void *)(u.bytes + at);
		EXPECT_EQ(wanted[n], cap->id);
		EXPECT_EQ(1, cap->version);
		if (cap->id == VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL)
			EXPECT_EQ(65535, ((struct vfio_iommu_type1_info_dma_avail *)
					  cap)->avail);
	}
	EXPECT_EQ(3, n);
}

/* semantics: 163.  What the platform keeps for interrupts is no memory. */
TEST_F(container_type1, reserved_regions)
{
	char regions[1024], type[32], *line;
	unsigned long long start;
	int n = 0;

	ASSERT_GT(pci_attr(&self->a, "iommu_group/reserved_regions", regions,
			   sizeof(regions)), 0);
	for (line = strtok(regions, "\n"); line; line = strtok(NULL, "\n")) {
		int fields = sscanf(line, "%llx %*x %31s", &start, type);

		ASSERT_EQ(2, fields);
		if (!strncmp(type, "direct", 6))
			continue;
		EXPECT_EQ(-EINVAL, compat_map(self->box.container, self->page[0],
					      PAGE, start));
		n++;
	}
	EXPECT_GE(n, 1);
}

/* semantics: 148, 161.  One address space for all groups, whenever they come. */
TEST_F(container_type1, several_groups)
{
	int fd = self->box.container;

	ASSERT_EQ(0, compat_map(fd, self->page[0], PAGE, IOVA));
	ASSERT_EQ(0, boxed_join(&self->b, fd, &self->second));
	self->bar_b = dma_probe(self->second.fd);
	ASSERT_NE(NULL, self->bar_b);
	/* What was there before it came, and what came after. */
	EXPECT_TRUE(testdev_reaches(self->bar_b, IOVA, self->page[0]));
	ASSERT_EQ(0, compat_map(fd, self->page[1], PAGE, IOVA + PAGE));
	EXPECT_TRUE(testdev_reaches(self->bar, IOVA + PAGE, self->page[1]));
	EXPECT_TRUE(testdev_reaches(self->bar_b, IOVA + PAGE, self->page[1]));
	/* Each group has its own devices and its own uses. */
	EXPECT_EQ(-ENODEV, group_device(self->second.group, self->a.bdf));
	EXPECT_EQ(-EBUSY, group_unset(self->box.group));
	munmap((void *)self->bar, PAGE);
	self->bar = NULL;
	close_fd(&self->box.fd);
	EXPECT_EQ(0, group_unset(self->box.group));
	EXPECT_EQ(-EBUSY, group_unset(self->second.group));
	EXPECT_TRUE(testdev_reaches(self->bar_b, IOVA, self->page[0]));
	ASSERT_EQ(0, compat_unmap(fd, IOVA, PAGE));
	EXPECT_TRUE(testdev_faults(self->bar_b, IOVA, self->page[0]));
	EXPECT_TRUE(testdev_reaches(self->bar_b, IOVA + PAGE, self->page[1]));
}

/* Two containers are two address spaces. */
TEST_F(container_type1, apart)
{
	struct boxed b;

	ASSERT_EQ(0, boxed_open(&self->b, &b));
	self->second = b;
	self->bar_b = dma_probe(b.fd);
	ASSERT_NE(NULL, self->bar_b);
	ASSERT_EQ(0, compat_map(self->box.container, self->page[0], PAGE, IOVA));
	EXPECT_TRUE(testdev_faults(self->bar_b, IOVA, self->page[0]));
	ASSERT_EQ(0, compat_map(b.container, self->page[1], PAGE, IOVA));
	EXPECT_TRUE(testdev_reaches(self->bar, IOVA, self->page[0]));
	EXPECT_TRUE(testdev_reaches(self->bar_b, IOVA, self->page[1]));
	EXPECT_EQ(-EINVAL, group_set(b.group, self->box.container));
	close_fd(&b.container);
}

/* semantics: 164.  Whoever comes next finds nothing of what was mapped. */
TEST_F(container_type1, nothing_is_left)
{
	int fd = self->box.container;

	ASSERT_EQ(0, compat_map(fd, self->page[0], PAGE, IOVA));
	EXPECT_TRUE(testdev_reaches(self->bar, IOVA, self->page[0]));
	munmap((void *)self->bar, PAGE);
	self->bar = NULL;
	close_fd(&self->box.fd);
	ASSERT_EQ(0, group_unset(self->box.group));
	ASSERT_EQ(0, group_set(self->box.group, fd));
	EXPECT_EQ(-EINVAL, group_device(self->box.group, self->a.bdf));
	ASSERT_EQ(0, container_set_iommu(fd, VFIO_TYPE1_IOMMU));
	self->box.fd = group_device(self->box.group, self->a.bdf);
	ASSERT_GE(self->box.fd, 0);
	self->bar = dma_probe(self->box.fd);
	ASSERT_NE(NULL, self->bar);
	EXPECT_TRUE(testdev_faults(self->bar, IOVA, self->page[0]));
	ASSERT_EQ(0, compat_map(fd, self->page[1], PAGE, IOVA));
	EXPECT_TRUE(testdev_reaches(self->bar, IOVA, self->page[1]));
}

/* semantics: 97, 125, 148.  Edu reads and writes by the mapping of both of its files. */
TEST_F(container_type1, edu)
{
	char *pages = pages_alloc(2 * PAGE);
	volatile void *bar;
	struct pci pci;
	int fd;

	if (pci_find_at(EDU, false, &pci))
		SKIP(return, "no edu device on the root bus");
	ASSERT_EQ(0, boxed_join(&pci, self->box.container, &self->second));
	ASSERT_EQ(0, compat_map(self->box.container, pages, 2 * PAGE, IOVA));
	fd = group_device(self->second.group, pci.bdf);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, cdev_enable_dma(fd));
	bar = cdev_map_bar(fd, 0, NULL);
	ASSERT_NE(NULL, bar);
	for (unsigned int i = 0; i < PAGE; i++)
		pages[i] = i * 7;
	ASSERT_TRUE(edu_dma_in(bar, IOVA, PAGE));
	close_fd(&self->second.fd);
	ASSERT_TRUE(edu_dma_out(bar, IOVA + PAGE, PAGE));
	EXPECT_EQ(0, memcmp(pages, pages + PAGE, PAGE));
	munmap((void *)bar, 0x100000);
	close(fd);
}

/* ---- who owns the group ---- */

/* semantics: 146, 148.  A driver of the host in the group: not viable, and no open. */
TEST(host_driver)
{
	int container = container_open(), group;
	struct pci pci, host;
	char driver[64];

	if (!has_containers())
		SKIP(return, NO_CONTAINERS);
	ASSERT_GE(container, 0);
	if (pci_find_mixed(EDU, &pci, &host))
		SKIP(return, "no edu in a group with a device of the host");
	pci_driver(&host, driver, sizeof(driver));
	ASSERT_EQ(0, pci_to_vfio(&pci));
	group = group_open(&pci);
	ASSERT_GE(group, 0);
	EXPECT_EQ(0, group_flags(group));
	EXPECT_EQ(-EPERM, group_set(group, container));
	EXPECT_EQ(0, group_flags(group));
	EXPECT_EQ(-EINVAL, group_unset(group));
	EXPECT_EQ(-EINVAL, container_set_iommu(container, VFIO_TYPE1_IOMMU));

	/* Without it the group is viable, and the driver stays out while it is claimed. */
	ASSERT_EQ(0, pci_unbind(&host));
	EXPECT_EQ(GROUP_VIABLE, group_flags(group));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, group_set(group, container));
		if (i)
			ASSERT_EQ(0, container_set_iommu(container, VFIO_TYPE1_IOMMU));
		EXPECT_NE(0, pci_to_driver(&host, driver));
		EXPECT_EQ(GROUP_SET, group_flags(group));
		ASSERT_EQ(0, group_unset(group));
	}
	EXPECT_EQ(0, pci_to_driver(&host, driver));
	EXPECT_EQ(0, group_flags(group));
	EXPECT_EQ(-EPERM, group_set(group, container));
	close(group);
	close(container);
}

/* semantics: 110, 148.  A group that a container has is nobody else's. */
TEST(claimed)
{
	struct boxed box = BOXED_NONE;
	int cdev, iommufd;
	struct pci a, b;

	if (!has_containers())
		SKIP(return, NO_CONTAINERS);
	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	if (pci_find_pair(EDU, &a, &b))
		SKIP(return, "no two edu devices in one group");
	ASSERT_EQ(0, pci_to_vfio(&b));
	ASSERT_EQ(0, boxed_open(&a, &box));
	iommufd = iommufd_open();
	cdev = cdev_open(&b);
	ASSERT_GE(cdev, 0);
	EXPECT_EQ(-EBUSY, cdev_bind(cdev, iommufd, NULL));
	EXPECT_EQ(-EBUSY, group_open(&b));
	/* The container holds both devices of it. */
	for (int i = 0; i < 2; i++) {
		int fd = group_device(box.group, b.bdf);

		ASSERT_GE(fd, 0);
		EXPECT_EQ(0, device_info(fd));
		EXPECT_EQ(-EBUSY, cdev_bind(cdev, iommufd, NULL));
		close(fd);
	}
	/* The device of it keeps the group's file open when its number is gone. */
	close_fd(&box.group);
	EXPECT_EQ(-EBUSY, cdev_bind(cdev, iommufd, NULL));
	EXPECT_EQ(-EBUSY, group_open(&b));
	EXPECT_EQ(0, device_info(box.fd));
	boxed_close(&box);
	EXPECT_EQ(0, cdev_bind(cdev, iommufd, NULL));
	EXPECT_EQ(-EBUSY, group_open(&a));
	close(cdev);
	close(iommufd);
}

/* semantics: 106, 148.  Owned by an iommufd, by an open device of it. */
TEST(owned_by_an_iommufd)
{
	int container = container_open();
	struct legacy l;
	struct pci pci;

	if (!has_containers())
		SKIP(return, NO_CONTAINERS);
	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	if (pci_find_at(EDU, false, &pci))
		SKIP(return, "no edu device on the root bus");
	ASSERT_EQ(0, legacy_open(&pci, &l));
	ASSERT_EQ(0, group_unset(l.group));
	EXPECT_EQ(-EPERM, group_set(l.group, container));
	EXPECT_EQ(-EINVAL, container_set_iommu(container, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(0, device_info(l.fd));
	close_fd(&l.fd);
	EXPECT_EQ(0, group_set(l.group, container));
	EXPECT_EQ(0, container_set_iommu(container, VFIO_TYPE1_IOMMU));
	legacy_close(&l);
	close(container);
}

TEST_HARNESS_MAIN
