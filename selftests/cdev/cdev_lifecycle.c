// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a device looks like from outside, from its coming to its going: the node,
 * sysfs, uevents, names, numbers.
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <linux/netlink.h>

#include "lib/cdev.h"
#include "lib/group.h"
#include "lib/iommufd.h"
#include "lib/kmsg.h"
#include "lib/task.h"
#include "lib/test.h"

FIXTURE(cdev_lifecycle) {
	struct pci pci;
	char name[64], node[128], group[128];
};

FIXTURE_SETUP(cdev_lifecycle)
{
	if (pci_find_at(EDU, false, &self->pci))
		SKIP(return, "no edu device on the root bus");
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	ASSERT_EQ(0, pci_vfio_name(&self->pci, self->name, sizeof(self->name)));
	ASSERT_EQ(0, pci_cdev_path(&self->pci, self->node, sizeof(self->node)));
	pci_group_path(&self->pci, self->group, sizeof(self->group));
}

FIXTURE_TEARDOWN(cdev_lifecycle)
{
	pci_to_vfio(&self->pci);
}

/* The major number of a character driver, 0 if it is not there. */
static unsigned int char_major(const char *name)
{
	char line[128], found[64];
	unsigned int number, ret = 0;
	FILE *f = fopen("/proc/devices", "r");

	while (f && fgets(line, sizeof(line), f)) {
		if (line[0] == 'B')	/* block devices */
			break;
		if (sscanf(line, "%u %63s", &number, found) == 2 &&
		    !strcmp(found, name))
			ret = number;
	}
	if (f)
		fclose(f);
	return ret;
}

/* semantics: 14, 23, 24, 27.  Nodes and their numbers. */
TEST_F(cdev_lifecycle, nodes)
{
	struct stat st;
	char dev[32], path[256], want[32];
	unsigned int index;

	if (!has_procfs())
		SKIP(return, NO_PROCFS);
	EXPECT_EQ(has_groups(), !!char_major("vfio"));
	EXPECT_NE(0, char_major("vfio-dev"));
	EXPECT_NE(char_major("vfio"), char_major("vfio-dev"));

	ASSERT_EQ(0, stat(self->node, &st));
	EXPECT_EQ(S_IFCHR | 0600, st.st_mode);
	EXPECT_EQ(0, st.st_uid);
	EXPECT_EQ(0, st.st_gid);
	EXPECT_EQ(char_major("vfio-dev"), major(st.st_rdev));
	/* The minor is the index in the name. */
	ASSERT_EQ(0, strncmp(self->name, "vfio", 4));
	index = strtoul(self->name + 4, NULL, 10);
	EXPECT_EQ(index, minor(st.st_rdev));
	snprintf(path, sizeof(path), "/sys/class/vfio-dev/%s/dev", self->name);
	ASSERT_GT(sysfs_read(path, dev, sizeof(dev)), 0);
	snprintf(want, sizeof(want), "%u:%u", major(st.st_rdev), index);
	EXPECT_STREQ(want, dev);

	if (!has_groups()) {
		EXPECT_EQ(-1, access(self->group, F_OK));
		return;
	}
	ASSERT_EQ(0, stat(self->group, &st));
	EXPECT_EQ(S_IFCHR | 0600, st.st_mode);
	EXPECT_EQ(char_major("vfio"), major(st.st_rdev));
	snprintf(path, sizeof(path), "/sys/class/vfio/%d/dev", self->pci.group);
	ASSERT_GT(sysfs_read(path, dev, sizeof(dev)), 0);
	snprintf(want, sizeof(want), "%u:%u", major(st.st_rdev),
		 minor(st.st_rdev));
	EXPECT_STREQ(want, dev);
}

