// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core.h"
#include "sva_dma.h"
#include "sva_test.h"

static int transfer(struct dma *dma, uint32_t kind, void *to, const void *from, size_t size)
{
	struct sva_test_dma args = {
		.device = sva_test_device(dma->pci),
		.pasid = dma->pasid,
		.kind = kind,
		.from = (uintptr_t)from,
		.to = (uintptr_t)to,
		.size = size,
	};
	int ret = xioctl(dma->control, SVA_TEST_DMA, &args);

	dma->moved = args.moved;
	dma->address = args.address;
	return ret ? ret : (int)args.result;
}

int dma_copy(struct dma *dma, void *to, const void *from, size_t size)
{
	return transfer(dma, SVA_TEST_DMA_COPY, to, from, size);
}

int dma_read(struct dma *dma, void *to, const void *from, size_t size)
{
	return transfer(dma, SVA_TEST_DMA_READ, to, from, size);
}

int dma_write(struct dma *dma, void *to, const void *from, size_t size)
{
	return transfer(dma, SVA_TEST_DMA_WRITE, to, from, size);
}

int dma_byte(struct dma *dma, const void *p)
{
	char c = 0;
	int ret = dma_read(dma, &c, p, 1);

	return ret == SVA_TEST_DMA_DONE ? c : -ret;
}

bool dma_faults(const struct dma *dma, int result, int want, const void *at)
{
	if (result == want && dma->address == (uintptr_t)at && !dma->moved)
		return true;
	printf("# %s at %#llx, %llu bytes moved; not: %s at %p\n", dma_result(result),
	       (unsigned long long)dma->address, (unsigned long long)dma->moved, dma_result(want), at);
	return false;
}

const char *dma_result(int result)
{
	switch (result) {
	case SVA_TEST_DMA_DONE:
		return "done";
	case SVA_TEST_DMA_OFF:
		return "the device is not allowed to";
	case SVA_TEST_DMA_NO_ENTRY:
		return "no entry for the PASID";
	case SVA_TEST_DMA_FAULT_READ:
		return "read fault";
	case SVA_TEST_DMA_FAULT_WRITE:
		return "write fault";
	}
	return result < 0 ? strerror(-result) : "?";
}

bool has_dma(int control, const struct pci *pci)
{
	struct dma dma = { .control = control, .pci = pci };

	return dma_read(&dma, NULL, NULL, 0) != -ENODEV;
}
