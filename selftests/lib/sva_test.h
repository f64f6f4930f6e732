/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared virtual addressing past VFIO, by drivers/sva_test_main.c: what the IOMMU core and
 * the device do by themselves.
 */
#ifndef LIB_SVA_TEST_H
#define LIB_SVA_TEST_H

#include <stdbool.h>
#include <stdint.h>

#include "sysfs.h"

/* A file of its control node, the module inserted; -ENOENT if there is none. */
int sva_test_open(void);
void sva_test_close(int control);
/*
 * Whether Linux believes that QEMU's VT-d can share page tables with processes; -ENODEV where
 * there is none, and nothing to pretend.
 */
int sva_test_capable(bool yes);

/* A device's number, as the module wants it. */
uint32_t sva_test_device(const struct pci *pci);

/* Binds the caller's memory; the PASID, or -errno.  Bonds end with the file. */
int sva_test_bind(int control, const struct pci *pci);
int sva_test_unbind(int control, const struct pci *pci);
/* DMA ownership, as VFIO takes it. */
int sva_test_claim(int control, const struct pci *pci);
int sva_test_release(int control, const struct pci *pci);

/* Holds the lock of the device's group until somebody says let go, by the same file. */
int sva_test_hold(int control, const struct pci *pci);
/* The same with its arguments in one, for a task of its own. */
struct hold_op {
	int control;
	const struct pci *pci;
};

int sva_test_hold_op(void *op);
int sva_test_let_go(int control);
/* A page of the caller's that does not come until then, or NULL. */
void *sva_test_slow_page(int control);

/* Physical address of the caller's page table, 0 if it cannot be had. */
uint64_t sva_test_root(int control);
/*
 * Physical address of what a device finds at @p by the page table at @root, which is the
 * caller's; 0 if it finds nothing.
 */
uint64_t sva_test_walk(int control, uint64_t root, const void *p);

#endif
