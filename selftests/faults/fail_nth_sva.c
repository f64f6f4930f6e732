// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory runs out, at every place where it can, while processes are bound: the call says
 * so, the IOMMU has no entry of it, and the call can be made again.
 */
#include "lib/bound.h"
#include "lib/container.h"
#include "lib/fault.h"
#include "lib/sva.h"
#include "lib/sva_setup.h"
#include "lib/test.h"

#define GROUPS 3

FIXTURE(fail_nth_sva) {
	struct sva_setup sva;
	const struct pci *pci;
	struct sweep sweep;
	/* A container with groups in it. */
	struct boxed box[GROUPS];
};

FIXTURE_SETUP(fail_nth_sva)
{
	int ret;

	self->sva = SVA_NONE;
	for (int i = 0; i < GROUPS; i++)
		self->box[i] = BOXED_NONE;
	self->sweep.fault = fault_open();
	if (self->sweep.fault < 0)
		SKIP(return, "no fault injection in this kernel");
	if (!core_is_rust())
		SKIP(return, NO_PROCESSES);
	ret = sva_set_up(&self->sva, GROUPS);
	if (ret > 0)
		SKIP(return, "%s", self->sva.why);
	ASSERT_EQ(0, ret) TH_LOG("%s", self->sva.why);
	self->pci = &self->sva.pci[0];
}

FIXTURE_TEARDOWN(fail_nth_sva)
{
	close(self->sweep.fault);
	/* The first has the container, and outlives the others' devices. */
	for (int i = GROUPS - 1; i >= 0; i--)
		boxed_close(&self->box[i]);
	EXPECT_EQ(0, sva_tear_down(&self->sva));
}

/* Opens the container, and the first @count devices in it; the container. */
static int fill(const struct sva_setup *sva, struct boxed *box, int count)
{
	int ret = boxed_open(&sva->pci[0], &box[0]);

	for (int i = 1; i < count && !ret; i++)
		ret = boxed_join(&sva->pci[i], box[0].container, &box[i]);
	return ret ? ret : box[0].container;
}

/* Have the devices so many entries each, in their order? */
static bool all_have(const struct sva_setup *sva, int a, int b, int c)
{
	bool first = entries_are(&sva->pci[0], a), second = entries_are(&sva->pci[1], b);

	return entries_are(&sva->pci[2], c) && first && second;
}

static int op_bind(void *fd)
{
	return process_bind(*(int *)fd, NULL);
}

static int op_unbind(void *fd)
{
	return process_unbind(*(int *)fd);
}

/* What a bind may say: the IOMMU's driver has an errno of its own for a table it cannot make. */
static bool bind_fine(const struct sweep *s, int ret)
{
	return sweep_fine(s, ret) || (s->hit && (ret == -ENOSPC || ret == -EINVAL));
}

TEST_F(fail_nth_sva, device)
{
	struct session s;
	int ret;

	ASSERT_EQ(0, session_open(self->pci, &s));
	do {
		ret = sweep_call(&self->sweep, op_bind, &s.fd);
		EXPECT_TRUE(bind_fine(&self->sweep, ret)) TH_LOG("n=%u: %d", self->sweep.n, ret);
		EXPECT_TRUE(entries_are(self->pci, !ret));
		EXPECT_EQ(ret ? -ENOENT : 0, process_unbind(s.fd));
		EXPECT_TRUE(entries_are(self->pci, 0));
	} while (self->sweep.hit);
	EXPECT_GT(self->sweep.failures, 0);
	session_close(&s);
}

/* Nothing that ends a bond takes memory that it could lack. */
TEST_F(fail_nth_sva, unbind)
{
	struct session s;

	ASSERT_EQ(0, session_open(self->pci, &s));
	do {
		ASSERT_EQ(0, process_bind(s.fd, NULL));
		EXPECT_EQ(0, sweep_call(&self->sweep, op_unbind, &s.fd));
		EXPECT_TRUE(entries_are(self->pci, 0));
	} while (self->sweep.hit);
	session_close(&s);
}

enum outcome {
	ALL_THERE = 10,	/* it is bound, and there was no allocation left to fail */
	MORE_TO_COME,
	WRONG_ERRNO,
	WRONG_ENTRIES,
};

/*
 * A process that has no PASID yet binds itself, with its @n-th allocation failing: with the
 * first bond comes more that can fail.
 */
static enum outcome bind_anew(const struct sva_setup *sva, int fd, unsigned int n, bool all)
{
	struct sweep s = { .fault = fault_open(), .n = n - 1 };
	int ret = sweep_call(&s, op_bind, &fd), others = !ret && all;

	if (!bind_fine(&s, ret))
		return WRONG_ERRNO;
	if (!all_have(sva, !ret, others, others))
		return WRONG_ENTRIES;
	return s.hit ? MORE_TO_COME : ALL_THERE;
}

