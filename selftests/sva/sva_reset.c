// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resets that user space asks for end the bonds of what they reset.  And signals, which may come
 * while a process is being bound.
 */
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "lib/bound.h"
#include "lib/calls.h"
#include "lib/cdev.h"
#include "lib/container.h"
#include "lib/hot_reset.h"
#include "lib/iommufd.h"
#include "lib/pasid_table.h"
#include "lib/sva.h"
#include "lib/sva_pair.h"
#include "lib/svadev.h"
#include "lib/task.h"
#include "lib/test.h"

#define ROUNDS 40
#define NO_SET "no two such devices of two groups on one bus"

FIXTURE(sva_reset) {
	struct sva_pair sva;
	int calls;		/* if a test has opened it */
};

FIXTURE_SETUP(sva_reset)
{
	const char *lacks = sva_pair_open_rust(&self->sva);

	self->calls = -1;
	if (lacks)
		SKIP(return, "%s", lacks);
}

FIXTURE_TEARDOWN(sva_reset)
{
	EXPECT_EQ(0, calls_close(self->calls));
	EXPECT_EQ(0, sva_pair_close(&self->sva));
}

static int reset(int fd)
{
	return xioctl(fd, VFIO_DEVICE_RESET, NULL);
}

/* A reset ends the bonds of the device, and the process can be bound again. */
TEST_F(sva_reset, device)
{
	struct session s;
	uint32_t pasid, again;
	void *bar;

	ASSERT_EQ(0, session_open(&self->sva.a, &s));
	ASSERT_EQ(0, cdev_enable_dma(s.fd));
	bar = cdev_map_bar(s.fd, 0, NULL);
	ASSERT_NE(NULL, bar);
	svadev_write(bar, SVADEV_REG_SCRATCH, 0x5a5a0001);

	ASSERT_EQ(0, process_bind(s.fd, &pasid));
	EXPECT_EQ(0, reset(s.fd));
	EXPECT_EQ(0, pasid_entries(&self->sva.a));
	EXPECT_TRUE(processes_become(s.fd, ""));
	EXPECT_EQ(-ENOENT, process_unbind(s.fd));
	ASSERT_EQ(0, cdev_enable_dma(s.fd));
	EXPECT_EQ(0, svadev_read(bar, SVADEV_REG_SCRATCH));

	ASSERT_EQ(0, process_bind(s.fd, &again));
	EXPECT_EQ(pasid, again);
	EXPECT_TRUE(is_mine(self->sva.control, &self->sva.a, pasid));
	munmap(bar, SVADEV_BAR_SIZE);
	session_close(&s);
}

/* The process of another who holds the file is no veto: it learns of the reset by ENOENT. */
TEST_F(sva_reset, of_another)
{
	struct bound_child child;
	struct session s;
	int pasid;

	ASSERT_EQ(0, session_open(&self->sva.a, &s));
	pasid = bound_start(&child, s.fd, self->sva.control, &self->sva.a);
	ASSERT_GT(pasid, 0);
	EXPECT_EQ(0, reset(s.fd));
	EXPECT_EQ(-ENOENT, entry_of(&self->sva.a, pasid));
	EXPECT_EQ(-ENOENT, bound_call(&child, BOUND_UNBIND));
	EXPECT_EQ(pasid, bound_call(&child, BOUND_BIND));
	EXPECT_EQ(0, bound_call(&child, BOUND_UNBIND));
	EXPECT_EQ(0, bound_end(&child));
	session_close(&s);
}

/* In a container a process is bound to all devices or to none: the reset of one ends its bonds. */
TEST_F(sva_reset, container)
{
	struct boxed box = BOXED_NONE, second = BOXED_NONE;
	uint32_t pasid, again;

	if (access(CONTAINER, F_OK))
		SKIP(return, NO_CONTAINERS);
	ASSERT_EQ(0, boxed_open(&self->sva.a, &box));
	ASSERT_EQ(0, boxed_join(&self->sva.b, box.container, &second));
	ASSERT_EQ(0, process_bind(box.container, &pasid));
	EXPECT_EQ(0, reset(second.fd));
	EXPECT_EQ(0, pasid_entries(&self->sva.a));
	EXPECT_EQ(0, pasid_entries(&self->sva.b));
	EXPECT_EQ(-ENOENT, process_unbind(box.container));
	ASSERT_EQ(0, process_bind(box.container, &again));
	EXPECT_EQ(pasid, again);
	EXPECT_TRUE(is_mine(self->sva.control, &self->sva.a, pasid));
	EXPECT_TRUE(is_mine(self->sva.control, &self->sva.b, pasid));
	ASSERT_EQ(0, process_unbind(box.container));
	close(second.fd);
	close(second.group);
	boxed_close(&box);
}

