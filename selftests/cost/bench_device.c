// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the operations of the core cost, for "make bench".
 *
 * Argument: the PCI address of a device that sits on vfio-pci, alone in its group.
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

static char node[64], group[64];
static int iommufd;
static uint32_t ioas[2];

static void fail(const char *what)
{
	printf("bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int device_open(void)
{
	int fd = open(node, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fail(node);
	return fd;
}

static int bind_(int fd)
{
	struct vfio_device_bind_iommufd arg = { .argsz = sizeof(arg), .iommufd = iommufd };

	return ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &arg);
}

static int attach(int fd, uint32_t pt)
{
	struct vfio_device_attach_iommufd_pt arg = { .argsz = sizeof(arg), .pt_id = pt };

	return ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &arg);
}

static int detach(int fd)
{
	struct vfio_device_detach_iommufd_pt arg = { .argsz = sizeof(arg) };

	return ioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &arg);
}

static int device_open_bound(void)
{
	int fd = device_open();

	if (bind_(fd))
		fail("BIND_IOMMUFD");
	return fd;
}

static void find_nodes(const char *address)
{
	char path[128], target[128];
	struct dirent *entry;
	ssize_t length;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", address);
	dir = opendir(path);
	if (!dir)
		fail(path);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			snprintf(node, sizeof(node), "/dev/vfio/devices/%.20s", entry->d_name);
	closedir(dir);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", address);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		fail(path);
	target[length] = 0;
	snprintf(group, sizeof(group), "/dev/vfio/%.20s", strrchr(target, '/') + 1);
}

int main(int argc, char **argv)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info region = { .argsz = sizeof(region) };
	struct vfio_device_feature feature = {
		.argsz = sizeof(feature), .flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET | 0xfeff,
	};
	struct vfio_group_status status = { .argsz = sizeof(status) };
	uint32_t word;
	char fdinfo[64], text[1024];
	int fd, info_fd, ret = 0;

	if (argc != 2) {
		fprintf(stderr, "usage: bench ADDRESS\n");
		return 1;
	}
	find_nodes(argv[1]);
	iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (iommufd < 0)
		fail("/dev/iommu");
	for (int i = 0; i < 2; i++) {
		struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };

		if (ioctl(iommufd, IOMMU_IOAS_ALLOC, &alloc))
			fail("IOMMU_IOAS_ALLOC");
		ioas[i] = alloc.out_ioas_id;
	}

	/* What is not the core's, to compare with. */
	OPERATION("getppid", 1, MEASURE(1, ret |= getppid() < 0));
	OPERATION("null_open_close", 2, MEASURE(2, close(open("/dev/null", O_RDWR | O_CLOEXEC))));

	OPERATION("open_close", 3, MEASURE(3, close(open(node, O_RDWR | O_CLOEXEC))));
	OPERATION("open_bind_close", 4, MEASURE(4, ({ fd = device_open(); ret |= bind_(fd); close(fd); })));
	OPERATION("bind", 5, ({ fd = device_open(); MEASURE(5, ret |= bind_(fd)); close(fd); }));

	fd = device_open();
	OPERATION("refused_get_info", 6, MEASURE(6, ret |= !ioctl(fd, VFIO_DEVICE_GET_INFO, &info)));
	close(fd);

	fd = device_open_bound();
	OPERATION("get_info", 7, MEASURE(7, ret |= ioctl(fd, VFIO_DEVICE_GET_INFO, &info)));
	OPERATION("get_region_info", 8, MEASURE(8, ret |= ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &region)));
	/* Of a feature that nobody has. */
	OPERATION("feature_probe", 9, MEASURE(9, ret |= !ioctl(fd, VFIO_DEVICE_FEATURE, &feature)));
	OPERATION("config_pread", 10,
		  MEASURE(10, ret |= pread(fd, &word, 4, (uint64_t)VFIO_PCI_CONFIG_REGION_INDEX << 40) != 4));
	OPERATION("attach", 11, ({ MEASURE(11, ret |= attach(fd, ioas[0])); ret |= detach(fd); }));
	OPERATION("replace", 12, ({ ret |= attach(fd, ioas[0]); MEASURE(12, ret |= attach(fd, ioas[1]));
				    ret |= detach(fd); }));
	OPERATION("detach", 13, ({ ret |= attach(fd, ioas[0]); MEASURE(13, ret |= detach(fd)); }));
	snprintf(fdinfo, sizeof(fdinfo), "/proc/self/fdinfo/%d", fd);
	info_fd = open(fdinfo, O_RDONLY | O_CLOEXEC);
	OPERATION("fdinfo", 16, MEASURE(16, ret |= pread(info_fd, text, sizeof(text), 0) <= 0));
	close(info_fd);
	close(fd);

	OPERATION("group_open_close", 14, MEASURE(14, close(open(group, O_RDWR | O_CLOEXEC))));
	fd = open(group, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fail(group);
	OPERATION("group_get_status", 15, MEASURE(15, ret |= ioctl(fd, VFIO_GROUP_GET_STATUS, &status)));
	close(fd);

	if (ret)
		printf("bench: an operation did not do what it must\n");
	return ret ? 1 : 0;
}
