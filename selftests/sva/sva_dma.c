// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA with a PASID: a device reaches the memory of a process while the process is bound to
 * it, and not before and after.  The device's engine and the IOMMU's walk are the SVA test
 * module's (lib/sva_dma.h), the tables are those that Linux has made.
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
#include "lib/pages.h"
#include "lib/sva.h"
#include "lib/sva_dma.h"
#include "lib/sva_file.h"
#include "lib/sva_test.h"
#include "lib/sva_setup.h"
#include "lib/svadev.h"
#include "lib/task.h"
#include "lib/test.h"

#define PAGE 4096
#define DONE SVA_TEST_DMA_DONE
#define OFF SVA_TEST_DMA_OFF
#define NO_ENTRY SVA_TEST_DMA_NO_ENTRY
#define FAULT_READ SVA_TEST_DMA_FAULT_READ
#define FAULT_WRITE SVA_TEST_DMA_FAULT_WRITE

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

/* ---- bonds ---- */

TEST_F(sva_dma, bound_to_the_other_device)
{
	struct dma others = self->dma;
	struct session s;

	ASSERT_EQ(0, session_open(self->other, &s));
	ASSERT_EQ(0, cdev_enable_dma(s.fd));
	ASSERT_EQ(0, process_bind(s.fd, &self->dma.pasid));
	EXPECT_EQ(NO_ENTRY, dma_write(&self->dma, self->page, "x", 1));
	EXPECT_EQ(-NO_ENTRY, dma_byte(&self->dma, self->page));
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
	EXPECT_EQ(-NO_ENTRY, dma_byte(&self->dma, self->page));
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
		EXPECT_EQ(-NO_ENTRY, dma_byte(&self->dma, shared));
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
	EXPECT_EQ('x', dma_byte(&self->dma, page));
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
	EXPECT_EQ('a', dma_byte(&self->dma, page));
	ASSERT_EQ(0, bound_call(&child, BOUND_EXEC));
	EXPECT_EQ(-NO_ENTRY, dma_byte(&self->dma, page));
	EXPECT_EQ(NO_ENTRY, dma_write(&self->dma, page, "x", 1));
	EXPECT_EQ('a', page[0]);
	its = bound_call(&child, BOUND_BIND);
	ASSERT_GT(its, 0);
	self->dma.pasid = its;
	EXPECT_EQ(-FAULT_READ, dma_byte(&self->dma, page));
	/* It is the same program, at the same addresses. */
	ASSERT_EQ(DONE, dma_read(&self->dma, found, constant, sizeof(found)));
	EXPECT_EQ(0, memcmp(found, constant, sizeof(found)));
	EXPECT_EQ(0, bound_end(&child));
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
	EXPECT_EQ('g', dma_byte(&its, gone));
	EXPECT_EQ(-FAULT_READ, dma_byte(&self->dma, gone));

	ASSERT_EQ(DONE, dma_write(&its, self->page, "c", 1));
	EXPECT_EQ('p', self->page[0]);
	EXPECT_EQ('p', dma_byte(&self->dma, self->page));
	ASSERT_EQ(DONE, dma_write(&self->dma, self->page, "x", 1));
	EXPECT_EQ('x', self->page[0]);
	EXPECT_EQ('c', dma_byte(&its, self->page));

	ASSERT_EQ(0, process_unbind(self->s.fd));
	EXPECT_EQ(NO_ENTRY, dma_write(&self->dma, self->page, "y", 1));
	EXPECT_EQ('c', dma_byte(&its, self->page));
	ASSERT_EQ(0, process_bind(self->s.fd, NULL));
	EXPECT_EQ(0, bound_call(&child, BOUND_UNBIND));
	EXPECT_EQ(-NO_ENTRY, dma_byte(&its, self->page));
	EXPECT_EQ('x', dma_byte(&self->dma, self->page));
	EXPECT_EQ(0, bound_end(&child));
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
	EXPECT_EQ('x', dma_byte(&self->dma, page + PAGE));
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
	EXPECT_EQ('m', dma_byte(&managed, iova + 1));
	EXPECT_EQ(0, dma_byte(&managed, readable));
	EXPECT_EQ(FAULT_WRITE, dma_write(&managed, readable, "x", 1));
	EXPECT_EQ(0, fixed[0]);
	/* It knows no addresses of the process's, and brings no pages. */
	EXPECT_EQ(-FAULT_READ, dma_byte(&managed, self->page));
	EXPECT_EQ(FAULT_WRITE, dma_write(&managed, page, "x", 1));
	EXPECT_FALSE(is_present(page));
	/* Nor the process's PASID those of the address space. */
	EXPECT_EQ(-FAULT_READ, dma_byte(&self->dma, iova));
	EXPECT_EQ('p', dma_byte(&self->dma, self->page));

	ASSERT_EQ(0, ioas_unmap(s->iommufd, s->ioas, IOVA, PAGE));
	EXPECT_EQ(-FAULT_READ, dma_byte(&managed, iova));
	EXPECT_EQ(DONE, dma_write(&self->dma, mapped, "y", 1));
	EXPECT_EQ('y', mapped[0]);
	ASSERT_EQ(0, process_unbind(s->fd));
	EXPECT_EQ(-NO_ENTRY, dma_byte(&self->dma, self->page));
	EXPECT_EQ(0, dma_byte(&managed, readable));
	ASSERT_EQ(0, process_bind(s->fd, NULL));
	ASSERT_EQ(0, cdev_detach_pasid(s->fd, managed.pasid));
	EXPECT_EQ(-NO_ENTRY, dma_byte(&managed, readable));
	EXPECT_EQ('p', dma_byte(&self->dma, self->page));
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
	EXPECT_EQ('a', dma_byte(&dma, page));
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
	EXPECT_EQ('z', dma_byte(&a, page));
}

TEST_HARNESS_MAIN
