/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared virtual addressing past VFIO, by drivers/sva_lab_main.c: what the IOMMU core and
 * the device do by themselves.
 */
#ifndef LIB_SVA_LAB_H
#define LIB_SVA_LAB_H

#include <stdbool.h>
#include <stdint.h>

#include "sysfs.h"

/* Its control node, the module inserted; -ENOENT if there is none. */
int sva_lab_open(void);
void sva_lab_close(int lab);
/*
 * Whether Linux believes that QEMU's VT-d can share page tables with processes; -ENODEV where
 * there is none, and nothing to pretend.
 */
int sva_lab_capable(bool yes);

/* A device's number, as the module wants it. */
uint32_t sva_lab_device(const struct pci *pci);

/* Binds the caller's memory; the PASID, or -errno.  Bonds end with the file. */
int sva_lab_bind(int lab, const struct pci *pci);
int sva_lab_unbind(int lab, const struct pci *pci);
/* DMA ownership, as VFIO takes it. */
int sva_lab_claim(int lab, const struct pci *pci);
int sva_lab_release(int lab, const struct pci *pci);

/* Holds the lock of the device's group until somebody says let go, by the same file. */
int sva_lab_hold(int lab, const struct pci *pci);
/* The same with its arguments in one, for a task of its own. */
struct hold_op {
	int lab;
	const struct pci *pci;
};

int sva_lab_hold_op(void *op);
int sva_lab_let_go(int lab);
/* A page of the caller's that does not come until then, or NULL. */
void *sva_lab_slow_page(int lab);

/* Physical address of the caller's page table, 0 if it cannot be had. */
uint64_t sva_lab_root(int lab);
/*
 * Physical address of what a device finds at @p by the page table at @root, which is the
 * caller's; 0 if it finds nothing.
 */
uint64_t sva_lab_walk(int lab, uint64_t root, const void *p);

#endif
