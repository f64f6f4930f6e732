// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "calls.h"
#include "cdev.h"
#include "core.h"
#include "kmsg.h"
#include "space.h"
#include "sysfs.h"

#define NODE "/dev/vfio-calls"
#define PARENT "/sys/devices/platform/vfio-calls.%d"

int calls_open(void)
{
	int ret = module_load("vfio_calls");

	return ret ? ret : open_node(NODE);
}

int calls_open_all(int *calls, int *space, int *log)
{
	*calls = calls_open();
	if (*calls < 0)
		return *calls;
	*space = space_open();
	if (*space < 0)
		return *space;
	*log = kmsg_open();
	return *log < 0 ? *log : 0;
}

int calls_close(int calls)
{
	if (calls < 0)
		return 0;
	/* A test that failed may have left a device open, or a reference held. */
	close_range(STDERR_FILENO + 1, calls - 1, 0);
	close_range(calls + 1, ~0U, 0);
	for (int i = 0; i < CALLS_DEVICES; i++)
		calls_one(calls, CALLS_PUT, i, 0);
	close(calls);
	calls_soft_iommu(false);
	return module_unload("vfio_calls");
}

int calls_do(int calls, unsigned long cmd, struct calls_args *args)
{
	return xioctl(calls, cmd, args);
}

int calls_cmd(int calls, unsigned long cmd, int device, uint32_t flags, uint64_t a, uint64_t b)
{
	struct calls_args args = { .device = device, .flags = flags, .a = a, .b = b };

	return calls_do(calls, cmd, &args);
}

int calls_one(int calls, unsigned long cmd, int device, uint64_t a)
{
	return calls_cmd(calls, cmd, device, 0, a, 0);
}

struct calls_seen calls_seen(int calls, int device, enum calls_when when)
{
	struct calls_seen seen = { 0 };
	struct calls_args args = { .device = device, .a = when, .ptr = (uintptr_t)&seen };

	if (calls_do(calls, CALLS_SEEN, &args))
		abort();
	return seen;
}

static int add(int calls, int device, uint32_t flags, int parent)
{
	int ret = calls_cmd(calls, CALLS_ALLOC, device, flags, parent, 0);

	if (ret)
		return ret;
	ret = calls_one(calls, CALLS_REGISTER, device, 0);
	if (ret)
		calls_one(calls, CALLS_PUT, device, 0);
	return ret;
}

int calls_emulated(int calls, int device, int parent)
{
	return add(calls, device, 0, parent);
}

int calls_physical(int calls, int device, int parent)
{
	return add(calls, device, CALLS_PHYSICAL, parent);
}

int calls_soft_iommu(bool present)
{
	const char *param = "/sys/module/soft_iommu/parameters/present";
	int ret = present ? module_load("soft_iommu") : 0;

	if (!ret)
		ret = sysfs_write(param, present ? "Y" : "N");
	return ret || present ? ret : module_unload("soft_iommu");
}

int calls_cdev(int parent)
{
	char path[128];

	snprintf(path, sizeof(path), PARENT, parent);
	return cdev_open_below(path);
}

int calls_group(int parent)
{
	char path[128];

	snprintf(path, sizeof(path), PARENT, parent);
	return sysfs_group(path);
}

int calls_device(int parent, int space)
{
	char path[128], name[32];

	snprintf(path, sizeof(path), PARENT, parent);
	snprintf(name, sizeof(name), "vfio-calls.%d", parent);
	return space_device(space, path, name);
}
