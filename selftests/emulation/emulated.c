// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emulated devices: their driver reads and writes the user's memory.  How the core
 * calls a driver, in which order and under which lock, and what a driver may ask of
 * the core.  The driver is testdrv/, and says what it saw.
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "lib/cdev.h"
#include "lib/iommufd.h"
#include "lib/kmsg.h"
#include "lib/sysfs.h"
#include "lib/task.h"
#include "lib/test.h"
#include "lib/testdrv.h"

#define PAGE 4096u
#define IOVA 0x100000u
#define PAGES 8
#define EVERYTHING ~0ULL

FIXTURE(emulated) {
	int drv, iommufd;
	uint32_t ioas;
	uint64_t *words;	/* PAGES pages at IOVA, each begins with its number */
	struct testdrv_calls calls;
};

static uint64_t *numbered_pages(int n)
{
	uint64_t *words = pages_alloc(n * PAGE);

	for (int i = 0; i < n; i++)
		words[i * PAGE / 8] = 1000 + i;
	return words;
}

static int map_read_only(int iommufd, uint32_t ioas, void *page, uint64_t iova)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)page,
		.length = PAGE,
		.iova = iova,
	};

	return xioctl(iommufd, IOMMU_IOAS_MAP, &map);
}

FIXTURE_SETUP(emulated)
{
	self->drv = testdrv_open();
	if (self->drv == -ENOENT)
		SKIP(return, NO_TESTDRV);
	ASSERT_GE(self->drv, 0);
	self->iommufd = iommufd_open();
	ASSERT_GE(self->iommufd, 0);
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &self->ioas));
	self->words = numbered_pages(PAGES);
	ASSERT_EQ(0, ioas_map(self->iommufd, self->ioas, self->words, PAGES * PAGE, IOVA));
}

FIXTURE_TEARDOWN(emulated)
{
	EXPECT_EQ(0, testdrv_close(self->drv));
}

/* The device of a slot, bound; its fd. */
static int open_bound(int slot, int iommufd)
{
	int ret, fd = testdrv_cdev(slot);
	uint32_t devid;

	if (fd < 0)
		return fd;
	ret = cdev_bind(fd, iommufd, &devid);
	if (ret) {
		close(fd);
		return ret;
	}
	return fd;
}

static int open_attached(int slot, int iommufd, uint32_t ioas)
{
	int ret, fd = open_bound(slot, iommufd);

	if (fd < 0)
		return fd;
	ret = cdev_attach(fd, &ioas);
	if (ret) {
		close(fd);
		return ret;
	}
	return fd;
}

static void unpin(int drv, int slot, uint64_t iova, int npage)
{
	if (testdrv_cmd(drv, TESTDRV_UNPIN, slot, 0, iova, npage))
		abort();
}

static int fail(int drv, int slot, int id, int err)
{
	return testdrv_cmd(drv, TESTDRV_FAIL, slot, 0, id, err);
}

/*
 * A warning of the kernel came, the test having asked for it.  The core in C warns
 * once of some things.
 */
/* semantics: 30, 37, 39, 69, 70, 81, 93-97, 126, 183.  What a device's life looks like to its driver. */
TEST_F(emulated, life)
{
	const char *group = "/sys/devices/platform/vfio-testdrv.0/iommu_group/name";
	uint32_t devid = 0, pt = self->ioas;
	int fd, users = module_users("vfio_testdrv");
	char text[64];

	ASSERT_EQ(0, testdrv_create(self->drv, 0, TESTDRV_WITH_UNMAP, 0, 0));
	EXPECT_EQ(has_groups(), !access(group, F_OK));
	if (has_groups()) {
		ASSERT_GT(sysfs_read(group, text, sizeof(text)), 0);
		EXPECT_STREQ("vfio-noiommu", text);
	}
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("init*", testdrv_text(&self->calls, 0));

	fd = testdrv_cdev(0);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(0, testdrv_open_count(self->drv, 0));
	EXPECT_EQ(users, module_users("vfio_testdrv"));
	EXPECT_EQ(0, testdrv_calls(self->drv, &self->calls));

	ASSERT_EQ(0, cdev_bind(fd, self->iommufd, &devid));
	EXPECT_EQ(1, testdrv_open_count(self->drv, 0));
	EXPECT_EQ(users + 1, module_users("vfio_testdrv"));
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("bind open", testdrv_text(&self->calls, 0));
	EXPECT_EQ(devid, testdrv_first(&self->calls, 0, TESTDRV_BIND)->arg[1]);
	EXPECT_NE(0, devid);

	ASSERT_EQ(0, cdev_attach(fd, &pt));
	EXPECT_EQ(1, testdrv_open_count(self->drv, 0));
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("attach", testdrv_text(&self->calls, 0));

	close(fd);
	EXPECT_EQ(0, testdrv_open_count(self->drv, 0));
	EXPECT_EQ(users, module_users("vfio_testdrv"));
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("close unbind unmap", testdrv_text(&self->calls, 0));

	ASSERT_EQ(0, testdrv_destroy(self->drv, 0));
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("release*", testdrv_text(&self->calls, 0));
	EXPECT_NE(0, access(group, F_OK));
}

