// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA ownership and processes bound to devices: a group with a bond is not to be had, and no
 * bond outlives its owner.  The bonds are the SVA test module's, past VFIO, where VFIO makes none:
 * a group of two devices gets none by it.
 */
#include "lib/bound.h"
#include "lib/group.h"
#include "lib/host.h"
#include "lib/open_path.h"
#include "lib/pasid_table.h"
#include "lib/sva.h"
#include "lib/sva_test.h"
#include "lib/svadev.h"
#include "lib/test.h"

FIXTURE(dma_owner_sva) {
	struct pci pci, other;	/* in groups of their own */
	struct pci a, b;	/* in one group */
	struct opened o;
	int control;
};

FIXTURE_VARIANT(dma_owner_sva) {
	enum open_path open_path;
};

FIXTURE_VARIANT_ADD(dma_owner_sva, cdev) { OPEN_CDEV };
FIXTURE_VARIANT_ADD(dma_owner_sva, group) { OPEN_GROUP };
FIXTURE_VARIANT_ADD(dma_owner_sva, container) { OPEN_CONTAINER };

FIXTURE_SETUP(dma_owner_sva)
{
	self->o = OPENED_NONE;
	self->control = -1;
	if (open_path_lacks(variant->open_path))
		SKIP(return, "%s", open_path_lacks(variant->open_path));
	if (module_load(HOST_MODULE))
		SKIP(return, "no module " HOST_MODULE);
	self->control = sva_devices(&self->pci, &self->other);
	if (no_sva_devices(self->control))
		SKIP(return, NO_SVA_DEVICES);
	ASSERT_GE(self->control, 0);
	ASSERT_EQ(0, pci_find_pair(SVADEV, &self->a, &self->b));
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	ASSERT_EQ(0, pci_to_vfio(&self->a));
	ASSERT_EQ(0, pci_to_vfio(&self->b));
}

/* No bond, no owner. */
FIXTURE_TEARDOWN(dma_owner_sva)
{
	const struct pci *devices[] = { &self->pci, &self->a, &self->b };

	open_path_close(&self->o);
	sva_test_close(self->control);
	for (int i = 0; i < ARRAY_SIZE(devices); i++) {
		EXPECT_EQ(0, pasid_entries(devices[i]));
		EXPECT_EQ(0, pci_unbind(devices[i]));
		EXPECT_EQ(0, host_may_have(devices[i], HOST_PLAIN));
	}
	EXPECT_EQ(0, module_unload(HOST_MODULE));
}

/*
 * semantics: 106, 148, 192.  A bond that nobody answers for, the device being VFIO's and not
 * open: who would own the group, by whichever device of it, has to wait.
 */
TEST_F(dma_owner_sva, bond_first)
{
	const struct pci *devices[] = { &self->a, &self->b };

	for (int i = 0; i < 4; i++) {
		const struct pci *bound = devices[i & 1], *wanted = devices[i >> 1];

		ASSERT_EQ(0, open_path_begin(variant->open_path, wanted, NULL, &self->o));
		ASSERT_GT(sva_test_bind(self->control, bound), 0);
		EXPECT_EQ(-EBUSY, open_path_claim(wanted, NULL, &self->o));
		EXPECT_EQ(-EBUSY, open_path_claim(wanted, NULL, &self->o));
		EXPECT_EQ(1, pasid_entries(&self->a));
		EXPECT_EQ(1, pasid_entries(&self->b));
		ASSERT_EQ(0, sva_test_unbind(self->control, bound));
		EXPECT_EQ(0, open_path_claim(wanted, NULL, &self->o));
		EXPECT_EQ(0, open_path_finish(wanted, NULL, NULL, &self->o));
		open_path_close(&self->o);
	}
}

/*
 * semantics: 106, 148.  A bond of a driver of the host: it is the driver that keeps an owner
 * out, and the bond that keeps out another driver.
 */
