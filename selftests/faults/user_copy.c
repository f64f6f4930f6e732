// SPDX-License-Identifier: GPL-2.0-only
/*
 * User memory that takes its time.  An argument that stalls one call must stall no
 * other: not on the same device, not on a sibling in its device set.  The core in C
 * reads and writes arguments under the set's lock, and there the others wait.  Memory that
 * is mapped for DMA is pinned under that lock on both cores.
 *
 * That a page which is not there is -EFAULT, each test of a call says for itself.
 */
#include <fcntl.h>

#include "lib/cdev.h"
#include "lib/group.h"
#include "lib/introspect.h"
#include "lib/iommufd.h"
#include "lib/qmp.h"
#include "lib/task.h"
#include "lib/test.h"
#include "lib/testdev.h"
#include "lib/uffd.h"

#define IOVA 0x10000000ULL
/*
 * Where a thread sleeps that waits for the lock in C (the lock itself is not shown):
 * vfio_device_fops_unl_ioctl(), or what it calls last, which takes its place on the stack.
 */
#define IN_IOCTL "vfio_d"

/* A BIND in a thread of its own. */
struct bind_call {
	int fd;
	struct vfio_device_bind_iommufd *arg;
};

static int do_bind(void *arg)
{
	struct bind_call *call = arg;

	return xioctl(call->fd, VFIO_DEVICE_BIND_IOMMUFD, call->arg);
}

struct attach_call {
	int fd;
	struct vfio_device_attach_iommufd_pt *arg;
};

static int do_attach(void *arg)
{
	struct attach_call *call = arg;

	return xioctl(call->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, call->arg);
}

typedef FIXTURE_DATA(user_copy) user_copy_t;

/* Two devices in one set, each with an open file. */
FIXTURE(user_copy) {
	struct pci a, b;
	struct session sa, sb;	/* with the iommufd of the first */
	struct stall stall;
	struct worker first, second;
	struct bind_call call, sibling;
	struct vfio_device_bind_iommufd bind, bind_b;
	struct attach_call pin;
	struct vfio_device_attach_iommufd_pt attach;
};

/*
 * The machine may have them, else the one that can be unplugged makes room for
 * two functions in its slot.
 */
static int find_siblings(struct pci *a, struct pci *b)
{
	char id[32], port[32];
	struct pci hot;

	if (!pci_find_siblings(EDU, a, b))
		return 0;
	if (pci_find_at(EDU, true, &hot) ||
	    qmp_device_id(hot.bdf, id, sizeof(id)) ||
	    qmp_device_id(hot.port, port, sizeof(port)))
		return -ENODEV;
	pci_unbind(&hot);
	if (qmp_unplug(id) || qmp_wait_deleted(id))
		return -EIO;
	if (qmp_plug_edu("sibling", port, 1) || qmp_plug_edu(id, port, 0))
		return -EIO;
	for (int ms = 0; ms < EVENT_MS; ms += 100) {
		if (!pci_find_siblings(EDU, a, b))
			return 0;
		poll(NULL, 0, 100);
	}
	return -ETIMEDOUT;
}

FIXTURE_SETUP(user_copy)
{
	ASSERT_EQ(0, find_siblings(&self->a, &self->b));
	ASSERT_EQ(0, pci_await_vfio(&self->a));
	ASSERT_EQ(0, pci_await_vfio(&self->b));
	ASSERT_EQ(0, session_open_unbound(&self->a, &self->sa));
	ASSERT_EQ(0, session_open_node(&self->b, &self->sb));
	self->bind = (struct vfio_device_bind_iommufd){
		.argsz = sizeof(self->bind),
		.iommufd = self->sa.iommufd,
	};
	self->bind_b = self->bind;
	self->call = (struct bind_call){ self->sa.fd, &self->bind };
	self->sibling = (struct bind_call){ self->sb.fd, &self->bind_b };
}

FIXTURE_TEARDOWN(user_copy)
{
	session_close(&self->sb);
	session_close(&self->sa);
}

/* The sibling is bound while the first call waits: on ours at once, in C not before that ends. */
static void bind_sibling(struct __test_metadata *_metadata, user_copy_t *self)
{
	ASSERT_EQ(0, worker_start(&self->second, do_bind, &self->sibling));
	if (core_is_rust()) {
		EXPECT_EQ(0, worker_join(&self->second));
		EXPECT_EQ(0, device_info(self->sb.fd));
	} else {
		EXPECT_TRUE(worker_sleeps_in(&self->second, IN_IOCTL));
	}
	EXPECT_FALSE(worker_ended(&self->first));
}

/* The first call ends with @result; in C the sibling's after it. */
static void end_both(struct __test_metadata *_metadata, user_copy_t *self, int result)
{
	EXPECT_EQ(result, worker_join(&self->first));
	if (!core_is_rust())
		EXPECT_EQ(0, worker_join(&self->second));
}

