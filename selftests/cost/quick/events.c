// SPDX-License-Identifier: GPL-2.0-only
/* One eventfd, and the functions that wait for its events. */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/poll.h>

#include "quick.h"

static struct wait_queue_head waiting = { .head = LIST_HEAD_INIT(waiting.head) };

static __poll_t eventfd_poll(struct file *file, struct poll_table_struct *table)
{
	poll_wait(file, &waiting, table);
	return 0;
}

static const struct file_operations eventfd_fops = { .poll = eventfd_poll };

int eventfd_open(void)
{
	return fd_add(file_make(&eventfd_fops, &waiting));
}

void eventfd_event(void)
{
	struct wait_queue_entry *entry;

	list_for_each_entry(entry, &waiting.head, entry)
		entry->func(entry, TASK_NORMAL, 0, poll_to_key(EPOLLIN));
}

struct eventfd_ctx *eventfd_ctx_fileget(struct file *file)
{
	return file->f_op == &eventfd_fops ? file->private_data : ERR_PTR(-EINVAL);
}

void eventfd_ctx_put(struct eventfd_ctx *ctx)
{
}

void eventfd_ctx_do_read(struct eventfd_ctx *ctx, __u64 *count)
{
	*count = 1;
}

int eventfd_ctx_remove_wait_queue(struct eventfd_ctx *ctx, wait_queue_entry_t *entry, __u64 *count)
{
	list_del(&entry->entry);
	*count = 0;
	return 0;
}

void add_wait_queue(struct wait_queue_head *head, struct wait_queue_entry *entry)
{
	list_add(&entry->entry, &head->head);
}