/* semantics: 193.  The same object can come again. */
TEST_F(emulated, again)
{
	ASSERT_EQ(0, testdrv_create(self->drv, 0, 0, 0, 0));
	testdrv_calls(self->drv, &self->calls);
	for (int i = 0; i < 3; i++) {
		int fd = open_attached(0, self->iommufd, self->ioas);

		ASSERT_GE(fd, 0);
		close(fd);
		ASSERT_EQ(0, testdrv_cmd(self->drv, TESTDRV_REREGISTER, 0, 0, 0, 0));
	}
	testdrv_calls(self->drv, &self->calls);
	EXPECT_EQ(0, testdrv_count(&self->calls, 0, TESTDRV_RELEASE));
	EXPECT_EQ(3, testdrv_count(&self->calls, 0, TESTDRV_OPEN));
	EXPECT_EQ(3, testdrv_count(&self->calls, 0, TESTDRV_CLOSE));
}

/* semantics: 69, 94, 103.  Whatever a callback refuses, user space is told and can try again. */
TEST_F(emulated, refusals)
{
	uint32_t devid, pt = self->ioas;
	int fd;

	ASSERT_EQ(0, testdrv_create(self->drv, 0, TESTDRV_WITH_UNMAP, 0, 0));
	fd = testdrv_cdev(0);
	ASSERT_GE(fd, 0);
	testdrv_calls(self->drv, &self->calls);

	fail(self->drv, 0, TESTDRV_BIND, EUCLEAN);
	EXPECT_EQ(-EUCLEAN, cdev_bind(fd, self->iommufd, &devid));
	EXPECT_EQ(0, testdrv_open_count(self->drv, 0));
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("bind", testdrv_text(&self->calls, 0));
	fail(self->drv, 0, TESTDRV_BIND, 0);

	fail(self->drv, 0, TESTDRV_OPEN, EUCLEAN);
	EXPECT_EQ(-EUCLEAN, cdev_bind(fd, self->iommufd, &devid));
	EXPECT_EQ(0, testdrv_open_count(self->drv, 0));
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("bind open unbind", testdrv_text(&self->calls, 0));
	EXPECT_EQ(-EINVAL, cdev_attach(fd, &pt));
	fail(self->drv, 0, TESTDRV_OPEN, 0);

	ASSERT_EQ(0, cdev_bind(fd, self->iommufd, &devid));
	fail(self->drv, 0, TESTDRV_ATTACH, EUCLEAN);
	EXPECT_EQ(-EUCLEAN, cdev_attach(fd, &pt));
	fail(self->drv, 0, TESTDRV_ATTACH, 0);
	EXPECT_EQ(0, cdev_attach(fd, &pt));
	close(fd);
}

