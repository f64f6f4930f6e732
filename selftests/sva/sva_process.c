// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes bound to devices by VFIO_BIND_PROCESS: what ends a bond, and what does not.
 * The proof is the IOMMU's table of PASIDs (lib/pasid_probe.h): an entry with the process's page
 * table comes with the bond and goes with it.
 */
#include <sys/mman.h>
#include <sys/socket.h>

#include "lib/bound.h"
#include "lib/cdev.h"
#include "lib/iommufd.h"
#include "lib/pasid_table.h"
#include "lib/sva.h"
#include "lib/sva_file.h"
#include "lib/sva_test.h"
#include "lib/sva_setup.h"
#include "lib/svadev.h"
#include "lib/task.h"
#include "lib/test.h"

#define PAGE 4096

FIXTURE(sva_process) {
	struct sva_setup sva;
	const struct pci *pci, *other;
	struct session s;
};

FIXTURE_SETUP(sva_process)
{
	int ret = sva_session_open(&self->sva, &self->s);

	if (ret > 0)
		SKIP(return, "%s", self->sva.why);
	ASSERT_EQ(0, ret) TH_LOG("%s", self->sva.why);
	self->pci = &self->sva.pci[0];
	self->other = &self->sva.pci[1];
}

FIXTURE_TEARDOWN(sva_process)
{
	session_close(&self->s);
	/* Whatever the test was: no bond is left. */
	EXPECT_EQ(0, sva_tear_down(&self->sva));
}

static const char *number(int n)
{
	static char text[16];

	snprintf(text, sizeof(text), "%d", n);
	return text;
}

TEST_F(sva_process, entry_while_bound)
{
	uint32_t pasid, again, max_pasids;
	int fd = self->s.fd;

	EXPECT_EQ(0, sva_feature(fd, VFIO_DEVICE_FEATURE_GET, &max_pasids));
	EXPECT_GT(max_pasids, 1);
	if (self->pci->id == SVADEV)
		EXPECT_EQ(1u << SVADEV_PASID_BITS, max_pasids);
	EXPECT_TRUE(entries_are(self->pci, 0));
	EXPECT_EQ(-ENOENT, process_unbind(fd));
	ASSERT_EQ(0, process_bind(fd, &pasid));
	EXPECT_GT(pasid, 0);
	EXPECT_LT(pasid, max_pasids);
	EXPECT_TRUE(is_mine(self->sva.control, self->pci, pasid));
	EXPECT_TRUE(processes_become(fd, number(pasid)));
	/* Once, and it stays. */
	EXPECT_EQ(-EEXIST, process_bind(fd, NULL));
	EXPECT_TRUE(is_mine(self->sva.control, self->pci, pasid));
	EXPECT_TRUE(entries_are(self->pci, 1));
	EXPECT_TRUE(entries_are(self->other, 0));
	ASSERT_EQ(0, process_unbind(fd));
	EXPECT_TRUE(is_gone(self->pci, pasid));
	EXPECT_TRUE(processes_become(fd, ""));
	EXPECT_EQ(-ENOENT, process_unbind(fd));
	/* The memory keeps its PASID: it is the same the next time. */
	ASSERT_EQ(0, process_bind(fd, &again));
	EXPECT_EQ(pasid, again);
	EXPECT_TRUE(is_mine(self->sva.control, self->pci, pasid));
}

/* What the device would find: the very pages that the process has, as they come and go. */
TEST_F(sva_process, translations)
{
	uint32_t *before = pages_alloc(PAGE), *after;
	struct pasid_entry entry;
	uint32_t pasid;
	uint64_t root;

	if (pasid_probe_absent())
		SKIP(return, "%s", pasid_probe_absent());
	ASSERT_EQ(0, process_bind(self->s.fd, &pasid));
	ASSERT_EQ(0, pasid_entry(self->pci, pasid, &entry));
	root = pasid_root(&entry);
	ASSERT_NE(0, phys_of(before));
	EXPECT_EQ(phys_of(before), sva_test_walk(self->sva.control, root, before));
	after = pages_alloc(PAGE);
	EXPECT_EQ(phys_of(after), sva_test_walk(self->sva.control, root, after));
	ASSERT_EQ(0, munmap(after, PAGE));
	EXPECT_EQ(0, sva_test_walk(self->sva.control, root, after));
}

TEST_F(sva_process, close_ends_it)
{
	uint32_t pasid, again;

	ASSERT_EQ(0, process_bind(self->s.fd, &pasid));
	session_close(&self->s);
	EXPECT_TRUE(is_gone(self->pci, pasid));
	ASSERT_EQ(0, session_open(self->pci, &self->s));
	EXPECT_TRUE(entries_are(self->pci, 0));
	ASSERT_EQ(0, process_bind(self->s.fd, &again));
	EXPECT_EQ(pasid, again);
}

