// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM and a device that is opened by way of a container: its driver sees the machine of
 * the group's file from the first opening to the last close, whatever else is closed
 * meanwhile.
 */
#include <fcntl.h>

#include "lib/container.h"
#include "lib/kvm.h"
#include "lib/test.h"
#include "lib/testdrv.h"

#define NAME "vfio-testdrv.0"
#define NOT_CALLED (~0ULL)

FIXTURE(container_kvm) {
	int kvm, drv, container, group, fd;
	struct machine vm;
	int kvm_users;		/* with a machine that nobody uses */
	struct testdrv_calls calls;
};

FIXTURE_SETUP(container_kvm)
{
	self->kvm = -1;
	self->fd = -1;
	self->vm = (struct machine){ -1, -1 };
	if (!has_containers())
		SKIP(return, NO_CONTAINERS);
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
	self->container = container_open();
	ASSERT_GE(self->container, 0);
	self->group = testdrv_group(0);
	ASSERT_GE(self->group, 0);
	ASSERT_EQ(0, group_set(self->group, self->container));
	ASSERT_EQ(0, container_set_iommu(self->container, VFIO_TYPE1v2_IOMMU));
	testdrv_calls(self->drv, &self->calls);
}

FIXTURE_TEARDOWN(container_kvm)
{
	EXPECT_EQ(0, testdrv_close(self->drv));
	if (self->kvm >= 0)
		EXPECT_EQ(0, kvm_unload());
}

/* semantics: 94, 156, 169, 171 */
TEST_F(container_kvm, first_open_to_last_close)
{
	uint64_t machine;
	int other;

	ASSERT_EQ(0, machine_add(&self->vm, self->group));
	EXPECT_EQ(self->kvm_users, module_users("kvm"));
	/* An opening that fails leaves no reference. */
	testdrv_cmd(self->drv, TESTDRV_FAIL, 0, 0, TESTDRV_OPEN, EUCLEAN);
	EXPECT_EQ(-EUCLEAN, group_device(self->group, NAME));
	EXPECT_NE(0, testdrv_seen(self->drv, &self->calls, TESTDRV_OPEN));
	EXPECT_EQ(self->kvm_users, module_users("kvm"));
	testdrv_cmd(self->drv, TESTDRV_FAIL, 0, 0, TESTDRV_OPEN, 0);
	self->fd = group_device(self->group, NAME);
	ASSERT_GE(self->fd, 0);
	machine = testdrv_seen(self->drv, &self->calls, TESTDRV_OPEN);
	EXPECT_NE(0, machine);
	EXPECT_NE(NOT_CALLED, machine);
	EXPECT_EQ(self->kvm_users + 1, module_users("kvm"));
	other = group_device(self->group, NAME);
	ASSERT_GE(other, 0);
	close_fd(&self->fd);
	EXPECT_EQ(0, machine_del(&self->vm, self->group));
	EXPECT_EQ(self->kvm_users + 1, module_users("kvm"));
	close(other);
	EXPECT_EQ(machine, testdrv_seen(self->drv, &self->calls, TESTDRV_CLOSE));
	EXPECT_EQ(self->kvm_users, module_users("kvm"));
}

/* semantics: 156.  A machine that comes later is for the next opening. */
TEST_F(container_kvm, added_later)
{
	for (int i = 0; i < 2; i++) {
		self->fd = group_device(self->group, NAME);
		ASSERT_GE(self->fd, 0);
		EXPECT_EQ(i, !!testdrv_seen(self->drv, &self->calls, TESTDRV_OPEN));
		if (!i)
			ASSERT_EQ(0, machine_add(&self->vm, self->group));
		EXPECT_EQ(self->kvm_users + i, module_users("kvm"));
		close_fd(&self->fd);
		EXPECT_EQ(i, !!testdrv_seen(self->drv, &self->calls, TESTDRV_CLOSE));
	}
	/* Without its driver's side there is no opening, and no machine. */
	ASSERT_EQ(0, group_unset(self->group));
	ASSERT_EQ(0, group_set(self->group, self->container));
	EXPECT_EQ(-EINVAL, group_device(self->group, NAME));
	EXPECT_EQ(self->kvm_users, module_users("kvm"));
	EXPECT_EQ(NOT_CALLED, testdrv_seen(self->drv, &self->calls, TESTDRV_OPEN));
}

/*
 * semantics: 156, 165, 171; defect: B24.  The device's file is the last of all: its close
 * ends the machine, and takes group and driver out of the container.
 */
TEST_F(container_kvm, the_device_holds_the_machine)
{
	ASSERT_EQ(0, machine_add(&self->vm, self->group));
	self->fd = group_device(self->group, NAME);
	ASSERT_GE(self->fd, 0);
	machine_close(&self->vm);
	close_fd(&self->kvm);
	close_fd(&self->group);
	close_fd(&self->container);
	EXPECT_GT(module_users("kvm"), 0);
	EXPECT_NE(0, testdrv_seen(self->drv, &self->calls, TESTDRV_OPEN));
	close_fd(&self->fd);
	EXPECT_NE(0, testdrv_seen(self->drv, &self->calls, TESTDRV_CLOSE));
	EXPECT_EQ(0, module_users("kvm_amd"));
	/* For the end of the test. */
	self->kvm = kvm_open();
	EXPECT_GE(self->kvm, 0);
}

TEST_HARNESS_MAIN
