// SPDX-License-Identifier: GPL-2.0-only
/*
 * The logging of DMA for a migration: what user space may ask for, what the driver
 * sees of it, and the help that drivers have with ranges of addresses.
 */
#include <sys/mman.h>

#include "lib/cdev.h"
#include "lib/feature.h"
#include "lib/kmsg.h"
#include "lib/test.h"
#include "lib/testdrv.h"

#define START VFIO_DEVICE_FEATURE_DMA_LOGGING_START
#define END VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP
#define REPORT VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT

#define PAGE 4096u
#define MAX_RANGES 256

struct logging_arg {
	struct vfio_device_feature head;
	union {
		struct vfio_device_feature_dma_logging_control control;
		struct vfio_device_feature_dma_logging_report report;
	};
};

typedef struct vfio_device_feature_dma_logging_range range_t;

FIXTURE(dma_logging) {
	struct testdrv t;
};

FIXTURE_SETUP(dma_logging)
{
	int ret = testdrv_open_device(&self->t, TESTDRV_WITH_LOG, 0);

	if (self->t.drv == -ENOENT)
		SKIP(return, NO_TESTDRV);
	ASSERT_EQ(0, ret);
}

FIXTURE_TEARDOWN(dma_logging)
{
	EXPECT_EQ(0, testdrv_close(self->t.drv));
}

static int start(int fd, uint64_t page_size, uint32_t n, const range_t *ranges)
{
	struct logging_arg arg = {
		.control = {
			.page_size = page_size,
			.num_ranges = n,
			.ranges = (uintptr_t)ranges,
		},
	};

	return device_feature(fd, SET | START, sizeof(arg.control), &arg);
}

static int start_one(int fd, uint64_t page_size, uint64_t iova, uint64_t length)
{
	range_t range = { iova, length };

	return start(fd, page_size, 1, &range);
}

static int report(int fd, uint64_t page_size, uint64_t iova, uint64_t length,
		  const void *bitmap)
{
	struct logging_arg arg = {
		.report = {
			.iova = iova,
			.length = length,
			.page_size = page_size,
			.bitmap = (uintptr_t)bitmap,
		},
	};

	return device_feature(fd, GET | REPORT, sizeof(arg.report), &arg);
}

/* The first @size bytes of the argument, and then nothing. */
static void *short_arg(uint32_t flags, size_t size, size_t argsz)
{
	struct logging_arg arg = { .head = { .argsz = argsz, .flags = flags } };

	return memcpy(edge_alloc(size), &arg, size);
}

/* semantics: 130, 138, 141, 142.  The direction and the size, before all else. */
TEST_F(dma_logging, arguments)
{
	struct logging_arg arg = { .control = { 0 } };
	int fd = self->t.fd;

	EXPECT_EQ(0, device_feature(fd, PROBE | START, 0, &arg));
	EXPECT_EQ(0, device_feature(fd, PROBE | SET | START, 0, &arg));
	EXPECT_EQ(-EINVAL, device_feature(fd, PROBE | GET | START, 24, &arg));
	EXPECT_EQ(-EINVAL, device_feature(fd, GET | START, 24, &arg));
	EXPECT_EQ(-EINVAL, device_feature(fd, START, 24, &arg));
	EXPECT_EQ(-EINVAL, device_feature(fd, SET | START, 23, &arg));
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_FEATURE,
				  short_arg(SET | START, HEAD + 23, HEAD + 24)));

	EXPECT_EQ(0, device_feature(fd, PROBE | END, 0, &arg));
	EXPECT_EQ(0, device_feature(fd, PROBE | SET | END, 0, &arg));
	EXPECT_EQ(-EINVAL, device_feature(fd, PROBE | GET | END, 0, &arg));
	EXPECT_EQ(-EINVAL, device_feature(fd, GET | END, 0, &arg));
	EXPECT_EQ(-EINVAL, device_feature(fd, END, 0, &arg));

	EXPECT_EQ(0, device_feature(fd, PROBE | REPORT, 0, &arg));
	EXPECT_EQ(0, device_feature(fd, PROBE | GET | REPORT, 0, &arg));
	EXPECT_EQ(-EINVAL, device_feature(fd, PROBE | SET | REPORT, 32, &arg));
	EXPECT_EQ(-EINVAL, device_feature(fd, SET | REPORT, 32, &arg));
	EXPECT_EQ(-EINVAL, device_feature(fd, REPORT, 32, &arg));
	EXPECT_EQ(-EINVAL, device_feature(fd, GET | REPORT, 31, &arg));
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_FEATURE,
				  short_arg(GET | REPORT, HEAD + 31, HEAD + 32)));
	EXPECT_EQ(0, testdrv_calls(self->t.drv, &self->t.calls));
}

