// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module set that brings iommufd to a kernel built without, beside the distribution's own
 * modules: they see two layouts of struct vfio_device, and neither is loaded upon the other.
 * The distribution's lie in /distribution.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>

#include "lib/kmsg.h"
#include "lib/test.h"

#define FOLDER "/distribution/"

/* In the order in which they can be removed. */
static const char *const of_the_set[] = {
	"vfio_pci", "vfio_pci_core", "vfio_iommu_type1", "mdev", "vfio"
};

static int insert(const char *file)
{
	char path[128];
	int fd, ret;

	snprintf(path, sizeof(path), FOLDER "%s.ko", file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return ret;
}

FIXTURE(module_set) {
	int log;
};

FIXTURE_SETUP(module_set)
{
	if (access(FOLDER, F_OK))
		SKIP(return, "a kernel whose own modules are loaded");
	self->log = kmsg_open();
	ASSERT_GE(self->log, 0);
	for (int i = 0; i < ARRAY_SIZE(of_the_set); i++)
		if (module_loaded(of_the_set[i]))
			ASSERT_EQ(0, module_unload(of_the_set[i]));
}

FIXTURE_TEARDOWN(module_set)
{
	for (int i = ARRAY_SIZE(of_the_set) - 1; i >= 0; i--)
		EXPECT_EQ(0, module_load(of_the_set[i]));
	close(self->log);
}

/* A driver of the distribution is refused by the set's core, with the reason. */
TEST_F(module_set, driver_of_the_distribution)
{
	static const char *const drivers[] = { "vfio_iommu_type1", "vfio-pci-core" };
	char line[256];

	ASSERT_EQ(0, module_load("vfio"));
	for (int i = 0; i < ARRAY_SIZE(drivers); i++) {
		EXPECT_EQ(-EINVAL, insert(drivers[i]));
		EXPECT_TRUE(kmsg_wait(self->log, "from namespace RUST_VFIO_SET", EVENT_MS, line,
				      sizeof(line)));
	}
	EXPECT_EQ(0, module_users("vfio"));
}

/* One that stands on another driver of the set is refused by that. */
TEST_F(module_set, driver_of_a_driver)
{
	ASSERT_EQ(0, module_load("vfio"));
	ASSERT_EQ(0, module_load("vfio_pci_core"));
	EXPECT_EQ(-EINVAL, insert("vfio-pci"));
	EXPECT_TRUE(kmsg_wait(self->log, "vfio_pci: module uses symbol", EVENT_MS, NULL, 0));
	EXPECT_EQ(0, module_users("vfio_pci_core"));
}

/* A driver of the set is refused by the distribution's core: it lacks what the driver asks for. */
TEST_F(module_set, core_of_the_distribution)
{
	static const char *const drivers[] = { "vfio_iommu_type1", "vfio_pci_core", "mdev" };

	ASSERT_EQ(0, insert("vfio"));
	for (int i = 0; i < ARRAY_SIZE(drivers); i++) {
		EXPECT_EQ(-ENOENT, module_load(drivers[i]));
		EXPECT_TRUE(kmsg_wait(self->log, "Unknown symbol rust_vfio_set", EVENT_MS, NULL, 0));
	}
	EXPECT_EQ(0, module_users("vfio"));
	EXPECT_EQ(0, module_unload("vfio"));
}

/* What is built into the kernel has no iommufd: the whole of it is the set's, and can be removed. */
TEST_F(module_set, gone)
{
	ASSERT_EQ(0, module_load("vfio"));
	ASSERT_EQ(0, module_unload("vfio"));
	ASSERT_EQ(0, module_unload("iommufd"));
	EXPECT_EQ(-ENOENT, open_node("/dev/iommu"));
	/* Then the distribution's modules work as if there had been nothing else. */
	EXPECT_EQ(0, insert("vfio"));
	EXPECT_EQ(0, insert("vfio_iommu_type1"));
	EXPECT_EQ(0, insert("vfio-pci-core"));
	EXPECT_EQ(0, insert("vfio-pci"));
	EXPECT_EQ(0, access("/dev/vfio/vfio", F_OK));
	EXPECT_EQ(-1, access("/dev/vfio/devices", F_OK));
	for (int i = 0; i < ARRAY_SIZE(of_the_set); i++)
		if (module_loaded(of_the_set[i]))
			EXPECT_EQ(0, module_unload(of_the_set[i]));
	EXPECT_EQ(0, module_load("iommufd"));
	EXPECT_EQ(0, access("/dev/iommu", F_OK));
}

TEST_HARNESS_MAIN
