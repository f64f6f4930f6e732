// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices without an IOMMU in containers: a backend of the core's own that does nothing,
 * for the privileged alone, and never beside groups that have an IOMMU.
 */
#include <fcntl.h>

#include "lib/container.h"
#include "lib/kmsg.h"
#include "lib/noiommu.h"
#include "lib/test.h"
#include "lib/testdev.h"
#include "lib/testdrv.h"

#define PAGE 4096u
#define OPENED "vfio-noiommu device opened by user "

typedef FIXTURE_DATA(noiommu_container) noiommu_container_t;

FIXTURE(noiommu_container) {
	struct pci pci;		/* the DMA probe */
	char path[64];
	int log, container, group, fd;
};

FIXTURE_SETUP(noiommu_container)
{
	self->container = -1;
	self->group = -1;
	self->fd = -1;
	if (!has_containers())
		SKIP(return, NO_CONTAINERS);
	if (pci_find_bare(TESTDEV, 0, &self->pci))
		SKIP(return, "no iommu-testdev without an IOMMU");
	if (!set_noiommu("Y"))
		SKIP(return, "a kernel without VFIO_NOIOMMU");
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	noiommu_group_path(&self->pci, self->path, sizeof(self->path));
	self->log = kmsg_open();
	self->container = container_open();
	self->group = open_node(self->path);
	ASSERT_GE(self->log, 0);
	ASSERT_GE(self->container, 0);
	ASSERT_GE(self->group, 0);
}

FIXTURE_TEARDOWN(noiommu_container)
{
	close_fd(&self->fd);
	close_fd(&self->group);
	close_fd(&self->container);
	close(self->log);
	EXPECT_EQ(0, pci_unbind(&self->pci));
	set_noiommu("N");
}

/* semantics: 7, 160.  Which extensions there are, by the parameter and by the groups. */
TEST_F(noiommu_container, check_extension)
{
	int fd = self->container;

	EXPECT_EQ(1, container_check(fd, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(1, container_check(fd, VFIO_TYPE1_IOMMU));
	ASSERT_EQ(0, group_set(self->group, fd));
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(1, container_check(fd, VFIO_NOIOMMU_IOMMU));
		EXPECT_EQ(0, container_check(fd, VFIO_TYPE1_IOMMU));
		EXPECT_EQ(0, container_check(fd, VFIO_TYPE1v2_IOMMU));
		EXPECT_EQ(0, container_check(fd, 1UL << 32 | VFIO_NOIOMMU_IOMMU));
		EXPECT_EQ(0, container_check(fd, 0));
		set_noiommu("N");
		EXPECT_EQ(0, container_check(fd, VFIO_NOIOMMU_IOMMU));
		EXPECT_EQ(0, container_check(fd, VFIO_TYPE1_IOMMU));
		set_noiommu("Y");
		if (!i)
			ASSERT_EQ(0, container_set_iommu(fd, VFIO_NOIOMMU_IOMMU));
	}
	ASSERT_EQ(0, group_unset(self->group));
	EXPECT_EQ(1, container_check(fd, VFIO_TYPE1_IOMMU));
}

/* semantics: 161, 162, 163.  A backend without ioctls. */
TEST_F(noiommu_container, set_iommu)
{
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	char *page = pages_alloc(PAGE);
	int fd = self->container;

	EXPECT_EQ(-EINVAL, container_set_iommu(fd, VFIO_NOIOMMU_IOMMU));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, group_set(self->group, fd));
		EXPECT_EQ(-ENODEV, container_set_iommu(fd, VFIO_TYPE1_IOMMU));
		EXPECT_EQ(-ENODEV, container_set_iommu(fd, VFIO_TYPE1v2_IOMMU));
		EXPECT_EQ(-ENODEV, container_set_iommu(fd, 0));
		/* Without the parameter there is none at all. */
		set_noiommu("N");
		EXPECT_EQ(-ENODEV, container_set_iommu(fd, VFIO_NOIOMMU_IOMMU));
		set_noiommu("Y");
		EXPECT_EQ(-EINVAL, container_unknown(fd));
		ASSERT_EQ(0, container_set_iommu(fd, VFIO_NOIOMMU_IOMMU));
		EXPECT_EQ(-EINVAL, container_set_iommu(fd, VFIO_NOIOMMU_IOMMU));
		EXPECT_EQ(-ENOTTY, container_unknown(fd));
		EXPECT_EQ(-ENOTTY, xioctl(fd, VFIO_IOMMU_GET_INFO, &info));
		EXPECT_EQ(-ENOTTY, compat_map(fd, page, PAGE, 0x10000));
		EXPECT_EQ(-ENOTTY, compat_unmap(fd, 0x10000, PAGE));
		EXPECT_EQ(0, xioctl(fd, VFIO_GET_API_VERSION, NULL));
		ASSERT_EQ(0, group_unset(self->group));
		EXPECT_EQ(-EINVAL, container_unknown(fd));
	}
}

