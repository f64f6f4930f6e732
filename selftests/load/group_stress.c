// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads that race for a group, its iommufd, its device, and the device's own node.  What
 * they may be told is known; what is left at the end is nothing.
 */
#include <fcntl.h>

#include "lib/group.h"
#include "lib/iommufd.h"
#include "lib/task.h"
#include "lib/test.h"

#define ROUNDS 60

FIXTURE(group_stress) {
	struct pci pci;
	int iommufd[2], group;
};

FIXTURE_SETUP(group_stress)
{
	self->group = -1;
	if (pci_find_at(EDU, false, &self->pci))
		SKIP(return, "no edu device on the root bus");
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	self->group = group_open(&self->pci);
	ASSERT_GE(self->group, 0);
	for (int i = 0; i < 2; i++) {
		self->iommufd[i] = iommufd_open();
		ASSERT_GE(self->iommufd[i], 0);
		/* From now on it has the address space of the container's ioctls. */
		ASSERT_EQ(0, group_set(self->group, self->iommufd[i]));
		ASSERT_EQ(0, group_unset(self->group));
	}
}

/* Nobody holds the device, the group or a reference: none of this fails or waits. */
FIXTURE_TEARDOWN(group_stress)
{
	struct session s;

	if (self->group < 0)
		return;
	EXPECT_EQ(GROUP_VIABLE, group_flags(self->group));
	close_fd(&self->group);
	EXPECT_EQ(0, session_open(&self->pci, &s));
	session_close(&s);
	EXPECT_EQ(0, pci_unbind(&self->pci));
	close_fd(&self->iommufd[0]);
	close_fd(&self->iommufd[1]);
}

struct racer {
	const struct pci *pci;
	int group, iommufd;
	int done;		/* how often it had what it wanted */
};

/* Sets its iommufd, and takes it back. */
static int set_and_unset(void *arg)
{
	struct racer *r = arg;

	for (int i = 0; i < ROUNDS; i++) {
		int ret = group_set(r->group, r->iommufd);

		if (ret && ret != -EINVAL)
			return ret;
		r->done += !ret;
		ret = group_unset(r->group);
		if (ret && ret != -EINVAL)
			return ret;
	}
	return 0;
}

/* Opens the device, uses it, closes it. */
static int get_device(void *arg)
{
	struct racer *r = arg;

	for (int i = 0; i < ROUNDS; i++) {
		int fd = group_device(r->group, r->pci->bdf), ret;

		/* Nothing is set; or, on ours, another iommufd than the open one. */
		if (fd < 0 && fd != -EINVAL)
			return fd;
		if (fd < 0)
			continue;
		r->done++;
		ret = device_info(fd);
		close(fd);
		if (ret)
			return ret;
	}
	return 0;
}

/* semantics: 147, 149, 150, 151; defect: B2.  What is set changes under those who open. */
TEST_F(group_stress, set_and_open)
{
	struct racer r[5];
	struct worker worker[5];

	for (int i = 0; i < 5; i++) {
		r[i] = (struct racer){ &self->pci, self->group, self->iommufd[i & 1], 0 };
		ASSERT_EQ(0, worker_start(&worker[i], i < 2 ? set_and_unset : get_device,
					  &r[i]));
	}
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(0, worker_join(&worker[i]));
	EXPECT_GT(r[0].done + r[1].done, 0);
	/* How the last round of the setters has left it. */
	group_unset(self->group);
}

/* Group, iommufd, device; closed in two orders. */
static int by_group(void *arg)
{
	struct racer *r = arg;

	for (int i = 0; i < ROUNDS / 3; i++) {
		int group = group_open(r->pci), fd, ret;

		if (group == -EBUSY)
			continue;
		if (group < 0)
			return group;
		ret = group_set(group, r->iommufd);
		if (ret)
			return ret;
		fd = group_device(group, r->pci->bdf);
		if (i & 1) {
			close(group);
			close(fd);
		} else {
			close(fd);
			close(group);
		}
		/* Another's file may have outlived its group: on another iommufd, maybe. */
		if (fd < 0 && fd != -EINVAL && fd != -EPERM)
			return fd;
		r->done += fd >= 0;
	}
	return 0;
}

static int by_cdev(void *arg)
{
	struct racer *r = arg;

	for (int i = 0; i < ROUNDS; i++) {
		int fd = cdev_open(r->pci), ret;

		if (fd < 0)
			return fd;
		ret = cdev_bind(fd, r->iommufd, NULL);
		close(fd);
		/* The group is open; the device is. */
		if (ret && ret != -EBUSY && ret != -EINVAL)
			return ret;
		r->done += !ret;
	}
	return 0;
}

/* semantics: 97, 110, 144, 155.  Both open paths of the device at once. */
TEST_F(group_stress, both_ways)
{
	struct worker worker[4];
	struct racer r[4];

	close_fd(&self->group);
	for (int i = 0; i < 4; i++) {
		r[i] = (struct racer){ &self->pci, -1, self->iommufd[i & 1], 0 };
		ASSERT_EQ(0, worker_start(&worker[i], i < 2 ? by_group : by_cdev, &r[i]));
	}
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(0, worker_join(&worker[i]));
	EXPECT_GT(r[0].done + r[1].done + r[2].done + r[3].done, 0);
	self->group = group_open(&self->pci);
	ASSERT_GE(self->group, 0);
}

TEST_HARNESS_MAIN
