// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emulated devices in containers: how the core calls their driver, and how the driver
 * reaches the user's memory by vfio_iommu_type1.  The driver is testdrv/.
 */
#include <fcntl.h>

#include "lib/container.h"
#include "lib/iommufd.h"
#include "lib/kmsg.h"
#include "lib/pages.h"
#include "lib/task.h"
#include "lib/test.h"
#include "lib/testdrv.h"

#define PAGE 4096u
#define IOVA 0x100000u
#define PAGES 8
#define FLAGS (TESTDRV_WITH_IOCTL | TESTDRV_WITH_UNMAP)

FIXTURE(container_emulated) {
	int drv, container, group;
	uint64_t *words;	/* PAGES pages at IOVA, each begins with its number */
	struct testdrv_calls calls;
};

FIXTURE_SETUP(container_emulated)
{
	if (!has_containers())
		SKIP(return, NO_CONTAINERS);
	self->drv = testdrv_open();
	if (self->drv == -ENOENT)
		SKIP(return, NO_TESTDRV);
	ASSERT_GE(self->drv, 0);
	self->container = container_open();
	ASSERT_GE(self->container, 0);
	ASSERT_EQ(0, testdrv_create(self->drv, 0, FLAGS, 0, 0));
	self->group = testdrv_group(0);
	ASSERT_GE(self->group, 0);
	ASSERT_EQ(0, group_set(self->group, self->container));
	ASSERT_EQ(0, container_set_iommu(self->container, VFIO_TYPE1v2_IOMMU));
	self->words = numbered_pages(PAGES);
	ASSERT_EQ(0, compat_map(self->container, self->words, PAGES * PAGE, IOVA));
	testdrv_calls(self->drv, &self->calls);
}

FIXTURE_TEARDOWN(container_emulated)
{
	EXPECT_EQ(0, testdrv_close(self->drv));
}

static int map_readable(int container, void *va, size_t size, uint64_t iova)
{
	struct vfio_iommu_type1_dma_map arg = {
		.argsz = sizeof(arg),
		.flags = VFIO_DMA_MAP_FLAG_READ,
		.vaddr = (uintptr_t)va,
		.iova = iova,
		.size = size,
	};

	return xioctl(container, VFIO_IOMMU_MAP_DMA, &arg);
}

/*
 * type1 asks a driver for its pages under a lock that it takes inside of the one that
 * unpinning takes.  On either core lockdep says so, and says nothing more from then on:
 * with it, no page is asked for.
 */
static bool may_ask_for_pages(void)
{
	return access("/proc/lockdep", F_OK);
}

/* semantics: 94, 95, 96, 97, 151.  Nothing is bound; one opening, one close. */
TEST_F(container_emulated, callbacks)
{
	int fd[5];

	for (int i = 0; i < 5; i++) {
		fd[i] = group_device(self->group, TESTDRV_DEVICE);
		ASSERT_GE(fd[i], 0);
		EXPECT_EQ(i + 1, testdrv_open_count(self->drv, 0));
		EXPECT_STREQ(i ? "" : "open", testdrv_calls_text(self->drv, 0));
	}
	EXPECT_EQ(-EWOULDBLOCK, module_unload("vfio_testdrv"));
	EXPECT_EQ(-EBUSY, group_unset(self->group));
	for (int i = 0; i < 5; i++) {
		EXPECT_STREQ("", testdrv_calls_text(self->drv, 0));
		close(fd[(i + 3) % 5]);
	}
	EXPECT_STREQ("close", testdrv_calls_text(self->drv, 0));
	EXPECT_EQ(0, testdrv_open_count(self->drv, 0));
	EXPECT_EQ(0, group_unset(self->group));
}

/* semantics: 94, 152.  An opening that fails holds neither group nor container. */
TEST_F(container_emulated, failures)
{
	int fd;

	testdrv_fail(self->drv, 0, TESTDRV_OPEN, EUCLEAN);
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(-EUCLEAN, group_device(self->group, TESTDRV_DEVICE));
		EXPECT_STREQ("open", testdrv_calls_text(self->drv, 0));
		EXPECT_EQ(0, testdrv_open_count(self->drv, 0));
	}
	EXPECT_EQ(0, group_unset(self->group));
	ASSERT_EQ(0, group_set(self->group, self->container));
	EXPECT_EQ(-EINVAL, group_device(self->group, TESTDRV_DEVICE));
	EXPECT_STREQ("", testdrv_calls_text(self->drv, 0));
	ASSERT_EQ(0, container_set_iommu(self->container, VFIO_TYPE1v2_IOMMU));
	testdrv_fail(self->drv, 0, TESTDRV_OPEN, 0);
	fd = group_device(self->group, TESTDRV_DEVICE);
	ASSERT_GE(fd, 0);
	close_fd(&self->group);
	EXPECT_EQ(-EBUSY, testdrv_group(0));
	close(fd);
	self->group = testdrv_group(0);
	EXPECT_GE(self->group, 0);
}

