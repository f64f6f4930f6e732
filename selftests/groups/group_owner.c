// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who owns a group and its devices, when some are opened through the group, with an
 * iommufd, and some by their own nodes; and when all are opened through the group.
 */
#include <fcntl.h>

#include "lib/edu.h"
#include "lib/group.h"
#include "lib/iommufd.h"
#include "lib/test.h"

#define PAGE 4096u
#define IOVA 0x10000000ULL

FIXTURE(group_owner) {
	struct pci a, b;	/* in one group */
	struct legacy l;	/* opened from the group: a */
	int cdev;		/* a */
	struct session s;	/* b; its iommufd is not the group's */
};

FIXTURE_SETUP(group_owner)
{
	self->l = (struct legacy){ -1, -1, -1 };
	self->cdev = -1;
	self->s = SESSION_NONE;
	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	if (pci_find_pair(EDU, &self->a, &self->b))
		SKIP(return, "no two edu devices in one group");
	ASSERT_EQ(0, session_open_unbound(&self->b, &self->s));
	ASSERT_EQ(0, legacy_open(&self->a, &self->l));
	self->cdev = cdev_open(&self->a);
	ASSERT_GE(self->cdev, 0);
}

/* Whatever a test did, both devices are free at its end. */
FIXTURE_TEARDOWN(group_owner)
{
	struct session s;
	struct legacy l;

	legacy_close(&self->l);
	close_fd(&self->cdev);
	session_close(&self->s);
	EXPECT_EQ(0, session_open(&self->b, &s));
	session_close(&s);
	EXPECT_EQ(0, legacy_open(&self->a, &l));
	legacy_close(&l);
}

/* semantics: 110, 144.  While the group is open no node of a device leads anywhere. */
TEST_F(group_owner, open_group_shuts_the_devices)
{
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(-EBUSY, cdev_bind(self->cdev, self->l.space, NULL));
		EXPECT_EQ(-EBUSY, cdev_bind(self->s.fd, self->l.space, NULL));
		EXPECT_EQ(-EBUSY, cdev_bind(self->s.fd, self->s.iommufd, NULL));
		/* Without a device of it, and without an iommufd, it is as open as before. */
		close_fd(&self->l.fd);
		EXPECT_EQ(0, i ? 0 : group_unset(self->l.group));
	}
	close_fd(&self->l.group);
	EXPECT_EQ(0, cdev_bind(self->cdev, self->l.space, NULL));
	EXPECT_EQ(0, cdev_bind(self->s.fd, self->l.space, NULL));
	EXPECT_EQ(-EBUSY, group_open(&self->a));
}

/*
 * semantics: 97, 103, 106, 110, 153.  The group's file may go before the device's: the
 * device stays taken, the group belongs to its iommufd, and the sibling is free to be
 * bound to that one.
 */
TEST_F(group_owner, group_closed)
{
	close_fd(&self->l.group);
	EXPECT_EQ(0, device_info(self->l.fd));
	EXPECT_EQ(-EINVAL, cdev_bind(self->cdev, self->l.space, NULL));
	EXPECT_EQ(-EINVAL, cdev_bind(self->cdev, self->s.iommufd, NULL));
	EXPECT_EQ(-EPERM, cdev_bind(self->s.fd, self->s.iommufd, NULL));
	EXPECT_EQ(0, device_info(self->l.fd));
	ASSERT_EQ(0, cdev_bind(self->s.fd, self->l.space, NULL));
	EXPECT_EQ(0, device_info(self->s.fd));
	EXPECT_EQ(-EBUSY, group_open(&self->a));
	close_fd(&self->l.fd);
	EXPECT_EQ(0, device_info(self->s.fd));
	EXPECT_EQ(-EBUSY, group_open(&self->a));
	EXPECT_EQ(0, cdev_bind(self->cdev, self->l.space, NULL));
}

/* semantics: 146, 151, 153, 157.  Opened again, the group finds its device open. */
TEST_F(group_owner, group_opened_again)
{
	int fd;

	close_fd(&self->l.group);
	self->l.group = group_open(&self->b);
	ASSERT_GE(self->l.group, 0);
	/* Owned, by an iommufd that the file does not know. */
	EXPECT_EQ(0, group_flags(self->l.group));
	EXPECT_EQ(-EINVAL, group_device(self->l.group, self->a.bdf));
	ASSERT_EQ(0, group_set(self->l.group, self->l.space));
	EXPECT_EQ(GROUP_SET, group_flags(self->l.group));
	fd = group_device(self->l.group, self->a.bdf);
	ASSERT_GE(fd, 0);
	close_fd(&self->l.fd);
	EXPECT_EQ(0, device_info(fd));
	EXPECT_EQ(0, group_unset(self->l.group));
	EXPECT_EQ(0, group_flags(self->l.group));
	close(fd);
	EXPECT_EQ(GROUP_VIABLE, group_flags(self->l.group));
}

/* semantics: 106, 157.  A sibling's owner keeps others out, when it comes to a device. */
TEST_F(group_owner, sibling_of_another)
{
	int fd;

	ASSERT_EQ(0, group_unset(self->l.group));
	ASSERT_EQ(0, group_set(self->l.group, self->s.iommufd));
	EXPECT_EQ(GROUP_SET, group_flags(self->l.group));
	EXPECT_EQ(-EPERM, group_device(self->l.group, self->b.bdf));
	close_fd(&self->l.fd);
	fd = group_device(self->l.group, self->b.bdf);
	EXPECT_GE(fd, 0);
	close(fd);
}

