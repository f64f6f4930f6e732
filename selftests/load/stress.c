// SPDX-License-Identifier: GPL-2.0-only
/*
 * Everything at once: threads that race for a device, for its group, for its
 * interrupts and against its going.  So many rounds, however long they take.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

#include "lib/cdev.h"
#include "lib/group.h"
#include "lib/iommufd.h"
#include "lib/task.h"
#include "lib/test.h"
#include "lib/testdev.h"

#define DRIVER "/sys/bus/pci/drivers/vfio-pci"
#define IOVA 0x10000000ULL

/* A device, and word to those who work on it to stop. */
FIXTURE(stress) {
	struct pci pci;
	char node[128];
	int iommufd;
	atomic_bool stop;
};

typedef FIXTURE_DATA(stress) data;

FIXTURE_SETUP(stress)
{
	self->iommufd = -1;
	if (pci_find_at(EDU, false, &self->pci))
		SKIP(return, "no edu device on the root bus");
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	ASSERT_EQ(0, pci_cdev_path(&self->pci, self->node, sizeof(self->node)));
	self->iommufd = iommufd_open();
	ASSERT_GE(self->iommufd, 0);
}

/* Whatever happened to it: the device works, and can be taken and given back. */
FIXTURE_TEARDOWN(stress)
{
	struct session s;

	close(self->iommufd);
	EXPECT_EQ(0, session_open(&self->pci, &s));
	EXPECT_EQ(0, cdev_enable_dma(s.fd));
	session_close(&s);
	EXPECT_EQ(0, pci_unbind(&self->pci));
	EXPECT_EQ(0, pci_to_vfio(&self->pci));
	EXPECT_EQ(0, session_open(&self->pci, &s));
	session_close(&s);
}

/* An errno that should not be. */
static int unexpected(const char *what, int ret)
{
	ksft_print_msg("%s: %d\n", what, ret);
	return ret ? ret : -EPROTO;
}

/* Lets others work while there is nothing to do. */
static void pause_1ms(void)
{
	poll(NULL, 0, 1);
}

static bool open_may_say(int ret)
{
	return ret >= 0 || ret == -ENOENT || ret == -ENODEV || ret == -ENXIO;
}

struct client {
	const struct pci *pci;
	const char *node;
	atomic_bool *stop;
	atomic_int opened, bound;
};

/* Counts a successful open, or pauses after a failed one.  True if @fd is open. */
static bool opened_or_wait(struct client *c, int fd)
{
	if (fd < 0)
		pause_1ms();
	else
		c->opened++;
	return fd >= 0;
}

/* Open, BIND, ATTACH, a call, close, as long as it goes. */
static int use_device(void *arg)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct client *c = arg;
	int iommufd = iommufd_open(), ret = 0;
	uint32_t ioas, pt;

	if (iommufd < 0 || ioas_alloc(iommufd, &ioas))
		return unexpected("iommufd", iommufd);
	while (!ret && !atomic_load(c->stop)) {
		int fd = cdev_open(c->pci);

		if (!open_may_say(fd))
			ret = unexpected("open", fd);
		if (!opened_or_wait(c, fd))
			continue;
		ret = cdev_bind(fd, iommufd, NULL);
		if (!ret) {
			c->bound++;
			pt = ioas;
			ret = cdev_attach(fd, &pt);
			if (!ret)
				ret = xioctl(fd, VFIO_DEVICE_GET_INFO, &info);
			if (ret)
				unexpected("a call on the bound device", ret);
		} else if (ret == -EINVAL || ret == -ENODEV) {
			/* Bound by another thread, or the device goes. */
			ret = 0;
		} else {
			unexpected("BIND", ret);
		}
		close(fd);
	}
	close(iommufd);
	return ret;
}

#define USERS 3

/* Threads that use the device while it comes and goes. */
struct users {
	struct client client;
	struct worker worker[USERS];
	int seen;
};

static int users_start(struct users *u, data *self, int (*use)(void *client))
{
	int ret = 0;

	u->client = (struct client){ &self->pci, self->node, &self->stop };
	for (int i = 0; !ret && i < USERS; i++)
		ret = worker_start(&u->worker[i], use, &u->client);
	return ret;
}

