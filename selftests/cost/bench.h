/* SPDX-License-Identifier: GPL-2.0-only */
/* What the programs of "make bench" share: devices, files, and the calls on them. */
#ifndef BENCH_H
#define BENCH_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/iommufd.h>
#include <linux/kvm.h>
#include <linux/vfio.h>

/* The Rust core logs ten refusals in five seconds.  The rounds come after these, within the five seconds. */
#define TOLD	20

/* A call that fails, or fails otherwise than it must, makes the program end with status 1. */
static int wrong;

#define MUST(call)		(wrong |= !(call))
#define REFUSED(call, error)	(wrong |= (call) != -1 || errno != (error))

static _Noreturn void fail(const char *what)
{
	printf("bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static inline int must_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fail(path);
	return fd;
}

/* The nodes of a device, whose folder in sysfs is @folder, and of its group. */
static inline void find_nodes(const char *folder, char node[64], char group[64])
{
	char path[256], target[256];
	struct dirent *entry;
	ssize_t length;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/vfio-dev", folder);
	dir = opendir(path);
	if (!dir)
		fail(path);
	node[0] = 0;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			snprintf(node, 64, "/dev/vfio/devices/%.20s", entry->d_name);
	closedir(dir);
	if (!node[0])
		fail("vfio-dev is empty");
	snprintf(path, sizeof(path), "%s/iommu_group", folder);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		fail(path);
	target[length] = 0;
	snprintf(group, 64, "/dev/vfio/%.20s", strrchr(target, '/') + 1);
}

static inline uint32_t new_ioas(int iommufd)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };

	if (ioctl(iommufd, IOMMU_IOAS_ALLOC, &alloc))
		fail("IOMMU_IOAS_ALLOC");
	return alloc.out_ioas_id;
}

static inline int bind_to(int fd, uint32_t argsz, int iommufd)
{
	struct vfio_device_bind_iommufd arg = { .argsz = argsz, .iommufd = iommufd };

	return ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &arg);
}

#define BIND_SIZE sizeof(struct vfio_device_bind_iommufd)

static inline int attach(int fd, uint32_t pt)
{
	struct vfio_device_attach_iommufd_pt arg = { .argsz = sizeof(arg), .pt_id = pt };

	return ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &arg);
}

static inline int detach(int fd)
{
	struct vfio_device_detach_iommufd_pt arg = { .argsz = sizeof(arg) };

	return ioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &arg);
}

static inline int open_bound(const char *node, int iommufd)
{
	int fd = must_open(node);

	if (bind_to(fd, BIND_SIZE, iommufd))
		fail("BIND_IOMMUFD");
	return fd;
}

/* KVM's VFIO device, to which files are added. */
static inline int new_kvm_vfio(void)
{
	struct kvm_create_device device = { .type = KVM_DEV_TYPE_VFIO };
	int vm = ioctl(must_open("/dev/kvm"), KVM_CREATE_VM, 0);

	if (vm < 0 || ioctl(vm, KVM_CREATE_DEVICE, &device))
		fail("KVM");
	return device.fd;
}

static inline int kvm_file(int kvm_vfio, uint64_t attr, int32_t fd)
{
	struct kvm_device_attr arg = {
		.group = KVM_DEV_VFIO_FILE, .attr = attr, .addr = (uintptr_t)&fd,
	};

	return ioctl(kvm_vfio, KVM_SET_DEVICE_ATTR, &arg);
}

/* The text of a file's /proc/self/fdinfo, which stays open. */
static inline int fdinfo_of(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static inline int end(void)
{
	if (wrong)
		printf("bench: an operation did not do what it must\n");
	return wrong;
}

#endif
