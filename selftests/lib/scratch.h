/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A scratch register of a device, an igb or an nvme: a register that keeps what is written and
 * that a reset clears.
 */
#ifndef LIB_SCRATCH_H
#define LIB_SCRATCH_H

#include <stdint.h>

/* Leaves it on the device of that ID, by its file; enables its memory. */
int scratch_set(int fd, uint32_t id);
/* 1 if it is there, 0 if it is not, or -errno. */
int scratch_there(int fd, uint32_t id);

#endif
