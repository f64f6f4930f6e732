// SPDX-License-Identifier: GPL-2.0-only
/*
 * Do users of different devices wait for each other?  The kernel's trace event of a mutex that
 * is not free at once, lock:contention_begin, tells who asked for it.  Events are counted, not time.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "lib/cdev.h"
#include "lib/group.h"
#include "lib/iommufd.h"
#include "lib/mdev.h"
#include "lib/task.h"
#include "lib/test.h"
#include "lib/trace.h"
#include "lib/uffd.h"

/* A buffer of our own. */
#define INSTANCE TRACING "/instances/vfio-shared-locks"
#define EVENT	INSTANCE "/events/lock/contention_begin"
/* LCB_F_MUTEX of include/trace/events/lock.h: a task that spins or sleeps, or only one that sleeps */
#define WAITS	"flags & 32"
#define SLEEPS	"flags == 32"
#define IOVA	0x10000000ULL
#define TYPE	"mtty-1"
#define DEVICES	4
#define ROUNDS	300
/* Opens alone, which pass the same places most often. */
#define OPENS	5000

FIXTURE(shared_locks) {
	struct stall stall;
};

FIXTURE_SETUP(shared_locks)
{
	/* With lockdep, each acquisition tells that it spins, also of a free mutex. */
	const char *filter = access("/proc/lockdep", F_OK) ? WAITS : SLEEPS;

	self->stall.fd = -1;
	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	if (access(TRACING "/events/lock/contention_begin", F_OK))
		SKIP(return, "a kernel without this event");
	ASSERT_TRUE(!mkdir(INSTANCE, 0700) || errno == EEXIST);
	ASSERT_EQ(0, sysfs_write(INSTANCE "/options/stacktrace", "1"));
	/* With the offset comes the module. */
	ASSERT_EQ(0, sysfs_write(INSTANCE "/options/sym-offset", "1"));
	ASSERT_EQ(0, sysfs_write(EVENT "/filter", filter));
	ASSERT_EQ(0, trace_clear(INSTANCE "/trace"));
	ASSERT_EQ(0, sysfs_write(EVENT "/enable", "1"));
}

FIXTURE_TEARDOWN(shared_locks)
{
	sysfs_write(EVENT "/enable", "0");
	rmdir(INSTANCE);
}

/* The functions of locks and of tracing, which are above the caller in a stack. */
static bool is_of_lock(const char *function)
{
	static const char *const names[] = { "mutex", "contention", "trace", "lock_common", "stack" };

	for (int i = 0; i < ARRAY_SIZE(names); i++)
		if (strstr(function, names[i]))
			return true;
	return false;
}

/*
 * Returns how often vfio.ko itself asked for a mutex that was not free, or -errno if the events cannot be
 * read, or if some were overwritten.  Prints the callers.
 */
static int own_waits(void)
{
	FILE *file = fopen(INSTANCE "/trace", "re");
	bool above = false;
	unsigned long left, written;
	char line[1024];
	int waits = 0;

	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "# entries-in-buffer/entries-written: %lu/%lu", &left, &written) == 2 && left != written)
			waits = -EOVERFLOW;
		if (strncmp(line, " => ", 4)) {
			above = true;
		} else if (above && waits >= 0 && strstr(line, "[vfio]")) {
			above = false;
			waits++;
			ksft_print_msg("%s", line);
		} else if (!is_of_lock(line)) {
			above = false;
		}
	}
	fclose(file);
	return waits;
}

/*
 * A control: BIND waits for the lock of the device's set.  An attach holds that lock while it pins a missing
 * page.
 */