/* semantics: 103, 104, 185; defect: B11.  A token that is long in coming. */
TEST_F(user_copy, stalled_token)
{
	char uuid[4096] = { 1 };

	ASSERT_EQ(0, stall_open(&self->stall));
	self->bind.flags = VFIO_DEVICE_BIND_FLAG_TOKEN;
	self->bind.token_uuid_ptr = (uintptr_t)self->stall.page;
	ASSERT_EQ(0, worker_start(&self->first, do_bind, &self->call));
	ASSERT_EQ(0, stall_wait(&self->stall));

	bind_sibling(_metadata, self);
	ASSERT_EQ(0, stall_release(&self->stall, uuid));
	/* edu has no use for a token */
	end_both(_metadata, self, -EINVAL);
	stall_close(&self->stall);
	self->bind.flags = 0;
	EXPECT_EQ(0, do_bind(&self->call));
}

/* semantics: 104; defect: B11.  A token that never comes keeps its place. */
TEST_F(user_copy, revoked_token)
{
	ASSERT_EQ(0, stall_open(&self->stall));
	self->bind.flags = VFIO_DEVICE_BIND_FLAG_TOKEN;
	self->bind.token_uuid_ptr = (uintptr_t)self->stall.page;
	ASSERT_EQ(0, worker_start(&self->first, do_bind, &self->call));
	ASSERT_EQ(0, stall_wait(&self->stall));
	ASSERT_EQ(0, stall_revoke(&self->stall));
	EXPECT_EQ(-EFAULT, worker_join(&self->first));
	close(self->stall.fd);
	self->bind.flags = 0;
	EXPECT_EQ(0, do_bind(&self->call));
}

/*
 * semantics: 103, 107, 121; defect: B11.  A device id that is long in being
 * written: the gate is shut until it is, and the sibling does not wait.
 */
TEST_F(user_copy, stalled_device_id)
{
	struct vfio_device_bind_iommufd *arg;
	int other = cdev_open(&self->a);

	ASSERT_GE(other, 0);
	ASSERT_EQ(0, stall_open_write(&self->stall, &self->bind,
				      sizeof(self->bind)));
	arg = (void *)self->stall.page;
	self->call.arg = arg;
	ASSERT_EQ(0, worker_start(&self->first, do_bind, &self->call));
	ASSERT_EQ(0, stall_wait(&self->stall));

	EXPECT_EQ(-EINVAL, device_info(self->sa.fd));
	EXPECT_EQ(-EBUSY, group_open(&self->a));
	bind_sibling(_metadata, self);
	/* Of the same device another file is told that it is taken. */
	if (core_is_rust())
		EXPECT_EQ(-EINVAL, cdev_bind(other, self->sa.iommufd, NULL));
	EXPECT_FALSE(worker_ended(&self->first));
	EXPECT_EQ(-EINVAL, device_info(self->sa.fd));
	ASSERT_EQ(0, stall_release_write(&self->stall));
	end_both(_metadata, self, 0);
	EXPECT_EQ(0, device_info(self->sa.fd));
	EXPECT_GE(arg->out_devid, 1);
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->sa.iommufd, arg->out_devid));
	stall_close(&self->stall);
	close(other);
}

/* semantics: 103; defect: B11.  ... and one that cannot be written after all. */
TEST_F(user_copy, revoked_device_id)
{
	ASSERT_EQ(0, stall_open_write(&self->stall, &self->bind,
				      sizeof(self->bind)));
	self->call.arg = (void *)self->stall.page;
	ASSERT_EQ(0, worker_start(&self->first, do_bind, &self->call));
	ASSERT_EQ(0, stall_wait(&self->stall));
	ASSERT_EQ(0, stall_revoke(&self->stall));
	EXPECT_EQ(-EFAULT, worker_join(&self->first));
	close(self->stall.fd);
	EXPECT_EQ(-EINVAL, device_info(self->sa.fd));
	self->call.arg = &self->bind;
	EXPECT_EQ(0, do_bind(&self->call));
	EXPECT_EQ(0, device_info(self->sa.fd));
}

/* semantics: 112, 116; defect: B11.  A page table's id, likewise. */
TEST_F(user_copy, stalled_page_table_id)
{
	struct vfio_device_attach_iommufd_pt arg = { sizeof(arg) }, *p;
	struct attach_call attach = { .fd = self->sa.fd };
	uint32_t ioas;

	ASSERT_EQ(0, do_bind(&self->call));
	ASSERT_EQ(0, ioas_alloc(self->sa.iommufd, &ioas));
	arg.pt_id = ioas;
	ASSERT_EQ(0, stall_open_write(&self->stall, &arg, sizeof(arg)));
	p = (void *)self->stall.page;
	attach.arg = p;
	ASSERT_EQ(0, worker_start(&self->first, do_attach, &attach));
	ASSERT_EQ(0, stall_wait(&self->stall));

	bind_sibling(_metadata, self);
	ASSERT_EQ(0, stall_release_write(&self->stall));
	end_both(_metadata, self, 0);
	EXPECT_NE(ioas, p->pt_id);
	stall_close(&self->stall);
}

