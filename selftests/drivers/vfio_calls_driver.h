/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of vfio_calls.ko share. */
#ifndef VFIO_CALLS_DRIVER_H
#define VFIO_CALLS_DRIVER_H

#include <linux/device.h>
#include <linux/vfio.h>

#include "vfio_calls.h"

struct calls {
	struct vfio_device vdev;	/* first: the core frees it */
	struct slot *slot;
	u8 own[64];
};

struct slot {
	struct vfio_device_ops ops;
	struct calls *calls;
	struct device *parent;
	u32 flags;
	int init_error;
	bool registered;
	int references;			/* on its registration, that commands took */
	int set;			/* its number, 0: none that others can join */
	int fail[CALLS_FAILS];
	bool hold;			/* its opens and its ioctls wait */
	struct calls_seen seen[CALLS_WHENS];
};

/* vfio_calls_main.c: the devices, and their parents. */
extern struct slot calls_slots[CALLS_DEVICES];
extern int calls_resumes;
struct device *calls_parent(u64 nth);

/* vfio_calls_seen.c: the callbacks, and what they see of a device. */
extern const struct vfio_device_ops calls_emulated_ops;
extern const struct vfio_migration_ops calls_mig_ops, calls_empty_mig_ops;
extern const struct vfio_log_ops calls_empty_log_ops;
void calls_look(struct slot *slot, struct vfio_device *vdev, enum calls_when when);
void calls_hold(struct slot *slot, bool hold);

/* vfio_calls_life.c: from the allocation of a device to its release. */
extern char calls_sets[CALLS_DEVICES];
/* The slot of the device that is being allocated. */
extern struct slot *calls_making;
int calls_alloc(struct slot *slot, struct calls_args *args);
int calls_assign_set(struct slot *slot, u64 set);
int calls_register(struct slot *slot, bool other_kind);
void calls_unregister(struct slot *slot, bool anyway);
int calls_reference(struct slot *slot, bool get);
void calls_put(struct slot *slot);
int calls_find(struct slot *slot, struct device *parent);
int calls_dev_id(struct slot *slot, struct calls_args *args);
int calls_op(struct slot *slot, struct calls_args *args);

/* vfio_calls_helpers.c: what needs no device. */
int calls_file(struct slot *slot, int fd);
int calls_caps(struct calls_args *args);
int calls_irqs(struct calls_args *args);
int calls_region(u64 major, u64 minor);
int calls_group(struct device *parent, bool add);

#endif