/* semantics: 52.  The driver's own copies go where the container's mappings say. */
TEST_F(container_emulated, copies)
{
	uint64_t word = 0, *readable = pages_alloc(PAGE);
	int fd = group_device(self->group, TESTDRV_DEVICE);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(0, testdrv_rw(self->drv, 0, 0, IOVA, &word, 8));
	EXPECT_EQ(1000, word);
	word = 42;
	EXPECT_EQ(0, testdrv_rw(self->drv, 0, TESTDRV_RW_WRITE, IOVA + PAGE + 8, &word, 8));
	EXPECT_EQ(42, self->words[PAGE / 8 + 1]);
	/* A thread of the kernel is let into the memory of who mapped it. */
	EXPECT_EQ(0, testdrv_rw(self->drv, 0, TESTDRV_RW_KTHREAD, IOVA + PAGE, &word, 8));
	EXPECT_EQ(1001, word);
	/* Over the end of a page, and of all of them. */
	self->words[PAGE / 8 - 1] = 4711;
	EXPECT_EQ(0, testdrv_rw(self->drv, 0, 0, IOVA + PAGE - 8, self->words + 2, 16));
	EXPECT_EQ(4711, self->words[2]);
	EXPECT_EQ(1001, self->words[3]);
	EXPECT_EQ(-EINVAL, testdrv_rw(self->drv, 0, 0, IOVA + PAGES * PAGE - 4, &word, 8));
	EXPECT_EQ(-EINVAL, testdrv_rw(self->drv, 0, 0, IOVA - PAGE, &word, 8));
	EXPECT_EQ(-EINVAL, testdrv_rw(self->drv, 0, 0, ~0ULL, &word, 8));
	EXPECT_EQ(-EINVAL, testdrv_rw(self->drv, 0, TESTDRV_RW_NULL, IOVA, &word, 8));
	EXPECT_EQ(-EINVAL, testdrv_rw(self->drv, 0, 0, IOVA, &word, 0));
	ASSERT_EQ(0, map_readable(self->container, readable, PAGE, 2 * IOVA));
	EXPECT_EQ(0, testdrv_rw(self->drv, 0, 0, 2 * IOVA, &word, 8));
	EXPECT_EQ(-EPERM, testdrv_rw(self->drv, 0, TESTDRV_RW_WRITE, 2 * IOVA, &word, 8));
	ASSERT_EQ(0, compat_unmap(self->container, 2 * IOVA, PAGE));
	EXPECT_EQ(-EINVAL, testdrv_rw(self->drv, 0, 0, 2 * IOVA, &word, 8));
	close(fd);
}

/* semantics: 50, 51.  Pages are pinned, and given back when they are unmapped. */
TEST_F(container_emulated, pins)
{
	uint64_t words[PAGES];
	int fd = group_device(self->group, TESTDRV_DEVICE);
	const struct testdrv_call *unmap;

	ASSERT_GE(fd, 0);
	EXPECT_EQ(PAGES, testdrv_pin(self->drv, 0, TESTDRV_PIN_WRITE, IOVA, PAGES, words));
	for (int i = 0; i < PAGES; i++) {
		EXPECT_EQ(1000 + i, words[i]);
		EXPECT_EQ(~words[i], self->words[i * PAGE / 8 + 1]);
	}
	testdrv_unpin(self->drv, 0, IOVA, PAGES);
	/* The offset in the page does not matter. */
	EXPECT_EQ(1, testdrv_pin(self->drv, 0, 0, IOVA + PAGE, 1, words));
	EXPECT_EQ(1001, words[0]);
	if (!may_ask_for_pages()) {
		testdrv_unpin(self->drv, 0, IOVA + PAGE, 1);
		SKIP(return, "lockdep knows of type1");
	}
	testdrv_calls(self->drv, &self->calls);
	ASSERT_EQ(0, compat_unmap(self->container, IOVA, PAGES * PAGE));
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("unmap*", testdrv_text(&self->calls, 0));
	unmap = testdrv_first(&self->calls, 0, TESTDRV_DMA_UNMAP);
	EXPECT_EQ(IOVA, unmap->arg[0]);
	EXPECT_EQ(PAGES * PAGE, unmap->arg[1]);
	EXPECT_EQ(-EINVAL, testdrv_pin(self->drv, 0, 0, IOVA, 1, words));
	/* Nothing pinned, nobody asked. */
	ASSERT_EQ(0, compat_map(self->container, self->words, PAGE, IOVA));
	ASSERT_EQ(0, compat_unmap(self->container, IOVA, PAGE));
	EXPECT_STREQ("", testdrv_calls_text(self->drv, 0));
	close(fd);
}

