// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes bound to devices by the IOMMU core's own functions, past VFIO: what the
 * machine for shared virtual addressing can do.  The proof is the IOMMU's table of
 * PASIDs: an entry with the process's page table comes with the bond and goes with it.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "lib/bound.h"
#include "lib/cdev.h"
#include "lib/iommufd.h"
#include "lib/pasid_table.h"
#include "lib/sva_lab.h"
#include "lib/svadev.h"
#include "lib/task.h"
#include "lib/test.h"

#define PAGE 4096

FIXTURE(sva_lab) {
	struct pci pci, other;
	int lab;
};

FIXTURE_SETUP(sva_lab)
{
	self->lab = sva_devices(&self->pci, &self->other);
	if (no_sva_devices(self->lab))
		SKIP(return, NO_SVA_DEVICES);
	ASSERT_GE(self->lab, 0);
}

FIXTURE_TEARDOWN(sva_lab)
{
	sva_lab_close(self->lab);
	/* Whatever the test was: no bond is left. */
	EXPECT_EQ(0, pasid_entries(&self->pci));
	EXPECT_EQ(0, pasid_entries(&self->other));
}

/* Without what the module pretends Linux refuses, and nothing comes of it. */
TEST_F(sva_lab, capability)
{
	int pasid;

	ASSERT_EQ(0, sva_lab_capable(false));
	EXPECT_EQ(-ENODEV, sva_lab_bind(self->lab, &self->pci));
	EXPECT_EQ(0, pasid_entries(&self->pci));
	ASSERT_EQ(0, sva_lab_capable(true));
	pasid = sva_lab_bind(self->lab, &self->pci);
	ASSERT_GT(pasid, 0);
	EXPECT_EQ(1, pasid_entries(&self->pci));
}

TEST_F(sva_lab, entry_while_bound)
{
	struct pasid_entry entry;
	int pasid;

	EXPECT_EQ(0, pasid_entries(&self->pci));
	EXPECT_EQ(-ENOENT, sva_lab_unbind(self->lab, &self->pci));
	pasid = sva_lab_bind(self->lab, &self->pci);
	ASSERT_GT(pasid, 0);
	ASSERT_EQ(0, pasid_entry(&self->pci, pasid, &entry));
	EXPECT_EQ(PASID_FIRST_STAGE, pasid_kind(&entry));
	EXPECT_EQ(sva_lab_root(self->lab), pasid_root(&entry));
	EXPECT_EQ(1, pasid_entries(&self->pci));
	EXPECT_EQ(0, pasid_entries(&self->other));
	ASSERT_EQ(0, sva_lab_unbind(self->lab, &self->pci));
	EXPECT_EQ(-ENOENT, pasid_entry(&self->pci, pasid, &entry));
	/* The memory keeps its PASID: it is the same the next time. */
	EXPECT_EQ(pasid, sva_lab_bind(self->lab, &self->pci));
	EXPECT_TRUE(is_mine(self->lab, &self->pci, pasid));
}

/*
 * What the device would find: the very page that the process has, those that come while
 * it is bound as well, and none that is gone.
 */
TEST_F(sva_lab, translations)
{
	uint32_t *before = pages_alloc(PAGE), *after;
	struct pasid_entry entry;
	uint64_t root;
	int pasid;

	pasid = sva_lab_bind(self->lab, &self->pci);
	ASSERT_GT(pasid, 0);
	ASSERT_EQ(0, pasid_entry(&self->pci, pasid, &entry));
	root = pasid_root(&entry);
	ASSERT_NE(0, phys_of(before));
	EXPECT_EQ(phys_of(before), sva_lab_walk(self->lab, root, before));
	EXPECT_EQ(phys_of(before + 3), sva_lab_walk(self->lab, root, before + 3));
	after = pages_alloc(PAGE);
	EXPECT_EQ(phys_of(after), sva_lab_walk(self->lab, root, after));
	EXPECT_NE(phys_of(before), phys_of(after));
	ASSERT_EQ(0, munmap(after, PAGE));
	EXPECT_EQ(0, sva_lab_walk(self->lab, root, after));
	/* The kernel's half is there, and not for users. */
	EXPECT_EQ(0, sva_lab_walk(self->lab, root, (void *)0xffffffff81000000));
}

