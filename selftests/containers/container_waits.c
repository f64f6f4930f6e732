// SPDX-License-Identifier: GPL-2.0-only
/*
 * A container maps memory that does not come, and another group that joins it waits for that.  Who
 * uses the container, its groups and their devices otherwise does not wait, on either core.
 *
 * vfio_iommu_type1 does not wait for userfaultfd.  So the memory is a mapping of the SVA test module's,
 * of a child: who waits for it has the address space locked.
 */
#include "lib/container.h"
#include "lib/group.h"
#include "lib/sva_test.h"
#include "lib/task.h"
#include "lib/test.h"

#define IOVA 0x10000000ULL

typedef FIXTURE_DATA(container_waits) container_waits_t;

FIXTURE(container_waits) {
	struct pci first, a, b;		/* the latter in one group */
	struct boxed box;
	int group, control;
	struct task mapper;
	struct worker joiner;
};

static int map(void *arg)
{
	container_waits_t *self = arg;
	void *page = sva_test_slow_page(self->control);

	/* Pages of a device can be mapped, or not: it is all the same here. */
	compat_map(self->box.container, page, getpagesize(), IOVA);
	return 0;
}

static int join(void *arg)
{
	container_waits_t *self = arg;

	return group_set(self->group, self->box.container);
}

FIXTURE_SETUP(container_waits)
{
	self->box = BOXED_NONE;
	self->group = -1;
	self->control = sva_test_open();
	if (self->control == -ENOENT)
		SKIP(return, "no module sva_test");
	ASSERT_GE(self->control, 0);
	if (access(CONTAINER, F_OK))
		SKIP(return, NO_CONTAINERS);
	if (pci_find_at(EDU, false, &self->first) || pci_find_pair(EDU, &self->a, &self->b))
		SKIP(return, "no edu devices in two groups, one of them of two");
	ASSERT_EQ(0, pci_to_vfio(&self->a));
	ASSERT_EQ(0, pci_to_vfio(&self->b));
	ASSERT_EQ(0, boxed_open(&self->first, &self->box));
	close_fd(&self->box.fd);
	self->group = group_open(&self->a);
	ASSERT_GE(self->group, 0);
	ASSERT_EQ(0, task_start(&self->mapper, map, self));
	ASSERT_TRUE(task_sleeps_in(&self->mapper, "slow_fault"));
	ASSERT_EQ(0, worker_start(&self->joiner, join, self));
	ASSERT_TRUE(worker_sleeps_in(&self->joiner, "[vfio"));
}

FIXTURE_TEARDOWN(container_waits)
{
	close_fd(&self->group);
	boxed_close(&self->box);
	pci_to_vfio(&self->b);
	sva_test_close(self->control);
}

/* The memory comes, and the group has joined. */
static bool goes_on(container_waits_t *self)
{
	if (task_ended(&self->mapper, 0) || worker_ended(&self->joiner) ||
	    sva_test_let_go(self->control))
		return false;
	if (task_join(&self->mapper) || worker_join(&self->joiner))
		return false;
	return group_flags(self->group) == GROUP_SET;
}

/* The group that is in the container, its device, and an ioctl that means nothing. */
static int use(void *arg)
{
	container_waits_t *self = arg;
	int fd, ret;

	if (group_flags(self->box.group) != GROUP_SET || group_open(&self->first) != -EBUSY)
		return -EPROTO;
	if (container_unknown(self->box.container) != -ENOTTY)
		return -EPROTO;
	fd = group_device(self->box.group, self->first.bdf);
	if (fd < 0)
		return fd;
	ret = device_info(fd);
	close(fd);
	return ret;
}

/* semantics: 150, 159, 182 */
TEST_F(container_waits, use)
{
	struct worker w;

	ASSERT_EQ(0, worker_start(&w, use, self));
	EXPECT_TRUE(worker_ends(&w));
	EXPECT_TRUE(goes_on(self));
	EXPECT_EQ(0, worker_join(&w));
}

static int unbind(void *arg)
{
	return pci_unbind(arg);
}

/* semantics: 91, 182.  The joining group loses a device, and keeps another. */
TEST_F(container_waits, removal)
{
	struct worker w;

	ASSERT_EQ(0, worker_start(&w, unbind, &self->b));
	EXPECT_TRUE(worker_ends(&w));
	EXPECT_TRUE(goes_on(self));
	EXPECT_EQ(0, worker_join(&w));
}

TEST_HARNESS_MAIN
