/* SPDX-License-Identifier: GPL-2.0-only */
/* VFIO_DEVICE_FEATURE. */
#ifndef LIB_FEATURE_H
#define LIB_FEATURE_H

#include <stdint.h>

#include <linux/vfio.h>

#define GET VFIO_DEVICE_FEATURE_GET
#define SET VFIO_DEVICE_FEATURE_SET
#define PROBE VFIO_DEVICE_FEATURE_PROBE
#define HEAD sizeof(struct vfio_device_feature)

/* @arg begins with a struct vfio_device_feature, which is filled in.  @size bytes of data follow. */
int device_feature(int fd, uint32_t flags, uint32_t size, void *arg);

#endif
