// SPDX-License-Identifier: GPL-2.0-only
/*
 * Containers, /dev/vfio/vfio: the node, what its ioctls say before there is a group and a
 * driver, and how groups come and go.
 */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "lib/container.h"
#include "lib/iommufd.h"
#include "lib/noiommu.h"
#include "lib/task.h"
#include "lib/test.h"

#define NOBODY 65534
/* What no driver has ever heard of. */
#define NO_EXTENSION 4711

/* semantics: 14, 29.  Everybody may open it: by itself it can do nothing. */
TEST(node)
{
	char text[4096];
	struct stat st;
	FILE *misc;
	int found = 0, minor;

	if (!has_containers())
		SKIP(return, NO_CONTAINERS);
	ASSERT_EQ(0, stat(CONTAINER, &st));
	EXPECT_EQ(S_IFCHR | 0666, st.st_mode);
	EXPECT_EQ(0, st.st_uid);
	EXPECT_EQ(10, major(st.st_rdev));
	EXPECT_EQ(196, minor(st.st_rdev));
	ASSERT_GT(sysfs_read("/sys/class/misc/vfio/dev", text, sizeof(text)), 0);
	EXPECT_STREQ("10:196", text);
	ASSERT_GT(sysfs_read("/sys/class/misc/vfio/uevent", text, sizeof(text)), 0);
	EXPECT_NE(NULL, strstr(text, "DEVNAME=vfio/vfio")) TH_LOG("%s", text);
	EXPECT_NE(NULL, strstr(text, "DEVMODE=0666")) TH_LOG("%s", text);
	misc = fopen("/proc/misc", "r");
	ASSERT_NE(NULL, misc);
	while (fscanf(misc, "%d %4095s", &minor, text) == 2)
		if (!strcmp(text, "vfio")) {
			EXPECT_EQ(196, minor);
			found++;
		}
	fclose(misc);
	EXPECT_EQ(1, found);
}

static int open_as_nobody(void *arg)
{
	int fd;

	if (setgid(NOBODY) || setuid(NOBODY))
		return -errno;
	fd = container_open();
	return fd < 0 ? fd : xioctl(fd, VFIO_GET_API_VERSION, NULL);
}

/* semantics: 13, 158.  Any number of them, for anybody, however it is opened. */
TEST(anybody)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_NONBLOCK };
	struct task task;
	int fd[100];

	if (!has_containers())
		SKIP(return, NO_CONTAINERS);
	for (int i = 0; i < 100; i++) {
		fd[i] = open(CONTAINER, modes[i % 4] | O_CLOEXEC);
		ASSERT_GE(fd[i], 0);
		EXPECT_EQ(VFIO_API_VERSION, xioctl(fd[i], VFIO_GET_API_VERSION, NULL));
	}
	ASSERT_EQ(0, task_start(&task, open_as_nobody, NULL));
	EXPECT_EQ(0, task_join(&task));
	EXPECT_EQ(-EWOULDBLOCK, module_unload("vfio"));
	for (int i = 0; i < 100; i++)
		close(fd[i]);
}

/* ---- with a group at hand ---- */

FIXTURE(container) {
	struct pci a, b;	/* groups of their own */
	int container, group, other;
};

FIXTURE_SETUP(container)
{
	self->container = -1;
	self->group = -1;
	self->other = -1;
	if (!has_containers())
		SKIP(return, NO_CONTAINERS);
	if (pci_find(EDU, 0, &self->a) || pci_find(TESTDEV, 0, &self->b))
		SKIP(return, "no edu or no iommu-testdev");
	ASSERT_EQ(0, pci_to_vfio(&self->a));
	ASSERT_EQ(0, pci_to_vfio(&self->b));
	self->container = container_open();
	self->group = group_open(&self->a);
	self->other = group_open(&self->b);
	ASSERT_GE(self->container, 0);
	ASSERT_GE(self->group, 0);
	ASSERT_GE(self->other, 0);
}

FIXTURE_TEARDOWN(container)
{
	struct boxed b;

	close_fd(&self->container);
	close_fd(&self->group);
	close_fd(&self->other);
	EXPECT_EQ(0, boxed_open(&self->a, &b));
	boxed_close(&b);
}

