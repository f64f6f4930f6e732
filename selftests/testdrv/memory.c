// SPDX-License-Identifier: GPL-2.0-only
/* The user's memory: pages that are pinned, and reads and writes. */
#include <linux/highmem.h>
#include <linux/iommu.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include "driver.h"

#define MAX_PINS	4096
#define MAX_DATA	(1 << 20)
/* In the array before the core pins pages: no page's address. */
#define NO_PAGE		((struct page *)~0UL)

struct pin {
	struct list_head list;
	u64 iova;
	int npage;
};

/* Gives back what it has pinned there, as iommufd wants it. */
void td_dma_unmap(struct vfio_device *vdev, u64 iova, u64 length)
{
	struct slot *slot = slot_of(vdev);
	struct pin *pin, *next;
	LIST_HEAD(gone);

	td_note(slot, TESTDRV_DMA_UNMAP, iova, length);
	mutex_lock(&slot->pins_lock);
	list_for_each_entry_safe(pin, next, &slot->pins, list) {
		u64 last = pin->iova + (u64)pin->npage * PAGE_SIZE - 1;

		if (last >= iova && (pin->iova < iova || pin->iova - iova < length))
			list_move(&pin->list, &gone);
	}
	mutex_unlock(&slot->pins_lock);
	if (!list_empty(&gone))
		wait_event(td_wait, READ_ONCE(slot->hold) != TESTDRV_HOLD_UNMAP);
	list_for_each_entry_safe(pin, next, &gone, list) {
		vfio_unpin_pages(vdev, pin->iova, pin->npage);
		kfree(pin);
	}
}

int td_pin_pages(struct slot *slot, struct testdrv_args *args)
{
	int prot = IOMMU_READ | (args->flags & TESTDRV_PIN_WRITE ? IOMMU_WRITE : 0);
	u64 __user *words = u64_to_user_ptr(args->ptr);
	int i, ret, npage = args->b;
	struct page **pages;
	struct pin *pin;

	if (npage > MAX_PINS)
		return -ENXIO;
	if (args->flags & TESTDRV_PIN_NULL)
		return vfio_pin_pages(&slot->dev->vdev, args->a, npage, prot, NULL);
	/* More than is asked for: a bad number must not write past the end. */
	pages = kvcalloc(MAX_PINS, sizeof(*pages), GFP_KERNEL);
	pin = kzalloc_obj(*pin, GFP_KERNEL);
	if (!pages || !pin) {
		ret = -ENOMEM;
		goto out;
	}
	pin->iova = args->a;
	pin->npage = npage;
	for (i = 0; i < MAX_PINS; i++)
		pages[i] = NO_PAGE;
	ret = vfio_pin_pages(&slot->dev->vdev, args->a, npage, prot, pages);
	args->c = 0;
	for (i = 0; i < MAX_PINS; i++)
		args->c += pages[i] != NO_PAGE;
	for (i = 0; i < ret && words; i++) {
		u64 *page = kmap_local_page(pages[i]);
		u64 word = page[0];

		if (args->flags & TESTDRV_PIN_WRITE)
			page[1] = ~word;
		kunmap_local(page);
		if (put_user(word, words + i))
			ret = -EFAULT;
	}
	if (ret > 0) {
		mutex_lock(&slot->pins_lock);
		list_add(&pin->list, &slot->pins);
		mutex_unlock(&slot->pins_lock);
		pin = NULL;
	}
out:
	kfree(pin);
	kvfree(pages);
	return ret;
}

/* Unpins what it is told to, whatever was pinned. */
int td_unpin_pages(struct slot *slot, struct testdrv_args *args)
{
	struct pin *pin, *found = NULL;

	mutex_lock(&slot->pins_lock);
	list_for_each_entry(pin, &slot->pins, list)
		if (pin->iova == args->a && pin->npage == (int)args->b)
			found = pin;
	if (found)
		list_del(&found->list);
	mutex_unlock(&slot->pins_lock);
	kfree(found);
	vfio_unpin_pages(&slot->dev->vdev, args->a, args->b);
	return 0;
}

struct rw_work {
	struct work_struct work;
	struct slot *slot;
	struct testdrv_args *args;
	void *data;
	int ret;
};

static void td_rw_call(struct work_struct *work)
{
	struct rw_work *rw = container_of(work, struct rw_work, work);

	rw->ret = vfio_dma_rw(&rw->slot->dev->vdev, rw->args->a, rw->data, rw->args->b,
			      rw->args->flags & TESTDRV_RW_WRITE);
}

int td_dma_rw(struct slot *slot, struct testdrv_args *args)
{
	struct rw_work rw = { .slot = slot, .args = args };
	void *data;

	if (args->b > MAX_DATA)
		return -ENXIO;
	data = vzalloc(MAX_DATA);
	if (!data)
		return -ENOMEM;
	if (!(args->flags & TESTDRV_RW_NULL))
		rw.data = data;
	if (copy_from_user(data, u64_to_user_ptr(args->ptr), args->b)) {
		vfree(data);
		return -EFAULT;
	}
	if (args->flags & TESTDRV_RW_KTHREAD) {
		INIT_WORK_ONSTACK(&rw.work, td_rw_call);
		schedule_work(&rw.work);
		flush_work(&rw.work);
		destroy_work_on_stack(&rw.work);
	} else {
		td_rw_call(&rw.work);
	}
	if (!(args->flags & TESTDRV_RW_WRITE) &&
	    copy_to_user(u64_to_user_ptr(args->ptr), data, args->b) && !rw.ret)
		rw.ret = -EFAULT;
	vfree(data);
	return rw.ret;
}
