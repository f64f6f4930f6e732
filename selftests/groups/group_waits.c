// SPDX-License-Identifier: GPL-2.0-only
/*
 * D17.  A device is opened through its group, or closed, and that takes long: which calls on the
 * group wait.  In C those that take the group's lock; on ours those alone that open a device of the
 * same set.  What the calls say is the same.
 */
#include <fcntl.h>

#include "lib/bound.h"
#include "lib/group.h"
#include "lib/iommufd.h"
#include "lib/sva_pair.h"
#include "lib/sva_test.h"
#include "lib/svadev.h"
#include "lib/task.h"
#include "lib/test.h"
#include "lib/uffd.h"

#define IOVA 0x10000000ULL

struct user {
	const struct pci *pci;
	int group, iommufd, other, cdev;
};

static int open_it(void *arg)
{
	const struct user *u = arg;

	return group_device(u->group, u->pci->bdf);
}

static int get_status(void *arg)
{
	return group_flags(((const struct user *)arg)->group);
}

static int set_again(void *arg)
{
	const struct user *u = arg;

	return group_set(u->group, u->other);
}

static int open_node_again(void *arg)
{
	return group_open(((const struct user *)arg)->pci);
}

static int bind_cdev(void *arg)
{
	const struct user *u = arg;

	return cdev_bind(u->cdev, u->other, NULL);
}

static int unset(void *arg)
{
	return group_unset(((const struct user *)arg)->group);
}

/* Calls that change nothing, and what they say while the group's file is open. */
static const struct {
	const char *name;
	int (*fn)(void *arg);
	int result;
} calls[] = {
	{ "GET_STATUS", get_status, GROUP_SET },
	{ "SET_CONTAINER", set_again, -EINVAL },
	{ "open of the group", open_node_again, -EBUSY },
	{ "BIND of a device", bind_cdev, -EBUSY },
};

FIXTURE(group_waits) {
	struct user u;
	struct pci pci;
	struct stall stall;
	struct worker w[ARRAY_SIZE(calls)], opener;
};

FIXTURE_SETUP(group_waits)
{
	self->u = (struct user){ &self->pci, -1, -1, -1, -1 };
	if (pci_find_at(EDU, false, &self->pci))
		SKIP(return, "no edu device on the root bus");
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	self->u.cdev = cdev_open(&self->pci);
	self->u.group = group_open(&self->pci);
	if (self->u.group == -ENOENT)
		SKIP(return, "no groups");
	ASSERT_GE(self->u.group, 0);
	self->u.iommufd = iommufd_open();
	self->u.other = iommufd_open();
	ASSERT_EQ(0, group_set(self->u.group, self->u.iommufd));
	/* Nobody is attached: the page is pinned by the open of a device. */
	ASSERT_EQ(0, stall_open(&self->stall));
	ASSERT_EQ(0, compat_map(self->u.iommufd, self->stall.page, self->stall.size, IOVA));
	ASSERT_EQ(0, worker_start(&self->opener, open_it, &self->u));
	ASSERT_EQ(0, stall_wait(&self->stall));
}

FIXTURE_TEARDOWN(group_waits)
{
	close_fd(&self->u.cdev);
	close_fd(&self->u.group);
	close_fd(&self->u.iommufd);
	close_fd(&self->u.other);
}

/* Waits in C, and not on ours. */
static bool waits(struct worker *w)
{
	return core_is_rust() ? !worker_ends(w) : worker_sleeps_in(w, "vfio_");
}

/* semantics: 96, 147, 149, 150, 182. */
TEST_F(group_waits, opening)
{
	static const char page[4096];
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		ASSERT_EQ(0, worker_start(&self->w[i], calls[i].fn, &self->u));
		EXPECT_EQ(!core_is_rust(), waits(&self->w[i])) TH_LOG("%s", calls[i].name);
	}
	EXPECT_FALSE(worker_ended(&self->opener));
	ASSERT_EQ(0, stall_release(&self->stall, page));
	fd = worker_join(&self->opener);
	ASSERT_GE(fd, 0);
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		int ret = worker_join(&self->w[i]);

		EXPECT_EQ(calls[i].result, ret) TH_LOG("%s", calls[i].name);
	}
	EXPECT_EQ(0, device_info(fd));
	close(fd);
	stall_close(&self->stall);
}

