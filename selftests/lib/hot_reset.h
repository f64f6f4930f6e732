/* SPDX-License-Identifier: GPL-2.0-only */
/* The reset of a whole bus, and what the device's driver says of it. */
#ifndef LIB_HOT_RESET_H
#define LIB_HOT_RESET_H

#include <stdint.h>

#include <linux/vfio.h>

#include "sysfs.h"

struct reset_info {
	struct vfio_pci_hot_reset_info head;
	struct vfio_pci_dependent_device devices[8];
};

/* VFIO_DEVICE_GET_PCI_HOT_RESET_INFO */
int reset_info(int fd, struct reset_info *info);
/* What it says of a device: its number or group, or one of these; INT32_MIN if nothing. */
int reset_says(const struct reset_info *info, const struct pci *pci);
#define OWNED VFIO_PCI_DEVID_OWNED
#define NOT_OWNED VFIO_PCI_DEVID_NOT_OWNED
/* The flags for who bound the device: all are the user's, or not all. */
#define BY_ID VFIO_PCI_HOT_RESET_FLAG_DEV_ID
#define ALL_BY_ID (BY_ID | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED)

/* VFIO_DEVICE_PCI_HOT_RESET, showing @count files (of groups), at most four. */
int hot_reset(int fd, uint32_t count, const int32_t *files);
/* For who bound the device, and shows none. */
int hot_reset_owned(int fd);

#endif
