/* SPDX-License-Identifier: GPL-2.0-only */
/* Buffers of the kernel's trace events. */
#ifndef LIB_TRACE_H
#define LIB_TRACE_H

#define TRACING	"/sys/kernel/tracing"

/* Removes the events of a buffer, whose file "trace" is @path; 0 or -errno. */
int trace_clear(const char *path);

#endif
