/* SPDX-License-Identifier: GPL-2.0-only */
/* The device's character node, and the ioctls of the core on it. */
#ifndef LIB_CDEV_H
#define LIB_CDEV_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/vfio.h>

#include "sysfs.h"

/* Opens the node of a device that sits on vfio-pci. */
int cdev_open(const struct pci *pci);
/* The same of the VFIO device below @parent, a folder of sysfs. */
int cdev_open_below(const char *parent);

int cdev_bind(int fd, int iommufd, uint32_t *devid);
/* The same with its arguments in one, for a call that another task makes, or that is to fail. */
struct bind_op {
	int fd, iommufd;
};

int cdev_bind_op(void *op);
int cdev_bind_token(int fd, int iommufd, const void *uuid, uint32_t *devid);
/* Of a physical function: the token that its virtual ones need from now on. */
int cdev_set_token(int fd, const void *uuid);
/* @pt_id goes in and comes out. */
int cdev_attach(int fd, uint32_t *pt_id);
/* The same for a call that another task makes. */
struct attach_op {
	int fd;
	uint32_t pt;
};

int cdev_attach_op(void *op);
int cdev_attach_pasid(int fd, uint32_t pasid, uint32_t *pt_id);
int cdev_detach(int fd);
int cdev_detach_pasid(int fd, uint32_t pasid);

/* Does the device let the holder of this file in?  0 or what GET_INFO said. */
int device_info(int fd);
int cdev_region(int fd, uint32_t index, struct vfio_region_info *info);
int cdev_irq_info(int fd, uint32_t index, struct vfio_irq_info *info);
/* Whole BAR @index, or NULL. */
void *cdev_map_bar(int fd, uint32_t index, size_t *size);
/* Does what is mapped there let itself be read?  It may be gone: then reading kills. */
bool bar_answers(const volatile void *at);
/* The PCI command register: memory, bus master, INTx. */
int cdev_enable_dma(int fd);
int config_read(int fd, uint32_t offset, void *buf, size_t size);
int config_write(int fd, uint32_t offset, const void *buf, size_t size);
/* Where a capability is, or -errno. */
int config_find(int fd, uint8_t capability);
/* Sends the interrupt index to @eventfds (NULL: switch it off). */
int cdev_set_irqs(int fd, uint32_t index, uint32_t flags, uint32_t start,
		  uint32_t count, const int32_t *eventfds);

/* A device that is opened by its own node; the ids are those of BIND and ATTACH. */
struct session {
	int fd, iommufd;
	uint32_t devid, ioas, hwpt;
};

#define SESSION_NONE ((struct session){ .fd = -1, .iommufd = -1 })

/*
 * The three functions that open return 0 or -errno, and leave in @s what is open so far.
 * session_close() closes it, whatever they returned, and may be called again.
 */

/* Gives the device to vfio-pci and opens its node.  The iommufd is another session's. */
int session_open_node(const struct pci *pci, struct session *s);
/* The same, with an iommufd.  The device is not bound. */
int session_open_unbound(const struct pci *pci, struct session *s);
/* The same.  The device is bound, and attached to a new address space. */
int session_open(const struct pci *pci, struct session *s);
void session_close(struct session *s);
/*
 * Binds the file, maps BAR 0, and closes the file, which the mapping holds.  A child does not
 * have the mapping.  NULL if something fails.
 */
void *session_to_mapping(struct session *s, size_t *size);

#endif
