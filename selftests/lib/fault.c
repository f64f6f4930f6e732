// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fault.h"
#include "sysfs.h"

#define DEBUGFS "/sys/kernel/debug"

/* Allocations that may sleep fail too, and the log stays readable. */
static int set_up(void)
{
	int ret = sysfs_write(DEBUGFS "/failslab/ignore-gfp-wait", "N");

	if (ret)
		return ret;
	sysfs_write(DEBUGFS "/failslab/verbose", "0");
	sysfs_write(DEBUGFS "/fail_iommufd/verbose", "0");
	sysfs_write(DEBUGFS "/fail_page_alloc/verbose", "0");
	sysfs_write(DEBUGFS "/fail_page_alloc/ignore-gfp-wait", "N");
	sysfs_write(DEBUGFS "/fail_page_alloc/ignore-gfp-highmem", "N");
	sysfs_write(DEBUGFS "/fail_usercopy/verbose", "0");
	return 0;
}

int fault_open(void)
{
	int fd, ret = set_up();

	if (ret)
		return ret;
	fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void set(int fault, unsigned int n)
{
	char text[16];
	int size = snprintf(text, sizeof(text), "%u", n);

	/* Where user copies can fail, this one may, once. */
	if (pwrite(fault, text, size, 0) != size &&
	    pwrite(fault, text, size, 0) != size)
		abort();
}

void fault_arm(int fault, unsigned int n)
{
	set(fault, n);
}

bool fault_disarm(int fault)
{
	char left[16] = "";
	/* If it is this read that fails, the operation was through. */
	bool hit = pread(fault, left, sizeof(left) - 1, 0) > 0 && !atoi(left);

	set(fault, 0);
	return hit;
}

int sweep_call(struct sweep *s, int (*fn)(void *arg), void *arg)
{
	int ret;

	/* More than any call makes. */
	if (++s->n > 5000)
		abort();
	fault_arm(s->fault, s->n);
	ret = fn(arg);
	s->hit = fault_disarm(s->fault);
	s->failures += ret < 0;
	return ret;
}

bool sweep_fine(const struct sweep *s, int ret)
{
	if (ret >= 0 || (s->hit && ret == -ENOMEM))
		return true;
	printf("# allocation %u: %d\n", s->n, ret);
	return false;
}

bool sweep_fine_iommufd(const struct sweep *s, int ret)
{
	if (s->hit && (ret == -ENOENT || ret == -EINVAL || ret == -EFAULT))
		return true;
	return sweep_fine(s, ret);
}
