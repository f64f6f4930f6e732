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

/* The same call again and again; in the n-th, the n-th allocation fails. */
struct sweep {
	int fault;
	unsigned int n, failures;
	bool hit;		/* the n-th allocation was there to fail */
};

/* Once more; what @fn returned. */
int sweep_call(struct sweep *s, int (*fn)(void *arg), void *arg);
/* What a call may say: that it had no memory, if so, or that it did without. */
bool sweep_fine(const struct sweep *s, int ret);
/* iommufd has places of its own to fail at, with -ENOENT, -EINVAL, -EFAULT. */
bool sweep_fine_iommufd(const struct sweep *s, int ret);

#endif
