// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM and a group: a virtual machine is told of the group's file, and the drivers of the
 * group's devices are told of the machine at the first opening of each, which keeps the
 * machine until the last close.
 */
#include <fcntl.h>

#include "lib/group.h"
#include "lib/iommufd.h"
#include "lib/kvm.h"
#include "lib/sysfs.h"
#include "lib/test.h"
#include "lib/testdrv.h"

#define NAME "vfio-testdrv.0"

FIXTURE(group_kvm) {
	int kvm, drv, iommufd, group, fd;
	struct machine vm;
	int kvm_users;		/* with a machine that nobody uses */
	struct testdrv_calls calls;
};

FIXTURE_SETUP(group_kvm)
{
	self->kvm = -1;
	self->fd = -1;
	self->vm = (struct machine){ -1, -1 };
	/* First: what is skipped leaves no driver behind. */
	self->kvm = kvm_open();
	if (self->kvm == -ENOENT)
		SKIP(return, "no KVM here");
	self->drv = testdrv_open();
	if (self->drv == -ENOENT)
		SKIP(return, "no module vfio-testdrv");
	ASSERT_GE(self->drv, 0);
	ASSERT_GE(self->kvm, 0);
	ASSERT_EQ(0, machine_open(self->kvm, &self->vm));
	self->kvm_users = module_users("kvm");
	ASSERT_EQ(0, testdrv_create(self->drv, 0, TESTDRV_WITH_IOCTL, 0, 0));
	self->iommufd = iommufd_open();
	ASSERT_GE(self->iommufd, 0);
	self->group = testdrv_group(0);
	ASSERT_GE(self->group, 0);
	ASSERT_EQ(0, group_set(self->group, self->iommufd));
	testdrv_calls(self->drv, &self->calls);
}

FIXTURE_TEARDOWN(group_kvm)
{
	EXPECT_EQ(0, testdrv_close(self->drv));
	if (self->kvm >= 0)
		EXPECT_EQ(0, kvm_unload());
}

#define NOT_CALLED (~0ULL)

/* semantics: 45, 156, 169, 171.  From the first opening to the last close. */
TEST_F(group_kvm, before_open)
{
	uint64_t machine;
	int other;

	ASSERT_EQ(0, machine_add(&self->vm, self->group));
	/* Only noted. */
	EXPECT_EQ(self->kvm_users, module_users("kvm"));
	self->fd = group_device(self->group, NAME);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(self->kvm_users + 1, module_users("kvm"));
	machine = testdrv_seen(self->drv, &self->calls, TESTDRV_OPEN);
	EXPECT_NE(0, machine);
	EXPECT_NE(NOT_CALLED, machine);
	/* One reference, however many files, and whichever of them goes. */
	other = group_device(self->group, NAME);
	ASSERT_GE(other, 0);
	EXPECT_EQ(self->kvm_users + 1, module_users("kvm"));
	close_fd(&self->fd);
	EXPECT_EQ(self->kvm_users + 1, module_users("kvm"));
	/* KVM forgets the group, the device keeps the machine. */
	EXPECT_EQ(0, machine_del(&self->vm, self->group));
	EXPECT_EQ(self->kvm_users + 1, module_users("kvm"));
	EXPECT_EQ(NOT_CALLED, testdrv_seen(self->drv, &self->calls, TESTDRV_CLOSE));
	close(other);
	EXPECT_EQ(machine, testdrv_seen(self->drv, &self->calls, TESTDRV_CLOSE));
	EXPECT_EQ(self->kvm_users, module_users("kvm"));
}

/* semantics: 45, 156, 172.  Too late for a device that is open, in time for the next. */
TEST_F(group_kvm, after_open)
{
	int other;

	self->fd = group_device(self->group, NAME);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(0, testdrv_seen(self->drv, &self->calls, TESTDRV_OPEN));
	ASSERT_EQ(0, machine_add(&self->vm, self->group));
	EXPECT_EQ(self->kvm_users, module_users("kvm"));
	other = group_device(self->group, NAME);
	ASSERT_GE(other, 0);
	EXPECT_EQ(self->kvm_users, module_users("kvm"));
	EXPECT_EQ(NOT_CALLED, testdrv_seen(self->drv, &self->calls, TESTDRV_OPEN));
	close_fd(&self->fd);
	close(other);
	EXPECT_EQ(0, testdrv_seen(self->drv, &self->calls, TESTDRV_CLOSE));

	self->fd = group_device(self->group, NAME);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(self->kvm_users + 1, module_users("kvm"));
	EXPECT_NE(0, testdrv_seen(self->drv, &self->calls, TESTDRV_OPEN));
	/* Taken back, it is out of the game from the next opening on. */
	EXPECT_EQ(0, machine_del(&self->vm, self->group));
	close_fd(&self->fd);
	self->fd = group_device(self->group, NAME);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(0, testdrv_seen(self->drv, &self->calls, TESTDRV_OPEN));
	EXPECT_EQ(self->kvm_users, module_users("kvm"));
}

/* semantics: 43, 45, 172.  A device's file from a group is taken, and does nothing. */
TEST_F(group_kvm, file_of_the_device)
{
	int other;

	self->fd = group_device(self->group, NAME);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(0, machine_add(&self->vm, self->fd));
	EXPECT_EQ(-EEXIST, machine_add(&self->vm, self->fd));
	EXPECT_EQ(self->kvm_users, module_users("kvm"));
	other = group_device(self->group, NAME);
	ASSERT_GE(other, 0);
	EXPECT_EQ(0, machine_add(&self->vm, other));
	EXPECT_EQ(self->kvm_users, module_users("kvm"));
	EXPECT_EQ(0, machine_add(&self->vm, self->group));
	EXPECT_EQ(0, machine_del(&self->vm, other));
	close(other);
	EXPECT_EQ(0, machine_del(&self->vm, self->fd));
	close_fd(&self->fd);
	EXPECT_EQ(0, testdrv_seen(self->drv, &self->calls, TESTDRV_CLOSE));
}

