// SPDX-License-Identifier: GPL-2.0-only
/*
 * What differs from IOMMU to IOMMU, on a device through the core: interrupts that
 * are not confined, the range of addresses, page tables for PASIDs and for nesting.
 * Each test says what it expects of the IOMMU that is there.
 */
#include "lib/cdev.h"
#include "lib/group.h"
#include "lib/iommufd.h"
#include "lib/test.h"
#include "lib/testdev.h"
#include "lib/viommu.h"

#define IOVA 0x10000000ULL
#define PAGE 4096
#define MAX_RANGES 64

FIXTURE(viommu) {
	struct pci pci;
	struct session s;
	volatile void *bar;
	uint32_t *page;
	enum viommu kind;
};

FIXTURE_SETUP(viommu)
{
	if (pci_find(TESTDEV, 0, &self->pci))
		SKIP(return, "no iommu-testdev in a group of its own");
	self->kind = viommu_of(&self->pci);
	/* One that is new here needs its expectations. */
	ASSERT_NE(VIOMMU_NONE, self->kind);
	ASSERT_EQ(0, session_open(&self->pci, &self->s));
	ASSERT_EQ(0, cdev_enable_dma(self->s.fd));
	self->bar = cdev_map_bar(self->s.fd, 0, NULL);
	ASSERT_NE(NULL, self->bar);
	self->page = pages_alloc(PAGE);
}

FIXTURE_TEARDOWN(viommu)
{
	session_close(&self->s);
}

static uint32_t write_at(volatile void *bar, uint64_t iova, uint32_t *page)
{
	page[0] = 0;
	return testdev_dma(bar, iova, page, 16);
}

/*
 * semantics: 106.  BIND is refused where a device could raise any interrupt by DMA,
 * unless iommufd was told to let it; nothing is left of what was refused.
 */
TEST_F(viommu, unsafe_interrupts)
{
	int allowed = unsafe_interrupts_allowed();
	int want = interrupts_isolated() ? 0 : -EPERM;
	int ifd = self->s.iommufd, fd, group, refused, again, let;
	uint32_t devid;

	ASSERT_GE(allowed, 0);
	/* These confine them here, the others do not. */
	EXPECT_EQ(self->kind == VIOMMU_VTD || self->kind == VIOMMU_SMMUV3,
		  interrupts_isolated());
	munmap((void *)self->bar, PAGE);
	close(self->s.fd);
	fd = cdev_open(&self->pci);
	ASSERT_GE(fd, 0);

	ASSERT_EQ(0, allow_unsafe_interrupts(false));
	refused = cdev_bind(fd, ifd, &devid);
	if (!refused) {
		close(fd);
		fd = cdev_open(&self->pci);
	}
	again = cdev_bind(fd, ifd, &devid);
	if (!again) {
		close(fd);
		fd = cdev_open(&self->pci);
	}
	group = group_open(&self->pci);
	close(group);
	ASSERT_EQ(0, allow_unsafe_interrupts(true));
	let = cdev_bind(fd, ifd, &devid);
	/* As it was, whatever came of it. */
	ASSERT_EQ(0, allow_unsafe_interrupts(allowed));

	EXPECT_EQ(want, refused);
	EXPECT_EQ(want, again);
	EXPECT_GE(group, 0);
	EXPECT_EQ(0, let);
	/* The permission counts for BIND alone. */
	EXPECT_EQ(0, cdev_attach(fd, &self->s.ioas));
	self->s.fd = fd;
}

/*
 * semantics: 65.  The first and the last page that the IOMMU can translate work, and
 * no page beyond can be mapped.
 */
TEST_F(viommu, address_range)
{
	struct iommu_iova_range ranges[MAX_RANGES];
	struct iommu_ioas_iova_ranges arg = {
		.size = sizeof(arg),
		.ioas_id = self->s.ioas,
		.num_iovas = MAX_RANGES,
		.allowed_iovas = (uintptr_t)ranges,
	};
	int ifd = self->s.iommufd;
	uint64_t ends[2];

	ASSERT_EQ(0, xioctl(ifd, IOMMU_IOAS_IOVA_RANGES, &arg));
	ASSERT_GE(arg.num_iovas, 1);
	ends[0] = ranges[0].start;
	ends[1] = ranges[arg.num_iovas - 1].last + 1 - PAGE;
	TH_LOG("%#llx to %#llx in %u pieces", (long long)ends[0],
	       (long long)ranges[arg.num_iovas - 1].last, arg.num_iovas);
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, ioas_map(ifd, self->s.ioas, self->page, PAGE, ends[i]));
		EXPECT_EQ(TESTDEV_OK, write_at(self->bar, ends[i], self->page));
		EXPECT_EQ(TESTDEV_PATTERN, self->page[0]);
		ASSERT_EQ(0, ioas_unmap(ifd, self->s.ioas, ends[i], PAGE));
		EXPECT_EQ(TESTDEV_FAULT, write_at(self->bar, ends[i], self->page));
	}
	if (!(ends[1] + PAGE))
		return;		/* all 64 bits */
	EXPECT_EQ(-EINVAL, ioas_map(ifd, self->s.ioas, self->page, PAGE,
				    ends[1] + PAGE));
	/* Detached, the address space knows no bounds. */
	ASSERT_EQ(0, cdev_detach(self->s.fd));
	EXPECT_EQ(0, ioas_map(ifd, self->s.ioas, self->page, PAGE,
			      ends[1] + PAGE));
	EXPECT_EQ(-EADDRINUSE, cdev_attach(self->s.fd, &self->s.ioas));
}