/* semantics: 71, 72, 114, 183.  Attach, replace, detach; the id that comes back. */
TEST_F(emulated, attach)
{
	uint32_t other, pt, bad = 0xffff;
	int fd;

	ASSERT_EQ(0, testdrv_create(self->drv, 0, TESTDRV_WITH_UNMAP, 0, 0));
	fd = open_bound(0, self->iommufd);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &other));
	testdrv_calls(self->drv, &self->calls);

	EXPECT_EQ(-ENOENT, cdev_attach(fd, &bad));
	pt = self->ioas;
	EXPECT_EQ(0, cdev_attach(fd, &pt));
	EXPECT_EQ(self->ioas, pt);
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->iommufd, self->ioas));
	EXPECT_EQ(1, testdrv_pin(self->drv, 0, 0, IOVA, 1, NULL));
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("attach attach", testdrv_text(&self->calls, 0));

	/* What fails changes nothing. */
	EXPECT_EQ(-ENOENT, cdev_attach(fd, &bad));
	EXPECT_EQ(1, testdrv_pin(self->drv, 0, 0, IOVA + PAGE, 1, NULL));
	testdrv_calls(self->drv, &self->calls);

	/* All that was pinned must go, and before the callback's return. */
	pt = other;
	EXPECT_EQ(0, cdev_attach(fd, &pt));
	EXPECT_EQ(other, pt);
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("unmap attach", testdrv_text(&self->calls, 0));
	EXPECT_EQ(0, testdrv_first(&self->calls, 0, TESTDRV_DMA_UNMAP)->arg[0]);
	EXPECT_EQ(EVERYTHING, testdrv_first(&self->calls, 0, TESTDRV_DMA_UNMAP)->arg[1]);
	EXPECT_EQ(-ENOENT, testdrv_pin(self->drv, 0, 0, IOVA, 1, NULL));
	EXPECT_EQ(0, ioas_map(self->iommufd, other, self->words, PAGE, IOVA));
	EXPECT_EQ(1, testdrv_pin(self->drv, 0, 0, IOVA, 1, NULL));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->iommufd, other));
	testdrv_calls(self->drv, &self->calls);

	EXPECT_EQ(0, cdev_detach(fd));
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("detach unmap", testdrv_text(&self->calls, 0));
	EXPECT_EQ(-ENOENT, testdrv_pin(self->drv, 0, 0, IOVA, 1, NULL));
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, other));
	/* Nothing attached is no error. */
	EXPECT_EQ(0, cdev_detach(fd));
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("detach", testdrv_text(&self->calls, 0));
	/* And once more. */
	pt = self->ioas;
	EXPECT_EQ(0, cdev_attach(fd, &pt));
	EXPECT_EQ(1, testdrv_pin(self->drv, 0, 0, IOVA, 1, NULL));
	/* PASIDs are for devices that do DMA by themselves. */
	EXPECT_EQ(-EOPNOTSUPP, cdev_attach_pasid(fd, 1, &pt));
	EXPECT_EQ(-EOPNOTSUPP, cdev_detach_pasid(fd, 1));
	close(fd);
}

/* semantics: 50, 51.  Pages that are pinned are the user's pages. */
TEST_F(emulated, pin)
{
	uint64_t words[PAGES] = { 0 };
	int fd;

	ASSERT_EQ(0, testdrv_create(self->drv, 0, TESTDRV_WITH_UNMAP, 0, 0));
	fd = open_attached(0, self->iommufd, self->ioas);
	ASSERT_GE(fd, 0);

	ASSERT_EQ(PAGES, testdrv_pin(self->drv, 0, 0, IOVA, PAGES, words));
	for (int i = 0; i < PAGES; i++)
		EXPECT_EQ(1000 + i, words[i]);
	unpin(self->drv, 0, IOVA, PAGES);
	/* The offset in the page is the driver's to remember. */
	ASSERT_EQ(2, testdrv_pin(self->drv, 0, TESTDRV_PIN_WRITE, IOVA + 2 * PAGE + 5, 2, words));
	EXPECT_EQ(1002, words[0]);
	EXPECT_EQ(1003, words[1]);
	EXPECT_EQ(~1002ULL, self->words[2 * PAGE / 8 + 1]);
	EXPECT_EQ(~1003ULL, self->words[3 * PAGE / 8 + 1]);
	EXPECT_EQ(0, self->words[4 * PAGE / 8 + 1]);
	unpin(self->drv, 0, IOVA + 2 * PAGE + 5, 2);

	/* All are given back: nobody must be asked to. */
	testdrv_calls(self->drv, &self->calls);
	EXPECT_EQ(0, ioas_unmap(self->iommufd, self->ioas, IOVA, PAGES * PAGE));
	EXPECT_EQ(0, testdrv_calls(self->drv, &self->calls));
	close(fd);
}

