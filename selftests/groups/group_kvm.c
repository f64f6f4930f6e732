// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM and a group: a virtual machine is told of the group's file, and the drivers of the
 * group's devices are told of the machine at the first opening of each, which keeps the
 * machine until the last close.
 */
#include <fcntl.h>

#include "lib/group.h"
#include "lib/introspect.h"
#include "lib/kvm.h"
#include "lib/space.h"
#include "lib/sysfs.h"
#include "lib/test.h"


FIXTURE(group_kvm) {
	int space, group, fd;
	struct observer o;
};

FIXTURE_SETUP(group_kvm)
{
	int ret = observer_open(&self->o, TESTDRV_WITH_IOCTL);

	self->fd = -1;
	if (ret == -ENOENT)
		SKIP(return, NO_OBSERVER);
	ASSERT_EQ(0, ret);
	self->space = space_open();
	ASSERT_GE(self->space, 0);
	self->group = testdrv_group(0);
	ASSERT_GE(self->group, 0);
	ASSERT_EQ(0, space_set(self->group, self->space));
}

FIXTURE_TEARDOWN(group_kvm)
{
	EXPECT_EQ(0, observer_close(&self->o));
}

/* semantics: 45, 156, 169, 171.  From the first opening to the last close. */
TEST_F(group_kvm, before_open)
{
	uint64_t machine;
	int other;

	ASSERT_EQ(0, machine_add(&self->o.vm, self->group));
	/* Only noted. */
	EXPECT_EQ(0, observer_references(&self->o));
	self->fd = group_device(self->group, TESTDRV_DEVICE);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(1, observer_references(&self->o));
	machine = observer_saw(&self->o, TESTDRV_OPEN);
	EXPECT_NE(0, machine);
	EXPECT_NE(NOT_CALLED, machine);
	/* One reference, however many files, and whichever of them goes. */
	other = group_device(self->group, TESTDRV_DEVICE);
	ASSERT_GE(other, 0);
	EXPECT_EQ(1, observer_references(&self->o));
	close_fd(&self->fd);
	EXPECT_EQ(1, observer_references(&self->o));
	/* KVM forgets the group, the device keeps the machine. */
	EXPECT_EQ(0, machine_del(&self->o.vm, self->group));
	EXPECT_EQ(1, observer_references(&self->o));
	EXPECT_EQ(NOT_CALLED, observer_saw(&self->o, TESTDRV_CLOSE));
	close(other);
	EXPECT_EQ(machine, observer_saw(&self->o, TESTDRV_CLOSE));
	EXPECT_EQ(0, observer_references(&self->o));
}

/* semantics: 45, 156, 172.  Too late for a device that is open, in time for the next. */
TEST_F(group_kvm, after_open)
{
	int other;

	self->fd = group_device(self->group, TESTDRV_DEVICE);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(0, observer_saw(&self->o, TESTDRV_OPEN));
	ASSERT_EQ(0, machine_add(&self->o.vm, self->group));
	EXPECT_EQ(0, observer_references(&self->o));
	other = group_device(self->group, TESTDRV_DEVICE);
	ASSERT_GE(other, 0);
	EXPECT_EQ(0, observer_references(&self->o));
	EXPECT_EQ(NOT_CALLED, observer_saw(&self->o, TESTDRV_OPEN));
	close_fd(&self->fd);
	close(other);
	EXPECT_EQ(0, observer_saw(&self->o, TESTDRV_CLOSE));

	self->fd = group_device(self->group, TESTDRV_DEVICE);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(1, observer_references(&self->o));
	EXPECT_NE(0, observer_saw(&self->o, TESTDRV_OPEN));
	/* Taken back, it is out of the game from the next opening on. */
	EXPECT_EQ(0, machine_del(&self->o.vm, self->group));
	close_fd(&self->fd);
	self->fd = group_device(self->group, TESTDRV_DEVICE);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(0, observer_saw(&self->o, TESTDRV_OPEN));
	EXPECT_EQ(0, observer_references(&self->o));
}

/* semantics: 43, 45, 172.  A device's file from a group is taken, and does nothing. */
TEST_F(group_kvm, file_of_the_device)
{
	int other;

	self->fd = group_device(self->group, TESTDRV_DEVICE);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(0, machine_add(&self->o.vm, self->fd));
	EXPECT_EQ(-EEXIST, machine_add(&self->o.vm, self->fd));
	EXPECT_EQ(0, observer_references(&self->o));
	other = group_device(self->group, TESTDRV_DEVICE);
	ASSERT_GE(other, 0);
	EXPECT_EQ(0, machine_add(&self->o.vm, other));
	EXPECT_EQ(0, observer_references(&self->o));
	EXPECT_EQ(0, machine_add(&self->o.vm, self->group));
	EXPECT_EQ(0, machine_del(&self->o.vm, other));
	close(other);
	EXPECT_EQ(0, machine_del(&self->o.vm, self->fd));
	close_fd(&self->fd);
	EXPECT_EQ(0, observer_saw(&self->o, TESTDRV_CLOSE));
}