TEST_F(shared_locks, of_one_device)
{
	static const char page[4096];
	struct bind_op bind;
	struct attach_op attach;
	struct worker first, second;
	struct session s;
	struct pci pci;

	if (pci_find_at(EDU, false, &pci))
		SKIP(return, "no edu device on the root bus");
	ASSERT_EQ(0, session_open(&pci, &s));
	bind = (struct bind_op){ cdev_open(&pci), s.iommufd };
	ASSERT_GE(bind.fd, 0);
	attach.fd = s.fd;
	ASSERT_EQ(0, ioas_alloc(s.iommufd, &attach.pt));
	ASSERT_EQ(0, stall_open(&self->stall));
	ASSERT_EQ(0, ioas_map(s.iommufd, attach.pt, self->stall.page, self->stall.size, IOVA));
	ASSERT_EQ(0, worker_start(&first, cdev_attach_op, &attach));
	ASSERT_EQ(0, stall_wait(&self->stall));
	ASSERT_EQ(0, worker_start(&second, cdev_bind_op, &bind));
	EXPECT_TRUE(worker_sleeps_in(&second, "[vfio]"));
	EXPECT_GT(own_waits(), 0);
	ASSERT_EQ(0, stall_release(&self->stall, page));
	EXPECT_EQ(0, worker_join(&first));
	EXPECT_EQ(-EINVAL, worker_join(&second));
	stall_close(&self->stall);
	close(bind.fd);
	session_close(&s);
}

struct client {
	struct worker worker;
	char node[128], group[64];
	int iommufd;
	uint32_t ioas;
	atomic_int *ready;
};

/* By the node, then by the group, whose file the bound file excludes. */
static int use_device(void *arg)
{
	struct client *client = arg;
	struct vfio_group_status status = { .argsz = sizeof(status) };
	uint32_t ioas;
	int fd, ret;

	/* Together. */
	--*client->ready;
	while (*client->ready)
		;
	for (int i = 0; i < OPENS; i++) {
		fd = open(client->node, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		close(fd);
	}
	for (int i = 0; i < ROUNDS; i++) {
		fd = open(client->node, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		ioas = client->ioas;
		ret = cdev_bind(fd, client->iommufd, NULL);
		ret = ret ?: device_info(fd);
		ret = ret ?: cdev_attach(fd, &ioas);
		ret = ret ?: cdev_detach(fd);
		close(fd);
		if (ret)
			return ret;
		if (!has_groups())
			continue;
		fd = open(client->group, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		ret = xioctl(fd, VFIO_GROUP_GET_STATUS, &status);
		close(fd);
		if (ret)
			return ret;
	}
	return 0;
}

/* Devices that share nothing: neither group, set, nor iommufd. */
TEST_F(shared_locks, of_different_devices)
{
	struct client clients[DEVICES];
	atomic_int ready = DEVICES;
	char name[64];
	int ret;

	ret = mdev_sample_load("mtty");
	if (ret == -ENOENT)
		SKIP(return, "no module mtty");
	ASSERT_EQ(0, ret);
	for (int i = 0; i < DEVICES; i++) {
		struct client *client = &clients[i];

		ASSERT_EQ(0, mdev_create("mtty", TYPE, mdev_uuids[i]));
		ASSERT_EQ(0, mdev_name(mdev_uuids[i], name, sizeof(name)));
		snprintf(client->node, sizeof(client->node), "/dev/vfio/devices/%s", name);
		snprintf(client->group, sizeof(client->group), "/dev/vfio/%d", mdev_group(mdev_uuids[i]));
		client->iommufd = iommufd_open();
		ASSERT_GE(client->iommufd, 0);
		ASSERT_EQ(0, ioas_alloc(client->iommufd, &client->ioas));
		client->ready = &ready;
	}
	ASSERT_EQ(0, trace_clear(INSTANCE "/trace"));
	for (int i = 0; i < DEVICES; i++)
		ASSERT_EQ(0, worker_start(&clients[i].worker, use_device, &clients[i]));
	for (int i = 0; i < DEVICES; i++)
		EXPECT_EQ(0, worker_join(&clients[i].worker));
	EXPECT_EQ(0, own_waits());
	for (int i = 0; i < DEVICES; i++) {
		close(clients[i].iommufd);
		EXPECT_EQ(0, mdev_remove(mdev_uuids[i]));
	}
	EXPECT_EQ(0, mdev_sample_unload("mtty"));
}

TEST_HARNESS_MAIN