/* semantics: 69.  Whoever unmaps makes the driver give its pages back. */
TEST_F(emulated, unmap)
{
	const struct testdrv_call *call;
	int fd;

	ASSERT_EQ(0, testdrv_create(self->drv, 0, TESTDRV_WITH_UNMAP, 0, 0));
	fd = open_attached(0, self->iommufd, self->ioas);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, ioas_map(self->iommufd, self->ioas, self->words, PAGE, IOVA / 2));
	ASSERT_EQ(2, testdrv_pin(self->drv, 0, 0, IOVA + PAGE, 2, NULL));
	testdrv_calls(self->drv, &self->calls);

	/* Where nothing is pinned nobody is called. */
	EXPECT_EQ(0, ioas_unmap(self->iommufd, self->ioas, IOVA / 2, PAGE));
	EXPECT_EQ(0, testdrv_calls(self->drv, &self->calls));

	EXPECT_EQ(0, ioas_unmap(self->iommufd, self->ioas, IOVA, PAGES * PAGE));
	testdrv_calls(self->drv, &self->calls);
	/* No lock of the core: an unmap may come from anybody. */
	EXPECT_STREQ("unmap*", testdrv_text(&self->calls, 0));
	call = testdrv_first(&self->calls, 0, TESTDRV_DMA_UNMAP);
	EXPECT_EQ(IOVA, call->arg[0]);
	EXPECT_EQ(PAGES * PAGE, call->arg[1]);
	EXPECT_EQ(-ENOENT, testdrv_pin(self->drv, 0, 0, IOVA, 1, NULL));

	/* A close is an unmap of everything; what the driver has kept goes then. */
	ASSERT_EQ(0, ioas_map(self->iommufd, self->ioas, self->words, PAGE, IOVA));
	ASSERT_EQ(1, testdrv_pin(self->drv, 0, 0, IOVA, 1, NULL));
	testdrv_calls(self->drv, &self->calls);
	close(fd);
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("close unbind unmap", testdrv_text(&self->calls, 0));
	call = testdrv_first(&self->calls, 0, TESTDRV_DMA_UNMAP);
	EXPECT_EQ(0, call->arg[0]);
	EXPECT_EQ(EVERYTHING, call->arg[1]);
	EXPECT_EQ(0, ioas_unmap(self->iommufd, self->ioas, IOVA, PAGE));
}

/* semantics: 50; defect: B19.  Arguments that cannot be, and pages that are not there. */
TEST_F(emulated, pin_errors)
{
	const uint64_t end = IOVA + PAGES * PAGE;
	uint64_t *many = numbered_pages(512);
	int fd;

	ASSERT_EQ(0, testdrv_create(self->drv, 0, TESTDRV_WITH_UNMAP, 0, 0));
	fd = open_bound(0, self->iommufd);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(-ENOENT, testdrv_pin(self->drv, 0, 0, IOVA, 1, NULL));
	ASSERT_EQ(0, cdev_attach(fd, &self->ioas));
	ASSERT_EQ(0, map_read_only(self->iommufd, self->ioas, self->words, IOVA / 2));

	EXPECT_EQ(-EINVAL, testdrv_pin(self->drv, 0, TESTDRV_PIN_NULL, IOVA, 1, NULL));
	EXPECT_EQ(-EINVAL, testdrv_pin(self->drv, 0, 0, IOVA, 0, NULL));
	EXPECT_EQ(-ENOENT, testdrv_pin(self->drv, 0, 0, end, 1, NULL));
	EXPECT_EQ(-ENOENT, testdrv_pin(self->drv, 0, 0, IOVA - PAGE, 2, NULL));
	EXPECT_EQ(-ENOENT, testdrv_pin(self->drv, 0, 0, end - PAGE, 2, NULL));
	EXPECT_EQ(-EPERM, testdrv_pin(self->drv, 0, TESTDRV_PIN_WRITE, IOVA / 2, 1, NULL));
	EXPECT_EQ(1, testdrv_pin(self->drv, 0, 0, IOVA / 2, 1, NULL));
	unpin(self->drv, 0, IOVA / 2, 1);
	EXPECT_EQ(-EOVERFLOW, testdrv_pin(self->drv, 0, 0, -(uint64_t)PAGE, 2, NULL));

	/* As many as a container allows, on ours. */
	ASSERT_EQ(0, ioas_map(self->iommufd, self->ioas, many, 512 * PAGE, 64 << 20));
	EXPECT_EQ(512, testdrv_pin(self->drv, 0, 0, 64 << 20, 512, NULL));
	unpin(self->drv, 0, 64 << 20, 512);
	EXPECT_EQ(BY_CORE(-ENOENT, -E2BIG), testdrv_pin(self->drv, 0, 0, 64 << 20, 513, NULL));
	EXPECT_EQ(BY_CORE(-ENOENT, -E2BIG), testdrv_pin(self->drv, 0, 0, 1ULL << 40, 513, NULL));
	EXPECT_EQ(BY_CORE(-EOVERFLOW, -E2BIG), testdrv_pin(self->drv, 0, 0, 1ULL << 40, -1, NULL));
	EXPECT_EQ(BY_CORE(-ENOENT, -E2BIG),
		  testdrv_pin(self->drv, 0, 0, 1ULL << 40, INT32_MIN, NULL));

	/* What failed has left nothing pinned. */
	testdrv_calls(self->drv, &self->calls);
	EXPECT_EQ(0, ioas_unmap(self->iommufd, self->ioas, 64 << 20, 512 * PAGE));
	EXPECT_EQ(0, ioas_unmap(self->iommufd, self->ioas, IOVA, PAGES * PAGE));
	EXPECT_EQ(0, ioas_unmap(self->iommufd, self->ioas, IOVA / 2, PAGE));
	EXPECT_EQ(0, testdrv_calls(self->drv, &self->calls));
	close(fd);
}