/*
 * semantics: 112; defects: B9, B11.  While the first attachment waits to be told,
 * another takes its place; that the first cannot be told then undoes nothing.
 */
TEST(attachment_in_between)
{
	struct vfio_device_attach_iommufd_pt arg = { sizeof(arg) }, next;
	struct attach_call first_call, next_call;
	struct worker first, second;
	uint32_t other, *page;
	struct stall stall;
	volatile void *bar;
	struct session s;
	struct pci pci;

	if (pci_find(TESTDEV, 0, &pci))
		SKIP(return, "no iommu-testdev");
	ASSERT_EQ(0, session_open(&pci, &s));
	ASSERT_EQ(0, cdev_detach(s.fd));
	ASSERT_EQ(0, cdev_enable_dma(s.fd));
	bar = cdev_map_bar(s.fd, 0, NULL);
	ASSERT_NE(NULL, bar);
	page = pages_alloc(4096);
	ASSERT_EQ(0, ioas_alloc(s.iommufd, &other));
	ASSERT_EQ(0, ioas_map(s.iommufd, other, page, 4096, IOVA));

	arg.pt_id = s.ioas;
	ASSERT_EQ(0, stall_open_write(&stall, &arg, sizeof(arg)));
	first_call = (struct attach_call){ s.fd, (void *)stall.page };
	ASSERT_EQ(0, worker_start(&first, do_attach, &first_call));
	ASSERT_EQ(0, stall_wait(&stall));

	next = arg;
	next.pt_id = other;
	next_call = (struct attach_call){ s.fd, &next };
	ASSERT_EQ(0, worker_start(&second, do_attach, &next_call));
	if (core_is_rust()) {
		EXPECT_EQ(0, worker_join(&second));
		EXPECT_EQ(TESTDEV_OK, testdev_dma(bar, IOVA, page, 4));
	} else {
		EXPECT_TRUE(worker_sleeps_in(&second, IN_IOCTL));
	}
	ASSERT_EQ(0, stall_revoke(&stall));
	EXPECT_EQ(-EFAULT, worker_join(&first));
	if (!core_is_rust())
		EXPECT_EQ(0, worker_join(&second));
	page[0] = 0;
	EXPECT_EQ(TESTDEV_OK, testdev_dma(bar, IOVA, page, 4));
	EXPECT_EQ(TESTDEV_PATTERN, page[0]);
	close(stall.fd);
	session_close(&s);
}

/* The first device is attached, and waits for a page that is mapped for DMA, with the lock of the set. */
static void begin_pinning(struct __test_metadata *_metadata, user_copy_t *self)
{
	self->attach = (struct vfio_device_attach_iommufd_pt){ .argsz = sizeof(self->attach) };
	self->pin = (struct attach_call){ self->sa.fd, &self->attach };
	ASSERT_EQ(0, do_bind(&self->call));
	ASSERT_EQ(0, ioas_alloc(self->sa.iommufd, &self->attach.pt_id));
	ASSERT_EQ(0, stall_open(&self->stall));
	ASSERT_EQ(0, ioas_map(self->sa.iommufd, self->attach.pt_id, self->stall.page,
			      self->stall.size, IOVA));
	ASSERT_EQ(0, worker_start(&self->first, do_attach, &self->pin));
	ASSERT_EQ(0, stall_wait(&self->stall));
}

/* The page comes: the attach ends, and so does the call that has waited for it. */
static void end_pinning(struct __test_metadata *_metadata, user_copy_t *self)
{
	static const char page[4096];

	EXPECT_FALSE(worker_ended(&self->first));
	EXPECT_FALSE(worker_ended(&self->second));
	ASSERT_EQ(0, stall_release(&self->stall, page));
	EXPECT_EQ(0, worker_join(&self->first));
	EXPECT_EQ(0, worker_join(&self->second));
	stall_close(&self->stall);
}

/* Reads fdinfo of both files, and on ours who holds the devices. */
static int look(void *arg)
{
	user_copy_t *self = arg;
	char path[64], text[1024];
	int ret;

	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", i ? self->sb.fd : self->sa.fd);
		ret = sysfs_read(path, text, sizeof(text));
		if (ret <= 0)
			return ret ?: -ENODATA;
		if (core_is_rust() && has_debugfs() &&
		    !strstr(holders(i ? &self->b : &self->a), i ? "bound=no" : "bound=yes"))
			return -EPROTO;
	}
	return 0;
}