/* semantics: 21, 22, 25, 26.  The class devices, where they hang, what they hold. */
TEST_F(cdev_lifecycle, sysfs)
{
	static const char * const attrs[] = {
		"dev", "device", "power", "subsystem", "uevent", NULL };
	char path[256], real[PATH_MAX], parent[PATH_MAX], want[2 * PATH_MAX];
	char entry[64], uevent[512];
	int i;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", self->pci.bdf);
	ASSERT_NE(NULL, realpath(path, parent));
	snprintf(path, sizeof(path), "/sys/class/vfio-dev/%s", self->name);
	ASSERT_NE(NULL, realpath(path, real));
	snprintf(want, sizeof(want), "%s/vfio-dev/%s", parent, self->name);
	EXPECT_STREQ(want, real);
	for (i = 0; attrs[i]; i++) {
		EXPECT_EQ(0, sysfs_entry(path, i, entry, sizeof(entry)));
		EXPECT_STREQ(attrs[i], entry);
	}
	EXPECT_NE(0, sysfs_entry(path, i, entry, sizeof(entry)));
	snprintf(path, sizeof(path), "/sys/class/vfio-dev/%s/device",
		 self->name);
	ASSERT_NE(NULL, realpath(path, real));
	EXPECT_STREQ(parent, real);
	snprintf(path, sizeof(path), "/sys/class/vfio-dev/%s/uevent",
		 self->name);
	ASSERT_GT(sysfs_read(path, uevent, sizeof(uevent)), 0);
	snprintf(want, sizeof(want), "DEVNAME=vfio/devices/%s", self->name);
	EXPECT_NE(NULL, strstr(uevent, want));
	EXPECT_NE(NULL, strstr(uevent, "MAJOR="));
	EXPECT_EQ(NULL, strstr(uevent, "DEVMODE="));

	if (!has_groups())
		return;
	snprintf(path, sizeof(path), "/sys/class/vfio/%d", self->pci.group);
	ASSERT_NE(NULL, realpath(path, real));
	snprintf(want, sizeof(want), "/sys/devices/virtual/vfio/%d",
		 self->pci.group);
	EXPECT_STREQ(want, real);
	snprintf(path, sizeof(path), "/sys/class/vfio/%d/uevent",
		 self->pci.group);
	ASSERT_GT(sysfs_read(path, uevent, sizeof(uevent)), 0);
	snprintf(want, sizeof(want), "DEVNAME=vfio/%d", self->pci.group);
	EXPECT_NE(NULL, strstr(uevent, want));
	EXPECT_EQ(NULL, strstr(uevent, "DEVMODE="));
}

/* semantics: 2, 3, 5, 7.  The module as user space sees it. */
TEST(module)
{
	static const char * const infos[] = {
		"version=0.3", "license=GPL v2",
		"author=Alex Williamson <alex.williamson@redhat.com>",
		"description=VFIO - User Level meta-driver",
		"softdep=post: vfio_iommu_type1 vfio_iommu_spapr_tce",
		"depends=iommufd", "import_ns=IOMMUFD",
		"parmtype=enable_unsafe_noiommu_mode:bool",
	};
	const char *param = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode";
	struct stat st;
	char text[64], *file;
	bool parameter;
	int fd;

	ASSERT_GT(sysfs_read("/sys/module/vfio/version", text, sizeof(text)), 0);
	EXPECT_STREQ("0.3", text);
	/* Only with VFIO_NOIOMMU. */
	parameter = !stat(param, &st);
	if (parameter) {
		EXPECT_EQ(S_IFREG | 0644, st.st_mode);
		ASSERT_GT(sysfs_read(param, text, sizeof(text)), 0);
		EXPECT_STREQ("N", text);
	}

	fd = module_file("vfio");
	if (fd < 0)
		SKIP(return, "the file of the module is not to be found");
	ASSERT_EQ(0, fstat(fd, &st));
	file = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, file);
	for (size_t i = 0; i < sizeof(infos) / sizeof(*infos); i++) {
		bool want = parameter || strncmp(infos[i], "parm", 4);

		EXPECT_EQ(want, !!memmem(file, st.st_size, infos[i], strlen(infos[i]) + 1))
			TH_LOG("%s", infos[i]);
	}
	munmap(file, st.st_size);
	close(fd);
}

/* Uevents from now on. */
static int uevent_socket(void)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC,
			NETLINK_KOBJECT_UEVENT);

	if (fd >= 0 && bind(fd, (void *)&addr, sizeof(addr)))
		return -errno;
	return fd;
}

