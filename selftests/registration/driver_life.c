// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device from its allocation to its release, step by step: what the core checks, what
 * the fields of struct vfio_device hold for its driver, what is left after an error.
 * The driver is drivers/vfio_calls_main.c.
 */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "lib/calls.h"
#include "lib/cdev.h"
#include "lib/group.h"
#include "lib/kmsg.h"
#include "lib/noiommu.h"
#include "lib/space.h"
#include "lib/sysfs.h"
#include "lib/task.h"
#include "lib/test.h"

#define MAGIC 0x5646494f

FIXTURE(driver_life) {
	int calls, space, log;
};

FIXTURE_SETUP(driver_life)
{
	int ret = calls_open_all(&self->calls, &self->space, &self->log);

	if (self->calls == -ENOENT)
		SKIP(return, NO_CALLS);
	ASSERT_EQ(0, ret);
}

FIXTURE_TEARDOWN(driver_life)
{
	EXPECT_EQ(0, calls_close(self->calls));
}

/* semantics: 37, 75.  What init finds, and what the core has done by then. */
TEST_F(driver_life, init)
{
	struct calls_seen seen;

	ASSERT_EQ(0, calls_one(self->calls, CALLS_ALLOC, 0, 0));
	seen = calls_seen(self->calls, 0, CALLS_IN_INIT);
	EXPECT_EQ(CALLS_CALLED | CALLS_OWN_DEV | CALLS_ZEROED | CALLS_HAS_INODE, seen.what);
	EXPECT_EQ(0, seen.open_count);
	EXPECT_EQ(seen.index, calls_seen(self->calls, 0, CALLS_NOW).index);
	/* An index each, the lowest. */
	ASSERT_EQ(0, calls_one(self->calls, CALLS_ALLOC, 1, 0));
	EXPECT_LT(seen.index, calls_seen(self->calls, 1, CALLS_IN_INIT).index);
	EXPECT_EQ(0, calls_seen(self->calls, 0, CALLS_IN_RELEASE).what);
}

/* semantics: 37, 190.  A structure that the core's does not fit into. */
TEST_F(driver_life, too_small)
{
	kmsg_expect_warning(true, NULL);
	EXPECT_EQ(-EINVAL, calls_cmd(self->calls, CALLS_ALLOC, 0, CALLS_SHORT, 0, 0));
	EXPECT_TRUE(kmsg_warned(self->log));
	kmsg_expect_warning(false, NULL);
	EXPECT_EQ(0, calls_seen(self->calls, 0, CALLS_IN_INIT).what);
	EXPECT_EQ(0, calls_one(self->calls, CALLS_ALLOC, 0, 0));
}

/* Takes what other programs have left on vfio-pci off it: no VFIO device is there. */
static bool no_devices(void)
{
	const char *driver = "/sys/bus/pci/drivers/vfio-pci";
	char name[64];

	for (int i = 0; !sysfs_entry(driver, i, name, sizeof(name)); i++) {
		if (!strchr(name, ':'))
			continue;
		if (sysfs_write("/sys/bus/pci/drivers/vfio-pci/unbind", name))
			return false;
		i--;
	}
	return sysfs_entry("/sys/class/vfio-dev", 0, name, sizeof(name));
}

/* semantics: 37, 75.  An init that fails: its errno, and nothing is left of the device. */
TEST_F(driver_life, init_fails)
{
	uint32_t index;
	int users;

	/* The index after the first is free, too. */
	ASSERT_TRUE(no_devices());
	users = module_users("vfio");
	EXPECT_EQ(-EUCLEAN, calls_cmd(self->calls, CALLS_ALLOC, 0, 0, 0, EUCLEAN));
	EXPECT_EQ(users, module_users("vfio"));
	index = calls_seen(self->calls, 0, CALLS_IN_INIT).index;
	EXPECT_EQ(0, calls_seen(self->calls, 0, CALLS_IN_RELEASE).what);

	/* Of a set that it has joined, too. */
	ASSERT_EQ(0, calls_cmd(self->calls, CALLS_ALLOC, 1, CALLS_SET_IN_INIT, 1, 0));
	EXPECT_EQ(index, calls_seen(self->calls, 1, CALLS_NOW).index);
	EXPECT_EQ(-EUCLEAN, calls_cmd(self->calls, CALLS_ALLOC, 0, CALLS_SET_IN_INIT, 0, EUCLEAN));
	EXPECT_EQ(0, calls_seen(self->calls, 0, CALLS_IN_RELEASE).what);
	EXPECT_EQ(1, calls_seen(self->calls, 1, CALLS_NOW).set_devices);
	EXPECT_EQ(-ENOENT, calls_one(self->calls, CALLS_FIND, 1, 0));
	ASSERT_EQ(0, calls_cmd(self->calls, CALLS_ALLOC, 0, CALLS_SET_IN_INIT, 0, 0));
	EXPECT_EQ(index + 1, calls_seen(self->calls, 0, CALLS_NOW).index);
	EXPECT_EQ(2, calls_seen(self->calls, 1, CALLS_NOW).set_devices);
}