/* semantics: 50.  Which of two errors is said. */
TEST_F(container_emulated, pin_errors)
{
	int second, fd = group_device(self->group, TESTDRV_DEVICE), drv = self->drv;
	uint64_t *many = pages_alloc(513 * PAGE), *readable = pages_alloc(PAGE);
	const uint64_t far = 64 << 20;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, compat_map(self->container, many, 513 * PAGE, far));
	ASSERT_EQ(0, map_readable(self->container, readable, PAGE, 2 * IOVA));
	EXPECT_EQ(-EINVAL, testdrv_pin(drv, 0, TESTDRV_PIN_NULL, IOVA, 1, NULL));
	EXPECT_EQ(-EINVAL, testdrv_pin(drv, 0, TESTDRV_PIN_NULL, IOVA, 513, NULL));
	EXPECT_EQ(-EINVAL, testdrv_pin(drv, 0, 0, IOVA, 0, NULL));
	/* A negative number is a large one. */
	EXPECT_EQ(-E2BIG, testdrv_pin(drv, 0, 0, IOVA, -1, NULL));
	EXPECT_EQ(-E2BIG, testdrv_pin(drv, 0, 0, IOVA, INT32_MIN, NULL));
	EXPECT_EQ(512, testdrv_pin(drv, 0, 0, far, 512, NULL));
	testdrv_unpin(drv, 0, far, 512);
	EXPECT_EQ(-E2BIG, testdrv_pin(drv, 0, 0, far, 513, NULL));
	EXPECT_EQ(-E2BIG, testdrv_pin(drv, 0, 0, 1ULL << 40, 4096, NULL));
	EXPECT_EQ(-E2BIG, testdrv_pin(drv, 0, 0, -(uint64_t)PAGE, 513, NULL));
	EXPECT_EQ(-EOVERFLOW, testdrv_pin(drv, 0, 0, -(uint64_t)PAGE, 2, NULL));
	EXPECT_EQ(-EINVAL, testdrv_pin(drv, 0, 0, 1ULL << 40, 1, NULL));
	EXPECT_EQ(-EINVAL, testdrv_pin(drv, 0, 0, IOVA + (PAGES - 1) * PAGE, 2, NULL));
	EXPECT_EQ(-EPERM, testdrv_pin(drv, 0, TESTDRV_PIN_WRITE, 2 * IOVA, 1, NULL));
	EXPECT_EQ(1, testdrv_pin(drv, 0, 0, 2 * IOVA, 1, NULL));
	testdrv_unpin(drv, 0, 2 * IOVA, 1);
	/* What failed has left nothing pinned: nobody is asked to give it back. */
	testdrv_calls(drv, &self->calls);
	EXPECT_EQ(0, compat_unmap(self->container, far, 513 * PAGE));
	EXPECT_EQ(0, compat_unmap(self->container, IOVA, PAGES * PAGE));
	EXPECT_EQ(0, compat_unmap(self->container, 2 * IOVA, PAGE));
	EXPECT_STREQ("", testdrv_calls_text(drv, 0));

	/* A driver that could not be told of an unmap, whatever else is wrong. */
	ASSERT_EQ(0, testdrv_create(drv, 1, 0, 0, 0));
	second = testdrv_group(1);
	ASSERT_GE(second, 0);
	ASSERT_EQ(0, group_set(second, self->container));
	ASSERT_GE(group_device(second, "vfio-testdrv.1"), 0);
	EXPECT_EQ(-EINVAL, testdrv_pin(drv, 1, 0, IOVA, 513, NULL));
	close(fd);
}

/* semantics: 50, 161.  Version 1 of type1 does not pin. */
TEST_F(container_emulated, version_1)
{
	uint64_t word = 0;
	int fd;

	ASSERT_EQ(0, group_unset(self->group));
	ASSERT_EQ(0, group_set(self->group, self->container));
	ASSERT_EQ(0, container_set_iommu(self->container, VFIO_TYPE1_IOMMU));
	fd = group_device(self->group, TESTDRV_DEVICE);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(-EACCES, testdrv_pin(self->drv, 0, 0, IOVA, 1, NULL));
	EXPECT_EQ(-E2BIG, testdrv_pin(self->drv, 0, 0, IOVA, 513, NULL));
	/* The old mappings went with the old backend. */
	EXPECT_EQ(-EINVAL, testdrv_rw(self->drv, 0, 0, IOVA, &word, 8));
	ASSERT_EQ(0, compat_map(self->container, self->words, PAGE, IOVA));
	EXPECT_EQ(0, testdrv_rw(self->drv, 0, 0, IOVA, &word, 8));
	EXPECT_EQ(1000, word);
	close(fd);
}