/* What is attached for DMA without a PASID, and when, has nothing to do with it. */
TEST_F(sva_process, whatever_is_attached)
{
	uint32_t pasid, pt;
	int fd = self->s.fd;

	ASSERT_EQ(0, process_bind(fd, &pasid));
	ASSERT_EQ(0, cdev_detach(fd));
	EXPECT_TRUE(is_mine(self->sva.control, self->pci, pasid));
	pt = self->s.ioas;
	ASSERT_EQ(0, cdev_attach(fd, &pt));
	EXPECT_TRUE(is_mine(self->sva.control, self->pci, pasid));
	ASSERT_EQ(0, cdev_detach(fd));
	ASSERT_EQ(0, process_unbind(fd));
	EXPECT_TRUE(is_gone(self->pci, pasid));
	/* Bound with nothing attached. */
	ASSERT_EQ(0, process_bind(fd, &pasid));
	EXPECT_TRUE(is_mine(self->sva.control, self->pci, pasid));
	pt = self->s.ioas;
	ASSERT_EQ(0, cdev_attach(fd, &pt));
	EXPECT_TRUE(is_mine(self->sva.control, self->pci, pasid));
}

/* The PASID is the process's, whatever the device; the bond is the device's. */
TEST_F(sva_process, one_pasid_two_devices)
{
	uint32_t pasid, same;
	struct session s;

	ASSERT_EQ(0, session_open(self->other, &s));
	ASSERT_EQ(0, process_bind(self->s.fd, &pasid));
	ASSERT_EQ(0, process_bind(s.fd, &same));
	EXPECT_EQ(pasid, same);
	EXPECT_TRUE(is_mine(self->sva.control, self->pci, pasid));
	EXPECT_TRUE(is_mine(self->sva.control, self->other, pasid));
	ASSERT_EQ(0, process_unbind(self->s.fd));
	EXPECT_TRUE(is_gone(self->pci, pasid));
	EXPECT_TRUE(is_mine(self->sva.control, self->other, pasid));
	session_close(&s);
	EXPECT_TRUE(is_gone(self->other, pasid));
}

static int bind_worker(void *arg)
{
	return process_bind(*(int *)arg, NULL);
}

/* A thread has the address space of its process. */
TEST_F(sva_process, thread)
{
	struct worker w;

	ASSERT_EQ(0, worker_start(&w, bind_worker, &self->s.fd));
	EXPECT_EQ(0, worker_join(&w));
	EXPECT_EQ(-EEXIST, process_bind(self->s.fd, NULL));
	EXPECT_TRUE(entries_are(self->pci, 1));
	EXPECT_EQ(0, process_unbind(self->s.fd));
}

/* A child has the file, and the bond that comes with it is its parent's. */
TEST_F(sva_process, fork)
{
	struct bound_child child;
	uint32_t pasid;
	int its;

	ASSERT_EQ(0, process_bind(self->s.fd, &pasid));
	its = bound_start(&child, self->s.fd, self->sva.control, self->pci);
	ASSERT_GT(its, 0);
	EXPECT_NE(pasid, its);
	EXPECT_TRUE(entries_are(self->pci, 2));
	/* Each ends its own. */
	EXPECT_EQ(0, bound_call(&child, BOUND_UNBIND));
	EXPECT_EQ(-ENOENT, bound_call(&child, BOUND_UNBIND));
	EXPECT_TRUE(is_gone(self->pci, its));
	EXPECT_TRUE(is_mine(self->sva.control, self->pci, pasid));
	EXPECT_EQ(its, bound_call(&child, BOUND_BIND));
	EXPECT_EQ(0, process_unbind(self->s.fd));
	EXPECT_TRUE(is_there(self->pci, its));
	EXPECT_EQ(0, bound_end(&child));
}

/* The file lives as long as somebody has it, and with it the bonds of all. */
TEST_F(sva_process, last_close)
{
	struct bound_child child;
	uint32_t pasid;
	int its;

	ASSERT_EQ(0, process_bind(self->s.fd, &pasid));
	its = bound_start(&child, self->s.fd, self->sva.control, self->pci);
	ASSERT_GT(its, 0);
	session_close(&self->s);
	EXPECT_TRUE(is_mine(self->sva.control, self->pci, pasid));
	EXPECT_EQ(0, bound_call(&child, BOUND_CLOSE));
	EXPECT_TRUE(entries_are(self->pci, 0));
	EXPECT_EQ(-EBADF, bound_call(&child, BOUND_UNBIND));
	EXPECT_EQ(0, bound_end(&child));
}

