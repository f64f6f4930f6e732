// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who owns the DMA of a group: two devices that user space may have, as one owner or as two
 * that come by different open paths, and drivers of the host that take whatever is given to them.
 */
#include "lib/cdev.h"
#include "lib/group.h"
#include "lib/host.h"
#include "lib/open_path.h"
#include "lib/test.h"

FIXTURE(dma_owner_pair) {
	struct pci a, b;	/* in one group */
	struct opened o;	/* a */
	int second;		/* b */
};

FIXTURE_VARIANT(dma_owner_pair) {
	enum open_path open_path;
};

FIXTURE_VARIANT_ADD(dma_owner_pair, cdev) { OPEN_CDEV };
FIXTURE_VARIANT_ADD(dma_owner_pair, group) { OPEN_GROUP };
FIXTURE_VARIANT_ADD(dma_owner_pair, container) { OPEN_CONTAINER };

FIXTURE_SETUP(dma_owner_pair)
{
	const char *lacks = open_path_lacks(variant->open_path);

	self->o = OPENED_NONE;
	self->second = -1;
	if (lacks)
		SKIP(return, "%s", lacks);
	if (pci_find_pair(EDU, &self->a, &self->b))
		SKIP(return, "no two edu devices in one group");
	if (module_load(HOST_MODULE))
		SKIP(return, "no module " HOST_MODULE);
	ASSERT_EQ(0, pci_to_vfio(&self->a));
	ASSERT_EQ(0, pci_to_vfio(&self->b));
}

FIXTURE_TEARDOWN(dma_owner_pair)
{
	close_fd(&self->second);
	open_path_close(&self->o);
	EXPECT_EQ(0, pci_unbind(&self->a));
	EXPECT_EQ(0, pci_unbind(&self->b));
	EXPECT_EQ(0, host_may_have(&self->a, HOST_PLAIN));
	EXPECT_EQ(0, host_may_have(&self->b, HOST_PLAIN));
	EXPECT_EQ(0, module_unload(HOST_MODULE));
	EXPECT_EQ(0, pci_to_vfio(&self->a));
	EXPECT_EQ(0, pci_to_vfio(&self->b));
}

/* semantics: 106, 148.  A driver that does not use the kernel's DMA excludes nobody. */
TEST_F(dma_owner_pair, drivers_without_dma)
{
	static const char * const drivers[] = { HOST_MANAGED, "vfio-pci" };

	ASSERT_EQ(0, pci_unbind(&self->b));
	for (int i = 0; i < 2; i++) {
		/* It was there before ... */
		ASSERT_EQ(0, pci_to_driver(&self->b, drivers[i]));
		ASSERT_EQ(0, open_path_open(variant->open_path, &self->a, NULL, NULL, &self->o));
		EXPECT_TRUE(open_path_edu_works(&self->o));
		/* ... and goes, and may come back, as others may not. */
		ASSERT_EQ(0, pci_unbind(&self->b));
		EXPECT_EQ(-EBUSY, host_may_have(&self->b, HOST_PLAIN));
		EXPECT_EQ(0, host_may_have(&self->b, drivers[i]));
		EXPECT_TRUE(open_path_edu_works(&self->o));
		open_path_close(&self->o);
	}
	/* The same device, another driver. */
	ASSERT_EQ(0, host_bind(&self->b, HOST_PLAIN));
	EXPECT_EQ(-EPERM, open_path_open(variant->open_path, &self->a, NULL, NULL, &self->o));
}

/* The second device, for the owner of the first. */
static int open_second(const struct opened *o, const struct pci *pci)
{
	int fd, ret;

	if (o->open_path != OPEN_CDEV)
		return group_device(o->group, pci->bdf);
	fd = cdev_open(pci);
	ret = fd < 0 ? fd : cdev_bind(fd, o->space, NULL);
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

/* semantics: 95, 106, 110, 152.  The group is owned as long as one of its devices is. */
TEST_F(dma_owner_pair, both_devices)
{
	ASSERT_EQ(0, open_path_open(variant->open_path, &self->a, NULL, NULL, &self->o));
	self->second = open_second(&self->o, &self->b);
	ASSERT_GE(self->second, 0);
	close_fd(&self->o.fd);
	ASSERT_EQ(0, pci_unbind(&self->a));
	EXPECT_EQ(-EBUSY, host_may_have(&self->a, HOST_PLAIN));
	EXPECT_EQ(0, device_info(self->second));
	close_fd(&self->second);
	if (variant->open_path == OPEN_CONTAINER) {
		EXPECT_EQ(-EBUSY, host_may_have(&self->a, HOST_PLAIN));
		EXPECT_EQ(0, group_unset(self->o.group));
	}
	EXPECT_EQ(0, host_may_have(&self->a, HOST_PLAIN));
	/* Now the second is the one that cannot be had. */
	ASSERT_EQ(0, host_bind(&self->a, HOST_PLAIN));
	open_path_close(&self->o);
	EXPECT_EQ(-EPERM, open_path_open(variant->open_path, &self->b, NULL, NULL, &self->o));
}

/* What whoever comes by another open path to the sibling is told, and at which step. */
struct answer {
	int begin, claim;
};

/* ... while the device is open: by its own node, or by the group, whose file is open or not. */
static struct answer answer_to(enum open_path second, enum open_path first, bool group_closed)
{
	/* The node of a device, or that of the group: who has one open, keeps the other shut. */
	if (first == OPEN_CDEV)
		return second == OPEN_CDEV ? (struct answer){ 0, -EPERM } :
					     (struct answer){ -EBUSY };
	/* In a container a device holds the file of its group, with an iommufd it does not. */
	if (first == OPEN_GROUP && group_closed)
		return (struct answer){ 0, -EPERM };
	return second == OPEN_CDEV ? (struct answer){ 0, -EBUSY } : (struct answer){ -EBUSY };
}

/* semantics: 106, 110, 144, 148, 153, 157, 195.  Two owners, each by an open path of its own. */
TEST_F(dma_owner_pair, other_owners)
{
	struct opened other;

	for (enum open_path open_path = OPEN_CDEV; open_path <= OPEN_CONTAINER; open_path++) {
		if (open_path_lacks(open_path))
			continue;
		ASSERT_EQ(0, open_path_open(variant->open_path, &self->a, NULL, NULL, &self->o));
		for (int closed = 0; closed < 2; closed++) {
			struct answer answer = answer_to(open_path, variant->open_path, closed);

			if (closed)
				close_fd(&self->o.group);
			EXPECT_EQ(answer.begin, open_path_begin(open_path, &self->b, NULL, &other))
				TH_LOG("open path %d, closed %d", open_path, closed);
			if (!answer.begin)
				EXPECT_EQ(answer.claim, open_path_claim(&self->b, NULL, &other))
					TH_LOG("open path %d, closed %d", open_path, closed);
			open_path_close(&other);
			EXPECT_TRUE(open_path_edu_works(&self->o));
		}
		open_path_close(&self->o);
		ASSERT_EQ(0, open_path_open(open_path, &self->b, NULL, NULL, &other));
		EXPECT_TRUE(open_path_edu_works(&other));
		open_path_close(&other);
	}
}

TEST_HARNESS_MAIN
