/* SPDX-License-Identifier: GPL-2.0-only */
/* Failing allocations: the kernel's fault injection, by /proc/PID/task/TID/fail-nth. */
#ifndef LIB_FAULT_H
#define LIB_FAULT_H

#include <stdbool.h>

/* For the calling thread; -ENOENT if the kernel has no fault injection. */
int fault_open(void);
/* From now on, the @n-th allocation of the thread fails. */
void fault_arm(int fault, unsigned int n);
/* None fails any more.  True if the @n-th was reached and failed. */
bool fault_disarm(int fault);

#endif