/* semantics: 159, 163, 168.  The file, and the ioctl that needs nothing. */
TEST_F(container, file)
{
	char byte;

	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(0, xioctl(self->container, VFIO_GET_API_VERSION, NULL));
		EXPECT_EQ(0, xioctl(self->container, VFIO_GET_API_VERSION, (void *)1));
		EXPECT_EQ(-1, read(self->container, &byte, 1));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(-1, write(self->container, &byte, 1));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED,
					   self->container, 0));
		EXPECT_EQ(ENODEV, errno);
		/* And the same with a group and a driver. */
		if (!i) {
			ASSERT_EQ(0, group_set(self->group, self->container));
			ASSERT_EQ(0, container_set_iommu(self->container,
							 VFIO_TYPE1_IOMMU));
		}
	}
}

/* semantics: 160.  All drivers are asked, then those that suit the groups, then the one. */
TEST_F(container, check_extension)
{
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(1, container_check(self->container, VFIO_TYPE1_IOMMU));
		EXPECT_EQ(1, container_check(self->container, VFIO_TYPE1v2_IOMMU));
		EXPECT_EQ(1, container_check(self->container, VFIO_UNMAP_ALL));
		/* The IOMMU's word, if it has been asked. */
		EXPECT_LE(container_check(self->container, VFIO_DMA_CC_IOMMU), i == 2);
		EXPECT_GE(container_check(self->container, VFIO_DMA_CC_IOMMU), 0);
		EXPECT_EQ(i == 2, container_check(self->container, VFIO_UPDATE_VADDR));
		EXPECT_EQ(0, container_check(self->container, VFIO_SPAPR_TCE_IOMMU));
		EXPECT_EQ(0, container_check(self->container, VFIO_NOIOMMU_IOMMU));
		EXPECT_EQ(0, container_check(self->container, NO_EXTENSION));
		EXPECT_EQ(0, container_check(self->container, 0));
		EXPECT_EQ(0, container_check(self->container, ~0UL));
		/* No bit of it is lost in between. */
		EXPECT_EQ(0, container_check(self->container,
					     1UL << 32 | VFIO_TYPE1_IOMMU));
		if (i == 0)
			ASSERT_EQ(0, group_set(self->group, self->container));
		if (i == 1)
			ASSERT_EQ(0, container_set_iommu(self->container,
							 VFIO_TYPE1v2_IOMMU));
	}
}

/* semantics: 7, 160.  The parameter is looked at each time; a group with an IOMMU counts. */
TEST_F(container, check_noiommu)
{
	if (!set_noiommu("Y"))
		SKIP(return, "a kernel without VFIO_NOIOMMU");
	EXPECT_EQ(1, container_check(self->container, VFIO_NOIOMMU_IOMMU));
	set_noiommu("N");
	EXPECT_EQ(0, container_check(self->container, VFIO_NOIOMMU_IOMMU));
	set_noiommu("Y");
	EXPECT_EQ(1, container_check(self->container, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(1, container_check(self->container, VFIO_TYPE1_IOMMU));
	ASSERT_EQ(0, group_set(self->group, self->container));
	EXPECT_EQ(0, container_check(self->container, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(-ENODEV, container_set_iommu(self->container, VFIO_NOIOMMU_IOMMU));
	ASSERT_EQ(0, group_unset(self->group));
	EXPECT_EQ(1, container_check(self->container, VFIO_NOIOMMU_IOMMU));
	set_noiommu("N");
}

/* semantics: 161.  What is wrong first is said first. */
TEST_F(container, set_iommu_errors)
{
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(-EINVAL, container_set_iommu(self->container, VFIO_TYPE1_IOMMU));
		EXPECT_EQ(-EINVAL, container_set_iommu(self->container, NO_EXTENSION));
		ASSERT_EQ(0, group_set(self->group, self->container));
		EXPECT_EQ(-ENODEV, container_set_iommu(self->container, NO_EXTENSION));
		EXPECT_EQ(-ENODEV, container_set_iommu(self->container, 0));
		EXPECT_EQ(-ENODEV, container_set_iommu(self->container,
						       1UL << 32 | VFIO_TYPE1_IOMMU));
		/* type1 has that extension, but is not to be had by it. */
		EXPECT_EQ(-EINVAL, container_set_iommu(self->container, VFIO_UNMAP_ALL));
		EXPECT_EQ(-EINVAL, container_unknown(self->container));
		ASSERT_EQ(0, container_set_iommu(self->container, VFIO_TYPE1_IOMMU));
		EXPECT_EQ(-EINVAL, container_set_iommu(self->container, VFIO_TYPE1_IOMMU));
		EXPECT_EQ(-EINVAL, container_set_iommu(self->container,
						       VFIO_TYPE1v2_IOMMU));
		EXPECT_EQ(-EINVAL, container_set_iommu(self->container, NO_EXTENSION));
		ASSERT_EQ(0, group_unset(self->group));
	}
}

/* semantics: 163, 164.  What the core does not know is the driver's, if there is one. */
TEST_F(container, pass_through)
{
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	char *page = pages_alloc(4096);
	int fd = self->container;

	for (int i = 0; i < 2; i++) {
		/* It grows with each answer. */
		info.argsz = sizeof(info);
		EXPECT_EQ(-EINVAL, container_unknown(fd));
		EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_IOMMU_GET_INFO, &info));
		EXPECT_EQ(-EINVAL, compat_map(fd, page, 4096, 0x10000));
		EXPECT_EQ(-EINVAL, xioctl(fd, 0, NULL));
		/* A group alone changes nothing. */
		ASSERT_EQ(0, group_set(self->group, fd));
		EXPECT_EQ(-EINVAL, container_unknown(fd));
		EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_IOMMU_GET_INFO, &info));
		ASSERT_EQ(0, container_set_iommu(fd, VFIO_TYPE1v2_IOMMU));
		EXPECT_EQ(-ENOTTY, container_unknown(fd));
		EXPECT_EQ(-ENOTTY, xioctl(fd, 0, NULL));
		EXPECT_EQ(-ENOTTY, xioctl(fd, VFIO_GROUP_GET_STATUS, NULL));
		EXPECT_EQ(0, xioctl(fd, VFIO_IOMMU_GET_INFO, &info));
		EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_IOMMU_GET_INFO, NULL));
		EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_IOMMU_MAP_DMA, NULL));
		EXPECT_EQ(0, compat_map(fd, page, 4096, 0x10000));
		/* The last group takes the driver with it, and what was mapped. */
		ASSERT_EQ(0, group_unset(self->group));
	}
}

