// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core.h"
#include "mdev.h"
#include "space.h"
#include "sysfs.h"

const char *const mdev_uuids[MDEV_UUIDS] = {
	"3c0e8c4e-8e0b-4f35-9e5d-6f3f0f0d9a01", "3c0e8c4e-8e0b-4f35-9e5d-6f3f0f0d9a02",
	"3c0e8c4e-8e0b-4f35-9e5d-6f3f0f0d9a03", "3c0e8c4e-8e0b-4f35-9e5d-6f3f0f0d9a04",
	"3c0e8c4e-8e0b-4f35-9e5d-6f3f0f0d9a05",
};

static void mdev_path(const char *uuid, const char *name, char *path, size_t size)
{
	snprintf(path, size, "/sys/bus/mdev/devices/%s/%s", uuid, name);
}

int mdev_create(const char *module, const char *type, const char *uuid)
{
	char path[256];

	snprintf(path, sizeof(path), "/sys/devices/virtual/%s/%s/mdev_supported_types/%s/create",
		 module, module, type);
	return sysfs_write(path, uuid);
}

int mdev_remove(const char *uuid)
{
	char path[256];

	mdev_path(uuid, "remove", path, sizeof(path));
	return sysfs_write(path, "1");
}

bool mdev_exists(const char *uuid)
{
	char path[256];

	mdev_path(uuid, "", path, sizeof(path));
	return !access(path, F_OK);
}

int mdev_name(const char *uuid, char *name, size_t size)
{
	char path[256];

	mdev_path(uuid, "vfio-dev", path, sizeof(path));
	return sysfs_entry(path, 0, name, size);
}

int mdev_group(const char *uuid)
{
	char path[256];
	int group;

	mdev_path(uuid, "", path, sizeof(path));
	group = sysfs_group(path);
	return group < 0 ? -1 : group;
}

int mdev_open(const char *uuid)
{
	char path[256];

	mdev_path(uuid, "", path, sizeof(path));
	return cdev_open_below(path);
}

int mdev_type_attr(const char *module, const char *type, const char *name,
		   char *text, size_t size)
{
	char path[256];

	snprintf(path, sizeof(path), "/sys/devices/virtual/%s/%s/mdev_supported_types/%s/%s",
		 module, module, type, name);
	return sysfs_read(path, text, size);
}

int mdev_available(const char *module, const char *type)
{
	char text[32];

	if (mdev_type_attr(module, type, "available_instances", text, sizeof(text)) <= 0)
		abort();
	return atoi(text);
}

int mdev_use(const char *uuid, const struct opened *with, struct opened *o)
{
	char path[256];

	mdev_path(uuid, "", path, sizeof(path));
	return open_path_open_below(open_path_usual(), path, uuid, with, o);
}

int mdev_device(const char *uuid, int space)
{
	char path[256];

	mdev_path(uuid, "", path, sizeof(path));
	return space_device(space, path, uuid);
}

int mdev_sample_load(const char *module)
{
	if (module_load("mdev") || module_load(module))
		return -ENOENT;
	for (int i = 0; i < MDEV_UUIDS; i++)
		if (mdev_exists(mdev_uuids[i]) && mdev_remove(mdev_uuids[i]))
			return -EBUSY;
	return 0;
}

int mdev_sample_unload(const char *module)
{
	int ret = module_unload(module);

	return ret ? ret : module_unload("mdev");
}

int mdev_sample_open(const char *module, const char *type, struct opened *o)
{
	int ret = mdev_sample_load(module);

	if (ret)
		return ret;
	ret = mdev_create(module, type, mdev_uuids[0]);
	if (!ret)
		ret = mdev_use(mdev_uuids[0], NULL, o);
	/* The module is there. */
	return ret == -ENOENT ? -ENODEV : ret;
}

int mdev_sample_close(const char *module)
{
	int ret = mdev_remove(mdev_uuids[0]);

	return ret ? ret : mdev_sample_unload(module);
}

void *region_map(int fd, const struct vfio_region_info *info, size_t size)
{
	return mmap64(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, info->offset);
}

bool region_read(int fd, uint32_t index, uint32_t offset, void *data, size_t size)
{
	struct vfio_region_info info;

	return !cdev_region(fd, index, &info) &&
	       pread64(fd, data, size, info.offset + offset) == (ssize_t)size;
}

bool region_write(int fd, uint32_t index, uint32_t offset, const void *data, size_t size)
{
	struct vfio_region_info info;

	return !cdev_region(fd, index, &info) &&
	       pwrite64(fd, data, size, info.offset + offset) == (ssize_t)size;
}

bool region_is(int fd, uint32_t index, uint64_t size, uint32_t flags)
{
	struct vfio_region_info info;

	return !cdev_region(fd, index, &info) && info.size == size && info.flags == flags;
}
