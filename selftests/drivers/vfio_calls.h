/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What user space says to vfio_calls.ko, by ioctl on /dev/vfio-calls.  Every command
 * returns what the function that it is about has returned.
 */
#ifndef VFIO_CALLS_H
#define VFIO_CALLS_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define CALLS_DEVICES	8
/*
 * Parents: /sys/devices/platform/vfio-calls.n; the PCI device on vfio-calls; the one
 * that soft_iommu.ko makes.
 */
#define CALLS_PLATFORM		4
#define CALLS_PCI		CALLS_PLATFORM
#define CALLS_SOFT_IOMMU	5
#define CALLS_SOFT_IOMMU_NAME	"vfio-calls"

struct calls_args {
	__u32 device;		/* which one of them */
	__u32 flags;
	__u64 a;
	__u64 b;
	__u64 c;
	__u64 ptr;
};

#define CALLS_DO(n)	_IOWR('V', n, struct calls_args)

/* _vfio_alloc_device(): for parent a, with an init that returns the errno -b. */
#define CALLS_ALLOC		CALLS_DO(1)
#define CALLS_PHYSICAL		(1 << 0)	/* else emulated */
#define CALLS_SHORT		(1 << 1)	/* a byte too small */
#define CALLS_SET_IN_INIT	(1 << 2)	/* joins set 1 in init */
#define CALLS_NO_BIND		(1 << 3)	/* without the callback */
#define CALLS_NO_UNBIND		(1 << 4)
#define CALLS_NO_ATTACH		(1 << 5)
#define CALLS_NO_DETACH		(1 << 6)
#define CALLS_WITH_MIG		(1 << 7)	/* it can migrate, with pre-copy */
#define CALLS_EMPTY_OPS		(1 << 8)	/* it can migrate and log, without any callback */
/* vfio_assign_device_set(); a: the set, 0: NULL. */
#define CALLS_ASSIGN_SET	CALLS_DO(2)
#define CALLS_REGISTER		CALLS_DO(3)
#define CALLS_OTHER_KIND	(1 << 0)	/* by the function for the other kind of device */
#define CALLS_UNREGISTER	CALLS_DO(4)
#define CALLS_ANYWAY		(1 << 0)	/* though it is not registered */
#define CALLS_PUT		CALLS_DO(5)
/* vfio_device_try_get_registration(): 1 or 0; vfio_device_put_registration() */
#define CALLS_GET_REGISTRATION	CALLS_DO(6)
#define CALLS_PUT_REGISTRATION	CALLS_DO(7)
/* vfio_find_device_in_devset(the device's set, parent a): the device found, or -ENOENT. */
#define CALLS_FIND		CALLS_DO(8)

/* What could be seen of the device, at a: a struct calls_seen to ptr. */
#define CALLS_SEEN		CALLS_DO(9)
enum calls_when {
	CALLS_NOW, CALLS_IN_INIT, CALLS_IN_OPEN, CALLS_IN_IOCTL, CALLS_IN_CLOSE, CALLS_IN_RELEASE,
	CALLS_WHENS
};

#define CALLS_CALLED		(1 << 0)	/* there was such a time */
#define CALLS_OWN_DEV		(1 << 1)	/* dev and ops are what they were made of */
#define CALLS_ZEROED		(1 << 2)	/* the driver's part of the memory */
#define CALLS_HAS_INODE		(1 << 3)
#define CALLS_HAS_SET		(1 << 4)
#define CALLS_CDEV_OPENED	(1 << 5)
#define CALLS_NOIOMMU		(1 << 6)
#define CALLS_HAS_KVM		(1 << 7)
#define CALLS_IN_SET		(1 << 8)	/* a sibling's set has it (in release) */
#define CALLS_LOCKED		(1 << 9)	/* the set's lock is held */