/* semantics: 92.  When release is called the set and the index are given up already. */
TEST_F(driver_life, release)
{
	struct calls_seen seen;

	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, calls_one(self->calls, CALLS_ALLOC, i, i));
		ASSERT_EQ(0, calls_one(self->calls, CALLS_ASSIGN_SET, i, 1));
	}
	ASSERT_EQ(0, calls_one(self->calls, CALLS_REGISTER, 1, 0));
	seen = calls_seen(self->calls, 1, CALLS_NOW);
	EXPECT_EQ(3, seen.set_devices);
	EXPECT_EQ(0, calls_one(self->calls, CALLS_UNREGISTER, 1, 0));
	/* The end of the registration is not the end of the device. */
	EXPECT_EQ(0, calls_seen(self->calls, 1, CALLS_IN_RELEASE).what);
	EXPECT_EQ(3, calls_seen(self->calls, 0, CALLS_NOW).set_devices);
	EXPECT_EQ(0, calls_one(self->calls, CALLS_PUT, 1, 0));
	EXPECT_EQ(CALLS_CALLED | CALLS_OWN_DEV | CALLS_ZEROED | CALLS_HAS_INODE,
		  calls_seen(self->calls, 1, CALLS_IN_RELEASE).what);
	/* In C it still points to the set, which can be freed. */
	EXPECT_EQ(core_is_rust(), !calls_seen(self->calls, 1, CALLS_IN_RELEASE).set);
	EXPECT_EQ(seen.index, calls_seen(self->calls, 1, CALLS_IN_RELEASE).free_index);
	EXPECT_EQ(2, calls_seen(self->calls, 0, CALLS_NOW).set_devices);
}

/* semantics: 15.  The inode is one of a file system that nobody can mount. */
TEST_F(driver_life, file_system)
{
	struct calls_seen seen[2];
	char text[4096];
	int users;

	ASSERT_TRUE(no_devices());
	users = module_users("vfio");
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, calls_one(self->calls, CALLS_ALLOC, i, i));
		seen[i] = calls_seen(self->calls, i, CALLS_NOW);
		EXPECT_EQ(MAGIC, seen[i].magic);
		EXPECT_STREQ("vfio", seen[i].fs);
	}
	/* It holds the module that it belongs to, once for all devices. */
	EXPECT_EQ(users + 1, module_users("vfio"));
	ASSERT_GT(sysfs_read("/proc/filesystems", text, sizeof(text)), 0);
	EXPECT_EQ(NULL, strstr(text, "\tvfio"));
	EXPECT_EQ(-1, mount("none", "/mnt", "vfio", 0, NULL));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(0, calls_one(self->calls, CALLS_PUT, 0, 0));
	EXPECT_EQ(users + 1, module_users("vfio"));
	EXPECT_EQ(0, calls_one(self->calls, CALLS_PUT, 1, 0));
	EXPECT_EQ(users, module_users("vfio"));
}

/* semantics: 32, 190.  A set has a key. */
TEST_F(driver_life, set_without_key)
{
	ASSERT_EQ(0, calls_one(self->calls, CALLS_ALLOC, 0, 0));
	kmsg_expect_warning(true, NULL);
	EXPECT_EQ(-EINVAL, calls_one(self->calls, CALLS_ASSIGN_SET, 0, 0));
	EXPECT_TRUE(kmsg_warned(self->log));
	kmsg_expect_warning(false, NULL);
	EXPECT_EQ(0, calls_seen(self->calls, 0, CALLS_NOW).what & CALLS_HAS_SET);
	EXPECT_EQ(0, calls_one(self->calls, CALLS_ASSIGN_SET, 0, 1));
}

