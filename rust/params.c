// SPDX-License-Identifier: GPL-2.0-only
// The module parameters and the modinfo that the module! macro cannot express: parameters that
// are writable in sysfs, the version, the softdep, and entries that depend on the configuration.

#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

#include "vfio_helpers.h"

/*
 * Each registration of a device without an IOMMU group, and each VFIO_CHECK_EXTENSION for
 * VFIO_NOIOMMU_IOMMU, reads the current value once.  A plain bool, as in the C core.
 */
bool vfio_noiommu __read_mostly;
#ifdef CONFIG_VFIO_NOIOMMU
module_param_named(enable_unsafe_noiommu_mode, vfio_noiommu, bool, 0644);
MODULE_PARM_DESC(enable_unsafe_noiommu_mode,
		 "Give devices without an IOMMU to user space: no isolation, no translation of DMA, no protection of the host, not for virtual machines. Needs CAP_SYS_RAWIO and taints the kernel. (default: false)");
#endif

/* VFIO_BIND_PROCESS reads the current value at each check. */
unsigned int vfio_max_bound_processes __read_mostly = 1024;
#ifdef CONFIG_IOMMU_SVA
module_param_named(max_bound_processes, vfio_max_bound_processes, uint, 0644);
MODULE_PARM_DESC(max_bound_processes,
		 "How many processes can be bound to one device's file, or to one container, at a time. (default: 1024)");
#endif

#ifdef CONFIG_VFIO_CONTAINER
/* An open of /dev/vfio/vfio loads the module. */
MODULE_ALIAS_MISCDEV(VFIO_MINOR);
MODULE_ALIAS("devname:vfio/vfio");
#endif

MODULE_IMPORT_NS("IOMMUFD");
#if IS_ENABLED(CONFIG_IOMMUFD)
MODULE_IMPORT_NS("IOMMUFD_VFIO");
#endif

/* The version of the C core, for tools that look for it, and the version of this project (Kbuild). */
MODULE_VERSION("0.3");
MODULE_INFO(rust_vfio_version, RUST_VFIO_VERSION);
MODULE_SOFTDEP("post: vfio_iommu_type1 vfio_iommu_spapr_tce");
