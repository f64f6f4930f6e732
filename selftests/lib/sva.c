// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "core.h"
#include "sva.h"

int process_bind(int fd, uint32_t *pasid)
{
	struct vfio_bind_process arg = { .argsz = sizeof(arg) };
	int ret = xioctl(fd, VFIO_BIND_PROCESS, &arg);

	if (!ret && pasid)
		*pasid = arg.pasid;
	return ret;
}

int process_unbind(int fd)
{
	struct vfio_unbind_process arg = { .argsz = sizeof(arg) };

	return xioctl(fd, VFIO_UNBIND_PROCESS, &arg);
}

int sva_feature(int fd, uint32_t flags, uint32_t *max_pasids)
{
	struct {
		struct vfio_device_feature head;
		struct vfio_device_feature_sva sva;
	} arg = { { sizeof(arg), flags | VFIO_DEVICE_FEATURE_SVA } };
	int ret;

	memset(&arg.sva, 0xff, sizeof(arg.sva));
	ret = xioctl(fd, VFIO_DEVICE_FEATURE, &arg);
	if (!ret && max_pasids)
		*max_pasids = arg.sva.max_pasids;
	return ret;
}
