// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory runs out, at every place where it can, while processes are bound: the call says
 * so, the IOMMU has no entry of it, and the call can be made again.
 */
#include "lib/bound.h"
#include "lib/container.h"
#include "lib/fault.h"
#include "lib/pasid_table.h"
#include "lib/sva.h"
#include "lib/sva_lab.h"
#include "lib/svadev.h"
#include "lib/test.h"

FIXTURE(fail_nth_sva) {
	struct pci pci, other;
	struct sweep sweep;
	int lab;
};

FIXTURE_SETUP(fail_nth_sva)
{
	self->lab = -1;
	self->sweep.fault = fault_open();
	if (self->sweep.fault < 0)
		SKIP(return, "no fault injection in this kernel");
	if (!core_is_rust())
		SKIP(return, "the core in C does not bind processes");
	self->lab = sva_devices(&self->pci, &self->other);
	if (no_sva_devices(self->lab))
		SKIP(return, NO_SVA_DEVICES);
	ASSERT_GE(self->lab, 0);
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	ASSERT_EQ(0, pci_to_vfio(&self->other));
}

FIXTURE_TEARDOWN(fail_nth_sva)
{
	close(self->sweep.fault);
	if (self->lab < 0)
		return;
	sva_lab_close(self->lab);
	EXPECT_EQ(0, pasid_entries(&self->pci));
	EXPECT_EQ(0, pasid_entries(&self->other));
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

	ASSERT_EQ(0, session_open(&self->pci, &s));
	do {
		ret = sweep_call(&self->sweep, op_bind, &s.fd);
		EXPECT_TRUE(bind_fine(&self->sweep, ret)) TH_LOG("n=%u: %d", self->sweep.n, ret);
		EXPECT_EQ(!ret, pasid_entries(&self->pci));
		EXPECT_EQ(ret ? -ENOENT : 0, process_unbind(s.fd));
		EXPECT_EQ(0, pasid_entries(&self->pci));
	} while (self->sweep.hit);
	EXPECT_GT(self->sweep.failures, 0);
	session_close(&s);
}

/* Of a process that has no PASID yet: with the first bond comes more that can fail. */
TEST_F(fail_nth_sva, new_process)
{
	struct session s;
	int status;
	bool hit;

	ASSERT_EQ(0, session_open(&self->pci, &s));
	for (unsigned int n = 1; ; n++) {
		pid_t pid = fork();

		if (!pid) {
			int fault = fault_open(), ret;

			fault_arm(fault, n);
			ret = process_bind(s.fd, NULL);
			hit = fault_disarm(fault);
			/* 0: all is as it must be and there is more to come, 1: nothing failed. */
			if (ret && !(hit && (ret == -ENOMEM || ret == -ENOSPC || ret == -EINVAL)))
				_exit(2);
			if (pasid_entries(&self->pci) != !ret)
				_exit(3);
			_exit(!hit);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_TRUE(WIFEXITED(status));
		ASSERT_LE(WEXITSTATUS(status), 1) TH_LOG("n=%u: %d", n, WEXITSTATUS(status));
		EXPECT_EQ(0, pasid_entries(&self->pci));
		EXPECT_TRUE(processes_become(s.fd, ""));
		if (WEXITSTATUS(status))
			break;
	}
	session_close(&s);
}

/* Nothing that ends a bond takes memory that it could lack. */
TEST_F(fail_nth_sva, unbind)
{
	struct session s;

	ASSERT_EQ(0, session_open(&self->pci, &s));
	do {
		ASSERT_EQ(0, process_bind(s.fd, NULL));
		EXPECT_EQ(0, sweep_call(&self->sweep, op_unbind, &s.fd));
		EXPECT_EQ(0, pasid_entries(&self->pci));
	} while (self->sweep.hit);
	session_close(&s);
}

/* Of a container with two groups: both, or neither. */
TEST_F(fail_nth_sva, container)
{
	struct boxed a = BOXED_NONE, b = BOXED_NONE;
	int ret;

	ASSERT_EQ(0, boxed_open(&self->pci, &a));
	ASSERT_EQ(0, boxed_join(&self->other, a.container, &b));
	do {
		ret = sweep_call(&self->sweep, op_bind, &a.container);
		EXPECT_TRUE(bind_fine(&self->sweep, ret)) TH_LOG("n=%u: %d", self->sweep.n, ret);
		EXPECT_EQ(!ret, pasid_entries(&self->pci));
		EXPECT_EQ(!ret, pasid_entries(&self->other));
		EXPECT_EQ(ret ? -ENOENT : 0, process_unbind(a.container));
	} while (self->sweep.hit);
	EXPECT_GT(self->sweep.failures, 0);
	close_fd(&b.fd);
	close_fd(&b.group);
	boxed_close(&a);
}

struct join {
	int group, container;
};

static int op_join(void *arg)
{
	struct join *join = arg;

	return group_set(join->group, join->container);
}

/* A group that cannot join in with the processes is not in the container. */
TEST_F(fail_nth_sva, join)
{
	struct boxed a = BOXED_NONE;
	struct join join;
	int ret;

	ASSERT_EQ(0, boxed_open(&self->pci, &a));
	ASSERT_EQ(0, process_bind(a.container, NULL));
	join = (struct join){ group_open(&self->other), a.container };
	ASSERT_GE(join.group, 0);
	do {
		ret = sweep_call(&self->sweep, op_join, &join);
		EXPECT_TRUE(bind_fine(&self->sweep, ret)) TH_LOG("n=%u: %d", self->sweep.n, ret);
		EXPECT_EQ(1, pasid_entries(&self->pci));
		EXPECT_EQ(!ret, pasid_entries(&self->other));
		EXPECT_EQ(ret ? -EINVAL : 0, group_unset(join.group));
		EXPECT_EQ(0, pasid_entries(&self->other));
	} while (self->sweep.hit);
	EXPECT_GT(self->sweep.failures, 0);
	close(join.group);
	boxed_close(&a);
}

TEST_HARNESS_MAIN
