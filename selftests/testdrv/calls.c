// SPDX-License-Identifier: GPL-2.0-only
/* What the core called. */
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "driver.h"

DECLARE_WAIT_QUEUE_HEAD(td_wait);
static DEFINE_SPINLOCK(log_lock);
static struct testdrv_call log[TESTDRV_MAX_CALLS];
static unsigned int logged;

int td_note(struct slot *slot, enum testdrv_id id, u64 a, u64 b)
{
	struct vfio_device_set *set = slot->dev ? slot->dev->vdev.dev_set : NULL;
	unsigned long flags;

	spin_lock_irqsave(&log_lock, flags);
	if (logged < TESTDRV_MAX_CALLS)
		log[logged++] = (struct testdrv_call){
			.id = id,
			.slot = slot - td_slots,
			.locked = set && mutex_is_locked(&set->lock),
			.arg = { a, b },
		};
	slot->calls[id]++;
	spin_unlock_irqrestore(&log_lock, flags);
	wake_up_all(&td_wait);
	return -slot->fail[id];
}

int td_calls(struct testdrv_args *args)
{
	struct testdrv_call *copy = kvmalloc(sizeof(log), GFP_KERNEL);
	int i, n, ret;

	if (!copy)
		return -ENOMEM;
	spin_lock_irq(&log_lock);
	n = logged;
	memcpy(copy, log, n * sizeof(*log));
	logged = 0;
	for (i = 0; i < TESTDRV_SLOTS; i++)
		memset(td_slots[i].calls, 0, sizeof(td_slots[i].calls));
	spin_unlock_irq(&log_lock);
	ret = copy_to_user(u64_to_user_ptr(args->ptr), copy, n * sizeof(*log)) ? -EFAULT : n;
	kvfree(copy);
	return ret;
}
