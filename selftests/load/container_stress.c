// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads that use a container while others put groups into it, choose its driver and
 * take the groups out again.  So many rounds, however long they take.
 *
 * On ours alone: the core in C uses a driver that it does not hold (defects B1, B26).
 * What ours guarantees is that a call finds the driver's side whole, or none.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>

#include "lib/container.h"
#include "lib/task.h"
#include "lib/test.h"
#include "lib/testdev.h"

#define PAGE 4096u
#define IOVA 0x10000000ULL
#define ROUNDS 150
#define CALLERS 3

typedef FIXTURE_DATA(container_stress) container_stress_t;

FIXTURE(container_stress) {
	struct pci pci[2];
	int container, group[2], users;
	atomic_bool stop, leaving;
	atomic_int with, without;
	uint32_t *page;
};

FIXTURE_SETUP(container_stress)
{
	self->container = -1;
	self->group[0] = -1;
	self->group[1] = -1;
	if (!core_is_rust())
		SKIP(return, "the core in C uses what it does not hold");
	if (!has_containers())
		SKIP(return, NO_CONTAINERS);
	for (int i = 0; i < 2; i++) {
		if (pci_find(TESTDEV, i, &self->pci[i]))
			SKIP(return, "no two iommu-testdev");
		ASSERT_EQ(0, pci_to_vfio(&self->pci[i]));
		self->group[i] = group_open(&self->pci[i]);
		ASSERT_GE(self->group[i], 0);
	}
	self->container = container_open();
	ASSERT_GE(self->container, 0);
	self->users = module_users("vfio_iommu_type1");
	self->page = pages_alloc(PAGE);
}

/* Whatever happened: nothing is held, and the container maps for both devices. */
FIXTURE_TEARDOWN(container_stress)
{
	volatile void *bar;
	struct boxed b;

	if (self->container < 0)
		return;
	for (int i = 0; i < 2; i++)
		close_fd(&self->group[i]);
	EXPECT_EQ(self->users, module_users("vfio_iommu_type1"));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, boxed_join(&self->pci[i], self->container, &b));
		ASSERT_EQ(0, cdev_enable_dma(b.fd));
		bar = cdev_map_bar(b.fd, 0, NULL);
		ASSERT_NE(NULL, bar);
		EXPECT_EQ(TESTDEV_FAULT, testdev_dma(bar, IOVA, self->page, 16));
		EXPECT_EQ(0, compat_map(b.container, self->page, PAGE, IOVA));
		EXPECT_EQ(TESTDEV_OK, testdev_dma(bar, IOVA, self->page, 16));
		munmap((void *)bar, PAGE);
		close(b.fd);
		close(b.group);
	}
	close(self->container);
}

/* An errno that should not be: the end of it for all. */
static int unexpected(container_stress_t *self, const char *what, int ret)
{
	atomic_store(&self->stop, true);
	ksft_print_msg("%s: %d\n", what, ret);
	return ret ? ret : -EPROTO;
}

/* One call after the other, with a driver or without. */
static int call(void *arg)
{
	container_stress_t *self = arg;
	struct vfio_iommu_type1_info info;
	int fd = self->container, ret;

	while (!atomic_load(&self->stop)) {
		memset(&info, 0, sizeof(info));
		info.argsz = sizeof(info);
		ret = xioctl(fd, VFIO_IOMMU_GET_INFO, &info);
		if (ret && ret != -EINVAL)
			return unexpected(self, "GET_INFO", ret);
		if (!ret && !(info.flags & VFIO_IOMMU_INFO_PGSIZES))
			return unexpected(self, "what GET_INFO says", info.flags);
		atomic_fetch_add(ret ? &self->without : &self->with, 1);
		ret = container_unknown(fd);
		if (ret != -EINVAL && ret != -ENOTTY)
			return unexpected(self, "an unknown ioctl", ret);
		ret = compat_map(fd, self->page, PAGE, IOVA);
		if (ret && ret != -EINVAL && ret != -EEXIST)
			return unexpected(self, "MAP", ret);
		ret = container_check(fd, VFIO_TYPE1_IOMMU);
		if (ret != 1)
			return unexpected(self, "CHECK_EXTENSION", ret);
		ret = compat_unmap(fd, IOVA, PAGE);
		if (ret && ret != -EINVAL)
			return unexpected(self, "UNMAP", ret);
	}
	return 0;
}