/* semantics: 94, 150, 169, 171.  An opening that fails keeps no machine. */
TEST_F(group_kvm, failed_open)
{
	static const int ids[] = { TESTDRV_BIND, TESTDRV_OPEN, TESTDRV_ATTACH };

	ASSERT_EQ(0, machine_add(&self->o.vm, self->group));
	for (int i = 0; i < 3; i++) {
		/* In a container nothing is bound and nothing attached. */
		if (!has_iommufd() && ids[i] != TESTDRV_OPEN)
			continue;
		testdrv_fail(self->o.drv, 0, ids[i], EUCLEAN);
		EXPECT_EQ(-EUCLEAN, group_device(self->group, TESTDRV_DEVICE));
		EXPECT_EQ(0, observer_references(&self->o));
		testdrv_fail(self->o.drv, 0, ids[i], 0);
	}
	ASSERT_EQ(0, group_unset(self->group));
	EXPECT_EQ(-EINVAL, group_device(self->group, TESTDRV_DEVICE));
	EXPECT_EQ(0, observer_references(&self->o));
	ASSERT_EQ(0, space_set(self->group, self->space));
	testdrv_calls(self->o.drv, &self->o.calls);
	self->fd = group_device(self->group, TESTDRV_DEVICE);
	ASSERT_GE(self->fd, 0);
	EXPECT_NE(0, observer_saw(&self->o, TESTDRV_OPEN));
	EXPECT_EQ(1, observer_references(&self->o));
}

/* semantics: 169, 171; defect: B24.  The machine's last user closes it. */
TEST_F(group_kvm, machine_closed_first)
{
	ASSERT_EQ(0, machine_add(&self->o.vm, self->group));
	self->fd = group_device(self->group, TESTDRV_DEVICE);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(0, observer_close_machine(&self->o, &self->fd));
	/* The group does not know it any more. */
	self->fd = group_device(self->group, TESTDRV_DEVICE);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(0, observer_saw(&self->o, TESTDRV_OPEN));
}

/* semantics: 45.  It belongs to the file, and goes with it. */
TEST_F(group_kvm, group_opened_again)
{
	ASSERT_EQ(0, machine_add(&self->o.vm, self->group));
	/* KVM keeps the file open. */
	close_fd(&self->group);
	EXPECT_EQ(-EBUSY, testdrv_group(0));
	machine_close(&self->o.vm);
	self->group = testdrv_group(0);
	ASSERT_GE(self->group, 0);
	ASSERT_EQ(0, space_set(self->group, self->space));
	self->fd = group_device(self->group, TESTDRV_DEVICE);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(0, observer_saw(&self->o, TESTDRV_OPEN));
	EXPECT_EQ(1, module_users("kvm"));
}

/* semantics: 156, 172.  By both open paths in turn, each with what it was told. */
TEST_F(group_kvm, both_ways)
{
	uint64_t machine;

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	ASSERT_EQ(0, machine_add(&self->o.vm, self->group));
	self->fd = group_device(self->group, TESTDRV_DEVICE);
	ASSERT_GE(self->fd, 0);
	machine = observer_saw(&self->o, TESTDRV_OPEN);
	close_fd(&self->fd);
	EXPECT_EQ(0, machine_del(&self->o.vm, self->group));
	close_fd(&self->group);
	self->fd = testdrv_cdev(0);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(0, machine_add(&self->o.vm, self->fd));
	testdrv_calls(self->o.drv, &self->o.calls);
	ASSERT_EQ(0, cdev_bind(self->fd, self->space, NULL));
	EXPECT_EQ(machine, observer_saw(&self->o, TESTDRV_OPEN));
	EXPECT_EQ(1, observer_references(&self->o));
	EXPECT_EQ(0, machine_del(&self->o.vm, self->fd));
	close_fd(&self->fd);
	EXPECT_EQ(0, observer_references(&self->o));
}

/* semantics: 43, 91, 172.  A group without devices is still a file of VFIO's. */
TEST_F(group_kvm, group_gone)
{
	ASSERT_EQ(0, testdrv_destroy(self->o.drv, 0));
	EXPECT_EQ(-ENODEV, group_flags(self->group));
	EXPECT_EQ(0, machine_add(&self->o.vm, self->group));
	EXPECT_EQ(-EEXIST, machine_add(&self->o.vm, self->group));
	EXPECT_EQ(0, machine_del(&self->o.vm, self->group));
	EXPECT_EQ(0, machine_add(&self->o.vm, self->group));
	close_fd(&self->group);
	EXPECT_EQ(0, observer_references(&self->o));
}

static bool says(int fd, const char *line)
{
	char text[1024];

	/* The last line comes without its end. */
	snprintf(text, sizeof(text), "%s\n", core_lines(fd));
	return strstr(text, line);
}

/* D11.  Each file of a device that holds the machine of its group says so; the group's file holds none. */
TEST_F(group_kvm, shown)
{
	int other;

	ASSERT_EQ(0, machine_add(&self->o.vm, self->group));
	EXPECT_STREQ("", core_lines(self->group));
	self->fd = group_device(self->group, TESTDRV_DEVICE);
	ASSERT_GE(self->fd, 0);
	other = group_device(self->group, TESTDRV_DEVICE);
	ASSERT_GE(other, 0);
	EXPECT_EQ(core_is_rust(), says(self->fd, "\nvfio-kvm-machine: held\n"));
	EXPECT_EQ(core_is_rust(), says(other, "\nvfio-kvm-machine: held\n"));
	EXPECT_FALSE(says(other, "vfio-kvm-devices"));
	ASSERT_EQ(0, machine_add(&self->o.vm, other));
	EXPECT_EQ(core_is_rust(), says(other, "\nvfio-kvm-devices: 1\n"));
	EXPECT_FALSE(says(self->fd, "vfio-kvm-devices"));
	/* The group's machine stays until the last close. */
	machine_close(&self->o.vm);
	EXPECT_FALSE(says(other, "vfio-kvm-devices"));
	close(other);
	EXPECT_EQ(core_is_rust(), says(self->fd, "\nvfio-kvm-machine: held\n"));
	close_fd(&self->fd);
	self->fd = group_device(self->group, TESTDRV_DEVICE);
	ASSERT_GE(self->fd, 0);
	EXPECT_FALSE(says(self->fd, "vfio-kvm"));
}

TEST_HARNESS_MAIN
