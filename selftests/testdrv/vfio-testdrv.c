// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver of devices that are nothing: emulated ones, or without an IOMMU, which
 * remember what the core called, and call what a test asks for, with good arguments
 * and bad ones.  It is linked against what vfio.ko exports and nothing else of it.
 * For test machines.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/interval_tree.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uuid.h>
#include <linux/vfio.h>
#include <linux/vmalloc.h>
#include <linux/wait.h>

#include "testdrv.h"

#define MAX_PINS	4096
#define MAX_DATA	(1 << 20)

struct pin {
	struct list_head list;
	u64 iova;
	int npage;
};

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

static struct slot slots[TESTDRV_SLOTS];
static struct slot *creating;
static char sets[TESTDRV_SLOTS];

static DEFINE_MUTEX(create_lock);
static DEFINE_SPINLOCK(log_lock);
static DECLARE_WAIT_QUEUE_HEAD(log_wait);
static struct testdrv_call log[TESTDRV_MAX_CALLS];
static unsigned int logged;

static struct slot *slot_of(struct vfio_device *vdev)
{
	return container_of(vdev, struct testdrv, vdev)->slot;
}

/* Remembers a callback; what it is to return. */
static int note(struct slot *slot, enum testdrv_id id, u64 a, u64 b)
{
	struct vfio_device_set *set = slot->dev ? slot->dev->vdev.dev_set : NULL;
	unsigned long flags;

	spin_lock_irqsave(&log_lock, flags);
	if (logged < TESTDRV_MAX_CALLS)
		log[logged++] = (struct testdrv_call){
			.id = id,
			.slot = slot - slots,
			.locked = set && mutex_is_locked(&set->lock),
			.arg = { a, b },
		};
	slot->calls[id]++;
	spin_unlock_irqrestore(&log_lock, flags);
	wake_up_all(&log_wait);
	return -slot->fail[id];
}

/* ---- the device ---- */

static int td_init(struct vfio_device *vdev)
{
	container_of(vdev, struct testdrv, vdev)->slot = creating;
	return note(creating, TESTDRV_INIT, 0, 0);
}

static void td_release(struct vfio_device *vdev)
{
	note(slot_of(vdev), TESTDRV_RELEASE, 0, 0);
}

#if IS_ENABLED(CONFIG_IOMMUFD)
static int td_bind(struct vfio_device *vdev, struct iommufd_ctx *ictx, u32 *id)
{
	struct slot *slot = slot_of(vdev);
	int ret = -slot->fail[TESTDRV_BIND];

	if (!ret)
		ret = slot->physical ? vfio_iommufd_physical_bind(vdev, ictx, id) :
				       vfio_iommufd_emulated_bind(vdev, ictx, id);
	note(slot, TESTDRV_BIND, 0, ret ? 0 : *id);
	return ret;
}

static void td_unbind(struct vfio_device *vdev)
{
	note(slot_of(vdev), TESTDRV_UNBIND, 0, 0);
	if (slot_of(vdev)->physical)
		vfio_iommufd_physical_unbind(vdev);
	else
		vfio_iommufd_emulated_unbind(vdev);
}

static int td_attach(struct vfio_device *vdev, u32 *pt_id)
{
	struct slot *slot = slot_of(vdev);
	int ret = -slot->fail[TESTDRV_ATTACH];
	u32 before = *pt_id;

	if (!ret)
		ret = slot->physical ? vfio_iommufd_physical_attach_ioas(vdev, pt_id) :
				       vfio_iommufd_emulated_attach_ioas(vdev, pt_id);
	note(slot, TESTDRV_ATTACH, before, *pt_id);
	return ret;
}

static void td_detach(struct vfio_device *vdev)
{
	note(slot_of(vdev), TESTDRV_DETACH, 0, 0);
	if (slot_of(vdev)->physical)
		vfio_iommufd_physical_detach_ioas(vdev);
	else
		vfio_iommufd_emulated_detach_ioas(vdev);
}
#else
/* Who binds and attaches is iommufd. */
#define td_bind		NULL
#define td_unbind	NULL
#define td_attach	NULL
#define td_detach	NULL
#endif

static int td_open(struct vfio_device *vdev)
{
	return note(slot_of(vdev), TESTDRV_OPEN, (uintptr_t)vdev->kvm, 0);
}

static void td_close(struct vfio_device *vdev)
{
	note(slot_of(vdev), TESTDRV_CLOSE, (uintptr_t)vdev->kvm, 0);
}

