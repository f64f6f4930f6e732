// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA with a PASID: which pages of a bound process a device reaches, which it does not, and
 * which come when the device asks for them.  The engine is that of sva_dma.c.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "lib/cdev.h"
#include "lib/pages.h"
#include "lib/sva.h"
#include "lib/sva_dma.h"
#include "lib/sva_file.h"
#include "lib/sva_setup.h"
#include "lib/task.h"
#include "lib/test.h"
#include "lib/uffd.h"

#define PAGE 4096
#define HUGE (2 << 20)
#define DONE SVA_TEST_DMA_DONE
#define FAULT_READ SVA_TEST_DMA_FAULT_READ
#define FAULT_WRITE SVA_TEST_DMA_FAULT_WRITE

FIXTURE(sva_dma) {
	struct sva_setup sva;
	struct session s;
	struct dma dma;		/* with this process's PASID, if it is bound */
	char *page;		/* one that is there, full of 'p' */
};

FIXTURE_SETUP(sva_dma)
{
	int ret = sva_session_open_dma(&self->sva, &self->s);

	if (ret > 0)
		SKIP(return, "%s", self->sva.why);
	ASSERT_EQ(0, ret) TH_LOG("%s", self->sva.why);
	self->dma = (struct dma){ .control = self->sva.control, .pci = &self->sva.pci[0] };
	self->page = pages_alloc(PAGE);
	memset(self->page, 'p', PAGE);
}

FIXTURE_TEARDOWN(sva_dma)
{
	session_close(&self->s);
	EXPECT_EQ(0, sva_tear_down(&self->sva));
}

/* Numbers that no page has twice. */
static void number_words(uint32_t *p, size_t size)
{
	for (size_t i = 0; i < size / sizeof(*p); i++)
		p[i] = i * 2654435761u;
}

/* ---- what a bound process has ---- */

TEST_F(sva_dma, present_pages)
{
	const size_t size = 5 * PAGE;
	uint32_t *from = pages_alloc(size), *buffer = pages_alloc(size);
	char *to = pages_alloc(size + 2 * PAGE);

	number_words(from, size);
	ASSERT_EQ(0, process_bind(self->s.fd, &self->dma.pasid));
	/* To and from every place in a page. */
	for (size_t shift = 0; shift < PAGE; shift += 1003) {
		memset(to, 't', size + 2 * PAGE);
		ASSERT_EQ(DONE, dma_copy(&self->dma, to + shift, from, size));
		EXPECT_EQ(size, self->dma.moved);
		EXPECT_EQ(0, memcmp(to + shift, from, size));
		EXPECT_TRUE(is_full_of(to, shift, 't'));
		EXPECT_TRUE(is_full_of(to + shift + size, 2 * PAGE - shift, 't'));
		ASSERT_EQ(DONE, dma_read(&self->dma, buffer, to + shift, size));
		EXPECT_EQ(0, memcmp(buffer, from, size));
	}
	memset(to, 't', PAGE);
	ASSERT_EQ(DONE, dma_write(&self->dma, to + 1, from, 4));
	EXPECT_EQ(0, memcmp(to + 1, from, 4));
	EXPECT_EQ('t', to[0]);
	EXPECT_EQ('t', to[5]);
}

/* A page that the process has never touched comes when the device asks for it. */
TEST_F(sva_dma, never_touched)
{
	char *to = untouched(4 * PAGE), *zeros = untouched(PAGE), *from = pages_alloc(2 * PAGE);

	memset(from, 'f', 2 * PAGE);
	ASSERT_EQ(0, process_bind(self->s.fd, &self->dma.pasid));
	ASSERT_FALSE(is_present(to) || is_present(to + PAGE) || is_present(to + 2 * PAGE));
	ASSERT_EQ(DONE, dma_copy(&self->dma, to + PAGE, from, 2 * PAGE));
	EXPECT_TRUE(is_present(to + PAGE) && is_present(to + 2 * PAGE));
	EXPECT_TRUE(is_full_of(to + PAGE, 2 * PAGE, 'f'));
	/* No others than those that it has asked for. */
	EXPECT_FALSE(is_present(to) || is_present(to + 3 * PAGE));
	/* What was never written is zeros, for the device too. */
	ASSERT_EQ(DONE, dma_copy(&self->dma, from, zeros, PAGE));
	EXPECT_TRUE(is_present(zeros));
	EXPECT_TRUE(is_full_of(from, PAGE, 0));
}

