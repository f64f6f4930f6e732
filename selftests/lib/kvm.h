/* SPDX-License-Identifier: GPL-2.0-only */
/* Virtual machines, as far as VFIO knows them. */
#ifndef LIB_KVM_H
#define LIB_KVM_H

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

#endif