static void td_request(struct vfio_device *vdev, unsigned int count)
{
	note(slot_of(vdev), TESTDRV_REQUEST, count, 0);
}

static int td_token(struct vfio_device *vdev, const uuid_t *uuid)
{
	return note(slot_of(vdev), TESTDRV_TOKEN, !!uuid, uuid ? uuid->b[0] : 0);
}

static int td_match(struct vfio_device *vdev, char *name)
{
	struct slot *slot = slot_of(vdev);
	int ret = note(slot, TESTDRV_MATCH, strlen(name), 0);
	char own[64];

	snprintf(own, sizeof(own), TESTDRV_NAME, (int)(slot - slots));
	return ret ? ret : !strcmp(name, own);
}

/* Gives back what it has pinned there, as iommufd wants it. */
static void td_dma_unmap(struct vfio_device *vdev, u64 iova, u64 length)
{
	struct slot *slot = slot_of(vdev);
	struct pin *pin, *next;
	LIST_HEAD(gone);

	note(slot, TESTDRV_DMA_UNMAP, iova, length);
	mutex_lock(&slot->pins_lock);
	list_for_each_entry_safe(pin, next, &slot->pins, list) {
		u64 last = pin->iova + (u64)pin->npage * PAGE_SIZE - 1;

		if (last >= iova && (pin->iova < iova || pin->iova - iova < length))
			list_move(&pin->list, &gone);
	}
	mutex_unlock(&slot->pins_lock);
	list_for_each_entry_safe(pin, next, &gone, list) {
		vfio_unpin_pages(vdev, pin->iova, pin->npage);
		kfree(pin);
	}
}

static int td_device_feature(struct vfio_device *vdev, u32 flags,
			     void __user *arg, size_t argsz)
{
	int ret = note(slot_of(vdev), TESTDRV_DEVICE_FEATURE, flags, argsz);
	u64 value;

	if (ret)
		return ret;
	if ((flags & VFIO_DEVICE_FEATURE_MASK) != TESTDRV_FEATURE)
		return -ENOTTY;
	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_GET, sizeof(value));
	if (ret != 1)
		return ret;
	value = TESTDRV_FEATURE;
	return copy_to_user(arg, &value, sizeof(value)) ? -EFAULT : 7;
}

static long td_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	int ret = note(slot_of(vdev), TESTDRV_IOCTL, cmd, 0);

	return ret ? ret : -ENOTTY;
}

static const struct vfio_device_ops td_ops = {
	.name = "vfio-testdrv",
	.init = td_init,
	.release = td_release,
	.bind_iommufd = td_bind,
	.unbind_iommufd = td_unbind,
	.attach_ioas = td_attach,
	.detach_ioas = td_detach,
	.open_device = td_open,
	.close_device = td_close,
};

/* ---- migration ---- */

static const struct file_operations td_mig_fops = {
	.owner = THIS_MODULE,
};

static struct file *td_set_state(struct vfio_device *vdev,
				 enum vfio_device_mig_state state)
{
	struct slot *slot = slot_of(vdev);
	int ret = note(slot, TESTDRV_SET_STATE, state, vdev->precopy_info_v2);

	if (ret)
		return ERR_PTR(ret);
	slot->state = state;
	if (!slot->file)
		return NULL;
	return anon_inode_getfile("testdrv_mig", &td_mig_fops, NULL, O_RDONLY);
}

static int td_get_state(struct vfio_device *vdev, enum vfio_device_mig_state *state)
{
	struct slot *slot = slot_of(vdev);

	*state = slot->state;
	return note(slot, TESTDRV_GET_STATE, 0, 0);
}

static int td_data_size(struct vfio_device *vdev, unsigned long *length)
{
	struct slot *slot = slot_of(vdev);

	*length = slot->size;
	return note(slot, TESTDRV_DATA_SIZE, 0, 0);
}

static const struct vfio_migration_ops td_mig_ops = {
	.migration_set_state = td_set_state,
	.migration_get_state = td_get_state,
	.migration_get_data_size = td_data_size,
};

/* ---- logging ---- */

static int td_log_start(struct vfio_device *vdev, struct rb_root_cached *ranges,
			u32 nnodes, u64 *page_size)
{
	struct slot *slot = slot_of(vdev);
	struct interval_tree_node *node;
	int ret = note(slot, TESTDRV_LOG_START, nnodes, *page_size);

	for (node = interval_tree_iter_first(ranges, 0, ULONG_MAX); node;
	     node = interval_tree_iter_next(node, 0, ULONG_MAX))
		note(slot, TESTDRV_LOG_RANGE, node->start, node->last);
	if (slot->page_size)
		*page_size = slot->page_size;
	return ret;
}