/* semantics: 50, 51, 52, 190.  Calls of a driver at the wrong time, which it is told of. */
TEST_F(emulated, misuse)
{
	uint64_t word = 0;
	int fd, log = kmsg_open();

	ASSERT_GE(log, 0);
	ASSERT_EQ(0, testdrv_create(self->drv, 0, TESTDRV_WITH_UNMAP, 0, 0));
	ASSERT_EQ(0, testdrv_create(self->drv, 1, 0, 0, 0));
	kmsg_expect_warning(true, NULL);
	/* Not open. */
	EXPECT_EQ(-EINVAL, testdrv_pin(self->drv, 0, 0, IOVA, 1, NULL));
	EXPECT_TRUE(kmsg_warned(log));
	unpin(self->drv, 0, IOVA, 1);
	EXPECT_TRUE(kmsg_warned(log));
	EXPECT_EQ(-EINVAL, testdrv_rw(self->drv, 0, 0, IOVA, &word, 8));
	/* A driver that nobody could tell of an unmap. */
	fd = open_attached(1, self->iommufd, self->ioas);
	ASSERT_GE(fd, 0);
	kmsg_wait(log, "no such line", 0, NULL, 0);
	EXPECT_EQ(-EINVAL, testdrv_pin(self->drv, 1, 0, IOVA, 1, NULL));
	EXPECT_FALSE(kmsg_warned(log));
	unpin(self->drv, 1, IOVA, 1);
	EXPECT_TRUE(kmsg_warned(log));
	EXPECT_EQ(0, testdrv_rw(self->drv, 1, 0, IOVA, &word, 8));
	EXPECT_EQ(1000, word);
	close(fd);
	/* Numbers that no pin can have had. */
	fd = open_attached(0, self->iommufd, self->ioas);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(1, testdrv_pin(self->drv, 0, 0, IOVA, 1, NULL));
	kmsg_wait(log, "no such line", 0, NULL, 0);
	unpin(self->drv, 0, IOVA, 0);
	EXPECT_TRUE(kmsg_warned(log));
	if (core_is_rust()) {
		/* B19; iommufd would look for them. */
		unpin(self->drv, 0, IOVA, -1);
		EXPECT_TRUE(kmsg_warned(log));
		unpin(self->drv, 0, IOVA, 513);
		EXPECT_TRUE(kmsg_warned(log));
	}
	kmsg_expect_warning(false, NULL);
	/* The page is pinned still. */
	testdrv_calls(self->drv, &self->calls);
	EXPECT_EQ(0, ioas_unmap(self->iommufd, self->ioas, IOVA, PAGES * PAGE));
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("unmap*", testdrv_text(&self->calls, 0));
	close(fd);
	close(log);
}

