// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reset of a bus with two devices, by a user of one who must own both: which
 * devices it concerns and whose they are, vfio-pci asks the core.
 */
#include <linux/pci_regs.h>

#include "lib/cdev.h"
#include "lib/edu.h"
#include "lib/hot_reset.h"
#include "lib/iommufd.h"
#include "lib/test.h"

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

/* semantics: 17, 61, 62, 205.  Numbers of devices of one's own, and what stands for one. */
TEST_F(hot_reset, info)
{
	struct reset_info info;
	uint32_t devid_b;

	/* The sibling is not bound: it is the user's, for its group is. */
	ASSERT_EQ(0, reset_info(self->fd_a, &info));
	EXPECT_EQ(2, info.head.count);
	EXPECT_EQ(ALL_BY_ID, info.head.flags);
	EXPECT_EQ((int)self->devid, reset_says(&info, &self->a));
	EXPECT_EQ(OWNED, reset_says(&info, &self->b));

	ASSERT_EQ(0, cdev_bind(self->fd_b, self->iommufd, &devid_b));
	ASSERT_EQ(0, reset_info(self->fd_a, &info));
	EXPECT_EQ(ALL_BY_ID, info.head.flags);
	EXPECT_EQ((int)self->devid, reset_says(&info, &self->a));
	EXPECT_EQ((int)devid_b, reset_says(&info, &self->b));
	ASSERT_EQ(0, reset_info(self->fd_b, &info));
	EXPECT_EQ((int)self->devid, reset_says(&info, &self->a));

	close(self->fd_b);
	self->fd_b = -1;
	ASSERT_EQ(0, reset_info(self->fd_a, &info));
	EXPECT_EQ(OWNED, reset_says(&info, &self->b));
	/* One that VFIO does not have is nobody's. */
	ASSERT_EQ(0, pci_unbind(&self->b));
	ASSERT_EQ(0, reset_info(self->fd_a, &info));
	EXPECT_EQ(BY_ID, info.head.flags);
	EXPECT_EQ((int)self->devid, reset_says(&info, &self->a));
	EXPECT_EQ(NOT_OWNED, reset_says(&info, &self->b));
}

/* semantics: 205.  Neither call is for who has not bound the device. */
TEST_F(hot_reset, unbound)
{
	struct reset_info info;

	EXPECT_EQ(-EINVAL, reset_info(self->fd_b, &info));
	EXPECT_EQ(-EINVAL, hot_reset_owned(self->fd_b));
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
	EXPECT_EQ(-EINVAL, hot_reset(self->fd_a, 1, (int32_t[]){ self->fd_a }));

	ASSERT_EQ(0, cdev_enable_dma(self->fd_a));
	bar = cdev_map_bar(self->fd_a, 0, NULL);
	ASSERT_NE(NULL, bar);
	EXPECT_TRUE(edu_alive(bar));
	EXPECT_EQ(0, hot_reset_owned(self->fd_a));
	ASSERT_EQ(2, config_read(self->fd_a, PCI_COMMAND, &command, 2));
	EXPECT_NE(0, command & PCI_COMMAND_MEMORY);
	EXPECT_TRUE(edu_alive(bar));
	ASSERT_EQ(0, cdev_bind(self->fd_b, self->iommufd, NULL));
	EXPECT_EQ(0, hot_reset_owned(self->fd_b));
	EXPECT_TRUE(edu_alive(bar));

	close(self->fd_b);
	self->fd_b = -1;
	ASSERT_EQ(0, pci_unbind(&self->b));
	EXPECT_EQ(-EINVAL, hot_reset_owned(self->fd_a));
}

TEST_HARNESS_MAIN
