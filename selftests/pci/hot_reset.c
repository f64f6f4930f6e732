// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reset of a bus with two devices, by a user of one who must own both: which
 * devices it concerns and whose they are, vfio-pci asks the core.
 */
#include <linux/pci_regs.h>

#include "lib/cdev.h"
#include "lib/edu.h"
#include "lib/group.h"
#include "lib/hot_reset.h"
#include "lib/iommufd.h"
#include "lib/test.h"

FIXTURE(hot_reset) {
	struct pci a, b;
	struct session sa, sb;	/* with the iommufd of the first */
	uint32_t devid;		/* of the first */
};

FIXTURE_SETUP(hot_reset)
{
	if (pci_find_siblings(EDU, &self->a, &self->b))
		SKIP(return, "no two edu devices behind one bridge");
	ASSERT_EQ(0, session_open_unbound(&self->a, &self->sa));
	ASSERT_EQ(0, session_open_node(&self->b, &self->sb));
	ASSERT_EQ(0, cdev_bind(self->sa.fd, self->sa.iommufd, &self->devid));
}

FIXTURE_TEARDOWN(hot_reset)
{
	session_close(&self->sb);
	session_close(&self->sa);
}

/* semantics: 17, 61, 62, 205.  Numbers of devices of one's own, and what stands for one. */
TEST_F(hot_reset, info)
{
	struct reset_info info;
	uint32_t devid_b;

	/* The sibling is not bound: it is the user's, for its group is. */
	ASSERT_EQ(0, reset_info(self->sa.fd, &info));
	EXPECT_EQ(2, info.head.count);
	EXPECT_EQ(ALL_BY_ID, info.head.flags);
	EXPECT_EQ((int)self->devid, reset_says(&info, &self->a));
	EXPECT_EQ(OWNED, reset_says(&info, &self->b));

	ASSERT_EQ(0, cdev_bind(self->sb.fd, self->sa.iommufd, &devid_b));
	ASSERT_EQ(0, reset_info(self->sa.fd, &info));
	EXPECT_EQ(ALL_BY_ID, info.head.flags);
	EXPECT_EQ((int)self->devid, reset_says(&info, &self->a));
	EXPECT_EQ((int)devid_b, reset_says(&info, &self->b));
	ASSERT_EQ(0, reset_info(self->sb.fd, &info));
	EXPECT_EQ((int)self->devid, reset_says(&info, &self->a));

	close_fd(&self->sb.fd);
	ASSERT_EQ(0, reset_info(self->sa.fd, &info));
	EXPECT_EQ(OWNED, reset_says(&info, &self->b));
	/* One that VFIO does not have is nobody's. */
	ASSERT_EQ(0, pci_unbind(&self->b));
	ASSERT_EQ(0, reset_info(self->sa.fd, &info));
	EXPECT_EQ(BY_ID, info.head.flags);
	EXPECT_EQ((int)self->devid, reset_says(&info, &self->a));
	EXPECT_EQ(NOT_OWNED, reset_says(&info, &self->b));
}

/* semantics: 205.  Neither call is for who has not bound the device. */
TEST_F(hot_reset, unbound)
{
	struct reset_info info;

	EXPECT_EQ(-EINVAL, reset_info(self->sb.fd, &info));
	EXPECT_EQ(-EINVAL, hot_reset_owned(self->sb.fd));
}

/*
 * semantics: 33, 34, 61, 62, 205.  A reset, for who owns all; both devices work
 * afterwards as they did before.
 */
TEST_F(hot_reset, reset)
{
	uint16_t command;
	void *bar;

	/* Files are for those who came by a group. */
	EXPECT_EQ(-EINVAL, hot_reset(self->sa.fd, 1, (int32_t[]){ self->sa.fd }));

	ASSERT_EQ(0, cdev_enable_dma(self->sa.fd));
	bar = cdev_map_bar(self->sa.fd, 0, NULL);
	ASSERT_NE(NULL, bar);
	EXPECT_TRUE(edu_alive(bar));
	EXPECT_EQ(0, hot_reset_owned(self->sa.fd));
	ASSERT_EQ(2, config_read(self->sa.fd, PCI_COMMAND, &command, 2));
	EXPECT_NE(0, command & PCI_COMMAND_MEMORY);
	EXPECT_TRUE(edu_alive(bar));
	ASSERT_EQ(0, cdev_bind(self->sb.fd, self->sa.iommufd, NULL));
	EXPECT_EQ(0, hot_reset_owned(self->sb.fd));
	EXPECT_TRUE(edu_alive(bar));

	close_fd(&self->sb.fd);
	ASSERT_EQ(0, pci_unbind(&self->b));
	EXPECT_EQ(-EINVAL, hot_reset_owned(self->sa.fd));
}

