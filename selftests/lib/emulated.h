/* SPDX-License-Identifier: GPL-2.0-only */
/* The driver of emulated devices (testdrv.h), and memory in an iommufd for them. */
#ifndef LIB_EMULATED_H
#define LIB_EMULATED_H

#include "testdrv.h"

#define EMULATED_IOVA 0x100000u
#define EMULATED_PAGES 8

struct emulated {
	int drv, iommufd;
	uint32_t ioas;
	uint64_t *words;	/* EMULATED_PAGES at EMULATED_IOVA, as of numbered_pages() */
	struct testdrv_calls calls;
};

/* No device is created.  -ENOENT without the driver. */
int emulated_open(struct emulated *e);
/* As testdrv_close(). */
int emulated_close(struct emulated *e);

#endif
