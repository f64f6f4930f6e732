/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who may reach what: one iommufd, which stands for a virtual machine, several address
 * spaces and page tables in it, and two devices bound to it.  What each device was given,
 * by PASID or without, is kept, and compared with what the IOMMU has of it.
 */
#ifndef LIB_VM_MODEL_H
#define LIB_VM_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "sysfs.h"

#define DEVICES 2
#define SPACES 3
/* Two for each address space (0 and 1, 2 and 3 ...), after them those of processes. */
#define TABLES (2 * SPACES)
#define MINE TABLES		/* the caller's */
#define ITS (TABLES + 1)	/* of one other */

/* DMA without a PASID, some PASIDs (1 to 4), and room for those of two processes. */
#define RID 0
#define CHOSEN 5
#define COLUMNS (CHOSEN + 2)

/* In every address space there is a page at this address, and no two have the same. */
#define VM_IOVA 0x10000000ULL
#define VM_PAGE 4096

struct table {
	uint32_t id;
	uint64_t root;		/* as the IOMMU has shown it; 0 before */
	/* What a device must find by it, and where; NULL: nothing, not asked. */
	const void *page, *at;
};

/* Of a device that is bound; of one that is not, which has the host's for its own DMA. */
#define NOTHING -1
#define HOSTS -2

struct vm {
	int control, iommufd;
	uint32_t ioas[SPACES];
	uint32_t *page[SPACES];
	struct table table[TABLES + 2];
	struct pci pci[DEVICES];
	int fd[DEVICES];
	uint32_t devid[DEVICES];
	/* What each device was given: by column, the number of a page table. */
	int columns;
	uint32_t pasid[COLUMNS];
	int given[DEVICES][COLUMNS];
};

/* As sva_devices(), which finds them. */
int vm_find(struct vm *vm);
/* After that, whatever it found: both devices are bound, and nothing is given. */
int vm_open(struct vm *vm);
void vm_close(struct vm *vm);

/* Opens a device's file, and binds it. */
int vm_device_open(struct vm *vm, int dev);
/* The file goes, and all that the device had by it. */
void vm_device_close(struct vm *vm, int dev);

/* One more PASID to look for: its column. */
int vm_column(struct vm *vm, uint32_t pasid);

/* Of a device's file: a page table by PASID, or without if that is 0. */
int pt_attach(int fd, uint32_t pasid, uint32_t pt);
int pt_detach(int fd, uint32_t pasid);
/* The same by device, column and page table, and kept if it succeeds. */
int vm_give(struct vm *vm, int dev, int col, int table);
int vm_take(struct vm *vm, int dev, int col);

/*
 * Does the IOMMU have for each device what it was given, and nothing else?  As many
 * entries, none of other PASIDs, and behind each the page table and the page that were
 * meant.
 */
bool as_given(struct vm *vm);

#endif
