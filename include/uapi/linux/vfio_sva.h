/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Shared virtual addressing by VFIO: a process lets devices work in its own address space, in
 * which they are told addresses as the process knows them.  DMA into it is marked with the PASID
 * that the process is given, and the IOMMU takes the processor's page tables for it.
 *
 * Documentation/sva.rst has the model, an example and what hardware is needed.
 */
#ifndef _UAPI_LINUX_VFIO_SVA_H
#define _UAPI_LINUX_VFIO_SVA_H

#include <linux/types.h>
#include <linux/vfio.h>

/*
 * The ioctls of VFIO and of iommufd share a type.  These numbers are beyond all that either has
 * or is likely to get: VFIO's go from VFIO_BASE (100) on, iommufd's from 128 on.
 */

/*
 * VFIO_BIND_PROCESS - _IOWR(VFIO_TYPE, VFIO_BASE + 140, struct vfio_bind_process)
 *
 * Of a device's file that was opened by its node and bound to an iommufd: lets the device use the
 * caller's address space.  Of a container that has an IOMMU driver: lets all devices in its groups,
 * and those of groups that are put into it later.
 *
 * @argsz:	The size of this structure, which the caller fills in.
 * @flags:	Must be 0.  The flags below are reserved for other processes than the caller,
 *		which cannot be bound.
 * @pasid:	Output.  By which PASID DMA reaches the address space.  It belongs to the address
 *		space: each device that the process is bound to has the same.
 * @__reserved:	Must be 0.
 *
 * The bond lasts until VFIO_UNBIND_PROCESS, or the end of the address space, by exit or exec.  Of a
 * device's file it also ends with the last close of that, for which the removal of the device
 * waits.  Of a container it ends for a device when its group leaves, and for all when the last
 * group has left: a container's own file can be closed before, for a group that is in it keeps it.
 * A child of fork() inherits the file, but it is its parent's address space that is bound.  Another
 * process is bound by being given the file, and calling this itself.
 *
 * Meanwhile VFIO_DEVICE_RESET of the device, and VFIO_DEVICE_PCI_HOT_RESET of its set, are -EBUSY.
 *
 * Return: 0 on success, -errno on failure:
 *  -EFAULT	@arg cannot be read or written.
 *  -EINVAL	@argsz too small; unknown flags; reserved bits.  The device's file is not bound.
 *		The container has no IOMMU driver, or no groups.
 *  -EOPNOTSUPP	One of the reserved flags.  The device is emulated or has no IOMMU.  The IOMMU has
 *		PASIDs, and its driver no SVA, or, as AMD's, none that can be used here.
 *  -ENOTTY	The device's file was opened by way of its group: if a container is set, its ioctl
 *		serves.  And on a VFIO core that does not know this ioctl.
 *  -EPERM	The device shares its IOMMU group with others, which cannot be kept from its PASIDs.
 *  -EEXIST	The address space is bound already.
 *  -EBUSY	The PASID is in use by an attached page table.  Or a device is being reset.  Or
 *		the processor ignores bits of the process's addresses (LAM), which the device would
 *		not.
 *  -EOVERFLOW	The address space has a PASID, by another device, that this device cannot express.
 *  -ENOSPC	The device has no PASIDs, or none is left.
 *  -ENODEV	The IOMMU or the kernel has no SVA.
 *  -EINTR	A signal came, whose handler was not installed with SA_RESTART.
 *  -ENOMEM	And other errnos of the IOMMU's driver: -EINVAL for a device without ATS, for one
 *		whose page requests are off, for an IOMMU without first-stage page tables.
 */
struct vfio_bind_process {
	__u32	argsz;
	__u32	flags;
#define VFIO_BIND_PROCESS_PID	(1 << 0)
#define VFIO_BIND_PROCESS_PIDFD	(1 << 1)
	__u32	pasid;
	__u32	__reserved;
};

#define VFIO_BIND_PROCESS	_IO(VFIO_TYPE, VFIO_BASE + 140)

/*
 * VFIO_UNBIND_PROCESS - _IOW(VFIO_TYPE, VFIO_BASE + 141, struct vfio_unbind_process)
 *
 * Ends the bond of the caller's address space that VFIO_BIND_PROCESS made on the same file.  The
 * caller has stopped the device's use of the PASID: DMA that comes later faults.
 *
 * @argsz:	The size of this structure, which the caller fills in.
 * @flags:	Must be 0.
 *
 * Return: 0 on success, -errno on failure: as above, and
 *  -ENOENT	The address space is not bound.
 */
struct vfio_unbind_process {
	__u32	argsz;
	__u32	flags;
};

#define VFIO_UNBIND_PROCESS	_IO(VFIO_TYPE, VFIO_BASE + 141)

/*
 * VFIO_DEVICE_FEATURE_SVA - the feature of VFIO_DEVICE_FEATURE that tells of the two
 *
 * VFIO_DEVICE_FEATURE_PROBE succeeds with VFIO_DEVICE_FEATURE_GET where the ioctls are known, and
 * is -ENOTTY elsewhere.  GET gives:
 *
 * @flags:	0.
 * @max_pasids:	PASIDs of the device are below this; 0 when it has none.  That there are some
 *		does not mean that a process can be bound: only the attempt shows.
 */
#define VFIO_DEVICE_FEATURE_SVA	0xff00

struct vfio_device_feature_sva {
	__u32	flags;
	__u32	max_pasids;
};

/*
 * VFIO_SVA - the extension of VFIO_CHECK_EXTENSION that tells of the two
 *
 * 1 from a container where the ioctls are known, whether or not it has an IOMMU driver; 0 elsewhere.
 */
#define VFIO_SVA	0xff00

#endif /* _UAPI_LINUX_VFIO_SVA_H */
