// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes bound to devices by the IOMMU core's own functions, past VFIO: what the
 * machine for shared virtual addressing can do.  The proof is the IOMMU's table of
 * PASIDs: an entry with the process's page table comes with the bond and goes with it.
 */
#include <sys/mman.h>

#include "lib/bound.h"
#include "lib/cdev.h"
#include "lib/iommufd.h"
#include "lib/pasid_table.h"
#include "lib/sva_test.h"
#include "lib/sva_setup.h"
#include "lib/svadev.h"
#include "lib/task.h"
#include "lib/test.h"

#define PAGE 4096

FIXTURE(sva_test) {
	struct sva_setup sva;
	const struct pci *pci, *other;
};

FIXTURE_SETUP(sva_test)
{
	int ret = sva_set_up(&self->sva, 2);

	if (ret > 0)
		SKIP(return, "%s", self->sva.why);
	ASSERT_EQ(0, ret) TH_LOG("%s", self->sva.why);
	self->pci = &self->sva.pci[0];
	self->other = &self->sva.pci[1];
}

FIXTURE_TEARDOWN(sva_test)
{
	/* Whatever the test was: no bond is left. */
	EXPECT_EQ(0, sva_tear_down(&self->sva));
}

/* Without what the module pretends Linux refuses, and nothing comes of it. */
TEST_F(sva_test, capability)
{
	int pasid;

	if (self->pci->id != SVADEV)
		SKIP(return, NO_SVA_TEST);
	ASSERT_EQ(0, sva_test_capable(false));
	EXPECT_EQ(-ENODEV, sva_test_bind(self->sva.control, self->pci));
	EXPECT_TRUE(entries_are(self->pci, 0));
	ASSERT_EQ(0, sva_test_capable(true));
	pasid = sva_test_bind(self->sva.control, self->pci);
	ASSERT_GT(pasid, 0);
	EXPECT_TRUE(entries_are(self->pci, 1));
}

TEST_F(sva_test, entry_while_bound)
{
	int pasid;

	EXPECT_TRUE(entries_are(self->pci, 0));
	EXPECT_EQ(-ENOENT, sva_test_unbind(self->sva.control, self->pci));
	pasid = sva_test_bind(self->sva.control, self->pci);
	ASSERT_GT(pasid, 0);
	EXPECT_TRUE(is_mine(self->sva.control, self->pci, pasid));
	EXPECT_TRUE(entries_are(self->pci, 1));
	EXPECT_TRUE(entries_are(self->other, 0));
	ASSERT_EQ(0, sva_test_unbind(self->sva.control, self->pci));
	EXPECT_TRUE(is_gone(self->pci, pasid));
	/* The memory keeps its PASID: it is the same the next time. */
	EXPECT_EQ(pasid, sva_test_bind(self->sva.control, self->pci));
	EXPECT_TRUE(is_mine(self->sva.control, self->pci, pasid));
}

/*
 * What the device would find: the very page that the process has, those that come while
 * it is bound as well, and none that is gone.
 */
TEST_F(sva_test, translations)
{
	uint32_t *before = pages_alloc(PAGE), *after;
	struct pasid_entry entry;
	uint64_t root;
	int pasid;

	if (pasid_probe_absent())
		SKIP(return, "%s", pasid_probe_absent());
	pasid = sva_test_bind(self->sva.control, self->pci);
	ASSERT_GT(pasid, 0);
	ASSERT_EQ(0, pasid_entry(self->pci, pasid, &entry));
	root = pasid_root(&entry);
	ASSERT_NE(0, phys_of(before));
	EXPECT_EQ(phys_of(before), sva_test_walk(self->sva.control, root, before));
	EXPECT_EQ(phys_of(before + 3), sva_test_walk(self->sva.control, root, before + 3));
	after = pages_alloc(PAGE);
	EXPECT_EQ(phys_of(after), sva_test_walk(self->sva.control, root, after));
	EXPECT_NE(phys_of(before), phys_of(after));
	ASSERT_EQ(0, munmap(after, PAGE));
	EXPECT_EQ(0, sva_test_walk(self->sva.control, root, after));
	/* The kernel's half is there, and not for users. */
	EXPECT_EQ(0, sva_test_walk(self->sva.control, root, (void *)0xffffffff81000000));
}