/* Waits until a thread has used the device again.  @count counts the uses. */
static void users_await(struct users *u, atomic_int *count)
{
	while (atomic_load(count) == u->seen && !worker_ended(&u->worker[0]))
		pause_1ms();
	u->seen = atomic_load(count);
}

/* 0, or the first errno that a thread returned. */
static int users_stop(struct users *u)
{
	int ret = 0;

	*u->client.stop = true;
	for (int i = 0; i < USERS; i++) {
		int result = worker_join(&u->worker[i]);

		ret = ret ? ret : result;
	}
	return ret;
}

/*
 * semantics: 24, 85-87, 90, 92, 98, 109, 182; defects: B6, B23, B27.  A device that
 * comes and goes under its users: who can open it can bind it or is told why not.  A file
 * that is open keeps the number; once all are closed, the name comes back.
 */
TEST_F(stress, use_and_unbind)
{
	int ret, renamed = 0;
	struct users u = { 0 };
	char node[128];

	ASSERT_EQ(0, users_start(&u, self, use_device));
	for (int i = 0; i < 40; i++) {
		/* Not before somebody has used it. */
		users_await(&u, &u.client.bound);
		ret = sysfs_write(DRIVER "/unbind", self->pci.bdf);
		EXPECT_EQ(0, ret);
		EXPECT_NE(0, pci_cdev_path(&self->pci, node, sizeof(node)));
		ret = sysfs_write(DRIVER "/bind", self->pci.bdf);
		EXPECT_EQ(0, ret);
		EXPECT_EQ(0, pci_cdev_path(&self->pci, node, sizeof(node)));
		renamed += !!strcmp(node, self->node);
	}
	EXPECT_EQ(0, users_stop(&u));
	TH_LOG("%d opened, %d bound, %d times another name", u.client.opened,
	       u.client.bound, renamed);
	EXPECT_GE((int)u.client.bound, 40);
	EXPECT_EQ(0, sysfs_write(DRIVER "/unbind", self->pci.bdf));
	EXPECT_EQ(0, sysfs_write(DRIVER "/bind", self->pci.bdf));
	EXPECT_EQ(0, pci_cdev_path(&self->pci, node, sizeof(node)));
	EXPECT_STREQ(self->node, node);
}

/* One of two threads that start together. */
struct racer {
	pthread_barrier_t *start;
	int fd, iommufd, rounds;
	const struct pci *pci;
	int *results;
};

static int race_bind(void *arg)
{
	struct racer *r = arg;

	for (int i = 0; i < r->rounds; i++) {
		int fd = cdev_open(r->pci);

		pthread_barrier_wait(r->start);
		r->results[i] = cdev_bind(fd, r->iommufd, NULL);
		pthread_barrier_wait(r->start);
		close(fd);
	}
	return 0;
}

static int race_group(void *arg)
{
	struct racer *r = arg;

	for (int i = 0; i < r->rounds; i++) {
		int group;

		pthread_barrier_wait(r->start);
		group = group_open(r->pci);
		r->results[i] = group < 0 ? group : 0;
		pthread_barrier_wait(r->start);
		close(group);
	}
	return 0;
}

#define ROUNDS 100

static int race(const struct pci *pci, int (*a)(void *arg), int iommufd_a,
		int (*b)(void *arg), int iommufd_b, int (*results)[ROUNDS])
{
	pthread_barrier_t start;
	struct racer racer[2] = {
		{ &start, -1, iommufd_a, ROUNDS, pci, results[0] },
		{ &start, -1, iommufd_b, ROUNDS, pci, results[1] },
	};
	struct worker worker[2];

	pthread_barrier_init(&start, NULL, 2);
	if (worker_start(&worker[0], a, &racer[0]) ||
	    worker_start(&worker[1], b, &racer[1]))
		abort();
	return worker_join(&worker[0]) ?: worker_join(&worker[1]);
}

