/* SPDX-License-Identifier: GPL-2.0-only */
/* The drivers for containers that map nothing, drivers/vfio_testiommu.c. */
#ifndef LIB_TESTIOMMU_H
#define LIB_TESTIOMMU_H

#include <stdbool.h>

#define TESTIOMMU "vfio_testiommu"
#define NO_TESTIOMMU "no module " TESTIOMMU
#define TESTIOMMU_PARAMETERS "/sys/module/" TESTIOMMU "/parameters/"

/* Extensions, as in the module: all drivers have the first, the n-th has the second + n. */
#define TESTIOMMU_ANY 1000
#define TESTIOMMU_OWN 1001

/* Writes one of the module's parameters. */
int testiommu_set(const char *parameter, const char *value);
/* Waits until one call is held up in a driver. */
bool testiommu_held(void);

#endif
