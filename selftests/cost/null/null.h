/* SPDX-License-Identifier: GPL-2.0-only */
/* The commands of vfio-null.ko: ioctls of /dev/vfio-null, whose argument is a number. */
#ifndef NULL_H
#define NULL_H

#include <linux/ioctl.h>

#define NULL_PARENT	"/sys/devices/platform/vfio-null.0"

/* The life of the one device: its allocation, its registration, and their ends. */
#define NULL_ALLOC		_IO('N', 0)
#define NULL_REGISTER		_IO('N', 1)
#define NULL_UNREGISTER		_IO('N', 2)
#define NULL_PUT		_IO('N', 3)
/* The number of pages from IOVA 0.  NULL_PIN returns the number of pages that were pinned. */
#define NULL_PIN		_IO('N', 4)
#define NULL_UNPIN		_IO('N', 5)
#define NULL_READ		_IO('N', 6)
/* The number of bytes, by vfio_dma_rw() */
#define NULL_WRITE		_IO('N', 7)
/* A virqfd on an eventfd, whose descriptor is the argument; and its end. */
#define NULL_ENABLE		_IO('N', 8)
#define NULL_DISABLE		_IO('N', 9)
/* Builds a chain of this many capabilities, and frees it. */
#define NULL_CAPABILITIES	_IO('N', 10)

/* The most pages */
#define NULL_PAGES		512
/* The region whose information has a capability */
#define NULL_CAPABLE_REGION	1

#endif