/* semantics: 138.  Of several mistakes, which one is told; none reaches the driver. */
TEST_F(dma_logging, start_errors)
{
	const uint64_t top = -(uint64_t)PAGE;
	range_t *edge = edge_alloc(sizeof(range_t)), two[2];
	int fd = self->t.fd;

	EXPECT_EQ(-EINVAL, start(fd, PAGE, 0, NULL));
	EXPECT_EQ(-E2BIG, start(fd, PAGE, MAX_RANGES + 1, NULL));
	EXPECT_EQ(-E2BIG, start(fd, 3, MAX_RANGES + 1, NULL));
	EXPECT_EQ(-E2BIG, start(fd, PAGE, UINT32_MAX, NULL));
	EXPECT_EQ(-EFAULT, start(fd, PAGE, 1, NULL));
	EXPECT_EQ(-EFAULT, start(fd, PAGE, MAX_RANGES, NULL));
	EXPECT_EQ(-EFAULT, start(fd, PAGE, 1, (void *)-16L));

	/* One after the other: what is wrong with the first comes first. */
	*edge = (range_t){ 0, PAGE };
	EXPECT_EQ(-EFAULT, start(fd, PAGE, 2, edge));
	*edge = (range_t){ 1, PAGE };
	EXPECT_EQ(-EINVAL, start(fd, PAGE, 2, edge));
	*edge = (range_t){ top, 2 * PAGE };
	EXPECT_EQ(-EOVERFLOW, start(fd, PAGE, 2, edge));

	EXPECT_EQ(-EINVAL, start_one(fd, PAGE, 0x800, PAGE));
	EXPECT_EQ(-EINVAL, start_one(fd, PAGE, PAGE, 0x800));
	EXPECT_EQ(-EINVAL, start_one(fd, 2 * PAGE, PAGE, 2 * PAGE));
	EXPECT_EQ(-EINVAL, start_one(fd, PAGE, top + 1, PAGE));
	EXPECT_EQ(-EOVERFLOW, start_one(fd, PAGE, top, 2 * PAGE));
	/* The last page of all cannot be had. */
	EXPECT_EQ(-EOVERFLOW, start_one(fd, PAGE, top, PAGE));

	/* Overlaps of every kind. */
	two[0] = (range_t){ 4 * PAGE, 4 * PAGE };
	for (int first = 1; first <= 7; first++) {
		for (int n = 1; n <= 8; n++) {
			bool apart = first + n <= 4;

			two[1] = (range_t){ first * PAGE, n * PAGE };
			EXPECT_EQ(apart ? 0 : -EINVAL, start(fd, PAGE, 2, two))
				TH_LOG("%d pages from %d", n, first);
		}
	}
	testdrv_calls(self->t.drv, &self->t.calls);
	EXPECT_EQ(6, testdrv_count(&self->t.calls, 0, TESTDRV_LOG_START));
	two[1] = (range_t){ 8 * PAGE, PAGE };
	EXPECT_EQ(0, start(fd, PAGE, 2, two));
}

/* semantics: 139; defect: B7.  Nothing is no range, and a page has a size. */
TEST_F(dma_logging, start_nonsense)
{
	range_t two[2] = { { PAGE, PAGE }, { 4 * PAGE, 0 } };
	int fd = self->t.fd;

	EXPECT_EQ(BY_CORE(0, -EINVAL), start_one(fd, PAGE, PAGE, 0));
	EXPECT_EQ(BY_CORE(0, -EINVAL), start_one(fd, PAGE, 0, 0));
	EXPECT_EQ(BY_CORE(0, -EINVAL), start(fd, PAGE, 2, two));
	EXPECT_EQ(BY_CORE(0, -EINVAL), start_one(fd, 3, PAGE, PAGE));
	EXPECT_EQ(BY_CORE(0, -EINVAL), start_one(fd, PAGE + 1, 0x20000, 0x20000));
	EXPECT_EQ(BY_CORE(0, -EINVAL), start_one(fd, 0, 0, 0));
	EXPECT_EQ(-EINVAL, start_one(fd, 0, PAGE, PAGE));
	testdrv_calls(self->t.drv, &self->t.calls);
	EXPECT_EQ(BY_CORE(6, 0), testdrv_count(&self->t.calls, 0, TESTDRV_LOG_START));
	/* Powers of two are the driver's to judge. */
	EXPECT_EQ(0, start_one(fd, 1, 5, 7));
	EXPECT_EQ(0, start_one(fd, 1ULL << 40, 0, 1ULL << 41));
	EXPECT_EQ(0, start_one(fd, 1ULL << 63, 0, 1ULL << 63));
}