/* A process that ends, as it likes or not, takes its bond along. */
TEST_F(sva_process, death)
{
	struct bound_child child;
	int its;

	for (int killed = 0; killed < 2; killed++) {
		its = bound_start(&child, self->s.fd, self->sva.control, self->pci);
		ASSERT_GT(its, 0);
		ASSERT_EQ(0, killed ? bound_kill(&child) : bound_end(&child));
		/* DMA ends before the memory goes; the rest comes when it comes. */
		EXPECT_TRUE(is_gone(self->pci, its));
		EXPECT_TRUE(processes_become(self->s.fd, ""));
	}
}

/* No process gets a PASID that the bond of another still has. */
TEST_F(sva_process, no_pasid_twice)
{
	struct bound_child child[8];
	int its[8];

	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < 8; i++) {
			its[i] = bound_start(&child[i], self->s.fd, self->sva.control, self->pci);
			ASSERT_GT(its[i], 0);
			for (int j = 0; j < i; j++)
				EXPECT_NE(its[j], its[i]);
		}
		EXPECT_TRUE(entries_are(self->pci, 8));
		for (int i = 0; i < 8; i++)
			ASSERT_EQ(0, i & 1 ? bound_kill(&child[i]) : bound_end(&child[i]));
		EXPECT_TRUE(entries_are(self->pci, 0));
	}
	EXPECT_TRUE(processes_become(self->s.fd, ""));
}

/* A new program has new memory; the file may be the same. */
TEST_F(sva_process, exec)
{
	struct bound_child child;
	int its, again;

	its = bound_start(&child, self->s.fd, self->sva.control, self->pci);
	ASSERT_GT(its, 0);
	ASSERT_EQ(0, bound_call(&child, BOUND_EXEC));
	EXPECT_TRUE(is_gone(self->pci, its));
	EXPECT_EQ(-ENOENT, bound_call(&child, BOUND_UNBIND));
	again = bound_call(&child, BOUND_BIND);
	EXPECT_GT(again, 0);
	EXPECT_TRUE(entries_are(self->pci, 1));
	EXPECT_EQ(0, bound_end(&child));
}

/* Who is handed the file joins by its own call. */
static int join_by_socket(void *arg)
{
	int fd = fd_receive(*(int *)arg), ret = process_bind(fd, NULL);

	return ret ? ret : process_unbind(fd);
}

