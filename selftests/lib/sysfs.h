/* SPDX-License-Identifier: GPL-2.0-only */
/* PCI devices in sysfs: find, give to vfio-pci, take back. */
#ifndef LIB_SYSFS_H
#define LIB_SYSFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pci {
	char bdf[32];
	int group;		/* IOMMU group, -1 if none */
	bool behind_port;	/* its parent is a PCI bridge, */
	char port[32];		/* this one */
	uint32_t id;		/* vendor << 16 | device */
};

/* Vendor and device. */
#define TESTDEV	0x1b360005u
#define EDU	0x123411e8u
#define IGB	0x808610c9u
#define IGB_VF	0x808610cau
#define NVME	0x1b360010u
#define IVSHMEM	0x1af41110u	/* BAR 2 is memory */
#define VIRTIO_RNG 0x1af41044u

/* Whole small file, newline cut.  Length or -errno. */
int sysfs_read(const char *path, char *buf, size_t size);
int sysfs_write(const char *path, const char *value);
/* Last component of a link. */
int sysfs_link(const char *path, char *buf, size_t size);
/* Number of the IOMMU group of a device, by the device's folder; or -errno. */
int sysfs_group(const char *device);
/* The only (or @nth) entry of a directory. */
int sysfs_entry(const char *path, int nth, char *buf, size_t size);

/* Attribute @name of a PCI device; @buf takes binary ones too. */
int pci_attr(const struct pci *pci, const char *name, char *buf, size_t size);
int pci_attr_set(const struct pci *pci, const char *name, const char *value);

/*
 * The @nth function with this ID, in order of address, that has an IOMMU group
 * of its own; 0 or -ENODEV.
 */
int pci_find(uint32_t id, int nth, struct pci *pci);
/* The same of any ID, and the one at an address. */
int pci_find_alone(int nth, struct pci *pci);
int pci_alone(const char *bdf, struct pci *pci);
/* The @nth function with this ID that is behind no IOMMU. */
int pci_find_bare(uint32_t id, int nth, struct pci *pci);
/* The first with a group of its own behind a root port (true) or on the root bus. */
int pci_find_at(uint32_t id, bool behind_port, struct pci *pci);
/* Two functions with this ID that share an IOMMU group with no third one. */
int pci_find_pair(uint32_t id, struct pci *a, struct pci *b);
/* One that has @id and one that has a driver of the host, likewise. */
int pci_find_mixed(uint32_t id, struct pci *pci, struct pci *host);
/* Two functions with this ID on one bus behind a port: one device set. */
int pci_find_siblings(uint32_t id, struct pci *a, struct pci *b);
/* The @nth virtual function of a physical one. */
int pci_virtual(const struct pci *physical, int nth, struct pci *pci);

/* Where the host has BAR @bar; 0 if there is none. */
uint64_t pci_bar(const struct pci *pci, int bar);

/* Name of the driver, or "". */
void pci_driver(const struct pci *pci, char *buf, size_t size);
/* Puts the device on a driver; nothing to do if it is there. */
int pci_to_driver(const struct pci *pci, const char *name);
/* On vfio-pci. */
int pci_to_vfio(const struct pci *pci);
/* The same for a device that is being plugged in: waits until it can be had. */
int pci_await_vfio(const struct pci *pci);
/* Waits until the device is in its slot, or is not; false if it does not come to that. */
bool pci_in_slot(const struct pci *pci, bool want);
/* Takes the device off its driver, which stays off. */
int pci_unbind(const struct pci *pci);
/* "vfioN", the name under /dev/vfio/devices and /sys/class/vfio-dev. */
int pci_vfio_name(const struct pci *pci, char *buf, size_t size);
/* "/dev/vfio/devices/vfioN" and "/dev/vfio/<group>". */
int pci_cdev_path(const struct pci *pci, char *buf, size_t size);
void pci_group_path(const struct pci *pci, char *buf, size_t size);

#endif
