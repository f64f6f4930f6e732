// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device does not sleep while a process is bound to it: changes of the process's mappings are told
 * to the device.  And what becomes of bonds when user space puts the device to sleep by hand.
 */
#include <linux/pci_regs.h>

#include "lib/bound.h"
#include "lib/cdev.h"
#include "lib/container.h"
#include "lib/kmsg.h"
#include "lib/pasid_table.h"
#include "lib/power.h"
#include "lib/sva.h"
#include "lib/sva_pair.h"
#include "lib/test.h"

FIXTURE(sva_power) {
	struct sva_pair sva;
	int kmsg;
};

FIXTURE_SETUP(sva_power)
{
	const char *lacks = sva_pair_open_rust(&self->sva);

	if (lacks)
		SKIP(return, "%s", lacks);
	ASSERT_EQ(0, pci_to_vfio(&self->sva.a));
	ASSERT_EQ(0, pci_to_vfio(&self->sva.b));
	if (!power_becomes(&self->sva.a, "suspended") || !power_becomes(&self->sva.b, "suspended"))
		SKIP(return, "devices that do not sleep when nobody has them");
	self->kmsg = kmsg_open();
	ASSERT_GE(self->kmsg, 0);
}

FIXTURE_TEARDOWN(sva_power)
{
	close_fd(&self->kmsg);
	EXPECT_EQ(0, sva_pair_close(&self->sva));
}

/*
 * Is it awake, and not about to fall asleep?  The kernel lets devices sleep one after the other:
 * when the other one sleeps that was let later, this one would.
 */
static bool stays_awake(const struct pci *pci, const struct pci *other)
{
	struct session s;
	bool opened = !session_open(other, &s);

	session_close(&s);
	return opened && power_becomes(other, "suspended") && power_is(pci, "active");
}

/* Of a container, whose groups' devices nobody need have open. */
TEST_F(sva_power, container)
{
	struct boxed box = BOXED_NONE;
	struct bound_child child;

	if (access(CONTAINER, F_OK))
		SKIP(return, NO_CONTAINERS);
	ASSERT_EQ(0, boxed_open(&self->sva.a, &box));
	close_fd(&box.fd);
	ASSERT_TRUE(power_becomes(&self->sva.a, "suspended"));
	ASSERT_EQ(0, process_bind(box.container, NULL));
	EXPECT_TRUE(power_is(&self->sva.a, "active"));
	EXPECT_TRUE(stays_awake(&self->sva.a, &self->sva.b));
	/* The last close of the device lets go of it, and the bond holds it again. */
	box.fd = group_device(box.group, self->sva.a.bdf);
	ASSERT_GE(box.fd, 0);
	close_fd(&box.fd);
	EXPECT_TRUE(stays_awake(&self->sva.a, &self->sva.b));
	ASSERT_EQ(0, process_unbind(box.container));
	EXPECT_TRUE(power_becomes(&self->sva.a, "suspended"));

	/* However it ends. */
	ASSERT_GT(bound_start(&child, box.container, self->sva.control, &self->sva.a), 0);
	EXPECT_TRUE(stays_awake(&self->sva.a, &self->sva.b));
	EXPECT_EQ(0, bound_kill(&child));
	EXPECT_TRUE(power_becomes(&self->sva.a, "suspended"));
	ASSERT_EQ(0, process_bind(box.container, NULL));
	EXPECT_EQ(0, group_unset(box.group));
	EXPECT_TRUE(power_becomes(&self->sva.a, "suspended"));
	boxed_close(&box);
}

/* Of a device file: its user can let the device sleep when the process is not bound any more. */
TEST_F(sva_power, low_power_entry)
{
	struct session s;

	ASSERT_EQ(0, session_open(&self->sva.a, &s));
	ASSERT_EQ(0, process_bind(s.fd, NULL));
	ASSERT_EQ(0, low_power(s.fd, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, -1));
	EXPECT_TRUE(stays_awake(&self->sva.a, &self->sva.b));
	ASSERT_EQ(0, process_unbind(s.fd));
	EXPECT_TRUE(power_becomes(&self->sva.a, "suspended"));
	/* And the reverse: to bind wakes it. */
	ASSERT_EQ(0, process_bind(s.fd, NULL));
	EXPECT_TRUE(power_is(&self->sva.a, "active"));
	EXPECT_TRUE(stays_awake(&self->sva.a, &self->sva.b));
	ASSERT_EQ(0, low_power(s.fd, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT, -1));
	ASSERT_EQ(0, process_unbind(s.fd));
	session_close(&s);
}

static int set_state(int fd, uint16_t state)
{
	int at = config_find(fd, PCI_CAP_ID_PM);
	uint16_t control;

	if (at < 0)
		return at;
	at += PCI_PM_CTRL;
	if (config_read(fd, at, &control, sizeof(control)) != sizeof(control))
		return -EIO;
	control = (control & ~PCI_PM_CTRL_STATE_MASK) | state;
	return config_write(fd, at, &control, sizeof(control)) == sizeof(control) ? 0 : -EIO;
}

/*
 * By the device's configuration space, which is between its user and the driver: the process stays
 * bound, can change its memory and die, and nothing is left when it is awake again.
 */
TEST_F(sva_power, configuration_space)
{
	struct bound_child child;
	struct session s;
	int pasid;
	void *p;

	ASSERT_EQ(0, session_open(&self->sva.a, &s));
	ASSERT_EQ(0, process_bind(s.fd, NULL));
	pasid = bound_start(&child, s.fd, self->sva.control, &self->sva.a);
	ASSERT_GT(pasid, 0);
	for (int i = 0; i < 10; i++) {
		ASSERT_EQ(0, set_state(s.fd, 3));
		p = pages_alloc(1 << 20);
		munmap(p, 1 << 20);
		if (i == 5)
			EXPECT_EQ(0, bound_kill(&child));
		ASSERT_EQ(0, set_state(s.fd, 0));
		EXPECT_EQ(i < 5 ? 2 : 1, pasid_entries(&self->sva.a));
	}
	EXPECT_EQ(0, process_unbind(s.fd));
	session_close(&s);
	EXPECT_FALSE(kmsg_warned(self->kmsg));
}

TEST_HARNESS_MAIN
