// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device whose driver can do nothing: what the core says in its stead.  The driver
 * is drivers/vfio_bare.c.
 */
#include <poll.h>

#include "lib/cdev.h"
#include "lib/fault.h"
#include "lib/hot_reset.h"
#include "lib/iommufd.h"
#include "lib/kmsg.h"
#include "lib/removal.h"
#include "lib/space.h"
#include "lib/task.h"
#include "lib/test.h"

#define DRIVER "vfio-bare"
#define MODULE "vfio_bare"

FIXTURE(bare_driver) {
	struct pci pci;
	int space;
	int fd;			/* the device's own, not bound, or -1 where there is none */
	uint32_t devid;
};

FIXTURE_SETUP(bare_driver)
{
	if (pci_find_at(EDU, false, &self->pci))
		SKIP(return, "no edu device on the root bus");
	if (module_load(MODULE))
		SKIP(return, "no module " MODULE);
	ASSERT_EQ(0, pci_to_driver(&self->pci, DRIVER));
	self->fd = has_iommufd() ? cdev_open(&self->pci) : -1;
	ASSERT_EQ(has_iommufd(), self->fd >= 0);
	self->space = space_open();
	ASSERT_GE(self->space, 0);
}

FIXTURE_TEARDOWN(bare_driver)
{
	close(self->fd);
	close(self->space);
	pci_unbind(&self->pci);
	module_unload(MODULE);
}

/* Opens the device, or binds it if it is open: its fd. */
static int device_of(const struct pci *pci, int fd, int space)
{
	char path[64];

	if (has_iommufd())
		return cdev_bind(fd, space, NULL) ?: fd;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", pci->bdf);
	return space_device(space, path, pci->bdf);
}

/* semantics: 104.  No device of this driver knows a token. */
TEST_F(bare_driver, token)
{
	char uuid[16] = { 0 };

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	EXPECT_EQ(-EINVAL, cdev_bind_token(self->fd, self->space, uuid, NULL));
	/* ... wherever it would be, and before the iommufd is looked at */
	EXPECT_EQ(-EINVAL, cdev_bind_token(self->fd, self->space, NULL, NULL));
	EXPECT_EQ(-EINVAL, cdev_bind_token(self->fd, 1000, uuid, NULL));
	EXPECT_EQ(-EBADF, cdev_bind(self->fd, 1000, NULL));
	EXPECT_EQ(0, cdev_bind(self->fd, self->space, &self->devid));
}

/* semantics: 112, 115.  No PASIDs: said before the size is. */
TEST_F(bare_driver, pasid)
{
	struct vfio_device_attach_iommufd_pt *attach = edge_alloc(12);
	struct vfio_device_detach_iommufd_pt *detach = edge_alloc(8);
	uint32_t ioas, pt;
	int fd = self->fd;

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	ASSERT_EQ(0, cdev_bind(fd, self->space, NULL));
	ASSERT_EQ(0, ioas_alloc(self->space, &ioas));
	attach->argsz = 12;
	attach->flags = VFIO_DEVICE_ATTACH_PASID;
	attach->pt_id = ioas;
	EXPECT_EQ(-EOPNOTSUPP,
		  xioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, attach));
	attach->argsz = 16;
	EXPECT_EQ(-EOPNOTSUPP,
		  xioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, attach));
	attach->argsz = 11;
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, attach));
	attach->argsz = 12;
	attach->flags |= 2;
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, attach));
	pt = ioas;
	EXPECT_EQ(-EOPNOTSUPP, cdev_attach_pasid(fd, 0, &pt));

	detach->argsz = 8;
	detach->flags = VFIO_DEVICE_DETACH_PASID;
	EXPECT_EQ(-EOPNOTSUPP,
		  xioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, detach));
	detach->argsz = 7;
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, detach));
	detach->argsz = 8;
	detach->flags |= 2;
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, detach));
	EXPECT_EQ(-EOPNOTSUPP, cdev_detach_pasid(fd, 1));

	/* The device itself can be attached all the same. */
	pt = ioas;
	EXPECT_EQ(0, cdev_attach(fd, &pt));
	EXPECT_EQ(0, cdev_detach(fd));
}

/* semantics: 120, 122, 127, 133 */
TEST_F(bare_driver, no_operations)
{
	struct vfio_device_feature feature = { 8, VFIO_DEVICE_FEATURE_PROBE | 3 };
	char buf[256] = { 0 };
	int fd = device_of(&self->pci, self->fd, self->space);

	ASSERT_GE(fd, 0);
	self->fd = fd;
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_GET_INFO, buf));
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(-EINVAL, hot_reset_owned(fd));
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_PCI_HOT_RESET, NULL));
	EXPECT_EQ(-EINVAL, xioctl(fd, _IO('x', 1), NULL));
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_GET_REGION_INFO, buf));
	/* ... before the memory is looked at */
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_GET_REGION_INFO, NULL));
	EXPECT_EQ(-ENOTTY, xioctl(fd, VFIO_DEVICE_FEATURE, &feature));
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_FEATURE, NULL));
	EXPECT_EQ(-1, pread(fd, buf, 1, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, pwrite(fd, buf, 1, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0));
	EXPECT_EQ(EINVAL, errno);
}

