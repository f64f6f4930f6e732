// SPDX-License-Identifier: GPL-2.0-only
/*
 * A client in 32-bit user space on a 64-bit kernel: the numbers and the layouts are
 * the same.  This program is built with -m32; that it is, is its first test.
 */
#include <fcntl.h>
#include <limits.h>

#include "lib/group.h"
#include "lib/test.h"
#include "lib/testdev.h"

#define IOVA 0x10000000ULL

/* semantics: 204 */
TEST(is_32_bit)
{
	EXPECT_EQ(4, sizeof(void *));
	EXPECT_EQ(24, sizeof(struct vfio_device_bind_iommufd));
	EXPECT_EQ(16, sizeof(struct vfio_device_attach_iommufd_pt));
	EXPECT_EQ(12, sizeof(struct vfio_device_detach_iommufd_pt));
	EXPECT_EQ(32, sizeof(struct vfio_region_info));
}

FIXTURE(compat32) {
	struct pci pci;
	struct session s;
};

FIXTURE_SETUP(compat32)
{
	if (pci_find(TESTDEV, 0, &self->pci))
		SKIP(return, "no iommu-testdev");
	ASSERT_EQ(0, session_open_unbound(&self->pci, &self->s));
}

FIXTURE_TEARDOWN(compat32)
{
	session_close(&self->s);
}

/*
 * iommufd itself has no ioctls for 32-bit programs.  One of 64 bits, which lies
 * beside this one, makes the address space and maps the file.
 */
static int map_file(int iommufd, int file, uint64_t iova, uint32_t *ioas)
{
	char path[PATH_MAX], args[3][32], *base;
	int ends[2], status;
	ssize_t n;
	pid_t pid;

	n = readlink("/proc/self/exe", path, sizeof(path) - 16);
	if (n < 0 || pipe(ends))
		return -errno;
	path[n] = '\0';
	base = strrchr(path, '/') + 1;
	snprintf(base, 16, "map_file");
	pid = fork();
	if (!pid) {
		dup2(ends[1], STDOUT_FILENO);
		fcntl(iommufd, F_SETFD, 0);
		snprintf(args[0], sizeof(args[0]), "%d", iommufd);
		snprintf(args[1], sizeof(args[1]), "%d", file);
		snprintf(args[2], sizeof(args[2]), "%#llx",
			 (unsigned long long)iova);
		execl(path, "map_file", args[0], args[1], args[2], NULL);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		return -ECHILD;
	return read(ends[0], ioas, sizeof(*ioas)) == sizeof(*ioas) ? 0 : -EIO;
}

/* semantics: 123, 204.  The whole life of a device. */
TEST_F(compat32, life)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info region;
	uint32_t devid, ioas, pt, *page;
	volatile void *bar;
	uint16_t ids[2];
	int fd = self->s.fd, file = memfd_create("page", 0);

	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_GET_INFO, &info));
	ASSERT_EQ(0, cdev_bind(fd, self->s.iommufd, &devid));
	EXPECT_GE(devid, 1);
	ASSERT_EQ(0, xioctl(fd, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(VFIO_PCI_NUM_REGIONS, info.num_regions);
	/* Offsets do not fit into 32 bits. */
	ASSERT_EQ(0, cdev_region(fd, VFIO_PCI_CONFIG_REGION_INDEX, &region));
	EXPECT_EQ((uint64_t)VFIO_PCI_CONFIG_REGION_INDEX << 40, region.offset);
	ASSERT_EQ(4, config_read(fd, 0, ids, 4));
	EXPECT_EQ(TESTDEV >> 16, ids[0]);

	ASSERT_EQ(0, ftruncate(file, 4096));
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_POPULATE, file, 0);
	ASSERT_TRUE(page != MAP_FAILED);
	ASSERT_EQ(0, map_file(self->s.iommufd, file, IOVA, &ioas));
	pt = ioas;
	ASSERT_EQ(0, cdev_attach(fd, &pt));
	EXPECT_NE(ioas, pt);
	ASSERT_EQ(0, cdev_enable_dma(fd));
	bar = cdev_map_bar(fd, 0, NULL);
	ASSERT_TRUE(bar != NULL);
	EXPECT_EQ(TESTDEV_OK, testdev_dma(bar, IOVA, page, 4));
	EXPECT_EQ(TESTDEV_PATTERN, page[0]);
	ASSERT_EQ(0, cdev_detach(fd));
	EXPECT_EQ(TESTDEV_FAULT, testdev_dma(bar, IOVA, page, 4));
}

