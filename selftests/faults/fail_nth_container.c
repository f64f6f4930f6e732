// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory runs out, at every place where it can, when a device is opened through a
 * container: the call says so, nothing is left of it, and it can be made again.
 */
#include <fcntl.h>

#include "lib/container.h"
#include "lib/fault.h"
#include "lib/test.h"
#include "lib/testdrv.h"
#include "lib/viommu.h"

#define PAGE 4096u
#define IOVA 0x10000000ULL

typedef FIXTURE_DATA(fail_nth_container) fail_nth_container_t;

FIXTURE(fail_nth_container) {
	struct pci pci;
	struct sweep sweep;
	struct boxed b;
	int type1;
};

FIXTURE_SETUP(fail_nth_container)
{
	int ret;

	self->b = BOXED_NONE;
	if (!has_containers())
		SKIP(return, NO_CONTAINERS);
	if (pci_find(TESTDEV, 0, &self->pci))
		SKIP(return, "no iommu-testdev");
	if (viommu_of(&self->pci) == VIOMMU_VIRTIO)
		SKIP(return, "virtio-iommu's driver wants memory to detach, and warns when it has none");
	ret = sweep_open(&self->sweep, &self->pci);
	if (self->sweep.fault < 0)
		SKIP(return, NO_FAULTS);
	ASSERT_EQ(0, ret);
	self->type1 = module_users("vfio_iommu_type1");
	self->b.container = container_open();
	self->b.group = group_open(&self->pci);
	ASSERT_GE(self->b.container, 0);
	ASSERT_GE(self->b.group, 0);
}

/* Nothing that failed has left a file, an owner, a reference or a module's user behind. */
FIXTURE_TEARDOWN(fail_nth_container)
{
	if (self->b.group < 0)
		return;
	boxed_close(&self->b);
	EXPECT_EQ(0, boxed_open(&self->pci, &self->b));
	boxed_close(&self->b);
	EXPECT_EQ(self->type1, module_users("vfio_iommu_type1"));
	EXPECT_EQ(0, sweep_close(&self->sweep, &self->pci));
}

static int op_open(void *arg)
{
	return container_open();
}

/* semantics: 158 */
TEST_F(fail_nth_container, open)
{
	int before = module_users("vfio");

	do {
		int fd = sweep_call(&self->sweep, op_open, NULL);

		EXPECT_TRUE(sweep_fine(&self->sweep, fd));
		EXPECT_EQ(before + (fd >= 0), module_users("vfio"));
		if (fd >= 0)
			EXPECT_EQ(-EINVAL, container_unknown(fd));
		close(fd);
	} while (self->sweep.hit);
	EXPECT_GT(self->sweep.failures, 1);
}

static int op_check(void *arg)
{
	return container_check(((struct boxed *)arg)->container, VFIO_TYPE1_IOMMU);
}

/* semantics: 160 */
TEST_F(fail_nth_container, check_extension)
{
	do {
		int ret = sweep_call(&self->sweep, op_check, &self->b);

		EXPECT_TRUE(sweep_fine(&self->sweep, ret));
		EXPECT_TRUE(ret < 0 || ret == 1);
		EXPECT_EQ(self->type1, module_users("vfio_iommu_type1"));
	} while (self->sweep.hit);
}

static int op_set(void *arg)
{
	const struct boxed *b = arg;

	return group_set(b->group, b->container);
}

/* semantics: 147, 148.  What could not be set is not set, and the group is nobody's. */
TEST_F(fail_nth_container, set_container)
{
	do {
		int ret = sweep_call(&self->sweep, op_set, &self->b);

		EXPECT_TRUE(sweep_fine(&self->sweep, ret));
		EXPECT_EQ(ret ? GROUP_VIABLE : GROUP_SET, group_flags(self->b.group));
		EXPECT_EQ(ret ? -EINVAL : 0, group_unset(self->b.group));
	} while (self->sweep.hit);
}

static int op_set_iommu(void *arg)
{
	return container_set_iommu(((struct boxed *)arg)->container, VFIO_TYPE1v2_IOMMU);
}

/* semantics: 161, 167.  No driver is chosen, none is held, and the next time one is. */
TEST_F(fail_nth_container, set_iommu)
{
	ASSERT_EQ(0, op_set(&self->b));
	do {
		int ret = sweep_call(&self->sweep, op_set_iommu, &self->b);

		EXPECT_TRUE(sweep_fine(&self->sweep, ret));
		EXPECT_EQ(self->type1 + !ret, module_users("vfio_iommu_type1"));
		EXPECT_EQ(ret ? -EINVAL : -ENOTTY, container_unknown(self->b.container));
		if (!ret) {
			EXPECT_EQ(0, group_unset(self->b.group));
			EXPECT_EQ(0, op_set(&self->b));
		}
	} while (self->sweep.hit);
	EXPECT_GT(self->sweep.failures, 1);
}

