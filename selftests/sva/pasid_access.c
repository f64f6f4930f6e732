// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may reach what: one iommufd, which stands for a virtual machine, and two devices
 * bound to it.  What its address spaces have can be reached; a device's file lets that
 * device in, by PASID or without.  After each step the IOMMU's own tables are compared
 * with what was given, for every device and PASID.
 */
#include "lib/vm_model.h"
#include "lib/bound.h"
#include "lib/cdev.h"
#include "lib/iommufd.h"
#include "lib/pasid_table.h"
#include "lib/recipient.h"
#include "lib/svadev.h"
#include "lib/test.h"

FIXTURE(pasid_access) {
	struct vm vm;
};

FIXTURE_SETUP(pasid_access)
{
	if (no_sva_devices(vm_find(&self->vm)))
		SKIP(return, NO_SVA_DEVICES);
	ASSERT_EQ(0, vm_open(&self->vm));
}

FIXTURE_TEARDOWN(pasid_access)
{
	vm_close(&self->vm);
	for (int dev = 0; dev < DEVICES && self->vm.control >= 0; dev++)
		EXPECT_EQ(0, pasid_entries(&self->vm.pci[dev]));
}

#define CELLS (DEVICES * CHOSEN)

/*
 * semantics: 65-68, 114, 115.  Every device and PASID, in no order: given, given something
 * else, taken away.  No step touches any other cell.
 */
TEST_F(pasid_access, matrix)
{
	struct vm *vm = &self->vm;

	ASSERT_TRUE(as_given(vm));
	for (int i = 0; i < 2 * CELLS; i++) {
		int cell = i * 7 % CELLS;

		ASSERT_EQ(0, vm_give(vm, cell % DEVICES, cell / DEVICES, (cell * 5 + i / CELLS) % TABLES));
		ASSERT_TRUE(as_given(vm));
	}
	for (int i = 0; i < CELLS; i++) {
		int cell = i * 3 % CELLS;

		ASSERT_EQ(0, vm_take(vm, cell % DEVICES, cell / DEVICES));
		ASSERT_TRUE(as_given(vm));
	}
}

/* semantics: 67, 68.  A PASID is the device's: one number leads to two address spaces. */
TEST_F(pasid_access, same_pasid)
{
	struct vm *vm = &self->vm;

	ASSERT_EQ(0, vm_give(vm, 0, 1, 0));
	ASSERT_EQ(0, vm_give(vm, 1, 1, 2));
	EXPECT_TRUE(as_given(vm));
	/* ... crosswise, and into one. */
	ASSERT_EQ(0, vm_give(vm, 0, 1, 2));
	ASSERT_EQ(0, vm_give(vm, 1, 1, 0));
	EXPECT_TRUE(as_given(vm));
	ASSERT_EQ(0, vm_give(vm, 0, 1, 0));
	EXPECT_TRUE(as_given(vm));
	/* What one loses, the other keeps. */
	ASSERT_EQ(0, vm_take(vm, 0, 1));
	EXPECT_TRUE(as_given(vm));
	/* What one never had cannot be taken from the other. */
	ASSERT_EQ(0, vm_take(vm, 0, 1));
	EXPECT_TRUE(as_given(vm));
}

/* What the space has, all have by whatever PASID and page table, and no other space has. */
TEST_F(pasid_access, one_space)
{
	struct vm *vm = &self->vm;
	uint32_t *next = pages_alloc(VM_PAGE);

	ASSERT_EQ(0, vm_give(vm, 0, RID, 0));
	ASSERT_EQ(0, vm_give(vm, 0, 1, 0));
	ASSERT_EQ(0, vm_give(vm, 0, 2, 1));
	ASSERT_EQ(0, vm_give(vm, 1, 3, 0));
	ASSERT_EQ(0, vm_give(vm, 1, 4, 1));
	ASSERT_EQ(0, vm_give(vm, 1, 1, 2));
	EXPECT_TRUE(as_given(vm));
	ASSERT_EQ(0, ioas_unmap(vm->iommufd, vm->ioas[0], VM_IOVA, VM_PAGE));
	vm->table[0].page = NULL;
	vm->table[1].page = NULL;
	EXPECT_TRUE(as_given(vm));
	ASSERT_EQ(0, ioas_map(vm->iommufd, vm->ioas[0], next, VM_PAGE, VM_IOVA));
	vm->table[0].page = next;
	vm->table[1].page = next;
	EXPECT_TRUE(as_given(vm));
	/* It does not matter who uses the space: this one nobody does. */
	ASSERT_EQ(0, ioas_unmap(vm->iommufd, vm->ioas[2], VM_IOVA, VM_PAGE));
	vm->table[4].page = NULL;
	ASSERT_EQ(0, vm_give(vm, 1, 2, 4));
	EXPECT_TRUE(as_given(vm));
}