/*
 * The next event of @action at a path that ends in @tail; its variables go to @vars,
 * one a line.
 */
static bool next_uevent(int fd, const char *action, const char *tail,
			char *vars, size_t size)
{
	char head[512], path[512];
	ssize_t n;

	while (wait_readable(fd, EVENT_MS)) {
		n = recv(fd, vars, size - 1, 0);
		if (n < 0)
			return false;
		vars[n] = '\0';
		snprintf(head, sizeof(head), "%s", vars);
		for (ssize_t i = 0; i < n; i++)
			if (!vars[i])
				vars[i] = '\n';
		if (strncmp(head, action, strlen(action)) ||
		    head[strlen(action)] != '@')
			continue;
		snprintf(path, sizeof(path), "%s", head + strlen(action) + 1);
		if (strlen(path) >= strlen(tail) &&
		    !strcmp(path + strlen(path) - strlen(tail), tail))
			return true;
	}
	return false;
}

/* Does an event have the name and the numbers of that node? */
static bool has_node(const char *vars, const char *name, unsigned int major,
		     unsigned int minor)
{
	char want[128];

	snprintf(want, sizeof(want), "\nDEVNAME=%s\n", name);
	if (!strstr(vars, want))
		return false;
	snprintf(want, sizeof(want), "\nMAJOR=%u\n", major);
	if (!strstr(vars, want))
		return false;
	snprintf(want, sizeof(want), "\nMINOR=%u\n", minor);
	return strstr(vars, want);
}

/* semantics: 24, 31, 38, 86, 199.  Both devices are announced, and so is their end. */
TEST_F(cdev_lifecycle, uevents)
{
	char tail[128], group[64], vars[4096];
	const char *node = self->node + strlen("/dev/");
	const char *group_node = self->group + strlen("/dev/");
	struct stat device_st, group_st;
	int fd;

	if (!has_groups())
		SKIP(return, NO_GROUPS);
	fd = uevent_socket();
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, stat(self->node, &device_st));
	ASSERT_EQ(0, stat(self->group, &group_st));
	snprintf(tail, sizeof(tail), "/vfio-dev/%s", self->name);
	snprintf(group, sizeof(group), "/virtual/vfio/%d", self->pci.group);

	ASSERT_EQ(0, pci_unbind(&self->pci));
	EXPECT_EQ(-1, access(self->node, F_OK));
	EXPECT_EQ(-1, access(self->group, F_OK));
	ASSERT_TRUE(next_uevent(fd, "remove", tail, vars, sizeof(vars)));
	EXPECT_TRUE(has_node(vars, node, major(device_st.st_rdev), minor(device_st.st_rdev)));
	ASSERT_TRUE(next_uevent(fd, "remove", group, vars, sizeof(vars)));
	EXPECT_TRUE(has_node(vars, group_node, major(group_st.st_rdev), minor(group_st.st_rdev)));

	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	/* The lowest free index, so the same name again. */
	ASSERT_TRUE(next_uevent(fd, "add", group, vars, sizeof(vars)));
	EXPECT_TRUE(has_node(vars, group_node, major(group_st.st_rdev), minor(group_st.st_rdev)));
	EXPECT_NE(NULL, strstr(vars, "\nSUBSYSTEM=vfio\n"));
	ASSERT_TRUE(next_uevent(fd, "add", tail, vars, sizeof(vars)));
	EXPECT_TRUE(has_node(vars, node, major(device_st.st_rdev), minor(device_st.st_rdev)));
	EXPECT_NE(NULL, strstr(vars, "\nSUBSYSTEM=vfio-dev\n"));
	EXPECT_EQ(0, access(self->node, F_OK));
	close(fd);
}

struct opener {
	const char *node, *tail;
	int uevents, go;
};

