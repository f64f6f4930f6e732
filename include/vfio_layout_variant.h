/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Changes of the kernel configuration, with which check-layout compares the layouts of other
 * configurations without other kernels.  Included after the kernel configuration, before all other
 * headers.
 */
#ifdef VFIO_WITHOUT_GROUP
#undef CONFIG_VFIO_GROUP
#undef CONFIG_VFIO_CONTAINER
#endif
#ifdef VFIO_WITHOUT_CDEV
#undef CONFIG_VFIO_DEVICE_CDEV
#endif
