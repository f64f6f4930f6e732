// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "container.h"
#include "core.h"
#include "edu.h"
#include "iommufd.h"
#include "way.h"

/* "ADDRESS vf_token=UUID", as vfio-pci reads it. */
static void name_with_token(const char *device, const uint8_t *token, char *name, size_t size)
{
	size_t n = snprintf(name, size, "%s", device);

	if (!token)
		return;
	n += snprintf(name + n, size - n, " vf_token=");
	for (int i = 0; i < 16; i++)
		n += snprintf(name + n, size - n, "%s%02x",
			      i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", token[i]);
}

static int open_device(const char *device, const void *token, struct opened *o)
{
	char name[128];

	name_with_token(device, token, name, sizeof(name));
	o->fd = group_device(o->group, name);
	return o->fd < 0 ? o->fd : 0;
}

static int begin(enum way way, const struct opened *with, struct opened *o)
{
	*o = OPENED_NONE;
	o->way = way;
	if (with)
		o->space = fcntl(with->space, F_DUPFD_CLOEXEC, 0);
	else
		o->space = way == WAY_CONTAINER ? container_open() : iommufd_open();
	return o->space < 0 ? o->space : 0;
}

/* With the file of the device's own node, or of its group's. */
static int begin_with(int file, struct opened *o)
{
	if (file < 0)
		return file;
	if (o->way == WAY_CDEV) {
		o->fd = file;
		return 0;
	}
	o->group = file;
	return o->way == WAY_GROUP ? group_set(o->group, o->space) : 0;
}

int way_begin(enum way way, const struct pci *pci, const struct opened *with, struct opened *o)
{
	int ret = begin(way, with, o);

	return ret ? ret : begin_with(way == WAY_CDEV ? cdev_open(pci) : group_open(pci), o);
}

static int claim(const char *device, const void *token, struct opened *o)
{
	switch (o->way) {
	case WAY_CDEV:
		return token ? cdev_bind_token(o->fd, o->space, token, &o->devid) :
			       cdev_bind(o->fd, o->space, &o->devid);
	case WAY_GROUP:
		return open_device(device, token, o);
	default:
		return group_set(o->group, o->space);
	}
}

int way_claim(const struct pci *pci, const void *token, struct opened *o)
{
	return claim(pci->bdf, token, o);
}

static int finish(const char *device, const void *token, const struct opened *with,
		  struct opened *o)
{
	uint32_t pt;
	int ret;

	switch (o->way) {
	case WAY_CDEV:
		o->ioas = with ? with->ioas : 0;
		ret = with ? 0 : ioas_alloc(o->space, &o->ioas);
		if (ret)
			return ret;
		pt = o->ioas;
		return cdev_attach(o->fd, &pt);
	case WAY_GROUP:
		return 0;
	default:
		ret = with ? 0 : container_set_iommu(o->space, VFIO_TYPE1v2_IOMMU);
		return ret ? ret : open_device(device, token, o);
	}
}

int way_finish(const struct pci *pci, const void *token, const struct opened *with,
	       struct opened *o)
{
	return finish(pci->bdf, token, with, o);
}

int way_open(enum way way, const struct pci *pci, const void *token, const struct opened *with,
	     struct opened *o)
{
	int ret = way_begin(way, pci, with, o);

	if (!ret)
		ret = way_claim(pci, token, o);
	if (!ret)
		ret = way_finish(pci, token, with, o);
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

int way_open_below(enum way way, const char *parent, const char *name,
		   const struct opened *with, struct opened *o)
{
	int ret = begin(way, with, o);

	if (!ret)
		ret = begin_with(way == WAY_CDEV ? cdev_open_below(parent) :
						   group_open_below(parent), o);
	if (!ret)
		ret = claim(name, NULL, o);
	if (!ret)
		ret = finish(name, NULL, with, o);
	if (ret)
		way_close(o);
	return ret;
}

enum way way_usual(void)
{
	return has_iommufd() ? WAY_CDEV : WAY_CONTAINER;
}

const char *way_lacks(enum way way)
{
	if (way != WAY_CONTAINER && !has_iommufd())
		return NO_IOMMUFD;
	if (way != WAY_CDEV && !has_groups())
		return NO_GROUPS;
	return way == WAY_CONTAINER && !has_containers() ? NO_CONTAINERS : NULL;
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

#define PAGE 4096u
#define IOVA 0x10000000ULL

bool way_edu_works(const struct opened *o)
{
	char *page = pages_alloc(2 * PAGE);
	volatile void *bar;
	size_t size;
	bool works;

	bar = cdev_enable_dma(o->fd) ? NULL : cdev_map_bar(o->fd, 0, &size);
	if (!bar || way_map(o, page, 2 * PAGE, IOVA))
		return false;
	memset(page, 0x77, PAGE);
	works = edu_dma_in(bar, IOVA, PAGE) && edu_dma_out(bar, IOVA + PAGE, PAGE) &&
		!memcmp(page, page + PAGE, PAGE);
	return !munmap((void *)bar, size) && !way_unmap(o, IOVA, 2 * PAGE) &&
	       !munmap(page, 2 * PAGE) && works;
}