/* Two devices of a set, each in a group of its own; false if there are none. */
static bool find_set(struct pci *a, struct pci *b)
{
	return !pci_find_siblings(SVADEV, a, b) && a->group != b->group;
}

/* The set is reset together, and the bonds of all its devices end; of one reset alone, its own. */
TEST_F(sva_reset, set)
{
	struct session s, other;
	struct pci a, b;

	if (!find_set(&a, &b))
		SKIP(return, NO_SET);
	ASSERT_EQ(0, session_open(&a, &s));
	ASSERT_EQ(0, session_open_node(&b, &other));
	ASSERT_EQ(0, cdev_bind(other.fd, s.iommufd, NULL));
	ASSERT_EQ(0, process_bind(other.fd, NULL));
	EXPECT_EQ(0, reset(s.fd));
	EXPECT_EQ(1, pasid_entries(&b));
	ASSERT_EQ(0, process_bind(s.fd, NULL));
	EXPECT_EQ(0, hot_reset_owned(s.fd));
	EXPECT_EQ(0, pasid_entries(&a));
	EXPECT_EQ(0, pasid_entries(&b));
	EXPECT_EQ(-ENOENT, process_unbind(s.fd));
	EXPECT_EQ(-ENOENT, process_unbind(other.fd));
	session_close(&other);
	session_close(&s);
}

/* By groups in two containers: the descriptors say whose devices are reset. */
TEST_F(sva_reset, set_of_containers)
{
	struct boxed one = BOXED_NONE, two = BOXED_NONE;
	struct pci a, b;

	if (access(CONTAINER, F_OK))
		SKIP(return, NO_CONTAINERS);
	if (!find_set(&a, &b))
		SKIP(return, NO_SET);
	ASSERT_EQ(0, boxed_open(&a, &one));
	ASSERT_EQ(0, boxed_open(&b, &two));
	ASSERT_EQ(0, process_bind(one.container, NULL));
	ASSERT_EQ(0, process_bind(two.container, NULL));
	/* Not without the other group, nor with a file that is none, nor without any. */
	EXPECT_EQ(-EINVAL, hot_reset(one.fd, 1, (int32_t[]){ one.group }));
	EXPECT_EQ(-EINVAL, hot_reset(one.fd, 2, (int32_t[]){ one.group, two.container }));
	EXPECT_EQ(-EINVAL, hot_reset_owned(one.fd));
	EXPECT_EQ(1, pasid_entries(&a));
	EXPECT_EQ(1, pasid_entries(&b));
	EXPECT_EQ(0, hot_reset(one.fd, 2, (int32_t[]){ one.group, two.group }));
	EXPECT_EQ(0, pasid_entries(&a));
	EXPECT_EQ(0, pasid_entries(&b));
	EXPECT_EQ(-ENOENT, process_unbind(one.container));
	EXPECT_EQ(-ENOENT, process_unbind(two.container));
	boxed_close(&one);
	boxed_close(&two);
}

/* A hot reset of a set that is not all the caller's is refused and ends nobody's bonds. */
TEST_F(sva_reset, set_of_others)
{
	struct session s, recipient;
	struct vfio_pci_hot_reset bad = { .argsz = sizeof(bad), .flags = 1 };
	struct pci a, b;

	if (!find_set(&a, &b))
		SKIP(return, NO_SET);
	ASSERT_EQ(0, session_open(&a, &s));
	ASSERT_EQ(0, session_open(&b, &recipient));
	ASSERT_EQ(0, process_bind(s.fd, NULL));
	ASSERT_EQ(0, process_bind(recipient.fd, NULL));
	EXPECT_EQ(-EINVAL, hot_reset_owned(s.fd));
	EXPECT_EQ(-EINVAL, xioctl(s.fd, VFIO_DEVICE_PCI_HOT_RESET, &bad));
	EXPECT_EQ(-EFAULT, xioctl(s.fd, VFIO_DEVICE_PCI_HOT_RESET, NULL));
	EXPECT_EQ(1, pasid_entries(&a));
	EXPECT_EQ(1, pasid_entries(&b));
	EXPECT_EQ(0, process_unbind(s.fd));
	EXPECT_EQ(0, process_unbind(recipient.fd));
	session_close(&recipient);
	session_close(&s);
}

