/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For check-layout: another configuration's layout, without another kernel.  Included after the
 * kernel's configuration, before everything else.
 */
#ifdef VFIO_WITHOUT_GROUP
#undef CONFIG_VFIO_GROUP
#undef CONFIG_VFIO_CONTAINER
#endif
#ifdef VFIO_WITHOUT_CDEV
#undef CONFIG_VFIO_DEVICE_CDEV
#endif
