// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emulated devices: their driver reads and writes the user's memory, by pages that it pins
 * and by calls of the core.  The driver is testdrv/, and says what it saw.
 */
#include <fcntl.h>

#include "lib/cdev.h"
#include "lib/emulated_fixture.h"
#include "lib/iommufd.h"
#include "lib/kmsg.h"
#include "lib/pages.h"
#include "lib/task.h"
#include "lib/test.h"

#define PAGE 4096u
#define IOVA EMULATED_IOVA
#define PAGES EMULATED_PAGES
#define EVERYTHING ~0ULL

/* semantics: 50, 51.  Pages that are pinned are the user's pages. */
TEST_F(emulated, pin)
{
	uint64_t words[PAGES] = { 0 };
	int fd;

	ASSERT_EQ(0, testdrv_create(self->e.drv, 0, TESTDRV_WITH_UNMAP, 0, 0));
	fd = testdrv_open_attached(0, self->e.iommufd, self->e.ioas);
	ASSERT_GE(fd, 0);

	ASSERT_EQ(PAGES, testdrv_pin(self->e.drv, 0, 0, IOVA, PAGES, words));
	for (int i = 0; i < PAGES; i++)
		EXPECT_EQ(1000 + i, words[i]);
	testdrv_unpin(self->e.drv, 0, IOVA, PAGES);
	/* The offset in the page is the driver's to remember. */
	ASSERT_EQ(2, testdrv_pin(self->e.drv, 0, TESTDRV_PIN_WRITE, IOVA + 2 * PAGE + 5, 2, words));
	EXPECT_EQ(1002, words[0]);
	EXPECT_EQ(1003, words[1]);
	EXPECT_EQ(~1002ULL, self->e.words[2 * PAGE / 8 + 1]);
	EXPECT_EQ(~1003ULL, self->e.words[3 * PAGE / 8 + 1]);
	EXPECT_EQ(0, self->e.words[4 * PAGE / 8 + 1]);
	testdrv_unpin(self->e.drv, 0, IOVA + 2 * PAGE + 5, 2);

	/* All are given back: nobody must be asked to. */
	testdrv_calls(self->e.drv, &self->e.calls);
	EXPECT_EQ(0, ioas_unmap(self->e.iommufd, self->e.ioas, IOVA, PAGES * PAGE));
	EXPECT_EQ(0, testdrv_calls(self->e.drv, &self->e.calls));
	close(fd);
}

/* semantics: 69.  Whoever unmaps makes the driver give its pages back. */
TEST_F(emulated, unmap)
{
	const struct testdrv_call *call;
	int fd;

	ASSERT_EQ(0, testdrv_create(self->e.drv, 0, TESTDRV_WITH_UNMAP, 0, 0));
	fd = testdrv_open_attached(0, self->e.iommufd, self->e.ioas);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, ioas_map(self->e.iommufd, self->e.ioas, self->e.words, PAGE, IOVA / 2));
	ASSERT_EQ(2, testdrv_pin(self->e.drv, 0, 0, IOVA + PAGE, 2, NULL));
	testdrv_calls(self->e.drv, &self->e.calls);

	/* Where nothing is pinned nobody is called. */
	EXPECT_EQ(0, ioas_unmap(self->e.iommufd, self->e.ioas, IOVA / 2, PAGE));
	EXPECT_EQ(0, testdrv_calls(self->e.drv, &self->e.calls));

	EXPECT_EQ(0, ioas_unmap(self->e.iommufd, self->e.ioas, IOVA, PAGES * PAGE));
	testdrv_calls(self->e.drv, &self->e.calls);
	/* No lock of the core: an unmap may come from anybody. */
	EXPECT_STREQ("unmap*", testdrv_text(&self->e.calls, 0));
	call = testdrv_first(&self->e.calls, 0, TESTDRV_DMA_UNMAP);
	EXPECT_EQ(IOVA, call->arg[0]);
	EXPECT_EQ(PAGES * PAGE, call->arg[1]);
	EXPECT_EQ(-ENOENT, testdrv_pin(self->e.drv, 0, 0, IOVA, 1, NULL));

	/* A close is an unmap of everything; what the driver has kept goes then. */
	ASSERT_EQ(0, ioas_map(self->e.iommufd, self->e.ioas, self->e.words, PAGE, IOVA));
	ASSERT_EQ(1, testdrv_pin(self->e.drv, 0, 0, IOVA, 1, NULL));
	testdrv_calls(self->e.drv, &self->e.calls);
	close(fd);
	testdrv_calls(self->e.drv, &self->e.calls);
	EXPECT_STREQ("close unbind unmap", testdrv_text(&self->e.calls, 0));
	call = testdrv_first(&self->e.calls, 0, TESTDRV_DMA_UNMAP);
	EXPECT_EQ(0, call->arg[0]);
	EXPECT_EQ(EVERYTHING, call->arg[1]);
	EXPECT_EQ(0, ioas_unmap(self->e.iommufd, self->e.ioas, IOVA, PAGE));
}