/* The PASID is the process's, whatever the device; the bond is the device's. */
TEST_F(sva_lab, one_pasid_two_devices)
{
	int pasid = sva_lab_bind(self->lab, &self->pci);

	ASSERT_GT(pasid, 0);
	ASSERT_EQ(pasid, sva_lab_bind(self->lab, &self->other));
	EXPECT_TRUE(is_mine(self->lab, &self->pci, pasid));
	EXPECT_TRUE(is_mine(self->lab, &self->other, pasid));
	ASSERT_EQ(0, sva_lab_unbind(self->lab, &self->pci));
	EXPECT_EQ(-ENOENT, entry_of(&self->pci, pasid));
	EXPECT_TRUE(is_mine(self->lab, &self->other, pasid));
}

/* Bound twice, unbound twice. */
TEST_F(sva_lab, counted)
{
	int pasid = sva_lab_bind(self->lab, &self->pci);

	ASSERT_GT(pasid, 0);
	ASSERT_EQ(pasid, sva_lab_bind(self->lab, &self->pci));
	EXPECT_EQ(1, pasid_entries(&self->pci));
	ASSERT_EQ(0, sva_lab_unbind(self->lab, &self->pci));
	EXPECT_TRUE(is_mine(self->lab, &self->pci, pasid));
	ASSERT_EQ(0, sva_lab_unbind(self->lab, &self->pci));
	EXPECT_EQ(-ENOENT, entry_of(&self->pci, pasid));
}

TEST_F(sva_lab, ends_with_the_file)
{
	int pasid = sva_lab_bind(self->lab, &self->pci);

	ASSERT_GT(pasid, 0);
	EXPECT_TRUE(is_mine(self->lab, &self->pci, pasid));
	close(self->lab);
	EXPECT_EQ(-ENOENT, entry_of(&self->pci, pasid));
	self->lab = sva_lab_open();
	EXPECT_GE(self->lab, 0);
}

/* ---- more than one process ---- */

struct child {
	pid_t pid;
	int to, from;
};

/* A process that binds itself by the file it has inherited, and then lives until it is told. */
static int child_start(struct child *child, int lab, const struct pci *pci)
{
	int to[2], from[2], pasid;
	char byte;

	if (pipe(to) || pipe(from))
		return -errno;
	child->pid = fork();
	if (!child->pid) {
		pasid = sva_lab_bind(lab, pci);
		/* What only it can know: the table is its own. */
		if (pasid > 0 && !is_mine(lab, pci, pasid))
			pasid = -EBADMSG;
		if (write(from[1], &pasid, sizeof(pasid)) != sizeof(pasid))
			_exit(1);
		close(to[1]);
		_exit(read(to[0], &byte, 1) == 1 ? 0 : 1);
	}
	close(to[0]);
	close(from[1]);
	child->to = to[1];
	child->from = from[0];
	if (child->pid < 0 || read(from[0], &pasid, sizeof(pasid)) != sizeof(pasid))
		return -EPIPE;
	return pasid;
}

static int child_end(struct child *child, bool kill_it)
{
	int status;

	if (kill_it)
		kill(child->pid, SIGKILL);
	else if (write(child->to, "", 1) != 1)
		return -EPIPE;
	close(child->to);
	close(child->from);
	if (waitpid(child->pid, &status, 0) != child->pid)
		return -errno;
	if (kill_it)
		return WIFSIGNALED(status) ? 0 : -EPROTO;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EPROTO;
}

