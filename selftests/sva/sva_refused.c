// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where shared virtual addressing cannot be: what the IOMMU core says of devices that
 * have none of what it takes, behind an IOMMU that cannot be made to believe in it.
 */
#include "lib/sva_lab.h"
#include "lib/sysfs.h"
#include "lib/test.h"

FIXTURE(sva_refused) {
	int lab;
};

FIXTURE_SETUP(sva_refused)
{
	self->lab = sva_lab_open();
	if (self->lab == -ENOENT)
		SKIP(return, "no module sva_lab");
	ASSERT_GE(self->lab, 0);
}

FIXTURE_TEARDOWN(sva_refused)
{
	sva_lab_close(self->lab);
}

/* Without PASIDs there is nothing to pretend. */
TEST_F(sva_refused, capability)
{
	EXPECT_EQ(-ENODEV, sva_lab_capable(true));
}

/* The device has no PASIDs, or the IOMMU: there is none to be had. */
TEST_F(sva_refused, no_pasids)
{
	struct pci pci, sibling;

	ASSERT_EQ(0, pci_find(EDU, 0, &pci));
	EXPECT_EQ(-ENOSPC, sva_lab_bind(self->lab, &pci));
	ASSERT_EQ(0, pci_find(TESTDEV, 0, &pci));
	EXPECT_EQ(-ENOSPC, sva_lab_bind(self->lab, &pci));
	ASSERT_EQ(0, pci_find_pair(EDU, &pci, &sibling));
	EXPECT_EQ(-ENOSPC, sva_lab_bind(self->lab, &pci));
	EXPECT_EQ(-ENOSPC, sva_lab_bind(self->lab, &sibling));
}

/* What was refused is in nobody's way: it can have an owner. */
TEST_F(sva_refused, leaves_nothing)
{
	struct pci pci;

	ASSERT_EQ(0, pci_find(EDU, 0, &pci));
	ASSERT_EQ(0, pci_unbind(&pci));
	EXPECT_EQ(-ENOSPC, sva_lab_bind(self->lab, &pci));
	EXPECT_EQ(-ENOENT, sva_lab_unbind(self->lab, &pci));
	ASSERT_EQ(0, sva_lab_claim(self->lab, &pci));
	EXPECT_EQ(-ENOSPC, sva_lab_bind(self->lab, &pci));
	EXPECT_EQ(0, sva_lab_release(self->lab, &pci));
}

TEST_HARNESS_MAIN
