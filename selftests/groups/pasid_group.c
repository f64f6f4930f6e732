// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two devices with PASIDs in one group, which the IOMMU does not keep apart: who owns it,
 * and what is given to one of them.
 */
#include "lib/vm_model.h"
#include "lib/bound.h"
#include "lib/cdev.h"
#include "lib/iommufd.h"
#include "lib/pasid_table.h"
#include "lib/svadev.h"
#include "lib/test.h"

FIXTURE(pasid_group) {
	struct pci pci[DEVICES];	/* in one group */
	struct session s[DEVICES];	/* with the iommufd of the first */
	int other;
};

FIXTURE_SETUP(pasid_group)
{
	for (int dev = 0; dev < DEVICES; dev++)
		self->s[dev] = SESSION_NONE;
	self->other = -1;
	if (pci_find_pair(SVADEV, &self->pci[0], &self->pci[1]))
		SKIP(return, "no two devices with PASIDs in one group");
	ASSERT_EQ(0, session_open_unbound(&self->pci[0], &self->s[0]));
	ASSERT_EQ(0, session_open_node(&self->pci[1], &self->s[1]));
	self->other = iommufd_open();
	ASSERT_GE(self->other, 0);
}

FIXTURE_TEARDOWN(pasid_group)
{
	for (int dev = DEVICES - 1; dev >= 0; dev--)
		session_close(&self->s[dev]);
	close_fd(&self->other);
}

/* semantics: 106.  Two iommufds cannot share a group, nor what PASIDs it has. */
TEST_F(pasid_group, second_iommufd)
{
	const int ifd[] = { self->s[0].iommufd, self->other };

	for (int round = 0; round < 4; round++) {
		int first = round & 1, owner = ifd[round >> 1], another = ifd[!(round >> 1)];

		ASSERT_EQ(0, cdev_bind(self->s[first].fd, owner, NULL));
		EXPECT_EQ(-EPERM, cdev_bind(self->s[!first].fd, another, NULL));
		EXPECT_EQ(-EPERM, cdev_bind(self->s[!first].fd, another, NULL));
		ASSERT_EQ(0, cdev_bind(self->s[!first].fd, owner, NULL));
		/* The group is owned until the last of them goes. */
		close(self->s[first].fd);
		self->s[first].fd = cdev_open(&self->pci[first]);
		EXPECT_EQ(-EPERM, cdev_bind(self->s[first].fd, another, NULL));
		close(self->s[!first].fd);
		self->s[!first].fd = cdev_open(&self->pci[!first]);
		/* The first has let go. */
		EXPECT_EQ(0, cdev_bind(self->s[first].fd, another, NULL));
		EXPECT_EQ(-EPERM, cdev_bind(self->s[!first].fd, owner, NULL));
		close(self->s[first].fd);
		self->s[first].fd = cdev_open(&self->pci[first]);
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
		ASSERT_EQ(0, cdev_bind(self->s[dev].fd, self->s[0].iommufd, &devid));
	ASSERT_EQ(0, ioas_alloc(self->s[0].iommufd, &ioas));
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, hwpt_alloc(self->s[0].iommufd, devid, ioas, IOMMU_HWPT_ALLOC_PASID, &hwpt[i]));
	EXPECT_TRUE(both_have(self->pci, 100, 0));
	for (int first = 0; first < 2; first++) {
		ASSERT_EQ(0, pt_attach(self->s[first].fd, 100, hwpt[0]));
		EXPECT_TRUE(both_have(self->pci, 100, 1));
		EXPECT_EQ(-EINVAL, pt_attach(self->s[!first].fd, 100, hwpt[1]));
		ASSERT_EQ(0, pt_attach(self->s[!first].fd, 100, hwpt[0]));
		ASSERT_EQ(0, pt_detach(self->s[first].fd, 100));
		EXPECT_TRUE(both_have(self->pci, 100, 1));
		ASSERT_EQ(0, pt_detach(self->s[!first].fd, 100));
		EXPECT_TRUE(both_have(self->pci, 100, 0));
	}
}

TEST_HARNESS_MAIN
