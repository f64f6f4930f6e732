// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page requests in flight: a page that a bound process has mapped does not come, and meanwhile the
 * process is killed, its device reset, its file closed.  The handler of the page request is then the
 * last user of the process's memory, and the end of a bond waits for that handler.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "lib/bound.h"
#include "lib/cdev.h"
#include "lib/kmsg.h"
#include "lib/pasid_table.h"
#include "lib/sva.h"
#include "lib/sva_dma.h"
#include "lib/sva_file.h"
#include "lib/sva_test.h"
#include "lib/sva_setup.h"
#include "lib/task.h"
#include "lib/test.h"
#include "lib/pasid_probe.h"

/* A bound process with a page that does not come, and a device that wants to write to it. */
struct request {
	pid_t pid;
	struct dma dma;
	void *page;
	struct worker worker;
};

FIXTURE(sva_page_request) {
	struct sva_setup sva;
	const struct pci *pci, *other;
	struct session s, o;
	int kmsg;
};

FIXTURE_SETUP(sva_page_request)
{
	int ret = sva_session_open_dma(&self->sva, &self->s);

	self->o = SESSION_NONE;
	self->kmsg = -1;
	if (ret > 0)
		SKIP(return, "%s", self->sva.why);
	ASSERT_EQ(0, ret) TH_LOG("%s", self->sva.why);
	self->pci = &self->sva.pci[0];
	self->other = &self->sva.pci[1];
	ASSERT_EQ(0, session_open(self->other, &self->o));
	self->kmsg = kmsg_open();
	ASSERT_GE(self->kmsg, 0);
}

FIXTURE_TEARDOWN(sva_page_request)
{
	if (self->kmsg >= 0) {
		EXPECT_FALSE(kmsg_warned(self->kmsg));
		close(self->kmsg);
	}
	session_close(&self->s);
	session_close(&self->o);
	EXPECT_EQ(0, sva_tear_down(&self->sva));
}

struct word {
	uint32_t pasid;
	void *page;
};

/* The life of the process: binds itself, says what it has, and waits for its end. */
static _Noreturn void live(int to, int fd, int other, int control)
{
	struct word word = { .page = sva_test_slow_page(control) };

	if (!word.page || process_bind(fd, &word.pasid) ||
	    (other >= 0 && process_bind(other, NULL)) ||
	    write(to, &word, sizeof(word)) != sizeof(word))
		_exit(1);
	close(fd);
	for (;;)
		pause();
}

static int write_there(void *arg)
{
	struct request *r = arg;

	return dma_write(&r->dma, r->page, "d", 1);
}

/* Binds a process to @fd, and to @other if that is none of -1, and lets the device ask for its page. */
static int begin(struct request *r, const struct pci *pci, int control, int fd, int other)
{
	struct word word;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	r->pid = fork();
	if (!r->pid)
		live(ends[1], fd, other, control);
	close(ends[1]);
	if (read(ends[0], &word, sizeof(word)) != sizeof(word))
		return -EPIPE;
	close(ends[0]);
	r->dma = (struct dma){ .control = control, .pci = pci, .pasid = word.pasid };
	r->page = word.page;
	if (worker_start(&r->worker, write_there, r))
		return -EAGAIN;
	return worker_sleeps_in(&r->worker, "__flush_workqueue") ? 0 : -ETIMEDOUT;
}

/* Nothing of the process holds it up. */
static int kill_and_reap(struct request *r)
{
	kill(r->pid, SIGKILL);
	return waitpid(r->pid, NULL, 0) == r->pid ? 0 : -errno;
}

static int let_go(struct request *r)
{
	int ret = sva_test_let_go(r->dma.control);

	return ret ? ret : worker_join(&r->worker);
}

/* The same where a task waits for the page, then switches the device off: maybe before the DMA goes on. */
static bool let_go_to_no_avail(struct request *r)
{
	int result = let_go(r);

	return result == SVA_TEST_DMA_NO_ENTRY || result == SVA_TEST_DMA_OFF;
}

/* The page comes after all. */
TEST_F(sva_page_request, answered)
{
	struct request r;

	ASSERT_EQ(0, begin(&r, self->pci, self->sva.control, self->s.fd, -1));
	EXPECT_EQ(SVA_TEST_DMA_DONE, let_go(&r));
	EXPECT_EQ(0, kill_and_reap(&r));
	EXPECT_EQ(0, pasid_entries(self->pci));
}

