// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hot reset by the holder of groups: vfio-pci asks the core which device is in the group of
 * which file.
 */
#include <fcntl.h>
#include <sys/eventfd.h>

#include "lib/group.h"
#include "lib/iommufd.h"
#include "lib/test.h"

FIXTURE(group_reset) {
	struct pci pci, other;
	struct legacy l;
};

FIXTURE_SETUP(group_reset)
{
	self->l = (struct legacy){ -1, -1, -1 };
	if (pci_find(IGB, 0, &self->pci) || pci_find_at(EDU, false, &self->other))
		SKIP(return, "no igb device, or no edu device");
	ASSERT_EQ(0, legacy_open(&self->pci, &self->l));
}

FIXTURE_TEARDOWN(group_reset)
{
	legacy_close(&self->l);
	EXPECT_EQ(0, pci_unbind(&self->pci));
}

/* The devices that go down together; their number. */
static int reset_info(int fd, uint32_t *flags, struct vfio_pci_dependent_device *devices)
{
	struct {
		struct vfio_pci_hot_reset_info head;
		struct vfio_pci_dependent_device devices[8];
	} info = { .head.argsz = sizeof(info) };
	int ret = xioctl(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info);

	*flags = info.head.flags;
	memcpy(devices, info.devices, sizeof(info.devices));
	return ret ? ret : (int)info.head.count;
}

static int hot_reset(int fd, int count, int32_t first, int32_t second)
{
	struct {
		struct vfio_pci_hot_reset head;
		int32_t groups[2];
	} reset = {
		.head.argsz = sizeof(reset),
		.head.count = count,
		.groups = { first, second },
	};

	return xioctl(fd, VFIO_DEVICE_PCI_HOT_RESET, &reset);
}

/* semantics: 17, 62, 205.  By the group the groups count, by the device its id. */
TEST_F(group_reset, info)
{
	struct vfio_pci_dependent_device devices[8];
	uint32_t flags, devid;
	int fd;

	ASSERT_EQ(1, reset_info(self->l.fd, &flags, devices));
	EXPECT_EQ(0, flags);
	EXPECT_EQ(self->pci.group, devices[0].group_id);
	legacy_close(&self->l);

	self->l.iommufd = iommufd_open();
	fd = cdev_open(&self->pci);
	ASSERT_EQ(0, cdev_bind(fd, self->l.iommufd, &devid));
	ASSERT_EQ(1, reset_info(fd, &flags, devices));
	EXPECT_EQ(VFIO_PCI_HOT_RESET_FLAG_DEV_ID | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED, flags);
	EXPECT_EQ(devid, devices[0].devid);
	close(fd);
}

/* semantics: 54, 55, 205.  Who does not show all the groups resets nothing. */
TEST_F(group_reset, refused)
{
	int event = eventfd(0, EFD_CLOEXEC), other, fd;

	ASSERT_EQ(0, pci_to_vfio(&self->other));
	other = group_open(&self->other);
	ASSERT_GE(other, 0);
	EXPECT_EQ(-EINVAL, hot_reset(self->l.fd, 0, -1, -1));
	EXPECT_EQ(-EBADF, hot_reset(self->l.fd, 1, -1, -1));
	EXPECT_EQ(-EINVAL, hot_reset(self->l.fd, 1, event, -1));
	EXPECT_EQ(-EINVAL, hot_reset(self->l.fd, 1, self->l.fd, -1));
	EXPECT_EQ(-EINVAL, hot_reset(self->l.fd, 1, self->l.iommufd, -1));
	EXPECT_EQ(-EINVAL, hot_reset(self->l.fd, 1, other, -1));
	/* More groups than devices. */
	EXPECT_EQ(-EINVAL, hot_reset(self->l.fd, 2, self->l.group, other));
	legacy_close(&self->l);

	/* For a bound device no group is the right one. */
	self->l.iommufd = iommufd_open();
	fd = cdev_open(&self->pci);
	ASSERT_EQ(0, cdev_bind(fd, self->l.iommufd, NULL));
	EXPECT_EQ(-EINVAL, hot_reset(fd, 1, other, -1));
	close(fd);
	close(other);
	close(event);
}

/*
 * It was allowed: that was done, or the port could not (QEMU's tells no reset from a link
 * that stays down).
 */
static bool allowed(int ret)
{
	return !ret || ret == -ENOTTY;
}

/* semantics: 54, 55, 205.  The group's own file is the key, whoever has opened it when. */
TEST_F(group_reset, granted)
{
	int old;

	EXPECT_TRUE(allowed(hot_reset(self->l.fd, 1, self->l.group, -1)));
	EXPECT_EQ(0, device_info(self->l.fd));
	/* Opened again, without an iommufd, it still is. */
	close_fd(&self->l.group);
	self->l.group = group_open(&self->pci);
	ASSERT_GE(self->l.group, 0);
	EXPECT_TRUE(allowed(hot_reset(self->l.fd, 1, self->l.group, -1)));
	/* The file of a group that is no more is not. */
	close_fd(&self->l.fd);
	old = self->l.group;
	ASSERT_EQ(0, pci_unbind(&self->pci));
	ASSERT_EQ(0, legacy_open(&self->pci, &self->l));
	EXPECT_EQ(-EINVAL, hot_reset(self->l.fd, 1, old, -1));
	EXPECT_TRUE(allowed(hot_reset(self->l.fd, 1, self->l.group, -1)));
	close(old);
}

TEST_HARNESS_MAIN
