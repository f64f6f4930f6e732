// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "core.h"
#include "hot_reset.h"

int reset_info(int fd, struct reset_info *info)
{
	*info = (struct reset_info){ .head.argsz = sizeof(*info) };
	return xioctl(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info);
}

int reset_says(const struct reset_info *info, const struct pci *pci)
{
	char bdf[32];

	for (uint32_t i = 0; i < info->head.count; i++) {
		const struct vfio_pci_dependent_device *d = &info->devices[i];

		snprintf(bdf, sizeof(bdf), "%04x:%02x:%02x.%x", d->segment, d->bus,
			 d->devfn >> 3, d->devfn & 7);
		if (!strcmp(bdf, pci->bdf))
			return d->devid;
	}
	return INT32_MIN;
}

int hot_reset(int fd, uint32_t count, const int32_t *files)
{
	struct {
		struct vfio_pci_hot_reset head;
		int32_t files[4];
	} reset = {
		.head.argsz = sizeof(reset),
		.head.count = count,
	};

	if (count)
		memcpy(reset.files, files, count * sizeof(*files));
	return xioctl(fd, VFIO_DEVICE_PCI_HOT_RESET, &reset);
}

int hot_reset_owned(int fd)
{
	return hot_reset(fd, 0, NULL);
}
