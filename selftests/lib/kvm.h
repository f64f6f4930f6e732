/* SPDX-License-Identifier: GPL-2.0-only */
/* Virtual machines, as far as VFIO knows them. */
#ifndef LIB_KVM_H
#define LIB_KVM_H

#include <stdint.h>

#include "testdrv.h"

/* A machine and its device for VFIO files. */
struct machine {
	int vm, dev;
};

/* /dev/kvm, its modules inserted; -ENOENT if there are none. */
int kvm_open(void);
/*
 * Removes the modules again, which needs that nothing of a machine is left: 0, or
 * -EBUSY if something is.
 */
int kvm_unload(void);
int machine_open(int kvm, struct machine *m);
void machine_close(struct machine *m);
/* Tells the machine of a VFIO file, or takes that back. */
int machine_add(const struct machine *m, int fd);
int machine_del(const struct machine *m, int fd);

/* A machine, and the tests' own driver, whose device (slot 0) notes which machine it is told of. */
struct observer {
	int kvm, drv;
	struct machine vm;
	int kvm_users;		/* with a machine that nobody uses */
	struct testdrv_calls calls;
};

#define NO_OBSERVER "no KVM here, or no module vfio-testdrv"

/* @flags: TESTDRV_WITH_*.  -ENOENT if there is no KVM, or no such driver. */
int observer_open(struct observer *o, uint32_t flags);
/* At the end of a test: closes all files but the standard ones, and removes the modules. */
int observer_close(struct observer *o);
/* How many references VFIO has on machines. */
int observer_references(const struct observer *o);
/*
 * The machine that the device was told of in its first call of a kind (TESTDRV_OPEN or
 * TESTDRV_CLOSE) since the last time; 0 for none, NOT_CALLED without such a call.
 */
uint64_t observer_saw(struct observer *o, int id);
#define NOT_CALLED (~0ULL)
/*
 * Closes the machine, and then @fd, the last file of the device, which holds the machine: the
 * machine must live until the second close.  0, or -EPROTO after printing what is wrong.
 */
int observer_close_machine(struct observer *o, int *fd);

#endif
