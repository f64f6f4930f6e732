/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Shared virtual addressing with VFIO.  A process binds its address space to a device.  The device
 * then accesses the memory of the process with the virtual addresses of the process: it tags its
 * DMA with the PASID of the address space, and the IOMMU translates this DMA with the CPU page
 * tables of the process.
 *
 * Documentation/sva.rst describes the model, lists the required hardware, and has examples.
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
 *
 * On a container after VFIO_SET_IOMMU, this binds the address space to the devices of all groups in
 * the container.  If one of these binds fails, the address space is bound to no device of the
 * container.  When a group is added later, all bound address spaces are bound to its device, or
 * VFIO_GROUP_SET_CONTAINER fails.
 *
 * @argsz:	Size of this structure, filled in by the caller.
 * @flags:	Must be 0.  VFIO_BIND_PROCESS_PID and VFIO_BIND_PROCESS_PIDFD are reserved for
 *		binding another process.
 * @pasid:	Output: the PASID of the address space.  An address space has one PASID, which is
 *		the same for each device that it is bound to.
 * @__reserved:	Must be 0.
 *
 * The address space stays bound until one of these events:
 *
 *  1. VFIO_UNBIND_PROCESS on the same file, by any task that uses the address space.
 *  2. The end of the address space: the last reference on its mm_users is dropped, usually when the
 *     last task that uses the address space exits or calls execve().  An execve() by another task that
 *     uses the address space ends no bond.
 *  3. If the address space was bound through a device file: the release of this file, when no
 *     descriptor, no mapping and no other reference to the file (for example of a KVM device of the
 *     type KVM_DEV_TYPE_VFIO) is left.
 *  4. In a container: the last group leaves the container.  When a group leaves and other groups
 *     stay, the address space is unbound from the device of the leaving group only.
 *  5. VFIO_DEVICE_RESET of a device to which the address space is bound.  The address space is
 *     unbound even if the driver then returns an error.
 *  6. VFIO_DEVICE_PCI_HOT_RESET of a device set, if the set includes a device to which the address
 *     space is bound, and the caller owns all devices of the set.  The address space is unbound even
 *     if the driver then returns an error.  It stays bound in these cases:
 *      - The caller does not own all devices.
 *      - The argument cannot be read, or its size, its flags or a file descriptor is invalid.
 *      - The argument has more than 256 file descriptors.
 *      - The ioctl is called on a device file from VFIO_GROUP_GET_DEVICE_FD, and the argument has no
 *        file descriptor.
 *      - The ioctl is called on a device file from an open of the device node, and the argument has a
 *        file descriptor.
 *  7. In a container: the kernel fails to bind the address space again to a device after the first
 *     open or the last close of that device (see below).
 *  8. In a container: a device to which the address space is bound leaves its group, and other
 *     devices, which have joined the group since the bind, stay in it.
 *
 * In a container, each of the events 5 to 8 unbinds the address space from all devices of the
 * container.  Afterwards the process can bind again.  VFIO_UNBIND_PROCESS returns -ENOENT if the
 * address space is not bound.  After the last group has left the container, it returns -EINVAL.
 *
 * While VFIO_DEVICE_RESET or VFIO_DEVICE_PCI_HOT_RESET is in progress, VFIO_BIND_PROCESS returns -EBUSY
 * in the following cases.  Documentation/sva.rst describes the exceptions to this rule and to event 6.
 *
 *  - on a device file: the device is being reset and supports PASIDs;
 *  - on a container: the container has such a device.
 *
 * In a container, the address space is also bound to devices that are not open.  The driver
 * can reset a device in its first open and its last close.  The address space is unbound from the
 * device before each of them and bound to the device again afterwards.
 *
 * A child of fork() inherits the file.  The address space of the child is new, and is not bound.
 * To bind another process, pass the file to that process, which then calls VFIO_BIND_PROCESS
 * itself.
 *
 * Return: 0 on success, -errno on failure:
 *  -EFAULT	The structure cannot be read or written.
 *  -EINVAL	One of these: @argsz is too small; @flags has unknown flags; @__reserved is not 0;
 *		the device file is not bound to an iommufd; VFIO_SET_IOMMU was not called on the
 *		container, or the last group has left the container since.
 *		Behind VT-d also one of these: the kernel has not enabled PASID on the device, for
 *		example because a PCIe switch above it lacks a required feature; ATS is not enabled on
 *		the device; the device supports PRI, and PRI is not enabled; the IOMMU has no
 *		first-stage page tables.
 *		Behind an SMMUv3 also: a second-stage or nested page table is attached to the device.
 *  -EOPNOTSUPP	One of these: a reserved flag is set; the device, or a device of the container, is
 *		emulated or has no IOMMU; the kernel has no MMU notifiers; the driver of the IOMMU
 *		supports PASIDs and does not implement SVA; the IOMMU is an SMMUv3 that does not
 *		support SVA; the IOMMU is AMD-Vi, whose driver has a defect (Documentation/sva.rst).
 *  -ENODEV	One of these: the device file is not bound, and the device is unregistered; the
 *		kernel is built without SVA; the VT-d unit has no coherent page walks; the CPU
 *		supports 1 GiB pages or uses 5-level page tables, and the VT-d unit does not.
 *  -ENOTTY	The device file was opened through its group.  If the group is in a container, use
 *		the container.  If the group has an iommufd, no process can be bound.  A VFIO core
 *		without this ioctl also returns -ENOTTY, if the device file is bound or VFIO_SET_IOMMU
 *		was called.
 *  -EPERM	The device shares its IOMMU group with other devices.
 *  -EEXIST	The address space is already bound through this file.
 *  -EBUSY	Temporary (repeat the call): a device is being reset; or, in a container,
 *		the first open or the last close of a device is in progress.
 *		Not temporary: a page table is attached to the PASID of the address space on the
 *		device; or the process has enabled linear address masking (LAM) without
 *		ARCH_FORCE_TAGGED_SVA.
 *  -EOVERFLOW	The address space already has a PASID, and this PASID is too large for the device.
 *  -ENOSPC	One of these: the number of processes that are bound through this file has reached
 *		the module parameter max_bound_processes; the device does not support PASIDs; no
 *		PASID is free.
 *  -EIO	The device cannot be resumed from a low-power state.
 *  -EINTR	A signal was pending.  With SA_RESTART the kernel restarts the call instead.
 *  -ENOMEM	Out of memory.
 *
 * The driver of the IOMMU can return other errnos.
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
 * After success, the PASID tables of these devices have no entry for the PASID.  Later DMA with
 * the PASID faults.  Stop the DMA with the PASID before calling this.
 *
 * A bind through another file is not affected.
 *
 * @argsz:	Size of this structure, filled in by the caller.
 * @flags:	Must be 0.
 *
 * Return: 0 on success, -errno on failure:
 *  -EFAULT	The structure cannot be read.
 *  -EINVAL	One of these: @argsz is too small; @flags is not 0; the device file is not bound to
 *		an iommufd; VFIO_SET_IOMMU was not called on the container, or the last group has left
 *		the container since.
 *  -EOPNOTSUPP	The device, or a device of the container, is emulated or has no IOMMU.
 *  -ENODEV	The device file is not bound, and the device is unregistered.
 *  -ENOTTY	As for VFIO_BIND_PROCESS.
 *  -ENOENT	The address space is not bound: it never was, or one of the events above has unbound it.
 *  -EIO	The device cannot be resumed from a low-power state.
 */
