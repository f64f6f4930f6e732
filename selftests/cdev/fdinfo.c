// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who reads fdinfo of a device's file does not wait for those who use the device; and which PASIDs
 * it lists.
 */
#include "lib/cdev.h"
#include "lib/iommufd.h"
#include "lib/task.h"
#include "lib/test.h"
#include "lib/uffd.h"

#define IOVA 0x100000

FIXTURE(fdinfo) {
	struct pci pci;
	struct session s;
};

FIXTURE_SETUP(fdinfo)
{
	if (pci_find(EDU, 0, &self->pci))
		SKIP(return, "no edu device");
	ASSERT_EQ(0, session_open(&self->pci, &self->s));
}

FIXTURE_TEARDOWN(fdinfo)
{
	session_close(&self->s);
}

static int fdinfo(int fd, char *text, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return sysfs_read(path, text, size);
}

/* ATTACH pins user memory, under a lock: a page that does not come is no reason to wait for a reader. */
TEST_F(fdinfo, attach_that_waits)
{
	static const char page[4096];
	struct attach_op op = { .fd = self->s.fd };
	struct stall stall;
	struct worker w;
	char text[1024];

	ASSERT_EQ(0, cdev_detach(self->s.fd));
	ASSERT_EQ(0, ioas_alloc(self->s.iommufd, &op.pt));
	ASSERT_EQ(0, stall_open(&stall));
	/* Nobody is attached: the page is pinned when somebody is. */
	ASSERT_EQ(0, ioas_map(self->s.iommufd, op.pt, stall.page, stall.size, IOVA));
	ASSERT_EQ(0, worker_start(&w, cdev_attach_op, &op));
	ASSERT_EQ(0, stall_wait(&stall));
	EXPECT_GT(fdinfo(self->s.fd, text, sizeof(text)), 0);
	EXPECT_NE(NULL, strstr(text, "vfio-device-syspath: "));
	EXPECT_FALSE(worker_ended(&w));
	EXPECT_EQ(0, stall_release(&stall, page));
	EXPECT_EQ(0, worker_join(&w));
	EXPECT_EQ(0, cdev_detach(self->s.fd));
	stall_close(&stall);
}

/* As the C core's devices without PASIDs let themselves be attached by PASID, all that there are. */
TEST_F(fdinfo, pasids)
{
	static const struct {
		uint32_t pasids[8];
		const char *line;
	} cases[] = {
		{ { 1 }, "vfio-pasids: 1\n" },
		{ { 1, 2, 3 }, "vfio-pasids: 1-3\n" },
		{ { 5, 1023, 1024, 1025, 1027 }, "vfio-pasids: 5,1023-1025,1027\n" },
		{ { 62, 63, 2048 }, "vfio-pasids: 62-63,2048\n" },
		{ { 4095, 700000, 1048575 }, "vfio-pasids: 4095,700000,1048575\n" },
	};
	uint32_t hwpt, pt;
	char text[1024];

	if (!core_is_rust())
		SKIP(return, "D11: the core in C lists none");
	EXPECT_GT(fdinfo(self->s.fd, text, sizeof(text)), 0);
	EXPECT_EQ(NULL, strstr(text, "vfio-pasids"));
	if (hwpt_alloc(self->s.iommufd, self->s.devid, self->s.ioas, IOMMU_HWPT_ALLOC_PASID, &hwpt))
		SKIP(return, "an IOMMU without page tables for PASIDs");
	ASSERT_EQ(0, cdev_detach(self->s.fd));
	pt = hwpt;
	ASSERT_EQ(0, cdev_attach(self->s.fd, &pt));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const uint32_t *pasids = cases[i].pasids;

		for (int n = 0; n < 8 && pasids[n]; n++) {
			pt = hwpt;
			ASSERT_EQ(0, cdev_attach_pasid(self->s.fd, pasids[n], &pt));
		}
		EXPECT_GT(fdinfo(self->s.fd, text, sizeof(text)), 0);
		strcat(text, "\n");
		EXPECT_NE(NULL, strstr(text, cases[i].line)) TH_LOG("%s: %s", cases[i].line, text);
		for (int n = 0; n < 8 && pasids[n]; n++)
			ASSERT_EQ(0, cdev_detach_pasid(self->s.fd, pasids[n]));
	}
}

TEST_HARNESS_MAIN
