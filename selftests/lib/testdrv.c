// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cdev.h"
#include "core.h"
#include "group.h"
#include "space.h"
#include "sysfs.h"
#include "testdrv.h"

#define NODE "/dev/vfio-testdrv"
#define PARENT "/sys/devices/platform/vfio-testdrv.%d"

static const char *const names[TESTDRV_IDS] = {
	[TESTDRV_INIT] = "init",
	[TESTDRV_RELEASE] = "release",
	[TESTDRV_BIND] = "bind",
	[TESTDRV_UNBIND] = "unbind",
	[TESTDRV_ATTACH] = "attach",
	[TESTDRV_DETACH] = "detach",
	[TESTDRV_OPEN] = "open",
	[TESTDRV_CLOSE] = "close",
	[TESTDRV_REQUEST] = "request",
	[TESTDRV_TOKEN] = "token",
	[TESTDRV_MATCH] = "match",
	[TESTDRV_DMA_UNMAP] = "unmap",
	[TESTDRV_DEVICE_FEATURE] = "feature",
	[TESTDRV_IOCTL] = "ioctl",
	[TESTDRV_GET_STATE] = "get_state",
	[TESTDRV_SET_STATE] = "set_state",
	[TESTDRV_DATA_SIZE] = "data_size",
	[TESTDRV_LOG_START] = "log_start",
	[TESTDRV_LOG_RANGE] = "log_range",
	[TESTDRV_LOG_STOP] = "log_stop",
	[TESTDRV_LOG_REPORT] = "log_report",
	[TESTDRV_HANDLER] = "handler",
	[TESTDRV_THREAD] = "thread",
};

int testdrv_do(int drv, unsigned long cmd, struct testdrv_args *args)
{
	return xioctl(drv, cmd, args);
}

int testdrv_cmd(int drv, unsigned long cmd, int slot, uint32_t flags, uint64_t a,
		uint64_t b)
{
	struct testdrv_args args = { .slot = slot, .flags = flags, .a = a, .b = b };

	return testdrv_do(drv, cmd, &args);
}

int testdrv_open(void)
{
	struct testdrv_calls calls;
	int drv, ret = module_load("vfio_testdrv");

	if (ret)
		return ret;
	drv = open_node(NODE);
	if (drv < 0)
		return drv;
	/* What a test that failed has left. */
	for (int i = 0; i < TESTDRV_SLOTS; i++)
		testdrv_destroy(drv, i);
	testdrv_calls(drv, &calls);
	return drv;
}

int testdrv_close(int drv)
{
	if (drv < 0)
		return 0;
	close_range(STDERR_FILENO + 1, drv - 1, 0);
	close_range(drv + 1, ~0U, 0);
	for (int i = 0; i < TESTDRV_SLOTS; i++)
		testdrv_destroy(drv, i);
	close(drv);
	return module_unload("vfio_testdrv");
}

int testdrv_create(int drv, int slot, uint32_t flags, uint64_t mig, int set)
{
	return testdrv_cmd(drv, TESTDRV_CREATE, slot, flags, mig, set);
}

int testdrv_destroy(int drv, int slot)
{
	return testdrv_cmd(drv, TESTDRV_DESTROY, slot, 0, 0, 0);
}

int testdrv_fail(int drv, int slot, int id, int err)
{
	return testdrv_cmd(drv, TESTDRV_FAIL, slot, 0, id, err);
}

int testdrv_cdev(int slot)
{
	char parent[128];

	snprintf(parent, sizeof(parent), PARENT, slot);
	return cdev_open_below(parent);
}

int testdrv_group(int slot)
{
	char parent[128];

	snprintf(parent, sizeof(parent), PARENT, slot);
	return group_open_below(parent);
}

int testdrv_open_bound(int slot, int iommufd)
{
	int ret, fd = testdrv_cdev(slot);

	if (fd < 0)
		return fd;
	ret = cdev_bind(fd, iommufd, NULL);
	if (ret) {
		close(fd);
		return ret;
	}
	return fd;
}

