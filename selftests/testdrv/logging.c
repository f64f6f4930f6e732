// SPDX-License-Identifier: GPL-2.0-only
/* Which memory DMA has written to. */
#include <linux/interval_tree.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "driver.h"

static int td_log_start(struct vfio_device *vdev, struct rb_root_cached *ranges,
			u32 nnodes, u64 *page_size)
{
	struct slot *slot = slot_of(vdev);
	struct interval_tree_node *node;
	int ret = td_note(slot, TESTDRV_LOG_START, nnodes, *page_size);

	for (node = interval_tree_iter_first(ranges, 0, ULONG_MAX); node;
	     node = interval_tree_iter_next(node, 0, ULONG_MAX))
		td_note(slot, TESTDRV_LOG_RANGE, node->start, node->last);
	if (slot->page_size)
		*page_size = slot->page_size;
	return ret;
}

static int td_log_stop(struct vfio_device *vdev)
{
	return td_note(slot_of(vdev), TESTDRV_LOG_STOP, 0, 0);
}

/* Every page has been written to. */
static int td_log_report(struct vfio_device *vdev, unsigned long iova,
			 unsigned long length, struct iova_bitmap *dirty)
{
	int ret = td_note(slot_of(vdev), TESTDRV_LOG_REPORT, iova, length);

	if (!ret && length)
		iova_bitmap_set(dirty, iova, length);
	return ret;
}

const struct vfio_log_ops td_log_ops = {
	.log_start = td_log_start,
	.log_stop = td_log_stop,
	.log_read_and_clear = td_log_report,
};

int td_combine(struct testdrv_args *args)
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
