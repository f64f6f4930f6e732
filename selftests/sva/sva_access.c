// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes and page tables by PASID on the same two devices: what each of them was given,
 * and nothing else, is in the IOMMU's tables, whichever of it is revoked.  See pasid_access.c.
 */
#include "lib/vm_model.h"
#include "lib/bound.h"
#include "lib/cdev.h"
#include "lib/iommufd.h"
#include "lib/pasid_table.h"
#include "lib/recipient.h"
#include "lib/sva.h"
#include "lib/test.h"

FIXTURE(sva_access) {
	struct vm vm;
};

FIXTURE_SETUP(sva_access)
{
	if (no_sva_devices(vm_find(&self->vm)))
		SKIP(return, NO_SVA_DEVICES);
	ASSERT_EQ(0, vm_open(&self->vm));
	if (!core_is_rust()) {
		EXPECT_EQ(-ENOTTY, process_bind(self->vm.fd[0], NULL));
		SKIP(return, NO_PROCESSES);
	}
}

FIXTURE_TEARDOWN(sva_access)
{
	vm_close(&self->vm);
	for (int dev = 0; dev < DEVICES && self->vm.control >= 0; dev++)
		EXPECT_EQ(0, pasid_entries(&self->vm.pci[dev]));
}

static int bind_mine(struct vm *vm, int dev, int col)
{
	uint32_t pasid;
	int ret = process_bind(vm->fd[dev], &pasid);

	if (ret)
		return ret;
	vm->given[dev][col] = MINE;
	return pasid == vm->pasid[col] ? 0 : -EBADMSG;
}

static int unbind_mine(struct vm *vm, int dev, int col)
{
	int ret = process_unbind(vm->fd[dev]);

	if (!ret)
		vm->given[dev][col] = NOTHING;
	return ret;
}

/* The column of this process's PASID, which the first bond tells; -errno. */
static int my_column(struct vm *vm)
{
	uint32_t pasid;
	int ret = process_bind(vm->fd[0], &pasid);

	if (!ret)
		ret = process_unbind(vm->fd[0]);
	return ret ? ret : vm_column(vm, pasid);
}

/*
 * Processes and page tables on the same devices: whatever is revoked on one of them,
 * nothing else goes.
 */
TEST_F(sva_access, processes)
{
	struct vm *vm = &self->vm;
	struct bound_child child;
	int mine, its;

	mine = my_column(vm);
	ASSERT_GE(mine, 0);
	for (int dev = 0; dev < DEVICES; dev++) {
		ASSERT_EQ(0, vm_give(vm, dev, RID, dev));
		ASSERT_EQ(0, vm_give(vm, dev, 1, 2 + dev));
		ASSERT_EQ(0, vm_give(vm, dev, 2, 4));
		ASSERT_EQ(0, bind_mine(vm, dev, mine));
		EXPECT_TRUE(as_given(vm));
	}
	/* Another process, on one of them. */
	its = bound_start(&child, vm->fd[1], vm->control, &vm->pci[1]);
	ASSERT_GT(its, 0);
	its = vm_column(vm, its);
	vm->given[1][its] = ITS;
	EXPECT_TRUE(as_given(vm));

	ASSERT_EQ(0, unbind_mine(vm, 0, mine));
	EXPECT_TRUE(as_given(vm));
	ASSERT_EQ(0, bind_mine(vm, 0, mine));
	ASSERT_EQ(0, vm_take(vm, 1, 1));
	EXPECT_TRUE(as_given(vm));
	ASSERT_EQ(0, vm_take(vm, 0, RID));
	EXPECT_TRUE(as_given(vm));
	ASSERT_EQ(0, vm_give(vm, 1, 2, 5));
	EXPECT_TRUE(as_given(vm));
	ASSERT_EQ(0, unbind_mine(vm, 1, mine));
	EXPECT_TRUE(as_given(vm));
	ASSERT_EQ(0, bind_mine(vm, 1, mine));
	EXPECT_EQ(0, bound_call(&child, BOUND_UNBIND));
	vm->given[1][its] = NOTHING;
	EXPECT_TRUE(as_given(vm));
	EXPECT_EQ(vm->pasid[its], bound_call(&child, BOUND_BIND));
	vm->given[1][its] = ITS;
	EXPECT_TRUE(as_given(vm));
	EXPECT_EQ(0, bound_kill(&child));
	vm->given[1][its] = NOTHING;
	EXPECT_TRUE(as_given(vm));
	vm_device_close(vm, 1);
	EXPECT_TRUE(as_given(vm));
	ASSERT_EQ(0, vm_device_open(vm, 1));
	EXPECT_TRUE(as_given(vm));
	/* The process's bond with the other device gives this one nothing. */
	EXPECT_EQ(-ENOENT, process_unbind(vm->fd[1]));
	ASSERT_EQ(0, unbind_mine(vm, 0, mine));
	EXPECT_TRUE(as_given(vm));
}