/* Opens the node in answer to each announcement: how often that was too early. */
static int open_on_uevent(void *arg)
{
	struct opener *o = arg;
	char vars[4096];
	int early = 0;

	while (next_uevent(o->uevents, "add", o->tail, vars, sizeof(vars))) {
		int fd = open(o->node, O_RDWR | O_CLOEXEC);
		char byte = 0;

		if (fd < 0 && errno == ENODEV)
			early++;
		else if (fd < 0 && errno != ENOENT)
			return -errno;
		if (fd >= 0)
			close(fd);
		/* Tell the other side to go on. */
		if (write(o->go, &byte, 1) != 1)
			return -errno;
		if (strstr(vars, "\nSYNTH_ARG_LAST=1\n"))
			break;
	}
	return early;
}

#define ROUNDS 60

/*
 * semantics: 85; defect: B6 (D5).  Who opens the node when it is announced can open
 * it: on ours always; the core in C may say ENODEV.
 */
TEST_F(cdev_lifecycle, open_when_announced)
{
	int go[2], early;
	char tail[128], byte;
	struct task task;
	struct opener o = { .node = self->node, .tail = tail };

	ASSERT_EQ(0, pipe(go));
	snprintf(tail, sizeof(tail), "/vfio-dev/%s", self->name);
	o.uevents = uevent_socket();
	o.go = go[1];
	ASSERT_GE(o.uevents, 0);
	ASSERT_EQ(0, task_start(&task, open_on_uevent, &o));
	for (int i = 0; i <= ROUNDS; i++) {
		ASSERT_EQ(0, pci_unbind(&self->pci));
		/* The last announcement is made by hand, and marked. */
		if (i == ROUNDS) {
			char path[256];

			ASSERT_EQ(0, pci_to_vfio(&self->pci));
			ASSERT_EQ(1, read(go[0], &byte, 1));
			snprintf(path, sizeof(path),
				 "/sys/class/vfio-dev/%s/uevent", self->name);
			ASSERT_EQ(0, sysfs_write(path,
				"add 12345678-1234-1234-1234-123456789abc LAST=1"));
			break;
		}
		ASSERT_EQ(0, pci_to_vfio(&self->pci));
		ASSERT_EQ(1, read(go[0], &byte, 1));
	}
	early = task_join(&task);
	if (core_is_rust()) {
		EXPECT_EQ(0, early);
	} else {
		EXPECT_GE(early, 0);
		TH_LOG("the core in C was too early %d times of %d", early,
		       ROUNDS + 1);
	}
}

/* Opens the node as soon as it is there: 0, or what it got before. */
static int open_at_once(void *arg)
{
	const char *node = arg;
	int ret = 0;

	for (;;) {
		int fd = open(node, O_RDWR | O_CLOEXEC);

		if (fd >= 0) {
			close(fd);
			return ret;
		}
		if (errno != ENOENT)
			ret = -errno;
	}
}

/* semantics: 85; defect: B6 (D5).  The same without an announcement. */
TEST_F(cdev_lifecycle, open_when_there)
{
	int early = 0;

	for (int i = 0; i < ROUNDS; i++) {
		struct task task;
		int ret;

		ASSERT_EQ(0, pci_unbind(&self->pci));
		ASSERT_EQ(0, task_start(&task, open_at_once, self->node));
		ASSERT_EQ(0, pci_to_vfio(&self->pci));
		ret = task_join(&task);
		ASSERT_TRUE(ret == 0 || ret == -ENODEV);
		early += ret == -ENODEV;
	}
	if (!core_is_rust())
		TH_LOG("the core in C was too early %d times of %d", early,
		       ROUNDS);
	else
		EXPECT_EQ(0, early);
}

/* semantics: 24, 86, 92, 199.  The same name and number again, 100 times. */
TEST_F(cdev_lifecycle, name_reuse)
{
	struct stat before, st;
	char name[64];

	ASSERT_EQ(0, stat(self->node, &before));
	for (int i = 0; i < 100; i++) {
		ASSERT_EQ(0, pci_unbind(&self->pci));
		ASSERT_EQ(-1, stat(self->node, &st));
		ASSERT_EQ(0, pci_to_vfio(&self->pci));
		ASSERT_EQ(0, pci_vfio_name(&self->pci, name, sizeof(name)));
		ASSERT_STREQ(self->name, name);
		ASSERT_EQ(0, stat(self->node, &st));
		ASSERT_EQ(before.st_rdev, st.st_rdev);
	}
}