/* semantics: 32, 34, 77.  Who is in a set with whom. */
TEST_F(driver_life, sets)
{
	int calls = self->calls;

	/* Two in one by name, one of them in its init; a third in another. */
	ASSERT_EQ(0, calls_one(calls, CALLS_ALLOC, 0, 0));
	ASSERT_EQ(0, calls_one(calls, CALLS_ASSIGN_SET, 0, 1));
	ASSERT_EQ(0, calls_cmd(calls, CALLS_ALLOC, 1, CALLS_SET_IN_INIT, 1, 0));
	ASSERT_EQ(0, calls_one(calls, CALLS_ALLOC, 2, 2));
	ASSERT_EQ(0, calls_one(calls, CALLS_ASSIGN_SET, 2, 2));
	EXPECT_EQ(0, calls_one(calls, CALLS_FIND, 1, 0));
	EXPECT_EQ(1, calls_one(calls, CALLS_FIND, 0, 1));
	EXPECT_EQ(1, calls_one(calls, CALLS_FIND, 1, 1));
	EXPECT_EQ(-ENOENT, calls_one(calls, CALLS_FIND, 0, 2));
	EXPECT_EQ(-ENOENT, calls_one(calls, CALLS_FIND, 2, 0));
	EXPECT_EQ(2, calls_one(calls, CALLS_FIND, 2, 2));

	/* Registration changes none of it, and gives a set to who has none. */
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(0, calls_one(calls, CALLS_REGISTER, i, 0));
	EXPECT_EQ(0, calls_one(calls, CALLS_FIND, 1, 0));
	EXPECT_EQ(2, calls_seen(calls, 0, CALLS_NOW).set_devices);
	ASSERT_EQ(0, calls_one(calls, CALLS_ALLOC, 3, 3));
	EXPECT_EQ(0, calls_seen(calls, 3, CALLS_NOW).what & CALLS_HAS_SET);
	ASSERT_EQ(0, calls_one(calls, CALLS_REGISTER, 3, 0));
	EXPECT_NE(0, calls_seen(calls, 3, CALLS_NOW).what & CALLS_HAS_SET);
	EXPECT_EQ(1, calls_seen(calls, 3, CALLS_NOW).set_devices);
	EXPECT_EQ(3, calls_one(calls, CALLS_FIND, 3, 3));
	EXPECT_EQ(-ENOENT, calls_one(calls, CALLS_FIND, 3, 0));
}

/* semantics: 76, 190.  What iommufd needs, a driver must have: seen before anything else. */
TEST_F(driver_life, missing_callbacks)
{
	static const uint32_t flags[] = {
		CALLS_NO_BIND, CALLS_NO_UNBIND, CALLS_NO_ATTACH, CALLS_NO_DETACH,
		CALLS_NO_BIND | CALLS_NO_DETACH, CALLS_NO_ATTACH | CALLS_PHYSICAL,
	};

	/* Nobody needs them. */
	if (!has_iommufd()) {
		ASSERT_EQ(0, calls_cmd(self->calls, CALLS_ALLOC, 0, CALLS_NO_BIND |
				       CALLS_NO_UNBIND | CALLS_NO_ATTACH | CALLS_NO_DETACH, 0, 0));
		EXPECT_EQ(0, calls_one(self->calls, CALLS_REGISTER, 0, 0));
		EXPECT_FALSE(kmsg_warned(self->log));
		return;
	}
	kmsg_expect_warning(true, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		ASSERT_EQ(0, calls_cmd(self->calls, CALLS_ALLOC, 0, flags[i], 0, 0));
		EXPECT_EQ(-EINVAL, calls_one(self->calls, CALLS_REGISTER, 0, 0));
		EXPECT_TRUE(kmsg_warned(self->log)) {
			TH_LOG("flags %#x", flags[i]);
		}
		EXPECT_EQ(0, calls_seen(self->calls, 0, CALLS_NOW).what & CALLS_HAS_SET);
		EXPECT_EQ(-ENOENT, calls_group(0));
		EXPECT_EQ(0, calls_one(self->calls, CALLS_PUT, 0, 0));
	}
	kmsg_expect_warning(false, NULL);
}

