/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What user space says to vfio-testdrv.ko, by ioctl on /dev/vfio-testdrv.  Every
 * command returns what the function that it is about has returned.
 */
#ifndef TESTDRV_H
#define TESTDRV_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Devices at a time; the n-th has the parent /sys/devices/platform/vfio-testdrv.n. */
#define TESTDRV_SLOTS		8
#define TESTDRV_MAX_CALLS	512
#define TESTDRV_FEATURE		500
#define TESTDRV_NAME		"slot %d of vfio-testdrv"

/* A callback of the driver. */
enum testdrv_id {
	TESTDRV_INIT,
	TESTDRV_RELEASE,
	TESTDRV_BIND,		/* -, id in the iommufd */
	TESTDRV_UNBIND,
	TESTDRV_ATTACH,		/* id that came, id that went */
	TESTDRV_DETACH,
	TESTDRV_OPEN,		/* address of the KVM machine */
	TESTDRV_CLOSE,		/* the same */
	TESTDRV_REQUEST,	/* how often before */
	TESTDRV_TOKEN,		/* given?, first byte */
	TESTDRV_MATCH,		/* length of the name */
	TESTDRV_DMA_UNMAP,	/* IOVA, length */
	TESTDRV_DEVICE_FEATURE,	/* flags, size */
	TESTDRV_IOCTL,		/* number */
	TESTDRV_GET_STATE,
	TESTDRV_SET_STATE,	/* state, precopy info v2? */
	TESTDRV_DATA_SIZE,
	TESTDRV_LOG_START,	/* ranges, page size */
	TESTDRV_LOG_RANGE,	/* first, last address; after LOG_START */
	TESTDRV_LOG_STOP,
	TESTDRV_LOG_REPORT,	/* IOVA, length */
	TESTDRV_HANDLER,	/* of the virqfd: its data, are interrupts off? */
	TESTDRV_THREAD,		/* the same */
	TESTDRV_IDS
};

struct testdrv_call {
	__u16 id;
	__u16 slot;
	__u32 locked;		/* was the lock of the device set held? */
	__u64 arg[2];
};

struct testdrv_range {
	__u64 start;
	__u64 last;
};

struct testdrv_args {
	__u32 slot;
	__u32 flags;
	__u64 a;
	__u64 b;
	__u64 c;
	__u64 ptr;
};

#define TESTDRV_DO(n)	_IOWR('T', n, struct testdrv_args)

/* Makes and registers a device; a: migration flags, b: device set (0: its own). */
#define TESTDRV_CREATE		TESTDRV_DO(1)
#define TESTDRV_WITH_MIG	(1 << 0)
#define TESTDRV_WITH_LOG	(1 << 1)
#define TESTDRV_WITH_UNMAP	(1 << 2)
#define TESTDRV_WITH_TOKEN	(1 << 3)
#define TESTDRV_WITH_FEATURE	(1 << 4)
#define TESTDRV_WITH_REQUEST	(1 << 5)
#define TESTDRV_WITH_IOCTL	(1 << 6)
/* Answers to the name that TESTDRV_NAME makes of its slot, and to no other. */
#define TESTDRV_WITH_MATCH	(1 << 7)
/* One that does DMA by itself, behind no IOMMU ... */
#define TESTDRV_PHYSICAL	(1 << 8)
/* ... and in an IOMMU group all the same. */
#define TESTDRV_WITH_GROUP	(1 << 9)
/* Unregisters and puts it; one that there is not is none to wait for. */
#define TESTDRV_DESTROY		TESTDRV_DO(2)
/* Unregisters it and registers the same object again. */
#define TESTDRV_REREGISTER	TESTDRV_DO(3)
/* Callbacks since the last time to ptr, which holds TESTDRV_MAX_CALLS: number. */
#define TESTDRV_CALLS		TESTDRV_DO(4)
/* Callback a returns the errno -b from now on. */
#define TESTDRV_FAIL		TESTDRV_DO(5)
/* Returns when callback a has been called b times since TESTDRV_CALLS. */
#define TESTDRV_WAIT		TESTDRV_DO(6)

/*
 * vfio_pin_pages(a: IOVA, b: number); ptr: first word of each page, and more; c: how many pages
 * the core wrote to the array, also if it failed.
 */
#define TESTDRV_PIN		TESTDRV_DO(10)
#define TESTDRV_PIN_WRITE	(1 << 0)	/* for writing; ptr's go to the second */
#define TESTDRV_PIN_NULL	(1 << 1)	/* no array of pages */
/* vfio_unpin_pages(a: IOVA, b: number) */
#define TESTDRV_UNPIN		TESTDRV_DO(11)
/* vfio_dma_rw(a: IOVA, ptr: data, there and back, also if it fails; b: length) */
#define TESTDRV_RW		TESTDRV_DO(12)
#define TESTDRV_RW_WRITE	(1 << 0)
#define TESTDRV_RW_NULL		(1 << 1)	/* no data */
#define TESTDRV_RW_KTHREAD	(1 << 2)	/* from a thread of the kernel */
/*
 * vfio_combine_iova_ranges() on the a ranges at ptr to b of them: number left.
 * b: how many of them a search does not find.
 */
#define TESTDRV_COMBINE		TESTDRV_DO(13)
/* vfio_mig_get_next_state(a, b), of a device that has flags, to c. */
#define TESTDRV_NEXT_STATE	TESTDRV_DO(14)
/* vfio_device_set_open_count() */
#define TESTDRV_OPEN_COUNT	TESTDRV_DO(15)

/* What the callbacks of migration are to do. */
#define TESTDRV_MIG		TESTDRV_DO(20)
#define TESTDRV_MIG_FILE	(1 << 0)	/* set_state returns a file */
						/* a: the state, b: the size */
/* What those of logging do; a: page size that log_start leaves (0: the user's). */
#define TESTDRV_LOG		TESTDRV_DO(21)

/* vfio_virqfd_enable(fd a), with handler and thread; c: is there another virqfd in the slot? */
#define TESTDRV_ENABLE		TESTDRV_DO(30)
#define TESTDRV_WITH_HANDLER	(1 << 0)
#define TESTDRV_WITH_THREAD	(1 << 1)
#define TESTDRV_HANDLED		(1 << 2)	/* the thread is not wanted */
#define TESTDRV_NO_SLOT		(1 << 3)	/* NULL in the place of the slot */
#define TESTDRV_DISABLE		TESTDRV_DO(31)
#define TESTDRV_FLUSH		TESTDRV_DO(32)
/*
 * The thread function waits from now on (a: TESTDRV_HOLD_THREAD), or the handler that is called for an
 * event which was there before (TESTDRV_HOLD_HANDLER), or td_open(), td_close() or td_get_state() of the
 * device (TESTDRV_HOLD_OPEN, TESTDRV_HOLD_CLOSE, TESTDRV_HOLD_STATE), or td_dma_unmap() before it unpins what
 * it has found (TESTDRV_HOLD_UNMAP), or none of them any more (0).
 */
#define TESTDRV_HOLD		TESTDRV_DO(33)
#define TESTDRV_HOLD_THREAD	1
#define TESTDRV_HOLD_HANDLER	2
#define TESTDRV_HOLD_OPEN	3
#define TESTDRV_HOLD_CLOSE	4
#define TESTDRV_HOLD_STATE	5
#define TESTDRV_HOLD_UNMAP	6
/* Is the slot of the virqfd in use? */
#define TESTDRV_ENABLED		TESTDRV_DO(34)

#endif
