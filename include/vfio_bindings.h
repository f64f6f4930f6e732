/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The input of bindgen.  Types and functions that the kernel crate's bindings have are taken from
 * those bindings (see rust/bindings.rs).  This file adds the types and functions of VFIO and of
 * iommufd, and the helpers of the module.
 */
#include <linux/hrtimer_types.h>

#include <linux/anon_inodes.h>
#include <linux/miscdevice.h>
#include <linux/vfio.h>
#include <linux/iommufd.h>

#include <uapi/linux/vfio_sva.h>

#include "vfio_container.h"
#include "vfio_helpers.h"
#include "vfio_trace.h"

/* Constants that are macros with casts.  bindgen does not evaluate such macros. */
const unsigned int VFIO_CONST_DEVICE_GET_REGION_INFO = VFIO_DEVICE_GET_REGION_INFO;
const unsigned int VFIO_CONST_DEVICE_RESET = VFIO_DEVICE_RESET;
const unsigned int VFIO_CONST_DEVICE_PCI_HOT_RESET = VFIO_DEVICE_PCI_HOT_RESET;
const unsigned int VFIO_CONST_DEVICE_FEATURE = VFIO_DEVICE_FEATURE;
const unsigned int VFIO_CONST_DEVICE_BIND_IOMMUFD = VFIO_DEVICE_BIND_IOMMUFD;
const unsigned int VFIO_CONST_DEVICE_ATTACH_IOMMUFD_PT = VFIO_DEVICE_ATTACH_IOMMUFD_PT;
const unsigned int VFIO_CONST_DEVICE_DETACH_IOMMUFD_PT = VFIO_DEVICE_DETACH_IOMMUFD_PT;
const unsigned int VFIO_CONST_GET_API_VERSION = VFIO_GET_API_VERSION;
const unsigned int VFIO_CONST_CHECK_EXTENSION = VFIO_CHECK_EXTENSION;
const unsigned int VFIO_CONST_SET_IOMMU = VFIO_SET_IOMMU;
const unsigned int VFIO_CONST_VFIO_MINOR = VFIO_MINOR;
const unsigned int VFIO_CONST_GROUP_GET_STATUS = VFIO_GROUP_GET_STATUS;
const unsigned int VFIO_CONST_GROUP_SET_CONTAINER = VFIO_GROUP_SET_CONTAINER;
const unsigned int VFIO_CONST_GROUP_UNSET_CONTAINER = VFIO_GROUP_UNSET_CONTAINER;
const unsigned int VFIO_CONST_GROUP_GET_DEVICE_FD = VFIO_GROUP_GET_DEVICE_FD;
const unsigned int VFIO_CONST_BIND_PROCESS = VFIO_BIND_PROCESS;
const unsigned int VFIO_CONST_UNBIND_PROCESS = VFIO_UNBIND_PROCESS;
const fmode_t VFIO_CONST_FMODE_PREAD = FMODE_PREAD;
const fmode_t VFIO_CONST_FMODE_PWRITE = FMODE_PWRITE;