/* semantics: 159.  The backend's module is held while it is chosen: here the core's own. */
TEST_F(noiommu_container, module)
{
	int users = module_users("vfio");

	ASSERT_EQ(0, group_set(self->group, self->container));
	EXPECT_EQ(users, module_users("vfio"));
	ASSERT_EQ(0, container_set_iommu(self->container, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(users + 1, module_users("vfio"));
	ASSERT_EQ(0, group_unset(self->group));
	EXPECT_EQ(users, module_users("vfio"));
}

/* semantics: 150, 151, 152, 154.  The device works, and the log says who opened it. */
TEST_F(noiommu_container, device)
{
	uint32_t *page = pages_alloc(PAGE);
	char line[256], want[96];
	volatile void *bar;
	int other;

	ASSERT_EQ(0, group_set(self->group, self->container));
	EXPECT_EQ(GROUP_SET, group_flags(self->group));
	EXPECT_EQ(-EINVAL, group_device(self->group, self->pci.bdf));
	EXPECT_FALSE(logged(self->log, OPENED));
	ASSERT_EQ(0, container_set_iommu(self->container, VFIO_NOIOMMU_IOMMU));
	self->fd = group_device(self->group, self->pci.bdf);
	ASSERT_GE(self->fd, 0);
	ASSERT_TRUE(kmsg_wait(self->log, OPENED, 0, line, sizeof(line)));
	snprintf(want, sizeof(want), "vfio-pci %s: " OPENED "(noiommu_contain:%d)",
		 self->pci.bdf, getpid());
	EXPECT_STREQ(want, line);
	other = group_device(self->group, self->pci.bdf);
	ASSERT_GE(other, 0);
	EXPECT_TRUE(logged(self->log, OPENED));
	EXPECT_FALSE(logged(self->log, OPENED));
	EXPECT_EQ(-EBUSY, group_unset(self->group));
	EXPECT_EQ(0, device_info(self->fd));

	/* DMA goes to the addresses that the device says, whatever is closed. */
	ASSERT_EQ(0, cdev_enable_dma(other));
	bar = cdev_map_bar(other, 0, NULL);
	ASSERT_NE(NULL, bar);
	for (int i = 0; i < 4; i++) {
		ASSERT_NE(0, phys_of(page));
		page[0] = 0;
		EXPECT_EQ(TESTDEV_OK, testdev_dma(bar, phys_of(page), page, 16));
		EXPECT_EQ(TESTDEV_PATTERN, page[0]);
		if (i == 0)
			close_fd(&self->fd);
		if (i == 1)
			close_fd(&self->group);
		if (i == 2)
			close_fd(&self->container);
		EXPECT_EQ(-EBUSY, i ? open_node(self->path) : -EBUSY);
	}
	munmap((void *)bar, PAGE);
	close(other);
	self->group = open_node(self->path);
	EXPECT_GE(self->group, 0);
}

/* ---- who may ---- */

static int op_set(void *arg)
{
	noiommu_container_t *self = arg;

	return group_set(self->group, self->container);
}

static int op_set_iommu(void *arg)
{
	noiommu_container_t *self = arg;

	return container_set_iommu(self->container, VFIO_NOIOMMU_IOMMU);
}

static int op_device(void *arg)
{
	noiommu_container_t *self = arg;
	int fd = group_device(self->group, self->pci.bdf);

	return fd < 0 ? fd : device_info(fd);
}

static int op_use(void *arg)
{
	noiommu_container_t *self = arg;

	return device_info(self->fd) ?: container_check(self->container, VFIO_NOIOMMU_IOMMU) - 1;
}

/* semantics: 148, 150, 161, 162, 187.  Each step asks for CAP_SYS_RAWIO. */
TEST_F(noiommu_container, privilege)
{
	EXPECT_EQ(-EPERM, without_rawio(op_set, self));
	EXPECT_EQ(-EINVAL, group_unset(self->group));
	/* What is wrong otherwise is said before. */
	EXPECT_EQ(-EINVAL, without_rawio(op_set_iommu, self));
	EXPECT_EQ(-EINVAL, without_rawio(op_device, self));
	ASSERT_EQ(0, op_set(self));
	EXPECT_EQ(-EINVAL, without_rawio(op_set, self));
	EXPECT_EQ(-EPERM, without_rawio(op_set_iommu, self));
	EXPECT_EQ(-EINVAL, container_unknown(self->container));
	EXPECT_EQ(-EINVAL, without_rawio(op_device, self));
	ASSERT_EQ(0, op_set_iommu(self));
	EXPECT_EQ(-EINVAL, without_rawio(op_set_iommu, self));
	EXPECT_EQ(-EPERM, without_rawio(op_device, self));
	EXPECT_FALSE(logged(self->log, OPENED));
	/* What failed holds nothing. */
	EXPECT_EQ(0, group_unset(self->group));
	ASSERT_EQ(0, op_set(self));
	ASSERT_EQ(0, op_set_iommu(self));
	/* Once it is open, another file of it is no matter of privilege. */
	self->fd = group_device(self->group, self->pci.bdf);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(0, without_rawio(op_device, self));
	EXPECT_EQ(0, without_rawio(op_use, self));
	close_fd(&self->fd);
	EXPECT_EQ(-EPERM, without_rawio(op_device, self));
}

static int op_open(void *arg)
{
	noiommu_container_t *self = arg;

	return open_node(self->path);
}

static int set_of(int group, void *arg)
{
	noiommu_container_t *self = arg;

	return group_set(group, self->container);
}

static int device_of(int group, void *arg)
{
	noiommu_container_t *self = arg;
	int fd = group_device(group, self->pci.bdf);

	return fd < 0 ? fd : device_info(fd);
}

/*
 * semantics: 144, 148, 150, 187, 194.  The group's file in the hands of a process without the
 * capability, by a socket: no more can be done with it than with a copy by fork.
 */
TEST_F(noiommu_container, privilege_of_a_passed_file)
{
	EXPECT_EQ(-EPERM, without_rawio(op_open, self));
	EXPECT_EQ(-EPERM, passed_without_rawio(self->group, set_of, self));
	EXPECT_EQ(-EINVAL, group_unset(self->group));
	ASSERT_EQ(0, op_set(self));
	EXPECT_EQ(-EINVAL, passed_without_rawio(self->group, set_of, self));
	EXPECT_EQ(-EINVAL, passed_without_rawio(self->group, device_of, self));
	ASSERT_EQ(0, op_set_iommu(self));
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(-EPERM, passed_without_rawio(self->group, device_of, self));
		EXPECT_EQ(-EPERM, without_rawio(op_device, self));
		EXPECT_FALSE(logged(self->log, OPENED));
		self->fd = group_device(self->group, self->pci.bdf);
		ASSERT_GE(self->fd, 0);
		EXPECT_TRUE(logged(self->log, OPENED));
		/* A further file of an open device is no matter of privilege. */
		EXPECT_EQ(0, passed_without_rawio(self->group, device_of, self));
		EXPECT_TRUE(logged(self->log, OPENED));
		close_fd(&self->fd);
	}
	close_fd(&self->group);
	EXPECT_EQ(-EPERM, without_rawio(op_open, self));
	self->group = open_node(self->path);
	EXPECT_GE(self->group, 0);
}

/* semantics: 7.  The parameter is for new ones: what is there goes on. */
TEST_F(noiommu_container, parameter_off)
{
	ASSERT_EQ(0, op_set(self));
	ASSERT_EQ(0, op_set_iommu(self));
	set_noiommu("N");
	self->fd = group_device(self->group, self->pci.bdf);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(0, device_info(self->fd));
	EXPECT_EQ(-ENOTTY, container_unknown(self->container));
	close_fd(&self->fd);
	ASSERT_EQ(0, group_unset(self->group));
	ASSERT_EQ(0, op_set(self));
	EXPECT_EQ(-ENODEV, op_set_iommu(self));
}

/* semantics: 148.  Groups with and without an IOMMU are never together. */
TEST_F(noiommu_container, mixed)
{
	int drv = testdrv_open(), emulated, second = container_open();

	if (drv == -ENOENT)
		SKIP(return, NO_TESTDRV);
	ASSERT_GE(drv, 0);
	ASSERT_GE(second, 0);
	ASSERT_EQ(0, testdrv_create(drv, 0, 0, 0, 0));
	emulated = testdrv_group(0);
	ASSERT_GE(emulated, 0);
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, group_set(self->group, self->container));
		if (i)
			ASSERT_EQ(0, op_set_iommu(self));
		EXPECT_EQ(-EPERM, group_set(emulated, self->container));
		EXPECT_EQ(-EINVAL, group_unset(emulated));
		ASSERT_EQ(0, group_set(emulated, second));
		EXPECT_EQ(-ENODEV, container_set_iommu(second, VFIO_NOIOMMU_IOMMU));
		if (i)
			ASSERT_EQ(0, container_set_iommu(second, VFIO_TYPE1_IOMMU));
		ASSERT_EQ(0, group_unset(self->group));
		EXPECT_EQ(-EPERM, group_set(self->group, second));
		EXPECT_EQ(-EINVAL, group_unset(self->group));
		/* Without groups a container is of no kind. */
		ASSERT_EQ(0, group_unset(emulated));
		ASSERT_EQ(0, group_set(self->group, second));
		EXPECT_EQ(-ENODEV, container_set_iommu(second, VFIO_TYPE1_IOMMU));
		ASSERT_EQ(0, group_unset(self->group));
	}
	close(emulated);
	close(second);
	EXPECT_EQ(0, testdrv_destroy(drv, 0));
	close(drv);
	EXPECT_EQ(0, module_unload("vfio_testdrv"));
}

