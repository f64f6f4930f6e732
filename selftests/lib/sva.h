/* SPDX-License-Identifier: GPL-2.0-only */
/* The ioctls of shared virtual addressing, which the core in C does not have. */
#ifndef LIB_SVA_H
#define LIB_SVA_H

#include <stdint.h>
#include <linux/vfio_sva.h>

/* Of a device's file or a container, for the caller. */
int process_bind(int fd, uint32_t *pasid);
int process_unbind(int fd);
/* The feature, of a device's file: with GET the number of PASIDs. */
int sva_feature(int fd, uint32_t flags, uint32_t *max_pasids);

#endif
