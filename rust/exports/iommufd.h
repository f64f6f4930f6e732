/* SPDX-License-Identifier: GPL-2.0-only */
/* The exports of iommufd.c of the in-tree core. */

FUNCTION(EXPORT_SYMBOL_GPL, struct iommufd_ctx *, vfio_iommufd_device_ictx,
	 struct vfio_device *vdev);
FUNCTION(EXPORT_SYMBOL_GPL, int, vfio_iommufd_get_dev_id,
	 struct vfio_device *vdev, struct iommufd_ctx *ictx);
FUNCTION(EXPORT_SYMBOL_GPL, int, vfio_iommufd_physical_bind,
	 struct vfio_device *vdev, struct iommufd_ctx *ictx, u32 *out_device_id);
FUNCTION(EXPORT_SYMBOL_GPL, void, vfio_iommufd_physical_unbind,
	 struct vfio_device *vdev);
FUNCTION(EXPORT_SYMBOL_GPL, int, vfio_iommufd_physical_attach_ioas,
	 struct vfio_device *vdev, u32 *pt_id);
FUNCTION(EXPORT_SYMBOL_GPL, void, vfio_iommufd_physical_detach_ioas,
	 struct vfio_device *vdev);
FUNCTION(EXPORT_SYMBOL_GPL, int, vfio_iommufd_physical_pasid_attach_ioas,
	 struct vfio_device *vdev, u32 pasid, u32 *pt_id);
FUNCTION(EXPORT_SYMBOL_GPL, void, vfio_iommufd_physical_pasid_detach_ioas,
	 struct vfio_device *vdev, u32 pasid);
FUNCTION(EXPORT_SYMBOL_GPL, int, vfio_iommufd_emulated_bind,
	 struct vfio_device *vdev, struct iommufd_ctx *ictx, u32 *out_device_id);
FUNCTION(EXPORT_SYMBOL_GPL, void, vfio_iommufd_emulated_unbind,
	 struct vfio_device *vdev);
FUNCTION(EXPORT_SYMBOL_GPL, int, vfio_iommufd_emulated_attach_ioas,
	 struct vfio_device *vdev, u32 *pt_id);
FUNCTION(EXPORT_SYMBOL_GPL, void, vfio_iommufd_emulated_detach_ioas,
	 struct vfio_device *vdev);
