/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Changes to the kernel configuration.  With these, scripts/checks/check-layout compares the layouts for
 * other configurations, and needs no other kernel.  The compiler includes this file after the kernel
 * configuration and before all other headers.
 */
#ifdef VFIO_WITHOUT_GROUP
#undef CONFIG_VFIO_GROUP
#undef CONFIG_VFIO_CONTAINER
#endif
#ifdef VFIO_WITHOUT_CDEV
#undef CONFIG_VFIO_DEVICE_CDEV
#endif
