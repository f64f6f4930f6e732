// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>

#include "core.h"
#include "iommufd.h"
#include "kmsg.h"
#include "noiommu.h"
#include "task.h"

bool set_noiommu(const char *value)
{
	return !sysfs_write(NOIOMMU_PARAMETER, value);
}

/* Of Linux 7.3: the headers of 7.2 do not have it. */
#ifndef IOMMU_IOAS_NOIOMMU_GET_PA
#define IOMMU_IOAS_NOIOMMU_GET_PA _IO(IOMMUFD_TYPE, 0x95)
#endif

int noiommu_phys(int iommufd, uint32_t ioas, uint64_t iova, uint64_t *phys)
{
	struct {
		uint32_t size, flags, ioas_id, reserved;
		uint64_t iova, length, phys;
	} arg = { .size = sizeof(arg), .ioas_id = ioas, .iova = iova, .length = 4096 };
	int ret = xioctl(iommufd, IOMMU_IOAS_NOIOMMU_GET_PA, &arg);

	*phys = arg.phys;
	return ret;
}

bool noiommu_has_nodes(void)
{
	int iommufd = iommufd_open(), ret;
	uint64_t phys;

	if (iommufd < 0)
		return false;
	ret = noiommu_phys(iommufd, 0, 0, &phys);
	close(iommufd);
	return ret != -ENOTTY && ret != -EOPNOTSUPP;
}

int noiommu_group_of(const struct pci *pci)
{
	char path[128];
	int group;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", pci->bdf);
	group = sysfs_group(path);
	return group < 0 ? -1 : group;
}

void noiommu_group_path(const struct pci *pci, char *buf, size_t size)
{
	snprintf(buf, size, "/dev/vfio/noiommu-%d", noiommu_group_of(pci));
}

int drop_rawio(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data))
		return -errno;
	data[CAP_TO_INDEX(CAP_SYS_RAWIO)].effective &= ~CAP_TO_MASK(CAP_SYS_RAWIO);
	return syscall(SYS_capset, &head, data) ? -errno : 0;
}

struct call {
	int (*fn)(void *arg);
	void *arg;
};

static int drop_and_call(void *arg)
{
	const struct call *call = arg;
	int ret = drop_rawio();

	return ret ? ret : call->fn(call->arg);
}

int without_rawio(int (*fn)(void *arg), void *arg)
{
	struct call call = { fn, arg };
	struct task task;
	int ret = task_start(&task, drop_and_call, &call);

	return ret ? ret : task_join(&task);
}

struct passed {
	int fd, sock;
	int (*fn)(int fd, void *arg);
	void *arg;
};

static int receive_and_call(void *arg)
{
	const struct passed *p = arg;
	int ret = drop_rawio(), fd;

	/* The one that the fork made. */
	close(p->fd);
	if (ret)
		return ret;
	fd = fd_receive(p->sock);
	return fd < 0 ? fd : p->fn(fd, p->arg);
}

int passed_without_rawio(int fd, int (*fn)(int fd, void *arg), void *arg)
{
	int sock[2], ret;
	struct passed p;
	struct task task;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock))
		return -errno;
	p = (struct passed){ fd, sock[1], fn, arg };
	ret = task_start(&task, receive_and_call, &p);
	if (!ret) {
		ret = fd_send(sock[0], fd);
		/* Without the file it ends with an error. */
		close(sock[0]);
		ret = task_join(&task) ?: ret;
	} else {
		close(sock[0]);
	}
	close(sock[1]);
	return ret;
}

bool logged(int log, const char *what)
{
	return kmsg_wait(log, what, 0, NULL, 0);
}