static int td_log_stop(struct vfio_device *vdev)
{
	return note(slot_of(vdev), TESTDRV_LOG_STOP, 0, 0);
}

/* Every page has been written to. */
static int td_log_report(struct vfio_device *vdev, unsigned long iova,
			 unsigned long length, struct iova_bitmap *dirty)
{
	int ret = note(slot_of(vdev), TESTDRV_LOG_REPORT, iova, length);

	if (!ret && length)
		iova_bitmap_set(dirty, iova, length);
	return ret;
}

static const struct vfio_log_ops td_log_ops = {
	.log_start = td_log_start,
	.log_stop = td_log_stop,
	.log_read_and_clear = td_log_report,
};

/* ---- commands ---- */

static int td_register(struct slot *slot, struct vfio_device *vdev)
{
	return slot->physical ? vfio_register_group_dev(vdev) :
				vfio_register_emulated_iommu_dev(vdev);
}

/* An IOMMU group that no IOMMU's driver has made. */
static int td_make_group(struct slot *slot)
{
	struct iommu_group *group = iommu_group_alloc();
	int ret;

	if (IS_ERR(group))
		return PTR_ERR(group);
	ret = iommu_group_add_device(group, &slot->parent->dev);
	iommu_group_put(group);
	if (!ret)
		slot->group = group;
	return ret;
}

static void td_drop_group(struct slot *slot)
{
	if (slot->group)
		iommu_group_remove_device(&slot->parent->dev);
	slot->group = NULL;
}

static int td_create(struct slot *slot, struct testdrv_args *args)
{
	struct testdrv *dev;
	int ret;

	if (slot->dev)
		return -EBUSY;
	if (args->b >= TESTDRV_SLOTS)
		return -EINVAL;
	memset(slot->fail, 0, sizeof(slot->fail));
	slot->state = VFIO_DEVICE_STATE_RUNNING;
	slot->size = 0;
	slot->file = false;
	slot->page_size = 0;
	slot->ops = td_ops;
	if (args->flags & TESTDRV_WITH_UNMAP)
		slot->ops.dma_unmap = td_dma_unmap;
	if (args->flags & TESTDRV_WITH_TOKEN)
		slot->ops.match_token_uuid = td_token;
	if (args->flags & TESTDRV_WITH_FEATURE)
		slot->ops.device_feature = td_device_feature;
	if (args->flags & TESTDRV_WITH_REQUEST)
		slot->ops.request = td_request;
	if (args->flags & TESTDRV_WITH_IOCTL)
		slot->ops.ioctl = td_ioctl;
	if (args->flags & TESTDRV_WITH_MATCH)
		slot->ops.match = td_match;
	slot->physical = args->flags & TESTDRV_PHYSICAL;

	creating = slot;
	dev = vfio_alloc_device(testdrv, vdev, &slot->parent->dev, &slot->ops);
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	if (args->flags & TESTDRV_WITH_MIG) {
		dev->vdev.mig_ops = &td_mig_ops;
		dev->vdev.migration_flags = args->a;
	}
	if (args->flags & TESTDRV_WITH_LOG)
		dev->vdev.log_ops = &td_log_ops;
	ret = args->b ? vfio_assign_device_set(&dev->vdev, &sets[args->b]) : 0;
	if (!ret && (args->flags & TESTDRV_WITH_GROUP))
		ret = td_make_group(slot);
	if (!ret)
		ret = td_register(slot, &dev->vdev);
	if (ret) {
		td_drop_group(slot);
		vfio_put_device(&dev->vdev);
	} else {
		slot->dev = dev;
	}
	return ret;
}

static void td_destroy(struct slot *slot)
{
	struct testdrv *dev = slot->dev;

	if (!dev)
		return;
	vfio_virqfd_disable(&slot->virqfd);
	vfio_unregister_group_dev(&dev->vdev);
	td_drop_group(slot);
	slot->dev = NULL;
	vfio_put_device(&dev->vdev);
}

static int td_reregister(struct slot *slot)
{
	struct testdrv *dev;
	int ret = -ENODEV;

	mutex_lock(&slot->lock);
	dev = slot->dev;
	if (dev) {
		vfio_unregister_group_dev(&dev->vdev);
		ret = td_register(slot, &dev->vdev);
		if (ret) {
			td_drop_group(slot);
			slot->dev = NULL;
			vfio_put_device(&dev->vdev);
		}
	}
	mutex_unlock(&slot->lock);
	return ret;
}