/* semantics: 138, 140.  The tree that the driver gets, and the page size that it leaves. */
TEST_F(dma_logging, start)
{
	static range_t ranges[MAX_RANGES];
	struct logging_arg arg = {
		.control = { .page_size = PAGE, .ranges = (uintptr_t)ranges },
	};
	const struct testdrv_call *call = self->t.calls.call;
	int fd = self->t.fd;

	/* Any order, neighbours too. */
	ranges[0] = (range_t){ 8 * PAGE, PAGE };
	ranges[1] = (range_t){ 1ULL << 40, 1ULL << 40 };
	ranges[2] = (range_t){ 0, PAGE };
	ranges[3] = (range_t){ PAGE, 2 * PAGE };
	arg.control.num_ranges = 4;
	testdrv_cmd(self->t.drv, TESTDRV_LOG, 0, 0, 1 << 16, 0);
	EXPECT_EQ(0, device_feature(fd, SET | START, 24, &arg));
	EXPECT_EQ(1 << 16, arg.control.page_size);
	EXPECT_EQ(4, arg.control.num_ranges);
	ASSERT_EQ(5, testdrv_calls(self->t.drv, &self->t.calls));
	EXPECT_STREQ("log_start* log_range* log_range* log_range* log_range*",
		     testdrv_text(&self->t.calls, 0));
	EXPECT_EQ(4, call[0].arg[0]);
	EXPECT_EQ(PAGE, call[0].arg[1]);
	EXPECT_EQ(0, call[1].arg[0]);
	EXPECT_EQ(PAGE - 1, call[1].arg[1]);
	EXPECT_EQ(PAGE, call[2].arg[0]);
	EXPECT_EQ(3 * PAGE - 1, call[2].arg[1]);
	EXPECT_EQ(8 * PAGE, call[3].arg[0]);
	EXPECT_EQ(9 * PAGE - 1, call[3].arg[1]);
	EXPECT_EQ(1ULL << 40, call[4].arg[0]);
	EXPECT_EQ((1ULL << 41) - 1, call[4].arg[1]);

	/* As many as there may be, from the last to the first. */
	for (int i = 0; i < MAX_RANGES; i++)
		ranges[i] = (range_t){ (MAX_RANGES - i) * 2 * PAGE, PAGE };
	arg.control.num_ranges = MAX_RANGES;
	arg.control.page_size = PAGE;
	EXPECT_EQ(0, device_feature(fd, SET | START, 24, &arg));
	ASSERT_EQ(1 + MAX_RANGES, testdrv_calls(self->t.drv, &self->t.calls));
	EXPECT_EQ(MAX_RANGES, call[0].arg[0]);
	for (int i = 1; i <= MAX_RANGES; i++)
		EXPECT_EQ(i * 2 * PAGE, call[i].arg[0]);

	/* Not even the last page but one is too high. */
	EXPECT_EQ(0, start_one(fd, PAGE, -2ULL * PAGE, PAGE));

	/* The driver's error; the page size is as it was. */
	testdrv_fail(self->t.drv, 0, TESTDRV_LOG_START, EUCLEAN);
	arg.control.page_size = PAGE;
	testdrv_calls(self->t.drv, &self->t.calls);
	EXPECT_EQ(-EUCLEAN, device_feature(fd, SET | START, 24, &arg));
	EXPECT_EQ(PAGE, arg.control.page_size);
	testdrv_calls(self->t.drv, &self->t.calls);
	EXPECT_EQ(0, testdrv_count(&self->t.calls, 0, TESTDRV_LOG_STOP));
}

