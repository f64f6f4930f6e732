// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM and a device that is opened through a container: its driver sees the machine of
 * the group's file from the first opening to the last close, whatever else is closed
 * meanwhile.
 */
#include <fcntl.h>

#include "lib/container.h"
#include "lib/kvm.h"
#include "lib/test.h"

FIXTURE(container_kvm) {
	int container, group, fd;
	struct observer o;
};

FIXTURE_SETUP(container_kvm)
{
	int ret;

	self->fd = -1;
	if (!has_containers())
		SKIP(return, NO_CONTAINERS);
	ret = observer_open(&self->o, TESTDRV_WITH_IOCTL);
	if (ret == -ENOENT)
		SKIP(return, NO_OBSERVER);
	ASSERT_EQ(0, ret);
	self->container = container_open();
	ASSERT_GE(self->container, 0);
	self->group = testdrv_group(0);
	ASSERT_GE(self->group, 0);
	ASSERT_EQ(0, group_set(self->group, self->container));
	ASSERT_EQ(0, container_set_iommu(self->container, VFIO_TYPE1v2_IOMMU));
}

FIXTURE_TEARDOWN(container_kvm)
{
	EXPECT_EQ(0, observer_close(&self->o));
}

/* semantics: 94, 156, 169, 171 */
TEST_F(container_kvm, first_open_to_last_close)
{
	uint64_t machine;
	int other;

	ASSERT_EQ(0, machine_add(&self->o.vm, self->group));
	EXPECT_EQ(0, observer_references(&self->o));
	/* An opening that fails leaves no reference. */
	testdrv_fail(self->o.drv, 0, TESTDRV_OPEN, EUCLEAN);
	EXPECT_EQ(-EUCLEAN, group_device(self->group, TESTDRV_DEVICE));
	EXPECT_NE(0, observer_saw(&self->o, TESTDRV_OPEN));
	EXPECT_EQ(0, observer_references(&self->o));
	testdrv_fail(self->o.drv, 0, TESTDRV_OPEN, 0);
	self->fd = group_device(self->group, TESTDRV_DEVICE);
	ASSERT_GE(self->fd, 0);
	machine = observer_saw(&self->o, TESTDRV_OPEN);
	EXPECT_NE(0, machine);
	EXPECT_NE(NOT_CALLED, machine);
	EXPECT_EQ(1, observer_references(&self->o));
	other = group_device(self->group, TESTDRV_DEVICE);
	ASSERT_GE(other, 0);
	close_fd(&self->fd);
	EXPECT_EQ(0, machine_del(&self->o.vm, self->group));
	EXPECT_EQ(1, observer_references(&self->o));
	close(other);
	EXPECT_EQ(machine, observer_saw(&self->o, TESTDRV_CLOSE));
	EXPECT_EQ(0, observer_references(&self->o));
}

/* semantics: 156.  A machine that comes later is for the next opening. */
TEST_F(container_kvm, added_later)
{
	for (int i = 0; i < 2; i++) {
		self->fd = group_device(self->group, TESTDRV_DEVICE);
		ASSERT_GE(self->fd, 0);
		EXPECT_EQ(i, !!observer_saw(&self->o, TESTDRV_OPEN));
		if (!i)
			ASSERT_EQ(0, machine_add(&self->o.vm, self->group));
		EXPECT_EQ(i, observer_references(&self->o));
		close_fd(&self->fd);
		EXPECT_EQ(i, !!observer_saw(&self->o, TESTDRV_CLOSE));
	}
	/* Without its driver's side there is no opening, and no machine. */
	ASSERT_EQ(0, group_unset(self->group));
	ASSERT_EQ(0, group_set(self->group, self->container));
	EXPECT_EQ(-EINVAL, group_device(self->group, TESTDRV_DEVICE));
	EXPECT_EQ(0, observer_references(&self->o));
	EXPECT_EQ(NOT_CALLED, observer_saw(&self->o, TESTDRV_OPEN));
}

/*
 * semantics: 156, 165, 171; defect: B24.  The device's file is the last of all: its close
 * ends the machine, and takes group and driver out of the container.
 */
TEST_F(container_kvm, the_device_holds_the_machine)
{
	ASSERT_EQ(0, machine_add(&self->o.vm, self->group));
	self->fd = group_device(self->group, TESTDRV_DEVICE);
	ASSERT_GE(self->fd, 0);
	machine_close(&self->o.vm);
	close_fd(&self->o.kvm);
	close_fd(&self->group);
	close_fd(&self->container);
	EXPECT_GT(module_users("kvm"), 0);
	EXPECT_NE(0, observer_saw(&self->o, TESTDRV_OPEN));
	close_fd(&self->fd);
	EXPECT_NE(0, observer_saw(&self->o, TESTDRV_CLOSE));
	EXPECT_EQ(0, module_users("kvm_amd"));
	/* For the end of the test. */
	self->o.kvm = kvm_open();
	EXPECT_GE(self->o.kvm, 0);
}

TEST_HARNESS_MAIN