TEST_F(sva_process, handed_on)
{
	struct task task;
	int socks[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	ASSERT_EQ(0, process_bind(self->s.fd, NULL));
	ASSERT_EQ(0, task_start(&task, join_by_socket, &socks[1]));
	ASSERT_EQ(0, fd_send(socks[0], self->s.fd));
	EXPECT_EQ(0, task_join(&task));
	EXPECT_TRUE(entries_are(self->pci, 1));
	close(socks[0]);
	close(socks[1]);
}

/* A PASID that one of them uses is no PASID for the other. */
TEST_F(sva_process, user_managed_pasid)
{
	struct session *s = &self->s;
	uint32_t hwpt, pt, pasid, same;

	ASSERT_EQ(0, hwpt_alloc(s->iommufd, s->devid, s->ioas, IOMMU_HWPT_ALLOC_PASID, &hwpt));
	pt = hwpt;
	ASSERT_EQ(0, cdev_attach(s->fd, &pt));
	ASSERT_EQ(0, process_bind(s->fd, &pasid));
	pt = hwpt;
	EXPECT_EQ(-EBUSY, cdev_attach_pasid(s->fd, pasid, &pt));
	/* What is not attached cannot be detached: the bond is not. */
	EXPECT_EQ(0, cdev_detach_pasid(s->fd, pasid));
	EXPECT_TRUE(is_mine(self->sva.control, self->pci, pasid));
	pt = hwpt;
	EXPECT_EQ(0, cdev_attach_pasid(s->fd, pasid + 1, &pt));
	EXPECT_TRUE(entries_are(self->pci, 2));
	ASSERT_EQ(0, cdev_detach_pasid(s->fd, pasid + 1));
	ASSERT_EQ(0, process_unbind(s->fd));

	pt = hwpt;
	ASSERT_EQ(0, cdev_attach_pasid(s->fd, pasid, &pt));
	EXPECT_EQ(-EBUSY, process_bind(s->fd, NULL));
	EXPECT_EQ(-ENOENT, process_unbind(s->fd));
	EXPECT_TRUE(is_there(self->pci, pasid));
	EXPECT_TRUE(is_not_mine(self->sva.control, self->pci, pasid));
	ASSERT_EQ(0, cdev_detach_pasid(s->fd, pasid));
	ASSERT_EQ(0, process_bind(s->fd, &same));
	EXPECT_EQ(pasid, same);
	/* Close ends both kinds. */
	pt = hwpt;
	EXPECT_EQ(0, cdev_attach_pasid(s->fd, pasid + 1, &pt));
}

/* A result that cannot be written undoes the bond, and only that. */
TEST_F(sva_process, unwritable)
{
	struct vfio_bind_process *arg = pages_alloc(PAGE);
	struct bound_child child;

	arg->argsz = sizeof(*arg);
	ASSERT_GT(bound_start(&child, self->s.fd, self->sva.control, self->pci), 0);
	ASSERT_EQ(0, mprotect(arg, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, xioctl(self->s.fd, VFIO_BIND_PROCESS, arg));
	EXPECT_TRUE(entries_are(self->pci, 1));
	EXPECT_EQ(-ENOENT, process_unbind(self->s.fd));
	ASSERT_EQ(0, process_bind(self->s.fd, NULL));
	EXPECT_EQ(-EEXIST, xioctl(self->s.fd, VFIO_BIND_PROCESS, arg));
	EXPECT_TRUE(entries_are(self->pci, 2));
	EXPECT_EQ(0, bound_end(&child));
}

static int unbind_driver(void *pci)
{
	return pci_unbind(pci);
}

/* The device's removal waits for the file, and goes on when that is closed. */
TEST_F(sva_process, removal)
{
	struct task task;
	uint32_t pasid;

	ASSERT_EQ(0, process_bind(self->s.fd, &pasid));
	/* Without a copy of the file. */
	ASSERT_EQ(0, task_start_alone(&task, unbind_driver, &self->sva.pci[0]));
	ASSERT_TRUE(task_sleeps_in(&task, "vfio"));
	EXPECT_TRUE(is_mine(self->sva.control, self->pci, pasid));
	session_close(&self->s);
	EXPECT_EQ(0, task_join(&task));
	EXPECT_TRUE(entries_are(self->pci, 0));
	ASSERT_EQ(0, pci_to_vfio(self->pci));
}

/* Nobody becomes the owner of the device's DMA while a process is bound. */
TEST_F(sva_process, ownership)
{
	ASSERT_EQ(0, process_bind(self->s.fd, NULL));
	EXPECT_EQ(-EPERM, sva_test_claim(self->sva.control, self->pci));
	ASSERT_EQ(0, process_unbind(self->s.fd));
	EXPECT_EQ(-EPERM, sva_test_claim(self->sva.control, self->pci));
	session_close(&self->s);
	EXPECT_EQ(0, sva_test_claim(self->sva.control, self->pci));
	EXPECT_EQ(0, sva_test_release(self->sva.control, self->pci));
}

/* ---- devices that lack something ---- */

TEST_F(sva_process, what_is_lacking)
{
	const struct {
		const char *what;
		uint32_t id;
		int result;
	} cases[] = {
		{ "PASIDs", EDU, -ENOSPC },
		{ "ATS", SVADEV_WITH(SVADEV_PASID), -EINVAL },
		{ "page requests that are on",
		  SVADEV_WITH(SVADEV_ATS | SVADEV_PRI_OFF | SVADEV_PASID), -EINVAL },
		{ "page requests", SVADEV_WITH(SVADEV_ATS | SVADEV_PASID), 0 },
	};
	struct session s;
	struct pci pci;

	if (self->pci->id != SVADEV)
		SKIP(return, NO_SVA_TEST);
	for (int i = 0; i < ARRAY_SIZE(cases); i++) {
		ASSERT_EQ(0, pci_find(cases[i].id, 0, &pci));
		ASSERT_EQ(0, session_open(&pci, &s));
		EXPECT_EQ(cases[i].result, process_bind(s.fd, NULL))
			TH_LOG("without %s", cases[i].what);
		EXPECT_TRUE(entries_are(&pci, !cases[i].result));
		session_close(&s);
		EXPECT_TRUE(entries_are(&pci, 0));
	}
}

/* Without what the module of the tests pretends, the IOMMU has no SVA. */
TEST_F(sva_process, no_capability)
{
	if (self->pci->id != SVADEV)
		SKIP(return, NO_SVA_TEST);
	ASSERT_EQ(0, sva_test_capable(false));
	EXPECT_EQ(-ENODEV, process_bind(self->s.fd, NULL));
	EXPECT_TRUE(entries_are(self->pci, 0));
	ASSERT_EQ(0, sva_test_capable(true));
	EXPECT_EQ(0, process_bind(self->s.fd, NULL));
}

TEST_F(sva_process, group_of_two)
{
	struct session s;
	struct pci a, b;

	if (self->pci->id != SVADEV)
		SKIP(return, NO_SVA_TEST);
	ASSERT_EQ(0, pci_find_pair(SVADEV, &a, &b));
	ASSERT_EQ(0, pci_to_vfio(&b));
	ASSERT_EQ(0, session_open(&a, &s));
	EXPECT_EQ(-EPERM, process_bind(s.fd, NULL));
	EXPECT_TRUE(entries_are(&a, 0));
	EXPECT_TRUE(entries_are(&b, 0));
	session_close(&s);
}

TEST_HARNESS_MAIN