static int start_callers(container_stress_t *self, struct worker *w)
{
	int ret = 0;

	for (int i = 0; i < CALLERS && !ret; i++)
		ret = worker_start(&w[i], call, self);
	return ret;
}

/* Their results; and that they have seen what they were to see. */
static void end_callers(struct __test_metadata *_metadata,
			container_stress_t *self, struct worker *w)
{
	atomic_store(&self->stop, true);
	for (int i = 0; i < CALLERS; i++)
		EXPECT_EQ(0, worker_join(&w[i]));
	EXPECT_GT(atomic_load(&self->with), 0);
	EXPECT_GT(atomic_load(&self->without), 0);
}

/* Waits until the callers have had a call with a driver, or without. */
static void await_call(container_stress_t *self, atomic_int *n)
{
	int seen = atomic_load(n);

	while (atomic_load(n) == seen && !atomic_load(&self->stop))
		sched_yield();
}

/* semantics: 161, 163, 164; defects: B1, B26.  The group comes and goes under the calls. */
TEST_F(container_stress, set_and_unset)
{
	struct worker w[CALLERS];
	int fd = self->container;

	ASSERT_EQ(0, start_callers(self, w));
	for (int i = 0; i < ROUNDS; i++) {
		EXPECT_EQ(0, group_set(self->group[0], fd));
		EXPECT_EQ(0, container_set_iommu(fd, i & 1 ? VFIO_TYPE1_IOMMU :
							     VFIO_TYPE1v2_IOMMU));
		/* Both in the middle of a call and after one. */
		if (i & 2)
			await_call(self, &self->with);
		EXPECT_EQ(0, group_unset(self->group[0]));
		if (i % 50 == 0)
			await_call(self, &self->without);
	}
	end_callers(_metadata, self, w);
}

/* semantics: 148, 155, 164, 167.  Two groups take turns, and go by being closed. */
TEST_F(container_stress, groups_are_closed)
{
	struct worker w[CALLERS];
	int fd = self->container;

	ASSERT_EQ(0, start_callers(self, w));
	for (int i = 0; i < ROUNDS; i++) {
		int first = i & 1;

		EXPECT_EQ(0, group_set(self->group[first], fd));
		EXPECT_EQ(0, container_set_iommu(fd, VFIO_TYPE1v2_IOMMU));
		EXPECT_EQ(0, group_set(self->group[!first], fd));
		if (i & 2)
			await_call(self, &self->with);
		close_fd(&self->group[first]);
		if (i & 4)
			EXPECT_EQ(-ENOTTY, container_unknown(fd));
		close_fd(&self->group[!first]);
		for (int j = 0; j < 2; j++) {
			self->group[j] = group_open(&self->pci[j]);
			ASSERT_GE(self->group[j], 0);
		}
		if (i % 50 == 0)
			await_call(self, &self->without);
	}
	end_callers(_metadata, self, w);
}

struct rival {
	container_stress_t *self;
	int nth, chosen;
};

/* Puts its group in, tries to choose the driver, opens its device, and leaves. */
static int compete(void *arg)
{
	struct rival *r = arg;
	container_stress_t *self = r->self;
	int group = self->group[r->nth], box = self->container, ret;
	const char *name = self->pci[r->nth].bdf;

	for (int i = 0; i < ROUNDS / 2; i++) {
		int fd;

		ret = group_set(group, box);
		if (ret)
			return unexpected(self, "SET_CONTAINER", ret);
		ret = container_set_iommu(box, VFIO_TYPE1v2_IOMMU);
		if (ret && ret != -EINVAL)
			return unexpected(self, "SET_IOMMU", ret);
		r->chosen += !ret;
		/* One of the two has chosen it, and neither group has left. */
		fd = group_device(group, name);
		if (fd < 0)
			return unexpected(self, "GET_DEVICE_FD", fd);
		ret = device_info(fd);
		if (ret)
			return unexpected(self, "GET_INFO of the device", ret);
		if (group_unset(group) != -EBUSY)
			return unexpected(self, "UNSET with an open device", 0);
		close(fd);
		ret = group_unset(group);
		if (ret)
			return unexpected(self, "UNSET", ret);
	}
	return 0;
}

