// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device, the processes that are bound to it, and the page tables that are attached to
 * it, in every order.  A model says what each call must return, which entries the IOMMU
 * must have then, and which processes the file must name.
 */
#include "lib/cdev.h"
#include "lib/iommufd.h"
#include "lib/sequences.h"
#include "lib/pasid_table.h"
#include "lib/sva.h"
#include "lib/sva_test.h"
#include "lib/sva_users.h"
#include "lib/test.h"

/* It takes long on a machine that is emulated and watched. */
#define HANG 3000

enum op {
	ATTACH_PLAIN = PROCESS_OPS,	/* page tables without and with room for PASIDs */
	ATTACH, DETACH,
	ATTACH_MINE, DETACH_MINE,	/* by the PASID of the process */
	ATTACH_FREE, DETACH_FREE,	/* by one that is nobody's */
	REOPEN,
	OPS
};

static const char *const names[OPS] = {
	PROCESS_OP_NAMES, "attach without PASIDs", "attach", "detach", "attach by its PASID",
	"detach by its PASID", "attach by a free PASID", "detach by a free PASID", "close and open",
};

/* So high that the kernel does not come to it. */
#define FREE_PASID 60000

/* What is attached without a PASID. */
enum attached { NOTHING, PLAIN, WITH_PASIDS };

/* What ought to be. */
struct model {
	enum attached attached;
	bool mine, free;		/* attached by these PASIDs */
	int bound[PROCESSES], count;	/* who is bound, the latest last */
};

FIXTURE(sva_sequences) {
	struct pci pci, unused;
	struct session s;		/* its hwpt has room for PASIDs */
	struct sva_users u;
	uint64_t hwpt_root;
	struct model model;
};

FIXTURE_VARIANT(sva_sequences) {
	enum machine_end machine_end;
	int all, walk;
};

FIXTURE_VARIANT_ADD(sva_sequences, no_kvm) { NO_MACHINE, 3, 4 };
FIXTURE_VARIANT_ADD(sva_sequences, kvm_lets_go_first) { BEFORE_CLOSE, 2, 2 };
FIXTURE_VARIANT_ADD(sva_sequences, kvm_lets_go_last) { AFTER_CLOSE, 2, 2 };

typedef FIXTURE_DATA(sva_sequences) data;

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

static int model_step(struct model *m, int op)
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