TEST_F(sva_dma, not_mapped)
{
	char *from = pages_alloc(3 * PAGE), *to = pages_alloc(3 * PAGE);
	int ret;

	memset(from, 'f', 3 * PAGE);
	memset(to, 't', 3 * PAGE);
	ASSERT_EQ(0, munmap(from + PAGE, PAGE));
	ASSERT_EQ(0, process_bind(self->s.fd, &self->dma.pasid));
	ret = dma_copy(&self->dma, to, from + PAGE, PAGE);
	EXPECT_TRUE(dma_faults(&self->dma, ret, FAULT_READ, from + PAGE));
	ret = dma_copy(&self->dma, from + PAGE + 17, to, PAGE);
	EXPECT_TRUE(dma_faults(&self->dma, ret, FAULT_WRITE, from + PAGE + 17));
	EXPECT_TRUE(is_full_of(to, 3 * PAGE, 't'));
	/* It stops there, and goes no further. */
	EXPECT_EQ(FAULT_READ, dma_copy(&self->dma, to, from, 3 * PAGE));
	EXPECT_EQ(PAGE, self->dma.moved);
	EXPECT_EQ((uintptr_t)from + PAGE, self->dma.address);
	EXPECT_TRUE(is_full_of(to, PAGE, 'f'));
	EXPECT_TRUE(is_full_of(to + PAGE, 2 * PAGE, 't'));
	EXPECT_FALSE(is_present(from + PAGE));
}