/* semantics: 147, 148.  What is wrong with a group is said in this order. */
TEST_F(container, set_container_errors)
{
	int *edge = edge_alloc(3), event = eventfd(0, 0), second = container_open();
	int group = self->group;

	ASSERT_GE(second, 0);
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(-EFAULT, xioctl(group, VFIO_GROUP_SET_CONTAINER, NULL));
		EXPECT_EQ(-EFAULT, xioctl(group, VFIO_GROUP_SET_CONTAINER, edge));
		EXPECT_EQ(-EBADF, group_set(group, -1));
		EXPECT_EQ(-EBADF, group_set(group, 1000));
		EXPECT_EQ(i ? -EINVAL : -EBADFD, group_set(group, event));
		EXPECT_EQ(i ? -EINVAL : -EBADFD, group_set(group, group));
		if (!i)
			ASSERT_EQ(0, group_set(group, self->container));
		EXPECT_EQ(GROUP_SET, group_flags(group));
		EXPECT_EQ(-EINVAL, group_set(group, self->container));
		EXPECT_EQ(-EINVAL, group_set(group, second));
	}
	ASSERT_EQ(0, group_unset(group));
	EXPECT_EQ(-EINVAL, group_unset(group));
	EXPECT_EQ(GROUP_VIABLE, group_flags(group));
	EXPECT_EQ(0, group_set(group, second));
	EXPECT_EQ(0, group_unset(group));
	close(second);
	close(event);
}

/* semantics: 147, 149.  Container and iommufd take turns. */
TEST_F(container, or_an_iommufd)
{
	int iommufd;

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	iommufd = iommufd_open();
	ASSERT_GE(iommufd, 0);
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, group_set(self->group, iommufd));
		EXPECT_EQ(-EINVAL, group_set(self->group, self->container));
		ASSERT_EQ(0, group_unset(self->group));
		ASSERT_EQ(0, group_set(self->group, self->container));
		EXPECT_EQ(-EINVAL, group_set(self->group, iommufd));
		EXPECT_EQ(0, container_set_iommu(self->container, VFIO_TYPE1_IOMMU));
		ASSERT_EQ(0, group_unset(self->group));
	}
	close(iommufd);
}

/* semantics: 149, 150, 152.  A device is opened when there is a driver, and holds all. */
TEST_F(container, device)
{
	int fd, another;

	EXPECT_EQ(-EINVAL, group_device(self->group, self->a.bdf));
	ASSERT_EQ(0, group_set(self->group, self->container));
	EXPECT_EQ(-ENODEV, group_device(self->group, self->b.bdf));
	EXPECT_EQ(-EINVAL, group_device(self->group, self->a.bdf));
	/* What failed holds nothing. */
	ASSERT_EQ(0, group_unset(self->group));
	ASSERT_EQ(0, group_set(self->group, self->container));
	ASSERT_EQ(0, container_set_iommu(self->container, VFIO_TYPE1v2_IOMMU));
	fd = group_device(self->group, self->a.bdf);
	ASSERT_GE(fd, 0);
	another = group_device(self->group, self->a.bdf);
	ASSERT_GE(another, 0);
	EXPECT_EQ(0, device_info(fd));
	EXPECT_EQ(-EBUSY, group_unset(self->group));
	EXPECT_EQ(-EINVAL, group_set(self->group, self->container));
	close(fd);
	EXPECT_EQ(-EBUSY, group_unset(self->group));
	EXPECT_EQ(0, device_info(another));
	close(another);
	EXPECT_EQ(0, group_unset(self->group));
	EXPECT_EQ(-EINVAL, container_unknown(self->container));
}

