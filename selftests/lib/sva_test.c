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
	int control, ret = module_load("sva_test");

	if (ret)
		return ret;
	control = open(NODE, O_RDWR | O_CLOEXEC);
	return control < 0 ? -errno : control;
}

void sva_test_close(int control)
{
	if (control >= 0)
		close(control);
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

static int command(int control, unsigned long cmd, const struct pci *pci,
		   struct sva_test_args *args)
{
	args->device = sva_test_device(pci);
	return xioctl(control, cmd, args);
}

int sva_test_bind(int control, const struct pci *pci)
{
	struct sva_test_args args = { 0 };
	int ret = command(control, SVA_TEST_BIND, pci, &args);

	return ret ? ret : (int)args.pasid;
}

int sva_test_unbind(int control, const struct pci *pci)
{
	return command(control, SVA_TEST_UNBIND, pci, &(struct sva_test_args){ 0 });
}

int sva_test_claim(int control, const struct pci *pci)
{
	return command(control, SVA_TEST_CLAIM, pci, &(struct sva_test_args){ 0 });
}

int sva_test_release(int control, const struct pci *pci)
{
	return command(control, SVA_TEST_RELEASE, pci, &(struct sva_test_args){ 0 });
}

int sva_test_hold(int control, const struct pci *pci)
{
	return command(control, SVA_TEST_HOLD, pci, &(struct sva_test_args){ 0 });
}

int sva_test_hold_op(void *op)
{
	const struct hold_op *o = op;

	return sva_test_hold(o->control, o->pci);
}

int sva_test_let_go(int control)
{
	return xioctl(control, SVA_TEST_LET_GO, &(struct sva_test_args){ 0 });
}

void *sva_test_slow_page(int control)
{
	void *p = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE, MAP_SHARED, control, 0);

	return p == MAP_FAILED ? NULL : p;
}

uint64_t sva_test_root(int control)
{
	struct sva_test_args args = { 0 };

	return xioctl(control, SVA_TEST_ROOT, &args) ? 0 : args.root;
}

uint64_t sva_test_walk(int control, uint64_t root, const void *p)
{
	struct sva_test_args args = { .root = root, .address = (uintptr_t)p };

	return xioctl(control, SVA_TEST_WALK, &args) ? 0 : args.address;
}
