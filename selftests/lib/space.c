// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <unistd.h>

#include "container.h"
#include "iommufd.h"
#include "space.h"

int space_open(void)
{
	return BY_SPACE(iommufd_open(), container_open());
}

int space_set(int group, int space)
{
	int ret = group_set(group, space);

	/* Without a driver no ioctl leads anywhere. */
	if (!ret && !has_iommufd() && container_unknown(space) == -EINVAL)
		ret = container_set_iommu(space, VFIO_TYPE1v2_IOMMU);
	return ret;
}

int space_device(int space, const char *parent, const char *name)
{
	int file = BY_SPACE(cdev_open_below(parent), group_open_below(parent)), ret;

	if (file < 0)
		return file;
	ret = has_iommufd() ? cdev_bind(file, space, NULL) : space_set(file, space);
	if (!ret && has_iommufd())
		return file;
	if (!ret)
		ret = group_device(file, name);
	/* The device has the group's file open. */
	close(file);
	return ret;
}
