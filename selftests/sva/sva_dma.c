// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA with a PASID: what a device reaches of a process, by VFIO_BIND_PROCESS and while that
 * holds, and what it does not.  The device's engine and the IOMMU's walk are the
 * SVA test module's (lib/sva_dma.h), the tables are those that Linux has made.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <linux/pci_regs.h>

#include "lib/bound.h"
#include "lib/cdev.h"
#include "lib/container.h"
#include "lib/iommufd.h"
#include "lib/sva.h"
#include "lib/sva_dma.h"
#include "lib/sva_file.h"
#include "lib/sva_test.h"
#include "lib/sva_setup.h"
#include "lib/svadev.h"
#include "lib/task.h"
#include "lib/test.h"
#include "lib/uffd.h"

#define PAGE 4096
#define HUGE (2 << 20)
#define DONE SVA_TEST_DMA_DONE
#define OFF SVA_TEST_DMA_OFF
#define NO_ENTRY SVA_TEST_DMA_NO_ENTRY
#define FAULT_READ SVA_TEST_DMA_FAULT_READ
#define FAULT_WRITE SVA_TEST_DMA_FAULT_WRITE

/* Where no process here has anything: below it there are programs, above it all else. */
#define ALONE ((void *)0x100000000000)
#define IOVA 0x4000000000ULL

FIXTURE(sva_dma) {
	struct sva_setup sva;
	const struct pci *pci, *other;
	struct session s;
	struct dma dma;		/* of the first device; with this process's PASID, if it is bound */
	char *page;		/* one that is there, full of 'p' */
};

FIXTURE_SETUP(sva_dma)
{
	int ret = sva_session_open_dma(&self->sva, &self->s);

	if (ret > 0)
		SKIP(return, "%s", self->sva.why);
	ASSERT_EQ(0, ret) TH_LOG("%s", self->sva.why);
	self->pci = &self->sva.pci[0];
	self->other = &self->sva.pci[1];
	self->dma = (struct dma){ .control = self->sva.control, .pci = self->pci };
	self->page = pages_alloc(PAGE);
	memset(self->page, 'p', PAGE);
}

FIXTURE_TEARDOWN(sva_dma)
{
	session_close(&self->s);
	EXPECT_EQ(0, sva_tear_down(&self->sva));
}

/* Memory that nobody has touched. */
static char *untouched(size_t size)
{
	void *p = pages_reserve(size, PAGE);

	/* A page at a time. */
	madvise(p, size, MADV_NOHUGEPAGE);
	return p;
}

static bool is_present(const void *p)
{
	return phys_of(p);
}

/* Is all of it @c? */
static bool is_full_of(const char *p, size_t size, char c)
{
	for (size_t i = 0; i < size; i++) {
		if (p[i] != c) {
			printf("# byte %zu is %#x, not %#x\n", i, p[i], c);
			return false;
		}
	}
	return true;
}

/* Numbers that no page has twice. */
static void number_words(uint32_t *p, size_t size)
{
	for (size_t i = 0; i < size / sizeof(*p); i++)
		p[i] = i * 2654435761u;
}