static int td_calls(struct testdrv_args *args)
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
		memset(slots[i].calls, 0, sizeof(slots[i].calls));
	spin_unlock_irq(&log_lock);
	ret = copy_to_user(u64_to_user_ptr(args->ptr), copy, n * sizeof(*log)) ? -EFAULT : n;
	kvfree(copy);
	return ret;
}

static int td_pin_pages(struct slot *slot, struct testdrv_args *args)
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
	ret = vfio_pin_pages(&slot->dev->vdev, args->a, npage, prot, pages);
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
static int td_unpin_pages(struct slot *slot, struct testdrv_args *args)
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

static int td_dma_rw(struct slot *slot, struct testdrv_args *args)
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
	if (!rw.ret && !(args->flags & TESTDRV_RW_WRITE) &&
	    copy_to_user(u64_to_user_ptr(args->ptr), data, args->b))
		rw.ret = -EFAULT;
	vfree(data);
	return rw.ret;
}

static int td_combine(struct testdrv_args *args)
{
	struct testdrv_range __user *ranges = u64_to_user_ptr(args->ptr);
	struct rb_root_cached root = RB_ROOT_CACHED;
	struct interval_tree_node *nodes;
	struct testdrv_range range;
	struct rb_node *at;
	int i, n = 0, ret = -EFAULT;

	if (args->a > 256)
		return -ENXIO;
	nodes = kvcalloc(args->a + 1, sizeof(*nodes), GFP_KERNEL);
	if (!nodes)
		return -ENOMEM;
	for (i = 0; i < args->a; i++) {
		if (copy_from_user(&range, ranges + i, sizeof(range)))
			goto out;
		nodes[i].start = range.start;
		nodes[i].last = range.last;
		interval_tree_insert(&nodes[i], &root);
	}
	vfio_combine_iova_ranges(&root, args->a, args->b);
	args->b = 0;
	for (at = rb_first_cached(&root); at; at = rb_next(at)) {
		struct interval_tree_node *node;

		node = container_of(at, struct interval_tree_node, rb);
		range.start = node->start;
		range.last = node->last;
		if (copy_to_user(ranges + n, &range, sizeof(range)))
			goto out;
		n++;
		if (interval_tree_iter_first(&root, node->last, node->last) != node)
			args->b++;
	}
	ret = n;
out:
	kvfree(nodes);
	return ret;
}

static int td_next_state(struct slot *slot, struct testdrv_args *args)
{
	struct vfio_device *vdev = &slot->dev->vdev;
	enum vfio_device_mig_state next = VFIO_DEVICE_STATE_NR;
	unsigned int flags = vdev->migration_flags;
	int ret;

	vdev->migration_flags = args->flags;
	ret = vfio_mig_get_next_state(vdev, args->a, args->b, &next);
	vdev->migration_flags = flags;
	args->c = next;
	return ret;
}

static int td_open_count(struct slot *slot)
{
	struct vfio_device_set *set = slot->dev->vdev.dev_set;
	int ret;

	mutex_lock(&set->lock);
	ret = vfio_device_set_open_count(set);
	mutex_unlock(&set->lock);
	return ret;
}

static int td_handler(void *opaque, void *data)
{
	struct slot *slot = opaque;

	note(slot, TESTDRV_HANDLER, (uintptr_t)data, irqs_disabled());
	/* In the call that enables it, it may sleep. */
	if (preemptible())
		wait_event(log_wait, READ_ONCE(slot->hold) != TESTDRV_HOLD_HANDLER);
	return !slot->handled;
}

static void td_thread(void *opaque, void *data)
{
	struct slot *slot = opaque;

	note(slot, TESTDRV_THREAD, (uintptr_t)data, irqs_disabled());
	wait_event(log_wait, READ_ONCE(slot->hold) != TESTDRV_HOLD_THREAD);
}

static int td_enable(struct slot *slot, struct testdrv_args *args)
{
	slot->handled = args->flags & TESTDRV_HANDLED;
	return vfio_virqfd_enable(slot, args->flags & TESTDRV_WITH_HANDLER ? td_handler : NULL,
				  args->flags & TESTDRV_WITH_THREAD ? td_thread : NULL,
				  (void *)(uintptr_t)args->b, &slot->virqfd, args->a);
}

