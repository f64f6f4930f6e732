// SPDX-License-Identifier: GPL-2.0-only
/* The log, the text of files, and debugfs. */
#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>
#include <linux/seq_file.h>

#include "quick.h"

static void log_text(const char *fmt, va_list args)
{
	static char text[1024];

	vsnprintf(text, sizeof(text), fmt, args);
	if (verbose)
		print(text);
}

int _printk(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_text(fmt, args);
	va_end(args);
	return 0;
}

/* The log is full.  The programs of make bench and make test-costs fill it before they measure. */
int ___ratelimit(struct ratelimit_state *rs, const char *func)
{
	return 0;
}

void seq_printf(struct seq_file *m, const char *fmt, ...)
{
	va_list args;
	int length;

	va_start(args, fmt);
	length = vsnprintf(m->buf + m->count, m->size - m->count, fmt, args);
	va_end(args);
	m->count += length;
	if (m->count >= m->size)
		fail("seq_file is full");
}

struct dentry *debugfs_create_dir(const char *name, struct dentry *parent)
{
	return allocate(sizeof(struct dentry));
}

struct dentry *debugfs_create_file_full(const char *name, umode_t mode, struct dentry *parent, void *data,
					const void *aux, const struct file_operations *fops)
{
	return allocate(sizeof(struct dentry));
}

void debugfs_remove(struct dentry *dentry)
{
}
