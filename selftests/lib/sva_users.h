/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The users of one file, for tests that try operations in every order (sequences.h): this process and
 * another process, which bind themselves by the file, and a virtual machine, which holds the file.
 */
#ifndef LIB_SVA_USERS_H
#define LIB_SVA_USERS_H

#include <stdbool.h>
#include <stdint.h>

#include "bound.h"
#include "kvm.h"
#include "sva_setup.h"

/* The processes: this one and the other one. */
enum who { ME, OTHER, PROCESSES };

/* The operations of processes.  A program's own operations begin with PROCESS_OPS. */
enum {
	BIND, UNBIND,				/* of this process */
	ITS_BIND, ITS_UNBIND, ITS_DEATH,	/* of the other process */
	PROCESS_OPS
};

#define PROCESS_OP_NAMES "bind", "unbind", "another binds", "another unbinds", "another dies"

/* When the virtual machine releases the file. */
enum machine_end { NO_MACHINE, BEFORE_CLOSE, AFTER_CLOSE };

struct sva_users {
	int control, kvm;
	enum machine_end machine_end;
	struct machine machine;
	struct bound_child other;
	const struct pci *told;		/* the other process checks its entry on this device; or NULL */
	uint32_t pasid[PROCESSES];	/* 0: not known yet */
	uint64_t root[PROCESSES];	/* of the page tables; the program fills it in */
	const char *lacks;		/* the reason to skip */
};

#define SVA_USERS_NONE ((struct sva_users){ .control = -1, .kvm = -1, .machine = { -1, -1 } })

/*
 * Finds two devices, opens the SVA test module, and KVM if there is to be a virtual machine.  0; 1 if
 * one of these is absent, with the reason in @u->lacks; -errno.
 */
int sva_users_open(struct sva_users *u, enum machine_end machine_end, struct pci *a,
		   struct pci *b);
/* Ends the other process. */
int sva_users_end(struct sva_users *u);
/* Closes the virtual machine, KVM and the SVA test module.  False if the SVA test module was not open. */
bool sva_users_close(struct sva_users *u);

/* Does an operation of a process on @file: 0 or -errno. */
int sva_users_op(struct sva_users *u, int file, int op);
/* Opens a virtual machine and gives it the file, if there is to be one. */
int sva_users_add(struct sva_users *u, int file);
/*
 * Closes the file and the virtual machine.  While the virtual machine alone holds the file,
 * @look(@arg) checks that nothing has ended.
 */
int sva_users_close_file(struct sva_users *u, int file, int (*look)(const void *arg),
			 const void *arg);
/* Moves @fd to the number *@at, which the other process knows; sets *@at if it is negative. */
int keep_number(int *at, int fd);

#endif