/* One number: on one device the process's, on the other user space's. */
TEST_F(sva_access, process_of_the_same_pasid)
{
	struct vm *vm = &self->vm;
	int mine;

	mine = my_column(vm);
	ASSERT_GE(mine, 0);
	for (int dev = 0; dev < DEVICES; dev++) {
		ASSERT_EQ(0, bind_mine(vm, dev, mine));
		ASSERT_EQ(0, vm_give(vm, !dev, mine, 2));
		EXPECT_TRUE(as_given(vm));
		/* Neither can have what the other has. */
		EXPECT_EQ(-EBUSY, process_bind(vm->fd[!dev], NULL));
		EXPECT_EQ(-EBUSY, pt_attach(vm->fd[dev], vm->pasid[mine], vm->table[0].id));
		EXPECT_TRUE(as_given(vm));
		ASSERT_EQ(0, unbind_mine(vm, dev, mine));
		EXPECT_TRUE(as_given(vm));
		ASSERT_EQ(0, vm_take(vm, !dev, mine));
		EXPECT_TRUE(as_given(vm));
	}
}

/* Whoever is handed the file can let the device into their own memory, not into ours. */
TEST_F(sva_access, process_of_a_recipient)
{
	struct vm *vm = &self->vm;
	struct recipient s;
	int mine, its;

	mine = my_column(vm);
	ASSERT_GE(mine, 0);
	ASSERT_EQ(0, bind_mine(vm, 1, mine));
	ASSERT_EQ(0, vm_give(vm, 0, 1, 0));
	ASSERT_EQ(0, recipient_start(&s, vm->fd[0]));
	its = recipient_call(&s, RECIPIENT_BIND_PROCESS, 0, 0);
	ASSERT_GT(its, 0);
	its = vm_column(vm, its);
	EXPECT_NE(vm->pasid[mine], vm->pasid[its]);
	vm->given[0][its] = ITS;
	EXPECT_TRUE(as_given(vm));
	/* The bond is its own: it cannot end another's, nor another end it. */
	EXPECT_EQ(-ENOENT, process_unbind(vm->fd[0]));
	ASSERT_EQ(0, bind_mine(vm, 0, mine));
	EXPECT_EQ(0, recipient_call(&s, RECIPIENT_UNBIND_PROCESS, 0, 0));
	vm->given[0][its] = NOTHING;
	EXPECT_EQ(-ENOENT, recipient_call(&s, RECIPIENT_UNBIND_PROCESS, 0, 0));
	EXPECT_TRUE(as_given(vm));
	/* By detaching its PASID neither. */
	EXPECT_EQ(0, recipient_call(&s, RECIPIENT_DETACH, vm->pasid[mine], 0));
	EXPECT_TRUE(as_given(vm));
	ASSERT_EQ(vm->pasid[its], recipient_call(&s, RECIPIENT_BIND_PROCESS, 0, 0));
	EXPECT_EQ(0, recipient_end(&s));
	EXPECT_TRUE(as_given(vm));
}

TEST_HARNESS_MAIN
