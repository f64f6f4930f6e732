// SPDX-License-Identifier: GPL-2.0-only
/*
 * The main job, for a person to watch: a PCI device on vfio-pci goes through the
 * whole life of a VFIO device, by its character node and iommufd.  One line a
 * step: the call, what came of it, and whether that is what had to come.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "kselftest.h"
#include "lib/cdev.h"
#include "lib/core.h"
#include "lib/group.h"
#include "lib/iommufd.h"
#include "lib/kmsg.h"
#include "lib/steps.h"
#include "lib/sysfs.h"
#include "lib/testdev.h"

#define IOVA	0x10000000ULL
#define NOWHERE	0x20000000ULL
#define MEANING	"the device was driven from user space,\n" \
		"and its DMA went where the IOMMU let it go and nowhere else"

/* The parts of the job share these. */
static struct pci pci;
static char node[64], group[64];
static int fd, iommufd;
static uint32_t devid, ioas, pt;
static uint32_t *page, *page2;
static void *bar;
static size_t bar_size;

static bool bring_up(void)
{
	struct stat st;
	char name[64] = "";
	int ret;

	if (pci_find(TESTDEV, 0, &pci)) {
		step(false, "look for QEMU's iommu-testdev", "not on this machine");
		return false;
	}
	note("device %s (iommu-testdev), IOMMU group %d", pci.bdf, pci.group);
	ret = pci_to_vfio(&pci);
	expect(0, ret, "give the device to vfio-pci");
	if (ret)
		return false;

	ret = pci_vfio_name(&pci, name, sizeof(name));
	snprintf(node, sizeof(node), "/dev/vfio/devices/%s", name);
	pci_group_path(&pci, group, sizeof(group));
	if (!ret && !stat(node, &st) && S_ISCHR(st.st_mode))
		step(true, "the node", "%s %u:%u %04o", node, major(st.st_rdev),
		     minor(st.st_rdev), st.st_mode & 07777);
	else
		step(false, "the node", "%s is not there", node);

	fd = cdev_open(&pci);
	expect(0, fd, "open the node");
	iommufd = iommufd_open();
	expect(0, iommufd, "open /dev/iommu");
	return fd >= 0 && iommufd >= 0;
}

static void gates(void)
{
	char byte, call[128];
	int ret, gfd;

	ret = pread(fd, &byte, 1, 0) < 0 ? -errno : 0;
	expect(-EINVAL, ret, "read before BIND");

	snprintf(call, sizeof(call), "open %s", group);
	gfd = group_open(&pci);
	expect(0, gfd, call);
	expect(-EBUSY, cdev_bind(fd, iommufd, &devid),
	       "BIND while the group is open");
	close(gfd);

	ret = cdev_bind(fd, iommufd, &devid);
	if (!ret)
		step(devid > 0, "close it; BIND_IOMMUFD", "device id %u", devid);
	else
		expect(0, ret, "close it; BIND_IOMMUFD");
	snprintf(call, sizeof(call), "open %s while the device is bound", group);
	expect(-EBUSY, group_open(&pci), call);
}

static void attach(void)
{
	int ret = ioas_alloc(iommufd, &ioas);

	if (ret)
		expect(0, ret, "allocate an I/O address space");
	else
		step(true, "allocate an I/O address space", "IOAS id %u", ioas);

	pt = ioas;
	ret = cdev_attach(fd, &pt);
	if (ret)
		expect(0, ret, "ATTACH_IOMMUFD_PT to it");
	else
		step(pt != ioas, "ATTACH_IOMMUFD_PT to it", "page table id %u", pt);

	ret = ioas_map(iommufd, ioas, page, getpagesize(), IOVA);
	if (ret)
		expect(0, ret, "map a page into it");
	else
		step(true, "map a page into it", "at IOVA %#llx", IOVA);
	expect(0, cdev_enable_dma(fd), "set bus master by the config region");
	bar = cdev_map_bar(fd, 0, &bar_size);
	step(bar, "mmap the device's registers", "%s",
	     bar ? "success" : "failed");
}

static void dma_arrives(uint64_t iova, uint32_t *target, const char *call)
{
	uint32_t result;

	target[0] = 0;
	result = testdev_dma(bar, iova, target, 16);
	step(result == TESTDEV_OK && target[0] == TESTDEV_PATTERN, call,
	     "device: %#x, page: %#x", result, target[0]);
}

static void dma_stopped(uint64_t iova, const char *call)
{
	char line[256], what[32];
	int kmsg = kmsg_open();
	uint32_t result;
	bool seen = false;

	page[0] = 0;
	page2[0] = 0;
	result = testdev_dma(bar, iova, page, 16);
	step(result == TESTDEV_FAULT && !page[0] && !page2[0], call,
	     "device: %#x (translation fault)", result);
	snprintf(what, sizeof(what), "fault addr 0x%llx",
		 (unsigned long long)iova);
	/* Of many faults the kernel tells but some: fault again. */
	for (int s = 0; s < 30 && !seen; s++) {
		if (s)
			testdev_dma(bar, iova, page, 16);
		seen = kmsg_wait(kmsg, what, 1000, line, sizeof(line));
	}
	step(seen, "the kernel's line on it", "%s",
	     seen ? "in the log:" : "missing");
	if (seen)
		note("%s", line);
	close(kmsg);
}

static void attach_other(void)
{
	uint32_t other = 0, pt2;
	int ret;

	ret = ioas_alloc(iommufd, &other);
	if (!ret)
		ret = ioas_map(iommufd, other, page2, getpagesize(), IOVA);
	expect(0, ret, "a second IOAS, another page at the same IOVA");
	pt2 = other;
	ret = cdev_attach(fd, &pt2);
	if (ret)
		expect(0, ret, "ATTACH again: replace");
	else
		step(pt2 != pt && pt2 != other, "ATTACH again: replace",
		     "page table id %u", pt2);
	page[0] = 0;
	dma_arrives(IOVA, page2, "DMA arrives in the other page");
	step(!page[0], "and not in the first", "first page: %#x", page[0]);
}

static void take_down(void)
{
	char call[128];
	int gfd, ret;

	expect(0, cdev_detach(fd), "DETACH_IOMMUFD_PT");
	dma_stopped(IOVA, "DMA after that");
	munmap(bar, bar_size);
	expect(0, close(fd) ? -errno : 0, "close the device");
	snprintf(call, sizeof(call), "open %s: free again", group);
	gfd = group_open(&pci);
	expect(0, gfd, call);
	if (gfd >= 0)
		close(gfd);
	close(iommufd);

	ret = pci_unbind(&pci);
	if (!ret && !access(node, F_OK))
		ret = -EEXIST;
	expect(0, ret, "unbind from vfio-pci; the node is gone");
	remove_stack();
}

int main(void)
{
	page = pages_alloc(getpagesize());
	page2 = pages_alloc(getpagesize());

	insert_stack();
	if (!bring_up())
		return verdict(MEANING);
	gates();
	attach();
	if (!bar)
		return verdict(MEANING);
	dma_arrives(IOVA, page, "DMA by the device to the mapped page");
	dma_stopped(NOWHERE, "DMA to an IOVA that is not mapped");
	attach_other();
	take_down();
	return verdict(MEANING);
}
