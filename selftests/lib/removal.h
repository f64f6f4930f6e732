/* SPDX-License-Identifier: GPL-2.0-only */
/* A device that is taken off its driver while others have it. */
#ifndef LIB_REMOVAL_H
#define LIB_REMOVAL_H

#include "sysfs.h"
#include "task.h"

/* What vfio-pci says when it has nobody to ask for the device, and the core on a signal. */
#define BLOCKED "No device request channel registered, blocked until released"
#define IN_USE "Device is currently in use, task \""

/* Takes it off in a child, which has none of our descriptors and does not die of SIGUSR1. */
int unbind_start(struct task *t, const struct pci *pci);
/* Sends that signal; the line that comes of it. */
bool unbind_says_who(const struct task *t, int kmsg, char *line, size_t size);

/* Opens the device in a child by the usual open path.  The child keeps it until it is killed; 0 or -errno. */
int holder_start(const struct pci *pci, pid_t *pid);

/*
 * Takes the device off its driver and gives it back, so many times, and takes it off once more,
 * while another task runs @racer(@arg), which ends when removal_race_ended().  What the racer
 * returned, or -errno.
 */
int removal_race(const struct pci *pci, int rounds, int (*racer)(void *arg), void *arg);
bool removal_race_ended(void);

#endif