/* semantics: 103, 191.  Of two files that are bound at once, one is. */
TEST_F(stress, two_binds)
{
	int results[2][ROUNDS], second = iommufd_open(), wins = 0;

	ASSERT_GE(second, 0);
	for (int same = 0; same < 2; same++) {
		ASSERT_EQ(0, race(&self->pci, race_bind, self->iommufd, race_bind,
				  same ? self->iommufd : second, results));
		for (int i = 0; i < ROUNDS; i++) {
			int loser = results[0][i] ?: results[1][i];

			EXPECT_NE(!results[0][i], !results[1][i]);
			EXPECT_EQ(-EINVAL, loser);
			wins += !results[0][i];
		}
	}
	TH_LOG("the first won %d of %d", wins, 2 * ROUNDS);
	close(second);
}

/*
 * semantics: 110, 144, 182.  The group's file or the device's, never both.  On the debug
 * kernel lockdep sees in which order the locks of both open paths are taken.
 */
TEST_F(stress, bind_and_group)
{
	int results[2][ROUNDS], wins = 0;

	ASSERT_EQ(0, race(&self->pci, race_bind, self->iommufd, race_group, -1,
			  results));
	for (int i = 0; i < ROUNDS; i++) {
		int loser = results[0][i] ?: results[1][i];

		EXPECT_NE(!results[0][i], !results[1][i]);
		EXPECT_EQ(-EBUSY, loser);
		wins += !results[0][i];
	}
	TH_LOG("BIND won %d of %d", wins, ROUNDS);
}

struct attacher {
	int fd;
	uint32_t ioas;
	atomic_bool *stop;
};

static int attach_detach(void *arg)
{
	struct attacher *a = arg;
	int ret = 0;

	for (int i = 0; i < ROUNDS && !ret; i++) {
		uint32_t pt = a->ioas;

		ret = cdev_attach(a->fd, &pt);
		if (ret)
			unexpected("ATTACH", ret);
		ret = ret ?: cdev_detach(a->fd);
		if (ret)
			unexpected("DETACH", ret);
	}
	return ret;
}

/* semantics: 65, 66, 114, 115, 116.  Whoever attaches last, or detaches. */
TEST_F(stress, attach)
{
	uint32_t *page[2], pt;
	struct attacher attacher[2];
	struct worker worker[2];
	struct session s;
	struct pci pci;
	size_t size;
	void *bar;

	if (pci_find(TESTDEV, 0, &pci))
		SKIP(return, "no iommu-testdev");
	ASSERT_EQ(0, session_open(&pci, &s));
	ASSERT_EQ(0, cdev_enable_dma(s.fd));
	bar = cdev_map_bar(s.fd, 0, &size);
	ASSERT_NE(NULL, bar);
	for (int i = 0; i < 2; i++) {
		attacher[i] = (struct attacher){ s.fd, s.ioas };
		if (i)
			ASSERT_EQ(0, ioas_alloc(s.iommufd, &attacher[i].ioas));
		page[i] = pages_alloc(4096);
		ASSERT_EQ(0, ioas_map(s.iommufd, attacher[i].ioas, page[i],
				      4096, IOVA));
	}
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, worker_start(&worker[i], attach_detach,
					  &attacher[i]));
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(0, worker_join(&worker[i]));
	EXPECT_EQ(TESTDEV_FAULT, testdev_dma(bar, IOVA, page[0], 16));
	for (int i = 0; i < 2; i++) {
		pt = attacher[i].ioas;
		ASSERT_EQ(0, cdev_attach(s.fd, &pt));
		EXPECT_EQ(TESTDEV_OK, testdev_dma(bar, IOVA, page[i], 16));
	}
	munmap(bar, size);
	session_close(&s);
	EXPECT_EQ(0, pci_unbind(&pci));
}

/* The eventfd that is current, and how its user and its owner share it. */
struct events {
	int device, index;
	uint32_t flags;
	atomic_int current;
	atomic_bool stop;
	atomic_int set;
};