/* semantics: 103, 104, 112, 115, 123, 127, 129.  The same errors. */
TEST_F(compat32, errors)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = self->s.iommufd,
	};
	struct vfio_device_feature feature = { .argsz = 8, .flags = 500 };
	char uuid[16] = { 0 };
	uint32_t pt = 99;
	int fd = self->s.fd;

	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, NULL));
	bind.flags = VFIO_DEVICE_BIND_FLAG_TOKEN;
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	/* A pointer whose upper half is not zero is not a 32-bit pointer. */
	bind.token_uuid_ptr = 1ULL << 56 | (uintptr_t)uuid;
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	bind.token_uuid_ptr = (uintptr_t)uuid;
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	bind.flags = 0;
	bind.argsz = 15;
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	bind.argsz = 16;
	EXPECT_EQ(0, xioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	EXPECT_EQ(-ENOENT, cdev_attach(fd, &pt));
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, NULL));
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, NULL));
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_GET_REGION_INFO, NULL));
	EXPECT_EQ(-ENOTTY, xioctl(fd, VFIO_DEVICE_FEATURE, &feature));
	EXPECT_EQ(-ENOTTY, xioctl(fd, _IO(VFIO_TYPE, VFIO_BASE + 99), NULL));
	EXPECT_EQ(0, cdev_detach(fd));
}

/* semantics: 110, 145, 146.  The group as well. */
TEST_F(compat32, group)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	int group;

	if (!has_groups())
		SKIP(return, NO_GROUPS);
	group = group_open(&self->pci);
	ASSERT_GE(group, 0);
	EXPECT_EQ(0, xioctl(group, VFIO_GROUP_GET_STATUS, &status));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, status.flags);
	EXPECT_EQ(-ENOTTY, xioctl(group, _IO(VFIO_TYPE, VFIO_BASE + 99), NULL));
	EXPECT_EQ(-EBUSY, cdev_bind(self->s.fd, self->s.iommufd, NULL));
	close(group);
}

/* semantics: 123, 125, 147, 149, 150.  And the device that it leads to. */
TEST_F(compat32, device_of_the_group)
{
	int group, fd;

	if (!has_groups())
		SKIP(return, NO_GROUPS);
	group = group_open(&self->pci);
	ASSERT_GE(group, 0);
	EXPECT_EQ(-EFAULT, xioctl(group, VFIO_GROUP_SET_CONTAINER, NULL));
	EXPECT_EQ(-EBADF, group_set(group, -1));
	EXPECT_EQ(-EFAULT, group_device(group, NULL));
	EXPECT_EQ(-EINVAL, group_device(group, self->pci.bdf));
	ASSERT_EQ(0, group_set(group, self->s.iommufd));
	EXPECT_EQ(GROUP_SET, group_flags(group));
	EXPECT_EQ(-ENODEV, group_device(group, "none"));
	fd = group_device(group, self->pci.bdf);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(0, device_info(fd));
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_GET_REGION_INFO, NULL));
	EXPECT_EQ(-ENOTTY, xioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, NULL));
	EXPECT_EQ(-EINVAL, cdev_bind(fd, self->s.iommufd, NULL));
	EXPECT_EQ(0, group_unset(group));
	EXPECT_EQ(-EINVAL, group_unset(group));
	close(fd);
	close(group);
}

TEST_HARNESS_MAIN
