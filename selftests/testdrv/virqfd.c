// SPDX-License-Identifier: GPL-2.0-only
/* Eventfds that the driver listens to. */
#include <linux/preempt.h>

#include "driver.h"

static int td_handler(void *opaque, void *data)
{
	struct slot *slot = opaque;

	td_note(slot, TESTDRV_HANDLER, (uintptr_t)data, irqs_disabled());
	/* In the call that enables it, it may sleep. */
	if (preemptible())
		wait_event(td_wait, READ_ONCE(slot->hold) != TESTDRV_HOLD_HANDLER);
	return !slot->handled;
}

static void td_thread(void *opaque, void *data)
{
	struct slot *slot = opaque;

	td_note(slot, TESTDRV_THREAD, (uintptr_t)data, irqs_disabled());
	wait_event(td_wait, READ_ONCE(slot->hold) != TESTDRV_HOLD_THREAD);
}

int td_enable(struct slot *slot, struct testdrv_args *args)
{
	struct virqfd **at = args->flags & TESTDRV_NO_SLOT ? NULL : &slot->virqfd;
	struct virqfd *before = READ_ONCE(slot->virqfd);
	int ret;

	slot->handled = args->flags & TESTDRV_HANDLED;
	ret = vfio_virqfd_enable(slot, args->flags & TESTDRV_WITH_HANDLER ? td_handler : NULL,
				 args->flags & TESTDRV_WITH_THREAD ? td_thread : NULL,
				 (void *)(uintptr_t)args->b, at, args->a);
	args->c = READ_ONCE(slot->virqfd) != before;
	return ret;
}