/* semantics: 52.  A driver's own reads and writes. */
TEST_F(emulated, dma_rw)
{
	const uint64_t end = IOVA + PAGES * PAGE;
	static char data[PAGES * PAGE + 1];
	char *bytes = (char *)self->words;
	int log, fd;

	ASSERT_EQ(0, testdrv_create(self->drv, 0, TESTDRV_WITH_UNMAP, 0, 0));
	fd = open_bound(0, self->iommufd);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(-ENOENT, testdrv_rw(self->drv, 0, 0, IOVA, data, 8));
	ASSERT_EQ(0, cdev_attach(fd, &self->ioas));
	ASSERT_EQ(0, map_read_only(self->iommufd, self->ioas, self->words, IOVA / 2));
	for (int i = 0; i < PAGES * PAGE; i++)
		bytes[i] = i * 7 + i / PAGE;

	/* By a task and by a thread of the kernel; whole, and across pages. */
	for (int k = 0; k < 2; k++) {
		uint32_t from = k ? TESTDRV_RW_KTHREAD : 0;

		memset(data, 0, sizeof(data));
		EXPECT_EQ(0, testdrv_rw(self->drv, 0, from, IOVA, data, PAGES * PAGE));
		EXPECT_EQ(0, memcmp(data, bytes, PAGES * PAGE));
		EXPECT_EQ(0, testdrv_rw(self->drv, 0, from, IOVA + PAGE - 3, data, 7));
		EXPECT_EQ(0, memcmp(data, bytes + PAGE - 3, 7));
		EXPECT_EQ(0, testdrv_rw(self->drv, 0, from, end - 1, data, 1));
		EXPECT_EQ(bytes[PAGES * PAGE - 1], data[0]);

		memset(data, 0x5a + k, 10);
		EXPECT_EQ(0, testdrv_rw(self->drv, 0, from | TESTDRV_RW_WRITE, IOVA + 2 * PAGE - 5,
				data, 10));
		EXPECT_EQ(0, memcmp(data, bytes + 2 * PAGE - 5, 10));
		EXPECT_NE(0x5a + k, bytes[2 * PAGE - 6]);
		EXPECT_NE(0x5a + k, bytes[2 * PAGE + 5]);

		EXPECT_EQ(-ENOENT, testdrv_rw(self->drv, 0, from, end, data, 1));
		EXPECT_EQ(-ENOENT, testdrv_rw(self->drv, 0, from, end - 1, data, 2));
		EXPECT_EQ(-ENOENT, testdrv_rw(self->drv, 0, from, IOVA - 1, data, 2));
		EXPECT_EQ(-EOVERFLOW, testdrv_rw(self->drv, 0, from, -1, data, 2));
		EXPECT_EQ(0, testdrv_rw(self->drv, 0, from, IOVA / 2, data, 8));
		EXPECT_EQ(-EPERM, testdrv_rw(self->drv, 0, from | TESTDRV_RW_WRITE, IOVA / 2, data, 8));
	}
	EXPECT_EQ(-EINVAL, testdrv_rw(self->drv, 0, 0, IOVA, data, 0));
	EXPECT_EQ(-EINVAL, testdrv_rw(self->drv, 0, TESTDRV_RW_NULL, IOVA, data, 8));

	/* Nothing stays pinned, and the driver need not know. */
	testdrv_calls(self->drv, &self->calls);
	EXPECT_EQ(0, ioas_unmap(self->iommufd, self->ioas, IOVA, PAGES * PAGE));
	EXPECT_EQ(0, testdrv_calls(self->drv, &self->calls));
	close(fd);

	/* Of one that is not open the kernel warns once a boot, which may have been before. */
	kmsg_expect_warning(true, NULL);
	EXPECT_EQ(-EINVAL, testdrv_rw(self->drv, 0, 0, IOVA, data, 8));
	log = kmsg_open();
	ASSERT_GE(log, 0);
	EXPECT_EQ(-EINVAL, testdrv_rw(self->drv, 0, 0, IOVA, data, 8));
	EXPECT_FALSE(kmsg_warned(log));
	close(log);
	kmsg_expect_warning(false, NULL);
}

/* semantics: 32, 33, 96.  Devices of one set: counted together, locked together. */
TEST_F(emulated, device_set)
{
	int fd[3];

	ASSERT_EQ(0, testdrv_create(self->drv, 0, 0, 0, 1));
	ASSERT_EQ(0, testdrv_create(self->drv, 1, 0, 0, 1));
	ASSERT_EQ(0, testdrv_create(self->drv, 2, 0, 0, 2));
	EXPECT_EQ(0, testdrv_open_count(self->drv, 0));
	for (int i = 0; i < 3; i++) {
		fd[i] = open_attached(i, self->iommufd, self->ioas);
		ASSERT_GE(fd[i], 0);
		EXPECT_EQ(i ? 2 : 1, testdrv_open_count(self->drv, 0));
		EXPECT_EQ(i ? 2 : 1, testdrv_open_count(self->drv, 1));
		EXPECT_EQ(i == 2, testdrv_open_count(self->drv, 2));
	}
	/* One of them comes and goes, the others stay open. */
	close(fd[0]);
	EXPECT_EQ(1, testdrv_open_count(self->drv, 1));
	EXPECT_EQ(0, testdrv_destroy(self->drv, 0));
	EXPECT_EQ(1, testdrv_open_count(self->drv, 1));
	EXPECT_EQ(0, testdrv_create(self->drv, 0, 0, 0, 1));
	EXPECT_EQ(1, testdrv_open_count(self->drv, 0));
	close(fd[1]);
	close(fd[2]);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(0, testdrv_open_count(self->drv, i));
}

struct destroy {
	int drv, slot;
};

static int destroy(void *arg)
{
	struct destroy *d = arg;

	return testdrv_destroy(d->drv, d->slot);
}

