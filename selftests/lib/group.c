// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "core.h"
#include "group.h"
#include "iommufd.h"
#include "space.h"

int group_open(const struct pci *pci)
{
	char path[128];

	pci_group_path(pci, path, sizeof(path));
	return open_node(path);
}

int group_open_below(const char *parent)
{
	int group = sysfs_group(parent);
	char path[64];

	if (group < 0)
		return group;
	snprintf(path, sizeof(path), "/dev/vfio/%d", group);
	if (access(path, F_OK))
		snprintf(path, sizeof(path), "/dev/vfio/noiommu-%d", group);
	return open_node(path);
}

bool group_is_free(const struct pci *pci)
{
	int fd = group_open(pci);

	if (fd >= 0)
		close(fd);
	return fd >= 0 || !has_groups();
}

bool group_is_busy(const struct pci *pci)
{
	int fd = group_open(pci);

	if (fd >= 0)
		close(fd);
	return fd == -EBUSY || !has_groups();
}

int group_flags(int group)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	int ret = xioctl(group, VFIO_GROUP_GET_STATUS, &status);

	return ret ? ret : (int)status.flags;
}

int group_set(int group, int fd)
{
	return xioctl(group, VFIO_GROUP_SET_CONTAINER, &fd);
}

int group_unset(int group)
{
	return xioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL);
}

int group_device(int group, const char *name)
{
	return xioctl(group, VFIO_GROUP_GET_DEVICE_FD, (void *)name);
}

static int vfio_ioas(int iommufd, uint16_t op, uint32_t *id)
{
	struct iommu_vfio_ioas arg = {
		.size = sizeof(arg),
		.ioas_id = *id,
		.op = op,
	};
	int ret = xioctl(iommufd, IOMMU_VFIO_IOAS, &arg);

	if (!ret)
		*id = arg.ioas_id;
	return ret;
}

int compat_ioas_get(int iommufd, uint32_t *id)
{
	*id = 0;
	return vfio_ioas(iommufd, IOMMU_VFIO_IOAS_GET, id);
}

int compat_ioas_set(int iommufd, uint32_t id)
{
	return vfio_ioas(iommufd, IOMMU_VFIO_IOAS_SET, &id);
}

int compat_ioas_clear(int iommufd)
{
	uint32_t id = 0;

	return vfio_ioas(iommufd, IOMMU_VFIO_IOAS_CLEAR, &id);
}

int compat_map(int iommufd, void *va, size_t size, uint64_t iova)
{
	struct vfio_iommu_type1_dma_map arg = {
		.argsz = sizeof(arg),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)va,
		.iova = iova,
		.size = size,
	};

	return xioctl(iommufd, VFIO_IOMMU_MAP_DMA, &arg);
}

int compat_unmap(int iommufd, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_unmap arg = {
		.argsz = sizeof(arg),
		.iova = iova,
		.size = size,
	};

	return xioctl(iommufd, VFIO_IOMMU_UNMAP_DMA, &arg);
}

int legacy_open(const struct pci *pci, struct legacy *l)
{
	int ret;

	*l = (struct legacy){ -1, -1, -1 };
	ret = pci_to_vfio(pci);
	if (ret)
		return ret;
	l->group = group_open(pci);
	if (l->group < 0)
		return l->group;
	l->space = space_open();
	if (l->space < 0)
		return l->space;
	ret = space_set(l->group, l->space);
	if (ret)
		return ret;
	l->fd = group_device(l->group, pci->bdf);
	return l->fd < 0 ? l->fd : 0;
}

void legacy_close(struct legacy *l)
{
	close_fd(&l->fd);
	close_fd(&l->group);
	close_fd(&l->space);
}