/* The PASID is the process's, whatever the device; the bond is the device's. */
TEST_F(sva_test, one_pasid_two_devices)
{
	int pasid = sva_test_bind(self->sva.control, self->pci);

	ASSERT_GT(pasid, 0);
	ASSERT_EQ(pasid, sva_test_bind(self->sva.control, self->other));
	EXPECT_TRUE(is_mine(self->sva.control, self->pci, pasid));
	EXPECT_TRUE(is_mine(self->sva.control, self->other, pasid));
	ASSERT_EQ(0, sva_test_unbind(self->sva.control, self->pci));
	EXPECT_TRUE(is_gone(self->pci, pasid));
	EXPECT_TRUE(is_mine(self->sva.control, self->other, pasid));
}

/* Bound twice, unbound twice. */
TEST_F(sva_test, counted)
{
	int pasid = sva_test_bind(self->sva.control, self->pci);

	ASSERT_GT(pasid, 0);
	ASSERT_EQ(pasid, sva_test_bind(self->sva.control, self->pci));
	EXPECT_TRUE(entries_are(self->pci, 1));
	ASSERT_EQ(0, sva_test_unbind(self->sva.control, self->pci));
	EXPECT_TRUE(is_mine(self->sva.control, self->pci, pasid));
	ASSERT_EQ(0, sva_test_unbind(self->sva.control, self->pci));
	EXPECT_TRUE(is_gone(self->pci, pasid));
}

TEST_F(sva_test, ends_with_the_file)
{
	int pasid = sva_test_bind(self->sva.control, self->pci);

	ASSERT_GT(pasid, 0);
	EXPECT_TRUE(is_mine(self->sva.control, self->pci, pasid));
	close(self->sva.control);
	EXPECT_TRUE(is_gone(self->pci, pasid));
	self->sva.control = sva_test_open();
	EXPECT_GE(self->sva.control, 0);
}

/* ---- more than one process ---- */

/* Two processes on one device, each with its own table. */
TEST_F(sva_test, two_processes)
{
	struct bound_child child;
	int pasid, other;

	pasid = sva_test_bind(self->sva.control, self->pci);
	ASSERT_GT(pasid, 0);
	other = bound_start(&child, -1, self->sva.control, self->pci);
	ASSERT_GT(other, 0);
	EXPECT_NE(pasid, other);
	EXPECT_TRUE(is_mine(self->sva.control, self->pci, pasid));
	EXPECT_TRUE(is_not_mine(self->sva.control, self->pci, other));
	EXPECT_TRUE(entries_are(self->pci, 2));
	EXPECT_EQ(0, bound_end(&child));
	EXPECT_TRUE(is_mine(self->sva.control, self->pci, pasid));
}

/*
 * A process that ends takes its entry with it, though the bond is still there; and while
 * it is, nobody else gets the PASID.
 */
TEST_F(sva_test, death)
{
	struct bound_child child;
	int pasid, next;

	for (int killed = 0; killed < 2; killed++) {
		pasid = bound_start(&child, -1, self->sva.control, self->pci);
		ASSERT_GT(pasid, 0);
		EXPECT_TRUE(is_there(self->pci, pasid));
		ASSERT_EQ(0, killed ? bound_kill(&child) : bound_end(&child));
		EXPECT_TRUE(is_gone(self->pci, pasid));
		next = bound_start(&child, -1, self->sva.control, self->pci);
		EXPECT_GT(next, 0);
		EXPECT_NE(pasid, next);
		ASSERT_EQ(0, bound_end(&child));
		ASSERT_EQ(0, sva_test_unbind(self->sva.control, self->pci));
		ASSERT_EQ(0, sva_test_unbind(self->sva.control, self->pci));
	}
}

/* ---- what the IOMMU core refuses, and what it does not ---- */

TEST_F(sva_test, devices_that_lack_something)
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

	if (self->pci->id != SVADEV)
		SKIP(return, NO_SVA_TEST);
	for (int i = 0; i < ARRAY_SIZE(devices); i++) {
		ASSERT_EQ(0, pci_find(devices[i].id, 0, &pci));
		ret = sva_test_bind(self->sva.control, &pci);
		bound = ret > 0;
		TH_LOG("%s", devices[i].what);
		EXPECT_EQ(devices[i].result, bound ? 0 : ret);
		EXPECT_TRUE(entries_are(&pci, bound));
		EXPECT_EQ(bound ? 0 : -ENOENT, sva_test_unbind(self->sva.control, &pci));
		EXPECT_TRUE(entries_are(&pci, 0));
	}
}

