// SPDX-License-Identifier: GPL-2.0-only
#include "core.h"
#include "feature.h"

int device_feature(int fd, uint32_t flags, uint32_t size, void *arg)
{
	struct vfio_device_feature *head = arg;

	head->argsz = HEAD + size;
	head->flags = flags;
	return xioctl(fd, VFIO_DEVICE_FEATURE, arg);
}
