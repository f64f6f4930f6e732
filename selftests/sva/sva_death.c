// SPDX-License-Identifier: GPL-2.0-only
/*
 * Address spaces that end while processes are bound, or that do not end though one who
 * used them does.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lib/bound.h"
#include "lib/cdev.h"
#include "lib/pasid_table.h"
#include "lib/sva.h"
#include "lib/sva_pair.h"
#include "lib/sva_test.h"
#include "lib/task.h"
#include "lib/test.h"

#define STACK_SIZE 65536

FIXTURE(sva_death) {
	struct sva_pair sva;
	struct session s, o;
};

FIXTURE_SETUP(sva_death)
{
	const char *lacks = sva_pair_open_rust(&self->sva);

	self->s = self->o = SESSION_NONE;
	if (lacks)
		SKIP(return, "%s", lacks);
	ASSERT_EQ(0, session_open(&self->sva.a, &self->s));
	ASSERT_EQ(0, session_open(&self->sva.b, &self->o));
}

FIXTURE_TEARDOWN(sva_death)
{
	session_close(&self->s);
	session_close(&self->o);
	EXPECT_EQ(0, sva_pair_close(&self->sva));
}

/* ---- one address space, several processes ---- */

struct call {
	int fd, ret;
	uint32_t pasid;
};

static int call_bind(void *arg)
{
	struct call *c = arg;

	c->ret = process_bind(c->fd, &c->pasid);
	return 0;
}

static int call_unbind(void *arg)
{
	struct call *c = arg;

	c->ret = process_unbind(c->fd);
	return 0;
}

static int call_exec(void *arg)
{
	execl("/bin/true", "true", NULL);
	((struct call *)arg)->ret = -errno;
	return 1;
}

/* Another process with the caller's memory makes the call and ends.  What the call said. */
static int by_another(int (*fn)(void *arg), int flags, struct call *c)
{
	char *stack = pages_alloc(STACK_SIZE);
	int status;
	pid_t pid;

	c->ret = 0;
	pid = clone(fn, stack + STACK_SIZE, CLONE_VM | SIGCHLD | flags, c);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -EPROTO;
	munmap(stack, STACK_SIZE);
	return WEXITSTATUS(status) ? -EPROTO : c->ret;
}

FIXTURE(sva_memory) {
	struct sva_pair sva;
	struct session s;
};

FIXTURE_VARIANT(sva_memory) {
	int flags;
};

FIXTURE_VARIANT_ADD(sva_memory, vfork) { CLONE_VFORK };
FIXTURE_VARIANT_ADD(sva_memory, clone) { 0 };

FIXTURE_SETUP(sva_memory)
{
	const char *lacks = sva_pair_open_rust(&self->sva);

	self->s = SESSION_NONE;
	if (lacks)
		SKIP(return, "%s", lacks);
	ASSERT_EQ(0, session_open(&self->sva.a, &self->s));
}

FIXTURE_TEARDOWN(sva_memory)
{
	session_close(&self->s);
	EXPECT_EQ(0, sva_pair_close(&self->sva));
}

/* Whoever has the address space is the one that is bound. */
TEST_F(sva_memory, is_the_callers)
{
	struct call c = { .fd = self->s.fd };
	uint32_t pasid;

	ASSERT_EQ(0, process_bind(self->s.fd, &pasid));
	EXPECT_EQ(-EEXIST, by_another(call_bind, variant->flags, &c));
	EXPECT_EQ(0, by_another(call_unbind, variant->flags, &c));
	EXPECT_EQ(0, pasid_entries(&self->sva.a));
	EXPECT_EQ(-ENOENT, process_unbind(self->s.fd));
	EXPECT_EQ(0, by_another(call_bind, variant->flags, &c));
	EXPECT_EQ(pasid, c.pasid);
	EXPECT_EQ(-EEXIST, process_bind(self->s.fd, NULL));
	EXPECT_TRUE(is_mine(self->sva.control, &self->sva.a, pasid));
}

/* One that ends, or becomes another program, leaves the memory to the rest, and the bond. */
TEST_F(sva_memory, outlives_one)
{
	struct call c = { .fd = self->s.fd };

	ASSERT_EQ(0, by_another(call_bind, variant->flags, &c));
	ASSERT_EQ(0, by_another(call_exec, variant->flags, &c));
	EXPECT_TRUE(is_mine(self->sva.control, &self->sva.a, c.pasid));
	EXPECT_EQ(1, pasid_entries(&self->sva.a));
	EXPECT_EQ(0, process_unbind(self->s.fd));
}

