/* SPDX-License-Identifier: GPL-2.0-only */
/* Devices without an IOMMU: the parameter that lets them in, their names, who may. */
#ifndef LIB_NOIOMMU_H
#define LIB_NOIOMMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sysfs.h"

#define NOIOMMU_PARAMETER "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
#define NOIOMMU_GROUP_MESSAGE "Adding kernel taint for vfio-noiommu group on device"
#define NOIOMMU_CDEV_MESSAGE "Adding kernel taint for vfio-noiommu cdev"

/* Writes the parameter; false if there is none, or it does not take the value. */
bool set_noiommu(const char *value);
/*
 * Whether such devices have files of their own, as iommufd shows it, which must know them then:
 * not before Linux 7.3.
 */
bool noiommu_has_nodes(void);
#define NO_NOIOMMU_NODES "a kernel whose devices without an IOMMU have no files of their own"
/* IOMMU_IOAS_NOIOMMU_GET_PA: where iommufd keeps what is mapped at @iova, one page. */
int noiommu_phys(int iommufd, uint32_t ioas, uint64_t iova, uint64_t *phys);

/* The iommu_group of the device, -1 as long as it has none. */
int noiommu_group_of(const struct pci *pci);
void noiommu_group_path(const struct pci *pci, char *buf, size_t size);
/* Takes CAP_SYS_RAWIO from the caller. */
int drop_rawio(void);
/* Runs @fn(@arg) in a child that has not got CAP_SYS_RAWIO. */
int without_rawio(int (*fn)(void *arg), void *arg);
/*
 * Passes @fd over a socket to a process that has not got CAP_SYS_RAWIO and no other copy of it, and
 * runs @fn there, with that process's number of the file.
 */
int passed_without_rawio(int fd, int (*fn)(int fd, void *arg), void *arg);
/* Has a line with @what come since the last time? */
bool logged(int log, const char *what);

#endif