/*
 * semantics: 149, 151; defect: B2 (D2).  An open device stays with the iommufd that it
 * was opened with: another one does not lead to it on ours.  The core in C
 * gives a file, whose iommufd is not the device's.
 */
TEST_F(group_owner, another_iommufd)
{
	int copy = dup(self->l.space), fd;

	ASSERT_GE(copy, 0);
	ASSERT_EQ(0, group_unset(self->l.group));
	EXPECT_EQ(-EINVAL, group_device(self->l.group, self->a.bdf));
	ASSERT_EQ(0, group_set(self->l.group, self->s.iommufd));
	for (int i = 0; i < 2; i++) {
		fd = group_device(self->l.group, self->a.bdf);
		EXPECT_EQ(BY_CORE(0, -EINVAL), fd < 0 ? fd : 0);
		close(fd);
		EXPECT_EQ(0, device_info(self->l.fd));
	}
	/* The same one by another descriptor is the same one. */
	ASSERT_EQ(0, group_unset(self->l.group));
	ASSERT_EQ(0, group_set(self->l.group, copy));
	fd = group_device(self->l.group, self->a.bdf);
	ASSERT_GE(fd, 0);
	close_fd(&self->l.fd);
	EXPECT_EQ(0, device_info(fd));
	close(fd);
	/* Nobody has it open any more: now the other one may have it. */
	ASSERT_EQ(0, group_unset(self->l.group));
	ASSERT_EQ(0, group_set(self->l.group, self->s.iommufd));
	fd = group_device(self->l.group, self->a.bdf);
	EXPECT_GE(fd, 0);
	EXPECT_EQ(0, device_info(fd));
	close(fd);
	close(copy);
}

/* semantics: 110, 144, 195.  A device that is bound shuts the group out, to its last. */
TEST_F(group_owner, bound_device_shuts_the_group)
{
	legacy_close(&self->l);
	ASSERT_EQ(0, cdev_bind(self->s.fd, self->s.iommufd, NULL));
	EXPECT_EQ(-EBUSY, group_open(&self->a));
	close_fd(&self->s.fd);
	ASSERT_EQ(0, legacy_open(&self->a, &self->l));
	EXPECT_EQ(0, device_info(self->l.fd));
}

/* semantics: 106.  The owner of a group may be found by both open paths. */
TEST_F(group_owner, same_iommufd_in_both_ways)
{
	uint32_t ioas, pt;

	close_fd(&self->l.group);
	ASSERT_EQ(0, cdev_bind(self->s.fd, self->l.space, NULL));
	ASSERT_EQ(0, compat_ioas_get(self->l.space, &ioas));
	pt = ioas;
	EXPECT_EQ(0, cdev_attach(self->s.fd, &pt));
	EXPECT_EQ(0, cdev_detach(self->s.fd));
	/* The group is attached as one: no second address space for its other half. */
	ASSERT_EQ(0, ioas_alloc(self->l.space, &ioas));
	pt = ioas;
	EXPECT_EQ(-EINVAL, cdev_attach(self->s.fd, &pt));
	close_fd(&self->l.fd);
	pt = ioas;
	EXPECT_EQ(0, cdev_attach(self->s.fd, &pt));
}

/* semantics: 97, 144, 150.  Both devices through the group. */
TEST(both_by_group)
{
	char *page = pages_alloc(2 * PAGE);
	volatile void *bar[2];
	struct pci a, b;
	struct legacy l;
	int fd;

	if (pci_find_pair(EDU, &a, &b))
		SKIP(return, "no two edu devices in one group");
	ASSERT_EQ(0, pci_to_vfio(&b));
	ASSERT_EQ(0, legacy_open(&a, &l));
	fd = group_device(l.group, b.bdf);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, cdev_enable_dma(l.fd));
	ASSERT_EQ(0, cdev_enable_dma(fd));
	bar[0] = cdev_map_bar(l.fd, 0, NULL);
	bar[1] = cdev_map_bar(fd, 0, NULL);
	ASSERT_NE(NULL, bar[0]);
	ASSERT_NE(NULL, bar[1]);
	/* One address space: one reads by it, the other writes. */
	ASSERT_EQ(0, compat_map(l.space, page, 2 * PAGE, IOVA));
	memset(page, 0x77, PAGE);
	for (int i = 0; i < 2; i++) {
		memset(page + PAGE, 0, PAGE);
		EXPECT_TRUE(edu_dma_in(bar[i], IOVA, PAGE));
		EXPECT_TRUE(edu_dma_out(bar[i], IOVA + PAGE, PAGE));
		EXPECT_EQ(0, memcmp(page, page + PAGE, PAGE));
	}
	munmap((void *)bar[0], 0x100000);
	close_fd(&l.fd);
	EXPECT_EQ(0, device_info(fd));
	memset(page + PAGE, 0, PAGE);
	EXPECT_TRUE(edu_dma_out(bar[1], IOVA + PAGE, PAGE));
	EXPECT_EQ(0, memcmp(page, page + PAGE, PAGE));
	munmap((void *)bar[1], 0x100000);
	close(fd);
	legacy_close(&l);
	EXPECT_TRUE(group_is_free(&a));
}

TEST_HARNESS_MAIN
