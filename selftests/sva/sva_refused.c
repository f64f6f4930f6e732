// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where shared virtual addressing cannot be: what the IOMMU core says of devices that
 * have none of what it takes, behind an IOMMU that cannot be made to believe in it.
 */
#include "lib/sva_test.h"
#include "lib/sysfs.h"
#include "lib/test.h"

FIXTURE(sva_refused) {
	int control;
};

FIXTURE_SETUP(sva_refused)
{
	self->control = sva_test_open();
	if (self->control == -ENOENT)
		SKIP(return, "no module sva_test");
	ASSERT_GE(self->control, 0);
}

FIXTURE_TEARDOWN(sva_refused)
{
	sva_test_close(self->control);
}

/* Without PASIDs there is nothing to pretend. */
TEST_F(sva_refused, capability)
{
	EXPECT_EQ(-ENODEV, sva_test_capable(true));
}

/* The device has no PASIDs, or the IOMMU: there is none to be had. */
TEST_F(sva_refused, no_pasids)
{
	struct pci pci, sibling;

	ASSERT_EQ(0, pci_find(EDU, 0, &pci));
	EXPECT_EQ(-ENOSPC, sva_test_bind(self->control, &pci));
	ASSERT_EQ(0, pci_find(TESTDEV, 0, &pci));
	EXPECT_EQ(-ENOSPC, sva_test_bind(self->control, &pci));
	ASSERT_EQ(0, pci_find_pair(EDU, &pci, &sibling));
	EXPECT_EQ(-ENOSPC, sva_test_bind(self->control, &pci));
	EXPECT_EQ(-ENOSPC, sva_test_bind(self->control, &sibling));
}

/* What was refused excludes nobody: it can have an owner. */
TEST_F(sva_refused, leaves_nothing)
{
	struct pci pci;

	ASSERT_EQ(0, pci_find(EDU, 0, &pci));
	ASSERT_EQ(0, pci_unbind(&pci));
	EXPECT_EQ(-ENOSPC, sva_test_bind(self->control, &pci));
	EXPECT_EQ(-ENOENT, sva_test_unbind(self->control, &pci));
	ASSERT_EQ(0, sva_test_claim(self->control, &pci));
	EXPECT_EQ(-ENOSPC, sva_test_bind(self->control, &pci));
	EXPECT_EQ(0, sva_test_release(self->control, &pci));
}

TEST_HARNESS_MAIN
