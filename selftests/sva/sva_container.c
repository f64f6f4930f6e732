// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes bound to a container: to the devices of all groups in it, those that come
 * later among them, or to none.
 */
#include <fcntl.h>

#include "lib/bound.h"
#include "lib/container.h"
#include "lib/mdev.h"
#include "lib/sva.h"
#include "lib/sva_file.h"
#include "lib/sva_setup.h"
#include "lib/svadev.h"
#include "lib/test.h"

FIXTURE(sva_container) {
	struct sva_setup sva;
	const struct pci *a, *b;
	struct boxed box, second;
};

FIXTURE_SETUP(sva_container)
{
	int ret = sva_boxed_open(&self->sva, &self->box);

	self->second = BOXED_NONE;
	if (ret > 0)
		SKIP(return, "%s", self->sva.why);
	ASSERT_EQ(0, ret) TH_LOG("%s", self->sva.why);
	self->a = &self->sva.pci[0];
	self->b = &self->sva.pci[1];
}

FIXTURE_TEARDOWN(sva_container)
{
	close_fd(&self->second.fd);
	close_fd(&self->second.group);
	boxed_close(&self->box);
	EXPECT_EQ(0, sva_tear_down(&self->sva));
}

TEST_F(sva_container, bind_and_unbind)
{
	int container = self->box.container;
	uint32_t pasid, again;

	EXPECT_EQ(-ENOENT, process_unbind(container));
	ASSERT_EQ(0, process_bind(container, &pasid));
	EXPECT_TRUE(is_mine(self->sva.control, self->a, pasid));
	EXPECT_EQ(-EEXIST, process_bind(container, NULL));
	EXPECT_TRUE(entries_are(self->b, 0));
	ASSERT_EQ(0, process_unbind(container));
	EXPECT_TRUE(entries_are(self->a, 0));
	EXPECT_EQ(-ENOENT, process_unbind(container));
	ASSERT_EQ(0, process_bind(container, &again));
	EXPECT_EQ(pasid, again);
}

/* A group that comes joins in, one that goes leaves; the others stay. */
TEST_F(sva_container, groups_come_and_go)
{
	int container = self->box.container;
	uint32_t pasid;

	ASSERT_EQ(0, process_bind(container, &pasid));
	ASSERT_EQ(0, boxed_join(self->b, container, &self->second));
	EXPECT_TRUE(is_mine(self->sva.control, self->a, pasid));
	EXPECT_TRUE(is_mine(self->sva.control, self->b, pasid));
	close_fd(&self->second.fd);
	ASSERT_EQ(0, group_unset(self->second.group));
	EXPECT_TRUE(entries_are(self->b, 0));
	EXPECT_TRUE(is_mine(self->sva.control, self->a, pasid));
	/* Back, and the first one goes. */
	ASSERT_EQ(0, group_set(self->second.group, container));
	EXPECT_TRUE(is_mine(self->sva.control, self->b, pasid));
	close_fd(&self->box.fd);
	close_fd(&self->box.group);
	EXPECT_TRUE(entries_are(self->a, 0));
	EXPECT_TRUE(is_mine(self->sva.control, self->b, pasid));
	/* Both at once by one call. */
	ASSERT_EQ(0, process_unbind(container));
	EXPECT_TRUE(entries_are(self->b, 0));
}

TEST_F(sva_container, all_at_once)
{
	int container = self->box.container;
	struct bound_child child;
	uint32_t pasid;
	int its;

	ASSERT_EQ(0, boxed_join(self->b, container, &self->second));
	ASSERT_EQ(0, process_bind(container, &pasid));
	EXPECT_TRUE(is_mine(self->sva.control, self->a, pasid));
	EXPECT_TRUE(is_mine(self->sva.control, self->b, pasid));
	its = bound_start(&child, container, self->sva.control, self->b);
	ASSERT_GT(its, 0);
	EXPECT_TRUE(entries_are(self->a, 2));
	EXPECT_TRUE(entries_are(self->b, 2));
	EXPECT_EQ(0, bound_kill(&child));
	EXPECT_TRUE(entries_are(self->a, 1));
	EXPECT_TRUE(entries_are(self->b, 1));
	EXPECT_TRUE(is_mine(self->sva.control, self->a, pasid));
}

/* The last group takes all along, and what was bound is forgotten. */
TEST_F(sva_container, last_group)
{
	int container = self->box.container;

	ASSERT_EQ(0, process_bind(container, NULL));
	close_fd(&self->box.fd);
	ASSERT_EQ(0, group_unset(self->box.group));
	EXPECT_TRUE(entries_are(self->a, 0));
	EXPECT_EQ(-EINVAL, process_bind(container, NULL));
	EXPECT_EQ(-EINVAL, process_unbind(container));
	ASSERT_EQ(0, group_set(self->box.group, container));
	ASSERT_EQ(0, container_set_iommu(container, VFIO_TYPE1v2_IOMMU));
	EXPECT_TRUE(entries_are(self->a, 0));
	EXPECT_EQ(-ENOENT, process_unbind(container));
	EXPECT_EQ(0, process_bind(container, NULL));
}

