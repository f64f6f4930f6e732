// SPDX-License-Identifier: GPL-2.0-only
/*
 * What operations cost whose cost must not grow, and calls that are refused, for "make test-costs".
 *
 * The devices are the crowd of drivers/soft_iommu.c, all in one group, on drivers/vfio_bare.c; both
 * modules are loaded, without devices.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "count.h"

#define PARAMETER(module, name) "/sys/module/" module "/parameters/" name
#define DRIVER "/sys/bus/platform/drivers/vfio-bare/"
#define DEVICE "/sys/devices/platform/vfio-bare.%d/"
/* The crowd, and one in the middle of it. */
#define MANY	1024
#define SOME	500

static void fail(const char *what)
{
	printf("costs: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail(path);
	close(fd);
}

static void crowd(int number)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", number);
	put(PARAMETER("soft_iommu", "crowd"), text);
}

static int node_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fail(path);
	return fd;
}

/* The node of a device, and its group's. */
static int device_open(int number)
{
	char path[128], found[128] = "";
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), DEVICE "vfio-dev", number);
	dir = opendir(path);
	if (!dir)
		fail(path);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			snprintf(found, sizeof(found), "/dev/vfio/devices/%.20s", entry->d_name);
	closedir(dir);
	return node_open(found);
}

static int group_open(int number)
{
	char path[128], target[128];
	ssize_t length;

	snprintf(path, sizeof(path), DEVICE "iommu_group", number);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		fail(path);
	target[length] = 0;
	snprintf(path, sizeof(path), "/dev/vfio/%.20s", strrchr(target, '/') + 1);
	return node_open(path);
}

/* One of the driver's attributes that take a device off it, and give it back. */
static int bind_attr, unbind_attr;

static int tell(int attr, const char *name)
{
	return pwrite(attr, name, strlen(name), 0) != (ssize_t)strlen(name);
}

static int bind_to(int fd, uint32_t argsz, int iommufd)
{
	struct vfio_device_bind_iommufd arg = { .argsz = argsz, .iommufd = iommufd };

	return ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &arg);
}

static int refused(int fd, uint32_t argsz, int iommufd, int error)
{
	return bind_to(fd, argsz, iommufd) != -1 || errno != error;
}

static int unknown(int group)
{
	return ioctl(group, VFIO_GROUP_GET_DEVICE_FD, "no-such-device") != -1 || errno != ENODEV;
}

/* More refusals than the core's limit lets into the log. */
#define TOLD	20

#define SIZE sizeof(struct vfio_device_bind_iommufd)

int main(void)
{
	int iommufd, null, fd, info_fd, group, ret = 0;
	char name[32], text[1024];

	iommufd = node_open("/dev/iommu");
	null = node_open("/dev/null");
	put(PARAMETER("iommufd", "allow_unsafe_interrupts"), "Y");
	bind_attr = open(DRIVER "bind", O_WRONLY | O_CLOEXEC);
	unbind_attr = open(DRIVER "unbind", O_WRONLY | O_CLOEXEC);
	if (bind_attr < 0 || unbind_attr < 0)
		fail(DRIVER);

	/* Alone in its group, which it makes and takes away. */
	crowd(1);
	OPERATION("unregister_1", 1, ({ MEASURE(1, ret |= tell(unbind_attr, "vfio-bare.0"));
					ret |= tell(bind_attr, "vfio-bare.0"); }));
	OPERATION("register_1", 2, ({ ret |= tell(unbind_attr, "vfio-bare.0");
				      MEASURE(2, ret |= tell(bind_attr, "vfio-bare.0")); }));

	/*
	 * BIND that is refused, and one that is not, for fdinfo.  On ours the first refusals are told in
	 * the log, until that is full of them.
	 */
	fd = device_open(0);
	for (int i = 0; i < TOLD; i++)
		ret |= refused(fd, SIZE, 1000, EBADF);
	OPERATION("bind_short", 3, MEASURE(3, ret |= refused(fd, 15, iommufd, EINVAL)));
	OPERATION("bind_no_file", 4, MEASURE(4, ret |= refused(fd, SIZE, 1000, EBADF)));
	OPERATION("bind_other_file", 5, MEASURE(5, ret |= refused(fd, SIZE, null, EBADFD)));
	OPERATION("bind", 6, ({ int other = device_open(0);
				MEASURE(6, ret |= bind_to(other, SIZE, iommufd)); close(other); }));
	ret |= bind_to(fd, SIZE, iommufd);
	OPERATION("bind_again", 7, MEASURE(7, ret |= refused(fd, SIZE, iommufd, EINVAL)));
	snprintf(text, sizeof(text), "/proc/self/fdinfo/%d", fd);
	info_fd = open(text, O_RDONLY | O_CLOEXEC);
	OPERATION("fdinfo", 8, MEASURE(8, ret |= pread(info_fd, text, sizeof(text), 0) <= 0));
	close(info_fd);
	close(fd);

	/* One of two, and the group stays. */
	crowd(2);
	OPERATION("unregister_2", 9, ({ MEASURE(9, ret |= tell(unbind_attr, "vfio-bare.1"));
					ret |= tell(bind_attr, "vfio-bare.1"); }));
	OPERATION("register_2", 10, ({ ret |= tell(unbind_attr, "vfio-bare.1");
				       MEASURE(10, ret |= tell(bind_attr, "vfio-bare.1")); }));
	group = group_open(0);
	OPERATION("unknown_2", 11, MEASURE(11, ret |= unknown(group)));
	close(group);

	/* One of many. */
	crowd(MANY);
	snprintf(name, sizeof(name), "vfio-bare.%d", SOME);
	OPERATION("unregister_many", 12, ({ MEASURE(12, ret |= tell(unbind_attr, name));
					    ret |= tell(bind_attr, name); }));
	OPERATION("register_many", 13, ({ ret |= tell(unbind_attr, name);
					  MEASURE(13, ret |= tell(bind_attr, name)); }));
	group = group_open(0);
	OPERATION("unknown_many", 14, MEASURE(14, ret |= unknown(group)));
	close(group);

	/* The same in one set, and with a driver that looks at names. */
	crowd(0);
	put(PARAMETER("vfio_bare", "one_set"), "Y");
	put(PARAMETER("vfio_bare", "match"), "Y");
	crowd(MANY);
	OPERATION("unregister_set", 15, ({ MEASURE(15, ret |= tell(unbind_attr, name));
					   ret |= tell(bind_attr, name); }));
	OPERATION("register_set", 16, ({ ret |= tell(unbind_attr, name);
					 MEASURE(16, ret |= tell(bind_attr, name)); }));
	group = group_open(0);
	OPERATION("unknown_match", 17, MEASURE(17, ret |= unknown(group)));
	close(group);
	crowd(0);

	if (ret)
		printf("costs: an operation did not do what it must\n");
	return ret ? 1 : 0;
}
