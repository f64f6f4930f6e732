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
#include "open_path.h"

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

static int begin(enum open_path open_path, const struct opened *with, struct opened *o)
{
	*o = OPENED_NONE;
	o->open_path = open_path;
	if (with)
		o->space = fcntl(with->space, F_DUPFD_CLOEXEC, 0);
	else
		o->space = open_path == OPEN_CONTAINER ? container_open() : iommufd_open();
	return o->space < 0 ? o->space : 0;
}

/* With the file of the device's own node, or of its group's. */
static int begin_with(int file, struct opened *o)
{
	if (file < 0)
		return file;
	if (o->open_path == OPEN_CDEV) {
		o->fd = file;
		return 0;
	}
	o->group = file;
	return o->open_path == OPEN_GROUP ? group_set(o->group, o->space) : 0;
}

int open_path_begin(enum open_path open_path, const struct pci *pci, const struct opened *with,
		    struct opened *o)
{
	int ret = begin(open_path, with, o);

	return ret ? ret : begin_with(open_path == OPEN_CDEV ? cdev_open(pci) : group_open(pci), o);
}

static int claim(const char *device, const void *token, struct opened *o)
{
	switch (o->open_path) {
	case OPEN_CDEV:
		return token ? cdev_bind_token(o->fd, o->space, token, &o->devid) :
			       cdev_bind(o->fd, o->space, &o->devid);
	case OPEN_GROUP:
		return open_device(device, token, o);
	default:
		return group_set(o->group, o->space);
	}
}

int open_path_claim(const struct pci *pci, const void *token, struct opened *o)
{
	return claim(pci->bdf, token, o);
}

static int finish(const char *device, const void *token, const struct opened *with,
		  struct opened *o)
{
	uint32_t pt;
	int ret;

	switch (o->open_path) {
	case OPEN_CDEV:
		o->ioas = with ? with->ioas : 0;
		ret = with ? 0 : ioas_alloc(o->space, &o->ioas);
		if (ret)
			return ret;
		pt = o->ioas;
		return cdev_attach(o->fd, &pt);
	case OPEN_GROUP:
		return 0;
	default:
		ret = with ? 0 : container_set_iommu(o->space, VFIO_TYPE1v2_IOMMU);
		return ret ? ret : open_device(device, token, o);
	}
}

int open_path_finish(const struct pci *pci, const void *token, const struct opened *with,
		     struct opened *o)
{
	return finish(pci->bdf, token, with, o);
}

int open_path_open(enum open_path open_path, const struct pci *pci, const void *token,
		   const struct opened *with, struct opened *o)
{
	int ret = open_path_begin(open_path, pci, with, o);

	if (!ret)
		ret = open_path_claim(pci, token, o);
	if (!ret)
		ret = open_path_finish(pci, token, with, o);
	if (ret)
		open_path_close(o);
	return ret;
}

int open_path_open_vfio(enum open_path open_path, const struct pci *pci, struct opened *o)
{
	int ret = pci_to_vfio(pci);

	*o = OPENED_NONE;
	return ret ? ret : open_path_open(open_path, pci, NULL, NULL, o);
}

int open_path_open_below(enum open_path open_path, const char *parent, const char *name,
			 const struct opened *with, struct opened *o)
{
	int ret = begin(open_path, with, o);

	if (!ret)
		ret = begin_with(open_path == OPEN_CDEV ? cdev_open_below(parent) :
							  group_open_below(parent), o);
	if (!ret)
		ret = claim(name, NULL, o);
	if (!ret)
		ret = finish(name, NULL, with, o);
	if (ret)
		open_path_close(o);
	return ret;
}

enum open_path open_path_usual(void)
{
	return has_iommufd() ? OPEN_CDEV : OPEN_CONTAINER;
}

const char *open_path_lacks(enum open_path open_path)
{
	if (open_path != OPEN_CONTAINER && !has_iommufd())
		return NO_IOMMUFD;
	if (open_path != OPEN_CDEV && !has_groups())
		return NO_GROUPS;
	return open_path == OPEN_CONTAINER && !has_containers() ? NO_CONTAINERS : NULL;
}

void *open_path_bar(struct opened *o)
{
	o->bar = cdev_map_bar(o->fd, 0, &o->bar_size);
	return o->bar;
}

void open_path_close(struct opened *o)
{
	if (o->bar)
		munmap(o->bar, o->bar_size);
	o->bar = NULL;
	close_fd(&o->fd);
	close_fd(&o->group);
	close_fd(&o->space);
}

int open_path_map(const struct opened *o, void *va, size_t size, uint64_t iova)
{
	return o->open_path == OPEN_CDEV ? ioas_map(o->space, o->ioas, va, size, iova) :
					     compat_map(o->space, va, size, iova);
}

int open_path_unmap(const struct opened *o, uint64_t iova, size_t size)
{
	return o->open_path == OPEN_CDEV ? ioas_unmap(o->space, o->ioas, iova, size) :
					     compat_unmap(o->space, iova, size);
}

#define PAGE 4096u
#define IOVA 0x10000000ULL

bool open_path_edu_works(const struct opened *o)
{
	char *page = pages_alloc(2 * PAGE);
	volatile void *bar;
	size_t size;
	bool works;

	bar = cdev_enable_dma(o->fd) ? NULL : cdev_map_bar(o->fd, 0, &size);
	if (!bar || open_path_map(o, page, 2 * PAGE, IOVA))
		return false;
	memset(page, 0x77, PAGE);
	works = edu_dma_in(bar, IOVA, PAGE) && edu_dma_out(bar, IOVA + PAGE, PAGE) &&
		!memcmp(page, page + PAGE, PAGE);
	return !munmap((void *)bar, size) && !open_path_unmap(o, IOVA, 2 * PAGE) &&
	       !munmap(page, 2 * PAGE) && works;
}