static int unmap_everything(void *arg)
{
	struct emulated *e = arg;

	return ioas_unmap(e->iommufd, e->ioas, IOVA, PAGES * PAGE);
}

/* The close of the device waits for a dma_unmap in progress, which can still unpin. */
TEST_F(emulated, unmap_during_close)
{
	struct worker unmapper, closer;
	int fd;

	if (!has_procfs())
		SKIP(return, NO_PROCFS);

	ASSERT_EQ(0, testdrv_create(self->e.drv, 0, TESTDRV_WITH_UNMAP, 0, 0));
	fd = testdrv_open_attached(0, self->e.iommufd, self->e.ioas);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(2, testdrv_pin(self->e.drv, 0, 0, IOVA + PAGE, 2, NULL));
	testdrv_cmd(self->e.drv, TESTDRV_HOLD, 0, 0, TESTDRV_HOLD_UNMAP, 0);
	ASSERT_EQ(0, worker_start(&unmapper, unmap_everything, &self->e));
	EXPECT_TRUE(worker_sleeps_in(&unmapper, "td_dma_unmap"));
	ASSERT_EQ(0, worker_start(&closer, close_op, &fd));
	EXPECT_TRUE(worker_sleeps_in(&closer, "iommufd_object"));

	testdrv_cmd(self->e.drv, TESTDRV_HOLD, 0, 0, 0, 0);
	EXPECT_EQ(0, worker_join(&unmapper));
	EXPECT_EQ(0, worker_join(&closer));
}

/* semantics: 50; defect: B19.  Arguments that cannot be, and pages that are not there. */
TEST_F(emulated, pin_errors)
{
	const uint64_t end = IOVA + PAGES * PAGE;
	uint64_t *many = numbered_pages(512);
	int fd;

	ASSERT_EQ(0, testdrv_create(self->e.drv, 0, TESTDRV_WITH_UNMAP, 0, 0));
	fd = testdrv_open_bound(0, self->e.iommufd);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(-ENOENT, testdrv_pin(self->e.drv, 0, 0, IOVA, 1, NULL));
	ASSERT_EQ(0, cdev_attach(fd, &self->e.ioas));
	ASSERT_EQ(0, ioas_map_readable(self->e.iommufd, self->e.ioas, self->e.words, PAGE,
				       IOVA / 2));

	EXPECT_EQ(-EINVAL, testdrv_pin(self->e.drv, 0, TESTDRV_PIN_NULL, IOVA, 1, NULL));
	EXPECT_EQ(-EINVAL, testdrv_pin(self->e.drv, 0, 0, IOVA, 0, NULL));
	EXPECT_EQ(-ENOENT, testdrv_pin(self->e.drv, 0, 0, end, 1, NULL));
	EXPECT_EQ(-ENOENT, testdrv_pin(self->e.drv, 0, 0, IOVA - PAGE, 2, NULL));
	EXPECT_EQ(-ENOENT, testdrv_pin(self->e.drv, 0, 0, end - PAGE, 2, NULL));
	EXPECT_EQ(-EPERM, testdrv_pin(self->e.drv, 0, TESTDRV_PIN_WRITE, IOVA / 2, 1, NULL));
	EXPECT_EQ(1, testdrv_pin(self->e.drv, 0, 0, IOVA / 2, 1, NULL));
	testdrv_unpin(self->e.drv, 0, IOVA / 2, 1);
	EXPECT_EQ(-EOVERFLOW, testdrv_pin(self->e.drv, 0, 0, -(uint64_t)PAGE, 2, NULL));

	/* As many as a container allows, on ours. */
	ASSERT_EQ(0, ioas_map(self->e.iommufd, self->e.ioas, many, 512 * PAGE, 64 << 20));
	EXPECT_EQ(512, testdrv_pin(self->e.drv, 0, 0, 64 << 20, 512, NULL));
	testdrv_unpin(self->e.drv, 0, 64 << 20, 512);
	EXPECT_EQ(BY_CORE(-ENOENT, -E2BIG), testdrv_pin(self->e.drv, 0, 0, 64 << 20, 513, NULL));
	EXPECT_EQ(BY_CORE(-ENOENT, -E2BIG), testdrv_pin(self->e.drv, 0, 0, 1ULL << 40, 513, NULL));
	EXPECT_EQ(BY_CORE(-EOVERFLOW, -E2BIG),
		  testdrv_pin(self->e.drv, 0, 0, 1ULL << 40, -1, NULL));
	EXPECT_EQ(BY_CORE(-ENOENT, -E2BIG),
		  testdrv_pin(self->e.drv, 0, 0, 1ULL << 40, INT32_MIN, NULL));

	/* What failed has left nothing pinned. */
	testdrv_calls(self->e.drv, &self->e.calls);
	EXPECT_EQ(0, ioas_unmap(self->e.iommufd, self->e.ioas, 64 << 20, 512 * PAGE));
	EXPECT_EQ(0, ioas_unmap(self->e.iommufd, self->e.ioas, IOVA, PAGES * PAGE));
	EXPECT_EQ(0, ioas_unmap(self->e.iommufd, self->e.ioas, IOVA / 2, PAGE));
	EXPECT_EQ(0, testdrv_calls(self->e.drv, &self->e.calls));
	close(fd);
}