/* semantics: 148, 152.  Several of them may be together. */
TEST_F(noiommu_container, two_groups)
{
	struct pci edu;
	char path[64];
	int group, fd;

	if (pci_find_bare(EDU, 0, &edu))
		SKIP(return, "no edu device without an IOMMU");
	ASSERT_EQ(0, pci_to_vfio(&edu));
	noiommu_group_path(&edu, path, sizeof(path));
	group = open_node(path);
	ASSERT_GE(group, 0);
	ASSERT_EQ(0, op_set(self));
	ASSERT_EQ(0, op_set_iommu(self));
	ASSERT_EQ(0, group_set(group, self->container));
	self->fd = group_device(self->group, self->pci.bdf);
	fd = group_device(group, edu.bdf);
	ASSERT_GE(self->fd, 0);
	ASSERT_GE(fd, 0);
	close_fd(&self->fd);
	EXPECT_EQ(0, group_unset(self->group));
	EXPECT_EQ(-ENOTTY, container_unknown(self->container));
	EXPECT_EQ(0, device_info(fd));
	close(group);
	EXPECT_EQ(-ENOTTY, container_unknown(self->container));
	close(fd);
	EXPECT_EQ(-EINVAL, container_unknown(self->container));
	EXPECT_EQ(0, pci_unbind(&edu));
}

TEST_HARNESS_MAIN