/* semantics: 78.  A physical device that no IOMMU knows is none for user space. */
TEST_F(driver_life, physical_without_iommu)
{
	ASSERT_EQ(0, calls_cmd(self->calls, CALLS_ALLOC, 0, CALLS_PHYSICAL, 0, 0));
	EXPECT_EQ(-EINVAL, calls_one(self->calls, CALLS_REGISTER, 0, 0));
	EXPECT_EQ(-ENOENT, calls_group(0));
	EXPECT_EQ(-ENOENT, calls_cdev(0));
	EXPECT_EQ(0, calls_one(self->calls, CALLS_GET_REGISTRATION, 0, 0));
	EXPECT_FALSE(kmsg_warned(self->log));
}

#define NOIOMMU "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

/*
 * semantics: 78; defect: B14.  A group without an IOMMU is not what isolates a device,
 * whatever the administrator says: in C it makes a device without an IOMMU of it, if the
 * kernel has such devices without a group.
 */
TEST_F(driver_life, group_without_iommu)
{
	for (int on = 0; on < 2; on++) {
		const int want = on && noiommu_has_nodes() ? BY_CORE(0, -EINVAL) : -EINVAL;

		if (sysfs_write(NOIOMMU, on ? "Y" : "N"))
			SKIP(return, "a kernel without VFIO_NOIOMMU");
		ASSERT_EQ(0, calls_cmd(self->calls, CALLS_GROUP, 0, true, 0, 0));
		ASSERT_EQ(0, calls_cmd(self->calls, CALLS_ALLOC, 0, CALLS_PHYSICAL, 0, 0));
		EXPECT_EQ(want, calls_one(self->calls, CALLS_REGISTER, 0, 0));
		EXPECT_EQ(!want, !!(calls_seen(self->calls, 0, CALLS_NOW).what & CALLS_NOIOMMU));
		EXPECT_EQ(0, calls_one(self->calls, CALLS_PUT, 0, 0));
		EXPECT_EQ(0, calls_cmd(self->calls, CALLS_GROUP, 0, false, 0, 0));
	}
	EXPECT_EQ(0, sysfs_write(NOIOMMU, "N"));
}

/* semantics: 39, 81.  An emulated one gets a group of its own, made for it. */
TEST_F(driver_life, emulated_groups)
{
	char path[128], text[64], line[256];
	int group[2];

	if (!has_groups()) {
		/* For want of VFIO's groups it needs none of the IOMMU's. */
		ASSERT_EQ(0, calls_emulated(self->calls, 0, 0));
		EXPECT_EQ(-ENOENT, calls_group(0));
		return;
	}
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, calls_emulated(self->calls, i, i));
		group[i] = calls_group(i);
		ASSERT_GE(group[i], 0);
		snprintf(text, sizeof(text), "vfio-calls.%d: Adding to iommu group %d", i, group[i]);
		EXPECT_TRUE(kmsg_wait(self->log, text, 0, line, sizeof(line)));
		snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/name", group[i]);
		ASSERT_GT(sysfs_read(path, text, sizeof(text)), 0);
		EXPECT_STREQ("vfio-noiommu", text);
		snprintf(path, sizeof(path), "/sys/class/vfio/%d", group[i]);
		EXPECT_EQ(0, access(path, F_OK));
	}
	EXPECT_NE(group[0], group[1]);
	EXPECT_EQ(0, calls_one(self->calls, CALLS_UNREGISTER, 1, 0));
	EXPECT_EQ(-ENOENT, calls_group(1));
	EXPECT_EQ(-1, access(path, F_OK));
}

/* The minors that groups have, as bits. */
static uint64_t group_minors(void)
{
	char name[64], path[128], text[32];
	uint64_t minors = 0;

	for (int i = 0; !sysfs_entry("/sys/class/vfio", i, name, sizeof(name)); i++) {
		snprintf(path, sizeof(path), "/sys/class/vfio/%s/dev", name);
		if (sysfs_read(path, text, sizeof(text)) > 0)
			minors |= 1ULL << atoi(strchr(text, ':') + 1);
	}
	return minors;
}

/* semantics: 28.  A group's minor is the lowest that is free, whatever the group's id. */
TEST_F(driver_life, group_minors)
{
	uint64_t before = group_minors();
	bool another = false;

	if (!has_groups())
		SKIP(return, NO_GROUPS);
	for (int i = 0; i < 4; i++) {
		uint64_t minors = group_minors();

		ASSERT_EQ(0, calls_emulated(self->calls, i, i));
		EXPECT_EQ(minors | (~minors & (minors + 1)), group_minors());
		another |= !(~minors >> calls_group(i) & 1) ||
			   (~minors & (minors + 1)) != 1ULL << calls_group(i);
	}
	/* There are groups that VFIO has nothing to do with. */
	EXPECT_TRUE(another);
	/* One in the middle is given again. */
	before = group_minors();
	EXPECT_EQ(0, calls_one(self->calls, CALLS_PUT, 1, 0));
	EXPECT_NE(before, group_minors());
	ASSERT_EQ(0, calls_emulated(self->calls, 1, 1));
	EXPECT_EQ(before, group_minors());
}