/* semantics: 88, 89.  No one to ask: the wait is silent, but for a signal. */
TEST_F(bare_driver, no_request)
{
	struct task task;
	int kmsg;

	self->fd = device_of(&self->pci, self->fd, self->space);
	ASSERT_GE(self->fd, 0);
	/* BIND may have its warning, where interrupts are not confined. */
	kmsg = kmsg_open();
	ASSERT_EQ(0, unbind_start(&task, &self->pci));
	EXPECT_TRUE(task_waits_for_users(&task));
	EXPECT_FALSE(kmsg_wait(kmsg, self->pci.bdf, 0, NULL, 0));
	EXPECT_FALSE(task_ended(&task, 0));
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(0, task_join(&task));
	close(kmsg);
}

/* semantics: 13, 93.  The driver's module is held by a binding, not by a file. */
TEST_F(bare_driver, module_reference)
{
	self->fd = device_of(&self->pci, self->fd, self->space);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(-EWOULDBLOCK, module_unload(MODULE));
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(0, module_unload(MODULE));
	EXPECT_EQ(0, module_load(MODULE));
}

static int do_unload(void *arg)
{
	return module_unload(MODULE);
}

static bool module_stays(void)
{
	char state[32];

	return sysfs_read("/sys/module/" MODULE "/initstate", state, sizeof(state)) > 0 &&
	       !strcmp(state, "live");
}

/*
 * semantics: 93, 103; defect: B23 (D8).  A device whose driver is going cannot be opened.
 * In C the file keeps it from being gone; on ours the file has lost it.
 */
TEST_F(bare_driver, module_going)
{
	struct task task;

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	ASSERT_EQ(0, task_start_alone(&task, do_unload, NULL));
	while (module_stays())
		poll(NULL, 0, 1);
	if (core_is_rust())
		EXPECT_EQ(0, task_join(&task));
	if (!core_is_rust())
		EXPECT_TRUE(task_waits_for_users(&task));
	EXPECT_EQ(-ENODEV, cdev_bind(self->fd, self->space, NULL));
	close(self->fd);
	self->fd = -1;
	if (!core_is_rust())
		EXPECT_EQ(0, task_join(&task));
	EXPECT_EQ(0, module_load(MODULE));
}

/*
 * semantics: 77; defect: B4 (D4).  This driver leaves its device set to the core.  If
 * the memory for that is missing, ours refuses the device.  The core in C goes on
 * without a set: there the device must not be touched.
 */
TEST_F(bare_driver, device_set)
{
	int fault = fault_open(), went_on = 0, refused = 0;
	bool hit = true;

	if (fault < 0)
		SKIP(return, "the kernel has no fault injection");
	close(self->fd);
	self->fd = -1;
	ASSERT_EQ(0, pci_unbind(&self->pci));
	ASSERT_EQ(0, pci_attr_set(&self->pci, "driver_override", DRIVER));
	/* The core in C warns of a group that it could not make (B5). */
	kmsg_expect_warning(true, "c");
	for (int n = 1; hit; n++) {
		char driver[64];
		int fd;

		fault_arm(fault, n);
		sysfs_write("/sys/bus/pci/drivers/" DRIVER "/bind",
			    self->pci.bdf);
		hit = fault_disarm(fault);
		pci_driver(&self->pci, driver, sizeof(driver));
		if (!driver[0]) {
			refused++;
			ASSERT_TRUE(hit);
			continue;
		}
		went_on += hit;
		if (core_is_rust() && has_iommufd()) {
			fd = cdev_open(&self->pci);
			/* A device may go without its node. */
			EXPECT_TRUE(fd >= 0 || (hit && fd == -ENOENT));
			EXPECT_TRUE(fd < 0 || !cdev_bind(fd, self->space,
							 NULL));
			close(fd);
		}
		ASSERT_EQ(0, pci_unbind(&self->pci));
		ASSERT_EQ(0, pci_attr_set(&self->pci, "driver_override",
					  DRIVER));
	}
	kmsg_expect_warning(false, NULL);
	TH_LOG("refused %d times, went on %d times", refused, went_on);
	EXPECT_GT(refused, 0);
	close(fault);
}

TEST_HARNESS_MAIN