static int td_do(unsigned int cmd, struct slot *slot, struct testdrv_args *args)
{
	int ret;

	switch (cmd) {
	case TESTDRV_CREATE:
		mutex_lock(&create_lock);
		mutex_lock(&slot->lock);
		ret = td_create(slot, args);
		mutex_unlock(&slot->lock);
		mutex_unlock(&create_lock);
		return ret;
	case TESTDRV_DESTROY:
		mutex_lock(&slot->lock);
		td_destroy(slot);
		mutex_unlock(&slot->lock);
		return 0;
	case TESTDRV_CALLS:
		return td_calls(args);
	case TESTDRV_COMBINE:
		return td_combine(args);
	case TESTDRV_WAIT:
	case TESTDRV_FAIL:
		if (args->a >= TESTDRV_IDS)
			return -EINVAL;
		if (cmd == TESTDRV_WAIT)
			return wait_event_interruptible(log_wait,
				READ_ONCE(slot->calls[args->a]) >= args->b);
		slot->fail[args->a] = args->b;
		return 0;
	}
	/* The rest is about a device. */
	if (!slot->dev)
		return -ENODEV;
	switch (cmd) {
	case TESTDRV_REREGISTER:
		return td_reregister(slot);
	case TESTDRV_PIN:
		return td_pin_pages(slot, args);
	case TESTDRV_UNPIN:
		return td_unpin_pages(slot, args);
	case TESTDRV_RW:
		return td_dma_rw(slot, args);
	case TESTDRV_NEXT_STATE:
		return td_next_state(slot, args);
	case TESTDRV_OPEN_COUNT:
		return td_open_count(slot);
	case TESTDRV_MIG:
		slot->file = args->flags & TESTDRV_MIG_FILE;
		slot->state = args->a;
		slot->size = args->b;
		return 0;
	case TESTDRV_LOG:
		slot->page_size = args->a;
		return 0;
	case TESTDRV_ENABLE:
		return td_enable(slot, args);
	case TESTDRV_DISABLE:
		vfio_virqfd_disable(&slot->virqfd);
		return 0;
	case TESTDRV_FLUSH:
		vfio_virqfd_flush_thread(&slot->virqfd);
		return 0;
	case TESTDRV_HOLD:
		WRITE_ONCE(slot->hold, args->a);
		wake_up_all(&log_wait);
		return 0;
	case TESTDRV_ENABLED:
		return !!READ_ONCE(slot->virqfd);
	}
	return -ENOTTY;
}

static long td_control(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct testdrv_args __user *user = (void __user *)arg;
	struct testdrv_args args;
	int ret;

	if (copy_from_user(&args, user, sizeof(args)))
		return -EFAULT;
	if (args.slot >= TESTDRV_SLOTS)
		return -EINVAL;
	ret = td_do(cmd, &slots[args.slot], &args);
	return copy_to_user(user, &args, sizeof(args)) ? -EFAULT : ret;
}

static const struct file_operations td_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = td_control,
};

static struct miscdevice td_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "vfio-testdrv",
	.fops = &td_fops,
};

static struct platform_driver td_driver = {
	.driver.name = "vfio-testdrv",
	.driver_managed_dma = true,
};

static void td_remove_parents(void)
{
	int i;

	for (i = 0; i < TESTDRV_SLOTS; i++) {
		td_destroy(&slots[i]);
		platform_device_unregister(slots[i].parent);
	}
}

static int __init td_module_init(void)
{
	int i, ret = platform_driver_register(&td_driver);

	if (ret)
		return ret;
	for (i = 0; i < TESTDRV_SLOTS; i++) {
		mutex_init(&slots[i].lock);
		mutex_init(&slots[i].pins_lock);
		INIT_LIST_HEAD(&slots[i].pins);
		slots[i].parent = platform_device_register_simple("vfio-testdrv", i, NULL, 0);
		if (IS_ERR(slots[i].parent)) {
			ret = PTR_ERR(slots[i].parent);
			slots[i].parent = NULL;
			goto out;
		}
	}
	ret = misc_register(&td_misc);
	if (!ret)
		return 0;
out:
	td_remove_parents();
	platform_driver_unregister(&td_driver);
	return ret;
}
module_init(td_module_init);

static void __exit td_module_exit(void)
{
	misc_deregister(&td_misc);
	td_remove_parents();
	platform_driver_unregister(&td_driver);
}
module_exit(td_module_exit);

MODULE_IMPORT_NS("IOMMUFD");
MODULE_DESCRIPTION("Devices that are nothing, to test the VFIO core");
MODULE_LICENSE("GPL");