/* semantics: 50, 51, 52, 190.  Calls of a driver at the wrong time, which it is told of. */
TEST_F(emulated, misuse)
{
	uint64_t word = 0;
	int fd, log = kmsg_open();

	ASSERT_GE(log, 0);
	ASSERT_EQ(0, testdrv_create(self->e.drv, 0, TESTDRV_WITH_UNMAP, 0, 0));
	ASSERT_EQ(0, testdrv_create(self->e.drv, 1, 0, 0, 0));
	kmsg_expect_warning(true, NULL);
	/* Not open. */
	EXPECT_EQ(-EINVAL, testdrv_pin(self->e.drv, 0, 0, IOVA, 1, NULL));
	EXPECT_TRUE(kmsg_warned(log));
	testdrv_unpin(self->e.drv, 0, IOVA, 1);
	EXPECT_TRUE(kmsg_warned(log));
	EXPECT_EQ(-EINVAL, testdrv_rw(self->e.drv, 0, 0, IOVA, &word, 8));
	/* A driver that nobody could tell of an unmap. */
	fd = testdrv_open_attached(1, self->e.iommufd, self->e.ioas);
	ASSERT_GE(fd, 0);
	kmsg_wait(log, "no such line", 0, NULL, 0);
	EXPECT_EQ(-EINVAL, testdrv_pin(self->e.drv, 1, 0, IOVA, 1, NULL));
	EXPECT_FALSE(kmsg_warned(log));
	testdrv_unpin(self->e.drv, 1, IOVA, 1);
	EXPECT_TRUE(kmsg_warned(log));
	EXPECT_EQ(0, testdrv_rw(self->e.drv, 1, 0, IOVA, &word, 8));
	EXPECT_EQ(1000, word);
	close(fd);
	/* Numbers that no pin can have had. */
	fd = testdrv_open_attached(0, self->e.iommufd, self->e.ioas);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(1, testdrv_pin(self->e.drv, 0, 0, IOVA, 1, NULL));
	kmsg_wait(log, "no such line", 0, NULL, 0);
	testdrv_unpin(self->e.drv, 0, IOVA, 0);
	EXPECT_TRUE(kmsg_warned(log));
	if (core_is_rust()) {
		/* B19; iommufd would look for them. */
		testdrv_unpin(self->e.drv, 0, IOVA, -1);
		EXPECT_TRUE(kmsg_warned(log));
		testdrv_unpin(self->e.drv, 0, IOVA, 513);
		EXPECT_TRUE(kmsg_warned(log));
	}
	kmsg_expect_warning(false, NULL);
	/* The page is pinned still. */
	testdrv_calls(self->e.drv, &self->e.calls);
	EXPECT_EQ(0, ioas_unmap(self->e.iommufd, self->e.ioas, IOVA, PAGES * PAGE));
	testdrv_calls(self->e.drv, &self->e.calls);
	EXPECT_STREQ("unmap*", testdrv_text(&self->e.calls, 0));
	close(fd);
	close(log);
}

