// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hot reset by the holder of groups: vfio-pci asks the core which device is in the group of
 * which file.
 */
#include <fcntl.h>
#include <sys/eventfd.h>

#include "lib/group.h"
#include "lib/hot_reset.h"
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

/* semantics: 17, 62, 205.  By the group the groups count, by the device its id. */
TEST_F(group_reset, info)
{
	struct reset_info info;
	uint32_t devid;
	int fd;

	ASSERT_EQ(0, reset_info(self->l.fd, &info));
	EXPECT_EQ(1, info.head.count);
	EXPECT_EQ(0, info.head.flags);
	EXPECT_EQ(self->pci.group, reset_says(&info, &self->pci));
	legacy_close(&self->l);

	self->l.space = iommufd_open();
	fd = cdev_open(&self->pci);
	ASSERT_EQ(0, cdev_bind(fd, self->l.space, &devid));
	ASSERT_EQ(0, reset_info(fd, &info));
	EXPECT_EQ(1, info.head.count);
	EXPECT_EQ(ALL_BY_ID, info.head.flags);
	EXPECT_EQ((int)devid, reset_says(&info, &self->pci));
	close(fd);
}

/* semantics: 54, 55, 205.  Who does not show all the groups resets nothing. */
TEST_F(group_reset, refused)
{
	int event = eventfd(0, EFD_CLOEXEC), other, fd;

	ASSERT_EQ(0, pci_to_vfio(&self->other));
	other = group_open(&self->other);
	ASSERT_GE(other, 0);
	EXPECT_EQ(-EINVAL, hot_reset(self->l.fd, 0, NULL));
	EXPECT_EQ(-EBADF, hot_reset(self->l.fd, 1, (int32_t[]){ -1 }));
	EXPECT_EQ(-EINVAL, hot_reset(self->l.fd, 1, (int32_t[]){ event }));
	EXPECT_EQ(-EINVAL, hot_reset(self->l.fd, 1, (int32_t[]){ self->l.fd }));
	EXPECT_EQ(-EINVAL, hot_reset(self->l.fd, 1, (int32_t[]){ self->l.space }));
	EXPECT_EQ(-EINVAL, hot_reset(self->l.fd, 1, (int32_t[]){ other }));
	/* More groups than devices. */
	EXPECT_EQ(-EINVAL, hot_reset(self->l.fd, 2, (int32_t[]){ self->l.group, other }));
	legacy_close(&self->l);

	/* For a bound device no group is the right one. */
	self->l.space = iommufd_open();
	fd = cdev_open(&self->pci);
	ASSERT_EQ(0, cdev_bind(fd, self->l.space, NULL));
	EXPECT_EQ(-EINVAL, hot_reset(fd, 1, (int32_t[]){ other }));
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

	EXPECT_TRUE(allowed(hot_reset(self->l.fd, 1, (int32_t[]){ self->l.group })));
	EXPECT_EQ(0, device_info(self->l.fd));
	/* Opened again, without an iommufd, it still is. */
	close_fd(&self->l.group);
	self->l.group = group_open(&self->pci);
	ASSERT_GE(self->l.group, 0);
	EXPECT_TRUE(allowed(hot_reset(self->l.fd, 1, (int32_t[]){ self->l.group })));
	/* The file of a group that is no more is not. */
	close_fd(&self->l.fd);
	old = self->l.group;
	ASSERT_EQ(0, pci_unbind(&self->pci));
	ASSERT_EQ(0, legacy_open(&self->pci, &self->l));
	EXPECT_EQ(-EINVAL, hot_reset(self->l.fd, 1, (int32_t[]){ old }));
	EXPECT_TRUE(allowed(hot_reset(self->l.fd, 1, (int32_t[]){ self->l.group })));
	close(old);
}

TEST_HARNESS_MAIN
