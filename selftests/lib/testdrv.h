/* SPDX-License-Identifier: GPL-2.0-only */
/* The driver of devices that are nothing, testdrv/. */
#ifndef LIB_TESTDRV_H
#define LIB_TESTDRV_H

#include <stddef.h>
#include <stdint.h>
#include <linux/vfio.h>

#include "../testdrv/testdrv.h"

/* What the group calls the device of slot 0. */
#define TESTDRV_DEVICE "vfio-testdrv.0"

/* Its control node, the module inserted and without devices; -ENOENT if there is none. */
int testdrv_open(void);
#define NO_TESTDRV "no module vfio-testdrv"
/*
 * Removes its devices and the module, at the end of a test.  Closes all files but
 * the standard ones before: a test that failed may have left a device open.
 */
int testdrv_close(int drv);
/* One command. */
int testdrv_do(int drv, unsigned long cmd, struct testdrv_args *args);
/* The same for those without a result but their own. */
int testdrv_cmd(int drv, unsigned long cmd, int slot, uint32_t flags, uint64_t a,
		uint64_t b);

int testdrv_create(int drv, int slot, uint32_t flags, uint64_t mig, int set);
int testdrv_destroy(int drv, int slot);
/* A callback returns -@err from now on; 0: it works. */
int testdrv_fail(int drv, int slot, int id, int err);
/* The device's node, and the group's. */
int testdrv_cdev(int slot);
int testdrv_group(int slot);
/* The device's node, bound; and with an address space.  The fd, or -errno. */
int testdrv_open_bound(int slot, int iommufd);
int testdrv_open_attached(int slot, int iommufd, uint32_t ioas);
/* The device, open in a space, as space_device() of lib/space.h. */
int testdrv_device(int slot, int space);

/* What the driver was called for since the last time. */
struct testdrv_calls {
	int n;
	struct testdrv_call call[TESTDRV_MAX_CALLS];
};

int testdrv_calls(int drv, struct testdrv_calls *calls);

/* The driver, and the device of slot 0 open in a space (space.h). */
struct testdrv {
	int drv, space, fd;
	struct testdrv_calls calls;
};

/*
 * Creates and opens that device: 0 or -errno, with -ENOENT in @t->drv if there is no driver.
 * What the driver was called for is in @t->calls.
 */
int testdrv_open_device(struct testdrv *t, uint32_t flags, uint64_t mig);

/* How often, and the first of them. */
int testdrv_count(const struct testdrv_calls *calls, int slot, int id);
const struct testdrv_call *testdrv_first(const struct testdrv_calls *calls, int slot,
					 int id);
/*
 * Its calls for the slot as text, "open close"; a star marks those without the lock
 * of the device set.
 */
const char *testdrv_text(const struct testdrv_calls *calls, int slot);
/* Its calls since the last time, as text. */
const char *testdrv_calls_text(int drv, int slot);

int testdrv_open_count(int drv, int slot);
/* DMA as the driver of an emulated device does it. */
int testdrv_pin(int drv, int slot, uint32_t flags, uint64_t iova, int npage, uint64_t *words);
void testdrv_unpin(int drv, int slot, uint64_t iova, int npage);
int testdrv_rw(int drv, int slot, uint32_t flags, uint64_t iova, void *data, size_t size);

#endif