/* The core binds the whole group of a device: who asks for one gets the other, too. */
TEST_F(sva_test, group_of_two)
{
	struct pci a, b;
	int pasid;

	if (self->pci->id != SVADEV)
		SKIP(return, NO_SVA_TEST);
	ASSERT_EQ(0, pci_find_pair(SVADEV, &a, &b));
	pasid = sva_test_bind(self->sva.control, &a);
	ASSERT_GT(pasid, 0);
	EXPECT_TRUE(is_mine(self->sva.control, &a, pasid));
	EXPECT_TRUE(is_mine(self->sva.control, &b, pasid));
	ASSERT_EQ(0, sva_test_unbind(self->sva.control, &a));
	EXPECT_TRUE(entries_are(&a, 0));
	EXPECT_TRUE(entries_are(&b, 0));
}

/* Nobody becomes the owner of what has a process bound; an owner can bind one. */
TEST_F(sva_test, ownership)
{
	int pasid;

	pasid = sva_test_bind(self->sva.control, self->pci);
	ASSERT_GT(pasid, 0);
	EXPECT_EQ(-EBUSY, sva_test_claim(self->sva.control, self->pci));
	ASSERT_EQ(0, sva_test_unbind(self->sva.control, self->pci));
	ASSERT_EQ(0, sva_test_claim(self->sva.control, self->pci));
	EXPECT_EQ(pasid, sva_test_bind(self->sva.control, self->pci));
	EXPECT_TRUE(is_mine(self->sva.control, self->pci, pasid));
	ASSERT_EQ(0, sva_test_unbind(self->sva.control, self->pci));
	ASSERT_EQ(0, sva_test_release(self->sva.control, self->pci));
}

/* The same with VFIO as the owner, and the device attached to an address space. */
TEST_F(sva_test, vfio_as_owner)
{
	struct session s;
	int pasid;

	ASSERT_EQ(0, session_open_unbound(self->pci, &s));
	pasid = sva_test_bind(self->sva.control, self->pci);
	ASSERT_GT(pasid, 0);
	EXPECT_EQ(-EBUSY, cdev_bind(s.fd, s.iommufd, NULL));
	ASSERT_EQ(0, sva_test_unbind(self->sva.control, self->pci));
	session_close(&s);
	ASSERT_EQ(0, session_open(self->pci, &s));
	EXPECT_EQ(pasid, sva_test_bind(self->sva.control, self->pci));
	EXPECT_TRUE(is_mine(self->sva.control, self->pci, pasid));
	EXPECT_EQ(0, sva_test_unbind(self->sva.control, self->pci));
	session_close(&s);
}

/* A PASID that one of them uses is no PASID for the other. */
TEST_F(sva_test, user_managed_pasid)
{
	uint32_t hwpt, pt;
	struct session s;
	int pasid;

	ASSERT_EQ(0, session_open(self->pci, &s));
	ASSERT_EQ(0, hwpt_alloc(s.iommufd, s.devid, s.ioas, IOMMU_HWPT_ALLOC_PASID, &hwpt));
	pt = hwpt;
	ASSERT_EQ(0, cdev_attach(s.fd, &pt));
	pasid = sva_test_bind(self->sva.control, self->pci);
	ASSERT_GT(pasid, 0);
	pt = hwpt;
	EXPECT_EQ(-EBUSY, cdev_attach_pasid(s.fd, pasid, &pt));
	EXPECT_TRUE(is_mine(self->sva.control, self->pci, pasid));
	ASSERT_EQ(0, sva_test_unbind(self->sva.control, self->pci));
	pt = hwpt;
	ASSERT_EQ(0, cdev_attach_pasid(s.fd, pasid, &pt));
	EXPECT_TRUE(is_there(self->pci, pasid));
	EXPECT_EQ(-EBUSY, sva_test_bind(self->sva.control, self->pci));
	EXPECT_TRUE(is_not_mine(self->sva.control, self->pci, pasid));
	ASSERT_EQ(0, cdev_detach_pasid(s.fd, pasid));
	EXPECT_TRUE(is_gone(self->pci, pasid));
	EXPECT_EQ(pasid, sva_test_bind(self->sva.control, self->pci));
	EXPECT_EQ(0, sva_test_unbind(self->sva.control, self->pci));
	session_close(&s);
}

TEST_HARNESS_MAIN
