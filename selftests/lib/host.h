/* SPDX-License-Identifier: GPL-2.0-only */
/* Drivers of the host, which want a device that user space may own, or its sibling. */
#ifndef LIB_HOST_H
#define LIB_HOST_H

#include "sysfs.h"

/* The module drivers/dma_host.c: a driver as most are, and one that does without DMA. */
#define HOST_MODULE	"dma_host"
#define HOST_PLAIN	"dma-host"
#define HOST_MANAGED	"dma-managed"

/* What the driver's own file says to the device: 0 and it is bound, or -errno. */
int host_bind(const struct pci *pci, const char *driver);
/*
 * May that driver have the device, which has none, right now?  Asks by both of the files
 * that sysfs has.  0: yes, and it has let it go again; -EBUSY: no, its DMA is somebody
 * else's; -EPROTO: they do not agree with one another, or with what came of it.
 */
int host_may_have(const struct pci *pci, const char *driver);

#endif
