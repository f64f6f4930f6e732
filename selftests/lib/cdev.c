// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "cdev.h"
#include "core.h"
#include "iommufd.h"

int cdev_open_below(const char *parent)
{
	char path[256], name[64];
	int ret;

	snprintf(path, sizeof(path), "%s/vfio-dev", parent);
	ret = sysfs_entry(path, 0, name, sizeof(name));
	if (ret)
		return ret;
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", name);
	return open_node(path);
}

int cdev_open(const struct pci *pci)
{
	char path[128];
	int ret = pci_cdev_path(pci, path, sizeof(path));

	return ret ? ret : open_node(path);
}

static int bind_flags(int fd, int iommufd, uint32_t flags, const void *uuid,
		      uint32_t *devid)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.flags = flags,
		.iommufd = iommufd,
		.token_uuid_ptr = (uintptr_t)uuid,
	};
	int ret = xioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind);

	if (!ret && devid)
		*devid = bind.out_devid;
	return ret;
}

int cdev_bind(int fd, int iommufd, uint32_t *devid)
{
	return bind_flags(fd, iommufd, 0, NULL, devid);
}

int cdev_bind_op(void *op)
{
	const struct bind_op *bind = op;

	return cdev_bind(bind->fd, bind->iommufd, NULL);
}

int cdev_attach_op(void *op)
{
	struct attach_op *o = op;

	return cdev_attach(o->fd, &o->pt);
}

int cdev_bind_token(int fd, int iommufd, const void *uuid, uint32_t *devid)
{
	return bind_flags(fd, iommufd, VFIO_DEVICE_BIND_FLAG_TOKEN, uuid,
			  devid);
}

int cdev_set_token(int fd, const void *uuid)
{
	struct {
		struct vfio_device_feature head;
		char uuid[16];
	} arg = {
		.head = {
			.argsz = sizeof(arg),
			.flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN,
		},
	};

	memcpy(arg.uuid, uuid, sizeof(arg.uuid));
	return xioctl(fd, VFIO_DEVICE_FEATURE, &arg);
}

static int attach_flags(int fd, uint32_t flags, uint32_t pasid,
			uint32_t *pt_id)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.flags = flags,
		.pt_id = *pt_id,
		.pasid = pasid,
	};
	int ret = xioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);

	if (!ret)
		*pt_id = attach.pt_id;
	return ret;
}

int cdev_attach(int fd, uint32_t *pt_id)
{
	return attach_flags(fd, 0, 0, pt_id);
}

int cdev_attach_pasid(int fd, uint32_t pasid, uint32_t *pt_id)
{
	return attach_flags(fd, VFIO_DEVICE_ATTACH_PASID, pasid, pt_id);
}

static int detach_flags(int fd, uint32_t flags, uint32_t pasid)
{
	struct vfio_device_detach_iommufd_pt detach = {
		.argsz = sizeof(detach),
		.flags = flags,
		.pasid = pasid,
	};

	return xioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
}

int cdev_detach(int fd)
{
	return detach_flags(fd, 0, 0);
}

int cdev_detach_pasid(int fd, uint32_t pasid)
{
	return detach_flags(fd, VFIO_DEVICE_DETACH_PASID, pasid);
}

int device_info(int fd)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	return xioctl(fd, VFIO_DEVICE_GET_INFO, &info);
}

int cdev_region(int fd, uint32_t index, struct vfio_region_info *info)
{
	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	info->index = index;
	return xioctl(fd, VFIO_DEVICE_GET_REGION_INFO, info);
}

int cdev_irq_info(int fd, uint32_t index, struct vfio_irq_info *info)
{
	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	info->index = index;
	return xioctl(fd, VFIO_DEVICE_GET_IRQ_INFO, info);
}

void *cdev_map_bar(int fd, uint32_t index, size_t *size)
{
	struct vfio_region_info info;
	void *p;

	if (cdev_region(fd, index, &info) || !info.size)
		return NULL;
	p = mmap64(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		   info.offset);
	if (p == MAP_FAILED)
		return NULL;
	if (size)
		*size = info.size;
	return p;
}