/* semantics: 148, 161, 164.  The driver stays as long as there is a group. */
TEST_F(container, groups)
{
	int fd = self->container;

	for (int i = 0; i < 4; i++) {
		int first = i & 1 ? self->group : self->other;
		int second = i & 1 ? self->other : self->group;

		ASSERT_EQ(0, group_set(first, fd));
		if (i & 2)
			ASSERT_EQ(0, group_set(second, fd));
		ASSERT_EQ(0, container_set_iommu(fd, VFIO_TYPE1v2_IOMMU));
		if (!(i & 2))
			ASSERT_EQ(0, group_set(second, fd));
		ASSERT_EQ(0, group_unset(first));
		EXPECT_EQ(-ENOTTY, container_unknown(fd));
		EXPECT_EQ(-EINVAL, container_set_iommu(fd, VFIO_TYPE1v2_IOMMU));
		ASSERT_EQ(0, group_set(first, fd));
		ASSERT_EQ(0, group_unset(second));
		EXPECT_EQ(-ENOTTY, container_unknown(fd));
		ASSERT_EQ(0, group_unset(first));
		EXPECT_EQ(-EINVAL, container_unknown(fd));
	}
}

/* semantics: 155, 164.  A group that is closed leaves, even if nobody has unset it. */
TEST_F(container, closed_group)
{
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, group_set(self->group, self->container));
		if (i)
			ASSERT_EQ(0, container_set_iommu(self->container,
							 VFIO_TYPE1_IOMMU));
		close_fd(&self->group);
		EXPECT_EQ(-EINVAL, container_unknown(self->container));
		EXPECT_EQ(-EINVAL, container_set_iommu(self->container,
						       VFIO_TYPE1_IOMMU));
		self->group = group_open(&self->a);
		ASSERT_GE(self->group, 0);
		EXPECT_EQ(GROUP_VIABLE, group_flags(self->group));
	}
}

/* semantics: 57, 161, 164.  A container holds its driver's module, and nothing else does. */
TEST_F(container, module)
{
	int before = module_users("vfio_iommu_type1");

	if (before < 0)
		SKIP(return, "type1 is not a module");
	EXPECT_EQ(1, container_check(self->container, VFIO_TYPE1_IOMMU));
	ASSERT_EQ(0, group_set(self->group, self->container));
	EXPECT_EQ(-ENODEV, container_set_iommu(self->container, NO_EXTENSION));
	EXPECT_EQ(-EINVAL, container_set_iommu(self->container, VFIO_UNMAP_ALL));
	EXPECT_EQ(before, module_users("vfio_iommu_type1"));
	ASSERT_EQ(0, container_set_iommu(self->container, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(before + 1, module_users("vfio_iommu_type1"));
	ASSERT_EQ(0, group_set(self->other, self->container));
	EXPECT_EQ(before + 1, module_users("vfio_iommu_type1"));
	EXPECT_EQ(-EWOULDBLOCK, module_unload("vfio_iommu_type1"));
	ASSERT_EQ(0, group_unset(self->group));
	EXPECT_EQ(before + 1, module_users("vfio_iommu_type1"));
	ASSERT_EQ(0, group_unset(self->other));
	EXPECT_EQ(before, module_users("vfio_iommu_type1"));

	/* Without it nothing can be chosen. */
	ASSERT_EQ(0, module_unload("vfio_iommu_type1"));
	EXPECT_EQ(0, container_check(self->container, VFIO_TYPE1_IOMMU));
	ASSERT_EQ(0, group_set(self->group, self->container));
	EXPECT_EQ(-ENODEV, container_set_iommu(self->container, VFIO_TYPE1_IOMMU));
	ASSERT_EQ(0, module_load("vfio_iommu_type1"));
	EXPECT_EQ(1, container_check(self->container, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(0, container_set_iommu(self->container, VFIO_TYPE1_IOMMU));
}

TEST_HARNESS_MAIN
