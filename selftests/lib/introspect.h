/* SPDX-License-Identifier: GPL-2.0-only */
/* What our core shows of a device's files: fdinfo, holders in debugfs, reasons in the log. */
#ifndef LIB_INTROSPECT_H
#define LIB_INTROSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "sysfs.h"

#define VFIO_DEBUGFS "/sys/kernel/debug/vfio"

/* The core's lines of a file's fdinfo, which follow those of the VFS. */
const char *core_lines(int fd);
/* The lines that they are to be: the device's path on both cores, @ours on ours alone. */
const char *core_lines_of(const char *sysfs, const char *ours);

/* Lines of the file "holders" of a device; "none" if there is no such file. */
const char *holders(const struct pci *pci);
/* The line of a file that the process @pid, called @comm, has. */
const char *holder_line(pid_t pid, const char *path, bool bound, const char *comm);
/* ... that as many KVM devices hold, of a device that holds a machine or not. */
const char *holder_line_kvm(pid_t pid, const char *path, bool bound, int kvm_devices,
			    bool machine, const char *comm);
/*
 * The line of references of the device's driver, which a process made it take: @kind "driver" or
 * "dma-buf", @refs how many, all of them @total.
 */
const char *reference_line(pid_t pid, const char *kind, const char *refs, int total,
			   const char *comm);
bool has_debugfs(void);
/* What the calling process is called. */
const char *own_name(void);

/* Opens the node @arg; fd or -errno. */
int open_path(void *arg);
/* A group's device, the group being opened and given a space before (space.h). */
struct by_group {
	int group;
	const char *name;
};

int group_start(const struct pci *pci, int space);
/* @arg: struct by_group. */
int open_by_group(void *arg);

/* Another process with a file of its own, until it is told to end. */
struct other {
	pid_t pid;
	int go;
};

/* It is called @name, and its file is what @fn(@arg) opens. */
int other_start(struct other *o, const char *name, int (*fn)(void *arg), void *arg);
void other_stop(struct other *o);

/* A call that is refused, again and again. */
struct refused {
	/* Calls; @by is to be the process that did, if not the caller. */
	int (*call)(struct refused *r);
	int error;
	/* What is to be in the log: of which device or group, which call, and why. */
	const char *whose, *what, *reason;
	int fd, iommufd;
	const void *arg;
	pid_t by;
};

/*
 * True if each call ends with @error and the reason is in the log: the log's rate is
 * limited, so it may take some calls.  On the core in C there is none.
 */
bool has_reason(struct refused *r, int kmsg);
int refused_bind(struct refused *r);

#endif