/* semantics: 120.  Both calls' arguments; what fails has no effect. */
TEST_F(hot_reset, arguments)
{
	const uint32_t head = sizeof(struct vfio_pci_hot_reset_info);
	struct vfio_pci_hot_reset_info *info = edge_alloc(head);
	struct vfio_pci_hot_reset *reset = edge_alloc(sizeof(*reset));
	const uint32_t device = sizeof(struct vfio_pci_dependent_device);
	struct reset_info all;
	int fd = self->sa.fd;

	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, NULL));
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
				  (char *)info + 4));
	info->argsz = head - 1;
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info));
	/* Room for none, for less than both: the number is told. */
	for (info->argsz = head; info->argsz < head + 2 * device;
	     info->argsz += device - 1) {
		info->count = 77;
		info->flags = ~0u;
		EXPECT_EQ(-ENOSPC,
			  xioctl(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info));
		EXPECT_EQ(2, info->count);
		EXPECT_EQ(0, info->flags);
	}
	/* Room enough, as it says, but not there. */
	info->argsz = head + 2 * device;
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info));
	all.head.argsz = head + 2 * device;
	EXPECT_EQ(0, xioctl(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &all));
	EXPECT_EQ(2, all.head.count);

	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_PCI_HOT_RESET, NULL));
	reset->argsz = sizeof(*reset) - 1;
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_PCI_HOT_RESET, reset));
	reset->argsz = sizeof(*reset);
	reset->flags = 1;
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_PCI_HOT_RESET, reset));
	reset->flags = 0;
	EXPECT_EQ(0, xioctl(fd, VFIO_DEVICE_PCI_HOT_RESET, reset));
}

/*
 * semantics: 61, 62, 106, 205.  Who does not own the group cannot bind a device of it,
 * and leaves it to the one who does.
 */
TEST_F(hot_reset, other_iommufd)
{
	struct reset_info info;
	int other = iommufd_open();

	ASSERT_GE(other, 0);
	EXPECT_EQ(-EPERM, cdev_bind(self->sb.fd, other, NULL));
	ASSERT_EQ(0, reset_info(self->sa.fd, &info));
	EXPECT_EQ(ALL_BY_ID, info.head.flags);
	EXPECT_EQ(OWNED, reset_says(&info, &self->b));
	EXPECT_EQ(0, hot_reset_owned(self->sa.fd));
	close(other);
}

/* semantics: 54, 55, 205.  The same bus by the group of both, which is one key for two. */
TEST_F(hot_reset, by_group)
{
	struct reset_info info;
	volatile void *bar;
	struct legacy l;
	int other;

	if (!has_groups())
		SKIP(return, NO_GROUPS);
	close_fd(&self->sa.fd);
	close_fd(&self->sb.fd);
	ASSERT_EQ(0, legacy_open(&self->a, &l));
	ASSERT_EQ(0, reset_info(l.fd, &info));
	EXPECT_EQ(2, info.head.count);
	EXPECT_EQ(0, info.head.flags);
	EXPECT_EQ(self->a.group, reset_says(&info, &self->a));
	EXPECT_EQ(self->a.group, reset_says(&info, &self->b));

	ASSERT_EQ(0, cdev_enable_dma(l.fd));
	bar = cdev_map_bar(l.fd, 0, NULL);
	ASSERT_NE(NULL, bar);
	EXPECT_EQ(0, hot_reset(l.fd, 1, (int32_t[]){ l.group }));
	EXPECT_TRUE(edu_alive(bar));
	/* As often as there are devices, no oftener. */
	EXPECT_EQ(0, hot_reset(l.fd, 2, (int32_t[]){ l.group, l.group }));
	EXPECT_EQ(-EINVAL, hot_reset(l.fd, 3, (int32_t[]){ l.group, l.group, l.group }));
	EXPECT_EQ(-EINVAL, hot_reset(l.fd, 2, (int32_t[]){ l.group, l.fd }));
	EXPECT_EQ(-EINVAL, hot_reset_owned(l.fd));
	/* The sibling too, by its own file. */
	other = group_device(l.group, self->b.bdf);
	ASSERT_GE(other, 0);
	EXPECT_EQ(0, hot_reset(other, 1, (int32_t[]){ l.group }));
	EXPECT_TRUE(edu_alive(bar));
	munmap((void *)bar, 1 << 20);
	close(other);
	legacy_close(&l);
}

TEST_HARNESS_MAIN