/* semantics: 65-67.  DMA without PASID is one more cell; but its page table decides on others. */
TEST_F(pasid_access, rid)
{
	struct vm *vm = &self->vm;
	uint32_t plain, pt;

	/* PASIDs do without it. */
	ASSERT_EQ(0, vm_give(vm, 0, 1, 0));
	EXPECT_TRUE(as_given(vm));
	ASSERT_EQ(0, vm_give(vm, 0, RID, 2));
	ASSERT_EQ(0, vm_give(vm, 1, RID, 2));
	EXPECT_TRUE(as_given(vm));
	ASSERT_EQ(0, vm_take(vm, 0, RID));
	EXPECT_TRUE(as_given(vm));
	/* One that is not for PASIDs, or made by itself, is refused beside them */
	ASSERT_EQ(0, hwpt_alloc(vm->iommufd, vm->devid[0], vm->ioas[1], 0, &plain));
	EXPECT_EQ(-EINVAL, pt_attach(vm->fd[0], 0, plain));
	pt = vm->ioas[1];
	EXPECT_EQ(-EINVAL, cdev_attach(vm->fd[0], &pt));
	EXPECT_TRUE(as_given(vm));
	/* and refuses them, on the device that has it. */
	ASSERT_EQ(0, pt_attach(vm->fd[1], 0, plain));
	EXPECT_EQ(-EINVAL, vm_give(vm, 1, 1, 0));
	EXPECT_EQ(0, vm_give(vm, 0, 2, 0));
	ASSERT_EQ(0, vm_give(vm, 1, RID, 2));
	EXPECT_TRUE(as_given(vm));
	EXPECT_EQ(0, vm_give(vm, 1, 1, 0));
	EXPECT_TRUE(as_given(vm));
	EXPECT_EQ(0, iommufd_destroy(vm->iommufd, plain));
}

/* semantics: 65, 67, 112.  Who is refused something else keeps what it has. */
TEST_F(pasid_access, refused)
{
	struct vm *vm = &self->vm;
	int fd = vm->fd[0];
	uint32_t gone;

	ASSERT_EQ(0, hwpt_alloc(vm->iommufd, vm->devid[0], vm->ioas[0], IOMMU_HWPT_ALLOC_PASID, &gone));
	ASSERT_EQ(0, iommufd_destroy(vm->iommufd, gone));
	ASSERT_EQ(0, vm_give(vm, 1, RID, 0));
	ASSERT_EQ(0, vm_give(vm, 1, 1, 1));
	for (int round = 0; round < 2; round++) {
		for (int col = 0; col < 2; col++) {
			EXPECT_EQ(-ENOENT, pt_attach(fd, vm->pasid[col], gone));
			/* Devices are no page tables, one's own or not. */
			EXPECT_EQ(-EINVAL, pt_attach(fd, vm->pasid[col], vm->devid[0]));
			EXPECT_EQ(-EINVAL, pt_attach(fd, vm->pasid[col], vm->devid[1]));
		}
		/* The page table that iommufd makes for a space is not for PASIDs. */
		EXPECT_EQ(-EINVAL, pt_attach(fd, vm->pasid[1], vm->ioas[0]));
		EXPECT_EQ(-EINVAL, pt_attach(fd, 1 << SVADEV_PASID_BITS, vm->table[0].id));
		EXPECT_TRUE(as_given(vm));
		/* The same when there is something to replace. */
		ASSERT_EQ(0, vm_give(vm, 0, RID, 2));
		ASSERT_EQ(0, vm_give(vm, 0, 1, 4));
	}
}

