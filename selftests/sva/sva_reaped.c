// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes that are killed while the device that they are bound to is being reset, whoever
 * asked for the reset: user space, the core's own open and close, the device's configuration
 * space, sysfs.  The IOMMU core takes all PASIDs off a device in a reset, and puts them back
 * afterwards: none of them may be that of a process which is gone.
 */
#include <stdlib.h>
#include <sys/wait.h>
#include <linux/pci_regs.h>

#include "lib/bound.h"
#include "lib/cdev.h"
#include "lib/container.h"
#include "lib/hot_reset.h"
#include "lib/kmsg.h"
#include "lib/pasid_table.h"
#include "lib/sva.h"
#include "lib/sva_pair.h"
#include "lib/svadev.h"
#include "lib/task.h"
#include "lib/test.h"

/* Over all variants more than 1,000 processes. */
#define ROUNDS 16
#define CHILDREN 7
/* A reset takes 100 ms, and a little more. */
#define SPREAD_US 120000

/* The device as it is when the processes are bound, and what they are bound by. */
struct arena {
	struct session s;	/* by its own file, */
	struct session sibling;	/* and the other device of its set, with its iommufd, */
	struct boxed box;	/* or by its group */
	const struct pci *pci, *other;
	int file;
};

static int set_up_cdev(struct arena *a)
{
	int ret = session_open(a->pci, &a->s);

	a->file = a->s.fd;
	return ret;
}

static int set_up_pair(struct arena *a)
{
	int ret = set_up_cdev(a);

	if (!ret)
		ret = session_open_node(a->other, &a->sibling);
	return ret ? ret : cdev_bind(a->sibling.fd, a->s.iommufd, NULL);
}

static int set_up_container(struct arena *a)
{
	int ret = boxed_open(a->pci, &a->box);

	a->file = a->box.container;
	return ret;
}

/* The container and the group alone: nobody has the device open. */
static int set_up_group(struct arena *a)
{
	int ret = set_up_container(a);

	close_fd(&a->box.fd);
	return ret;
}

static int reset_by_ioctl(struct arena *a)
{
	return xioctl(a->box.fd >= 0 ? a->box.fd : a->s.fd, VFIO_DEVICE_RESET, NULL);
}

static int reset_by_sysfs(struct arena *a)
{
	return pci_attr_set(a->pci, "reset", "1");
}

/* By the bit in the PCI Express capability, of a device that has one. */
static int reset_by_config(struct arena *a)
{
	int fd = a->box.fd >= 0 ? a->box.fd : a->s.fd;
	int at = config_find(fd, PCI_CAP_ID_EXP);
	uint16_t control;

	if (at < 0)
		return at;
	at += PCI_EXP_DEVCTL;
	if (config_read(fd, at, &control, sizeof(control)) != sizeof(control))
		return -EIO;
	control |= PCI_EXP_DEVCTL_BCR_FLR;
	return config_write(fd, at, &control, sizeof(control)) == sizeof(control) ? 0 : -EIO;
}

/* The last close resets the device, and so does the first open. */
static int reset_by_open_and_close(struct arena *a)
{
	int fd = group_device(a->box.group, a->pci->bdf);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/* All of the set, of which the other device is open, too. */
static int reset_by_bus(struct arena *a)
{
	return hot_reset_owned(a->s.fd);
}

/* The whole bus, by its bridge. */
static int reset_by_bridge(struct arena *a)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/reset_subordinate", a->pci->port);
	return sysfs_write(path, "1");
}

FIXTURE(sva_reaped) {
	struct sva_pair sva;
	int kmsg;
};

FIXTURE_VARIANT(sva_reaped) {
	int (*set_up)(struct arena *a);
	int (*reset)(struct arena *a);
};