/* semantics: 96, 149.  The device arrives, and stays, as it does when the open has been first. */
TEST_F(group_waits, unset)
{
	static const char page[4096];
	int fd;

	ASSERT_EQ(0, worker_start(&self->w[0], unset, &self->u));
	EXPECT_EQ(!core_is_rust(), waits(&self->w[0]));
	EXPECT_FALSE(worker_ended(&self->opener));
	ASSERT_EQ(0, stall_release(&self->stall, page));
	fd = worker_join(&self->opener);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(0, worker_join(&self->w[0]));
	EXPECT_EQ(0, device_info(fd));
	EXPECT_EQ(0, group_flags(self->u.group));
	EXPECT_EQ(-EINVAL, open_it(&self->u));
	close(fd);
	EXPECT_EQ(GROUP_VIABLE, group_flags(self->u.group));
	stall_close(&self->stall);
}

/* semantics: 150.  One more open of the device waits on both: it is the lock of its set. */
TEST_F(group_waits, second_open)
{
	static const char page[4096];
	int fd[2];

	ASSERT_EQ(0, worker_start(&self->w[0], open_it, &self->u));
	EXPECT_TRUE(worker_sleeps_in(&self->w[0], "[vfio]"));
	EXPECT_FALSE(worker_ended(&self->opener));
	ASSERT_EQ(0, stall_release(&self->stall, page));
	fd[0] = worker_join(&self->opener);
	fd[1] = worker_join(&self->w[0]);
	for (int i = 0; i < 2; i++) {
		ASSERT_GE(fd[i], 0);
		EXPECT_EQ(0, device_info(fd[i]));
		close(fd[i]);
	}
	stall_close(&self->stall);
}

FIXTURE(group_waits_closing) {
	struct sva_pair sva;
};

FIXTURE_SETUP(group_waits_closing)
{
	const char *lacks = sva_pair_open(&self->sva);

	if (lacks)
		SKIP(return, "%s", lacks);
}

FIXTURE_TEARDOWN(group_waits_closing)
{
	EXPECT_EQ(0, sva_pair_close(&self->sva));
}

/*
 * semantics: 96, 182.  The close waits in the IOMMU core, for the lock of the device's IOMMU group.
 */
TEST_F(group_waits_closing, closing)
{
	struct hold_op device = { self->sva.control, &self->sva.a };
	struct worker holder, closer, w[ARRAY_SIZE(calls)];
	struct user u = { .pci = &self->sva.a };
	struct legacy l;

	ASSERT_EQ(0, pci_to_vfio(&self->sva.a));
	u.cdev = cdev_open(&self->sva.a);
	ASSERT_EQ(0, legacy_open(&self->sva.a, &l));
	u.group = l.group;
	u.other = iommufd_open();
	ASSERT_EQ(0, worker_start(&holder, sva_test_hold_op, &device));
	ASSERT_TRUE(worker_sleeps_in(&holder, "iommu_group_for_each_dev"));
	ASSERT_EQ(0, worker_start(&closer, close_op, &l.fd));
	EXPECT_TRUE(worker_sleeps_in(&closer, "iommu_"));
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		ASSERT_EQ(0, worker_start(&w[i], calls[i].fn, &u));
		EXPECT_EQ(!core_is_rust(), waits(&w[i])) TH_LOG("%s", calls[i].name);
	}
	EXPECT_FALSE(worker_ended(&closer));
	EXPECT_EQ(0, sva_test_let_go(self->sva.control));
	EXPECT_EQ(0, worker_join(&holder));
	EXPECT_EQ(0, worker_join(&closer));
	l.fd = -1;
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		int ret = worker_join(&w[i]);

		EXPECT_EQ(calls[i].result, ret) TH_LOG("%s", calls[i].name);
	}
	close(u.cdev);
	close(u.other);
	legacy_close(&l);
}

TEST_HARNESS_MAIN