/* The container's own file is not what keeps the bonds: the groups are. */
TEST_F(sva_container, container_closed)
{
	uint32_t pasid;

	ASSERT_EQ(0, process_bind(self->box.container, &pasid));
	close_fd(&self->box.container);
	EXPECT_TRUE(is_mine(self->sva.control, self->a, pasid));
	close_fd(&self->box.group);
	/* The device keeps the group. */
	EXPECT_TRUE(is_mine(self->sva.control, self->a, pasid));
	close_fd(&self->box.fd);
	EXPECT_TRUE(entries_are(self->a, 0));
}

/* One device that cannot, and none is bound; a process that is bound keeps it out. */
TEST_F(sva_container, all_or_none)
{
	int container = self->box.container;
	struct pci edu;
	uint32_t pasid;
	int group;

	if (self->a->id != SVADEV)
		SKIP(return, NO_SVA_TEST);
	ASSERT_EQ(0, pci_find(EDU, 0, &edu));
	ASSERT_EQ(0, pci_to_vfio(&edu));
	group = group_open(&edu);
	ASSERT_GE(group, 0);
	ASSERT_EQ(0, group_set(group, container));
	EXPECT_EQ(-ENOSPC, process_bind(container, NULL));
	EXPECT_TRUE(entries_are(self->a, 0));
	EXPECT_EQ(-ENOENT, process_unbind(container));
	/* The reverse order of groups, too: the one that can comes after. */
	ASSERT_EQ(0, boxed_join(self->b, container, &self->second));
	EXPECT_EQ(-ENOSPC, process_bind(container, NULL));
	EXPECT_TRUE(entries_are(self->a, 0));
	EXPECT_TRUE(entries_are(self->b, 0));

	ASSERT_EQ(0, group_unset(group));
	ASSERT_EQ(0, process_bind(container, &pasid));
	EXPECT_EQ(-ENOSPC, group_set(group, container));
	EXPECT_EQ(GROUP_VIABLE, group_flags(group));
	EXPECT_TRUE(is_mine(self->sva.control, self->a, pasid));
	EXPECT_TRUE(is_mine(self->sva.control, self->b, pasid));
	ASSERT_EQ(0, process_unbind(container));
	EXPECT_EQ(0, group_set(group, container));
	close(group);
}

/* The same of a group of two, which is refused for another reason. */
TEST_F(sva_container, group_of_two)
{
	int container = self->box.container, group;
	struct pci a, b;

	if (self->a->id != SVADEV)
		SKIP(return, NO_SVA_TEST);
	ASSERT_EQ(0, pci_find_pair(SVADEV, &a, &b));
	ASSERT_EQ(0, pci_to_vfio(&a));
	ASSERT_EQ(0, pci_to_vfio(&b));
	group = group_open(&a);
	ASSERT_GE(group, 0);
	ASSERT_EQ(0, process_bind(container, NULL));
	EXPECT_EQ(-EPERM, group_set(group, container));
	EXPECT_EQ(GROUP_VIABLE, group_flags(group));
	ASSERT_EQ(0, process_unbind(container));
	ASSERT_EQ(0, group_set(group, container));
	EXPECT_EQ(-EPERM, process_bind(container, NULL));
	EXPECT_TRUE(entries_are(self->a, 0));
	close(group);
	EXPECT_EQ(0, process_bind(container, NULL));
}

/* A device that is emulated has no DMA of its own that a PASID could mark. */
TEST_F(sva_container, emulated)
{
	int container = self->box.container, group;
	char path[64];

	if (mdev_sample_load("mtty"))
		SKIP(return, "no module mtty");
	ASSERT_EQ(0, mdev_create("mtty", "mtty-2", mdev_uuids[0]));
	snprintf(path, sizeof(path), "/dev/vfio/%d", mdev_group(mdev_uuids[0]));
	group = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_GE(group, 0);
	ASSERT_EQ(0, process_bind(container, NULL));
	EXPECT_EQ(-EOPNOTSUPP, group_set(group, container));
	EXPECT_TRUE(entries_are(self->a, 1));
	ASSERT_EQ(0, process_unbind(container));
	ASSERT_EQ(0, group_set(group, container));
	EXPECT_EQ(-EOPNOTSUPP, process_bind(container, NULL));
	EXPECT_TRUE(entries_are(self->a, 0));
	close(group);
	EXPECT_EQ(0, mdev_remove(mdev_uuids[0]));
	EXPECT_EQ(0, mdev_sample_unload("mtty"));
}

TEST_HARNESS_MAIN
