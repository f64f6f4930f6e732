// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "core.h"
#include "group.h"
#include "sva.h"
#include "sva_dma.h"
#include "sva_file.h"

/* Ends the test before it begins. */
static int skip(struct sva_setup *sva, const char *why)
{
	int ret = sva_tear_down(sva);

	snprintf(sva->why, sizeof(sva->why), "%s", why);
	return ret ? ret : 1;
}

/* @file binds processes; or the core is that in C, and says that it has no such ioctl. */
static int check_core(struct sva_setup *sva, int file)
{
	if (core_is_rust())
		return 0;
	return process_bind(file, NULL) == -ENOTTY ? skip(sva, NO_PROCESSES) : -EPROTO;
}

int sva_session_open(struct sva_setup *sva, struct session *s)
{
	int ret = sva_set_up(sva, 2);

	if (!ret)
		ret = session_open(&sva->pci[0], s);
	return ret ? ret : check_core(sva, s->fd);
}

int sva_boxed_open(struct sva_setup *sva, struct boxed *box)
{
	int ret;

	*sva = SVA_NONE;
	if (access(CONTAINER, F_OK))
		return skip(sva, NO_CONTAINERS);
	ret = sva_set_up(sva, 2);
	if (!ret)
		ret = boxed_open(&sva->pci[0], box);
	return ret ? ret : check_core(sva, box->container);
}

static int check_dma(struct sva_setup *sva, int fd)
{
	return has_dma(sva->control, &sva->pci[0]) ? cdev_enable_dma(fd) : skip(sva, NO_DMA);
}

int sva_session_open_dma(struct sva_setup *sva, struct session *s)
{
	int ret = sva_session_open(sva, s);

	return ret ? ret : check_dma(sva, s->fd);
}

int sva_boxed_open_dma(struct sva_setup *sva, struct boxed *box)
{
	int ret = sva_boxed_open(sva, box);

	return ret ? ret : check_dma(sva, box->fd);
}