/* The pair of which one ends: who it is that lives on, and its pipes to the test. */
struct survivor {
	int fd, said, told, control;
	const struct pci *pci;
	pid_t first;
};

static void say(const struct survivor *s, int what)
{
	if (write(s->said, &what, sizeof(what)) != sizeof(what))
		_exit(1);
}

static int hear(int from)
{
	int what;

	return wait_readable(from, EVENT_MS) && read(from, &what, sizeof(what)) == sizeof(what) ? what : -EPIPE;
}

/* Told once: unbinds itself, binds itself again, and waits. */
static _Noreturn void live_on(const struct survivor *s)
{
	uint32_t pasid;
	int ret;

	hear(s->told);
	say(s, process_unbind(s->fd));
	ret = process_bind(s->fd, &pasid);
	if (!ret && !is_mine(s->control, s->pci, pasid))
		ret = -EBADMSG;
	say(s, ret ? ret : (int)pasid);
	for (;;)
		pause();
}

static int live_on_here(void *arg)
{
	live_on(arg);
}

/* The first binds, and ends; the second has its memory. */
static void bind_and_leave(struct survivor *s)
{
	char *stack = pages_alloc(STACK_SIZE);
	uint32_t pasid;
	int ret = process_bind(s->fd, &pasid);
	pid_t pid = clone(live_on_here, stack + STACK_SIZE, CLONE_VM, s);

	say(s, ret ? ret : (int)pasid);
	say(s, pid);
	_exit(0);
}

/* The process that bound itself is gone, its memory is not. */
TEST_F(sva_death, another_has_the_memory)
{
	int said[2], told[2], pasid, second;
	struct survivor s;
	pid_t first;

	ASSERT_EQ(0, pipe(said));
	ASSERT_EQ(0, pipe(told));
	s = (struct survivor){ self->s.fd, said[1], told[0], self->sva.control, &self->sva.a };
	first = fork();
	if (!first)
		bind_and_leave(&s);
	close(said[1]);
	pasid = hear(said[0]);
	ASSERT_GT(pasid, 0);
	second = hear(said[0]);
	ASSERT_GT(second, 0);
	ASSERT_EQ(first, waitpid(first, NULL, 0));
	EXPECT_EQ(0, entry_of(&self->sva.a, pasid));
	ASSERT_EQ(sizeof(int), write(told[1], &second, sizeof(int)));
	EXPECT_EQ(0, hear(said[0]));
	EXPECT_EQ(pasid, hear(said[0]));
	EXPECT_EQ(1, pasid_entries(&self->sva.a));
	ASSERT_EQ(0, kill(second, SIGKILL));
	/* Its files are closed after its memory has ended. */
	EXPECT_EQ(-EPIPE, hear(said[0]));
	EXPECT_EQ(0, pasid_entries(&self->sva.a));
	EXPECT_TRUE(processes_become(self->s.fd, ""));
	close(said[0]);
	close(told[0]);
	close(told[1]);
}

static void *thread_of_leader(void *arg)
{
	struct survivor *s = arg;
	char path[64], stat[512], *state;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", s->first, s->first);
	do {
		sched_yield();
		if (sysfs_read(path, stat, sizeof(stat)) < 0)
			break;
		state = strrchr(stat, ')');
	} while (state && state[2] != 'Z');
	live_on(s);
}

/* A process whose first thread has ended is one all the same. */
TEST_F(sva_death, leader_has_ended)
{
	int said[2], told[2], pasid;
	struct survivor s;
	pid_t pid;

	ASSERT_EQ(0, pipe(said));
	ASSERT_EQ(0, pipe(told));
	s = (struct survivor){ self->s.fd, said[1], told[0], self->sva.control, &self->sva.a };
	pid = fork();
	if (!pid) {
		pthread_t thread;

		s.first = getpid();
		if (pthread_create(&thread, NULL, thread_of_leader, &s))
			_exit(1);
		syscall(SYS_exit, 0);
	}
	close(said[1]);
	ASSERT_EQ(sizeof(int), write(told[1], &pid, sizeof(int)));
	EXPECT_EQ(-ENOENT, hear(said[0]));
	pasid = hear(said[0]);
	EXPECT_GT(pasid, 0);
	EXPECT_EQ(1, pasid_entries(&self->sva.a));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_EQ(0, pasid_entries(&self->sva.a));
	EXPECT_TRUE(processes_become(self->s.fd, ""));
	close(said[0]);
	close(told[0]);
	close(told[1]);
}