/* semantics: 161, 164.  Two who use one container know nothing of each other. */
TEST_F(container_stress, rivals)
{
	struct worker w[CALLERS], rival[2];
	struct rival r[2] = { { self, 0 }, { self, 1 } };

	ASSERT_EQ(0, start_callers(self, w));
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, worker_start(&rival[i], compete, &r[i]));
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(0, worker_join(&rival[i]));
	EXPECT_GT(r[0].chosen + r[1].chosen, 0);
	end_callers(_metadata, self, w);
}

/* Opens the device again and again. */
static int open_devices(void *arg)
{
	container_stress_t *self = arg;

	while (!atomic_load(&self->stop)) {
		int fd, ret;

		/* Or else there would always be one open. */
		if (atomic_load(&self->leaving)) {
			sched_yield();
			continue;
		}
		fd = group_device(self->group[0], self->pci[0].bdf);
		/* In no container, or in one that has no driver. */
		if (fd == -EINVAL) {
			atomic_fetch_add(&self->without, 1);
			continue;
		}
		if (fd < 0)
			return unexpected(self, "GET_DEVICE_FD", fd);
		atomic_fetch_add(&self->with, 1);
		ret = device_info(fd);
		if (ret)
			return unexpected(self, "GET_INFO of the device", ret);
		ret = group_unset(self->group[0]);
		if (ret != -EBUSY)
			return unexpected(self, "UNSET with an open device", ret);
		close(fd);
	}
	return 0;
}

/* semantics: 149, 150, 152.  A group leaves when none of its devices is open, or not. */
TEST_F(container_stress, devices)
{
	struct worker w[CALLERS];
	int fd = self->container, ret, left = 0;

	for (int i = 0; i < CALLERS; i++)
		ASSERT_EQ(0, worker_start(&w[i], open_devices, self));
	for (int i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, group_set(self->group[0], fd));
		EXPECT_EQ(0, container_set_iommu(fd, VFIO_TYPE1v2_IOMMU));
		if (i % 10 == 0)
			await_call(self, &self->with);
		atomic_store(&self->leaving, true);
		do {
			ret = group_unset(self->group[0]);
			left += !ret;
		} while (ret == -EBUSY);
		ASSERT_EQ(0, ret);
		EXPECT_EQ(-EINVAL, container_unknown(fd));
		atomic_store(&self->leaving, false);
		if (i % 10 == 5)
			await_call(self, &self->without);
	}
	EXPECT_EQ(ROUNDS, left);
	end_callers(_metadata, self, w);
}

/* Has a file of the container for as long as a few calls take. */
static int reopen(void *arg)
{
	container_stress_t *self = arg;

	for (int i = 0; i < ROUNDS; i++) {
		int fd = dup(self->container), box = container_open();

		if (fd < 0 || box < 0)
			return unexpected(self, "open", fd < 0 ? -errno : box);
		if (container_unknown(box) != -EINVAL)
			return unexpected(self, "another container", 0);
		container_unknown(fd);
		close(fd);
		close(box);
	}
	return 0;
}

/* semantics: 165.  Files of the container come and go as well. */
TEST_F(container_stress, files)
{
	struct worker w[CALLERS], files[2];
	int fd = self->container;

	ASSERT_EQ(0, start_callers(self, w));
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, worker_start(&files[i], reopen, self));
	for (int i = 0; i < ROUNDS; i++) {
		EXPECT_EQ(0, group_set(self->group[i & 1], fd));
		EXPECT_EQ(0, container_set_iommu(fd, VFIO_TYPE1v2_IOMMU));
		EXPECT_EQ(0, group_unset(self->group[i & 1]));
	}
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(0, worker_join(&files[i]));
	/* However they were scheduled: one call with a driver, one without. */
	EXPECT_EQ(0, group_set(self->group[0], fd));
	EXPECT_EQ(0, container_set_iommu(fd, VFIO_TYPE1v2_IOMMU));
	await_call(self, &self->with);
	EXPECT_EQ(0, group_unset(self->group[0]));
	await_call(self, &self->without);
	end_callers(_metadata, self, w);
}

TEST_HARNESS_MAIN