/* Two processes on one device, each with its own table. */
TEST_F(sva_lab, two_processes)
{
	struct pasid_entry mine, its;
	struct child child;
	int pasid, other;

	pasid = sva_lab_bind(self->lab, &self->pci);
	ASSERT_GT(pasid, 0);
	other = child_start(&child, self->lab, &self->pci);
	ASSERT_GT(other, 0);
	EXPECT_NE(pasid, other);
	ASSERT_EQ(0, pasid_entry(&self->pci, pasid, &mine));
	ASSERT_EQ(0, pasid_entry(&self->pci, other, &its));
	EXPECT_EQ(sva_lab_root(self->lab), pasid_root(&mine));
	EXPECT_NE(pasid_root(&mine), pasid_root(&its));
	EXPECT_EQ(2, pasid_entries(&self->pci));
	EXPECT_EQ(0, child_end(&child, false));
	EXPECT_TRUE(is_mine(self->lab, &self->pci, pasid));
}

/*
 * A process that ends takes its entry with it, though the bond is still there; and while
 * it is, nobody else gets the PASID.
 */
TEST_F(sva_lab, death)
{
	struct child child;
	int pasid, next;

	for (int killed = 0; killed < 2; killed++) {
		pasid = child_start(&child, self->lab, &self->pci);
		ASSERT_GT(pasid, 0);
		EXPECT_EQ(0, entry_of(&self->pci, pasid));
		ASSERT_EQ(0, child_end(&child, killed));
		EXPECT_EQ(-ENOENT, entry_of(&self->pci, pasid));
		next = child_start(&child, self->lab, &self->pci);
		EXPECT_GT(next, 0);
		EXPECT_NE(pasid, next);
		ASSERT_EQ(0, child_end(&child, false));
		ASSERT_EQ(0, sva_lab_unbind(self->lab, &self->pci));
		ASSERT_EQ(0, sva_lab_unbind(self->lab, &self->pci));
	}
}

/* ---- what the IOMMU core refuses, and what it does not ---- */

TEST_F(sva_lab, devices_that_lack_something)
{
	const struct {
		const char *what;
		uint32_t id;
		int result;	/* 0: a PASID */
	} devices[] = {
		{ "no PASIDs", EDU, -ENOSPC },
		{ "no ATS", SVADEV_WITH(SVADEV_PASID), -EINVAL },
		{ "page requests off", SVADEV_WITH(SVADEV_ATS | SVADEV_PRI_OFF | SVADEV_PASID), -EINVAL },
		{ "no page requests", SVADEV_WITH(SVADEV_ATS | SVADEV_PASID), 0 },
	};
	struct pci pci;
	bool bound;
	int ret;

	for (int i = 0; i < ARRAY_SIZE(devices); i++) {
		ASSERT_EQ(0, pci_find(devices[i].id, 0, &pci));
		ret = sva_lab_bind(self->lab, &pci);
		bound = ret > 0;
		TH_LOG("%s", devices[i].what);
		EXPECT_EQ(devices[i].result, bound ? 0 : ret);
		EXPECT_EQ(bound, pasid_entries(&pci));
		EXPECT_EQ(bound ? 0 : -ENOENT, sva_lab_unbind(self->lab, &pci));
		EXPECT_EQ(0, pasid_entries(&pci));
	}
}

/* The core binds the whole group of a device: who asks for one gets the other, too. */
TEST_F(sva_lab, group_of_two)
{
	struct pci a, b;
	int pasid;

	ASSERT_EQ(0, pci_find_pair(SVADEV, &a, &b));
	pasid = sva_lab_bind(self->lab, &a);
	ASSERT_GT(pasid, 0);
	EXPECT_TRUE(is_mine(self->lab, &a, pasid));
	EXPECT_TRUE(is_mine(self->lab, &b, pasid));
	ASSERT_EQ(0, sva_lab_unbind(self->lab, &a));
	EXPECT_EQ(0, pasid_entries(&a));
	EXPECT_EQ(0, pasid_entries(&b));
}

