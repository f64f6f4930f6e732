// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>

#include "container.h"
#include "core.h"

int container_open(void)
{
	return open_node(CONTAINER);
}

int container_check(int container, unsigned long extension)
{
	return xioctl(container, VFIO_CHECK_EXTENSION, (void *)extension);
}

int container_set_iommu(int container, unsigned long type)
{
	return xioctl(container, VFIO_SET_IOMMU, (void *)type);
}

int container_unknown(int container)
{
	return xioctl(container, _IO(VFIO_TYPE, VFIO_BASE + 99), NULL);
}

int boxed_join(const struct pci *pci, int container, struct boxed *b)
{
	int ret;

	*b = BOXED_NONE;
	b->container = container;
	ret = pci_to_vfio(pci);
	if (ret)
		return ret;
	b->group = group_open(pci);
	if (b->group < 0)
		return b->group;
	ret = group_set(b->group, container);
	if (ret)
		return ret;
	/* Without a driver no ioctl leads anywhere. */
	if (container_unknown(container) == -EINVAL) {
		ret = container_set_iommu(container, VFIO_TYPE1v2_IOMMU);
		if (ret)
			return ret;
	}
	b->fd = group_device(b->group, pci->bdf);
	return b->fd < 0 ? b->fd : 0;
}

int boxed_open(const struct pci *pci, struct boxed *b)
{
	int container = container_open();

	*b = BOXED_NONE;
	return container < 0 ? container : boxed_join(pci, container, b);
}

void boxed_close(struct boxed *b)
{
	close_fd(&b->fd);
	close_fd(&b->group);
	close_fd(&b->container);
}