/* The same when the other device is in a container, whether or not it is open. */
TEST_F(sva_reset, set_of_anothers_container)
{
	struct boxed box = BOXED_NONE;
	struct session s;
	struct pci a, b;

	if (access(CONTAINER, F_OK))
		SKIP(return, NO_CONTAINERS);
	if (!find_set(&a, &b))
		SKIP(return, NO_SET);
	ASSERT_EQ(0, session_open(&a, &s));
	ASSERT_EQ(0, boxed_open(&b, &box));
	ASSERT_EQ(0, process_bind(s.fd, NULL));
	ASSERT_EQ(0, process_bind(box.container, NULL));
	EXPECT_EQ(-EINVAL, hot_reset_owned(s.fd));
	close_fd(&box.fd);
	EXPECT_EQ(-EINVAL, hot_reset_owned(s.fd));
	EXPECT_EQ(1, pasid_entries(&a));
	EXPECT_EQ(1, pasid_entries(&b));
	EXPECT_EQ(0, process_unbind(s.fd));
	EXPECT_EQ(0, process_unbind(box.container));
	boxed_close(&box);
	session_close(&s);
}

/* A process that ends leaves nothing that a reset would put back. */
TEST_F(sva_reset, after_death)
{
	struct session s;

	ASSERT_EQ(0, session_open(&self->sva.a, &s));
	for (int i = 0; i < ROUNDS; i++) {
		struct bound_child child;
		int pasid = bound_start(&child, s.fd, self->sva.control, &self->sva.a);

		ASSERT_GT(pasid, 0);
		EXPECT_EQ(0, bound_kill(&child));
		/* Nor does anything wait for a work queue. */
		EXPECT_EQ(-ENOENT, entry_of(&self->sva.a, pasid));
		ASSERT_EQ(0, reset(s.fd));
		EXPECT_EQ(-ENOENT, entry_of(&self->sva.a, pasid));
		EXPECT_TRUE(processes_become(s.fd, ""));
	}
	session_close(&s);
}

struct churn {
	int fd;
	atomic_bool stop;
	atomic_int done;
};

static int bind_and_unbind(void *arg)
{
	struct churn *c = arg;

	while (!atomic_load(&c->stop)) {
		int ret = process_bind(c->fd, NULL);

		/* Refused in the middle of a reset, or ended by the next one. */
		if (ret && ret != -EBUSY)
			return ret;
		if (!ret)
			ret = process_unbind(c->fd);
		if (ret && ret != -EBUSY && ret != -ENOENT)
			return ret;
		if (!ret)
			atomic_fetch_add(&c->done, 1);
	}
	return 0;
}

/* Both at once, of which each is done some time. */
TEST_F(sva_reset, race)
{
	struct churn churn = {};
	struct worker w;
	struct session s;
	int resets = 0;

	ASSERT_EQ(0, session_open(&self->sva.a, &s));
	churn.fd = s.fd;
	ASSERT_EQ(0, worker_start(&w, bind_and_unbind, &churn));
	while ((resets < ROUNDS || atomic_load(&churn.done) < ROUNDS) && !worker_ended(&w)) {
		int ret = reset(s.fd);

		/* The driver says so when somebody else has the device's lock. */
		if (ret && ret != -EBUSY && ret != -EAGAIN) {
			EXPECT_EQ(0, ret);
			break;
		}
		resets += !ret;
		/* A process can be bound between two resets, and must come to it. */
		for (int done = atomic_load(&churn.done);
		     done == atomic_load(&churn.done) && !worker_ended(&w);)
			sched_yield();
	}
	atomic_store(&churn.stop, true);
	EXPECT_EQ(0, worker_join(&w));
	EXPECT_EQ(-ENOENT, process_unbind(s.fd));
	EXPECT_EQ(0, reset(s.fd));
	session_close(&s);
}

struct reset_call {
	unsigned long cmd;
	void *arg;
	int fd;
};

