// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>

#include "vm_model.h"
#include "bound.h"
#include "cdev.h"
#include "core.h"
#include "iommufd.h"
#include "kselftest.h"
#include "pasid_table.h"
#include "sva_test.h"

/* The kernel's own, those of processes, begin with 1. */
static const uint32_t chosen[CHOSEN] = { 0, 100, 101, 4097, 65535 };

static void has_nothing(struct vm *vm, int dev, int rid)
{
	for (int col = 0; col < vm->columns; col++)
		vm->given[dev][col] = col == RID ? rid : NOTHING;
}

int vm_device_open(struct vm *vm, int dev)
{
	int ret = pci_to_vfio(&vm->pci[dev]);

	if (ret)
		return ret;
	vm->fd[dev] = cdev_open(&vm->pci[dev]);
	if (vm->fd[dev] < 0)
		return vm->fd[dev];
	has_nothing(vm, dev, NOTHING);
	return cdev_bind(vm->fd[dev], vm->iommufd, &vm->devid[dev]);
}

void vm_device_close(struct vm *vm, int dev)
{
	close_fd(&vm->fd[dev]);
	has_nothing(vm, dev, HOSTS);
}

int vm_column(struct vm *vm, uint32_t pasid)
{
	vm->pasid[vm->columns] = pasid;
	for (int dev = 0; dev < DEVICES; dev++)
		vm->given[dev][vm->columns] = NOTHING;
	return vm->columns++;
}

int vm_find(struct vm *vm)
{
	*vm = (struct vm){ .iommufd = -1, .fd = { -1, -1 } };
	vm->control = sva_devices(&vm->pci[0], &vm->pci[1]);
	return vm->control;
}

int vm_open(struct vm *vm)
{
	int ret;

	if (vm->control < 0)
		return vm->control;
	for (int col = 0; col < CHOSEN; col++)
		vm_column(vm, chosen[col]);
	vm->iommufd = iommufd_open();
	if (vm->iommufd < 0)
		return vm->iommufd;
	for (int dev = 0; dev < DEVICES; dev++) {
		ret = vm_device_open(vm, dev);
		if (ret)
			return ret;
	}
	for (int i = 0; i < SPACES; i++) {
		/* The same address everywhere, and everywhere another page. */
		vm->page[i] = pages_alloc(VM_PAGE);
		ret = ioas_alloc(vm->iommufd, &vm->ioas[i]);
		if (!ret)
			ret = ioas_map(vm->iommufd, vm->ioas[i], vm->page[i], VM_PAGE, VM_IOVA);
		if (ret)
			return ret;
	}
	for (int i = 0; i < TABLES; i++) {
		/* Whichever device one is made for, it serves both. */
		ret = hwpt_alloc(vm->iommufd, vm->devid[i % DEVICES], vm->ioas[i / 2],
				 IOMMU_HWPT_ALLOC_PASID, &vm->table[i].id);
		if (ret)
			return ret;
		vm->table[i].at = (void *)VM_IOVA;
		vm->table[i].page = vm->page[i / 2];
	}
	vm->table[MINE].root = sva_test_root(vm->control);
	vm->table[MINE].at = vm->page[0];
	vm->table[MINE].page = vm->page[0];
	return 0;
}

void vm_close(struct vm *vm)
{
	for (int dev = 0; dev < DEVICES; dev++)
		close_fd(&vm->fd[dev]);
	close_fd(&vm->iommufd);
	sva_test_close(vm->control);
}

int pt_attach(int fd, uint32_t pasid, uint32_t pt)
{
	uint32_t out = pt;
	int ret = pasid ? cdev_attach_pasid(fd, pasid, &out) : cdev_attach(fd, &out);

	return !ret && out != pt ? -EBADMSG : ret;
}

int pt_detach(int fd, uint32_t pasid)
{
	return pasid ? cdev_detach_pasid(fd, pasid) : cdev_detach(fd);
}

int vm_give(struct vm *vm, int dev, int col, int table)
{
	int ret = pt_attach(vm->fd[dev], vm->pasid[col], vm->table[table].id);

	if (!ret)
		vm->given[dev][col] = table;
	return ret;
}

int vm_take(struct vm *vm, int dev, int col)
{
	int ret = pt_detach(vm->fd[dev], vm->pasid[col]);

	if (!ret)
		vm->given[dev][col] = NOTHING;
	return ret;
}

/* Is this page table that one: the root that it always had, no other's, and its pages? */
static bool is_table(struct vm *vm, const struct pasid_entry *entry, int i)
{
	struct table *table = &vm->table[i];
	uint64_t root = pasid_root(entry);

	/* First-stage ones all: those that the SVA test module can walk. */
	if (pasid_kind(entry) != PASID_FIRST_STAGE || !root)
		return false;
	if (!table->root)
		table->root = root;
	for (int other = 0; other < ARRAY_SIZE(vm->table); other++)
		if ((vm->table[other].root == root) != (other == i))
			return false;
	if (!table->at)
		return true;
	return sva_test_walk(vm->control, root, table->at) ==
	       (table->page ? phys_of(table->page) : 0);
}

/* Is this page table none of them, which leads to none of their pages? */
static bool is_the_hosts(struct vm *vm, const struct pasid_entry *entry)
{
	uint64_t root = pasid_root(entry);

	if (pasid_kind(entry) != PASID_FIRST_STAGE || !root)
		return false;
	for (int i = 0; i < ARRAY_SIZE(vm->table); i++) {
		struct table *table = &vm->table[i];

		if (table->root == root || (table->page &&
		    sva_test_walk(vm->control, root, table->at) == phys_of(table->page)))
			return false;
	}
	return true;
}

static bool cell_is(struct vm *vm, const struct pasid_entry *entry, int given)
{
	switch (given) {
	case NOTHING:
		return !entry;
	case HOSTS:
		return entry && is_the_hosts(vm, entry);
	default:
		return entry && is_table(vm, entry, given);
	}
}

static bool cell_as_given(struct vm *vm, int dev, int col)
{
	struct pasid_entry entry;
	int given = vm->given[dev][col], ret;

	ret = pasid_entry(&vm->pci[dev], vm->pasid[col], &entry);
	if ((!ret || ret == -ENOENT) && cell_is(vm, ret ? NULL : &entry, given))
		return true;
	fprintf(stderr, "# device %d, PASID %u: given %d, found %d, root %#llx\n", dev, vm->pasid[col],
		given, ret, ret ? 0 : (long long)pasid_root(&entry));
	return false;
}

bool as_given(struct vm *vm)
{
	bool all = true;

	for (int dev = 0; dev < DEVICES; dev++) {
		int entries = 0, found = pasid_entries(&vm->pci[dev]);

		for (int col = 0; col < vm->columns; col++) {
			entries += col != RID && vm->given[dev][col] != NOTHING;
			all &= cell_as_given(vm, dev, col);
		}
		if (found == entries)
			continue;
		fprintf(stderr, "# device %d: given %d PASIDs, found %d\n", dev, entries, found);
		all = false;
	}
	return all;
}