FIXTURE_VARIANT_ADD(sva_reaped, ioctl) { set_up_cdev, reset_by_ioctl };
FIXTURE_VARIANT_ADD(sva_reaped, sysfs) { set_up_cdev, reset_by_sysfs };
FIXTURE_VARIANT_ADD(sva_reaped, config) { set_up_cdev, reset_by_config };
FIXTURE_VARIANT_ADD(sva_reaped, bus) { set_up_pair, reset_by_bus };
FIXTURE_VARIANT_ADD(sva_reaped, bridge) { set_up_pair, reset_by_bridge };
FIXTURE_VARIANT_ADD(sva_reaped, bus_config) { set_up_pair, reset_by_config };
FIXTURE_VARIANT_ADD(sva_reaped, container_ioctl) { set_up_container, reset_by_ioctl };
FIXTURE_VARIANT_ADD(sva_reaped, container_sysfs) { set_up_container, reset_by_sysfs };
FIXTURE_VARIANT_ADD(sva_reaped, container_config) { set_up_container, reset_by_config };
FIXTURE_VARIANT_ADD(sva_reaped, container_open) { set_up_group, reset_by_open_and_close };
FIXTURE_VARIANT_ADD(sva_reaped, group_sysfs) { set_up_group, reset_by_sysfs };

FIXTURE_SETUP(sva_reaped)
{
	const char *lacks;

	if (!core_is_rust())
		SKIP(return, NO_PROCESSES);
	if (variant->set_up != set_up_cdev && variant->set_up != set_up_pair &&
	    access(CONTAINER, F_OK))
		SKIP(return, NO_CONTAINERS);
	lacks = sva_pair_open(&self->sva);
	if (lacks)
		SKIP(return, "%s", lacks);
	if (variant->set_up == set_up_pair &&
	    (pci_find_siblings(SVADEV, &self->sva.a, &self->sva.b) ||
	     self->sva.a.group == self->sva.b.group))
		SKIP(return, "no two such devices of two groups on one bus");
	ASSERT_EQ(0, pci_to_vfio(&self->sva.a));
	self->kmsg = kmsg_open();
	ASSERT_GE(self->kmsg, 0);
}

FIXTURE_TEARDOWN(sva_reaped)
{
	close_fd(&self->kmsg);
	EXPECT_EQ(0, sva_pair_close(&self->sva));
}

struct kill {
	struct bound_child child;
	unsigned int delay_us;
};

/* Kills it after a while and waits until nothing is left of it. */
static int kill_later(void *arg)
{
	struct kill *k = arg;

	usleep(k->delay_us);
	return bound_kill(&k->child);
}

/* One round: binds all, resets the device while they are killed one by one. */
static int round_of_kills(struct arena *a, int control, int (*reset)(struct arena *a))
{
	struct kill kills[CHILDREN];
	struct worker workers[CHILDREN];
	int ret = 0, result;

	for (int i = 0; i < CHILDREN; i++) {
		kills[i].delay_us = rand() % SPREAD_US;
		result = bound_start(&kills[i].child, a->file, control, a->pci);
		if (result <= 0)
			ret = result ? result : -EPROTO;
	}
	for (int i = 0; i < CHILDREN; i++)
		worker_start(&workers[i], kill_later, &kills[i]);
	/* The driver says so when somebody else has the device's lock. */
	do
		result = ret ? 0 : reset(a);
	while (result == -EAGAIN);
	if (result)
		ret = result;
	for (int i = 0; i < CHILDREN; i++) {
		result = worker_join(&workers[i]);
		if (result)
			ret = result;
	}
	return ret;
}

TEST_F(sva_reaped, no_entry_is_left)
{
	struct arena a = { SESSION_NONE, SESSION_NONE, BOXED_NONE, &self->sva.a, &self->sva.b, -1 };
	unsigned int seed = getpid();

	if (pasid_probe_absent())
		SKIP(return, "%s", pasid_probe_absent());
	TH_LOG("seed %u", seed);
	srand(seed);
	ASSERT_EQ(0, variant->set_up(&a));
	for (int i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, round_of_kills(&a, self->sva.control, variant->reset));
		ASSERT_EQ(0, pasid_entries(&self->sva.a));
		EXPECT_FALSE(kmsg_warned(self->kmsg));
	}
	session_close(&a.sibling);
	session_close(&a.s);
	boxed_close(&a.box);
}

TEST_HARNESS_MAIN
