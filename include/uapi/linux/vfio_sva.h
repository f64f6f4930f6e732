/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Shared virtual addressing with VFIO.  A process binds its address space to a device.  The device
 * then reads and writes the memory of the process by the process's own virtual addresses: DMA that
 * carries the PASID of the address space is translated by the CPU page tables of the process.
 *
 * Documentation/sva.rst describes the model, the hardware that is needed, and gives examples.
 */
#ifndef _UAPI_LINUX_VFIO_SVA_H
#define _UAPI_LINUX_VFIO_SVA_H

#include <linux/types.h>
#include <linux/vfio.h>

/*
 * The ioctl numbers are the last two of the range that the kernel assigns to VFIO, ';' 0x64 to
 * 0x7f (Documentation/userspace-api/ioctl/ioctl-number.rst).
 */

/*
 * VFIO_BIND_PROCESS - _IOWR(VFIO_TYPE, VFIO_BASE + 26, struct vfio_bind_process)
 *
 * Bind the address space of the caller.
 *
 * On a device file that is bound to an iommufd, this binds the address space to the device.
 * On a container with an IOMMU driver, it binds the address space to the devices of all groups in
 * the container, or to none of them.  A group that is added later is bound to all address spaces,
 * or is refused.
 *
 * @argsz:	Size of this structure, filled in by the caller.
 * @flags:	Must be 0.  The flags below are reserved for binding another process.
 * @pasid:	Output: the PASID of the address space.  An address space has one PASID, which is
 *		the same for each device that it is bound to.
 * @__reserved:	Must be 0.
 *
 * The address space stays bound until one of these events:
 *
 *  1. VFIO_UNBIND_PROCESS by the process, on the same file.
 *  2. The end of the address space: exit of its last user, or execve().
 *  3. The last close of the device file.
 *  4. In a container: the last group leaves.  A group that leaves earlier takes its own device
 *     with it, and the address space stays bound to the other devices.
 *  5. VFIO_DEVICE_RESET of a device to which the address space is bound.
 *  6. VFIO_DEVICE_PCI_HOT_RESET of a device set with such a device, by a caller who owns all devices
 *     of the set.
 *
 * After 5 and 6 the process can bind again.  VFIO_UNBIND_PROCESS returns -ENOENT then, by which the
 * process can tell.  In a container, the reset of one device unbinds the process from all devices.
 *
 * A container's device that nobody has open is bound too.  The first open and the last close of the
 * device reset it.  The address space is not bound to the device meanwhile, and bound again afterwards.
 *
 * A child of fork() inherits the file, but has an address space of its own, which is not bound.
 * Another process binds itself: it is given the file and calls VFIO_BIND_PROCESS.
 *
 * Return: 0 on success, -errno on failure:
 *  -EFAULT	@arg cannot be read or written.
 *  -EINVAL	@argsz is too small; unknown flags; @__reserved is not 0.  The device file is not bound
 *		to an iommufd.  The container has no IOMMU driver, or no groups.
 *  -EOPNOTSUPP	One of the reserved flags.  The device is emulated, or has no IOMMU.  The IOMMU has
 *		PASIDs, but its driver has no SVA, or one that cannot be used (AMD-Vi).
 *  -ENOTTY	The device file was opened through its group: use the container.  Also on a VFIO core
 *		without this ioctl.
 *  -EPERM	The device shares its IOMMU group with other devices.
 *  -EEXIST	The address space is bound already.
 *  -EBUSY	A page table is attached to this PASID of the device.  Or the device is being reset,
 *		or in a container being opened or closed: try again.  Or the process uses linear
 *		address masking (LAM).
 *  -EOVERFLOW	The address space has a PASID which is too large for this device.
 *  -ENOSPC	As many address spaces are bound by this file as the module parameter
 *		max_bound_processes allows.  The device has no PASIDs.  No PASID is left.
 *  -ENODEV	The IOMMU or the kernel has no SVA.
 *  -EIO	The device cannot be resumed from a low-power state.
 *  -EINTR	A signal arrived whose handler was installed without SA_RESTART.
 *  -ENOMEM	No memory.
 *
 * The IOMMU driver can return other errnos: VT-d's returns -EINVAL for a device without ATS, for one
 * whose page requests are disabled, and for an IOMMU without first-stage page tables.
 */
struct vfio_bind_process {
	__u32	argsz;
	__u32	flags;
#define VFIO_BIND_PROCESS_PID	(1 << 0)
#define VFIO_BIND_PROCESS_PIDFD	(1 << 1)
	__u32	pasid;
	__u32	__reserved;
};

#define VFIO_BIND_PROCESS	_IO(VFIO_TYPE, VFIO_BASE + 26)

/*
 * VFIO_UNBIND_PROCESS - _IOW(VFIO_TYPE, VFIO_BASE + 27, struct vfio_unbind_process)
 *
 * Unbind the address space of the caller from the device, or from all devices of the container.
 * When this returns, the IOMMU has no entry for the PASID.  Later DMA with the PASID faults: stop
 * the device's use of the PASID before.
 *
 * @argsz:	Size of this structure, filled in by the caller.
 * @flags:	Must be 0.
 *
 * Return: 0 on success, -errno on failure:
 *  -EFAULT	@arg cannot be read.
 *  -EINVAL	@argsz is too small; unknown flags.  The device file is not bound to an iommufd.  The
 *		container has no IOMMU driver.
 *  -EOPNOTSUPP	The device is emulated, or has no IOMMU.
 *  -ENOTTY	As for VFIO_BIND_PROCESS.
 *  -ENOENT	The address space is not bound, or not any more.
 */
struct vfio_unbind_process {
	__u32	argsz;
	__u32	flags;
};

#define VFIO_UNBIND_PROCESS	_IO(VFIO_TYPE, VFIO_BASE + 27)

/*
 * VFIO_DEVICE_FEATURE_SVA - whether the two ioctls are available on a device file
 *
 * VFIO_DEVICE_FEATURE_PROBE with VFIO_DEVICE_FEATURE_GET returns 0 if they are, and -ENOTTY if they
 * are not.  VFIO_DEVICE_FEATURE_GET returns this structure:
 *
 * @flags:	0.
 * @max_pasids:	The PASIDs of the device are smaller than this number; 0 if it has none.  A device
 *		with PASIDs may still be refused by VFIO_BIND_PROCESS.
 */
#define VFIO_DEVICE_FEATURE_SVA	0xff00

struct vfio_device_feature_sva {
	__u32	flags;
	__u32	max_pasids;
};

/*
 * VFIO_SVA - whether the two ioctls are available on a container
 *
 * VFIO_CHECK_EXTENSION returns 1 for this extension if they are, with and without an IOMMU driver,
 * and 0 if they are not.
 */
#define VFIO_SVA	0xff00

#endif /* _UAPI_LINUX_VFIO_SVA_H */