/* semantics: 94, 150, 169, 171.  An opening that fails keeps no machine. */
TEST_F(group_kvm, failed_open)
{
	static const int ids[] = { TESTDRV_BIND, TESTDRV_OPEN, TESTDRV_ATTACH };

	ASSERT_EQ(0, machine_add(&self->vm, self->group));
	for (int i = 0; i < 3; i++) {
		testdrv_cmd(self->drv, TESTDRV_FAIL, 0, 0, ids[i], EUCLEAN);
		EXPECT_EQ(-EUCLEAN, group_device(self->group, NAME));
		EXPECT_EQ(self->kvm_users, module_users("kvm"));
		testdrv_cmd(self->drv, TESTDRV_FAIL, 0, 0, ids[i], 0);
	}
	ASSERT_EQ(0, group_unset(self->group));
	EXPECT_EQ(-EINVAL, group_device(self->group, NAME));
	EXPECT_EQ(self->kvm_users, module_users("kvm"));
	ASSERT_EQ(0, group_set(self->group, self->iommufd));
	testdrv_calls(self->drv, &self->calls);
	self->fd = group_device(self->group, NAME);
	ASSERT_GE(self->fd, 0);
	EXPECT_NE(0, testdrv_seen(self->drv, &self->calls, TESTDRV_OPEN));
	EXPECT_EQ(self->kvm_users + 1, module_users("kvm"));
}

/* semantics: 169, 171; defect: B24.  The machine's last user closes it. */
TEST_F(group_kvm, machine_closed_first)
{
	uint64_t machine;

	ASSERT_EQ(0, machine_add(&self->vm, self->group));
	self->fd = group_device(self->group, NAME);
	ASSERT_GE(self->fd, 0);
	machine = testdrv_seen(self->drv, &self->calls, TESTDRV_OPEN);
	EXPECT_NE(0, machine);
	machine_close(&self->vm);
	/* It lives on, and with it its module. */
	EXPECT_EQ(self->kvm_users + 1, module_users("kvm"));
	close_fd(&self->fd);
	EXPECT_EQ(machine, testdrv_seen(self->drv, &self->calls, TESTDRV_CLOSE));
	/* /dev/kvm is open. */
	EXPECT_EQ(1, module_users("kvm_amd"));
	EXPECT_EQ(1, module_users("kvm"));
	/* The group does not know it any more. */
	self->fd = group_device(self->group, NAME);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(0, testdrv_seen(self->drv, &self->calls, TESTDRV_OPEN));
}

/* semantics: 45.  It belongs to the file, and goes with it. */
TEST_F(group_kvm, group_opened_again)
{
	ASSERT_EQ(0, machine_add(&self->vm, self->group));
	/* KVM keeps the file open. */
	close_fd(&self->group);
	EXPECT_EQ(-EBUSY, testdrv_group(0));
	machine_close(&self->vm);
	self->group = testdrv_group(0);
	ASSERT_GE(self->group, 0);
	ASSERT_EQ(0, group_set(self->group, self->iommufd));
	self->fd = group_device(self->group, NAME);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(0, testdrv_seen(self->drv, &self->calls, TESTDRV_OPEN));
	EXPECT_EQ(1, module_users("kvm"));
}

/* semantics: 156, 172.  By both ways in turn, each with what it was told. */
TEST_F(group_kvm, both_ways)
{
	uint64_t machine;

	ASSERT_EQ(0, machine_add(&self->vm, self->group));
	self->fd = group_device(self->group, NAME);
	ASSERT_GE(self->fd, 0);
	machine = testdrv_seen(self->drv, &self->calls, TESTDRV_OPEN);
	close_fd(&self->fd);
	EXPECT_EQ(0, machine_del(&self->vm, self->group));
	close_fd(&self->group);
	self->fd = testdrv_cdev(0);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(0, machine_add(&self->vm, self->fd));
	testdrv_calls(self->drv, &self->calls);
	ASSERT_EQ(0, cdev_bind(self->fd, self->iommufd, NULL));
	EXPECT_EQ(machine, testdrv_seen(self->drv, &self->calls, TESTDRV_OPEN));
	EXPECT_EQ(self->kvm_users + 1, module_users("kvm"));
	EXPECT_EQ(0, machine_del(&self->vm, self->fd));
	close_fd(&self->fd);
	EXPECT_EQ(self->kvm_users, module_users("kvm"));
}

/* semantics: 43, 91, 172.  A group without devices is still a file of VFIO's. */
TEST_F(group_kvm, group_gone)
{
	ASSERT_EQ(0, testdrv_destroy(self->drv, 0));
	EXPECT_EQ(-ENODEV, group_flags(self->group));
	EXPECT_EQ(0, machine_add(&self->vm, self->group));
	EXPECT_EQ(-EEXIST, machine_add(&self->vm, self->group));
	EXPECT_EQ(0, machine_del(&self->vm, self->group));
	EXPECT_EQ(0, machine_add(&self->vm, self->group));
	close_fd(&self->group);
	EXPECT_EQ(self->kvm_users, module_users("kvm"));
}

TEST_HARNESS_MAIN