static int major_of(const char *name)
{
	char text[4096], *at, *start;

	if (sysfs_read("/proc/devices", text, sizeof(text)) <= 0)
		abort();
	for (start = text; (at = strstr(start, name)); start = at + 1)
		if (at[-1] == ' ' && (at[strlen(name)] == '\n'))
			return atoi(at - 4);
	return -1;
}

/* semantics: 14.  All minors of both majors are the core's. */
TEST_F(driver_life, minors)
{
	static const char *const names[] = { "vfio", "vfio-dev" };
	static const uint64_t minors[] = { 0, 1, 12345, 0xfffff };

	if (!has_procfs())
		SKIP(return, NO_PROCFS);
	for (int i = 0; i < 2; i++) {
		int major = major_of(names[i]);

		if (i ? !has_iommufd() : !has_groups()) {
			EXPECT_EQ(-1, major);
			continue;
		}
		ASSERT_GT(major, 0);
		for (size_t j = 0; j < ARRAY_SIZE(minors); j++) {
			EXPECT_EQ(-EBUSY, calls_cmd(self->calls, CALLS_REGION, 0, 0, major,
						    minors[j])) {
				TH_LOG("%s: %d:%d", names[i], major, (int)minors[j]);
			}
		}
	}
	/* And of no others. */
	EXPECT_EQ(0, calls_cmd(self->calls, CALLS_REGION, 0, 0, 511, 0));
}

static int unregister(void *arg)
{
	return calls_one(*(int *)arg, CALLS_UNREGISTER, 0, 0);
}

/*
 * semantics: 35, 36, 40, 87, 193.  References on a registration can be had while there
 * is one; unregistering waits for each of them; and then it can begin anew.
 */
TEST_F(driver_life, registration)
{
	int calls = self->calls;

	ASSERT_EQ(0, calls_one(calls, CALLS_ALLOC, 0, 0));
	EXPECT_EQ(0, calls_one(calls, CALLS_GET_REGISTRATION, 0, 0));
	for (int round = 0; round < 3; round++) {
		struct worker worker;

		ASSERT_EQ(0, calls_one(calls, CALLS_REGISTER, 0, 0));
		EXPECT_EQ(1, calls_one(calls, CALLS_GET_REGISTRATION, 0, 0));
		EXPECT_EQ(1, calls_one(calls, CALLS_GET_REGISTRATION, 0, 0));
		EXPECT_EQ(0, calls_one(calls, CALLS_PUT_REGISTRATION, 0, 0));
		ASSERT_EQ(0, worker_start(&worker, unregister, &calls));
		EXPECT_TRUE(worker_waits_for_users(&worker));
		/* Nobody gets in from outside any more, but who holds one can share it. */
		EXPECT_GT(0, calls_cdev(0));
		EXPECT_EQ(1, calls_one(calls, CALLS_GET_REGISTRATION, 0, 0));
		EXPECT_EQ(0, calls_one(calls, CALLS_PUT_REGISTRATION, 0, 0));
		EXPECT_FALSE(worker_ended(&worker));
		EXPECT_EQ(0, calls_one(calls, CALLS_PUT_REGISTRATION, 0, 0));
		EXPECT_EQ(0, worker_join(&worker));
		EXPECT_EQ(0, calls_one(calls, CALLS_GET_REGISTRATION, 0, 0));
	}
	EXPECT_EQ(0, calls_seen(calls, 0, CALLS_IN_RELEASE).what);
}

/*
 * semantics: 17, 74, 77, 95, 96, 97, 107, 181.  What drivers read from the structure,
 * and when it holds.
 */
