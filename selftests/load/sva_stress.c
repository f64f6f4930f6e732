// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes that bind themselves while others unbind, end, are killed, close the file,
 * attach and detach, and take the device away.  So many rounds, however long they take.
 */
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "lib/bound.h"
#include "lib/container.h"
#include "lib/iommufd.h"
#include "lib/pasid_table.h"
#include "lib/sva.h"
#include "lib/sva_setup.h"
#include "lib/task.h"
#include "lib/test.h"

#define ROUNDS 40

FIXTURE(sva_stress) {
	struct sva_setup sva;
	const struct pci *pci, *other;
};

FIXTURE_SETUP(sva_stress)
{
	int ret;

	self->sva = SVA_NONE;
	if (!core_is_rust())
		SKIP(return, NO_PROCESSES);
	ret = sva_set_up(&self->sva, 2);
	if (ret > 0)
		SKIP(return, "%s", self->sva.why);
	ASSERT_EQ(0, ret) TH_LOG("%s", self->sva.why);
	self->pci = &self->sva.pci[0];
	self->other = &self->sva.pci[1];
}

/* Whatever happened: nothing is bound, and the device can be taken and given back. */
FIXTURE_TEARDOWN(sva_stress)
{
	for (int i = 0; i < self->sva.count; i++)
		EXPECT_TRUE(entries_become(&self->sva.pci[i], 0));
	EXPECT_EQ(0, sva_tear_down(&self->sva));
	if (!self->pci)
		return;
	EXPECT_EQ(0, pci_unbind(self->pci));
	EXPECT_EQ(0, pci_to_vfio(self->pci));
}

/* What binding and unbinding may say while others do the same in this process. */
static bool may_be(int ret)
{
	return !ret || ret == -EEXIST || ret == -ENOENT || ret == -EBUSY || ret == -EINTR;
}

struct churn {
	int fd;
	atomic_bool stop;
};

static int bind_and_unbind(void *arg)
{
	struct churn *c = arg;
	int ret = 0;

	while (may_be(ret) && !atomic_load(&c->stop)) {
		ret = process_bind(c->fd, NULL);
		if (may_be(ret))
			ret = process_unbind(c->fd);
	}
	return may_be(ret) ? 0 : ret;
}

/* A process of several threads that all bind and unbind, until it is killed. */
static pid_t churn_start(int fd)
{
	pid_t pid = fork();

	if (!pid) {
		static struct churn churn;
		struct worker w[3];

		churn.fd = fd;
		for (int i = 0; i < 3; i++)
			if (worker_start(&w[i], bind_and_unbind, &churn))
				_exit(1);
		for (int i = 0; i < 3; i++)
			worker_join(&w[i]);
		/* One came back though nobody said so. */
		_exit(2);
	}
	return pid;
}

/* True if it went on until it was killed. */
static bool churn_kill(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status);
}

/* Threads of one process, which are of one mind about what is bound. */
TEST_F(sva_stress, threads)
{
	struct churn churn = {};
	struct worker w[4];
	struct session s;

	ASSERT_EQ(0, session_open(self->pci, &s));
	churn.fd = s.fd;
	for (int i = 0; i < 4; i++)
		ASSERT_EQ(0, worker_start(&w[i], bind_and_unbind, &churn));
	for (int i = 0; i < ROUNDS; i++)
		EXPECT_LE(pasid_entries(self->pci), 1);
	atomic_store(&churn.stop, true);
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(0, worker_join(&w[i]));
	process_unbind(s.fd);
	EXPECT_TRUE(entries_are(self->pci, 0));
	session_close(&s);
}

/* Processes that are killed at any point of it, others that go on. */
TEST_F(sva_stress, killed)
{
	struct session s;
	pid_t pid[3];

	ASSERT_EQ(0, session_open(self->pci, &s));
	for (int i = 0; i < 3; i++)
		ASSERT_GT((pid[i] = churn_start(s.fd)), 0);
	for (int i = 0; i < ROUNDS; i++) {
		poll(NULL, 0, i % 5);
		EXPECT_TRUE(churn_kill(pid[i % 3]));
		ASSERT_GT((pid[i % 3] = churn_start(s.fd)), 0);
	}
	for (int i = 0; i < 3; i++)
		EXPECT_TRUE(churn_kill(pid[i]));
	EXPECT_TRUE(processes_become(s.fd, ""));
	EXPECT_TRUE(entries_are(self->pci, 0));
	session_close(&s);
}