/* semantics: 88, 186.  The driver goes while its device is in use: it is asked for it. */
TEST_F(emulated, request)
{
	struct destroy arg = { self->drv, 0 };
	struct worker worker;
	uint64_t word = 0;
	int fd;

	ASSERT_EQ(0, testdrv_create(self->drv, 0, TESTDRV_WITH_REQUEST, 0, 0));
	fd = open_attached(0, self->iommufd, self->ioas);
	ASSERT_GE(fd, 0);
	testdrv_calls(self->drv, &self->calls);
	ASSERT_EQ(0, worker_start(&worker, destroy, &arg));
	ASSERT_EQ(0, testdrv_cmd(self->drv, TESTDRV_WAIT, 0, 0, TESTDRV_REQUEST, 1));
	EXPECT_FALSE(worker_ended(&worker));
	EXPECT_GT(0, testdrv_cdev(0));
	/* Who has it keeps it. */
	EXPECT_EQ(0, testdrv_rw(self->drv, 0, 0, IOVA, &word, 8));
	EXPECT_EQ(1000, word);
	testdrv_calls(self->drv, &self->calls);
	EXPECT_EQ(0, testdrv_first(&self->calls, 0, TESTDRV_REQUEST)->arg[0]);
	EXPECT_EQ(0, testdrv_first(&self->calls, 0, TESTDRV_REQUEST)->locked);
	/* And again, and told so. */
	ASSERT_EQ(0, testdrv_cmd(self->drv, TESTDRV_WAIT, 0, 0, TESTDRV_REQUEST, 1));
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("request*", testdrv_text(&self->calls, 0));
	EXPECT_EQ(1, testdrv_first(&self->calls, 0, TESTDRV_REQUEST)->arg[0]);
	close(fd);
	EXPECT_EQ(0, worker_join(&worker));
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("close unbind release*", testdrv_text(&self->calls, 0));
}

/* semantics: 104.  The token, which opens the device if the driver says so. */
TEST_F(emulated, token)
{
	uint8_t uuid[16] = { 0x42 };
	uint32_t devid;
	int fd;

	ASSERT_EQ(0, testdrv_create(self->drv, 0, 0, 0, 0));
	fd = testdrv_cdev(0);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(-EINVAL, cdev_bind_token(fd, self->iommufd, uuid, &devid));
	EXPECT_EQ(0, cdev_bind(fd, self->iommufd, &devid));
	close(fd);

	ASSERT_EQ(0, testdrv_create(self->drv, 1, TESTDRV_WITH_TOKEN, 0, 0));
	fd = testdrv_cdev(1);
	ASSERT_GE(fd, 0);
	testdrv_calls(self->drv, &self->calls);
	fail(self->drv, 1, TESTDRV_TOKEN, EACCES);
	EXPECT_EQ(-EACCES, cdev_bind(fd, self->iommufd, &devid));
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("token", testdrv_text(&self->calls, 1));
	EXPECT_EQ(0, testdrv_first(&self->calls, 1, TESTDRV_TOKEN)->arg[0]);
	/* Before the iommufd is looked at. */
	EXPECT_EQ(-EACCES, cdev_bind_token(fd, self->drv, uuid, &devid));
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("token", testdrv_text(&self->calls, 1));
	EXPECT_EQ(1, testdrv_first(&self->calls, 1, TESTDRV_TOKEN)->arg[0]);
	EXPECT_EQ(0x42, testdrv_first(&self->calls, 1, TESTDRV_TOKEN)->arg[1]);
	EXPECT_EQ(-EFAULT, cdev_bind_token(fd, self->iommufd, edge_alloc(15), &devid));
	EXPECT_EQ(0, testdrv_calls(self->drv, &self->calls));
	fail(self->drv, 1, TESTDRV_TOKEN, 0);
	EXPECT_EQ(0, cdev_bind_token(fd, self->iommufd, uuid, &devid));
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("token bind open", testdrv_text(&self->calls, 1));
	close(fd);
}

static int feature(int fd, uint32_t flags, uint32_t size, uint64_t *value)
{
	struct {
		struct vfio_device_feature head;
		uint64_t value;
	} arg = { .head = { .argsz = sizeof(arg.head) + size, .flags = flags } };
	int ret = xioctl(fd, VFIO_DEVICE_FEATURE, &arg);

	if (value)
		*value = arg.value;
	return ret;
}

