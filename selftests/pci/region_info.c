// SPDX-License-Identifier: GPL-2.0-only
/* VFIO_DEVICE_GET_REGION_INFO: sizes, the capability chain, errors in their order. */
#include "lib/cdev.h"
#include "lib/open_path.h"
#include "lib/test.h"

#define REGION_SIZE sizeof(struct vfio_region_info)
/* Of igb: the BAR that holds the MSI-X table, hence a capability. */
#define MSIX_BAR 3

FIXTURE(region_info) {
	struct pci pci;
	struct opened o;
};

FIXTURE_VARIANT(region_info) {
	uint32_t id;
};

FIXTURE_VARIANT_ADD(region_info, edu) { .id = EDU };
FIXTURE_VARIANT_ADD(region_info, igb) { .id = IGB };
FIXTURE_VARIANT_ADD(region_info, testdev) { .id = TESTDEV };

FIXTURE_SETUP(region_info)
{
	if (pci_find(variant->id, 0, &self->pci))
		SKIP(return, "no device %08x", variant->id);
	ASSERT_EQ(0, open_path_open_vfio(open_path_usual(), &self->pci, &self->o));
}

FIXTURE_TEARDOWN(region_info)
{
	open_path_close(&self->o);
}

static int info_raw(int fd, const void *arg)
{
	return xioctl(fd, VFIO_DEVICE_GET_REGION_INFO, (void *)arg);
}

/* semantics: 127.  The sizes are those that the bus knows. */
TEST_F(region_info, sizes)
{
	char resources[4096], *line = resources;
	struct vfio_region_info info;

	ASSERT_GT(pci_attr(&self->pci, "resource", resources,
			   sizeof(resources)), 0);
	for (int i = 0; i < 6; i++) {
		unsigned long long start, end;

		start = strtoull(line, &line, 16);
		end = strtoull(line, &line, 16);
		line = strchr(line, '\n') + 1;
		memset(&info, 0xff, sizeof(info));
		ASSERT_EQ(0, cdev_region(self->o.fd, i, &info));
		EXPECT_EQ(end ? end - start + 1 : 0, info.size);
		EXPECT_EQ(i, info.index);
		if (info.size) {
			EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ |
				  VFIO_REGION_INFO_FLAG_WRITE, info.flags & 3);
			EXPECT_EQ((uint64_t)i << 40, info.offset);
		} else {
			EXPECT_EQ(0, info.flags);
		}
	}
	ASSERT_EQ(0, cdev_region(self->o.fd, VFIO_PCI_CONFIG_REGION_INDEX,
				 &info));
	EXPECT_GE(info.size, 256);
	EXPECT_EQ(REGION_SIZE, info.argsz);
}

