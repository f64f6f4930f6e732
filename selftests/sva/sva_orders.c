// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device, the processes that are bound to it, and the page tables that are attached to
 * it, in every order.  A model says what each call must return, which entries the IOMMU
 * must have then, and which processes the file must name.
 */
#include "lib/bound.h"
#include "lib/cdev.h"
#include "lib/iommufd.h"
#include "lib/kvm.h"
#include "lib/orders.h"
#include "lib/pasid_table.h"
#include "lib/sva.h"
#include "lib/sva_lab.h"
#include "lib/test.h"

/* It takes long on a machine that is emulated and watched. */
#define HANG 3000

enum op {
	BIND, UNBIND,			/* the process itself */
	ITS_BIND, ITS_UNBIND, ITS_DEATH,	/* another one */
	ATTACH_PLAIN, ATTACH, DETACH,	/* page tables without and with room for PASIDs */
	ATTACH_MINE, DETACH_MINE,	/* by the PASID of the process */
	ATTACH_FREE, DETACH_FREE,	/* by one that is nobody's */
	REOPEN,
	OPS
};

static const char *const names[OPS] = {
	"bind", "unbind", "another binds", "another unbinds", "another dies", "attach without PASIDs",
	"attach", "detach", "attach by its PASID", "detach by its PASID", "attach by a free PASID",
	"detach by a free PASID", "close and open",
};

/* So high that the kernel does not come to it. */
#define FREE_PASID 60000

/* What is attached without a PASID. */
enum attached { NOTHING, PLAIN, WITH_PASIDS };

/* Who: the process itself, or the other. */
enum who { ME, OTHER, PROCESSES };

/* What ought to be. */
struct model {
	enum attached attached;
	bool mine, free;		/* attached by these PASIDs */
	int bound[PROCESSES], count;	/* who is bound, the latest last */
};

/* When a virtual machine lets go of the device's file. */
enum machine_end { NO_MACHINE, BEFORE_CLOSE, AFTER_CLOSE };

FIXTURE(sva_orders) {
	struct pci pci, unused;
	int lab, fd, iommufd, kvm;
	uint32_t ioas, hwpt;
	enum machine_end machine_end;
	struct machine machine;
	struct bound_child other;
	uint32_t pasid[PROCESSES];
	uint64_t root[PROCESSES], hwpt_root;
	struct model model;
};

FIXTURE_VARIANT(sva_orders) {
	enum machine_end machine_end;
	int all, walk;
};

FIXTURE_VARIANT_ADD(sva_orders, no_kvm) { NO_MACHINE, 3, 4 };
FIXTURE_VARIANT_ADD(sva_orders, kvm_lets_go_first) { BEFORE_CLOSE, 2, 2 };
FIXTURE_VARIANT_ADD(sva_orders, kvm_lets_go_last) { AFTER_CLOSE, 2, 2 };

typedef FIXTURE_DATA(sva_orders) data;

/* ---- the model ---- */

static bool is_bound(const struct model *m, enum who who)
{
	for (int i = 0; i < m->count; i++)
		if (m->bound[i] == who)
			return true;
	return false;
}

static int model_bind(struct model *m, enum who who)
{
	if (is_bound(m, who))
		return -EEXIST;
	if (who == ME && m->mine)
		return -EBUSY;
	m->bound[m->count++] = who;
	return 0;
}

static int model_unbind(struct model *m, enum who who)
{
	int left = 0;

	if (!is_bound(m, who))
		return -ENOENT;
	for (int i = 0; i < m->count; i++)
		if (m->bound[i] != who)
			m->bound[left++] = m->bound[i];
	m->count = left;
	return 0;
}

static int model_attach_pasid(struct model *m, bool mine)
{
	/* What is attached without a PASID must leave room for those. */
	if (m->attached == PLAIN)
		return -EINVAL;
	if (mine && is_bound(m, ME))
		return -EBUSY;
	*(mine ? &m->mine : &m->free) = true;
	return 0;
}

static int model_step(struct model *m, enum op op)
{
	switch (op) {
	case BIND:
		return model_bind(m, ME);
	case UNBIND:
		return model_unbind(m, ME);
	case ITS_BIND:
		return model_bind(m, OTHER);
	case ITS_UNBIND:
		return model_unbind(m, OTHER);
	case ITS_DEATH:
		model_unbind(m, OTHER);
		return 0;
	case ATTACH_PLAIN:
		if (m->mine || m->free)
			return -EINVAL;
		m->attached = PLAIN;
		return 0;
	case ATTACH:
		m->attached = WITH_PASIDS;
		return 0;
	case DETACH:
		m->attached = NOTHING;
		return 0;
	case ATTACH_MINE:
	case ATTACH_FREE:
		return model_attach_pasid(m, op == ATTACH_MINE);
	case DETACH_MINE:
		m->mine = false;
		return 0;
	case DETACH_FREE:
		m->free = false;
		return 0;
	default:
		*m = (struct model){ 0 };
		return 0;
	}
}

/* ---- what is ---- */

