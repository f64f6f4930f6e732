// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/mman.h>

#include "../drivers/sva_test.h"
#include "core.h"
#include "sva_test.h"

#define NODE "/dev/sva-test"
#define CAPABLE "/sys/module/sva_test/parameters/capable"

int sva_test_open(void)
{
	int ctl, ret = module_load("sva_test");

	if (ret)
		return ret;
	ctl = open(NODE, O_RDWR | O_CLOEXEC);
	return ctl < 0 ? -errno : ctl;
}

void sva_test_close(int ctl)
{
	if (ctl >= 0)
		close(ctl);
	module_unload("sva_test");
}

int sva_test_capable(bool yes)
{
	int ret = sysfs_write(CAPABLE, yes ? "Y" : "N");

	/* A kernel without VT-d has no such parameter. */
	return ret == -ENOENT ? -ENODEV : ret;
}

uint32_t sva_test_device(const struct pci *pci)
{
	unsigned int domain, bus, slot, function;

	if (sscanf(pci->bdf, "%x:%x:%x.%x", &domain, &bus, &slot, &function) != 4)
		abort();
	return domain << 16 | bus << 8 | slot << 3 | function;
}

static int command(int ctl, unsigned long cmd, const struct pci *pci, struct sva_test_args *args)
{
	args->device = sva_test_device(pci);
	return xioctl(ctl, cmd, args);
}

int sva_test_bind(int ctl, const struct pci *pci)
{
	struct sva_test_args args = { 0 };
	int ret = command(ctl, SVA_TEST_BIND, pci, &args);

	return ret ? ret : (int)args.pasid;
}

int sva_test_unbind(int ctl, const struct pci *pci)
{
	return command(ctl, SVA_TEST_UNBIND, pci, &(struct sva_test_args){ 0 });
}

int sva_test_claim(int ctl, const struct pci *pci)
{
	return command(ctl, SVA_TEST_CLAIM, pci, &(struct sva_test_args){ 0 });
}

int sva_test_release(int ctl, const struct pci *pci)
{
	return command(ctl, SVA_TEST_RELEASE, pci, &(struct sva_test_args){ 0 });
}

int sva_test_hold(int ctl, const struct pci *pci)
{
	return command(ctl, SVA_TEST_HOLD, pci, &(struct sva_test_args){ 0 });
}

int sva_test_hold_op(void *op)
{
	const struct hold_op *o = op;

	return sva_test_hold(o->ctl, o->pci);
}

int sva_test_let_go(int ctl)
{
	return xioctl(ctl, SVA_TEST_LET_GO, &(struct sva_test_args){ 0 });
}

void *sva_test_slow_page(int ctl)
{
	void *p = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE, MAP_SHARED, ctl, 0);

	return p == MAP_FAILED ? NULL : p;
}

uint64_t sva_test_root(int ctl)
{
	struct sva_test_args args = { 0 };

	return xioctl(ctl, SVA_TEST_ROOT, &args) ? 0 : args.root;
}

uint64_t sva_test_walk(int ctl, uint64_t root, const void *p)
{
	struct sva_test_args args = { .root = root, .address = (uintptr_t)p };

	return xioctl(ctl, SVA_TEST_WALK, &args) ? 0 : args.address;
}