/* semantics: 24.  The lowest free index, whoever frees it. */
TEST_F(cdev_lifecycle, lowest_index)
{
	char name[2][64], again[64];
	struct pci other;

	if (pci_find(TESTDEV, 0, &other))
		SKIP(return, "no iommu-testdev");
	ASSERT_EQ(0, pci_to_vfio(&other));
	ASSERT_EQ(0, pci_vfio_name(&self->pci, name[0], sizeof(name[0])));
	ASSERT_EQ(0, pci_vfio_name(&other, name[1], sizeof(name[1])));
	EXPECT_STRNE(name[0], name[1]);
	ASSERT_EQ(0, pci_unbind(&self->pci));
	ASSERT_EQ(0, pci_unbind(&other));
	/* Bound in the other order they change names, or keep the gap. */
	ASSERT_EQ(0, pci_to_vfio(&other));
	ASSERT_EQ(0, pci_vfio_name(&other, again, sizeof(again)));
	EXPECT_STREQ(name[atoi(name[0] + 4) > atoi(name[1] + 4)], again);
}

/* semantics: 86, 98, 200.  A node that was kept by hand leads nowhere. */
TEST_F(cdev_lifecycle, stale_node)
{
	struct stat st;
	int fd;

	ASSERT_EQ(0, stat(self->node, &st));
	unlink("/tmp/stale-vfio");
	ASSERT_EQ(0, mknod("/tmp/stale-vfio", S_IFCHR | 0600, st.st_rdev));
	fd = open("/tmp/stale-vfio", O_RDWR);
	EXPECT_GE(fd, 0);
	close(fd);
	ASSERT_EQ(0, pci_unbind(&self->pci));
	EXPECT_EQ(-1, open("/tmp/stale-vfio", O_RDWR));
	EXPECT_EQ(ENXIO, errno);
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	fd = open("/tmp/stale-vfio", O_RDWR);
	EXPECT_GE(fd, 0);
	close(fd);
	unlink("/tmp/stale-vfio");
	/* A minor that no device has. */
	ASSERT_EQ(0, mknod("/tmp/stale-vfio", S_IFCHR | 0600,
			   makedev(major(st.st_rdev), 0xfffff)));
	EXPECT_EQ(-1, open("/tmp/stale-vfio", O_RDWR));
	EXPECT_EQ(ENXIO, errno);
	unlink("/tmp/stale-vfio");
}

/* semantics: 179.  debugfs has a folder for each. */
TEST_F(cdev_lifecycle, debugfs)
{
	char path[256];

	if (access("/sys/kernel/debug/vfio", F_OK))
		SKIP(return, "VFIO has no debugfs here");
	snprintf(path, sizeof(path), "/sys/kernel/debug/vfio/%s",
		 self->pci.bdf);
	EXPECT_EQ(0, access(path, F_OK));
	ASSERT_EQ(0, pci_unbind(&self->pci));
	EXPECT_EQ(-1, access(path, F_OK));
}

/* semantics: 189.  A life without trouble is nothing to speak of. */
TEST_F(cdev_lifecycle, quiet)
{
	static const char *const words[] = { "vfio", "VFIO" };
	int log[2] = { kmsg_open(), kmsg_open() };
	char line[256];

	for (int i = 0; i < 2; i++) {
		struct session s;

		ASSERT_EQ(0, pci_unbind(&self->pci));
		ASSERT_EQ(0, session_open(&self->pci, &s));
		EXPECT_EQ(0, cdev_detach(s.fd));
		session_close(&s);
		close(group_open(&self->pci));
	}
	for (int i = 0; i < 2; i++) {
		/* iommufd warns where the IOMMU does not isolate interrupts. */
		while (kmsg_wait(log[i], words[i], 0, line, sizeof(line))) {
			bool known = strstr(line, "MSI interrupts are not secure");

			EXPECT_TRUE(known) TH_LOG("%s", line);
		}
		close(log[i]);
	}
}

TEST_HARNESS_MAIN