TEST_F(sva_dma, read_only)
{
	char *to = pages_alloc(PAGE), c;
	int ret;

	memset(to, 't', PAGE);
	ASSERT_EQ(0, process_bind(self->s.fd, &self->dma.pasid));
	ASSERT_EQ(0, mprotect(to, PAGE, PROT_READ));
	ret = dma_copy(&self->dma, to, self->page, PAGE);
	EXPECT_TRUE(dma_faults(&self->dma, ret, FAULT_WRITE, to));
	EXPECT_TRUE(is_full_of(to, PAGE, 't'));
	EXPECT_EQ('t', dma_byte(&self->dma, to));
	ASSERT_EQ(0, mprotect(to, PAGE, PROT_NONE));
	ret = dma_read(&self->dma, &c, to, 1);
	EXPECT_TRUE(dma_faults(&self->dma, ret, FAULT_READ, to));
	ASSERT_EQ(0, mprotect(to, PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(DONE, dma_copy(&self->dma, to, self->page, PAGE));
	EXPECT_TRUE(is_full_of(to, PAGE, 'p'));
}

/* Memory that goes, goes for the device; what comes in its place, comes. */
TEST_F(sva_dma, after_munmap)
{
	char *to = pages_alloc(PAGE);
	int ret;

	ASSERT_EQ(0, process_bind(self->s.fd, &self->dma.pasid));
	ASSERT_EQ(DONE, dma_copy(&self->dma, to, self->page, PAGE));
	ASSERT_EQ(0, munmap(to, PAGE));
	ret = dma_copy(&self->dma, to, self->page, PAGE);
	EXPECT_TRUE(dma_faults(&self->dma, ret, FAULT_WRITE, to));
	EXPECT_EQ(-FAULT_READ, dma_byte(&self->dma, to));
	ASSERT_EQ(to, mmap(to, PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	ASSERT_EQ(DONE, dma_copy(&self->dma, to, self->page, PAGE));
	EXPECT_TRUE(is_full_of(to, PAGE, 'p'));
}

/* Neither the kernel's half of the addresses, nor those between the halves, nor address 0. */
TEST_F(sva_dma, not_the_users)
{
	const uintptr_t addresses[] = {
		0, 1ULL << 47, 1ULL << 62, -1ULL << 47, 0xffffffff81000000, -4096ULL,
		/* More bits than are translated. */
		(uintptr_t)self->page | 1ULL << 57, (uintptr_t)self->page | 1ULL << 63,
		/* Where the kernel has the page, if it has not chosen another place. */
		0xffff888000000000 + phys_of(self->page),
	};

	ASSERT_EQ(0, process_bind(self->s.fd, &self->dma.pasid));
	for (int i = 0; i < ARRAY_SIZE(addresses); i++) {
		void *p = (void *)addresses[i];
		int ret = dma_copy(&self->dma, self->page, p, 16);

		EXPECT_TRUE(dma_faults(&self->dma, ret, FAULT_READ, p));
		ret = dma_copy(&self->dma, p, self->page, 16);
		EXPECT_TRUE(dma_faults(&self->dma, ret, FAULT_WRITE, p));
	}
	EXPECT_TRUE(is_full_of(self->page, PAGE, 'p'));
}

/* ---- fork, and copy on write ---- */

struct child {
	int go[2];
	volatile char *page;
};

/* What it has of a page that its parent's device has written to since. */
static int look_later(void *arg)
{
	struct child *c = arg;
	char byte;

	return read(c->go[0], &byte, 1) == 1 ? c->page[0] : -EPIPE;
}

TEST_F(sva_dma, fork)
{
	struct child c = { .page = self->page };
	struct task task;

	ASSERT_EQ(0, pipe(c.go));
	ASSERT_EQ(0, process_bind(self->s.fd, &self->dma.pasid));
	ASSERT_EQ(0, task_start(&task, look_later, &c));
	/* Its page is the parent's; the device writes to a copy, as the parent would. */
	ASSERT_EQ(DONE, dma_write(&self->dma, self->page, "x", 1));
	EXPECT_EQ('x', self->page[0]);
	EXPECT_EQ('p', self->page[1]);
	ASSERT_EQ(1, write(c.go[1], "", 1));
	EXPECT_EQ('p', task_join(&task));
	EXPECT_EQ('x', dma_byte(&self->dma, self->page));
	close(c.go[0]);
	close(c.go[1]);
}

static int write_now(void *arg)
{
	struct child *c = arg;

	c->page[0] = 'c';
	return c->page[0];
}

TEST_F(sva_dma, fork_child_writes)
{
	struct child c = { .page = self->page };
	struct task task;

	ASSERT_EQ(0, process_bind(self->s.fd, &self->dma.pasid));
	ASSERT_EQ(0, task_start(&task, write_now, &c));
	EXPECT_EQ('c', task_join(&task));
	EXPECT_EQ('p', dma_byte(&self->dma, self->page));
	ASSERT_EQ(DONE, dma_write(&self->dma, self->page, "x", 1));
	EXPECT_EQ('x', self->page[0]);
}

/* The zero page, and a file's page that is private: the first write makes a copy. */
TEST_F(sva_dma, copy_on_write)
{
	char *zero = untouched(PAGE), *same = untouched(PAGE), *private, c;
	int file = memfd_create("sva_dma", MFD_CLOEXEC);

	ASSERT_EQ(PAGE, write(file, self->page, PAGE));
	private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	ASSERT_NE(MAP_FAILED, private);
	ASSERT_EQ(0, process_bind(self->s.fd, &self->dma.pasid));
	EXPECT_EQ(0, *(volatile char *)zero + *(volatile char *)same);
	ASSERT_EQ(phys_of(zero), phys_of(same));
	ASSERT_EQ(DONE, dma_write(&self->dma, zero, "x", 1));
	EXPECT_EQ('x', zero[0]);
	EXPECT_EQ(0, same[0]);
	EXPECT_NE(phys_of(zero), phys_of(same));

	EXPECT_EQ('p', dma_byte(&self->dma, private));
	ASSERT_EQ(DONE, dma_write(&self->dma, private, "x", 1));
	EXPECT_EQ('x', private[0]);
	EXPECT_EQ(1, pread(file, &c, 1, 0));
	EXPECT_EQ('p', c);
	close(file);
}

/* ---- files ---- */

/* What the device writes to a file's page is in the file, and the page is dirty. */
TEST_F(sva_dma, shared_file)
{
	int file = open("/tmp/sva_dma", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), second;
	char *page, c;

	ASSERT_GE(file, 0);
	ASSERT_EQ(0, ftruncate(file, PAGE));
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, process_bind(self->s.fd, &self->dma.pasid));
	/* Read, it is there and clean; so it stays when the device reads. */
	EXPECT_EQ(0, *(volatile char *)page);
	EXPECT_EQ(0, dma_byte(&self->dma, page));
	EXPECT_EQ(0, smaps(page, "Private_Dirty") + smaps(page, "Shared_Dirty"));
	ASSERT_EQ(DONE, dma_write(&self->dma, page, "x", 1));
	EXPECT_EQ(4, smaps(page, "Private_Dirty") + smaps(page, "Shared_Dirty"));
	ASSERT_EQ(0, msync(page, PAGE, MS_SYNC));
	ASSERT_EQ(0, munmap(page, PAGE));
	second = open("/tmp/sva_dma", O_RDONLY | O_CLOEXEC);
	EXPECT_EQ(1, pread(second, &c, 1, 0));
	EXPECT_EQ('x', c);
	close(second);
	close(file);
	unlink("/tmp/sva_dma");
}

/* A page that the device has used was used. */
TEST_F(sva_dma, accessed)
{
	ASSERT_EQ(0, process_bind(self->s.fd, &self->dma.pasid));
	/* In a mapping of its own: its neighbours would be counted along. */
	self->page = mremap(self->page, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, ALONE);
	ASSERT_EQ(ALONE, self->page);
	ASSERT_EQ(0, sysfs_write("/proc/self/clear_refs", "1"));
	EXPECT_EQ(0, smaps(self->page, "Referenced"));
	EXPECT_EQ('p', dma_byte(&self->dma, self->page));
	EXPECT_EQ(4, smaps(self->page, "Referenced"));
}

/* ---- large pages ---- */

static void try_large(struct __test_metadata *_metadata, struct dma *dma, uint32_t *from, char *to)
{
	number_words(from, HUGE);
	ASSERT_EQ(DONE, dma_copy(dma, to, from, HUGE));
	EXPECT_EQ(0, memcmp(to, from, HUGE));
	ASSERT_EQ(DONE, dma_copy(dma, to + 3 * PAGE + 5, from, 10 * PAGE));
	EXPECT_EQ(0, memcmp(to + 3 * PAGE + 5, from, 10 * PAGE));
	EXPECT_EQ(0, memcmp(to, from, 3 * PAGE + 5));
}

TEST_F(sva_dma, transparent_huge_pages)
{
	char *from = pages_reserve(HUGE, HUGE), *to = pages_reserve(HUGE, HUGE);

	ASSERT_EQ(0, process_bind(self->s.fd, &self->dma.pasid));
	if (madvise(from, HUGE, MADV_HUGEPAGE) || madvise(to, HUGE, MADV_HUGEPAGE))
		SKIP(return, "a kernel without transparent huge pages");
	from[0] = 0;
	/* This one comes for the device. */
	ASSERT_FALSE(is_present(to));
	ASSERT_EQ(DONE, dma_write(&self->dma, to, "x", 1));
	if (smaps(from, "AnonHugePages") != HUGE / 1024 ||
	    smaps(to, "AnonHugePages") != HUGE / 1024)
		SKIP(return, "no huge page is free");
	EXPECT_TRUE(is_present(to + HUGE - PAGE));
	try_large(_metadata, &self->dma, (uint32_t *)from, to);
	EXPECT_EQ(HUGE / 1024, smaps(to, "AnonHugePages"));
	/* In pieces. */
	ASSERT_EQ(0, mprotect(to + PAGE, PAGE, PROT_READ));
	EXPECT_EQ(FAULT_WRITE, dma_copy(&self->dma, to, from, HUGE));
	EXPECT_EQ(PAGE, self->dma.moved);
	EXPECT_EQ((uintptr_t)to + PAGE, self->dma.address);
	ASSERT_EQ(0, mprotect(to + PAGE, PAGE, PROT_READ | PROT_WRITE));
	try_large(_metadata, &self->dma, (uint32_t *)from, to);
}

#define HUGETLB "/proc/sys/vm/nr_hugepages"

TEST_F(sva_dma, hugetlb)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | 21 << MAP_HUGE_SHIFT;
	void *from, *to;

	ASSERT_EQ(0, process_bind(self->s.fd, &self->dma.pasid));
	sysfs_write(HUGETLB, "2");
	from = mmap(NULL, HUGE, PROT_READ | PROT_WRITE, flags, -1, 0);
	to = mmap(NULL, HUGE, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (from == MAP_FAILED || to == MAP_FAILED) {
		sysfs_write(HUGETLB, "0");
		SKIP(return, "no pages of hugetlbfs");
	}
	try_large(_metadata, &self->dma, from, to);
	munmap(from, HUGE);
	munmap(to, HUGE);
	EXPECT_EQ(0, sysfs_write(HUGETLB, "0"));
}

/* ---- what brings no page ---- */

/* Who handles faults by userfaultfd is not asked by a device, nor waited for. */
TEST_F(sva_dma, userfaultfd)
{
	struct stall stall;

	ASSERT_EQ(0, process_bind(self->s.fd, &self->dma.pasid));
	ASSERT_EQ(0, stall_open(&stall));
	EXPECT_EQ(-FAULT_READ, dma_byte(&self->dma, stall.page));
	EXPECT_EQ(FAULT_WRITE, dma_write(&self->dma, stall.page, "x", 1));
	EXPECT_FALSE(is_present(stall.page));
	stall_close(&stall);
}

/* A stack grows for the processor alone. */
TEST_F(sva_dma, stack)
{
	char *stack = mmap(ALONE, PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED_NOREPLACE, -1, 0);

	ASSERT_EQ(ALONE, stack);
	ASSERT_EQ(0, process_bind(self->s.fd, &self->dma.pasid));
	EXPECT_EQ(DONE, dma_write(&self->dma, stack, "x", 1));
	EXPECT_EQ(FAULT_WRITE, dma_write(&self->dma, stack - 1, "x", 1));
	*(volatile char *)(stack - 1) = 's';
	EXPECT_EQ('s', dma_byte(&self->dma, stack - 1));
}

TEST_HARNESS_MAIN
