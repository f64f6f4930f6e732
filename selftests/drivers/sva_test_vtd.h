/* SPDX-License-Identifier: GPL-2.0-only */
/* The part of sva_test.ko that knows VT-d: sva_test_vtd.c, in a kernel that shares page tables with one. */
#ifndef SVA_TEST_VTD_H
#define SVA_TEST_VTD_H

#include <linux/errno.h>
#include <linux/kconfig.h>
#include <linux/types.h>

struct device;
struct device_domain_info;
struct sva_test_dma;

#if IS_ENABLED(CONFIG_INTEL_IOMMU_SVM)
/* Is the machine's VT-d emulated by QEMU? */
bool sva_test_is_qemus_vtd(void);
/* What VT-d's driver has of a device, or NULL. */
struct device_domain_info *sva_test_vtd_of(struct device *dev);
/* The lie, or its end; -ENODEV if there is no VT-d of QEMU's that can be lied about. */
int sva_test_make_capable(bool yes);
/* Physical address of the caller's page table. */
int sva_test_root(u64 *root);
/* From an address to a physical one, by the page table at @root: on hardware, the caller's. */
int sva_test_walk(u64 root, u64 *address);
/* A transfer by a device (sva_test_dma.c). */
int sva_test_dma(struct sva_test_dma *args);
#else
static inline int sva_test_make_capable(bool yes)
{
	return -ENODEV;
}

static inline int sva_test_root(u64 *root)
{
	return -EOPNOTSUPP;
}

static inline int sva_test_walk(u64 root, u64 *address)
{
	return -EOPNOTSUPP;
}

static inline int sva_test_dma(struct sva_test_dma *args)
{
	return -ENODEV;
}
#endif

#endif