/* semantics: 64, 109, 116.  With its file a device loses all; the other does not. */
TEST_F(pasid_access, close_one)
{
	struct vm *vm = &self->vm;

	for (int closed = 0; closed < DEVICES; closed++) {
		for (int col = 0; col < CHOSEN; col++) {
			ASSERT_EQ(0, vm_give(vm, 0, col, col));
			ASSERT_EQ(0, vm_give(vm, 1, col, col / 2));
		}
		vm_device_close(vm, closed);
		EXPECT_TRUE(as_given(vm));
		/* Come back, it has nothing, and can be given it. */
		ASSERT_EQ(0, vm_device_open(vm, closed));
		EXPECT_TRUE(as_given(vm));
		ASSERT_EQ(0, vm_give(vm, closed, 2, 3));
		EXPECT_TRUE(as_given(vm));
	}
}

/* semantics: 65-68, 109.  What a device was given stays, as long as any device has it. */
TEST_F(pasid_access, in_use)
{
	struct vm *vm = &self->vm;
	int ifd = vm->iommufd;

	ASSERT_EQ(0, vm_give(vm, 0, RID, 0));
	ASSERT_EQ(0, vm_give(vm, 0, 1, 0));
	ASSERT_EQ(0, vm_give(vm, 1, 1, 0));
	ASSERT_EQ(0, vm_give(vm, 1, 2, 2));
	for (int i = 0; i < 4; i++) {
		EXPECT_EQ(-EBUSY, iommufd_destroy(ifd, vm->table[0].id));
		EXPECT_EQ(-EBUSY, iommufd_destroy(ifd, vm->ioas[0]));
		EXPECT_EQ(-EBUSY, iommufd_destroy(ifd, vm->devid[0]));
		EXPECT_EQ(-EBUSY, iommufd_destroy(ifd, vm->devid[1]));
		EXPECT_TRUE(as_given(vm));
		/* One after another goes, and one comes. */
		ASSERT_EQ(0, i == 0 ? vm_take(vm, 0, 1) : i == 1 ? vm_take(vm, 1, 1) :
			     i == 2 ? vm_give(vm, 1, 3, 0) : 0);
	}
	/* The last two, by a replacement and by a close. */
	ASSERT_EQ(0, vm_give(vm, 0, RID, 4));
	EXPECT_EQ(-EBUSY, iommufd_destroy(ifd, vm->table[0].id));
	vm_device_close(vm, 1);
	EXPECT_EQ(-ENOENT, iommufd_destroy(ifd, vm->devid[1]));
	EXPECT_EQ(0, iommufd_destroy(ifd, vm->table[0].id));
	EXPECT_EQ(-EBUSY, iommufd_destroy(ifd, vm->ioas[0]));
	EXPECT_EQ(0, iommufd_destroy(ifd, vm->table[1].id));
	EXPECT_EQ(0, iommufd_destroy(ifd, vm->ioas[0]));
	EXPECT_TRUE(as_given(vm));
}

/* ---- other iommufds, other processes ---- */

/* Another iommufd, with a space whose id is @id: the ids of both count from 1. */
static int iommufd_with(uint32_t id)
{
	int fd = iommufd_open();
	uint32_t next = 0;

	while (fd >= 0 && next < id)
		if (ioas_alloc(fd, &next))
			return -ENOSPC;
	return fd;
}

/* semantics: 107, 112, 201.  A device knows the ids of the iommufd that it is bound to. */
TEST_F(pasid_access, another_iommufd)
{
	struct vm *vm = &self->vm;
	uint32_t beyond, mine = vm->table[0].id;
	int other;

	/* The last of what this one has, so far. */
	ASSERT_EQ(0, ioas_alloc(vm->iommufd, &beyond));
	beyond++;
	other = iommufd_with(beyond);
	ASSERT_GE(other, 0);
	/* Only the other one has it. */
	for (int col = 0; col < 2; col++)
		EXPECT_EQ(-ENOENT, pt_attach(vm->fd[0], vm->pasid[col], beyond));
	EXPECT_TRUE(as_given(vm));
	/* Both have it: the other's is a space, which would be EINVAL by PASID. */
	EXPECT_EQ(0, ioas_unmap(other, mine, 0, UINT64_MAX));
	ASSERT_EQ(0, vm_give(vm, 0, 1, 0));
	EXPECT_TRUE(as_given(vm));
	/* Nor has the other one a hold on the devices and what they have. */
	EXPECT_EQ(0, iommufd_destroy(other, mine));
	EXPECT_TRUE(as_given(vm));
	EXPECT_EQ(-EINVAL, cdev_bind(vm->fd[0], other, NULL));
	close(other);
	/* What the device is bound to stays, without a descriptor. */
	close_fd(&vm->iommufd);
	ASSERT_EQ(0, vm_give(vm, 1, 1, 2));
	EXPECT_EQ(-ENOENT, pt_attach(vm->fd[1], vm->pasid[1], beyond));
	EXPECT_TRUE(as_given(vm));
}

