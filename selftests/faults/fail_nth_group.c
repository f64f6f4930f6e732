// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory runs out, at every place where it can, when a device is opened through its group
 * and an iommufd: the call says so, nothing is left of it, and it can be made again.
 */
#include <fcntl.h>

#include "lib/fault.h"
#include "lib/group.h"
#include "lib/iommufd.h"
#include "lib/test.h"
#include "lib/testdrv.h"

FIXTURE(fail_nth_group) {
	struct pci pci;
	struct sweep sweep;
	struct legacy l;
};

FIXTURE_SETUP(fail_nth_group)
{
	int ret;

	self->l = (struct legacy){ -1, -1, -1 };
	if (pci_find(TESTDEV, 0, &self->pci))
		SKIP(return, "no iommu-testdev");
	ret = sweep_open(&self->sweep, &self->pci);
	if (self->sweep.fault < 0)
		SKIP(return, NO_FAULTS);
	ASSERT_EQ(0, ret);
	self->l.space = iommufd_open();
	self->l.group = group_open(&self->pci);
	ASSERT_GE(self->l.space, 0);
	ASSERT_GE(self->l.group, 0);
}

/* Nothing that failed has left a file, an owner, a reference or a module's user behind. */
FIXTURE_TEARDOWN(fail_nth_group)
{
	struct session s;

	if (self->l.group < 0)
		return;
	legacy_close(&self->l);
	EXPECT_EQ(0, session_open(&self->pci, &s));
	session_close(&s);
	EXPECT_EQ(0, sweep_close(&self->sweep, &self->pci));
}

static int op_set(void *arg)
{
	const struct legacy *l = arg;

	return group_set(l->group, l->space);
}

/* semantics: 147.  What could not be set is not set. */
TEST_F(fail_nth_group, set_container)
{
	uint32_t id;

	do {
		int ret;

		close_fd(&self->l.space);
		self->l.space = iommufd_open();
		ret = sweep_call(&self->sweep, op_set, &self->l);
		EXPECT_TRUE(sweep_fine(&self->sweep, ret));
		EXPECT_EQ(ret ? GROUP_VIABLE : GROUP_SET, group_flags(self->l.group));
		EXPECT_EQ(ret ? -ENODEV : 0, compat_ioas_get(self->l.space, &id));
		if (ret) {
			EXPECT_EQ(-EINVAL, group_unset(self->l.group));
			EXPECT_EQ(0, op_set(&self->l));
		}
		EXPECT_EQ(0, group_unset(self->l.group));
	} while (self->sweep.hit);
	EXPECT_GT(self->sweep.failures, 0);
}

static int op_unset(void *arg)
{
	return group_unset(((struct legacy *)arg)->group);
}

static int op_status(void *arg)
{
	return group_flags(((struct legacy *)arg)->group);
}

/* semantics: 146, 149.  These take no memory. */
TEST_F(fail_nth_group, unset_and_status)
{
	ASSERT_EQ(0, op_set(&self->l));
	EXPECT_EQ(GROUP_SET, sweep_call(&self->sweep, op_status, &self->l));
	EXPECT_FALSE(self->sweep.hit);
	sweep_again(&self->sweep);
	EXPECT_EQ(0, sweep_call(&self->sweep, op_unset, &self->l));
	EXPECT_FALSE(self->sweep.hit);
	EXPECT_EQ(GROUP_VIABLE, group_flags(self->l.group));
}

struct op_device {
	int group;
	const char *name;
};

static int op_device(void *arg)
{
	const struct op_device *op = arg;

	return group_device(op->group, op->name);
}

/* semantics: 94, 150, 153.  The first file: the device is opened, or it is not. */
TEST_F(fail_nth_group, get_device_fd)
{
	struct op_device op = { self->l.group, self->pci.bdf };

	ASSERT_EQ(0, op_set(&self->l));
	do {
		int fd = sweep_call(&self->sweep, op_device, &op);

		EXPECT_TRUE(sweep_fine_iommufd(&self->sweep, fd));
		EXPECT_EQ(GROUP_SET, group_flags(self->l.group));
		if (fd < 0) {
			/* Nobody owns the group. */
			EXPECT_EQ(0, group_unset(self->l.group));
			EXPECT_EQ(GROUP_VIABLE, group_flags(self->l.group));
			EXPECT_EQ(0, op_set(&self->l));
			EXPECT_EQ(self->sweep.driver, module_users("vfio_pci"));
			fd = op_device(&op);
			ASSERT_GE(fd, 0);
		}
		EXPECT_EQ(self->sweep.driver + 1, module_users("vfio_pci"));
		EXPECT_EQ(0, device_info(fd));
		close(fd);
	} while (self->sweep.hit);
	EXPECT_GT(self->sweep.failures, 5);
}

