// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who owns the DMA of a group that has a port in it: the driver that every port has is one of
 * the host, and starts no DMA.  It must be there for the device behind the port to be reached.
 */
#include "lib/host.h"
#include "lib/open_path.h"
#include "lib/test.h"

#define PORT_DRIVER "pcieport"

FIXTURE(dma_owner_port) {
	struct pci pci, port;	/* in one group */
	struct opened o;
};

FIXTURE_VARIANT(dma_owner_port) {
	enum open_path open_path;
};

FIXTURE_VARIANT_ADD(dma_owner_port, cdev) { OPEN_CDEV };
FIXTURE_VARIANT_ADD(dma_owner_port, group) { OPEN_GROUP };
FIXTURE_VARIANT_ADD(dma_owner_port, container) { OPEN_CONTAINER };

FIXTURE_SETUP(dma_owner_port)
{
	self->o = OPENED_NONE;
	if (open_path_lacks(variant->open_path))
		SKIP(return, "%s", open_path_lacks(variant->open_path));
	if (pci_find_mixed(EDU, &self->pci, &self->port) ||
	    strcmp(self->pci.port, self->port.bdf))
		SKIP(return, "no edu in a group with the port that it is behind");
	if (module_load(HOST_MODULE))
		SKIP(return, "no module " HOST_MODULE);
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
}

FIXTURE_TEARDOWN(dma_owner_port)
{
	open_path_close(&self->o);
	EXPECT_EQ(0, pci_to_driver(&self->port, PORT_DRIVER));
	pci_attr_set(&self->port, "driver_override", "\n");
	EXPECT_EQ(0, module_unload(HOST_MODULE));
}

/* semantics: 106, 148.  The port's driver and user space do not know of one another. */
TEST_F(dma_owner_port, port_driver)
{
	ASSERT_EQ(0, open_path_open(variant->open_path, &self->pci, NULL, NULL, &self->o));
	EXPECT_TRUE(open_path_edu_works(&self->o));
	/* Any other driver is kept from the port, as from any device of the group. */
	ASSERT_EQ(0, pci_unbind(&self->port));
	EXPECT_EQ(-EBUSY, host_may_have(&self->port, HOST_PLAIN));
	EXPECT_EQ(0, host_may_have(&self->port, PORT_DRIVER));
	ASSERT_EQ(0, host_bind(&self->port, PORT_DRIVER));
	EXPECT_TRUE(open_path_edu_works(&self->o));
	open_path_close(&self->o);
	EXPECT_EQ(0, pci_unbind(&self->port));
	EXPECT_EQ(0, host_may_have(&self->port, HOST_PLAIN));
}

/* semantics: 106, 148.  A port on a driver that uses the kernel's DMA excludes user space. */
TEST_F(dma_owner_port, other_driver)
{
	ASSERT_EQ(0, pci_unbind(&self->port));
	ASSERT_EQ(0, host_bind(&self->port, HOST_PLAIN));
	ASSERT_EQ(0, open_path_begin(variant->open_path, &self->pci, NULL, &self->o));
	EXPECT_EQ(-EPERM, open_path_claim(&self->pci, NULL, &self->o));
	ASSERT_EQ(0, pci_unbind(&self->port));
	EXPECT_EQ(0, open_path_claim(&self->pci, NULL, &self->o));
}

TEST_HARNESS_MAIN