/* Closes the current eventfd under its user's hands, and makes a new one. */
static int renew(void *arg)
{
	struct events *e = arg;
	uint64_t one = 1;

	while (!atomic_load(&e->stop)) {
		int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		int old = atomic_exchange(&e->current, event);

		if (event < 0)
			return unexpected("eventfd", -errno);
		/* It may be in use by now, and tells its user. */
		if (write(old, &one, sizeof(one)) != sizeof(one))
			return unexpected("write", -errno);
		close(old);
	}
	return 0;
}

static int use_events(void *arg)
{
	struct events *e = arg;

	for (int i = 0; i < 1000; i++) {
		int32_t event = atomic_load(&e->current), none = -1;
		int ret = cdev_set_irqs(e->device, e->index, e->flags, 0, 1,
					&event);

		/* Closed just then; or the one before has not quite left. */
		if (ret && ret != -EBADF && ret != -EBUSY)
			return unexpected("SET_IRQS", ret);
		e->set += !ret;
		if (i & 1)
			continue;
		ret = cdev_set_irqs(e->device, e->index, e->flags, 0, 1, &none);
		if (ret)
			return unexpected("SET_IRQS off", ret);
	}
	return 0;
}

/*
 * semantics: 173, 174, 175, 176, 178; defect: B17.  Eventfds that are closed, and
 * signalled, while they are being listened to: for unmasking a line, by virqfd.
 */
TEST_F(stress, closing_eventfds)
{
	int32_t event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	struct worker owner, user;
	struct events e = {
		.index = VFIO_PCI_INTX_IRQ_INDEX,
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK,
		.current = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
	};
	struct session s;

	ASSERT_EQ(0, session_open(&self->pci, &s));
	ASSERT_EQ(0, cdev_enable_dma(s.fd));
	ASSERT_EQ(0, cdev_set_irqs(s.fd, VFIO_PCI_INTX_IRQ_INDEX,
				   VFIO_IRQ_SET_DATA_EVENTFD |
				   VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1, &event));
	e.device = s.fd;
	ASSERT_EQ(0, worker_start(&owner, renew, &e));
	ASSERT_EQ(0, worker_start(&user, use_events, &e));
	EXPECT_EQ(0, worker_join(&user));
	e.stop = true;
	EXPECT_EQ(0, worker_join(&owner));
	TH_LOG("%d times set", e.set);
	EXPECT_GT((int)e.set, 0);

	/* The slot is free, and takes one that stays. */
	EXPECT_EQ(0, cdev_set_irqs(s.fd, e.index, e.flags, 0, 1,
				   (int32_t []){ -1 }));
	event = e.current;
	EXPECT_EQ(0, cdev_set_irqs(s.fd, e.index, e.flags, 0, 1, &event));
	EXPECT_EQ(-EBUSY, cdev_set_irqs(s.fd, e.index, e.flags, 0, 1, &event));
	session_close(&s);
	close(event);
}

/* A child that uses the file it was born with, and closes it or not. */
static int use_inherited(void *arg)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int fd = *(int *)arg;
	int ret = xioctl(fd, VFIO_DEVICE_GET_INFO, &info);

	if (!ret && (getpid() & 1) && close(fd))
		ret = -errno;
	return ret;
}

static int open_close(void *arg)
{
	char path[64], text[512];

	for (int i = 0; i < 200; i++) {
		int fd = open_node(arg), copy;

		if (fd < 0)
			return unexpected("open", fd);
		copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
		if (sysfs_read(path, text, sizeof(text)) <= 0)
			return unexpected("fdinfo", -errno);
		close(i & 1 ? fd : copy);
		if (xioctl(i & 1 ? copy : fd, VFIO_DEVICE_GET_INFO, NULL) !=
		    -EINVAL)
			return unexpected("GET_INFO", 0);
		close(i & 1 ? copy : fd);
	}
	return 0;
}