/* To the first device, or to all; the outcome of the last process. */
static int bind_new_processes(const struct sva_setup *sva, int fd, bool all)
{
	int status = MORE_TO_COME;

	for (unsigned int n = 1; status == MORE_TO_COME; n++) {
		pid_t pid = fork();

		if (!pid)
			_exit(bind_anew(sva, fd, n, all));
		if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
			return -ECHILD;
		status = WEXITSTATUS(status);
		/* Its end, too, leaves nothing. */
		if (!all_have(sva, 0, 0, 0))
			return -EBUSY;
	}
	return status;
}

TEST_F(fail_nth_sva, new_process)
{
	struct session s;

	ASSERT_EQ(0, session_open(self->pci, &s));
	EXPECT_EQ(ALL_THERE, bind_new_processes(&self->sva, s.fd, false));
	EXPECT_TRUE(processes_become(s.fd, ""));
	session_close(&s);
}

/* ---- containers: all groups, or none; all processes, or none ---- */

TEST_F(fail_nth_sva, container_new_process)
{
	int container = fill(&self->sva, self->box, GROUPS);

	ASSERT_GE(container, 0);
	EXPECT_EQ(ALL_THERE, bind_new_processes(&self->sva, container, true));
}

/* Another process is bound: what it has is not touched. */
TEST_F(fail_nth_sva, container)
{
	int container = fill(&self->sva, self->box, GROUPS), its, ret;
	struct bound_child child;
	uint32_t pasid;

	ASSERT_GE(container, 0);
	/* Which PASID is the caller's, so that it can be looked for. */
	ASSERT_EQ(0, process_bind(container, &pasid));
	ASSERT_EQ(0, process_unbind(container));
	its = bound_start(&child, container, self->sva.control, self->pci);
	ASSERT_GT(its, 0);
	do {
		ret = sweep_call(&self->sweep, op_bind, &container);
		EXPECT_TRUE(bind_fine(&self->sweep, ret)) TH_LOG("n=%u: %d", self->sweep.n, ret);
		for (int i = 0; i < GROUPS; i++) {
			EXPECT_TRUE(entries_are(&self->sva.pci[i], ret ? 1 : 2));
			EXPECT_TRUE(is_there(&self->sva.pci[i], its));
			if (!ret)
				EXPECT_TRUE(is_mine(self->sva.control, &self->sva.pci[i], pasid));
		}
		EXPECT_EQ(ret ? -ENOENT : 0, process_unbind(container));
		EXPECT_TRUE(all_have(&self->sva, 1, 1, 1));
	} while (self->sweep.hit);
	EXPECT_GT(self->sweep.failures, 0);
	EXPECT_EQ(0, bound_end(&child));
}

struct join {
	int group, container;
};

static int op_join(void *arg)
{
	struct join *join = arg;

	return group_set(join->group, join->container);
}

/*
 * A group that cannot join in with all processes joins in with none, and is not in the
 * container; the groups that are have what they had.
 */
TEST_F(fail_nth_sva, join)
{
	int container = fill(&self->sva, self->box, GROUPS - 1), its, ret;
	struct bound_child child;
	struct join join;
	uint32_t pasid;

	ASSERT_GE(container, 0);
	ASSERT_EQ(0, process_bind(container, &pasid));
	its = bound_start(&child, container, self->sva.control, self->pci);
	ASSERT_GT(its, 0);
	join = (struct join){ group_open(&self->sva.pci[GROUPS - 1]), container };
	ASSERT_GE(join.group, 0);
	do {
		ret = sweep_call(&self->sweep, op_join, &join);
		EXPECT_TRUE(bind_fine(&self->sweep, ret)) TH_LOG("n=%u: %d", self->sweep.n, ret);
		EXPECT_TRUE(all_have(&self->sva, 2, 2, ret ? 0 : 2)) TH_LOG("n=%u: %d", self->sweep.n, ret);
		for (int i = 0; i < (ret ? GROUPS - 1 : GROUPS); i++) {
			EXPECT_TRUE(is_mine(self->sva.control, &self->sva.pci[i], pasid));
			EXPECT_TRUE(is_there(&self->sva.pci[i], its));
		}
		EXPECT_EQ(ret ? -EINVAL : 0, group_unset(join.group));
		EXPECT_TRUE(all_have(&self->sva, 2, 2, 0));
	} while (self->sweep.hit);
	EXPECT_GT(self->sweep.failures, 0);
	close(join.group);
	EXPECT_EQ(0, bound_end(&child));
}

/* One process leaves all groups at once, and needs no memory for that; the other stays. */
TEST_F(fail_nth_sva, container_unbind)
{
	int container = fill(&self->sva, self->box, GROUPS);
	struct bound_child child;

	ASSERT_GE(container, 0);
	ASSERT_GT(bound_start(&child, container, self->sva.control, self->pci), 0);
	do {
		ASSERT_EQ(0, process_bind(container, NULL));
		EXPECT_TRUE(all_have(&self->sva, 2, 2, 2));
		EXPECT_EQ(0, sweep_call(&self->sweep, op_unbind, &container));
		EXPECT_TRUE(all_have(&self->sva, 1, 1, 1));
	} while (self->sweep.hit);
	EXPECT_EQ(0, bound_end(&child));
}

TEST_HARNESS_MAIN
