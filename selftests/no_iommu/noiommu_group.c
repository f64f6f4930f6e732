// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices without an IOMMU through their groups, with an iommufd: a mode of its own of
 * the iommufd, nothing to bind and nothing to attach to, and for the privileged alone.
 */
#include <fcntl.h>

#include "lib/edu.h"
#include "lib/group.h"
#include "lib/host.h"
#include "lib/iommufd.h"
#include "lib/kmsg.h"
#include "lib/noiommu.h"
#include "lib/removal.h"
#include "lib/task.h"
#include "lib/test.h"
#include "lib/testdev.h"
#include "lib/testdrv.h"

#define PAGE 4096u
#define OPENED "vfio-noiommu device opened by user "

FIXTURE(noiommu_group) {
	struct pci pci;
	char path[64];
	int log, group, fd, iommufd, other;
};

FIXTURE_SETUP(noiommu_group)
{
	self->group = -1;
	self->fd = -1;
	self->iommufd = -1;
	self->other = -1;
	if (pci_find_bare(EDU, 0, &self->pci))
		SKIP(return, "no edu device without an IOMMU");
	if (!set_noiommu("Y"))
		SKIP(return, "a kernel without VFIO_NOIOMMU");
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	noiommu_group_path(&self->pci, self->path, sizeof(self->path));
	self->log = kmsg_open();
	ASSERT_GE(self->log, 0);
	self->group = open_node(self->path);
	ASSERT_GE(self->group, 0);
	self->iommufd = iommufd_open();
	self->other = iommufd_open();
	ASSERT_GE(self->iommufd, 0);
	ASSERT_GE(self->other, 0);
}

FIXTURE_TEARDOWN(noiommu_group)
{
	close_fd(&self->fd);
	close_fd(&self->group);
	close_fd(&self->iommufd);
	close_fd(&self->other);
	close(self->log);
	EXPECT_EQ(0, pci_unbind(&self->pci));
	set_noiommu("N");
}

/* semantics: 146, 147, 149.  What the status says; nobody owns what has no IOMMU. */
TEST_F(noiommu_group, status)
{
	EXPECT_EQ(GROUP_VIABLE, group_flags(self->group));
	EXPECT_EQ(-EINVAL, group_unset(self->group));
	EXPECT_EQ(-EINVAL, group_device(self->group, self->pci.bdf));
	EXPECT_EQ(-EFAULT, xioctl(self->group, VFIO_GROUP_SET_CONTAINER, NULL));
	EXPECT_EQ(-EBADF, group_set(self->group, -1));
	EXPECT_EQ(-EBADFD, group_set(self->group, self->group));
	ASSERT_EQ(0, group_set(self->group, self->iommufd));
	EXPECT_EQ(GROUP_SET, group_flags(self->group));
	EXPECT_EQ(-EINVAL, group_set(self->group, self->other));
	self->fd = group_device(self->group, self->pci.bdf);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(0, group_unset(self->group));
	EXPECT_EQ(GROUP_VIABLE, group_flags(self->group));
	EXPECT_EQ(-EINVAL, group_device(self->group, self->pci.bdf));
	EXPECT_EQ(0, device_info(self->fd));
}

/*
 * semantics: 91, 148.  Drivers of the host are kept from nothing: neither from another device,
 * nor from this one when VFIO has let it go, which leaves it without a group.
 */
TEST_F(noiommu_group, host_driver)
{
	struct pci other;

	if (module_load(HOST_MODULE) || pci_find_bare(EDU, 1, &other))
		SKIP(return, "no module " HOST_MODULE ", or no second edu device");
	ASSERT_EQ(0, group_set(self->group, self->iommufd));
	self->fd = group_device(self->group, self->pci.bdf);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(0, host_may_have(&other, HOST_PLAIN));
	close_fd(&self->fd);
	ASSERT_EQ(0, pci_unbind(&self->pci));
	EXPECT_EQ(0, host_may_have(&self->pci, HOST_PLAIN));
	EXPECT_EQ(0, module_unload(HOST_MODULE));
}