static int wrong(const char *what, long is, long should)
{
	printf("# %s: %ld (%#lx) and should be %ld (%#lx)\n", what, is, is, should, should);
	return -EPROTO;
}

/* Exactly the entries that there must be, each with its page table. */
static int look_at_table(const data *d)
{
	const struct model *m = &d->model;
	struct pasid_line lines[8];
	int n = pasid_lines(&d->pci, lines, ARRAY_SIZE(lines));
	int want = (m->attached != NOTHING) + m->mine + m->free + m->count;

	if (n != want)
		return wrong("entries", n, want);
	for (int i = 0; i < n; i++) {
		uint64_t root = pasid_root(&lines[i].entry), should = 0;
		enum pasid_kind kind = pasid_kind(&lines[i].entry);
		uint32_t pasid = lines[i].pasid;

		if (!pasid && m->attached == PLAIN) {
			if (root == d->hwpt_root)
				return wrong("the root without a PASID", root, 0);
			continue;
		}
		if ((!pasid && m->attached == WITH_PASIDS) || (pasid == FREE_PASID && m->free) ||
		    (pasid == d->pasid[ME] && m->mine))
			should = d->hwpt_root;
		for (enum who who = 0; who < PROCESSES; who++) {
			if (pasid == d->pasid[who] && is_bound(m, who)) {
				should = d->root[who];
				if (kind != PASID_FIRST_STAGE)
					return wrong("a process's kind of table", kind, PASID_FIRST_STAGE);
			}
		}
		if (root != should) {
			printf("# PASID %u:\n", pasid);
			return wrong("the root", root, should);
		}
	}
	return 0;
}

static int look_at_fdinfo(const data *d)
{
	const struct model *m = &d->model;
	char want[32] = "";

	for (int i = 0; i < m->count; i++)
		sprintf(want + strlen(want), "%s%u", i ? "," : "", d->pasid[m->bound[i]]);
	/* A process that died is taken away when it comes to that. */
	if (processes_become(d->fd, want))
		return 0;
	printf("# the file does not come to name the processes %s\n", want);
	return -EPROTO;
}

/* ---- what is done ---- */

static int open_again(data *d)
{
	int fd = cdev_open(&d->pci), ret;

	if (fd < 0)
		return fd;
	if (d->fd < 0)
		d->fd = fd;
	if (fd != d->fd) {
		dup2(fd, d->fd);
		close(fd);
	}
	if (d->machine_end != NO_MACHINE) {
		ret = machine_open(d->kvm, &d->machine);
		if (!ret)
			ret = machine_add(&d->machine, d->fd);
		if (ret)
			return ret;
	}
	return cdev_bind(d->fd, d->iommufd, NULL);
}

/* Closes the file and sees that nothing is left in the IOMMU. */
static int close_all(data *d)
{
	int ret = 0;

	if (d->machine_end == BEFORE_CLOSE)
		ret = machine_del(&d->machine, d->fd);
	/* The number stays what the other process knows. */
	close(d->fd);
	if (!ret && d->machine_end == AFTER_CLOSE) {
		/* The machine has the file: nothing has ended yet. */
		ret = look_at_table(d);
	}
	machine_close(&d->machine);
	d->model = (struct model){ 0 };
	if (ret)
		return ret;
	/* Without a PASID the device is the host's. */
	ret = pasid_entries(&d->pci);
	return ret ? wrong("entries with PASIDs after the close", ret, 0) : 0;
}

static int other_starts(data *d)
{
	return d->other.pid > 0 ? 0 : bound_fork(&d->other, d->fd, d->lab, &d->pci, true);
}

static int other_dies(data *d)
{
	int ret = d->other.pid > 0 ? bound_kill(&d->other) : 0;

	d->other.pid = 0;
	return ret;
}

/* Learns which entry is the other process's, of which only it can say that it is. */
static int other_binds(data *d)
{
	int its = other_starts(d), ret;
	struct pasid_entry entry;

	if (!its)
		its = bound_call(&d->other, BOUND_BIND);
	if (its <= 0)
		return its;
	ret = pasid_entry(&d->pci, its, &entry);
	if (ret || its == d->pasid[ME])
		return wrong("its PASID", its, 0);
	d->pasid[OTHER] = its;
	d->root[OTHER] = pasid_root(&entry);
	return 0;
}

static int do_bind(data *d)
{
	uint32_t pasid;
	int ret = process_bind(d->fd, &pasid);

	return !ret && pasid != d->pasid[ME] ? wrong("the PASID", pasid, d->pasid[ME]) : ret;
}

static int attach(data *d, uint32_t pasid, uint32_t pt)
{
	return pasid ? cdev_attach_pasid(d->fd, pasid, &pt) : cdev_attach(d->fd, &pt);
}