TEST_F(dma_owner_sva, bond_of_the_host)
{
	ASSERT_EQ(0, open_path_begin(variant->open_path, &self->a, NULL, &self->o));
	ASSERT_EQ(0, pci_unbind(&self->b));
	ASSERT_EQ(0, host_bind(&self->b, HOST_PLAIN));
	ASSERT_GT(sva_test_bind(self->control, &self->b), 0);
	EXPECT_EQ(-EPERM, open_path_claim(&self->a, NULL, &self->o));
	open_path_close(&self->o);
	ASSERT_EQ(0, pci_unbind(&self->a));
	EXPECT_EQ(-EBUSY, host_may_have(&self->a, HOST_PLAIN));
	EXPECT_EQ(0, host_may_have(&self->a, HOST_MANAGED));
	ASSERT_EQ(0, sva_test_unbind(self->control, &self->b));
	EXPECT_EQ(0, host_may_have(&self->a, HOST_PLAIN));
	ASSERT_EQ(0, pci_to_vfio(&self->a));
	EXPECT_EQ(-EPERM, open_path_open(variant->open_path, &self->a, NULL, NULL, &self->o));
	open_path_close(&self->o);
	ASSERT_EQ(0, pci_unbind(&self->b));
	EXPECT_EQ(0, open_path_open(variant->open_path, &self->a, NULL, NULL, &self->o));
}

/* semantics: 106, 109, 148, 155.  A bond of the owner changes nothing for the others. */
TEST_F(dma_owner_sva, bond_of_the_owner)
{
	int ret;

	ASSERT_EQ(0, pci_unbind(&self->b));
	ASSERT_EQ(0, open_path_open(variant->open_path, &self->a, NULL, NULL, &self->o));
	for (int bound = 1; bound >= 0; bound--) {
		ret = bound ? sva_test_bind(self->control, &self->a) :
			      sva_test_unbind(self->control, &self->a);
		ASSERT_EQ(bound, ret > 0);
		ASSERT_GE(ret, 0);
		EXPECT_EQ(bound, pasid_entries(&self->b));
		EXPECT_EQ(-EBUSY, host_may_have(&self->b, HOST_PLAIN));
		EXPECT_EQ(-EPERM, sva_test_claim(self->control, &self->b));
		EXPECT_EQ(0, host_may_have(&self->b, HOST_MANAGED));
	}
	open_path_close(&self->o);
	EXPECT_EQ(0, host_may_have(&self->b, HOST_PLAIN));
}

/*
 * A bond that is VFIO's, where it makes one: the device is its owner's until the last file
 * that holds it is closed, and then it is free, of the bond as well: a driver of the host
 * takes it, and the IOMMU core would complain of PASIDs that are left when that goes.
 */
TEST_F(dma_owner_sva, bond_ends_with_the_owner)
{
	/* Through the group, the device's file leaves it to the container. */
	const bool binds = core_is_rust() && variant->open_path != OPEN_GROUP;
	int fd;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, pci_to_vfio(&self->pci));
		ASSERT_EQ(0, open_path_open(variant->open_path, &self->pci, NULL, NULL, &self->o));
		fd = variant->open_path == OPEN_CONTAINER ? self->o.space : self->o.fd;
		ASSERT_EQ(binds ? 0 : -ENOTTY, process_bind(fd, NULL));
		EXPECT_EQ(-EPERM, sva_test_claim(self->control, &self->pci));
		EXPECT_EQ(binds, pasid_entries(&self->pci));
		close_fd(&self->o.fd);
		if (variant->open_path == OPEN_CONTAINER) {
			EXPECT_EQ(-EPERM, sva_test_claim(self->control, &self->pci));
			EXPECT_EQ(binds, pasid_entries(&self->pci));
			if (i)
				EXPECT_EQ(0, group_unset(self->o.group));
			if (!i)
				close_fd(&self->o.group);
		}
		EXPECT_EQ(0, pasid_entries(&self->pci));
		EXPECT_EQ(0, sva_test_claim(self->control, &self->pci));
		EXPECT_EQ(0, sva_test_release(self->control, &self->pci));
		ASSERT_EQ(0, pci_unbind(&self->pci));
		EXPECT_EQ(0, host_may_have(&self->pci, HOST_PLAIN));
		open_path_close(&self->o);
	}
}

TEST_HARNESS_MAIN
