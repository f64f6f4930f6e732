/* SPDX-License-Identifier: GPL-2.0-only */
/* The exports of virqfd.c of the in-tree core. */

FUNCTION(EXPORT_SYMBOL_GPL, int, vfio_virqfd_enable,
	 void *opaque, int (*handler)(void *, void *), void (*thread)(void *, void *),
	 void *data, struct virqfd **pvirqfd, int fd);
FUNCTION(EXPORT_SYMBOL_GPL, void, vfio_virqfd_disable,
	 struct virqfd **pvirqfd);
FUNCTION(EXPORT_SYMBOL_GPL, void, vfio_virqfd_flush_thread,
	 struct virqfd **pvirqfd);