/* Nobody becomes the owner of what has a process bound; an owner can bind one. */
TEST_F(sva_lab, ownership)
{
	int pasid = sva_lab_bind(self->lab, &self->pci);

	ASSERT_GT(pasid, 0);
	EXPECT_EQ(-EBUSY, sva_lab_claim(self->lab, &self->pci));
	ASSERT_EQ(0, sva_lab_unbind(self->lab, &self->pci));
	ASSERT_EQ(0, sva_lab_claim(self->lab, &self->pci));
	EXPECT_EQ(pasid, sva_lab_bind(self->lab, &self->pci));
	EXPECT_TRUE(is_mine(self->lab, &self->pci, pasid));
	ASSERT_EQ(0, sva_lab_unbind(self->lab, &self->pci));
	ASSERT_EQ(0, sva_lab_release(self->lab, &self->pci));
}

/* The same with VFIO as the owner, and the device attached to an address space. */
TEST_F(sva_lab, vfio_as_owner)
{
	struct session s;
	int fd, iommufd, pasid;

	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	fd = cdev_open(&self->pci);
	iommufd = iommufd_open();
	ASSERT_GE(fd, 0);
	ASSERT_GE(iommufd, 0);
	pasid = sva_lab_bind(self->lab, &self->pci);
	ASSERT_GT(pasid, 0);
	EXPECT_EQ(-EBUSY, cdev_bind(fd, iommufd, NULL));
	ASSERT_EQ(0, sva_lab_unbind(self->lab, &self->pci));
	close(fd);
	close(iommufd);
	ASSERT_EQ(0, session_open(&self->pci, &s));
	EXPECT_EQ(pasid, sva_lab_bind(self->lab, &self->pci));
	EXPECT_TRUE(is_mine(self->lab, &self->pci, pasid));
	EXPECT_EQ(0, sva_lab_unbind(self->lab, &self->pci));
	session_close(&s);
}

/* A PASID that one of them uses is no PASID for the other. */
TEST_F(sva_lab, user_managed_pasid)
{
	struct pasid_entry entry;
	uint32_t hwpt, pt;
	struct session s;
	int pasid;

	ASSERT_EQ(0, session_open(&self->pci, &s));
	ASSERT_EQ(0, hwpt_alloc(s.iommufd, s.devid, s.ioas, IOMMU_HWPT_ALLOC_PASID, &hwpt));
	pt = hwpt;
	ASSERT_EQ(0, cdev_attach(s.fd, &pt));
	pasid = sva_lab_bind(self->lab, &self->pci);
	ASSERT_GT(pasid, 0);
	pt = hwpt;
	EXPECT_EQ(-EBUSY, cdev_attach_pasid(s.fd, pasid, &pt));
	EXPECT_TRUE(is_mine(self->lab, &self->pci, pasid));
	ASSERT_EQ(0, sva_lab_unbind(self->lab, &self->pci));
	pt = hwpt;
	ASSERT_EQ(0, cdev_attach_pasid(s.fd, pasid, &pt));
	ASSERT_EQ(0, pasid_entry(&self->pci, pasid, &entry));
	EXPECT_NE(sva_lab_root(self->lab), pasid_root(&entry));
	EXPECT_EQ(-EBUSY, sva_lab_bind(self->lab, &self->pci));
	EXPECT_FALSE(is_mine(self->lab, &self->pci, pasid));
	ASSERT_EQ(0, cdev_detach_pasid(s.fd, pasid));
	EXPECT_EQ(-ENOENT, entry_of(&self->pci, pasid));
	EXPECT_EQ(pasid, sva_lab_bind(self->lab, &self->pci));
	EXPECT_EQ(0, sva_lab_unbind(self->lab, &self->pci));
	session_close(&s);
}

TEST_HARNESS_MAIN