/*
 * semantics: 182, 185.  The same on both cores: an attach pins what is mapped, under the set's lock,
 * for which a sibling's BIND waits.  Who only looks, or opens, does not.
 */
TEST_F(user_copy, pinning)
{
	struct worker looker;
	int fd;

	begin_pinning(_metadata, self);
	ASSERT_EQ(0, worker_start(&self->second, do_bind, &self->sibling));
	EXPECT_TRUE(worker_sleeps_in(&self->second, "[vfio]"));
	ASSERT_EQ(0, worker_start(&looker, look, self));
	EXPECT_TRUE(worker_ends(&looker));
	EXPECT_EQ(0, device_info(self->sa.fd));
	fd = cdev_open(&self->b);
	EXPECT_GE(fd, 0);
	close(fd);
	end_pinning(_metadata, self);
	EXPECT_EQ(0, worker_join(&looker));
	EXPECT_EQ(0, device_info(self->sb.fd));
}

static int remove_device(void *arg)
{
	return pci_unbind(arg);
}

static int add_device(void *arg)
{
	return pci_to_vfio(arg);
}

static int remove_and_add(void *arg)
{
	return remove_device(arg) ?: add_device(arg);
}

/* A device of another set comes and goes meanwhile. */
static void use_another_set(struct __test_metadata *_metadata)
{
	struct worker w;
	struct pci pci;

	ASSERT_EQ(0, pci_find_at(EDU, false, &pci));
	ASSERT_EQ(0, pci_to_vfio(&pci));
	ASSERT_EQ(0, worker_start(&w, remove_and_add, &pci));
	EXPECT_TRUE(worker_ends(&w));
	EXPECT_EQ(0, worker_join(&w));
}

/*
 * semantics: 92, 182.  The same on both cores: a sibling that nobody has open leaves the set when its driver
 * releases it, and waits for the set's lock.
 */
TEST_F(user_copy, pinning_and_removal)
{
	session_close(&self->sb);
	begin_pinning(_metadata, self);
	ASSERT_EQ(0, worker_start(&self->second, remove_device, &self->b));
	EXPECT_TRUE(worker_sleeps_in(&self->second, "device_release"));
	use_another_set(_metadata);
	end_pinning(_metadata, self);
}

/* semantics: 182.  ... and a sibling that gets its driver joins the set, likewise. */
TEST_F(user_copy, pinning_and_registration)
{
	session_close(&self->sb);
	ASSERT_EQ(0, pci_unbind(&self->b));
	begin_pinning(_metadata, self);
	ASSERT_EQ(0, worker_start(&self->second, add_device, &self->b));
	EXPECT_TRUE(worker_sleeps_in(&self->second, "assign"));
	use_another_set(_metadata);
	end_pinning(_metadata, self);
}

/*
 * debugfs removes no file that is being read, and the text is copied to the reader during the read.  A
 * reader whose page does not come thus holds up the removal, which has revoked the unbound files before.
 */
TEST_F(user_copy, holders_and_removal)
{
	static const char page[4096];
	struct stalled_read call;
	char path[128];

	if (!core_is_rust() || !has_debugfs())
		SKIP(return, "no file \"holders\"");
	snprintf(path, sizeof(path), VFIO_DEBUGFS "/%s/holders", self->b.bdf);
	ASSERT_EQ(0, stall_open(&self->stall));
	call = (struct stalled_read){ open(path, O_RDONLY | O_CLOEXEC), &self->stall };
	ASSERT_GE(call.fd, 0);
	ASSERT_EQ(0, worker_start(&self->first, stalled_read, &call));
	ASSERT_EQ(0, stall_wait(&self->stall));
	/* Others can open the device, and see who has it. */
	EXPECT_EQ(0, do_bind(&self->sibling));
	EXPECT_NE(NULL, strstr(holders(&self->b), "bound=yes"));
	session_close(&self->sb);
	ASSERT_EQ(0, session_open_node(&self->b, &self->sb));

	ASSERT_EQ(0, worker_start(&self->second, remove_device, &self->b));
	EXPECT_TRUE(worker_sleeps_in(&self->second, "debugfs_remove"));
	EXPECT_EQ(-ENODEV, device_info(self->sb.fd));
	use_another_set(_metadata);
	EXPECT_FALSE(worker_ended(&self->first));
	EXPECT_FALSE(worker_ended(&self->second));
	ASSERT_EQ(0, stall_release(&self->stall, page));
	EXPECT_GT(worker_join(&self->first), 0);
	EXPECT_NE(NULL, strstr(self->stall.page, "bound=no"));
	EXPECT_EQ(0, worker_join(&self->second));
	stall_close(&self->stall);
	close(call.fd);
}

TEST_HARNESS_MAIN
