// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device behind an IOMMU that lacks what all others have, on request: what the core
 * and iommufd make of it.  The IOMMU is drivers/soft_iommu.c, on a machine without one.
 */
#include <fcntl.h>

#include "lib/calls.h"
#include "lib/cdev.h"
#include "lib/iommufd.h"
#include "lib/kmsg.h"
#include "lib/sysfs.h"
#include "lib/task.h"
#include "lib/test.h"

FIXTURE(soft_iommu) {
	int calls, iommufd, log;
};

FIXTURE_SETUP(soft_iommu)
{
	struct pci pci;
	int ret;

	if (pci_find_bare(EDU, 0, &pci))
		SKIP(return, "no edu device without an IOMMU");
	ret = calls_open_all(&self->calls, &self->iommufd, &self->log);
	if (self->calls == -ENOENT)
		SKIP(return, NO_CALLS);
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, calls_soft_iommu(true));
}

/* Takes the device away first, and the IOMMU with it. */
FIXTURE_TEARDOWN(soft_iommu)
{
	calls_cmd(self->calls, CALLS_PUT, 0, 0, 0, 0);
	EXPECT_EQ(0, calls_soft_iommu(false));
	EXPECT_EQ(0, calls_close(self->calls));
}

#define SOFT_IOMMU(param) "/sys/module/soft_iommu/parameters/" param
#define UNSAFE "/sys/module/iommufd/parameters/allow_unsafe_interrupts"

/* semantics: 79.  DMA that the CPUs' caches do not see is not for user space. */
TEST_F(soft_iommu, incoherent)
{
	int group, calls = self->calls;
	char path[64], name[64];

	group = calls_group(CALLS_SOFT_IOMMU);
	ASSERT_GE(group, 0);
	snprintf(path, sizeof(path), "/sys/class/vfio/%d", group);
	for (int on = 0; on < 3; on++) {
		/* Nor for who may have devices without an IOMMU. */
		if (on < 2)
			sysfs_write("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode",
				    on ? "Y" : "N");
		ASSERT_EQ(0, sysfs_write(SOFT_IOMMU("coherent"), on == 2 ? "Y" : "N"));
		EXPECT_EQ(on == 2 ? 0 : -EINVAL, calls_physical(calls, 0, CALLS_SOFT_IOMMU));
		EXPECT_EQ(on == 2 ? 0 : -1, access(path, F_OK));
		EXPECT_EQ(on == 2 ? 0 : -ENOENT,
			  sysfs_entry("/sys/devices/platform/vfio-calls.5/vfio-dev", 0, name,
				      sizeof(name)) ? -ENOENT : 0);
	}
	sysfs_write("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "N");
	EXPECT_FALSE(kmsg_warned(self->log));
}

/* semantics: 44.  Who enforces coherency: the IOMMU, for the device and for its group. */
TEST_F(soft_iommu, enforced_coherency)
{
	int fd, group, calls = self->calls;
	char path[64];

	ASSERT_EQ(0, calls_physical(calls, 0, CALLS_SOFT_IOMMU));
	fd = calls_cdev(CALLS_SOFT_IOMMU);
	ASSERT_GE(fd, 0);
	snprintf(path, sizeof(path), "/dev/vfio/%d", calls_group(CALLS_SOFT_IOMMU));
	group = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_GE(group, 0);
	for (int on = 0; on < 2; on++) {
		const int coherent = on ? CALLS_IS_COHERENT : 0;

		ASSERT_EQ(0, sysfs_write(SOFT_IOMMU("enforces"), on ? "Y" : "N"));
		EXPECT_EQ(CALLS_IS_VALID | coherent, calls_cmd(calls, CALLS_FILE, 0, 0, fd, 0));
		EXPECT_EQ(CALLS_IS_VALID | CALLS_IS_GROUP | CALLS_HAS_DEV | coherent,
			  calls_cmd(calls, CALLS_FILE, 0, 0, group, 0));
	}
	close(fd);
	close(group);
}

static int unregister(void *arg)
{
	return calls_one(*(int *)arg, CALLS_UNREGISTER, 0, 0);
}

/*
 * semantics: 44, 86.  A device that is being unregistered does not count: it is on the group's
 * list no more, whoever still holds a reference on its registration.
 */
TEST_F(soft_iommu, coherency_without_the_leaving_device)
{
	const int file = CALLS_IS_VALID | CALLS_IS_GROUP;
	/* Whether the device is in the group is not the question here. */
	const int asked = file | CALLS_IS_COHERENT;
	struct worker leaver;
	int group, calls = self->calls;
	char path[64];

	if (!has_groups())
		SKIP(return, NO_GROUPS);
	ASSERT_EQ(0, sysfs_write(SOFT_IOMMU("enforces"), "N"));
	ASSERT_EQ(0, calls_physical(calls, 0, CALLS_SOFT_IOMMU));
	snprintf(path, sizeof(path), "/dev/vfio/%d", calls_group(CALLS_SOFT_IOMMU));
	group = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_GE(group, 0);
	EXPECT_EQ(file, calls_one(calls, CALLS_FILE, 0, group) & asked);
	ASSERT_EQ(1, calls_one(calls, CALLS_GET_REGISTRATION, 0, 0));
	EXPECT_EQ(file, calls_one(calls, CALLS_FILE, 0, group) & asked);

	ASSERT_EQ(0, worker_start(&leaver, unregister, &self->calls));
	ASSERT_TRUE(worker_waits_for_users(&leaver));
	EXPECT_EQ(file | CALLS_IS_COHERENT, calls_one(calls, CALLS_FILE, 0, group) & asked);
	EXPECT_FALSE(worker_ended(&leaver));
	EXPECT_EQ(0, calls_one(calls, CALLS_PUT_REGISTRATION, 0, 0));
	EXPECT_EQ(0, worker_join(&leaver));
	EXPECT_EQ(file | CALLS_IS_COHERENT, calls_one(calls, CALLS_FILE, 0, group) & asked);
	close(group);
}

/*
 * semantics: 106.  Interrupts that nobody remaps, unless the administrator trusts them;
 * and a device that does its DMA for somebody else.
 */
TEST_F(soft_iommu, refused_by_iommufd)
{
	int fd, calls = self->calls;

	ASSERT_EQ(0, calls_physical(calls, 0, CALLS_SOFT_IOMMU));
	fd = calls_cdev(CALLS_SOFT_IOMMU);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(-EPERM, cdev_bind(fd, self->iommufd, NULL));
	ASSERT_EQ(0, sysfs_write(UNSAFE, "Y"));
	ASSERT_EQ(0, sysfs_write(SOFT_IOMMU("in_use"), "Y"));
	EXPECT_EQ(-EBUSY, cdev_bind(fd, self->iommufd, NULL));
	ASSERT_EQ(0, sysfs_write(SOFT_IOMMU("in_use"), "N"));
	EXPECT_EQ(0, cdev_bind(fd, self->iommufd, NULL));
	close(fd);
	EXPECT_EQ(0, sysfs_write(UNSAFE, "N"));
}

TEST_HARNESS_MAIN
