// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-platform, with the timer that a PC's firmware describes (HPET): a device on no
 * bus of PCI, behind no IOMMU, whose driver leaves it to the core to find a device by its
 * name.  scripts/suite test-drivers runs it, where there is that driver.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>

#include "lib/cdev.h"
#include "lib/container.h"
#include "lib/iommufd.h"
#include "lib/noiommu.h"
#include "lib/test.h"

#define NAME "PNP0103:00"
#define BUS "/sys/bus/platform"
#define DEVICE BUS "/devices/" NAME
#define DRIVER BUS "/drivers/vfio-platform"

/* The timer's registers. */
enum {
	CAPABILITIES = 0x000,	/* 31:16: the vendor */
	PERIOD = 0x004,		/* of a tick, in 10^-15 s */
	SIZE = 0x400,
};

#define LONGEST_PERIOD 100000000u

FIXTURE(platform) {
	int space, group, fd;
};

FIXTURE_VARIANT(platform) {
	enum { CDEV, GROUP, CONTAINED } open_path;
};

FIXTURE_VARIANT_ADD(platform, cdev) { CDEV };
FIXTURE_VARIANT_ADD(platform, group) { GROUP };
FIXTURE_VARIANT_ADD(platform, container) { CONTAINED };

static int probe(void)
{
	int ret = sysfs_write(DEVICE "/driver_override", "vfio-platform");

	return ret ?: sysfs_write(DRIVER "/bind", NAME);
}

FIXTURE_SETUP(platform)
{
	self->space = self->group = self->fd = -1;
	/* Whoever runs this has seen to both. */
	ASSERT_EQ(0, access(DEVICE, F_OK));
	ASSERT_EQ(0, access(DRIVER, F_OK));
	ASSERT_TRUE(set_noiommu("Y"));
	ASSERT_EQ(0, probe());
}

FIXTURE_TEARDOWN(platform)
{
	close_fd(&self->fd);
	close_fd(&self->group);
	close_fd(&self->space);
	EXPECT_EQ(0, sysfs_write(DRIVER "/unbind", NAME));
	EXPECT_NE(0, access(DEVICE "/vfio-dev", F_OK));
	EXPECT_TRUE(set_noiommu("N"));
}

static int group_node(void)
{
	char group[16], path[64];
	int ret = sysfs_link(DEVICE "/iommu_group", group, sizeof(group));

	snprintf(path, sizeof(path), "/dev/vfio/noiommu-%s", group);
	return ret ?: open_node(path);
}

/* Opens the device; the file, or an error of the last call. */
static int open_device(int open_path, int *space, int *group)
{
	int fd, ret;

	*space = open_path == CONTAINED ? container_open() : iommufd_open();
	if (*space < 0)
		return *space;
	if (open_path == CDEV) {
		fd = cdev_open_below(DEVICE);
		if (fd < 0)
			return fd;
		ret = cdev_bind(fd, *space, NULL);
		if (ret)
			close(fd);
		return ret ?: fd;
	}
	*group = group_node();
	if (*group < 0)
		return *group;
	ret = group_set(*group, *space);
	if (!ret && open_path == CONTAINED)
		ret = container_set_iommu(*space, VFIO_NOIOMMU_IOMMU);
	return ret ?: group_device(*group, NAME);
}

/* The driver has no say in names: the core knows the device's. */
static void try_names(struct __test_metadata *_metadata, int group)
{
	static const char *const others[] = {
		"", "PNP0103", NAME " ", " " NAME, NAME " vf_token=", "0000:00:00.0"
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		EXPECT_EQ(-ENODEV, group_device(group, others[i]))
			TH_LOG("'%s'", others[i]);
	}
}

TEST_F(platform, use)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info region;
	uint32_t value = 0;
	int fd;

	self->fd = open_device(variant->open_path, &self->space, &self->group);
	fd = self->fd;
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, xioctl(fd, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(VFIO_DEVICE_FLAGS_PLATFORM, info.flags);
	EXPECT_EQ(1, info.num_regions);
	ASSERT_EQ(0, cdev_region(fd, 0, &region));
	EXPECT_EQ(SIZE, region.size);
	EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE, region.flags);
	EXPECT_EQ(-EINVAL, cdev_region(fd, 1, &region));
	ASSERT_EQ(0, cdev_region(fd, 0, &region));

	ASSERT_EQ(4, pread(fd, &value, 4, region.offset + CAPABILITIES));
	EXPECT_EQ(0x8086, value >> 16);
	ASSERT_EQ(4, pread(fd, &value, 4, region.offset + PERIOD));
	EXPECT_GT(value, 0);
	EXPECT_LE(value, LONGEST_PERIOD);
	/* Which cannot be changed. */
	value++;
	EXPECT_EQ(4, pwrite(fd, &value, 4, region.offset + PERIOD));
	value--;
	EXPECT_EQ(4, pread(fd, &info.flags, 4, region.offset + PERIOD));
	EXPECT_EQ(value, info.flags);
	/* Less than a page is not mapped; past the end is nothing. */
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, region.offset));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, pread(fd, &value, 4, region.offset + SIZE));
	EXPECT_EQ(EINVAL, errno);
	/* The driver does not know resets of this device, nor ioctls of PCI. */
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(-ENOTTY, xioctl(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info));
	if (self->group >= 0)
		try_names(_metadata, self->group);
}

/* Without an IOMMU it is refused, unless that was asked for. */
TEST(refused)
{
	ASSERT_EQ(0, access(DEVICE, F_OK));
	ASSERT_TRUE(set_noiommu("N"));
	EXPECT_EQ(-EINVAL, probe());
	ASSERT_TRUE(set_noiommu("Y"));
	EXPECT_EQ(0, probe());
	EXPECT_EQ(0, sysfs_write(DRIVER "/unbind", NAME));
	EXPECT_TRUE(set_noiommu("N"));
}

TEST_HARNESS_MAIN