/* semantics: 51, 190.  Numbers that no pin can have had do no harm. */
TEST_F(container_emulated, unpin_errors)
{
	int fd = group_device(self->group, TESTDRV_DEVICE), log = kmsg_open();

	ASSERT_GE(fd, 0);
	ASSERT_GE(log, 0);
	EXPECT_EQ(1, testdrv_pin(self->drv, 0, 0, IOVA, 1, NULL));
	kmsg_expect_warning(true, NULL);
	testdrv_unpin(self->drv, 0, IOVA, 0);
	EXPECT_TRUE(kmsg_warned(log));
	testdrv_unpin(self->drv, 0, IOVA, -1);
	EXPECT_TRUE(kmsg_warned(log));
	testdrv_unpin(self->drv, 0, IOVA, 513);
	EXPECT_TRUE(kmsg_warned(log));
	kmsg_expect_warning(false, NULL);
	/* The page is pinned still. */
	if (!may_ask_for_pages()) {
		testdrv_unpin(self->drv, 0, IOVA, 1);
		SKIP(return, "lockdep knows of type1");
	}
	testdrv_calls(self->drv, &self->calls);
	EXPECT_EQ(0, compat_unmap(self->container, IOVA, PAGES * PAGE));
	EXPECT_STREQ("unmap*", testdrv_calls_text(self->drv, 0));
	close(fd);
	close(log);
}

/* semantics: 152, 164, 165.  The driver's memory is there until its device is closed. */
TEST_F(container_emulated, only_the_device_is_left)
{
	int fd = group_device(self->group, TESTDRV_DEVICE);
	uint64_t word = 0;

	ASSERT_GE(fd, 0);
	close_fd(&self->group);
	close_fd(&self->container);
	EXPECT_EQ(0, testdrv_rw(self->drv, 0, 0, IOVA, &word, 8));
	EXPECT_EQ(1000, word);
	EXPECT_EQ(1, testdrv_pin(self->drv, 0, 0, IOVA, 1, &word));
	testdrv_unpin(self->drv, 0, IOVA, 1);
	close(fd);
	EXPECT_STREQ("open close", testdrv_calls_text(self->drv, 0));
}

/* semantics: 148, 161.  Devices of both kinds, and their memory is the same. */
TEST_F(container_emulated, beside_a_physical_device)
{
	int fd = group_device(self->group, TESTDRV_DEVICE);
	struct boxed b;
	struct pci pci;
	uint64_t word;

	if (pci_find_at(EDU, false, &pci))
		SKIP(return, "no edu device on the root bus");
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, boxed_join(&pci, self->container, &b));
	EXPECT_EQ(1, testdrv_pin(self->drv, 0, 0, IOVA, 1, &word));
	EXPECT_EQ(1000, word);
	/* The extension that emulated devices forbid. */
	EXPECT_EQ(0, container_check(self->container, VFIO_UPDATE_VADDR));
	close_fd(&b.fd);
	close_fd(&b.group);
	EXPECT_EQ(0, testdrv_rw(self->drv, 0, 0, IOVA, &word, 8));
	if (!may_ask_for_pages()) {
		testdrv_unpin(self->drv, 0, IOVA, 1);
		SKIP(return, "lockdep knows of type1");
	}
	ASSERT_EQ(0, compat_unmap(self->container, IOVA, PAGES * PAGE));
	EXPECT_STREQ("open unmap*", testdrv_calls_text(self->drv, 0));
	close(fd);
}

typedef FIXTURE_DATA(container_emulated) container_emulated_t;

/* The device, open with an iommufd in place of the container, in which a page is mapped at IOVA. */
static int open_with_iommufd(container_emulated_t *self, int iommufd)
{
	if (group_unset(self->group) || group_set(self->group, iommufd) ||
	    compat_map(iommufd, self->words + PAGE / 8, PAGE, IOVA))
		return -EIO;
	return group_device(self->group, TESTDRV_DEVICE);
}

/*
 * semantics: 149, 151; defect: B2 (D2).  A device that is open with an iommufd reads through it.  In C it
 * reads through the container in which its group is now.
 */
