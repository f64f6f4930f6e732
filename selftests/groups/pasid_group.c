// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two devices with PASIDs in one group, which the IOMMU does not keep apart: who owns it,
 * and what is given to one of them.
 */
#include "lib/authority.h"
#include "lib/bound.h"
#include "lib/cdev.h"
#include "lib/iommufd.h"
#include "lib/pasid_table.h"
#include "lib/svadev.h"
#include "lib/test.h"

FIXTURE(pasid_group) {
	struct pci pci[DEVICES];	/* in one group */
	int fd[DEVICES], iommufd, other;
};

FIXTURE_SETUP(pasid_group)
{
	for (int dev = 0; dev < DEVICES; dev++)
		self->fd[dev] = -1;
	if (pci_find_pair(SVADEV, &self->pci[0], &self->pci[1]))
		SKIP(return, "no two devices with PASIDs in one group");
	for (int dev = 0; dev < DEVICES; dev++) {
		ASSERT_EQ(0, pci_to_vfio(&self->pci[dev]));
		self->fd[dev] = cdev_open(&self->pci[dev]);
		ASSERT_GE(self->fd[dev], 0);
	}
	self->iommufd = iommufd_open();
	ASSERT_GE(self->iommufd, 0);
	self->other = iommufd_open();
	ASSERT_GE(self->other, 0);
}

FIXTURE_TEARDOWN(pasid_group)
{
	for (int dev = 0; dev < DEVICES; dev++)
		close_fd(&self->fd[dev]);
}

/* semantics: 106.  Two iommufds cannot share a group, nor what PASIDs it has. */
TEST_F(pasid_group, second_iommufd)
{
	const int ifd[] = { self->iommufd, self->other };

	for (int round = 0; round < 4; round++) {
		int first = round & 1, owner = ifd[round >> 1], another = ifd[!(round >> 1)];

		ASSERT_EQ(0, cdev_bind(self->fd[first], owner, NULL));
		EXPECT_EQ(-EPERM, cdev_bind(self->fd[!first], another, NULL));
		EXPECT_EQ(-EPERM, cdev_bind(self->fd[!first], another, NULL));
		ASSERT_EQ(0, cdev_bind(self->fd[!first], owner, NULL));
		/* The group is owned until the last of them goes. */
		close(self->fd[first]);
		self->fd[first] = cdev_open(&self->pci[first]);
		EXPECT_EQ(-EPERM, cdev_bind(self->fd[first], another, NULL));
		close(self->fd[!first]);
		self->fd[!first] = cdev_open(&self->pci[!first]);
		/* The first has let go. */
		EXPECT_EQ(0, cdev_bind(self->fd[first], another, NULL));
		EXPECT_EQ(-EPERM, cdev_bind(self->fd[!first], owner, NULL));
		close(self->fd[first]);
		self->fd[first] = cdev_open(&self->pci[first]);
	}
}

static bool both_have(const struct pci *pci, uint32_t pasid, int entries)
{
	for (int dev = 0; dev < DEVICES; dev++)
		if (pasid_entries(&pci[dev]) != entries ||
		    entry_of(&pci[dev], pasid) != (entries ? 0 : -ENOENT))
			return false;
	return true;
}

/*
 * semantics: 67, 68.  What is given to a device is given to its group, until each of
 * those it was given to has lost it: therefore one group, one owner.
 */
TEST_F(pasid_group, given_to_the_group)
{
	uint32_t devid, ioas, hwpt[2];

	for (int dev = 0; dev < DEVICES; dev++)
		ASSERT_EQ(0, cdev_bind(self->fd[dev], self->iommufd, &devid));
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &ioas));
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, hwpt_alloc(self->iommufd, devid, ioas, IOMMU_HWPT_ALLOC_PASID, &hwpt[i]));
	EXPECT_TRUE(both_have(self->pci, 100, 0));
	for (int first = 0; first < 2; first++) {
		ASSERT_EQ(0, pt_attach(self->fd[first], 100, hwpt[0]));
		EXPECT_TRUE(both_have(self->pci, 100, 1));
		EXPECT_EQ(-EINVAL, pt_attach(self->fd[!first], 100, hwpt[1]));
		ASSERT_EQ(0, pt_attach(self->fd[!first], 100, hwpt[0]));
		ASSERT_EQ(0, pt_detach(self->fd[first], 100));
		EXPECT_TRUE(both_have(self->pci, 100, 1));
		ASSERT_EQ(0, pt_detach(self->fd[!first], 100));
		EXPECT_TRUE(both_have(self->pci, 100, 0));
	}
}

TEST_HARNESS_MAIN
