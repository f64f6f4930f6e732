// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/mman.h>

#include "../drivers/sva_lab.h"
#include "core.h"
#include "sva_lab.h"

#define NODE "/dev/sva-lab"
#define CAPABLE "/sys/module/sva_lab/parameters/capable"

int sva_lab_open(void)
{
	int lab, ret = module_load("sva_lab");

	if (ret)
		return ret;
	lab = open(NODE, O_RDWR | O_CLOEXEC);
	return lab < 0 ? -errno : lab;
}

void sva_lab_close(int lab)
{
	if (lab >= 0)
		close(lab);
	module_unload("sva_lab");
}

int sva_lab_capable(bool yes)
{
	int ret = sysfs_write(CAPABLE, yes ? "Y" : "N");

	/* A kernel without VT-d has no such parameter. */
	return ret == -ENOENT ? -ENODEV : ret;
}

uint32_t sva_lab_device(const struct pci *pci)
{
	unsigned int domain, bus, slot, function;

	if (sscanf(pci->bdf, "%x:%x:%x.%x", &domain, &bus, &slot, &function) != 4)
		abort();
	return domain << 16 | bus << 8 | slot << 3 | function;
}

static int command(int lab, unsigned long cmd, const struct pci *pci, struct sva_lab_args *args)
{
	args->device = sva_lab_device(pci);
	return xioctl(lab, cmd, args);
}

int sva_lab_bind(int lab, const struct pci *pci)
{
	struct sva_lab_args args = { 0 };
	int ret = command(lab, SVA_LAB_BIND, pci, &args);

	return ret ? ret : (int)args.pasid;
}

int sva_lab_unbind(int lab, const struct pci *pci)
{
	return command(lab, SVA_LAB_UNBIND, pci, &(struct sva_lab_args){ 0 });
}

int sva_lab_claim(int lab, const struct pci *pci)
{
	return command(lab, SVA_LAB_CLAIM, pci, &(struct sva_lab_args){ 0 });
}

int sva_lab_release(int lab, const struct pci *pci)
{
	return command(lab, SVA_LAB_RELEASE, pci, &(struct sva_lab_args){ 0 });
}

int sva_lab_hold(int lab, const struct pci *pci)
{
	return command(lab, SVA_LAB_HOLD, pci, &(struct sva_lab_args){ 0 });
}

int sva_lab_hold_op(void *op)
{
	const struct hold_op *o = op;

	return sva_lab_hold(o->lab, o->pci);
}

int sva_lab_let_go(int lab)
{
	return xioctl(lab, SVA_LAB_LET_GO, &(struct sva_lab_args){ 0 });
}

void *sva_lab_slow_page(int lab)
{
	void *p = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE, MAP_SHARED, lab, 0);

	return p == MAP_FAILED ? NULL : p;
}

uint64_t sva_lab_root(int lab)
{
	struct sva_lab_args args = { 0 };

	return xioctl(lab, SVA_LAB_ROOT, &args) ? 0 : args.root;
}

uint64_t sva_lab_walk(int lab, uint64_t root, const void *p)
{
	struct sva_lab_args args = { .root = root, .address = (uintptr_t)p };

	return xioctl(lab, SVA_LAB_WALK, &args) ? 0 : args.address;
}