/* Fields of the structure that are not 0, or not empty. */
#define CALLS_KVM		(1 << 0)
#define CALLS_OPEN_COUNT	(1 << 1)
#define CALLS_CDEV		(1 << 2)	/* cdev_opened */
#define CALLS_ATTACHED		(1 << 3)	/* iommufd_attached */
#define CALLS_IDEV		(1 << 4)	/* iommufd_device */
#define CALLS_ACCESS		(1 << 5)	/* iommufd_access */
#define CALLS_PRECOPY		(1 << 6)	/* precopy_info_v2 */
#define CALLS_PASIDS		(1 << 7)
#define CALLS_INODE		(1 << 8)
#define CALLS_BARE		(1 << 9)	/* noiommu */
#define CALLS_DEBUG_ROOT	(1 << 10)

struct calls_seen {
	__u32 what;
	__u32 index;
	__u32 minor;
	__u32 open_count;
	__u32 set_devices;	/* in the set's list */
	__u32 free_index;	/* the next device would get (in release) */
	__s32 pm_usage;		/* of the parent */
	__u32 pm_resumes;	/* by its driver, so far */
	__u32 fields;
	__u32 references;	/* on its registration */
	__u64 set;		/* the address of its set */
	__u64 magic;		/* of the inode's file system */
	char fs[16];
	char name[32];		/* of the class device */
	char debug[32];		/* debug_root */
};

/* The predicates on file descriptor a. */
#define CALLS_FILE		CALLS_DO(10)
#define CALLS_IS_VALID		(1 << 0)
#define CALLS_IS_COHERENT	(1 << 1)
#define CALLS_IS_GROUP		(1 << 2)
#define CALLS_HAS_DEV		(1 << 3)	/* has the device */
#define CALLS_HAS_IOMMU_GROUP	(1 << 4)

/*
 * A chain of b capabilities, described at ptr, by vfio_info_cap_add() or, each with
 * a body of 0xab, vfio_info_add_capability(), then shifted by c.  The chain goes to
 * a, as many bytes as are returned; after an error, c: is it empty?
 */
#define CALLS_CAPS		CALLS_DO(11)
#define CALLS_CAPS_BODY		(1 << 0)
#define CALLS_CAPS_SHIFT	(1 << 1)
struct calls_cap {
	__u16 id;
	__u16 version;
	__u32 size;
};

/*
 * vfio_set_irqs_validate_and_prepare() of the struct vfio_irq_set at ptr, with a
 * interrupts and b indices; c: *data_size, there and back, ~0: NULL.
 */
#define CALLS_IRQS		CALLS_DO(12)

/* vfio_iommufd_get_dev_id(the device, iommufd a); b: vfio_iommufd_device_ictx()? */
#define CALLS_DEV_ID		CALLS_DO(13)
enum { CALLS_NO_ICTX, CALLS_THIS_ICTX, CALLS_OTHER_ICTX };

/*
 * A standard operation, at any time: a says which, b: page table or id, there and back,
 * c: PASID, or for those that bind the iommufd.
 */
#define CALLS_OP		CALLS_DO(14)
enum {
	CALLS_OP_ATTACH, CALLS_OP_DETACH, CALLS_OP_ATTACH_PASID, CALLS_OP_DETACH_PASID,
	CALLS_OP_EMULATED_UNBIND, CALLS_OP_EMULATED_DETACH, CALLS_OP_BIND, CALLS_OP_UNBIND,
	CALLS_OP_EMULATED_BIND, CALLS_OP_EMULATED_ATTACH, CALLS_OP_UNBIND_STRAY_PASID,
};

/* The parents' driver: has it power management? (flags), resuming fails with -a */
#define CALLS_PM		CALLS_DO(15)
/* register_chrdev_region(major a, minor b), and back: is it free? */
#define CALLS_REGION		CALLS_DO(16)
/* Callback a of the device returns the errno -b from now on. */
#define CALLS_FAIL		CALLS_DO(18)
enum { CALLS_FAIL_BIND, CALLS_FAIL_OPEN, CALLS_FAIL_ATTACH, CALLS_FAILS };
/* Opens of the device and its ioctls wait from now on, or (a: 0) no more. */
#define CALLS_HOLD		CALLS_DO(19)
/* Puts parent a into an IOMMU group, though it has no IOMMU, or (flags 0) takes it out. */
#define CALLS_GROUP		CALLS_DO(17)

#endif