/* semantics: 52.  A driver's own reads and writes. */
TEST_F(emulated, dma_rw)
{
	const uint64_t end = IOVA + PAGES * PAGE;
	static char data[PAGES * PAGE + 1];
	char *bytes = (char *)self->e.words;
	int log, fd;

	ASSERT_EQ(0, testdrv_create(self->e.drv, 0, TESTDRV_WITH_UNMAP, 0, 0));
	fd = testdrv_open_bound(0, self->e.iommufd);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(-ENOENT, testdrv_rw(self->e.drv, 0, 0, IOVA, data, 8));
	ASSERT_EQ(0, cdev_attach(fd, &self->e.ioas));
	ASSERT_EQ(0, ioas_map_readable(self->e.iommufd, self->e.ioas, self->e.words, PAGE,
				       IOVA / 2));
	for (int i = 0; i < PAGES * PAGE; i++)
		bytes[i] = i * 7 + i / PAGE;

	/* By a task and by a thread of the kernel; whole, and across pages. */
	for (int k = 0; k < 2; k++) {
		uint32_t from = k ? TESTDRV_RW_KTHREAD : 0;

		memset(data, 0, sizeof(data));
		EXPECT_EQ(0, testdrv_rw(self->e.drv, 0, from, IOVA, data, PAGES * PAGE));
		EXPECT_EQ(0, memcmp(data, bytes, PAGES * PAGE));
		EXPECT_EQ(0, testdrv_rw(self->e.drv, 0, from, IOVA + PAGE - 3, data, 7));
		EXPECT_EQ(0, memcmp(data, bytes + PAGE - 3, 7));
		EXPECT_EQ(0, testdrv_rw(self->e.drv, 0, from, end - 1, data, 1));
		EXPECT_EQ(bytes[PAGES * PAGE - 1], data[0]);

		memset(data, 0x5a + k, 10);
		EXPECT_EQ(0, testdrv_rw(self->e.drv, 0, from | TESTDRV_RW_WRITE,
					IOVA + 2 * PAGE - 5, data, 10));
		EXPECT_EQ(0, memcmp(data, bytes + 2 * PAGE - 5, 10));
		EXPECT_NE(0x5a + k, bytes[2 * PAGE - 6]);
		EXPECT_NE(0x5a + k, bytes[2 * PAGE + 5]);

		EXPECT_EQ(-ENOENT, testdrv_rw(self->e.drv, 0, from, end, data, 1));
		EXPECT_EQ(-ENOENT, testdrv_rw(self->e.drv, 0, from, end - 1, data, 2));
		EXPECT_EQ(-ENOENT, testdrv_rw(self->e.drv, 0, from, IOVA - 1, data, 2));
		EXPECT_EQ(-EOVERFLOW, testdrv_rw(self->e.drv, 0, from, -1, data, 2));
		EXPECT_EQ(0, testdrv_rw(self->e.drv, 0, from, IOVA / 2, data, 8));
		EXPECT_EQ(-EPERM, testdrv_rw(self->e.drv, 0, from | TESTDRV_RW_WRITE, IOVA / 2,
					     data, 8));
	}
	EXPECT_EQ(-EINVAL, testdrv_rw(self->e.drv, 0, 0, IOVA, data, 0));
	EXPECT_EQ(-EINVAL, testdrv_rw(self->e.drv, 0, TESTDRV_RW_NULL, IOVA, data, 8));

	/* Nothing stays pinned, and the driver need not know. */
	testdrv_calls(self->e.drv, &self->e.calls);
	EXPECT_EQ(0, ioas_unmap(self->e.iommufd, self->e.ioas, IOVA, PAGES * PAGE));
	EXPECT_EQ(0, testdrv_calls(self->e.drv, &self->e.calls));
	close(fd);

	/* Of one that is not open the kernel warns once a boot, which may have been before. */
	kmsg_expect_warning(true, NULL);
	EXPECT_EQ(-EINVAL, testdrv_rw(self->e.drv, 0, 0, IOVA, data, 8));
	log = kmsg_open();
	ASSERT_GE(log, 0);
	EXPECT_EQ(-EINVAL, testdrv_rw(self->e.drv, 0, 0, IOVA, data, 8));
	EXPECT_FALSE(kmsg_warned(log));
	close(log);
	kmsg_expect_warning(false, NULL);
}

TEST_HARNESS_MAIN