TEST_F(driver_life, fields)
{
	/* It is as good as opened by its own node, or it is not. */
	const uint32_t opened = BY_SPACE(CALLS_CDEV_OPENED, 0);
	const uint32_t always = CALLS_CALLED | CALLS_OWN_DEV | CALLS_ZEROED | CALLS_HAS_INODE;
	struct calls_seen seen;
	int fd, calls = self->calls;
	char name[32];

	ASSERT_EQ(0, calls_one(calls, CALLS_ALLOC, 0, 0));
	EXPECT_EQ(always, calls_seen(calls, 0, CALLS_NOW).what);
	ASSERT_EQ(0, calls_one(calls, CALLS_REGISTER, 0, 0));
	seen = calls_seen(calls, 0, CALLS_NOW);
	EXPECT_EQ(always | CALLS_HAS_SET, seen.what);
	snprintf(name, sizeof(name), "vfio%u", seen.index);
	EXPECT_STREQ(name, seen.name);
	EXPECT_EQ(BY_SPACE(seen.index, 0), seen.minor);
	EXPECT_STREQ(access("/sys/kernel/debug/vfio", F_OK) ? "" : "vfio-calls.0", seen.debug);
	EXPECT_EQ(0, seen.open_count);

	if (has_iommufd()) {
		fd = calls_cdev(0);
		ASSERT_GE(fd, 0);
		EXPECT_EQ(always | CALLS_HAS_SET, calls_seen(calls, 0, CALLS_NOW).what);
		EXPECT_EQ(0, calls_seen(calls, 0, CALLS_IN_OPEN).what);
		ASSERT_EQ(0, cdev_bind(fd, self->space, NULL));
	} else {
		fd = calls_device(0, self->space);
		ASSERT_GE(fd, 0);
	}
	/* Not bound before it is open. */
	seen = calls_seen(calls, 0, CALLS_IN_OPEN);
	EXPECT_EQ(always | CALLS_HAS_SET | CALLS_LOCKED, seen.what);
	EXPECT_EQ(1, seen.open_count);
	EXPECT_STREQ(name, seen.name);
	seen = calls_seen(calls, 0, CALLS_NOW);
	EXPECT_EQ(always | CALLS_HAS_SET | opened, seen.what);
	EXPECT_EQ(1, seen.open_count);

	close(fd);
	/* Open, and bound, until it is closed. */
	seen = calls_seen(calls, 0, CALLS_IN_CLOSE);
	EXPECT_EQ(always | CALLS_HAS_SET | CALLS_LOCKED | opened, seen.what);
	EXPECT_EQ(1, seen.open_count);
	seen = calls_seen(calls, 0, CALLS_NOW);
	EXPECT_EQ(always | CALLS_HAS_SET, seen.what);
	EXPECT_EQ(0, seen.open_count);
}

static int unload(void *arg)
{
	return module_unload(arg);
}

/* semantics: 93.  While the driver's module goes away, its devices are there and nobody gets in. */
TEST_F(driver_life, leaving_driver)
{
	char state[16] = "", node[64];
	int fd, group = -1;
	struct worker w;

	ASSERT_EQ(0, calls_emulated(self->calls, 0, 0));
	fd = has_iommufd() ? calls_cdev(0) : -1;
	ASSERT_EQ(has_iommufd(), fd >= 0);
	snprintf(node, sizeof(node), "/dev/vfio/%d", calls_group(0));
	ASSERT_EQ(0, sysfs_write("/sys/module/vfio_calls/parameters/hold_exit", "Y"));
	close(self->calls);
	ASSERT_EQ(0, worker_start(&w, unload, "vfio_calls"));
	for (int ms = 0; ms < EVENT_MS && strcmp(state, "going"); ms += 10) {
		usleep(10000);
		ASSERT_GT(sysfs_read("/sys/module/vfio_calls/initstate", state, sizeof(state)), 0);
	}
	EXPECT_STREQ("going", state);
	for (int i = 0; has_iommufd() && i < 2; i++)
		EXPECT_EQ(-ENODEV, cdev_bind(fd, self->space, NULL));
	close(fd);
	if (has_groups()) {
		group = open(node, O_RDWR | O_CLOEXEC);
		ASSERT_GE(group, 0);
		ASSERT_EQ(0, space_set(group, self->space));
		EXPECT_EQ(-ENODEV, group_device(group, "vfio-calls.0"));
		close(group);
	}
	EXPECT_FALSE(worker_ended(&w));
	ASSERT_EQ(0, sysfs_write("/sys/module/vfio_calls/parameters/hold_exit", "N"));
	EXPECT_EQ(0, worker_join(&w));
	self->calls = calls_open();
	ASSERT_GE(self->calls, 0);
}

TEST_HARNESS_MAIN
