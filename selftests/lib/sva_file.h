/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The files by which processes are bound: of a device, or a container.  The functions find two
 * devices (sva_set_up()) and open the first of them.  The result is that of sva_set_up(): also 1,
 * with the reason, on the core in C, whose files do not know the ioctls.
 */
#ifndef LIB_SVA_FILE_H
#define LIB_SVA_FILE_H

#include "cdev.h"
#include "container.h"
#include "sva_setup.h"

int sva_session_open(struct sva_setup *sva, struct session *s);
int sva_boxed_open(struct sva_setup *sva, struct boxed *box);
/* The same for a test of DMA (sva_dma.h): the device can do DMA, and is a bus master. */
int sva_session_open_dma(struct sva_setup *sva, struct session *s);
int sva_boxed_open_dma(struct sva_setup *sva, struct boxed *box);

#endif