/*
 * semantics: 65.  What the platform keeps for interrupts cannot be mapped, and an
 * address space that has it mapped cannot be attached.
 */
TEST_F(viommu, reserved_regions)
{
	char regions[1024], type[32], *line;
	unsigned long long start, end;
	int ifd = self->s.iommufd, n = 0;
	uint32_t pt;

	ASSERT_GT(pci_attr(&self->pci, "iommu_group/reserved_regions", regions,
			   sizeof(regions)), 0);
	for (line = strtok(regions, "\n"); line; line = strtok(NULL, "\n")) {
		int fields = sscanf(line, "%llx %llx %31s", &start, &end, type);

		ASSERT_EQ(3, fields);
		if (!strcmp(type, "direct") || !strcmp(type, "direct-relaxable"))
			continue;
		EXPECT_EQ(-EINVAL, ioas_map(ifd, self->s.ioas, self->page,
					    PAGE, start));
		EXPECT_EQ(-EINVAL, ioas_map(ifd, self->s.ioas, self->page,
					    PAGE, end + 1 - PAGE));
		ASSERT_EQ(0, cdev_detach(self->s.fd));
		ASSERT_EQ(0, ioas_map(ifd, self->s.ioas, self->page, PAGE, start));
		pt = self->s.ioas;
		EXPECT_EQ(-EADDRINUSE, cdev_attach(self->s.fd, &pt));
		ASSERT_EQ(0, ioas_unmap(ifd, self->s.ioas, start, PAGE));
		pt = self->s.ioas;
		ASSERT_EQ(0, cdev_attach(self->s.fd, &pt));
		n++;
	}
	/* Each of them has its window of interrupts. */
	EXPECT_GE(n, 1);
}

/* semantics: 67.  Other tests skip what needs them: here it shows that they are right. */
TEST_F(viommu, pasid_tables)
{
	bool has = self->kind == VIOMMU_VTD || self->kind == VIOMMU_SMMUV3;

	EXPECT_EQ(has ? 0 : -EOPNOTSUPP, pasid_tables(&self->s));
}

/*
 * semantics: 65, 114.  A page table in which a guest's own could be nested: where the
 * IOMMU's registers say that it can, and EOPNOTSUPP elsewhere.
 */
TEST_F(viommu, nest_parent)
{
	int ifd = self->s.iommufd, nests = has_nesting(&self->s), ret;
	uint32_t hwpt = 0, pt;

	ASSERT_GE(nests, 0);
	ASSERT_EQ(0, ioas_map(ifd, self->s.ioas, self->page, PAGE, IOVA));
	ret = hwpt_alloc(ifd, self->s.devid, self->s.ioas,
			 IOMMU_HWPT_ALLOC_NEST_PARENT, &hwpt);
	EXPECT_EQ(nests ? 0 : -EOPNOTSUPP, ret);
	/* Nothing came of a refusal, and the device keeps what it has. */
	EXPECT_EQ(TESTDEV_OK, write_at(self->bar, IOVA, self->page));
	if (ret)
		return;
	pt = hwpt;
	ASSERT_EQ(0, cdev_attach(self->s.fd, &pt));
	EXPECT_EQ(hwpt, pt);
	EXPECT_EQ(TESTDEV_OK, write_at(self->bar, IOVA, self->page));
	EXPECT_EQ(TESTDEV_PATTERN, self->page[0]);
	EXPECT_EQ(TESTDEV_FAULT, write_at(self->bar, IOVA + PAGE, self->page));
	ASSERT_EQ(0, ioas_unmap(ifd, self->s.ioas, IOVA, PAGE));
	EXPECT_EQ(TESTDEV_FAULT, write_at(self->bar, IOVA, self->page));
	EXPECT_EQ(-EBUSY, iommufd_destroy(ifd, hwpt));
	ASSERT_EQ(0, cdev_detach(self->s.fd));
	EXPECT_EQ(0, iommufd_destroy(ifd, hwpt));
}

TEST_HARNESS_MAIN