/* The handler is the last who has the memory: it ends it, and cannot wait for itself. */
TEST_F(sva_page_request, last_user)
{
	struct request r;

	for (int i = 0; i < 5; i++) {
		ASSERT_EQ(0, begin(&r, self->pci, self->sva.control, self->s.fd, self->o.fd));
		ASSERT_EQ(0, kill_and_reap(&r));
		/* The memory is there, and so is the bond. */
		EXPECT_EQ(0, entry_of(self->pci, r.dma.pasid));
		EXPECT_EQ(0, entry_of(self->other, r.dma.pasid));
		EXPECT_EQ(SVA_TEST_DMA_NO_ENTRY, let_go(&r));
		EXPECT_EQ(-ENOENT, entry_of(self->pci, r.dma.pasid));
		EXPECT_EQ(-ENOENT, entry_of(self->other, r.dma.pasid));
		EXPECT_TRUE(processes_become(self->s.fd, ""));
		EXPECT_TRUE(processes_become(self->o.fd, ""));
	}
}

/* Another process that ends meanwhile waits for the handler, which waits for nobody. */
TEST_F(sva_page_request, last_user_and_another)
{
	struct bound_child child;
	struct worker dying;
	struct request r;

	ASSERT_GT(bound_start(&child, self->s.fd, self->sva.control, self->pci), 0);
	ASSERT_EQ(0, begin(&r, self->pci, self->sva.control, self->s.fd, -1));
	ASSERT_EQ(0, kill_and_reap(&r));
	ASSERT_EQ(0, kill(child.pid, SIGKILL));
	dying = (struct worker){ .tid = child.pid };
	EXPECT_TRUE(worker_sleeps_in(&dying, "iopf_queue_flush_dev"));
	EXPECT_EQ(SVA_TEST_DMA_NO_ENTRY, let_go(&r));
	EXPECT_EQ(0, bound_kill(&child));
	EXPECT_EQ(0, pasid_entries(self->pci));
	EXPECT_TRUE(processes_become(self->s.fd, ""));
}

static int reset(void *arg)
{
	return xioctl(*(int *)arg, VFIO_DEVICE_RESET, NULL);
}

static int reset_by_sysfs(void *arg)
{
	return pci_attr_set(arg, "reset", "1");
}

/* A reset waits for the page, and so does nobody who only looks. */
TEST_F(sva_page_request, reset)
{
	struct worker resetter;
	struct request r;

	ASSERT_EQ(0, begin(&r, self->pci, self->sva.control, self->s.fd, -1));
	ASSERT_EQ(0, worker_start(&resetter, reset, &self->s.fd));
	EXPECT_TRUE(worker_sleeps_in(&resetter, "iopf_queue_flush_dev"));
	EXPECT_EQ(0, kill_and_reap(&r));
	EXPECT_TRUE(processes_become(self->o.fd, ""));
	EXPECT_FALSE(worker_ended(&resetter));
	EXPECT_TRUE(let_go_to_no_avail(&r));
	EXPECT_EQ(0, worker_join(&resetter));
	EXPECT_EQ(0, pasid_entries(self->pci));
	EXPECT_TRUE(processes_become(self->s.fd, ""));
}

/* One that the core does not see, of the device and of the other that the process is bound to. */
TEST_F(sva_page_request, reset_by_sysfs)
{
	struct worker resetter;
	struct request r;

	for (int i = 0; i < 2; i++) {
		const struct pci *pci = i ? self->other : self->pci;

		ASSERT_EQ(0, begin(&r, self->pci, self->sva.control, self->s.fd, self->o.fd));
		ASSERT_EQ(0, worker_start(&resetter, reset_by_sysfs, (void *)pci));
		EXPECT_TRUE(worker_sleeps_in(&resetter, "iopf_queue_flush_dev"));
		EXPECT_EQ(0, kill_and_reap(&r));
		/* Of the device itself the reset cleared the bus-master bit. */
		EXPECT_EQ(i ? SVA_TEST_DMA_NO_ENTRY : SVA_TEST_DMA_OFF, let_go(&r));
		EXPECT_EQ(0, worker_join(&resetter));
		EXPECT_TRUE(processes_become(self->s.fd, ""));
		EXPECT_TRUE(processes_become(self->o.fd, ""));
		EXPECT_EQ(0, pasid_entries(self->pci));
		EXPECT_EQ(0, pasid_entries(self->other));
		ASSERT_EQ(0, cdev_enable_dma(self->s.fd));
	}
}

/* The last close of the file, by one while the process lives on. */
TEST_F(sva_page_request, close)
{
	struct worker closer;
	struct request r;

	ASSERT_EQ(0, begin(&r, self->pci, self->sva.control, self->s.fd, -1));
	ASSERT_EQ(0, worker_start(&closer, close_op, &self->s.fd));
	EXPECT_TRUE(worker_sleeps_in(&closer, "iopf_queue_flush_dev"));
	EXPECT_TRUE(processes_become(self->o.fd, ""));
	EXPECT_TRUE(let_go_to_no_avail(&r));
	EXPECT_EQ(0, worker_join(&closer));
	self->s.fd = -1;
	EXPECT_EQ(0, pasid_entries(self->pci));
	EXPECT_EQ(0, kill_and_reap(&r));
}

TEST_HARNESS_MAIN