/* What the device finds there; its result if it finds nothing. */
static int byte_at(struct dma *dma, const void *p)
{
	char c = 0;
	int ret = dma_read(dma, &c, p, 1);

	return ret == DONE ? c : -ret;
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
	EXPECT_EQ('t', byte_at(&self->dma, to));
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
	EXPECT_EQ(-FAULT_READ, byte_at(&self->dma, to));
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

/* ---- bonds ---- */

TEST_F(sva_dma, bound_to_the_other_device)
{
	struct dma others = self->dma;
	struct session s;

	ASSERT_EQ(0, session_open(self->other, &s));
	ASSERT_EQ(0, cdev_enable_dma(s.fd));
	ASSERT_EQ(0, process_bind(s.fd, &self->dma.pasid));
	EXPECT_EQ(NO_ENTRY, dma_write(&self->dma, self->page, "x", 1));
	EXPECT_EQ(-NO_ENTRY, byte_at(&self->dma, self->page));
	EXPECT_TRUE(is_full_of(self->page, PAGE, 'p'));
	others.pci = self->other;
	others.pasid = self->dma.pasid;
	EXPECT_EQ(DONE, dma_write(&others, self->page, "x", 1));
	EXPECT_EQ('x', self->page[0]);
	session_close(&s);
}

/* Requests with PASIDs that nobody has, nor ever had. */
TEST_F(sva_dma, no_such_pasid)
{
	static const uint32_t far[] = { 64, 4095, 65535, (1 << 20) - 1 };

	ASSERT_EQ(0, process_bind(self->s.fd, &self->dma.pasid));
	self->dma.pasid++;
	EXPECT_EQ(NO_ENTRY, dma_write(&self->dma, self->page, "x", 1));
	for (int i = 0; i < ARRAY_SIZE(far); i++) {
		self->dma.pasid = far[i];
		EXPECT_EQ(NO_ENTRY, dma_write(&self->dma, self->page, "x", 1));
	}
	EXPECT_TRUE(is_full_of(self->page, PAGE, 'p'));
}

TEST_F(sva_dma, after_unbind)
{
	ASSERT_EQ(0, process_bind(self->s.fd, &self->dma.pasid));
	ASSERT_EQ(DONE, dma_write(&self->dma, self->page, "x", 1));
	ASSERT_EQ(0, process_unbind(self->s.fd));
	EXPECT_EQ(NO_ENTRY, dma_write(&self->dma, self->page, "y", 1));
	EXPECT_EQ(-NO_ENTRY, byte_at(&self->dma, self->page));
	EXPECT_EQ('x', self->page[0]);
	ASSERT_EQ(0, process_bind(self->s.fd, &self->dma.pasid));
	EXPECT_EQ(DONE, dma_write(&self->dma, self->page, "y", 1));
	EXPECT_EQ('y', self->page[0]);
}

/* Whoever has the file next has nothing of it. */
TEST_F(sva_dma, after_close)
{
	ASSERT_EQ(0, process_bind(self->s.fd, &self->dma.pasid));
	ASSERT_EQ(DONE, dma_write(&self->dma, self->page, "x", 1));
	session_close(&self->s);
	/* vfio-pci has switched the device off, too. */
	EXPECT_EQ(OFF, dma_write(&self->dma, self->page, "y", 1));
	ASSERT_EQ(0, session_open(self->pci, &self->s));
	ASSERT_EQ(0, cdev_enable_dma(self->s.fd));
	EXPECT_EQ(NO_ENTRY, dma_write(&self->dma, self->page, "y", 1));
	EXPECT_EQ('x', self->page[0]);
}

/* A reset of the device ends the bond, not what the device may do. */
TEST_F(sva_dma, after_reset)
{
	ASSERT_EQ(0, process_bind(self->s.fd, &self->dma.pasid));
	ASSERT_EQ(DONE, dma_write(&self->dma, self->page, "x", 1));
	ASSERT_EQ(0, xioctl(self->s.fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(NO_ENTRY, dma_write(&self->dma, self->page, "y", 1));
	EXPECT_EQ('x', self->page[0]);
	ASSERT_EQ(0, process_bind(self->s.fd, &self->dma.pasid));
	EXPECT_EQ(DONE, dma_write(&self->dma, self->page, "y", 1));
	EXPECT_EQ('y', self->page[0]);
}

/* Of a process that has ended nothing is reached, though others hold its file, and its memory. */
TEST_F(sva_dma, after_the_end)
{
	char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct bound_child child;
	int its;

	ASSERT_NE(MAP_FAILED, shared);
	for (int killed = 0; killed < 2; killed++) {
		its = bound_start(&child, self->s.fd, self->sva.control, self->pci);
		ASSERT_GT(its, 0);
		self->dma.pasid = its;
		memset(shared, 's', PAGE);
		ASSERT_EQ(DONE, dma_write(&self->dma, shared, "x", 1));
		EXPECT_EQ('x', shared[0]);
		ASSERT_EQ(0, killed ? bound_kill(&child) : bound_end(&child));
		EXPECT_EQ(NO_ENTRY, dma_write(&self->dma, shared, "y", 1));
		EXPECT_EQ(-NO_ENTRY, byte_at(&self->dma, shared));
		EXPECT_EQ('x', shared[0]);
		EXPECT_TRUE(is_full_of(shared + 1, PAGE - 1, 's'));
		EXPECT_TRUE(is_full_of(self->page, PAGE, 'p'));
	}
	/* The next one has a PASID of its own. */
	ASSERT_EQ(0, process_bind(self->s.fd, NULL));
	EXPECT_EQ('x', shared[0]);
}

/* A process that is stopped is bound: the device works on, and pages come. */
TEST_F(sva_dma, stopped_process)
{
	char *page = untouched(PAGE);
	struct bound_child child;
	int its, status;

	its = bound_start(&child, self->s.fd, self->sva.control, self->pci);
	ASSERT_GT(its, 0);
	self->dma.pasid = its;
	ASSERT_EQ(0, kill(child.pid, SIGSTOP));
	ASSERT_EQ(child.pid, waitpid(child.pid, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));
	EXPECT_EQ(DONE, dma_write(&self->dma, page, "x", 1));
	EXPECT_EQ('x', byte_at(&self->dma, page));
	EXPECT_FALSE(is_present(page));
	ASSERT_EQ(0, kill(child.pid, SIGCONT));
	EXPECT_EQ(0, bound_end(&child));
}

/* A new program has new memory: the old one's PASID leads to neither. */
TEST_F(sva_dma, exec)
{
	static const char constant[] = "the program's";
	struct bound_child child;
	char found[sizeof(constant)], *page;
	int its;

	page = mmap(ALONE, PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_POPULATE, -1, 0);
	ASSERT_EQ(ALONE, page);
	page[0] = 'a';
	its = bound_start(&child, self->s.fd, self->sva.control, self->pci);
	ASSERT_GT(its, 0);
	self->dma.pasid = its;
	EXPECT_EQ('a', byte_at(&self->dma, page));
	ASSERT_EQ(0, bound_call(&child, BOUND_EXEC));
	EXPECT_EQ(-NO_ENTRY, byte_at(&self->dma, page));
	EXPECT_EQ(NO_ENTRY, dma_write(&self->dma, page, "x", 1));
	EXPECT_EQ('a', page[0]);
	its = bound_call(&child, BOUND_BIND);
	ASSERT_GT(its, 0);
	self->dma.pasid = its;
	EXPECT_EQ(-FAULT_READ, byte_at(&self->dma, page));
	/* It is the same program, at the same addresses. */
	ASSERT_EQ(DONE, dma_read(&self->dma, found, constant, sizeof(found)));
	EXPECT_EQ(0, memcmp(found, constant, sizeof(found)));
	EXPECT_EQ(0, bound_end(&child));
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
	EXPECT_EQ('x', byte_at(&self->dma, self->page));
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
	EXPECT_EQ('p', byte_at(&self->dma, self->page));
	ASSERT_EQ(DONE, dma_write(&self->dma, self->page, "x", 1));
	EXPECT_EQ('x', self->page[0]);
}

/* Two processes, two PASIDs, one device; the addresses are the same. */
TEST_F(sva_dma, two_processes)
{
	char *gone = pages_alloc(PAGE);
	struct bound_child child;
	struct dma its = self->dma;
	int ret;

	memset(gone, 'g', PAGE);
	ret = bound_start(&child, self->s.fd, self->sva.control, self->pci);
	ASSERT_GT(ret, 0);
	its.pasid = ret;
	ASSERT_EQ(0, process_bind(self->s.fd, &self->dma.pasid));
	/* The child has it still. */
	ASSERT_EQ(0, munmap(gone, PAGE));
	EXPECT_EQ('g', byte_at(&its, gone));
	EXPECT_EQ(-FAULT_READ, byte_at(&self->dma, gone));

	ASSERT_EQ(DONE, dma_write(&its, self->page, "c", 1));
	EXPECT_EQ('p', self->page[0]);
	EXPECT_EQ('p', byte_at(&self->dma, self->page));
	ASSERT_EQ(DONE, dma_write(&self->dma, self->page, "x", 1));
	EXPECT_EQ('x', self->page[0]);
	EXPECT_EQ('c', byte_at(&its, self->page));

	ASSERT_EQ(0, process_unbind(self->s.fd));
	EXPECT_EQ(NO_ENTRY, dma_write(&self->dma, self->page, "y", 1));
	EXPECT_EQ('c', byte_at(&its, self->page));
	ASSERT_EQ(0, process_bind(self->s.fd, NULL));
	EXPECT_EQ(0, bound_call(&child, BOUND_UNBIND));
	EXPECT_EQ(-NO_ENTRY, byte_at(&its, self->page));
	EXPECT_EQ('x', byte_at(&self->dma, self->page));
	EXPECT_EQ(0, bound_end(&child));
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

	EXPECT_EQ('p', byte_at(&self->dma, private));
	ASSERT_EQ(DONE, dma_write(&self->dma, private, "x", 1));
	EXPECT_EQ('x', private[0]);
	EXPECT_EQ(1, pread(file, &c, 1, 0));
	EXPECT_EQ('p', c);
	close(file);
}

/* ---- files ---- */

/* What /proc/self/smaps says of the mapping at @p, in kB; -1 if it says nothing. */
static int smaps(const void *p, const char *key)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	char line[512], want[32];
	bool here = false;
	int kb = -1;

	snprintf(want, sizeof(want), "%08lx-", (unsigned long)p);
	while (file && kb < 0 && fgets(line, sizeof(line), file)) {
		if (strchr(line, '-') && !strncmp(line, want, strlen(want)))
			here = true;
		else if (here && !strncmp(line, key, strlen(key)))
			sscanf(line + strlen(key), ": %d", &kb);
	}
	if (file)
		fclose(file);
	return kb;
}

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
	EXPECT_EQ(0, byte_at(&self->dma, page));
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
	EXPECT_EQ('p', byte_at(&self->dma, self->page));
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
	EXPECT_EQ(-FAULT_READ, byte_at(&self->dma, stall.page));
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
	EXPECT_EQ('s', byte_at(&self->dma, stack - 1));
}

/* ---- several devices, other PASIDs ---- */

TEST_F(sva_dma, one_pasid_two_devices)
{
	struct dma others = self->dma;
	char *page = untouched(2 * PAGE);
	struct session s;

	ASSERT_EQ(0, session_open(self->other, &s));
	ASSERT_EQ(0, cdev_enable_dma(s.fd));
	others.pci = self->other;
	ASSERT_EQ(0, process_bind(self->s.fd, &self->dma.pasid));
	ASSERT_EQ(0, process_bind(s.fd, &others.pasid));
	/* From one to the other, by memory alone. */
	ASSERT_EQ(DONE, dma_write(&self->dma, page, "x", 1));
	ASSERT_EQ(DONE, dma_copy(&others, page + PAGE, page, 1));
	EXPECT_EQ('x', byte_at(&self->dma, page + PAGE));
	ASSERT_EQ(0, process_unbind(self->s.fd));
	EXPECT_EQ(NO_ENTRY, dma_write(&self->dma, page, "y", 1));
	EXPECT_EQ(DONE, dma_write(&others, page, "z", 1));
	EXPECT_EQ('z', page[0]);
	session_close(&s);
	EXPECT_EQ(OFF, dma_write(&others, page, "y", 1));
}

/* PASIDs of an address space's page tables beside those of processes: each reaches its own. */
TEST_F(sva_dma, user_managed_pasid)
{
	struct session *s = &self->s;
	struct dma managed = self->dma;
	void *iova = (void *)IOVA, *readable = (void *)(IOVA + PAGE);
	char *mapped = pages_alloc(PAGE), *fixed = pages_alloc(PAGE), *page = untouched(PAGE);
	uint32_t hwpt, pt;

	memset(mapped, 'm', PAGE);
	ASSERT_EQ(0, hwpt_alloc(s->iommufd, s->devid, s->ioas, IOMMU_HWPT_ALLOC_PASID, &hwpt));
	pt = hwpt;
	ASSERT_EQ(0, cdev_attach(s->fd, &pt));
	ASSERT_EQ(0, process_bind(s->fd, &self->dma.pasid));
	managed.pasid = self->dma.pasid + 1;
	EXPECT_EQ(NO_ENTRY, dma_write(&managed, iova, "x", 1));
	pt = hwpt;
	ASSERT_EQ(0, cdev_attach_pasid(s->fd, managed.pasid, &pt));
	EXPECT_EQ(FAULT_WRITE, dma_write(&managed, iova, "x", 1));
	ASSERT_EQ(0, ioas_map(s->iommufd, s->ioas, mapped, PAGE, IOVA));
	ASSERT_EQ(0, ioas_map_readable(s->iommufd, s->ioas, fixed, PAGE, IOVA + PAGE));

	ASSERT_EQ(DONE, dma_write(&managed, iova, "x", 1));
	EXPECT_EQ('x', mapped[0]);
	EXPECT_EQ('m', byte_at(&managed, iova + 1));
	EXPECT_EQ(0, byte_at(&managed, readable));
	EXPECT_EQ(FAULT_WRITE, dma_write(&managed, readable, "x", 1));
	EXPECT_EQ(0, fixed[0]);
	/* It knows no addresses of the process's, and brings no pages. */
	EXPECT_EQ(-FAULT_READ, byte_at(&managed, self->page));
	EXPECT_EQ(FAULT_WRITE, dma_write(&managed, page, "x", 1));
	EXPECT_FALSE(is_present(page));
	/* Nor the process's PASID those of the address space. */
	EXPECT_EQ(-FAULT_READ, byte_at(&self->dma, iova));
	EXPECT_EQ('p', byte_at(&self->dma, self->page));

	ASSERT_EQ(0, ioas_unmap(s->iommufd, s->ioas, IOVA, PAGE));
	EXPECT_EQ(-FAULT_READ, byte_at(&managed, iova));
	EXPECT_EQ(DONE, dma_write(&self->dma, mapped, "y", 1));
	EXPECT_EQ('y', mapped[0]);
	ASSERT_EQ(0, process_unbind(s->fd));
	EXPECT_EQ(-NO_ENTRY, byte_at(&self->dma, self->page));
	EXPECT_EQ(0, byte_at(&managed, readable));
	ASSERT_EQ(0, process_bind(s->fd, NULL));
	ASSERT_EQ(0, cdev_detach_pasid(s->fd, managed.pasid));
	EXPECT_EQ(-NO_ENTRY, byte_at(&managed, readable));
	EXPECT_EQ('p', byte_at(&self->dma, self->page));
}

/* ---- the device ---- */

/* A device that is not to be a bus master is none. */
TEST_F(sva_dma, bus_master)
{
	uint16_t off = PCI_COMMAND_MEMORY;

	ASSERT_EQ(0, process_bind(self->s.fd, &self->dma.pasid));
	ASSERT_EQ(2, config_write(self->s.fd, PCI_COMMAND, &off, sizeof(off)));
	EXPECT_EQ(OFF, dma_write(&self->dma, self->page, "x", 1));
	EXPECT_EQ('p', self->page[0]);
	ASSERT_EQ(0, cdev_enable_dma(self->s.fd));
	EXPECT_EQ(DONE, dma_write(&self->dma, self->page, "x", 1));
	EXPECT_EQ('x', self->page[0]);
}

TEST_F(sva_dma, what_is_lacking)
{
	char *page = untouched(PAGE);
	struct dma dma = self->dma;
	struct session s;
	struct pci pci;

	if (self->pci->id != SVADEV)
		SKIP(return, NO_SVA_TEST);
	dma.pci = &pci;
	/* Neither PASIDs nor ATS. */
	ASSERT_EQ(0, pci_find(EDU, 0, &pci));
	ASSERT_EQ(0, session_open(&pci, &s));
	ASSERT_EQ(0, cdev_enable_dma(s.fd));
	EXPECT_EQ(OFF, dma_write(&dma, self->page, "x", 1));
	session_close(&s);
	ASSERT_EQ(0, pci_find(SVADEV_WITH(SVADEV_PASID), 0, &pci));
	ASSERT_EQ(0, session_open(&pci, &s));
	ASSERT_EQ(0, cdev_enable_dma(s.fd));
	EXPECT_EQ(OFF, dma_write(&dma, self->page, "x", 1));
	session_close(&s);
	/* No page requests: what is there, and no more. */
	ASSERT_EQ(0, pci_find(SVADEV_WITH(SVADEV_ATS | SVADEV_PASID), 0, &pci));
	ASSERT_EQ(0, session_open(&pci, &s));
	ASSERT_EQ(0, cdev_enable_dma(s.fd));
	ASSERT_EQ(0, process_bind(s.fd, &dma.pasid));
	EXPECT_EQ(FAULT_WRITE, dma_write(&dma, page, "x", 1));
	EXPECT_FALSE(is_present(page));
	page[0] = 'a';
	EXPECT_EQ('a', byte_at(&dma, page));
	EXPECT_EQ(DONE, dma_write(&dma, page, "x", 1));
	EXPECT_EQ('x', page[0]);
	session_close(&s);
}

/* ---- at the same time ---- */

struct flow {
	struct dma dma;
	char *page;
	atomic_bool stop;
	unsigned int words;
};

/* Counts in memory, a page at a time. */
static int count(void *arg)
{
	struct flow *flow = arg;
	uint32_t words[PAGE / 4];
	int ret;

	do {
		flow->words++;
		for (int i = 0; i < ARRAY_SIZE(words); i++)
			words[i] = flow->words;
		ret = dma_write(&flow->dma, flow->page, words, PAGE);
	} while (ret == DONE && !flow->stop);
	return ret;
}

/* A child's page does not change, though the device writes to its parent's all the time. */
TEST_F(sva_dma, fork_in_flight)
{
	struct flow flow = { .page = self->page };
	struct worker w;
	int status;

	ASSERT_EQ(0, process_bind(self->s.fd, &self->dma.pasid));
	flow.dma = self->dma;
	ASSERT_EQ(0, worker_start(&w, count, &flow));
	for (int i = 0; i < 200; i++) {
		pid_t pid = fork();

		if (!pid) {
			char first[PAGE];

			memcpy(first, self->page, PAGE);
			for (int n = 0; n < 200; n++) {
				sched_yield();
				if (memcmp(first, self->page, PAGE))
					_exit(1);
			}
			_exit(0);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(0, status);
	}
	flow.stop = true;
	EXPECT_EQ(DONE, worker_join(&w));
	EXPECT_EQ(flow.words, *(uint32_t *)self->page);
}

/* What the device still writes when it is unbound does not arrive: not one byte after the call. */
TEST_F(sva_dma, unbind_in_flight)
{
	struct flow flow = { .page = self->page };
	char before[PAGE];
	struct worker w;

	for (int i = 0; i < 50; i++) {
		ASSERT_EQ(0, process_bind(self->s.fd, &self->dma.pasid));
		flow.dma = self->dma;
		ASSERT_EQ(0, worker_start(&w, count, &flow));
		while (!*(volatile uint32_t *)self->page)
			sched_yield();
		ASSERT_EQ(0, process_unbind(self->s.fd));
		memcpy(before, self->page, PAGE);
		EXPECT_EQ(NO_ENTRY, worker_join(&w));
		EXPECT_EQ(0, memcmp(before, self->page, PAGE));
		memset(self->page, 0, PAGE);
	}
}

/* ---- containers ---- */

FIXTURE(sva_dma_container) {
	struct sva_setup sva;
	struct boxed box, second;
};

FIXTURE_SETUP(sva_dma_container)
{
	int ret = sva_boxed_open_dma(&self->sva, &self->box);

	self->second = BOXED_NONE;
	if (ret > 0)
		SKIP(return, "%s", self->sva.why);
	ASSERT_EQ(0, ret) TH_LOG("%s", self->sva.why);
}

FIXTURE_TEARDOWN(sva_dma_container)
{
	close_fd(&self->second.fd);
	close_fd(&self->second.group);
	boxed_close(&self->box);
	EXPECT_EQ(0, sva_tear_down(&self->sva));
}

/* All devices of a container reach the process, and none after the bond has ended. */
TEST_F(sva_dma_container, all_devices)
{
	struct dma a = { .control = self->sva.control, .pci = &self->sva.pci[0] }, b = a;
	char *page = untouched(2 * PAGE);

	b.pci = &self->sva.pci[1];
	ASSERT_EQ(0, process_bind(self->box.container, &a.pasid));
	b.pasid = a.pasid;
	ASSERT_EQ(DONE, dma_write(&a, page, "x", 1));
	/* A group that comes later. */
	ASSERT_EQ(0, boxed_join(b.pci, self->box.container, &self->second));
	ASSERT_EQ(0, cdev_enable_dma(self->second.fd));
	ASSERT_EQ(DONE, dma_copy(&b, page + PAGE, page, 1));
	EXPECT_EQ('x', page[PAGE]);
	ASSERT_EQ(0, process_unbind(self->box.container));
	EXPECT_EQ(NO_ENTRY, dma_write(&a, page, "y", 1));
	EXPECT_EQ(NO_ENTRY, dma_write(&b, page, "y", 1));
	ASSERT_EQ(0, process_bind(self->box.container, &b.pasid));
	EXPECT_EQ(DONE, dma_write(&b, page, "z", 1));
	EXPECT_EQ('z', page[0]);
	/* A group that leaves takes its device along. */
	close_fd(&self->second.fd);
	ASSERT_EQ(0, group_unset(self->second.group));
	EXPECT_EQ(OFF, dma_write(&b, page, "y", 1));
	EXPECT_EQ('z', byte_at(&a, page));
}

TEST_HARNESS_MAIN