/* The last close comes while others still call. */
TEST_F(sva_stress, last_close)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct session s;
		pid_t a, b;

		ASSERT_EQ(0, session_open(self->pci, &s));
		a = churn_start(s.fd);
		b = churn_start(s.fd);
		ASSERT_GT(a, 0);
		ASSERT_GT(b, 0);
		session_close(&s);
		poll(NULL, 0, i % 4);
		EXPECT_TRUE(churn_kill(a));
		EXPECT_TRUE(churn_kill(b));
		EXPECT_TRUE(entries_become(self->pci, 0));
	}
}

struct attacher {
	struct session *s;
	uint32_t hwpt;
	atomic_bool stop;
};

/* The device's own table, and those of its PASIDs, the process's among them. */
static int attach_pasids(void *arg)
{
	struct attacher *a = arg;

	for (uint32_t pasid = 1; !atomic_load(&a->stop); pasid = pasid % 4 + 1) {
		uint32_t pt = a->hwpt;
		int ret = cdev_attach_pasid(a->s->fd, pasid, &pt);

		if (ret && ret != -EBUSY)
			return ret;
		if (!ret && cdev_detach_pasid(a->s->fd, pasid))
			return -EPROTO;
	}
	return 0;
}

/* Both kinds of PASIDs: each call says who was first, and nothing is lost. */
TEST_F(sva_stress, user_managed_pasids)
{
	struct churn churn = {};
	struct attacher attacher = {};
	struct worker w[3];
	struct session s;

	ASSERT_EQ(0, session_open(self->pci, &s));
	ASSERT_EQ(0, hwpt_alloc(s.iommufd, s.devid, s.ioas, IOMMU_HWPT_ALLOC_PASID,
				&attacher.hwpt));
	ASSERT_EQ(0, cdev_attach(s.fd, &(uint32_t){ attacher.hwpt }));
	attacher.s = &s;
	churn.fd = s.fd;
	ASSERT_EQ(0, worker_start(&w[0], attach_pasids, &attacher));
	ASSERT_EQ(0, worker_start(&w[1], bind_and_unbind, &churn));
	ASSERT_EQ(0, worker_start(&w[2], bind_and_unbind, &churn));
	for (int i = 0; i < ROUNDS; i++)
		EXPECT_GE(pasid_entries(self->pci), 0);
	atomic_store(&attacher.stop, true);
	atomic_store(&churn.stop, true);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(0, worker_join(&w[i]));
	process_unbind(s.fd);
	EXPECT_TRUE(entries_are(self->pci, 0));
	session_close(&s);
}

/* The driver is taken away while processes come and go; they let go when it asks. */
TEST_F(sva_stress, removal)
{
	for (int i = 0; i < ROUNDS / 4; i++) {
		struct session s;
		pid_t pid;

		ASSERT_EQ(0, session_open(self->pci, &s));
		pid = churn_start(s.fd);
		ASSERT_GT(pid, 0);
		session_close(&s);
		poll(NULL, 0, i % 4);
		EXPECT_TRUE(churn_kill(pid));
		EXPECT_EQ(0, pci_unbind(self->pci));
		EXPECT_TRUE(entries_are(self->pci, 0));
		ASSERT_EQ(0, pci_to_vfio(self->pci));
	}
}

struct joiner {
	int group, container;
	atomic_bool stop;
};

static int come_and_go(void *arg)
{
	struct joiner *j = arg;

	while (!atomic_load(&j->stop)) {
		int ret = group_set(j->group, j->container);

		if (!ret)
			ret = group_unset(j->group);
		if (ret && ret != -EBUSY)
			return ret;
	}
	return 0;
}

/* Groups that come to a container and go, processes that bind, and are killed. */
TEST_F(sva_stress, container)
{
	struct boxed box = BOXED_NONE;
	struct joiner joiner = {};
	struct worker w;
	pid_t pid[2];

	ASSERT_EQ(0, boxed_open(self->pci, &box));
	joiner.group = group_open(self->other);
	joiner.container = box.container;
	ASSERT_GE(joiner.group, 0);
	for (int i = 0; i < 2; i++)
		ASSERT_GT((pid[i] = churn_start(box.container)), 0);
	ASSERT_EQ(0, worker_start(&w, come_and_go, &joiner));
	for (int i = 0; i < ROUNDS; i++) {
		poll(NULL, 0, i % 5);
		EXPECT_TRUE(churn_kill(pid[i % 2]));
		ASSERT_GT((pid[i % 2] = churn_start(box.container)), 0);
	}
	atomic_store(&joiner.stop, true);
	EXPECT_EQ(0, worker_join(&w));
	for (int i = 0; i < 2; i++)
		EXPECT_TRUE(churn_kill(pid[i]));
	close(joiner.group);
	EXPECT_TRUE(entries_are(self->other, 0));
	boxed_close(&box);
}

TEST_HARNESS_MAIN
