/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host's QEMU monitor, behind a serial port: one line of JSON for a
 * command, one for the answer.
 */
#ifndef LIB_QMP_H
#define LIB_QMP_H

#include <stddef.h>

#define QMP_PORT "/dev/ttyS1"

/* Sends @command and puts the answer into @answer.  0, -EIO if it is an error. */
int qmp(const char *command, char *answer, size_t size);
/*
 * QEMU's id of the device at a PCI address.  The guest's environment has it, as
 * the name (in capitals) of the variable that holds the address.
 */
int qmp_device_id(const char *bdf, char *id, size_t size);
/* device_del, and the wait for its DEVICE_DELETED. */
int qmp_unplug(const char *id);
int qmp_wait_deleted(const char *id);
/* An error of PCI Express that the device reports: COMP_TIME, RCVR, ... */
int qmp_inject_error(const char *id, const char *error);
/* device_add of an edu as function @function of slot 0 behind the port @port. */
int qmp_plug_edu(const char *id, const char *port, int function);

/* Puts a device of the machine back that is served by a process (scripts/suites/servers.py). */
int qmp_plug(const char *id);

#endif