TEST_F(container_emulated, read_after_a_change_of_the_group)
{
	int iommufd, fd;
	uint64_t word = 0;

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	iommufd = iommufd_open();
	ASSERT_GE(iommufd, 0);
	fd = open_with_iommufd(self, iommufd);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, group_unset(self->group));
	ASSERT_EQ(0, group_set(self->group, self->container));
	EXPECT_EQ(BY_CORE(-ENOTTY, 0), testdrv_rw(self->drv, 0, 0, IOVA, &word, 8));
	EXPECT_EQ(BY_CORE(0, 1001), word);
	ASSERT_EQ(0, group_unset(self->group));
	close(fd);
}

/*
 * semantics: 149, 151; defect: B2 (D2).  An open device stays with the iommufd that it
 * was opened with: a container does not lead to it.  The core in C miscounts.
 */
TEST_F(container_emulated, opened_by_an_iommufd)
{
	int iommufd, fd, again;
	uint64_t word = 0;

	if (!core_is_rust())
		SKIP(return, "the core in C mixes up the two");
	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	iommufd = iommufd_open();
	ASSERT_GE(iommufd, 0);
	fd = open_with_iommufd(self, iommufd);
	ASSERT_GE(fd, 0);
	EXPECT_STREQ("bind open attach", testdrv_calls_text(self->drv, 0));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, group_unset(self->group));
		/* Also when the group's file is another. */
		if (i) {
			close_fd(&self->group);
			self->group = testdrv_group(0);
			ASSERT_GE(self->group, 0);
		}
		ASSERT_EQ(0, group_set(self->group, self->container));
		EXPECT_EQ(-EINVAL, group_device(self->group, TESTDRV_DEVICE));
		ASSERT_EQ(0, container_set_iommu(self->container, VFIO_TYPE1v2_IOMMU));
		EXPECT_EQ(-EINVAL, group_device(self->group, TESTDRV_DEVICE));
		EXPECT_STREQ("", testdrv_calls_text(self->drv, 0));
		/* Nor do the driver's pins go to the container. */
		EXPECT_EQ(1, testdrv_pin(self->drv, 0, 0, IOVA, 1, &word));
		EXPECT_EQ(1001, word);
		testdrv_unpin(self->drv, 0, IOVA, 1);
		EXPECT_EQ(1, testdrv_open_count(self->drv, 0));
		/* The container does not count what it did not open. */
		ASSERT_EQ(0, group_unset(self->group));
		ASSERT_EQ(0, group_set(self->group, iommufd));
		again = group_device(self->group, TESTDRV_DEVICE);
		EXPECT_GE(again, 0);
		close(again);
		EXPECT_EQ(0, testdrv_rw(self->drv, 0, 0, IOVA, &word, 8));
		EXPECT_EQ(1001, word);
	}
	/* Closed while the group is in the container: what was the iommufd's goes there. */
	ASSERT_EQ(0, group_unset(self->group));
	ASSERT_EQ(0, group_set(self->group, self->container));
	ASSERT_EQ(0, container_set_iommu(self->container, VFIO_TYPE1v2_IOMMU));
	close(fd);
	EXPECT_STREQ("close unbind unmap", testdrv_calls_text(self->drv, 0));
	EXPECT_EQ(0, testdrv_open_count(self->drv, 0));
	fd = group_device(self->group, TESTDRV_DEVICE);
	ASSERT_GE(fd, 0);
	EXPECT_STREQ("open", testdrv_calls_text(self->drv, 0));
	EXPECT_EQ(-EBUSY, group_unset(self->group));
	close(fd);
	EXPECT_STREQ("close", testdrv_calls_text(self->drv, 0));
	EXPECT_EQ(0, group_unset(self->group));
	close(iommufd);
}

static int destroy(void *arg)
{
	return testdrv_destroy(*(int *)arg, 0);
}

/* semantics: 87, 90, 91.  Unregistering waits for the device, and empties the container. */
TEST_F(container_emulated, unregister)
{
	int fd = group_device(self->group, TESTDRV_DEVICE);
	struct worker worker;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, worker_start(&worker, destroy, &self->drv));
	ASSERT_TRUE(worker_waits_for_users(&worker));
	EXPECT_EQ(-ENODEV, group_device(self->group, TESTDRV_DEVICE));
	EXPECT_EQ(1, testdrv_pin(self->drv, 0, 0, IOVA, 1, NULL));
	testdrv_unpin(self->drv, 0, IOVA, 1);
	EXPECT_FALSE(worker_ended(&worker));
	close(fd);
	EXPECT_EQ(0, worker_join(&worker));
	EXPECT_EQ(-ENODEV, group_flags(self->group));
	EXPECT_EQ(-EINVAL, container_unknown(self->container));
}

TEST_HARNESS_MAIN