/* Exactly the entries that there must be, each with its page table. */
static int look_at_table(const void *arg)
{
	const data *d = arg;
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
		    (pasid == d->u.pasid[ME] && m->mine))
			should = d->hwpt_root;
		for (enum who who = 0; who < PROCESSES; who++) {
			if (pasid == d->u.pasid[who] && is_bound(m, who)) {
				should = d->u.root[who];
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
		sprintf(want + strlen(want), "%s%u", i ? "," : "", d->u.pasid[m->bound[i]]);
	/* A process that died is taken away when it comes to that. */
	if (processes_become(d->s.fd, want))
		return 0;
	printf("# the file does not come to name the processes %s\n", want);
	return -EPROTO;
}

/* ---- what is done ---- */

static int open_again(data *d)
{
	int ret = keep_number(&d->s.fd, cdev_open(&d->pci));

	if (!ret)
		ret = sva_users_add(&d->u, d->s.fd);
	return ret ? ret : cdev_bind(d->s.fd, d->s.iommufd, NULL);
}

/* Closes the file and sees that nothing is left in the IOMMU. */
static int close_all(data *d)
{
	int ret = sva_users_close_file(&d->u, d->s.fd, look_at_table, d);

	d->model = (struct model){ 0 };
	if (ret)
		return ret;
	/* Without a PASID the device is the host's. */
	ret = pasid_entries(&d->pci);
	return ret ? wrong("entries with PASIDs after the close", ret, 0) : 0;
}

/* Learns which entry is the other process's, of which only it can say that it is. */
static int learn_other(data *d)
{
	uint32_t pasid = d->u.pasid[OTHER];
	struct pasid_entry entry;

	if (pasid_entry(&d->pci, pasid, &entry))
		return wrong("its PASID", pasid, 0);
	d->u.root[OTHER] = pasid_root(&entry);
	return 0;
}

static int attach(data *d, uint32_t pasid, uint32_t pt)
{
	return pasid ? cdev_attach_pasid(d->s.fd, pasid, &pt) : cdev_attach(d->s.fd, &pt);
}

static int do_op(data *d, int op)
{
	int ret;

	switch (op) {
	case ATTACH_PLAIN:
		return attach(d, 0, d->s.ioas);
	case ATTACH:
		return attach(d, 0, d->s.hwpt);
	case DETACH:
		return cdev_detach(d->s.fd);
	case ATTACH_MINE:
		return attach(d, d->u.pasid[ME], d->s.hwpt);
	case DETACH_MINE:
		return cdev_detach_pasid(d->s.fd, d->u.pasid[ME]);
	case ATTACH_FREE:
		return attach(d, FREE_PASID, d->s.hwpt);
	case DETACH_FREE:
		return cdev_detach_pasid(d->s.fd, FREE_PASID);
	case REOPEN:
		ret = close_all(d);
		return ret ? ret : open_again(d);
	default:
		ret = sva_users_op(&d->u, d->s.fd, op);
		return !ret && op == ITS_BIND ? learn_other(d) : ret;
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

	for (int op = 0; !ret && op < REOPEN; op++) {
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
	struct session *s = &d->s;
	int ret = session_open_unbound(&d->pci, s);

	if (!ret)
		ret = cdev_bind(s->fd, s->iommufd, &s->devid);
	if (!ret)
		ret = ioas_alloc(s->iommufd, &s->ioas);
	if (!ret)
		ret = hwpt_alloc(s->iommufd, s->devid, s->ioas, IOMMU_HWPT_ALLOC_PASID, &s->hwpt);
	if (!ret)
		ret = attach(d, 0, s->hwpt);
	if (!ret)
		ret = pasid_entry(&d->pci, 0, &entry);
	d->hwpt_root = pasid_root(&entry);
	d->u.root[ME] = sva_test_root(d->u.control);
	if (!ret)
		ret = process_bind(s->fd, &d->u.pasid[ME]);
	close_fd(&s->fd);
	return ret;
}

FIXTURE_SETUP(sva_sequences)
{
	int ret;

	self->s = SESSION_NONE;
	self->u = SVA_USERS_NONE;
	if (!core_is_rust())
		SKIP(return, NO_PROCESSES);
	ret = sva_users_open(&self->u, variant->machine_end, &self->pci, &self->unused);
	if (ret > 0)
		SKIP(return, "%s", self->u.lacks);
	ASSERT_EQ(0, ret);
	self->u.told = &self->pci;
	/* Each open and close would wait for a reset, 100 ms. */
	ASSERT_EQ(0, pci_attr_set(&self->pci, "reset_method", "\n"));
	ASSERT_EQ(0, learn(self));
	ASSERT_NE(0, self->u.root[ME]);
	ASSERT_NE(0, self->hwpt_root);
	ASSERT_EQ(0, open_again(self));
}

FIXTURE_TEARDOWN(sva_sequences)
{
	EXPECT_EQ(0, sva_users_end(&self->u));
	if (self->s.fd >= 0)
		EXPECT_EQ(0, close_all(self));
	self->s.fd = -1;
	session_close(&self->s);
	if (!sva_users_close(&self->u))
		return;
	EXPECT_EQ(0, pci_attr_set(&self->pci, "reset_method", "default"));
	EXPECT_EQ(0, pasid_entries(&self->pci));
}

/* Each sequence by itself. */
TEST_F_TIMEOUT(sva_sequences, all, HANG)
{
	const struct sequences sequences = { names, OPS, self, step, undo };

	EXPECT_GT(sequences_all(&sequences, variant->all), 0);
}

/* Longer ones, each after whatever was before.  The file stays open: close is slow. */
TEST_F_TIMEOUT(sva_sequences, walk, HANG)
{
	const struct sequences sequences = { names, REOPEN, self, step, undo };

	EXPECT_GT(sequences_walk(&sequences, variant->walk), 0);
}

TEST_HARNESS_MAIN