/* semantics: 148, 161.  The same when the group comes to a driver that is there. */
TEST_F(fail_nth_container, set_container_with_a_driver)
{
	struct boxed other;
	struct pci pci;

	if (pci_find(TESTDEV, 1, &pci))
		SKIP(return, "no second iommu-testdev");
	ASSERT_EQ(0, boxed_join(&pci, self->b.container, &other));
	ASSERT_EQ(0, compat_map(other.container, pages_alloc(PAGE), PAGE, IOVA));
	do {
		int ret = sweep_call(&self->sweep, op_set, &self->b);

		EXPECT_TRUE(sweep_fine(&self->sweep, ret));
		EXPECT_EQ(ret ? GROUP_VIABLE : GROUP_SET, group_flags(self->b.group));
		EXPECT_EQ(ret ? -EINVAL : 0, group_unset(self->b.group));
		EXPECT_EQ(0, device_info(other.fd));
	} while (self->sweep.hit);
	EXPECT_GT(self->sweep.failures, 1);
	close(other.fd);
	close(other.group);
}

struct op_map {
	int container;
	char *page;
};

static int op_map(void *arg)
{
	const struct op_map *op = arg;

	return compat_map(op->container, op->page, PAGE, IOVA);
}

/* semantics: 163.  What a driver says comes through. */
TEST_F(fail_nth_container, map)
{
	struct op_map op = { self->b.container, pages_alloc(PAGE) };

	ASSERT_EQ(0, op_set(&self->b));
	ASSERT_EQ(0, op_set_iommu(&self->b));
	do {
		int ret = sweep_call(&self->sweep, op_map, &op);

		EXPECT_TRUE(sweep_fine(&self->sweep, ret));
		if (ret)
			EXPECT_EQ(0, op_map(&op));
		EXPECT_EQ(0, compat_unmap(op.container, IOVA, PAGE));
	} while (self->sweep.hit);
	EXPECT_GT(self->sweep.failures, 0);
}

static int op_device(void *arg)
{
	fail_nth_container_t *self = arg;

	return group_device(self->b.group, self->pci.bdf);
}

/* semantics: 94, 150, 152.  The first file: the device is opened, or it is not. */
TEST_F(fail_nth_container, get_device_fd)
{
	ASSERT_EQ(0, op_set(&self->b));
	ASSERT_EQ(0, op_set_iommu(&self->b));
	do {
		int fd = sweep_call(&self->sweep, op_device, self);

		EXPECT_TRUE(sweep_fine(&self->sweep, fd));
		if (fd < 0) {
			EXPECT_EQ(self->sweep.driver, module_users("vfio_pci"));
			/* Nothing holds the group in the container. */
			EXPECT_EQ(0, group_unset(self->b.group));
			EXPECT_EQ(0, op_set(&self->b));
			EXPECT_EQ(0, op_set_iommu(&self->b));
			fd = op_device(self);
			ASSERT_GE(fd, 0);
		}
		EXPECT_EQ(self->sweep.driver + 1, module_users("vfio_pci"));
		EXPECT_EQ(-EBUSY, group_unset(self->b.group));
		EXPECT_EQ(0, device_info(fd));
		close(fd);
	} while (self->sweep.hit);
	EXPECT_GT(self->sweep.failures, 3);
}

/* semantics: 151, 152.  A further file: the first one does not notice. */
TEST_F(fail_nth_container, another_device_fd)
{
	ASSERT_EQ(0, op_set(&self->b));
	ASSERT_EQ(0, op_set_iommu(&self->b));
	self->b.fd = op_device(self);
	ASSERT_GE(self->b.fd, 0);
	do {
		int fd = sweep_call(&self->sweep, op_device, self);

		EXPECT_TRUE(sweep_fine(&self->sweep, fd));
		EXPECT_EQ(0, device_info(self->b.fd));
		close(fd);
	} while (self->sweep.hit);
	EXPECT_GT(self->sweep.failures, 1);
	close_fd(&self->b.fd);
	EXPECT_EQ(0, group_unset(self->b.group));
}

/*
 * semantics: 95, 126, 155, 164.  Closing cannot fail, and but for the IOMMU's driver
 * nobody has anything to say.
 */
TEST_F(fail_nth_container, close)
{
	int log = iommu_may_warn();

	ASSERT_GE(log, 0);
	do {
		int fd;

		ASSERT_EQ(0, op_set(&self->b));
		ASSERT_EQ(0, op_set_iommu(&self->b));
		fd = op_device(self);
		ASSERT_GE(fd, 0);
		/* Device, group and driver go at once. */
		close_fd(&self->b.group);
		EXPECT_EQ(0, sweep_close_fd(&self->sweep, fd));
		EXPECT_EQ(self->sweep.driver, module_users("vfio_pci"));
		EXPECT_EQ(self->type1, module_users("vfio_iommu_type1"));
		EXPECT_EQ(-EINVAL, container_unknown(self->b.container));
		self->b.group = group_open(&self->pci);
		ASSERT_GE(self->b.group, 0);
		EXPECT_EQ(GROUP_VIABLE, group_flags(self->b.group));
	} while (self->sweep.hit);
	EXPECT_TRUE(iommu_alone_warned(log));
}

TEST_HARNESS_MAIN
