// SPDX-License-Identifier: GPL-2.0-only
#include <unistd.h>

#include "emulated.h"
#include "iommufd.h"
#include "pages.h"

int emulated_open(struct emulated *e)
{
	int ret;

	e->drv = testdrv_open();
	if (e->drv < 0)
		return e->drv;
	e->iommufd = iommufd_open();
	if (e->iommufd < 0)
		return e->iommufd;
	e->words = numbered_pages(EMULATED_PAGES);
	ret = ioas_alloc(e->iommufd, &e->ioas);
	return ret ? ret : ioas_map(e->iommufd, e->ioas, e->words,
				    EMULATED_PAGES * getpagesize(), EMULATED_IOVA);
}

int emulated_close(struct emulated *e)
{
	return testdrv_close(e->drv);
}