static int reset_with(void *arg)
{
	const struct reset_call *call = arg;

	return xioctl(call->fd, call->cmd, call->arg);
}

/*
 * While a reset goes on no process is bound, and none can be, whichever of the two resets it is.
 * Here the driver does not come to an end with it: drivers/vfio_calls_main.c, which waits, and
 * then says that it does not know the number.
 */
TEST_F(sva_reset, bind_meanwhile)
{
	struct vfio_pci_hot_reset hot = { .argsz = sizeof(hot) };
	struct reset_call resets[] = {
		{ .cmd = VFIO_DEVICE_RESET },
		{ .cmd = VFIO_DEVICE_PCI_HOT_RESET, .arg = &hot },
	};
	int fd, iommufd;

	self->calls = calls_open();
	if (self->calls == -ENOENT)
		SKIP(return, NO_CALLS);
	ASSERT_GE(self->calls, 0);
	ASSERT_EQ(0, pci_to_driver(&self->sva.a, CALLS_DRIVER));
	ASSERT_EQ(0, calls_physical(self->calls, 0, CALLS_PCI));
	iommufd = iommufd_open();
	ASSERT_GE(iommufd, 0);
	fd = cdev_open(&self->sva.a);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, cdev_bind(fd, iommufd, NULL));
	for (size_t i = 0; i < ARRAY_SIZE(resets); i++) {
		struct worker resetter;

		resets[i].fd = fd;
		ASSERT_EQ(0, process_bind(fd, NULL));
		ASSERT_EQ(1, pasid_entries(&self->sva.a));
		ASSERT_EQ(0, calls_one(self->calls, CALLS_HOLD, 0, true));
		ASSERT_EQ(0, worker_start(&resetter, reset_with, &resets[i]));
		ASSERT_TRUE(worker_sleeps_in(&resetter, "calls_ioctl"));
		EXPECT_EQ(0, pasid_entries(&self->sva.a));
		for (int k = 0; k < 2; k++)
			EXPECT_EQ(-EBUSY, process_bind(fd, NULL));
		EXPECT_EQ(-ENOENT, process_unbind(fd));
		EXPECT_EQ(0, pasid_entries(&self->sva.a));
		EXPECT_FALSE(worker_ended(&resetter));
		EXPECT_EQ(0, calls_one(self->calls, CALLS_HOLD, 0, false));
		EXPECT_EQ(-ENOTTY, worker_join(&resetter));
		EXPECT_EQ(0, process_bind(fd, NULL));
		EXPECT_EQ(1, pasid_entries(&self->sva.a));
		EXPECT_EQ(0, process_unbind(fd));
	}
	close(fd);
	close(iommufd);
	EXPECT_EQ(0, pci_to_vfio(&self->sva.a));
}

static atomic_int signals;

static void count_signal(int number)
{
	(void)number;
	atomic_fetch_add(&signals, 1);
}

/*
 * A signal that the process catches: the call is begun anew where it asked for that, and
 * else says so and has done nothing.
 */
TEST_F(sva_reset, signals)
{
	struct sigaction action = { .sa_handler = count_signal, .sa_flags = SA_RESTART };
	struct churn churn = {};
	struct worker w;
	struct session s;
	/* The more there is to lock, the longer a signal may come. */
	char *areas = mmap(NULL, 4096 * 1000, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, areas);
	for (int i = 0; i < 1000; i += 2)
		ASSERT_EQ(0, mprotect(areas + 4096 * i, 4096, PROT_NONE));
	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	ASSERT_EQ(0, session_open(&self->sva.a, &s));
	churn.fd = s.fd;
	ASSERT_EQ(0, worker_start(&w, bind_and_unbind, &churn));
	for (int done = 0; done < ROUNDS && !worker_ended(&w);) {
		/* One at a time: a call that is begun anew must come to its end. */
		pthread_kill(w.thread, SIGUSR1);
		while (atomic_load(&churn.done) == done && !worker_ended(&w))
			sched_yield();
		done = atomic_load(&churn.done);
	}
	atomic_store(&churn.stop, true);
	EXPECT_EQ(0, worker_join(&w));
	EXPECT_GT(atomic_load(&signals), 0);
	munmap(areas, 4096 * 1000);
	session_close(&s);
}

TEST_HARNESS_MAIN
