// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "container.h"
#include "core.h"
#include "iommufd.h"
#include "way.h"

static int open_cdev(const struct pci *pci, const void *token, const struct opened *with,
		     struct opened *o)
{
	uint32_t pt;
	int ret;

	o->fd = cdev_open(pci);
	if (o->fd < 0)
		return o->fd;
	ret = token ? cdev_bind_token(o->fd, o->space, token, &o->devid) :
		      cdev_bind(o->fd, o->space, &o->devid);
	if (ret)
		return ret;
	o->ioas = with ? with->ioas : 0;
	ret = with ? 0 : ioas_alloc(o->space, &o->ioas);
	if (ret)
		return ret;
	pt = o->ioas;
	return cdev_attach(o->fd, &pt);
}

/* "ADDRESS vf_token=UUID", as vfio-pci reads it. */
static void name_with_token(const struct pci *pci, const uint8_t *token, char *name, size_t size)
{
	size_t n = snprintf(name, size, "%s", pci->bdf);

	if (!token)
		return;
	n += snprintf(name + n, size - n, " vf_token=");
	for (int i = 0; i < 16; i++)
		n += snprintf(name + n, size - n, "%s%02x",
			      i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", token[i]);
}

static int open_legacy(const struct pci *pci, const void *token, const struct opened *with,
		       struct opened *o)
{
	char name[128];
	int ret;

	o->group = group_open(pci);
	if (o->group < 0)
		return o->group;
	ret = group_set(o->group, o->space);
	if (ret)
		return ret;
	if (o->way == WAY_CONTAINER && !with) {
		ret = container_set_iommu(o->space, VFIO_TYPE1v2_IOMMU);
		if (ret)
			return ret;
	}
	name_with_token(pci, token, name, sizeof(name));
	o->fd = group_device(o->group, name);
	return o->fd < 0 ? o->fd : 0;
}

int way_open(enum way way, const struct pci *pci, const void *token, const struct opened *with,
	     struct opened *o)
{
	int ret;

	*o = OPENED_NONE;
	o->way = way;
	if (with)
		o->space = fcntl(with->space, F_DUPFD_CLOEXEC, 0);
	else
		o->space = way == WAY_CONTAINER ? container_open() : iommufd_open();
	if (o->space < 0)
		return o->space;
	ret = way == WAY_CDEV ? open_cdev(pci, token, with, o) : open_legacy(pci, token, with, o);
	if (ret)
		way_close(o);
	return ret;
}

int way_open_vfio(enum way way, const struct pci *pci, struct opened *o)
{
	int ret = pci_to_vfio(pci);

	*o = OPENED_NONE;
	return ret ? ret : way_open(way, pci, NULL, NULL, o);
}

void *way_bar(struct opened *o)
{
	o->bar = cdev_map_bar(o->fd, 0, &o->bar_size);
	return o->bar;
}

void way_close(struct opened *o)
{
	if (o->bar)
		munmap(o->bar, o->bar_size);
	o->bar = NULL;
	close_fd(&o->fd);
	close_fd(&o->group);
	close_fd(&o->space);
}

int way_map(const struct opened *o, void *va, size_t size, uint64_t iova)
{
	return o->way == WAY_CDEV ? ioas_map(o->space, o->ioas, va, size, iova) :
				    compat_map(o->space, va, size, iova);
}

int way_unmap(const struct opened *o, uint64_t iova, size_t size)
{
	return o->way == WAY_CDEV ? ioas_unmap(o->space, o->ioas, iova, size) :
				    compat_unmap(o->space, iova, size);
}