/*
 * semantics: 112, 194, 201.  The file lets its device into what the iommufd has that the
 * device is bound to, whoever holds it, and does no more for them.
 */
TEST_F(pasid_access, handed_on)
{
	struct vm *vm = &self->vm;
	uint32_t pasid = vm->pasid[1], beyond;
	struct recipient s;
	int other;

	ASSERT_EQ(0, ioas_alloc(vm->iommufd, &beyond));
	beyond++;
	other = iommufd_with(beyond);
	ASSERT_GE(other, 0);
	ASSERT_EQ(0, vm_give(vm, 1, 1, 2));
	ASSERT_EQ(0, recipient_start(&s, vm->fd[0]));
	EXPECT_EQ(-EACCES, recipient_call(&s, RECIPIENT_OPEN_IOMMUFD, 0, 0));
	/* Bound is bound. */
	EXPECT_EQ(-EINVAL, recipient_call(&s, RECIPIENT_BIND, 0, vm->iommufd));
	EXPECT_EQ(-ENOENT, recipient_call(&s, RECIPIENT_ATTACH, pasid, beyond));
	EXPECT_EQ(-ENOENT, recipient_call(&s, RECIPIENT_ATTACH, 0, beyond));
	EXPECT_EQ(-EINVAL, recipient_call(&s, RECIPIENT_ATTACH, pasid, vm->devid[1]));
	EXPECT_TRUE(as_given(vm));
	/* In the other iommufd this is another object. */
	EXPECT_EQ(0, recipient_call(&s, RECIPIENT_ATTACH, pasid, vm->table[0].id));
	vm->given[0][1] = 0;
	EXPECT_TRUE(as_given(vm));
	/* It and we hold one file. */
	ASSERT_EQ(0, vm_give(vm, 0, 1, 4));
	EXPECT_TRUE(as_given(vm));
	EXPECT_EQ(0, recipient_call(&s, RECIPIENT_DETACH, pasid, 0));
	vm->given[0][1] = NOTHING;
	EXPECT_TRUE(as_given(vm));
	/* Still so when nobody has the iommufd. */
	close_fd(&vm->iommufd);
	EXPECT_EQ(0, recipient_call(&s, RECIPIENT_ATTACH, pasid, vm->table[1].id));
	vm->given[0][1] = 1;
	EXPECT_EQ(0, recipient_call(&s, RECIPIENT_ATTACH, 0, vm->table[3].id));
	vm->given[0][RID] = 3;
	EXPECT_TRUE(as_given(vm));
	/* What it gave outlives it, as the file does. */
	EXPECT_EQ(0, recipient_end(&s));
	EXPECT_TRUE(as_given(vm));
	ASSERT_EQ(0, vm_take(vm, 0, 1));
	EXPECT_TRUE(as_given(vm));
	close(other);
}

/* The last who holds the file takes along what the device has. */
TEST_F(pasid_access, handed_over)
{
	struct vm *vm = &self->vm;
	struct recipient s;

	ASSERT_EQ(0, vm_give(vm, 1, 1, 2));
	ASSERT_EQ(0, vm_give(vm, 0, 1, 0));
	ASSERT_EQ(0, recipient_start(&s, vm->fd[0]));
	ASSERT_EQ(0, recipient_call(&s, RECIPIENT_ATTACH, vm->pasid[2], vm->table[4].id));
	close_fd(&vm->fd[0]);
	vm->given[0][2] = 4;
	EXPECT_TRUE(as_given(vm));
	EXPECT_EQ(0, recipient_end(&s));
	vm_device_close(vm, 0);
	EXPECT_TRUE(as_given(vm));
}

TEST_HARNESS_MAIN