/* ---- the end of a process waits for that of its bond ---- */

/*
 * The IOMMU has the process's page table for as long as there is memory in it, and its PASID is
 * nobody's until then: with the lock of the device's group held by another, the end of the bond
 * waits, and so does the process; those who only look do not wait.
 */
TEST_F(sva_death, memory_outlives_the_bond)
{
	struct hold_op device = { self->sva.control, &self->sva.a };
	struct bound_child dead;
	struct worker holder, dying;
	char line[32];
	int its;

	its = bound_start(&dead, self->s.fd, self->sva.control, &self->sva.a);
	ASSERT_GT(its, 0);
	snprintf(line, sizeof(line), "%d", its);
	dying = (struct worker){ .tid = dead.pid };
	ASSERT_EQ(0, worker_start(&holder, sva_test_hold_op, &device));
	ASSERT_TRUE(worker_sleeps_in(&holder, "iommu_group_for_each_dev"));
	ASSERT_EQ(0, kill(dead.pid, SIGKILL));
	EXPECT_TRUE(worker_sleeps_in(&dying, "iommu_detach_device_pasid"));
	EXPECT_EQ(0, entry_of(&self->sva.a, its));
	/* Its file names it until then, and tells so at once, as others do. */
	EXPECT_TRUE(processes_become(self->s.fd, line));
	EXPECT_TRUE(processes_become(self->o.fd, ""));
	EXPECT_EQ(0, waitpid(dead.pid, NULL, WNOHANG));
	EXPECT_EQ(0, sva_test_let_go(self->sva.control));
	EXPECT_EQ(0, worker_join(&holder));
	EXPECT_EQ(0, bound_kill(&dead));
	EXPECT_EQ(-ENOENT, entry_of(&self->sva.a, its));
	EXPECT_TRUE(processes_become(self->s.fd, ""));
}

#define AT_ONCE 6
#define LIVES 60
#define LOOKS 8

/* Has the entry for as long as it is bound, and dies with it. */
static pid_t live(int fd, int control, const struct pci *pci)
{
	pid_t pid = fork();
	uint32_t pasid;

	if (pid)
		return pid;
	if (process_bind(fd, &pasid))
		_exit(2);
	for (int i = 0; i < LOOKS; i++)
		if (!is_mine(control, pci, pasid))
			_exit(3);
	_exit(0);
}

/* 0 if it died as it should. */
static int died(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFSIGNALED(status) ? WTERMSIG(status) != SIGKILL : WEXITSTATUS(status);
}

/* How many PASIDs the file names, of the living and of the dead; -EPROTO if one is named twice. */
static int named(int fd)
{
	char path[64], text[1024], *at;
	unsigned long pasids[64];
	int n = 0;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	if (sysfs_read(path, text, sizeof(text)) < 0)
		return -EIO;
	at = strstr(text, "vfio-process-pasids: ");
	if (!at)
		return 0;
	at = strchr(at, ' ');
	do {
		if (n == sizeof(pasids) / sizeof(*pasids))
			return -E2BIG;
		pasids[n] = strtoul(at + 1, &at, 10);
		for (int i = 0; i < n; i++)
			if (pasids[i] == pasids[n])
				return -EPROTO;
		n++;
	} while (*at == ',');
	return n;
}

/* Many come and go at once: each has its own entry, and no PASID is two's, dead or alive. */
TEST_F(sva_death, many)
{
	pid_t pid[AT_ONCE] = { 0 };
	int most = 0;

	for (int i = 0; i < LIVES; i++) {
		int slot = i % AT_ONCE, n;

		if (pid[slot])
			EXPECT_EQ(0, died(pid[slot]));
		pid[slot] = live(self->s.fd, self->sva.control, &self->sva.a);
		ASSERT_GT(pid[slot], 0);
		/* Some are killed wherever they are. */
		if (i >= AT_ONCE && i % 3 == 2)
			kill(pid[(slot + AT_ONCE / 2) % AT_ONCE], SIGKILL);
		n = named(self->s.fd);
		EXPECT_GE(n, 0);
		if (n > most)
			most = n;
	}
	for (int i = 0; i < AT_ONCE; i++)
		EXPECT_EQ(0, died(pid[i]));
	TH_LOG("up to %d at once", most);
	EXPECT_EQ(0, pasid_entries(&self->sva.a));
	EXPECT_TRUE(processes_become(self->s.fd, ""));
}

TEST_HARNESS_MAIN