int testdrv_open_attached(int slot, int iommufd, uint32_t ioas)
{
	int ret, fd = testdrv_open_bound(slot, iommufd);

	if (fd < 0)
		return fd;
	ret = cdev_attach(fd, &ioas);
	if (ret) {
		close(fd);
		return ret;
	}
	return fd;
}

int testdrv_device(int slot, int space)
{
	char parent[128], name[32];

	snprintf(parent, sizeof(parent), PARENT, slot);
	snprintf(name, sizeof(name), "vfio-testdrv.%d", slot);
	return space_device(space, parent, name);
}

int testdrv_open_device(struct testdrv *t, uint32_t flags, uint64_t mig)
{
	int ret;

	t->space = -1;
	t->fd = -1;
	t->drv = testdrv_open();
	if (t->drv < 0)
		return t->drv;
	t->space = space_open();
	if (t->space < 0)
		return t->space;
	ret = testdrv_create(t->drv, 0, flags, mig, 0);
	if (ret)
		return ret;
	t->fd = testdrv_device(0, t->space);
	if (t->fd < 0)
		return t->fd;
	testdrv_calls(t->drv, &t->calls);
	return 0;
}

int testdrv_calls(int drv, struct testdrv_calls *calls)
{
	struct testdrv_args args = { .ptr = (uintptr_t)calls->call };

	calls->n = testdrv_do(drv, TESTDRV_CALLS, &args);
	return calls->n;
}

int testdrv_count(const struct testdrv_calls *calls, int slot, int id)
{
	int n = 0;

	for (int i = 0; i < calls->n; i++)
		n += calls->call[i].slot == slot && calls->call[i].id == id;
	return n;
}

const struct testdrv_call *testdrv_first(const struct testdrv_calls *calls, int slot,
					 int id)
{
	static const struct testdrv_call none = { .arg = { -1ULL, -1ULL } };

	for (int i = 0; i < calls->n; i++)
		if (calls->call[i].slot == slot && calls->call[i].id == id)
			return &calls->call[i];
	return &none;
}

const char *testdrv_text(const struct testdrv_calls *calls, int slot)
{
	static char text[TESTDRV_MAX_CALLS * 16];
	size_t used = 0;

	text[0] = '\0';
	for (int i = 0; i < calls->n; i++) {
		const struct testdrv_call *call = &calls->call[i];

		if (call->slot != slot)
			continue;
		used += snprintf(text + used, sizeof(text) - used, "%s%s%s",
				 used ? " " : "", names[call->id],
				 call->locked ? "" : "*");
	}
	return text;
}

const char *testdrv_calls_text(int drv, int slot)
{
	static struct testdrv_calls calls;

	testdrv_calls(drv, &calls);
	return testdrv_text(&calls, slot);
}

int testdrv_open_count(int drv, int slot)
{
	return testdrv_cmd(drv, TESTDRV_OPEN_COUNT, slot, 0, 0, 0);
}

static int dma(int drv, unsigned long cmd, int slot, uint32_t flags, uint64_t iova,
	       uint64_t size, void *ptr)
{
	struct testdrv_args args = {
		.slot = slot,
		.flags = flags,
		.a = iova,
		.b = size,
		.ptr = (uintptr_t)ptr,
	};

	return testdrv_do(drv, cmd, &args);
}

int testdrv_pin(int drv, int slot, uint32_t flags, uint64_t iova, int npage, uint64_t *words)
{
	return dma(drv, TESTDRV_PIN, slot, flags, iova, npage, words);
}

void testdrv_unpin(int drv, int slot, uint64_t iova, int npage)
{
	if (testdrv_cmd(drv, TESTDRV_UNPIN, slot, 0, iova, npage))
		abort();
}

int testdrv_rw(int drv, int slot, uint32_t flags, uint64_t iova, void *data, size_t size)
{
	return dma(drv, TESTDRV_RW, slot, flags, iova, size, data);
}