bool bar_answers(const volatile void *at)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		signal(SIGBUS, SIG_DFL);
		(void)*(const volatile uint32_t *)at;
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (WIFEXITED(status))
		return true;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS)
		return false;
	abort();
}

int config_read(int fd, uint32_t offset, void *buf, size_t size)
{
	struct vfio_region_info info;
	ssize_t n;

	if (cdev_region(fd, VFIO_PCI_CONFIG_REGION_INDEX, &info))
		return -errno;
	n = pread64(fd, buf, size, info.offset + offset);
	return n < 0 ? -errno : n;
}

int config_write(int fd, uint32_t offset, const void *buf, size_t size)
{
	struct vfio_region_info info;
	ssize_t n;

	if (cdev_region(fd, VFIO_PCI_CONFIG_REGION_INDEX, &info))
		return -errno;
	n = pwrite64(fd, buf, size, info.offset + offset);
	return n < 0 ? -errno : n;
}

int config_find(int fd, uint8_t capability)
{
	uint8_t at = PCI_CAPABILITY_LIST, id;

	/* No more than there is room for, so that a ring of them ends. */
	for (int left = PCI_CFG_SPACE_SIZE / 4; left; left--) {
		if (config_read(fd, at, &at, 1) != 1)
			return -EIO;
		if (!at)
			break;
		if (config_read(fd, at, &id, 1) != 1)
			return -EIO;
		if (id == capability)
			return at;
		at += PCI_CAP_LIST_NEXT;
	}
	return -ENOENT;
}

int cdev_enable_dma(int fd)
{
	uint16_t command;
	int ret = config_read(fd, PCI_COMMAND, &command, sizeof(command));

	if (ret < 0)
		return ret;
	command |= PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	command &= ~PCI_COMMAND_INTX_DISABLE;
	ret = config_write(fd, PCI_COMMAND, &command, sizeof(command));
	return ret < 0 ? ret : 0;
}

int cdev_set_irqs(int fd, uint32_t index, uint32_t flags, uint32_t start,
		  uint32_t count, const int32_t *eventfds)
{
	struct {
		struct vfio_irq_set set;
		int32_t fds[64];
	} arg = {
		.set = {
			.argsz = sizeof(arg.set),
			.flags = flags,
			.index = index,
			.start = start,
			.count = count,
		},
	};

	if (eventfds) {
		memcpy(arg.fds, eventfds, count * sizeof(*eventfds));
		arg.set.argsz += count * sizeof(*eventfds);
	}
	return xioctl(fd, VFIO_DEVICE_SET_IRQS, &arg);
}

int session_open_node(const struct pci *pci, struct session *s)
{
	int ret;

	*s = SESSION_NONE;
	ret = pci_to_vfio(pci);
	if (ret)
		return ret;
	s->fd = cdev_open(pci);
	return s->fd < 0 ? s->fd : 0;
}

int session_open_unbound(const struct pci *pci, struct session *s)
{
	int ret = session_open_node(pci, s);

	if (ret)
		return ret;
	s->iommufd = iommufd_open();
	return s->iommufd < 0 ? s->iommufd : 0;
}

int session_open(const struct pci *pci, struct session *s)
{
	int ret = session_open_unbound(pci, s);

	if (ret)
		return ret;
	ret = cdev_bind(s->fd, s->iommufd, &s->devid);
	if (ret)
		return ret;
	ret = ioas_alloc(s->iommufd, &s->ioas);
	if (ret)
		return ret;
	s->hwpt = s->ioas;
	return cdev_attach(s->fd, &s->hwpt);
}

void session_close(struct session *s)
{
	close_fd(&s->fd);
	close_fd(&s->iommufd);
}

void *session_to_mapping(struct session *s, size_t *size)
{
	void *bar;

	if (cdev_bind(s->fd, s->iommufd, NULL) || cdev_enable_dma(s->fd))
		return NULL;
	bar = cdev_map_bar(s->fd, 0, size);
	if (bar && madvise(bar, *size, MADV_DONTFORK))
		return NULL;
	close_fd(&s->fd);
	return bar;
}
