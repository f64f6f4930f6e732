/* SPDX-License-Identifier: GPL-2.0-only */
/* The exports of container.c of the in-tree core. */

FUNCTION(EXPORT_SYMBOL_GPL, int, vfio_register_iommu_driver,
	 const struct vfio_iommu_driver_ops *ops);
FUNCTION(EXPORT_SYMBOL_GPL, void, vfio_unregister_iommu_driver,
	 const struct vfio_iommu_driver_ops *ops);