/* semantics: 147.  The iommufd is in a mode in which nothing is translated. */
TEST_F(noiommu_group, mode_of_the_iommufd)
{
	char *page = pages_alloc(PAGE);
	int fd = self->iommufd;
	uint32_t id;

	EXPECT_EQ(1, xioctl(fd, VFIO_CHECK_EXTENSION, (void *)VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, group_set(self->group, fd));
	EXPECT_EQ(0, xioctl(fd, VFIO_CHECK_EXTENSION, (void *)VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(1, xioctl(fd, VFIO_CHECK_EXTENSION, (void *)VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, xioctl(fd, VFIO_SET_IOMMU, (void *)VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(-ENODEV, compat_ioas_get(fd, &id));
	EXPECT_EQ(-ENODEV, compat_map(fd, page, PAGE, 0x10000));
	/* It stays there. */
	ASSERT_EQ(0, group_unset(self->group));
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, group_set(self->group, fd));
}

/* semantics: 147.  An iommufd translates for all or for none. */
TEST_F(noiommu_group, other_mode)
{
	int drv = testdrv_open(), group;
	uint32_t id;

	/* One that has an address space for the ioctls of containers. */
	ASSERT_EQ(0, ioas_alloc(self->other, &id));
	ASSERT_EQ(0, compat_ioas_set(self->other, id));
	EXPECT_EQ(-EINVAL, group_set(self->group, self->other));
	EXPECT_EQ(GROUP_VIABLE, group_flags(self->group));
	EXPECT_EQ(-EINVAL, group_unset(self->group));
	ASSERT_EQ(0, compat_ioas_clear(self->other));
	ASSERT_EQ(0, group_set(self->group, self->other));
	ASSERT_EQ(0, group_unset(self->group));

	/* And one that has a group without an IOMMU: not for an emulated device. */
	if (drv == -ENOENT)
		SKIP(return, NO_TESTDRV);
	ASSERT_GE(drv, 0);
	ASSERT_EQ(0, testdrv_create(drv, 0, 0, 0, 0));
	group = testdrv_group(0);
	ASSERT_GE(group, 0);
	EXPECT_EQ(-EINVAL, group_set(group, self->other));
	EXPECT_EQ(GROUP_VIABLE, group_flags(group));
	ASSERT_EQ(0, group_set(group, self->iommufd));
	EXPECT_EQ(-EINVAL, group_set(self->group, self->iommufd));
	EXPECT_EQ(0, group_set(self->group, self->other));
	close(group);
	EXPECT_EQ(0, testdrv_destroy(drv, 0));
	close(drv);
	EXPECT_EQ(0, module_unload("vfio_testdrv"));
}

/* semantics: 120, 122, 125, 147, 150, 151.  The device works, also for a second file. */
TEST_F(noiommu_group, device)
{
	char path[64], text[64] = "";
	uint32_t id = 0;
	size_t size;
	void *bar;
	int other;

	ASSERT_EQ(0, group_set(self->group, self->iommufd));
	ASSERT_EQ(0, xioctl(self->iommufd, VFIO_SET_IOMMU, (void *)VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(-ENODEV, group_device(self->group, "0000:00:00.0"));
	self->fd = group_device(self->group, self->pci.bdf);
	other = group_device(self->group, self->pci.bdf);
	ASSERT_GE(self->fd, 0);
	ASSERT_GE(other, 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", other);
	ASSERT_GT(readlink(path, text, sizeof(text) - 1), 0);
	EXPECT_STREQ("anon_inode:[vfio-device]", text);
	EXPECT_EQ(0, device_info(self->fd));
	ASSERT_EQ(4, config_read(other, 0, &id, 4));
	EXPECT_EQ(self->pci.id, id << 16 | id >> 16);
	EXPECT_EQ(-ENOTTY, cdev_detach(self->fd));
	close_fd(&self->fd);
	close_fd(&self->group);
	close_fd(&self->iommufd);
	ASSERT_EQ(0, cdev_enable_dma(other));
	bar = cdev_map_bar(other, 0, &size);
	ASSERT_NE(NULL, bar);
	EXPECT_TRUE(edu_alive(bar));
	munmap(bar, size);
	close(other);
}

/* semantics: 147, 153.  DMA goes to the addresses that the device says. */
TEST_F(noiommu_group, dma)
{
	uint32_t *page = pages_alloc(PAGE);
	struct pci testdev;
	char path[64];
	int group, fd;
	size_t size;
	void *bar;

	if (pci_find_bare(TESTDEV, 0, &testdev))
		SKIP(return, "no iommu-testdev");
	ASSERT_EQ(0, pci_to_vfio(&testdev));
	noiommu_group_path(&testdev, path, sizeof(path));
	group = open_node(path);
	ASSERT_GE(group, 0);
	/* Two groups of one iommufd. */
	ASSERT_EQ(0, group_set(self->group, self->iommufd));
	ASSERT_EQ(0, group_set(group, self->iommufd));
	self->fd = group_device(self->group, self->pci.bdf);
	fd = group_device(group, testdev.bdf);
	ASSERT_GE(self->fd, 0);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, cdev_enable_dma(fd));
	bar = cdev_map_bar(fd, 0, &size);
	ASSERT_NE(NULL, bar);
	ASSERT_NE(0, phys_of(page));
	EXPECT_EQ(TESTDEV_OK, testdev_dma(bar, phys_of(page), page, 16));
	EXPECT_EQ(TESTDEV_PATTERN, page[0]);
	munmap(bar, size);
	close(fd);
	close(group);
	EXPECT_EQ(0, pci_unbind(&testdev));
}

struct opening {
	int group;
	const char *name;
};

static int open_device(void *arg)
{
	const struct opening *o = arg;
	int fd = group_device(o->group, o->name);

	return fd < 0 ? fd : device_info(fd);
}

/* semantics: 154.  Said of each opening through the group, with who it was. */
TEST_F(noiommu_group, message)
{
	struct opening o = { self->group, self->pci.bdf };
	char want[128], line[256];
	struct task task;

	EXPECT_EQ(-EINVAL, group_device(self->group, self->pci.bdf));
	ASSERT_EQ(0, group_set(self->group, self->iommufd));
	EXPECT_FALSE(logged(self->log, OPENED));
	snprintf(want, sizeof(want), "vfio-pci %s: " OPENED "(noiommu_group:%d)",
		 self->pci.bdf, getpid());
	for (int i = 0; i < 3; i++) {
		int fd = group_device(self->group, self->pci.bdf);

		ASSERT_GE(fd, 0);
		EXPECT_TRUE(kmsg_wait(self->log, OPENED, 0, line, sizeof(line)));
		EXPECT_STREQ(want, line);
		EXPECT_FALSE(logged(self->log, OPENED));
		if (i)
			close(fd);
		else
			self->fd = fd;
	}
	ASSERT_EQ(0, task_start(&task, open_device, &o));
	EXPECT_EQ(0, task_join(&task));
	snprintf(want, sizeof(want), "vfio-pci %s: " OPENED "(noiommu_group:%d)",
		 self->pci.bdf, task.pid);
	EXPECT_TRUE(kmsg_wait(self->log, OPENED, 0, line, sizeof(line)));
	EXPECT_STREQ(want, line);
	/* The taint is of the registration, not of this. */
	EXPECT_FALSE(logged(self->log, "taint"));
}

static int set_it(void *arg)
{
	const int *fds = arg;

	return group_set(fds[0], fds[1]);
}

static int set_iommu(void *arg)
{
	return xioctl(*(int *)arg, VFIO_SET_IOMMU, (void *)VFIO_NOIOMMU_IOMMU);
}

/*
 * semantics: 150, 187; defect: B16.  The device is for the privileged, at its first
 * opening; an iommufd may be set, and a further file be had, by whoever has the group.
 */
TEST_F(noiommu_group, capability)
{
	struct opening o = { self->group, self->pci.bdf };
	int fds[2] = { self->group, self->iommufd };

	EXPECT_EQ(-EINVAL, without_rawio(open_device, &o));
	EXPECT_EQ(0, without_rawio(set_it, fds));
	EXPECT_EQ(GROUP_SET, group_flags(self->group));
	EXPECT_EQ(-EPERM, without_rawio(set_iommu, &self->iommufd));
	EXPECT_EQ(-EPERM, without_rawio(open_device, &o));
	EXPECT_FALSE(logged(self->log, OPENED));
	o.name = "none";
	EXPECT_EQ(-ENODEV, without_rawio(open_device, &o));
	o.name = self->pci.bdf;
	self->fd = group_device(self->group, self->pci.bdf);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(0, without_rawio(open_device, &o));
	close_fd(&self->fd);
	EXPECT_EQ(-EPERM, without_rawio(open_device, &o));
}

static int open_node_at(void *path)
{
	return open_node(path);
}

static int status_of(int group, void *arg)
{
	return group_flags(group);
}

static int device_of(int group, void *arg)
{
	struct opening o = { group, arg };

	return open_device(&o);
}

/*
 * semantics: 144, 187.  The group's node asks each time: at the first open, at the second one, which
 * it has no room for, at one after a close, and while a device is bound.
 */
TEST_F(noiommu_group, capability_of_the_node)
{
	int cdev;

	/* Open: the capability is asked for first. */
	EXPECT_EQ(-EPERM, without_rawio(open_node_at, self->path));
	EXPECT_EQ(-EBUSY, open_node(self->path));
	close_fd(&self->group);
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(-EPERM, without_rawio(open_node_at, self->path));
		/* What was refused is not open. */
		self->group = open_node(self->path);
		ASSERT_GE(self->group, 0);
		EXPECT_EQ(-EPERM, without_rawio(open_node_at, self->path));
		close_fd(&self->group);
	}
	if (!noiommu_has_nodes())
		return;
	cdev = cdev_open(&self->pci);
	ASSERT_GE(cdev, 0);
	ASSERT_EQ(0, cdev_bind(cdev, self->iommufd, NULL));
	EXPECT_EQ(-EPERM, without_rawio(open_node_at, self->path));
	EXPECT_EQ(-EBUSY, open_node(self->path));
	close(cdev);
	EXPECT_EQ(-EPERM, without_rawio(open_node_at, self->path));
	self->group = open_node(self->path);
	EXPECT_GE(self->group, 0);
}

/*
 * semantics: 150, 187, 194; defect: B16.  The group's file in the hands of a process without the
 * capability, by fork and by a socket: it can ask, and not open the device for the first time.
 */
TEST_F(noiommu_group, capability_of_a_passed_file)
{
	struct opening o = { self->group, self->pci.bdf };

	EXPECT_EQ(GROUP_VIABLE, passed_without_rawio(self->group, status_of, NULL));
	EXPECT_EQ(-EINVAL, passed_without_rawio(self->group, device_of, self->pci.bdf));
	ASSERT_EQ(0, group_set(self->group, self->iommufd));
	EXPECT_EQ(GROUP_SET, passed_without_rawio(self->group, status_of, NULL));
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(-EPERM, passed_without_rawio(self->group, device_of, self->pci.bdf));
		EXPECT_EQ(-EPERM, without_rawio(open_device, &o));
		EXPECT_FALSE(logged(self->log, OPENED));
		self->fd = group_device(self->group, self->pci.bdf);
		ASSERT_GE(self->fd, 0);
		EXPECT_TRUE(logged(self->log, OPENED));
		/* A further file of an open device is no matter of privilege. */
		EXPECT_EQ(0, passed_without_rawio(self->group, device_of, self->pci.bdf));
		EXPECT_EQ(0, without_rawio(open_device, &o));
		EXPECT_TRUE(logged(self->log, OPENED));
		EXPECT_TRUE(logged(self->log, OPENED));
		close_fd(&self->fd);
	}
}

/* semantics: 150.  Who counts on translation does not get the device. */
TEST_F(noiommu_group, address_space)
{
	uint32_t id;
	int other;

	ASSERT_EQ(0, group_set(self->group, self->iommufd));
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &id));
	/* One that only the new ioctls know says nothing. */
	self->fd = group_device(self->group, self->pci.bdf);
	ASSERT_GE(self->fd, 0);
	close_fd(&self->fd);
	ASSERT_EQ(0, compat_ioas_set(self->iommufd, id));
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(-EPERM, group_device(self->group, self->pci.bdf));
	ASSERT_EQ(0, compat_ioas_clear(self->iommufd));
	self->fd = group_device(self->group, self->pci.bdf);
	ASSERT_GE(self->fd, 0);
	/* The first opening is the one that counts. */
	ASSERT_EQ(0, compat_ioas_set(self->iommufd, id));
	other = group_device(self->group, self->pci.bdf);
	EXPECT_GE(other, 0);
	close(other);
	close_fd(&self->fd);
	EXPECT_EQ(-EPERM, group_device(self->group, self->pci.bdf));
}

/* semantics: 7, 24, 147.  It was decided when the device came. */
TEST_F(noiommu_group, parameter_off)
{
	ASSERT_TRUE(set_noiommu("N"));
	ASSERT_EQ(0, group_set(self->group, self->iommufd));
	self->fd = group_device(self->group, self->pci.bdf);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(0, device_info(self->fd));
	EXPECT_TRUE(logged(self->log, OPENED));
	legacy_close(&(struct legacy){ self->group, self->fd, -1 });
	self->fd = -1;
	self->group = open_node(self->path);
	EXPECT_GE(self->group, 0);
	EXPECT_EQ(-EPERM, without_rawio((int (*)(void *))open_node, self->path));
}

/* semantics: 103, 110, 144.  The group and the device's own node exclude each other. */
TEST_F(noiommu_group, exclusion)
{
	int cdev;

	if (!noiommu_has_nodes())
		SKIP(return, NO_NOIOMMU_NODES);
	cdev = cdev_open(&self->pci);
	ASSERT_GE(cdev, 0);
	ASSERT_EQ(0, group_set(self->group, self->iommufd));
	EXPECT_EQ(-EBUSY, cdev_bind(cdev, self->other, NULL));
	self->fd = group_device(self->group, self->pci.bdf);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(-EBUSY, cdev_bind(cdev, self->other, NULL));
	close_fd(&self->group);
	EXPECT_EQ(-EINVAL, cdev_bind(cdev, self->other, NULL));
	close_fd(&self->fd);
	ASSERT_EQ(0, cdev_bind(cdev, self->other, NULL));
	EXPECT_EQ(-EBUSY, open_node(self->path));
	close(cdev);
	self->group = open_node(self->path);
	EXPECT_GE(self->group, 0);
}

/* semantics: 151; defect: B2 (D2).  An open device stays with its iommufd, bound or not. */
TEST_F(noiommu_group, another_iommufd)
{
	int fd;

	ASSERT_EQ(0, group_set(self->group, self->iommufd));
	self->fd = group_device(self->group, self->pci.bdf);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(0, group_unset(self->group));
	ASSERT_EQ(0, group_set(self->group, self->other));
	EXPECT_TRUE(logged(self->log, OPENED));
	fd = group_device(self->group, self->pci.bdf);
	EXPECT_EQ(BY_CORE(0, -EINVAL), fd < 0 ? fd : 0);
	EXPECT_EQ(BY_CORE(true, false), logged(self->log, OPENED));
	close(fd);
	EXPECT_EQ(0, device_info(self->fd));
	close_fd(&self->fd);
	self->fd = group_device(self->group, self->pci.bdf);
	EXPECT_GE(self->fd, 0);
}

/* semantics: 87, 90, 91.  Waited for like any other. */
TEST_F(noiommu_group, removal)
{
	struct task task;

	ASSERT_EQ(0, group_set(self->group, self->iommufd));
	self->fd = group_device(self->group, self->pci.bdf);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(0, unbind_start(&task, &self->pci));
	EXPECT_TRUE(task_waits_for_users(&task));
	EXPECT_EQ(-ENODEV, group_device(self->group, self->pci.bdf));
	EXPECT_EQ(0, device_info(self->fd));
	close_fd(&self->fd);
	EXPECT_EQ(0, task_join(&task));
	EXPECT_EQ(-ENODEV, group_flags(self->group));
	EXPECT_EQ(0, group_unset(self->group));
	EXPECT_EQ(-ENODEV, group_set(self->group, self->iommufd));
	EXPECT_EQ(-1, access(self->path, F_OK));
}

/* ---- what the driver sees ---- */

FIXTURE(noiommu_driver) {
	int drv, log, iommufd;
	struct testdrv_calls calls;
};

FIXTURE_SETUP(noiommu_driver)
{
	self->drv = testdrv_open();
	if (self->drv == -ENOENT)
		SKIP(return, NO_TESTDRV);
	ASSERT_GE(self->drv, 0);
	if (!set_noiommu("Y"))
		SKIP(return, "a kernel without VFIO_NOIOMMU");
	self->log = kmsg_open();
	self->iommufd = iommufd_open();
	ASSERT_GE(self->log, 0);
	ASSERT_GE(self->iommufd, 0);
}

FIXTURE_TEARDOWN(noiommu_driver)
{
	EXPECT_EQ(0, testdrv_close(self->drv));
	set_noiommu("N");
}

/* semantics: 94, 95, 96, 153.  By the group it is opened and closed, never bound. */
TEST_F(noiommu_driver, callbacks)
{
	int group, fd, other;

	ASSERT_EQ(0, testdrv_create(self->drv, 0, TESTDRV_PHYSICAL, 0, 0));
	group = testdrv_group(0);
	ASSERT_GE(group, 0);
	ASSERT_EQ(0, group_set(group, self->iommufd));
	testdrv_calls(self->drv, &self->calls);
	testdrv_fail(self->drv, 0, TESTDRV_OPEN, EUCLEAN);
	EXPECT_EQ(-EUCLEAN, group_device(group, TESTDRV_DEVICE));
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("open", testdrv_text(&self->calls, 0));
	testdrv_fail(self->drv, 0, TESTDRV_OPEN, 0);
	fd = group_device(group, TESTDRV_DEVICE);
	other = group_device(group, TESTDRV_DEVICE);
	ASSERT_GE(fd, 0);
	ASSERT_GE(other, 0);
	close(fd);
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("open", testdrv_text(&self->calls, 0));
	close(other);
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("close", testdrv_text(&self->calls, 0));
	close(group);

	if (!noiommu_has_nodes())
		return;
	/* By its own node it is bound. */
	fd = testdrv_cdev(0);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, cdev_bind(fd, self->iommufd, NULL));
	close(fd);
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("bind open close unbind", testdrv_text(&self->calls, 0));
}

/* Its class device's name, or that it has none. */
static int device_name(char *buf, size_t size)
{
	return sysfs_entry("/sys/devices/platform/vfio-testdrv.0/vfio-dev", 0, buf, size);
}

/*
 * semantics: 78, 79; defect: B14.  In an IOMMU group, but behind no IOMMU: the parameter
 * lets it in, in C, as a device without an IOMMU in a group with one.  Ours refuses, and so
 * does C where such devices have no files of their own.
 */
TEST_F(noiommu_driver, iommu_group)
{
	const uint32_t flags = TESTDRV_PHYSICAL | TESTDRV_WITH_GROUP;
	const bool nodes = noiommu_has_nodes(), let_in = nodes && !core_is_rust();
	char name[64], group[16], path[64];

	ASSERT_TRUE(set_noiommu("N"));
	EXPECT_EQ(-EINVAL, testdrv_create(self->drv, 0, flags, 0, 0));
	EXPECT_NE(0, device_name(name, sizeof(name)));
	ASSERT_TRUE(set_noiommu("Y"));
	EXPECT_EQ(let_in ? 0 : -EINVAL, testdrv_create(self->drv, 0, flags, 0, 0));
	EXPECT_EQ(let_in, logged(self->log, NOIOMMU_CDEV_MESSAGE));
	if (!let_in) {
		EXPECT_NE(0, device_name(name, sizeof(name)));
		EXPECT_NE(0, sysfs_entry("/sys/class/vfio", 0, name, sizeof(name)));
	} else {
		ASSERT_EQ(0, device_name(name, sizeof(name)));
		EXPECT_EQ(0, strncmp(name, "noiommu-vfio", 12));
		ASSERT_EQ(0, sysfs_link("/sys/devices/platform/vfio-testdrv.0/iommu_group",
					group, sizeof(group)));
		snprintf(path, sizeof(path), "/dev/vfio/%s", group);
		EXPECT_EQ(0, access(path, F_OK));
	}
	EXPECT_EQ(0, testdrv_destroy(self->drv, 0));

	/* The same device without a group is one without an IOMMU on both. */
	EXPECT_EQ(0, testdrv_create(self->drv, 0, TESTDRV_PHYSICAL, 0, 0));
	ASSERT_EQ(0, device_name(name, sizeof(name)));
	EXPECT_EQ(nodes, !strncmp(name, "noiommu-vfio", 12));
}

TEST_HARNESS_MAIN