/* semantics: 138.  Who cannot be told the page size has not begun. */
TEST_F(dma_logging, start_untold)
{
	struct logging_arg *arg = pages_alloc(PAGE);
	range_t range = { 0, PAGE };

	arg->head.argsz = HEAD + 24;
	arg->head.flags = SET | START;
	arg->control.page_size = PAGE;
	arg->control.num_ranges = 1;
	arg->control.ranges = (uintptr_t)&range;
	ASSERT_EQ(0, mprotect(arg, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, xioctl(self->t.fd, VFIO_DEVICE_FEATURE, arg));
	testdrv_calls(self->t.drv, &self->t.calls);
	EXPECT_STREQ("log_start* log_range* log_stop*", testdrv_text(&self->t.calls, 0));
}

/* semantics: 140, 141.  The core does not remember whether it has begun. */
TEST_F(dma_logging, stop)
{
	struct logging_arg arg = { .control = { 0 } };
	int fd = self->t.fd;

	EXPECT_EQ(0, device_feature(fd, SET | END, 0, &arg));
	EXPECT_EQ(0, device_feature(fd, SET | END, 0, &arg));
	EXPECT_EQ(0, start_one(fd, PAGE, 0, PAGE));
	EXPECT_EQ(0, start_one(fd, PAGE, 0, PAGE));
	EXPECT_EQ(0, device_feature(fd, SET | END, 24, &arg));
	testdrv_calls(self->t.drv, &self->t.calls);
	EXPECT_STREQ("log_stop* log_stop* log_start* log_range* log_start* log_range* log_stop*",
		     testdrv_text(&self->t.calls, 0));
	testdrv_fail(self->t.drv, 0, TESTDRV_LOG_STOP, EUCLEAN);
	EXPECT_EQ(-EUCLEAN, device_feature(fd, SET | END, 0, &arg));
}

/* semantics: 142 */
TEST_F(dma_logging, report_errors)
{
	static uint64_t bitmap[8];
	const uint64_t top = -(uint64_t)PAGE;
	int fd = self->t.fd;

	EXPECT_EQ(-EINVAL, report(fd, 0, 0, PAGE, bitmap));
	EXPECT_EQ(-EINVAL, report(fd, 1, 0, PAGE, bitmap));
	EXPECT_EQ(-EINVAL, report(fd, 2048, 0, PAGE, bitmap));
	EXPECT_EQ(-EINVAL, report(fd, PAGE + 1, 0, PAGE, bitmap));
	EXPECT_EQ(-EINVAL, report(fd, 3 * PAGE, 0, PAGE, bitmap));
	/* The page size comes first. */
	EXPECT_EQ(-EINVAL, report(fd, 2048, top, 2 * PAGE, bitmap));
	EXPECT_EQ(-EOVERFLOW, report(fd, PAGE, top, 2 * PAGE, bitmap));
	EXPECT_EQ(-EOVERFLOW, report(fd, PAGE, top, PAGE, bitmap));
	EXPECT_EQ(-EOVERFLOW, report(fd, PAGE, top, 2 * PAGE, NULL));
	EXPECT_EQ(0, testdrv_calls(self->t.drv, &self->t.calls));
	/* And last that nothing can be reported. */
	if (!has_iova_bitmaps()) {
		EXPECT_EQ(-EOPNOTSUPP, report(fd, PAGE, 0, PAGE, bitmap));
		EXPECT_EQ(0, testdrv_calls(self->t.drv, &self->t.calls));
		return;
	}
	/* No bitmap: the kernel's library of bitmaps tells nobody of it. */
	EXPECT_EQ(0, report(fd, PAGE, 0, PAGE, NULL));
	for (int i = 0; i < 8; i++)
		EXPECT_EQ(0, bitmap[i]);
	testdrv_fail(self->t.drv, 0, TESTDRV_LOG_REPORT, EUCLEAN);
	EXPECT_EQ(-EUCLEAN, report(fd, PAGE, 0, PAGE, bitmap));
	EXPECT_EQ(0, bitmap[0]);
}

/* semantics: 142.  The bits of the pages, and of no others. */
TEST_F(dma_logging, report)
{
	uint64_t *bitmap = pages_alloc(PAGE);
	int fd = self->t.fd;

	if (!has_iova_bitmaps())
		SKIP(return, "a kernel without IOMMUFD_DRIVER");
	EXPECT_EQ(0, report(fd, PAGE, 1 << 20, 70 * PAGE, bitmap));
	EXPECT_EQ(~0ULL, bitmap[0]);
	EXPECT_EQ(0x3f, bitmap[1]);
	EXPECT_EQ(0, bitmap[2]);
	ASSERT_GT(testdrv_calls(self->t.drv, &self->t.calls), 0);
	EXPECT_EQ(TESTDRV_LOG_REPORT, self->t.calls.call[0].id);
	EXPECT_EQ(0, self->t.calls.call[0].locked);
	EXPECT_EQ(1 << 20, self->t.calls.call[0].arg[0]);
	EXPECT_EQ(70 * PAGE, self->t.calls.call[0].arg[1]);

	/* Bits are added; a bit is a page of the size that was asked for. */
	memset(bitmap, 0, PAGE);
	bitmap[0] = 1ULL << 63;
	EXPECT_EQ(0, report(fd, 1 << 21, 1ULL << 40, 5 << 21, bitmap));
	EXPECT_EQ(1ULL << 63 | 0x1f, bitmap[0]);
	EXPECT_EQ(0, bitmap[1]);

	/* Nothing is a range here. */
	memset(bitmap, 0, PAGE);
	EXPECT_EQ(0, report(fd, PAGE, 1 << 20, 0, bitmap));
	EXPECT_EQ(0, bitmap[0]);
}

/* ---- what drivers do with too many ranges ---- */

static int combine(int drv, struct testdrv_range *ranges, int n, int wanted, int *lost)
{
	struct testdrv_args args = { .a = n, .b = wanted, .ptr = (uintptr_t)ranges };
	int ret = testdrv_do(drv, TESTDRV_COMBINE, &args);

	*lost = args.b;
	return ret;
}

/* The same, slowly and plainly: @ranges are in order. */
static int combined(struct testdrv_range *ranges, int n, int wanted)
{
	while (n > wanted && n > 1) {
		int best = 0;

		for (int i = 1; i < n - 1; i++)
			if (ranges[i + 1].start - ranges[i].last <
			    ranges[best + 1].start - ranges[best].last)
				best = i;
		ranges[best].last = ranges[best + 1].last;
		n--;
		memmove(ranges + best + 1, ranges + best + 2,
			(n - best - 1) * sizeof(*ranges));
	}
	return n;
}

/* semantics: 42; defect: B18.  The closest first; what is left can be searched. */
TEST_F(dma_logging, combine)
{
	static struct testdrv_range ranges[256], want[256];
	uint32_t random = 1;
	bool any_lost = false;

	for (int round = 0; round < 40; round++) {
		int n = 1 + round * 6, wanted = round % 7 + 1, lost, kept;
		uint64_t at = 0;

		for (int i = 0; i < n; i++) {
			random = random * 1664525 + 1013904223;
			/* a few equal gaps, too */
			at += PAGE * (1 + (random >> 16) % (round % 2 ? 1000 : 5));
			want[i].start = at;
			random = random * 1664525 + 1013904223;
			at += PAGE * (1 + (random >> 16) % 50);
			want[i].last = at - 1;
		}
		/* They come in some order. */
		for (int i = 0; i < n; i++)
			ranges[i] = want[(i * 7 + round) % n];
		if (n % 7 == 0)
			memcpy(ranges, want, n * sizeof(*want));
		n = combine(self->t.drv, ranges, n, wanted, &lost);
		kept = combined(want, 1 + round * 6, wanted);
		ASSERT_EQ(kept, n);
		EXPECT_EQ(0, memcmp(want, ranges, n * sizeof(*want)));
		if (core_is_rust())
			EXPECT_EQ(0, lost);
		any_lost |= lost;
	}
	EXPECT_EQ(!core_is_rust(), any_lost);
}

/* semantics: 42, 190.  Nothing to do, and nothing to do it with. */
TEST_F(dma_logging, combine_edges)
{
	struct testdrv_range ranges[3] = {
		{ 0, 9 }, { 100, 109 }, { UINT64_MAX - 9, UINT64_MAX },
	}, same[3];
	int lost;

	memcpy(same, ranges, sizeof(same));
	EXPECT_EQ(3, combine(self->t.drv, ranges, 3, 3, &lost));
	EXPECT_EQ(3, combine(self->t.drv, ranges, 3, 9, &lost));
	EXPECT_EQ(0, memcmp(same, ranges, sizeof(same)));
	EXPECT_EQ(0, lost);
	EXPECT_EQ(1, combine(self->t.drv, ranges, 3, 1, &lost));
	EXPECT_EQ(0, ranges[0].start);
	EXPECT_EQ(UINT64_MAX, ranges[0].last);
	EXPECT_EQ(BY_CORE(1, 0), lost);
	EXPECT_EQ(1, combine(self->t.drv, same, 1, 1, &lost));
	EXPECT_EQ(9, same[0].last);
	EXPECT_EQ(0, combine(self->t.drv, ranges, 0, 5, &lost));
	kmsg_expect_warning(true, NULL);
	EXPECT_EQ(0, combine(self->t.drv, ranges, 0, 1, &lost));
	EXPECT_EQ(1, combine(self->t.drv, same, 1, 0, &lost));
	kmsg_expect_warning(false, NULL);
	EXPECT_EQ(0, same[0].start);
	EXPECT_EQ(9, same[0].last);
}

TEST_HARNESS_MAIN
