/* SPDX-License-Identifier: GPL-2.0-only */
/* The driver that calls the core's functions one by one, drivers/vfio_calls_main.c. */
#ifndef LIB_CALLS_H
#define LIB_CALLS_H

#include <stdbool.h>
#include <stdint.h>

#include "../drivers/vfio_calls.h"

#define CALLS_DRIVER "vfio-calls"

/* Its control node, the module inserted; -ENOENT if there is none. */
int calls_open(void);
/* The same and what tests of it want besides: a space (space.h), the kernel's log.  0 or -errno. */
int calls_open_all(int *calls, int *space, int *log);
#define NO_CALLS "no module vfio_calls"
/* Closes all files but the standard ones, then removes its devices and the module. */
int calls_close(int calls);
int calls_do(int calls, unsigned long cmd, struct calls_args *args);
/* The same for those without a result but their own. */
int calls_cmd(int calls, unsigned long cmd, int device, uint32_t flags, uint64_t a, uint64_t b);
/* ... and for those with one argument. */
int calls_one(int calls, unsigned long cmd, int device, uint64_t a);
struct calls_seen calls_seen(int calls, int device, enum calls_when when);

/* Makes and registers a device of that parent, or leaves none; 0 or -errno. */
int calls_emulated(int calls, int device, int parent);
int calls_physical(int calls, int device, int parent);
/* The IOMMU of software, drivers/soft_iommu.c, and the device behind it; or neither. */
int calls_soft_iommu(bool present);
/* The node of the parent's only device; its group in sysfs: number, or -errno. */
int calls_cdev(int parent);
int calls_group(int parent);
/* The parent's only device, open in a space, as space_device(). */
int calls_device(int parent, int space);

#endif
