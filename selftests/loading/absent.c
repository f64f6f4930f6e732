// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is left on a kernel that was built without a part of VFIO.  Each case wants
 * another kernel, and is skipped on one that has the part.
 */
#include <fcntl.h>

#include "lib/container.h"
#include "lib/test.h"
#include "lib/testdrv.h"

#define EMULATED "/sys/devices/platform/" TESTDRV_DEVICE

/* semantics: 82.  Without groups nobody asks for one, not even of an emulated device. */
TEST(groups)
{
	char path[128], name[64];
	struct session session;
	struct pci pci;
	int drv, fd;

	if (has_groups())
		SKIP(return, "a kernel with VFIO_GROUP");
	EXPECT_EQ(-1, access(CONTAINER, F_OK));
	if (pci_find_at(EDU, false, &pci))
		SKIP(return, "no edu device on the root bus");
	/* The IOMMU's group is there, and nothing of VFIO's. */
	ASSERT_EQ(0, session_open(&pci, &session));
	EXPECT_GE(pci.group, 0);
	pci_group_path(&pci, path, sizeof(path));
	EXPECT_EQ(-1, access(path, F_OK));
	EXPECT_EQ(0, device_info(session.fd));
	session_close(&session);

	drv = testdrv_open();
	if (drv == -ENOENT)
		SKIP(return, NO_TESTDRV);
	ASSERT_GE(drv, 0);
	ASSERT_EQ(0, testdrv_create(drv, 0, 0, 0, 0));
	EXPECT_EQ(-1, access(EMULATED "/iommu_group", F_OK));
	EXPECT_EQ(0, sysfs_entry(EMULATED "/vfio-dev", 0, name, sizeof(name)));
	fd = testdrv_cdev(0);
	EXPECT_GE(fd, 0);
	close(fd);
	EXPECT_EQ(0, testdrv_close(drv));
}

/* semantics: 29, 158.  Without containers iommufd has the node, and acts for them. */
TEST(containers)
{
	struct boxed boxed;
	struct pci pci;

	if (!iommufd_has_containers())
		SKIP(return, "a kernel without IOMMUFD_VFIO_CONTAINER");
	EXPECT_EQ(-ENOENT, module_users("vfio_iommu_type1"));
	if (pci_find_at(EDU, false, &pci))
		SKIP(return, "no edu device on the root bus");
	EXPECT_EQ(0, boxed_open(&pci, &boxed));
	EXPECT_EQ(GROUP_SET, group_flags(boxed.group));
	EXPECT_EQ(0, device_info(boxed.fd));
	boxed_close(&boxed);
}

/*
 * semantics: 22, 73, 118.  Without iommufd a device has no file of its own.  Who has one
 * through a group is not asked for the arguments of BIND; ATTACH and DETACH are
 * ioctls of the driver.
 */
TEST(device_files)
{
	static const unsigned long of_the_driver[] = {
		VFIO_DEVICE_ATTACH_IOMMUFD_PT, VFIO_DEVICE_DETACH_IOMMUFD_PT
	};
	const struct testdrv_call *call;
	struct testdrv_calls calls;
	char path[256], name[64];
	int drv, container, group, fd;

	if (has_iommufd())
		SKIP(return, "a kernel with IOMMUFD");
	drv = testdrv_open();
	if (drv == -ENOENT)
		SKIP(return, NO_TESTDRV);
	ASSERT_GE(drv, 0);
	ASSERT_EQ(0, testdrv_create(drv, 0, TESTDRV_WITH_UNMAP | TESTDRV_WITH_IOCTL, 0, 0));

	ASSERT_EQ(0, sysfs_entry(EMULATED "/vfio-dev", 0, name, sizeof(name)));
	snprintf(path, sizeof(path), EMULATED "/vfio-dev/%s/uevent", name);
	EXPECT_EQ(0, access(path, F_OK));
	snprintf(path, sizeof(path), EMULATED "/vfio-dev/%s/dev", name);
	EXPECT_EQ(-1, access(path, F_OK));
	EXPECT_EQ(-1, access("/dev/vfio/devices", F_OK));

	container = container_open();
	group = testdrv_group(0);
	ASSERT_EQ(0, group_set(group, container));
	ASSERT_EQ(0, container_set_iommu(container, VFIO_TYPE1v2_IOMMU));
	fd = group_device(group, TESTDRV_DEVICE);
	ASSERT_GE(fd, 0);
	testdrv_calls(drv, &calls);

	EXPECT_EQ(-ENOTTY, xioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, NULL));
	testdrv_calls(drv, &calls);
	EXPECT_EQ(0, calls.n);
	for (int i = 0; i < ARRAY_SIZE(of_the_driver); i++) {
		xioctl(fd, of_the_driver[i], NULL);
		testdrv_calls(drv, &calls);
		EXPECT_EQ(1, calls.n);
		call = testdrv_first(&calls, 0, TESTDRV_IOCTL);
		ASSERT_NE(NULL, call);
		EXPECT_EQ(of_the_driver[i], call->arg[0]);
	}
	close(fd);
	close(group);
	close(container);
	EXPECT_EQ(0, testdrv_close(drv));
}

TEST_HARNESS_MAIN