/* semantics: 129, 131, 133.  Which features the core leaves to the driver. */
TEST_F(emulated, feature)
{
	const uint32_t get = VFIO_DEVICE_FEATURE_GET, probe = VFIO_DEVICE_FEATURE_PROBE;
	const uint32_t set = VFIO_DEVICE_FEATURE_SET;
	uint64_t value = 0;
	int fd;

	ASSERT_EQ(0, testdrv_create(self->drv, 0, 0, 0, 0));
	fd = open_bound(0, self->iommufd);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(-ENOTTY, feature(fd, get | TESTDRV_FEATURE, 8, NULL));
	close(fd);

	ASSERT_EQ(0, testdrv_create(self->drv, 1, TESTDRV_WITH_FEATURE, 0, 0));
	fd = open_bound(1, self->iommufd);
	ASSERT_GE(fd, 0);
	testdrv_calls(self->drv, &self->calls);
	/* The core's own, and what it refuses, never reach it. */
	for (uint32_t id = 1; id <= 12; id++) {
		bool own = id <= 2 || (id >= 6 && id <= 9) || id == 12;

		EXPECT_EQ(id == 12 ? -EINVAL : -ENOTTY, feature(fd, probe | id, 8, NULL));
		EXPECT_EQ(!own, testdrv_calls(self->drv, &self->calls));
	}
	EXPECT_EQ(-EINVAL, feature(fd, get | set | TESTDRV_FEATURE, 8, NULL));
	EXPECT_EQ(-EINVAL, feature(fd, probe << 1 | TESTDRV_FEATURE, 8, NULL));
	EXPECT_EQ(0, testdrv_calls(self->drv, &self->calls));
	/* The rest does, as it is; what the driver returns comes back, numbers too. */
	EXPECT_EQ(7, feature(fd, get | TESTDRV_FEATURE, 8, &value));
	EXPECT_EQ(TESTDRV_FEATURE, value);
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("feature*", testdrv_text(&self->calls, 1));
	EXPECT_EQ(get | TESTDRV_FEATURE, self->calls.call[0].arg[0]);
	EXPECT_EQ(8, self->calls.call[0].arg[1]);
	EXPECT_EQ(0, feature(fd, probe | get | TESTDRV_FEATURE, 0, NULL));
	EXPECT_EQ(-EINVAL, feature(fd, get | TESTDRV_FEATURE, 7, NULL));
	EXPECT_EQ(-EINVAL, feature(fd, set | TESTDRV_FEATURE, 8, NULL));
	EXPECT_EQ(-EINVAL, feature(fd, TESTDRV_FEATURE, 8, NULL));
	fail(self->drv, 1, TESTDRV_DEVICE_FEATURE, EUCLEAN);
	EXPECT_EQ(-EUCLEAN, feature(fd, get | TESTDRV_FEATURE, 8, NULL));
	close(fd);
}

/* semantics: 120, 122.  Callbacks that the driver does not have. */
TEST_F(emulated, no_callback)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info region;
	char byte;
	int fd;

	ASSERT_EQ(0, testdrv_create(self->drv, 0, 0, 0, 0));
	fd = open_bound(0, self->iommufd);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(-EINVAL, cdev_region(fd, 0, &region));
	EXPECT_EQ(-1, read(fd, &byte, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(fd, &byte, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));
	EXPECT_EQ(EINVAL, errno);
	close(fd);

	ASSERT_EQ(0, testdrv_create(self->drv, 1, TESTDRV_WITH_IOCTL, 0, 0));
	fd = testdrv_cdev(1);
	ASSERT_GE(fd, 0);
	testdrv_calls(self->drv, &self->calls);
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(0, testdrv_calls(self->drv, &self->calls));
	ASSERT_EQ(0, cdev_bind(fd, self->iommufd, NULL));
	testdrv_calls(self->drv, &self->calls);
	EXPECT_EQ(-ENOTTY, xioctl(fd, VFIO_DEVICE_GET_INFO, &info));
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("ioctl*", testdrv_text(&self->calls, 1));
	EXPECT_EQ(VFIO_DEVICE_GET_INFO, self->calls.call[0].arg[0]);
	close(fd);
}

/* What a driver returns goes to user space as it is, if no errno is that large, too. */
TEST_F(emulated, results_of_the_driver)
{
	static const int results[] = { -EUCLEAN, -4095, -4096, -70000 };
	int fd;

	ASSERT_EQ(0, testdrv_create(self->drv, 0, TESTDRV_WITH_IOCTL, 0, 0));
	fd = testdrv_cdev(0);
	ASSERT_EQ(0, cdev_bind(fd, self->iommufd, NULL));
	for (size_t i = 0; i < ARRAY_SIZE(results); i++) {
		int want = results[i] >= -4095 ? -1 : results[i];
		int ret;

		testdrv_cmd(self->drv, TESTDRV_FAIL, 0, 0, TESTDRV_IOCTL, -results[i]);
		ret = ioctl(fd, _IO('x', 1));
		EXPECT_EQ(want, ret);
		if (want == -1)
			EXPECT_EQ(-results[i], errno);
	}
	close(fd);
}

TEST_HARNESS_MAIN
