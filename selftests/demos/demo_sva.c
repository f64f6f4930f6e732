// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shared virtual addressing, for a person to watch: a process binds itself to a device, and
 * hands it pointers, as it would to a thread.  The device's DMA engine is the SVA test module's
 * (lib/sva_dma.h), for QEMU has no device that sends requests with PASIDs.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/cdev.h"
#include "lib/core.h"
#include "lib/steps.h"
#include "lib/sva.h"
#include "lib/sva_dma.h"
#include "lib/sva_setup.h"

#define MEANING	"the device worked with the process's own\n" \
		"pointers, was held to the process's rights, and only as long as that was bound"

#define TEXT "from the heap, by a pointer"
#define ROOM 64

/* The parts of the job share these. */
static struct sva_setup sva;
static struct session session;
static struct dma dma;
static char *from, *to;

static bool bring_up(void)
{
	int ret = sva_set_up(&sva, 1);

	step(!ret, "find a device that can", "%s", ret ? sva.why : sva.pci[0].bdf);
	if (ret)
		return false;
	step(has_dma(sva.control, &sva.pci[0]), "insert sva_test: an engine for its DMA", "%s",
	     has_dma(sva.control, &sva.pci[0]) ? "success" : NO_DMA);
	ret = session_open(&sva.pci[0], &session);
	expect(0, ret, "open the device, bind it to an iommufd");
	if (ret)
		return false;
	expect(0, cdev_enable_dma(session.fd), "set bus master by the config region");
	dma.control = sva.control;
	dma.pci = &sva.pci[0];
	return true;
}

static bool bind_process(void)
{
	int ret = process_bind(session.fd, &dma.pasid);

	if (ret)
		expect(0, ret, "VFIO_BIND_PROCESS");
	else
		step(dma.pasid, "VFIO_BIND_PROCESS", "PASID %u", dma.pasid);
	return !ret;
}

/* Two pieces of malloc(), which nobody maps or pins. */
static void copy_in_heap(void)
{
	int ret;

	from = malloc(ROOM);
	to = calloc(1, ROOM);
	snprintf(from, ROOM, "%s", TEXT);
	note("heap: %p has \"%s\", %p has nothing", from, from, to);
	ret = dma_copy(&dma, to, from, ROOM);
	step(ret == SVA_TEST_DMA_DONE && !strcmp(to, TEXT), "the device copies from the one to the other",
	     "%s: \"%s\"", dma_result(ret), to);
}

static void page_by_fault(void)
{
	char *page = pages_reserve(getpagesize(), getpagesize());
	int ret;

	step(!phys_of(page), "mmap() a page, and do not touch it", "%s",
	     phys_of(page) ? "it is there" : "it is not there");
	ret = dma_copy(&dma, page, from, ROOM);
	step(ret == SVA_TEST_DMA_DONE && phys_of(page), "the device copies to it", "%s, and the page is %s",
	     dma_result(ret), phys_of(page) ? "there" : "not there");
	step(!strcmp(page, TEXT), "what the process finds in it", "\"%s\"", page);

	mprotect(page, getpagesize(), PROT_READ);
	ret = dma_write(&dma, page, "X", 1);
	step(dma_faults(&dma, ret, SVA_TEST_DMA_FAULT_WRITE, page) && !strcmp(page, TEXT),
	     "mprotect() it; the device writes", "refused: %s", dma_result(ret));
	munmap(page, getpagesize());
	ret = dma_write(&dma, page, "X", 1);
	step(dma_faults(&dma, ret, SVA_TEST_DMA_FAULT_WRITE, page), "munmap() it; the device writes",
	     "refused: %s", dma_result(ret));
}

static void unbind(void)
{
	int ret;

	expect(0, process_unbind(session.fd), "VFIO_UNBIND_PROCESS");
	memset(to, 0, ROOM);
	ret = dma_copy(&dma, to, from, ROOM);
	step(ret == SVA_TEST_DMA_NO_ENTRY && !to[0], "the same copy in the heap", "refused: %s",
	     dma_result(ret));
	step(!to[0] && !strcmp(from, TEXT), "what the process finds", "\"%s\", \"%s\"", from, to);
}

static void take_down(void)
{
	session_close(&session);
	expect(0, sva_tear_down(&sva), "close the device: the IOMMU has no PASID of it");
	expect(0, pci_unbind(&sva.pci[0]), "unbind from vfio-pci");
	remove_stack();
}

int main(void)
{
	insert_stack();
	if (bring_up() && bind_process()) {
		copy_in_heap();
		page_by_fault();
		unbind();
		take_down();
	}
	return verdict(MEANING);
}
