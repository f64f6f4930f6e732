// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reset of a bus with two devices, by a user of one who must own both: which
 * devices it concerns and whose they are, vfio-pci asks the core.
 */
#include <linux/pci_regs.h>

#include "lib/cdev.h"
#include "lib/edu.h"
#include "lib/iommufd.h"
#include "lib/test.h"

#define OWNED VFIO_PCI_DEVID_OWNED
#define NOT_OWNED VFIO_PCI_DEVID_NOT_OWNED

FIXTURE(hot_reset) {
	struct pci a, b;
	int fd_a, fd_b, iommufd;
	uint32_t devid;		/* of the first */
};

FIXTURE_SETUP(hot_reset)
{
	if (pci_find_siblings(EDU, &self->a, &self->b))
		SKIP(return, "no two edu devices behind one bridge");
	ASSERT_EQ(0, pci_to_vfio(&self->a));
	ASSERT_EQ(0, pci_to_vfio(&self->b));
	self->fd_a = cdev_open(&self->a);
	self->fd_b = cdev_open(&self->b);
	ASSERT_GE(self->fd_a, 0);
	ASSERT_GE(self->fd_b, 0);
	self->iommufd = iommufd_open();
	ASSERT_GE(self->iommufd, 0);
	ASSERT_EQ(0, cdev_bind(self->fd_a, self->iommufd, &self->devid));
}

FIXTURE_TEARDOWN(hot_reset)
{
	close(self->fd_a);
	close(self->fd_b);
	close(self->iommufd);
}

struct info {
	struct vfio_pci_hot_reset_info head;
	struct vfio_pci_dependent_device devices[4];
};

static int get_info(int fd, struct info *info)
{
	*info = (struct info){ .head.argsz = sizeof(*info) };
	return xioctl(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info);
}

/* What is said of a device: a number, OWNED, NOT_OWNED; 0x80000000 if nothing is. */
static int said_of(const struct info *info, const struct pci *pci)
{
	char bdf[32];

	for (uint32_t i = 0; i < info->head.count; i++) {
		const struct vfio_pci_dependent_device *d = &info->devices[i];

		snprintf(bdf, sizeof(bdf), "%04x:%02x:%02x.%x", d->segment, d->bus,
			 d->devfn >> 3, d->devfn & 7);
		if (!strcmp(bdf, pci->bdf))
			return d->devid;
	}
	return INT32_MIN;
}

static int reset(int fd)
{
	struct vfio_pci_hot_reset arg = { .argsz = sizeof(arg) };

	return xioctl(fd, VFIO_DEVICE_PCI_HOT_RESET, &arg);
}

/* semantics: 17, 61, 62, 205.  Numbers of devices of one's own, and what stands for one. */
TEST_F(hot_reset, info)
{
	const uint32_t by_id = VFIO_PCI_HOT_RESET_FLAG_DEV_ID;
	const uint32_t all = by_id | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	struct info info;
	uint32_t devid_b;

	/* The sibling is not bound: it is the user's, for its group is. */
	ASSERT_EQ(0, get_info(self->fd_a, &info));
	EXPECT_EQ(2, info.head.count);
	EXPECT_EQ(all, info.head.flags);
	EXPECT_EQ((int)self->devid, said_of(&info, &self->a));
	EXPECT_EQ(OWNED, said_of(&info, &self->b));

	ASSERT_EQ(0, cdev_bind(self->fd_b, self->iommufd, &devid_b));
	ASSERT_EQ(0, get_info(self->fd_a, &info));
	EXPECT_EQ(all, info.head.flags);
	EXPECT_EQ((int)self->devid, said_of(&info, &self->a));
	EXPECT_EQ((int)devid_b, said_of(&info, &self->b));
	ASSERT_EQ(0, get_info(self->fd_b, &info));
	EXPECT_EQ((int)self->devid, said_of(&info, &self->a));

	close(self->fd_b);
	self->fd_b = -1;
	ASSERT_EQ(0, get_info(self->fd_a, &info));
	EXPECT_EQ(OWNED, said_of(&info, &self->b));
	/* One that VFIO does not have is nobody's. */
	ASSERT_EQ(0, pci_unbind(&self->b));
	ASSERT_EQ(0, get_info(self->fd_a, &info));
	EXPECT_EQ(by_id, info.head.flags);
	EXPECT_EQ((int)self->devid, said_of(&info, &self->a));
	EXPECT_EQ(NOT_OWNED, said_of(&info, &self->b));
}

/* semantics: 205.  Neither call is for who has not bound the device. */
TEST_F(hot_reset, unbound)
{
	struct info info;

	EXPECT_EQ(-EINVAL, get_info(self->fd_b, &info));
	EXPECT_EQ(-EINVAL, reset(self->fd_b));
}

/*
 * semantics: 33, 34, 61, 62, 205.  A reset, for who owns all; both devices work
 * afterwards as they did before.
 */
TEST_F(hot_reset, reset)
{
	struct {
		struct vfio_pci_hot_reset head;
		int32_t fds[1];
	} arg = { .head = { .argsz = sizeof(arg), .count = 1 }, .fds = { self->fd_a } };
	uint16_t command;
	void *bar;

	/* Files are for those who came by a group. */
	EXPECT_EQ(-EINVAL, xioctl(self->fd_a, VFIO_DEVICE_PCI_HOT_RESET, &arg));

	ASSERT_EQ(0, cdev_enable_dma(self->fd_a));
	bar = cdev_map_bar(self->fd_a, 0, NULL);
	ASSERT_NE(NULL, bar);
	EXPECT_TRUE(edu_alive(bar));
	EXPECT_EQ(0, reset(self->fd_a));
	ASSERT_EQ(2, config_read(self->fd_a, PCI_COMMAND, &command, 2));
	EXPECT_NE(0, command & PCI_COMMAND_MEMORY);
	EXPECT_TRUE(edu_alive(bar));
	ASSERT_EQ(0, cdev_bind(self->fd_b, self->iommufd, NULL));
	EXPECT_EQ(0, reset(self->fd_b));
	EXPECT_TRUE(edu_alive(bar));

	close(self->fd_b);
	self->fd_b = -1;
	ASSERT_EQ(0, pci_unbind(&self->b));
	EXPECT_EQ(-EINVAL, reset(self->fd_a));
}

TEST_HARNESS_MAIN