/* semantics: 98, 109, 124, 194.  Copies of a file, in many hands; the last counts. */
TEST_F(stress, fork_and_close)
{
	struct worker worker[USERS];
	struct task task[8];

	for (int i = 0; i < USERS; i++)
		ASSERT_EQ(0, worker_start(&worker[i], open_close, self->node));
	for (int i = 0; i < 25; i++) {
		int fd = cdev_open(&self->pci);

		ASSERT_EQ(0, cdev_bind(fd, self->iommufd, NULL));
		for (int j = 0; j < ARRAY_SIZE(task); j++)
			ASSERT_EQ(0, task_start(&task[j], use_inherited, &fd));
		/* Half of them see it closed here before. */
		if (i & 1)
			close(fd);
		for (int j = 0; j < ARRAY_SIZE(task); j++)
			EXPECT_EQ(0, task_join(&task[j]));
		if (!(i & 1))
			close(fd);
	}
	for (int i = 0; i < USERS; i++)
		EXPECT_EQ(0, worker_join(&worker[i]));
}

/* Opens, closes, opens: never bound, so nobody waits for it. */
static int open_always(void *arg)
{
	struct client *c = arg;

	while (!atomic_load(c->stop)) {
		int fd = open_node(c->node);

		if (!open_may_say(fd))
			return unexpected("open", fd);
		if (!opened_or_wait(c, fd))
			continue;
		close(fd);
	}
	return 0;
}

/*
 * semantics: 12, 13, 93, 98; defects: B23, B27.  The driver's module comes and goes
 * under those who open the device.
 */
TEST_F(stress, open_and_unload)
{
	struct users u = { 0 };

	if (!core_is_rust())
		SKIP(return, "the core in C may run a driver that is not there");
	ASSERT_EQ(0, users_start(&u, self, open_always));
	for (int i = 0; i < 20; i++) {
		users_await(&u, &u.client.opened);
		EXPECT_EQ(0, module_unload("vfio_pci"));
		EXPECT_EQ(-1, access(self->node, F_OK));
		ASSERT_EQ(0, module_load("vfio_pci"));
		ASSERT_EQ(0, pci_to_vfio(&self->pci));
	}
	EXPECT_EQ(0, users_stop(&u));
	TH_LOG("%d opened", u.client.opened);
}

/* Keeps a file until it leads nowhere, and tries all that one can do with it. */
static int use_unbound(void *arg)
{
	struct client *c = arg;
	char path[64], text[512];
	int fd, ret;

	while (!atomic_load(c->stop)) {
		bool gone = false;

		fd = cdev_open(c->pci);
		if (!open_may_say(fd))
			return unexpected("open", fd);
		if (!opened_or_wait(c, fd))
			continue;
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
		while (!gone && !atomic_load(c->stop)) {
			ret = xioctl(fd, VFIO_DEVICE_GET_INFO, NULL);
			if (ret != -EINVAL && ret != -ENODEV)
				return unexpected("GET_INFO", ret);
			gone = ret == -ENODEV;
			ret = cdev_bind(fd, 1000, NULL);
			if (ret != -ENODEV && (gone || ret != -EBADF))
				return unexpected("BIND", ret);
			ret = read(fd, text, 1) < 0 ? -errno : 1;
			if (ret != -ENODEV && (gone || ret != -EINVAL))
				return unexpected("read", ret);
			if (mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) !=
			    MAP_FAILED)
				return unexpected("mmap", 0);
			if (sysfs_read(path, text, sizeof(text)) <= 0)
				return unexpected("fdinfo", -errno);
		}
		close(fd);
	}
	return 0;
}

/*
 * semantics: 98, 100, 124; defect: B23 (D8).  Files that nobody bound, in use while
 * their device goes: each call says EINVAL or ENODEV, and from then on ENODEV.
 */
TEST_F(stress, revoked_files)
{
	struct users u = { 0 };

	if (!core_is_rust())
		SKIP(return, "the core in C waits until the files are closed");
	ASSERT_EQ(0, users_start(&u, self, use_unbound));
	for (int i = 0; i < 40; i++) {
		users_await(&u, &u.client.opened);
		EXPECT_EQ(0, sysfs_write(DRIVER "/unbind", self->pci.bdf));
		EXPECT_EQ(0, sysfs_write(DRIVER "/bind", self->pci.bdf));
	}
	EXPECT_EQ(0, users_stop(&u));
	TH_LOG("%d opened", u.client.opened);
}

TEST_HARNESS_MAIN
