/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of the driver share. */
#ifndef DRIVER_H
#define DRIVER_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/vfio.h>
#include <linux/wait.h>

#include "testdrv.h"

struct testdrv {
	struct vfio_device vdev;	/* first: the core frees it */
	struct slot *slot;
};

struct slot {
	struct vfio_device_ops ops;
	struct platform_device *parent;
	struct testdrv *dev;
	struct mutex lock;		/* of registering and unregistering */
	bool physical;
	struct iommu_group *group;	/* made by the driver */
	int fail[TESTDRV_IDS];
	int calls[TESTDRV_IDS];
	enum vfio_device_mig_state state;
	unsigned long size;
	bool file;
	u64 page_size;
	struct virqfd *virqfd;
	bool handled;
	int hold;
	struct mutex pins_lock;		/* of the list */
	struct list_head pins;
};

extern struct slot td_slots[TESTDRV_SLOTS];
/* The slot of the device that is being allocated. */
extern struct slot *td_creating;

static inline struct slot *slot_of(struct vfio_device *vdev)
{
	return container_of(vdev, struct testdrv, vdev)->slot;
}

/* calls.c: remembers a callback; what it is to return. */
int td_note(struct slot *slot, enum testdrv_id id, u64 a, u64 b);
int td_calls(struct testdrv_args *args);
/* Woken up for each callback, and to go on. */
extern wait_queue_head_t td_wait;

/* device.c: the callbacks that each device has, and those that some have. */
extern const struct vfio_device_ops td_ops;
void td_request(struct vfio_device *vdev, unsigned int count);
int td_token(struct vfio_device *vdev, const uuid_t *uuid);
int td_match(struct vfio_device *vdev, char *name);
int td_device_feature(struct vfio_device *vdev, u32 flags, void __user *arg, size_t argsz);
long td_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg);

/* memory.c: the user's memory. */
void td_dma_unmap(struct vfio_device *vdev, u64 iova, u64 length);
int td_pin_pages(struct slot *slot, struct testdrv_args *args);
int td_unpin_pages(struct slot *slot, struct testdrv_args *args);
int td_dma_rw(struct slot *slot, struct testdrv_args *args);

/* migration.c */
extern const struct vfio_migration_ops td_mig_ops;
int td_next_state(struct slot *slot, struct testdrv_args *args);

/* logging.c: which memory DMA has written to. */
extern const struct vfio_log_ops td_log_ops;
int td_combine(struct testdrv_args *args);

/* virqfd.c */
int td_enable(struct slot *slot, struct testdrv_args *args);

#endif