/* semantics: 97, 151.  A further file: the first one does not notice. */
TEST_F(fail_nth_group, another_device_fd)
{
	struct op_device op = { self->l.group, self->pci.bdf };

	ASSERT_EQ(0, op_set(&self->l));
	self->l.fd = op_device(&op);
	ASSERT_GE(self->l.fd, 0);
	do {
		int fd = sweep_call(&self->sweep, op_device, &op);

		EXPECT_TRUE(sweep_fine(&self->sweep, fd));
		EXPECT_EQ(0, device_info(self->l.fd));
		if (fd >= 0)
			EXPECT_EQ(0, device_info(fd));
		close(fd);
		EXPECT_EQ(self->sweep.driver + 1, module_users("vfio_pci"));
	} while (self->sweep.hit);
	EXPECT_GT(self->sweep.failures, 1);
}

/*
 * semantics: 95, 126, 155.  Closing cannot fail, the last file of the device, nor the
 * group's, and but for the IOMMU's driver nobody has anything to say.
 */
TEST_F(fail_nth_group, close)
{
	struct op_device op = { self->l.group, self->pci.bdf };
	int log = iommu_may_warn();

	ASSERT_GE(log, 0);
	ASSERT_EQ(0, op_set(&self->l));
	do {
		int fd = op_device(&op);

		ASSERT_GE(fd, 0);
		EXPECT_EQ(0, sweep_close_fd(&self->sweep, fd));
		EXPECT_EQ(self->sweep.driver, module_users("vfio_pci"));
	} while (self->sweep.hit);
	sweep_again(&self->sweep);
	do {
		EXPECT_EQ(0, sweep_close_fd(&self->sweep, self->l.group));
		self->l.group = group_open(&self->pci);
		ASSERT_GE(self->l.group, 0);
		EXPECT_EQ(GROUP_VIABLE, group_flags(self->l.group));
		EXPECT_EQ(0, op_set(&self->l));
	} while (self->sweep.hit);
	EXPECT_TRUE(iommu_alone_warned(log));
}

/* semantics: 94, 150, 153.  An emulated device: the driver's calls are undone as well. */
TEST(emulated)
{
	struct sweep sweep = { .fault = fault_open() };
	struct op_device op = { .name = TESTDRV_DEVICE };
	struct testdrv_calls calls;
	int drv, iommufd;

	if (sweep.fault < 0)
		SKIP(return, NO_FAULTS);
	drv = testdrv_open();
	if (drv == -ENOENT)
		SKIP(return, NO_TESTDRV);
	ASSERT_GE(drv, 0);
	ASSERT_EQ(0, testdrv_create(drv, 0, TESTDRV_WITH_IOCTL, 0, 0));
	iommufd = iommufd_open();
	op.group = testdrv_group(0);
	ASSERT_GE(op.group, 0);
	ASSERT_EQ(0, group_set(op.group, iommufd));
	do {
		const char *text;
		int fd;

		testdrv_calls(drv, &calls);
		fd = sweep_call(&sweep, op_device, &op);
		EXPECT_TRUE(sweep_fine_iommufd(&sweep, fd));
		testdrv_calls(drv, &calls);
		text = testdrv_text(&calls, 0);
		if (fd >= 0) {
			EXPECT_STREQ("bind open attach", text);
			EXPECT_EQ(-ENOTTY, device_info(fd));
		} else {
			/* Nothing, the half of it and back, or all of it and back. */
			EXPECT_TRUE(!*text || !strcmp(text, "bind") ||
				    !strcmp(text, "bind open attach close unbind"))
				TH_LOG("%s", text);
		}
		EXPECT_EQ(fd >= 0, testdrv_cmd(drv, TESTDRV_OPEN_COUNT, 0, 0, 0, 0));
		close(fd);
	} while (sweep.hit);
	EXPECT_GT(sweep.failures, 2);
	close(sweep.fault);
	EXPECT_EQ(0, testdrv_close(drv));
}

TEST_HARNESS_MAIN