struct vfio_unbind_process {
	__u32	argsz;
	__u32	flags;
};

#define VFIO_UNBIND_PROCESS	_IO(VFIO_TYPE, VFIO_BASE + 27)

/*
 * VFIO_DEVICE_FEATURE_SVA - whether the two ioctls are available on a device file
 *
 * VFIO_DEVICE_FEATURE_GET, with or without VFIO_DEVICE_FEATURE_PROBE, returns 0 if the ioctls are available:
 * the file is bound to an iommufd and the device has an IOMMU.  Otherwise it returns one of these:
 *
 *  -ENODEV	The file is not bound, and the device is unregistered.
 *  -EFAULT	The argument cannot be read or, without VFIO_DEVICE_FEATURE_PROBE, the structure cannot be
 *		written.
 *  -EINVAL	The file is not bound, and the device is registered; or the size or the flags of the argument
 *		are invalid; or, without VFIO_DEVICE_FEATURE_PROBE, the size is too small for the structure.
 *  -EIO	The device cannot be resumed from a low-power state.
 *  -ENOTTY	The file was opened through the group, or the device is emulated or has no IOMMU.
 *
 * VFIO_DEVICE_FEATURE_GET without VFIO_DEVICE_FEATURE_PROBE returns this structure:
 *
 * @flags:	0.
 * @max_pasids:	The PASIDs of the device are smaller than this number.  0 if the device does not
 *		support PASIDs.  VFIO_BIND_PROCESS can also fail for a device that supports PASIDs.
 */
#define VFIO_DEVICE_FEATURE_SVA	0xff00

struct vfio_device_feature_sva {
	__u32	flags;
	__u32	max_pasids;
};

/*
 * VFIO_SVA - whether the two ioctls are available on a container
 *
 * VFIO_CHECK_EXTENSION returns 1 for this extension, both before and after VFIO_SET_IOMMU.  The
 * ioctls can still fail with -EOPNOTSUPP.  A VFIO core without the two ioctls returns 0.
 */
#define VFIO_SVA	0xff00

#endif /* _UAPI_LINUX_VFIO_SVA_H */