/* semantics: 127 */
TEST_F(region_info, errors)
{
	struct vfio_region_info info, *p;
	int fd = self->o.fd;

	EXPECT_EQ(-EFAULT, info_raw(fd, NULL));
	/* The memory, before the size in it. */
	p = edge_alloc(REGION_SIZE - 1);
	p->argsz = 8;
	EXPECT_EQ(-EFAULT, info_raw(fd, p));
	p = edge_alloc(REGION_SIZE);
	p->index = 1000;
	for (p->argsz = 0; p->argsz < REGION_SIZE; p->argsz++)
		EXPECT_EQ(-EINVAL, info_raw(fd, p));
	EXPECT_EQ(REGION_SIZE, p->argsz);

	/* The driver's refusal writes nothing. */
	memset(&info, 0xa5, sizeof(info));
	info.argsz = REGION_SIZE;
	info.index = VFIO_PCI_NUM_REGIONS;
	*p = info;
	EXPECT_EQ(-EINVAL, info_raw(fd, p));
	EXPECT_EQ(0, memcmp(&info, p, REGION_SIZE));
	/* ... and comes before a result that cannot be written. */
	p = pages_alloc(4096);
	*p = info;
	ASSERT_EQ(0, mprotect(p, 4096, PROT_READ));
	EXPECT_EQ(-EINVAL, info_raw(fd, p));
	ASSERT_EQ(0, mprotect(p, 4096, PROT_READ | PROT_WRITE));
	p->index = VFIO_PCI_CONFIG_REGION_INDEX;
	ASSERT_EQ(0, mprotect(p, 4096, PROT_READ));
	EXPECT_EQ(-EFAULT, info_raw(fd, p));
	ASSERT_EQ(0, mprotect(p, 4096, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, info_raw(fd, p));
}

/* semantics: 127.  A longer argument is as good; the tail is not touched. */
TEST_F(region_info, longer_argument)
{
	struct {
		struct vfio_region_info info;
		char tail[224];
	} arg, want;

	memset(&arg, 0x77, sizeof(arg));
	arg.info.argsz = sizeof(arg);
	arg.info.index = VFIO_PCI_CONFIG_REGION_INDEX;
	want = arg;
	ASSERT_EQ(0, info_raw(self->o.fd, &arg));
	EXPECT_EQ(sizeof(arg), arg.info.argsz);
	EXPECT_EQ(0, memcmp(arg.tail, want.tail, sizeof(arg.tail)));
}

FIXTURE(region_caps) {
	struct pci pci;
	struct opened o;
	uint32_t need;
};

FIXTURE_SETUP(region_caps)
{
	struct vfio_region_info info;

	if (pci_find(IGB, 0, &self->pci))
		SKIP(return, "no igb");
	ASSERT_EQ(0, open_path_open_vfio(open_path_usual(), &self->pci, &self->o));
	ASSERT_EQ(0, cdev_region(self->o.fd, MSIX_BAR, &info));
	self->need = info.argsz;
	ASSERT_GT(self->need, REGION_SIZE);
}

FIXTURE_TEARDOWN(region_caps)
{
	open_path_close(&self->o);
}

/* semantics: 127.  Too small an argument learns the size that it needs. */
TEST_F(region_caps, too_small)
{
	struct vfio_region_info *info;

	for (uint32_t size = REGION_SIZE; size < self->need; size++) {
		info = edge_alloc(REGION_SIZE);
		info->argsz = size;
		info->index = MSIX_BAR;
		info->cap_offset = 0x1234;
		ASSERT_EQ(0, info_raw(self->o.fd, info));
		EXPECT_EQ(self->need, info->argsz);
		EXPECT_EQ(0, info->cap_offset);
		EXPECT_NE(0, info->flags & VFIO_REGION_INFO_FLAG_CAPS);
		EXPECT_NE(0, info->size);
	}
}

/* semantics: 46, 47, 48, 127.  The chain is whole, aligned and inside. */
TEST_F(region_caps, chain)
{
	for (uint32_t size = self->need; size < self->need + 64; size += 63) {
		struct vfio_region_info *info = pages_alloc(4096);
		bool msix_mappable = false;
		uint32_t at, n = 0;

		memset(info, 0x99, 4096);
		*info = (struct vfio_region_info){
			.argsz = size,
			.index = MSIX_BAR,
		};
		ASSERT_EQ(0, info_raw(self->o.fd, info));
		EXPECT_EQ(size, info->argsz);
		EXPECT_EQ(REGION_SIZE, info->cap_offset);
		for (at = info->cap_offset; at; n++) {
			struct vfio_info_cap_header *cap =
				(void *)((char *)info + at);

			ASSERT_LE(at + sizeof(*cap), self->need);
			ASSERT_EQ(0, at % 8);
			ASSERT_LT(n, 16);
			msix_mappable |= cap->id ==
				VFIO_REGION_INFO_CAP_MSIX_MAPPABLE;
			EXPECT_EQ(1, cap->version);
			EXPECT_TRUE(!cap->next || cap->next > at);
			at = cap->next;
		}
		EXPECT_TRUE(msix_mappable);
		/* Not a byte behind it. */
		for (at = self->need; at < self->need + 128; at++)
			EXPECT_EQ((char)0x99, ((char *)info)[at]);
	}
}

/* semantics: 127.  A chain that cannot be written leaves the structure alone. */
TEST_F(region_caps, unwritable_chain)
{
	struct vfio_region_info *info = edge_alloc(REGION_SIZE), before;

	memset(info, 0, REGION_SIZE);
	info->argsz = self->need;
	info->index = MSIX_BAR;
	before = *info;
	EXPECT_EQ(-EFAULT, info_raw(self->o.fd, info));
	EXPECT_EQ(0, memcmp(info, &before, REGION_SIZE));

	info = edge_alloc(self->need - 1);
	*info = before;
	EXPECT_EQ(-EFAULT, info_raw(self->o.fd, info));
	EXPECT_EQ(0, memcmp(info, &before, REGION_SIZE));

	info = edge_alloc(self->need);
	*info = before;
	EXPECT_EQ(0, info_raw(self->o.fd, info));
}

TEST_HARNESS_MAIN