static int do_op(data *d, enum op op)
{
	int ret;

	switch (op) {
	case BIND:
		return do_bind(d);
	case UNBIND:
		return process_unbind(d->fd);
	case ITS_BIND:
		return other_binds(d);
	case ITS_UNBIND:
		ret = other_starts(d);
		return ret ? ret : bound_call(&d->other, BOUND_UNBIND);
	case ITS_DEATH:
		return other_dies(d);
	case ATTACH_PLAIN:
		return attach(d, 0, d->ioas);
	case ATTACH:
		return attach(d, 0, d->hwpt);
	case DETACH:
		return cdev_detach(d->fd);
	case ATTACH_MINE:
		return attach(d, d->pasid[ME], d->hwpt);
	case DETACH_MINE:
		return cdev_detach_pasid(d->fd, d->pasid[ME]);
	case ATTACH_FREE:
		return attach(d, FREE_PASID, d->hwpt);
	case DETACH_FREE:
		return cdev_detach_pasid(d->fd, FREE_PASID);
	default:
		ret = close_all(d);
		return ret ? ret : open_again(d);
	}
}

static int step(void *arg, int op, bool look)
{
	data *d = arg;
	struct model next = d->model;
	int should = model_step(&next, op), ret = do_op(d, op);

	d->model = next;
	if (ret != should)
		return wrong(names[op], ret, should);
	if (!look)
		return 0;
	ret = look_at_table(d);
	/* Of page tables it does not speak. */
	if (!ret && (op <= ITS_DEATH || op == REOPEN))
		ret = look_at_fdinfo(d);
	return ret;
}

/* Without a close, which would hide what is left; to close is an operation like others. */
static int undo(void *arg)
{
	data *d = arg;
	int ret = 0;

	for (enum op op = 0; !ret && op < REOPEN; op++) {
		if (op == UNBIND ? is_bound(&d->model, ME) : op == ITS_UNBIND ? is_bound(&d->model, OTHER) :
		    op == DETACH || op == DETACH_MINE || op == DETACH_FREE)
			ret = step(d, op, false);
	}
	if (!ret)
		ret = look_at_table(d);
	return ret ? ret : look_at_fdinfo(d);
}

/* ---- the tests ---- */

/* Learns what does not change: the process's PASID and page table, the other table. */
static int learn(data *d)
{
	struct pasid_entry entry;
	uint32_t devid;
	int ret;

	d->fd = cdev_open(&d->pci);
	d->iommufd = iommufd_open();
	ret = cdev_bind(d->fd, d->iommufd, &devid);
	if (!ret)
		ret = ioas_alloc(d->iommufd, &d->ioas);
	if (!ret)
		ret = hwpt_alloc(d->iommufd, devid, d->ioas, IOMMU_HWPT_ALLOC_PASID, &d->hwpt);
	if (!ret)
		ret = attach(d, 0, d->hwpt);
	if (!ret)
		ret = pasid_entry(&d->pci, 0, &entry);
	d->hwpt_root = pasid_root(&entry);
	d->root[ME] = sva_lab_root(d->lab);
	if (!ret)
		ret = process_bind(d->fd, &d->pasid[ME]);
	close(d->fd);
	d->fd = -1;
	return ret;
}

FIXTURE_SETUP(sva_orders)
{
	self->lab = self->kvm = self->fd = self->iommufd = -1;
	self->machine = (struct machine){ -1, -1 };
	self->machine_end = variant->machine_end;
	if (!core_is_rust())
		SKIP(return, NO_PROCESSES);
	if (self->machine_end != NO_MACHINE) {
		self->kvm = kvm_open();
		if (self->kvm < 0)
			SKIP(return, "no KVM");
	}
	self->lab = sva_devices(&self->pci, &self->unused);
	if (no_sva_devices(self->lab))
		SKIP(return, NO_SVA_DEVICES);
	ASSERT_GE(self->lab, 0);
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	/* Each open and close would wait for a reset, 100 ms. */
	ASSERT_EQ(0, pci_attr_set(&self->pci, "reset_method", "\n"));
	ASSERT_EQ(0, learn(self));
	ASSERT_NE(0, self->root[ME]);
	ASSERT_NE(0, self->hwpt_root);
	ASSERT_EQ(0, open_again(self));
}

FIXTURE_TEARDOWN(sva_orders)
{
	if (self->other.pid > 0)
		EXPECT_EQ(0, bound_kill(&self->other));
	if (self->fd >= 0)
		EXPECT_EQ(0, close_all(self));
	close_fd(&self->iommufd);
	close_fd(&self->kvm);
	if (self->lab < 0)
		return;
	sva_lab_close(self->lab);
	EXPECT_EQ(0, pci_attr_set(&self->pci, "reset_method", "default"));
	EXPECT_EQ(0, pasid_entries(&self->pci));
}

/* Each sequence by itself. */
TEST_F_TIMEOUT(sva_orders, all, HANG)
{
	const struct orders orders = { names, OPS, self, step, undo };
	long done = orders_all(&orders, variant->all);

	EXPECT_GT(done, 0);
	TH_LOG("%ld operations", done);
}

/* Longer ones, each after whatever was before.  The file stays open: close is slow. */
TEST_F_TIMEOUT(sva_orders, walk, HANG)
{
	const struct orders orders = { names, REOPEN, self, step, undo };
	long done = orders_walk(&orders, variant->walk);

	EXPECT_GT(done, 0);
	TH_LOG("%ld operations", done);
}

TEST_HARNESS_MAIN
