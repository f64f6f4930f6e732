/* SPDX-License-Identifier: GPL-2.0-only */
/* The exports of group.c of the in-tree core. */

FUNCTION(EXPORT_SYMBOL_GPL, struct iommu_group *, vfio_file_iommu_group,
	 struct file *file);
FUNCTION(EXPORT_SYMBOL_GPL, bool, vfio_file_is_group,
	 struct file *file);
FUNCTION(EXPORT_SYMBOL_GPL, bool, vfio_file_has_dev,
	 struct file *file, struct vfio_device *device);
