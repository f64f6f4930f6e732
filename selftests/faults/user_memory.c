// SPDX-License-Identifier: GPL-2.0-only
/*
 * The argument of each ioctl of the core lies across the border of two pages, with each number
 * of its bytes in the first page.  The second page is missing, read-only, or provided by
 * userfaultfd when it is touched.  A call that cannot read its argument or write its result
 * returns -EFAULT and has no effect.  A call that waits for its argument lets other calls on
 * the same device pass.
 *
 * user_copy tests the calls that wait for a lock of a call that waits for user memory.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "lib/cdev.h"
#include "lib/feature.h"
#include "lib/group.h"
#include "lib/iommufd.h"
#include "lib/mdev.h"
#include "lib/task.h"
#include "lib/test.h"
#include "lib/uffd.h"

/* The file on which a call is made. */
enum stage {
	ON_UNBOUND,	/* a device file that is not bound */
	ON_BOUND,	/* a device file that is bound */
	ON_ATTACHED,	/* ... whose device is attached to an address space */
	ON_GROUP,	/* a group's file */
	ON_GROUP_SET,	/* ... with an iommufd */
	ON_MIGRATION,	/* a device whose driver has migration */
};

typedef FIXTURE_DATA(user_memory) user_memory_t;
typedef FIXTURE_VARIANT(user_memory) call_t;

FIXTURE(user_memory) {
	struct pci pci;
	struct session s;
	int group, device;
	struct opened emulated;
	int fd;			/* of the call */
	uint8_t arg[64];
	char *area;		/* two pages */
	char *border;		/* where the second page begins */
	/* For a call in another thread. */
	void *at;
	unsigned long cmd;
	struct vfio_device_bind_iommufd bind;	/* of a token */
};

FIXTURE_VARIANT(user_memory) {
	enum stage stage;
	unsigned long cmd;
	/* Bytes from the start of the argument: its size, what the call reads, where its result ends. */
	size_t size, read, written;
	/* The result of the call if it can read and write. */
	int ok;
	/* Only this part of the argument moves: the token of a BIND. */
	bool token;
	/* The C core reads the token, and writes the result, with the lock of the set held. */
	bool locked;
};

FIXTURE_VARIANT_ADD(user_memory, bind_first_version) {
	.stage = ON_UNBOUND, .cmd = VFIO_DEVICE_BIND_IOMMUFD,
	.size = 16, .read = 16, .written = 16, .locked = true,
};
FIXTURE_VARIANT_ADD(user_memory, bind) {
	.stage = ON_UNBOUND, .cmd = VFIO_DEVICE_BIND_IOMMUFD,
	.size = 24, .read = 24, .written = 16, .locked = true,
};
FIXTURE_VARIANT_ADD(user_memory, bind_later_version) {
	.stage = ON_UNBOUND, .cmd = VFIO_DEVICE_BIND_IOMMUFD,
	.size = 40, .read = 40, .written = 16, .locked = true,
};
/* edu takes no token. */
FIXTURE_VARIANT_ADD(user_memory, bind_token) {
	.stage = ON_UNBOUND, .cmd = VFIO_DEVICE_BIND_IOMMUFD,
	.size = 16, .read = 16, .ok = -EINVAL, .token = true, .locked = true,
};
FIXTURE_VARIANT_ADD(user_memory, attach) {
	.stage = ON_BOUND, .cmd = VFIO_DEVICE_ATTACH_IOMMUFD_PT,
	.size = 16, .read = 12, .written = 12, .locked = true,
};
FIXTURE_VARIANT_ADD(user_memory, replace) {
	.stage = ON_ATTACHED, .cmd = VFIO_DEVICE_ATTACH_IOMMUFD_PT,
	.size = 16, .read = 12, .written = 12, .locked = true,
};
FIXTURE_VARIANT_ADD(user_memory, detach) {
	.stage = ON_ATTACHED, .cmd = VFIO_DEVICE_DETACH_IOMMUFD_PT,
	.size = 12, .read = 8,
};
/* vfio-pci has no migration of its own. */
FIXTURE_VARIANT_ADD(user_memory, feature) {
	.stage = ON_BOUND, .cmd = VFIO_DEVICE_FEATURE,
	.size = 16, .read = 8, .ok = -ENOTTY,
};
FIXTURE_VARIANT_ADD(user_memory, feature_result) {
	.stage = ON_MIGRATION, .cmd = VFIO_DEVICE_FEATURE,
	.size = 16, .read = 8, .written = 16,
};
FIXTURE_VARIANT_ADD(user_memory, region_info) {
	.stage = ON_BOUND, .cmd = VFIO_DEVICE_GET_REGION_INFO,
	.size = 32, .read = 32, .written = 32,
};
FIXTURE_VARIANT_ADD(user_memory, group_status) {
	.stage = ON_GROUP, .cmd = VFIO_GROUP_GET_STATUS,
	.size = 8, .read = 8, .written = 8,
};
FIXTURE_VARIANT_ADD(user_memory, set_container) {
	.stage = ON_GROUP, .cmd = VFIO_GROUP_SET_CONTAINER,
	.size = 4, .read = 4,
};
/* The name and its end: "0000:00:00.0". */
FIXTURE_VARIANT_ADD(user_memory, device_fd) {
	.stage = ON_GROUP_SET, .cmd = VFIO_GROUP_GET_DEVICE_FD,
	.size = 13, .read = 13,
};

static int attach(user_memory_t *self)
{
	uint32_t pt = self->s.ioas;

	return cdev_attach(self->s.fd, &pt);
}

/* Fills in what the call gets. */
static void make_argument(user_memory_t *self, const call_t *variant)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = variant->size,
		.iommufd = self->s.iommufd,
	};
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = variant->size,
		.pt_id = self->s.ioas,
	};
	struct vfio_device_detach_iommufd_pt detach = { .argsz = variant->size };
	struct vfio_device_feature feature = {
		.argsz = variant->size,
		.flags = VFIO_DEVICE_FEATURE_MIGRATION | GET,
	};
	struct vfio_region_info region = { .argsz = variant->size };
	struct vfio_group_status status = { .argsz = variant->size };

	memset(self->arg, 0, sizeof(self->arg));
#define ARGUMENT(value) memcpy(self->arg, &(value), sizeof(value))
	switch (variant->cmd) {
	case VFIO_DEVICE_BIND_IOMMUFD:
		if (!variant->token)
			ARGUMENT(bind);
		break;
	case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
		ARGUMENT(attach);
		break;
	case VFIO_DEVICE_DETACH_IOMMUFD_PT:
		ARGUMENT(detach);
		break;
	case VFIO_DEVICE_FEATURE:
		ARGUMENT(feature);
		break;
	case VFIO_DEVICE_GET_REGION_INFO:
		ARGUMENT(region);
		break;
	case VFIO_GROUP_GET_STATUS:
		ARGUMENT(status);
		break;
	case VFIO_GROUP_SET_CONTAINER:
		ARGUMENT(self->s.iommufd);
		break;
	case VFIO_GROUP_GET_DEVICE_FD:
		memcpy(self->arg, self->pci.bdf, variant->size);
		break;
	}
#undef ARGUMENT
}

FIXTURE_SETUP(user_memory)
{
	bool by_group = variant->stage == ON_GROUP || variant->stage == ON_GROUP_SET;

	self->s = SESSION_NONE;
	self->emulated = OPENED_NONE;
	self->group = self->device = -1;
	self->area = mmap(NULL, 2 * getpagesize(), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->area);
	self->border = self->area + getpagesize();
	if (by_group && !has_groups())
		SKIP(return, NO_GROUPS);
	if (variant->stage == ON_MIGRATION) {
		int ret = mdev_sample_open("mtty", "mtty-2", &self->emulated);

		if (ret == -ENOENT)
			SKIP(return, "no mtty");
		ASSERT_EQ(0, ret);
		self->fd = self->emulated.fd;
		return;
	}
	ASSERT_EQ(0, pci_find(EDU, 0, &self->pci));
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	if (by_group) {
		self->s.iommufd = iommufd_open();
		ASSERT_GE(self->s.iommufd, 0);
		self->group = group_open(&self->pci);
		ASSERT_GE(self->group, 0);
		if (variant->stage == ON_GROUP_SET)
			ASSERT_EQ(0, group_set(self->group, self->s.iommufd));
		self->fd = self->group;
	} else {
		ASSERT_EQ(0, session_open_unbound(&self->pci, &self->s));
		self->fd = self->s.fd;
		if (variant->stage != ON_UNBOUND) {
			ASSERT_EQ(0, cdev_bind(self->fd, self->s.iommufd, &self->s.devid));
			ASSERT_EQ(0, ioas_alloc(self->s.iommufd, &self->s.ioas));
		}
		if (variant->stage == ON_ATTACHED)
			ASSERT_EQ(0, attach(self));
	}
}

FIXTURE_TEARDOWN(user_memory)
{
	munmap(self->area, 2 * getpagesize());
	close_fd(&self->device);
	close_fd(&self->group);
	session_close(&self->s);
	if (variant->stage == ON_MIGRATION && self->emulated.fd >= 0) {
		open_path_close(&self->emulated);
		EXPECT_EQ(0, mdev_sample_close("mtty"));
	}
}

/* The call, for a worker.  A file descriptor that it returns is kept. */
static int make_call(void *arg)
{
	user_memory_t *self = arg;
	int ret = xioctl(self->fd, self->cmd, self->at);

	if (self->cmd == VFIO_GROUP_GET_DEVICE_FD && ret >= 0) {
		self->device = ret;
		return 0;
	}
	return ret;
}

/* Puts the argument, or the token, at @at, of which @n bytes are before the border. */
static void point_to(user_memory_t *self, const call_t *variant, void *at)
{
	self->cmd = variant->cmd;
	self->at = at;
	if (!variant->token)
		return;
	self->bind = (struct vfio_device_bind_iommufd){
		.argsz = sizeof(self->bind),
		.flags = VFIO_DEVICE_BIND_FLAG_TOKEN,
		.iommufd = self->s.iommufd,
		.token_uuid_ptr = (uintptr_t)at,
	};
	self->at = &self->bind;
}

/* An address space that a device uses cannot be destroyed. */
static bool is_attached(user_memory_t *self)
{
	if (iommufd_destroy(self->s.iommufd, self->s.ioas) == -EBUSY)
		return true;
	ioas_alloc(self->s.iommufd, &self->s.ioas);
	return false;
}

/* Whether the call has had its effect; @none if it has none. */
static bool has_effect(user_memory_t *self, const call_t *variant, bool none)
{
	switch (variant->cmd) {
	case VFIO_DEVICE_BIND_IOMMUFD:
		return variant->token ? none : device_info(self->fd) == 0;
	case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
		return is_attached(self);
	case VFIO_DEVICE_DETACH_IOMMUFD_PT:
		return !is_attached(self);
	case VFIO_GROUP_SET_CONTAINER:
		return group_flags(self->group) == GROUP_SET;
	case VFIO_GROUP_GET_DEVICE_FD:
		return self->device >= 0;
	default:
		return none;
	}
}

static int undo(user_memory_t *self, const call_t *variant)
{
	switch (variant->cmd) {
	case VFIO_DEVICE_BIND_IOMMUFD:
		close(self->s.fd);
		self->fd = self->s.fd = cdev_open(&self->pci);
		return self->fd < 0 ? self->fd : 0;
	case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
		return variant->stage == ON_ATTACHED ? attach(self) : cdev_detach(self->fd);
	case VFIO_DEVICE_DETACH_IOMMUFD_PT:
		return attach(self);
	case VFIO_GROUP_SET_CONTAINER:
		return group_unset(self->group);
	case VFIO_GROUP_GET_DEVICE_FD:
		close_fd(&self->device);
		return 0;
	default:
		return 0;
	}
}

/* The call, whose argument @was_read, has returned @ret, and should have returned @expected. */
static void check(struct __test_metadata *_metadata, user_memory_t *self,
		  const call_t *variant, size_t n, bool was_read,
		  int expected, int ret)
{
	bool success = expected >= 0;

	ASSERT_EQ(expected, ret) {
		TH_LOG("%zu bytes before the border", n);
	}
	if (variant->cmd == VFIO_DEVICE_ATTACH_IOMMUFD_PT && variant->stage == ON_ATTACHED && !success) {
		/* B9: in C no attachment is left if the new one cannot be reported. */
		ASSERT_EQ(core_is_rust() || !was_read, is_attached(self)) {
			TH_LOG("%zu bytes before the border", n);
		}
		ASSERT_EQ(0, attach(self));
	} else {
		ASSERT_EQ(success, has_effect(self, variant, success)) {
			TH_LOG("%zu bytes before the border", n);
		}
	}
	if (success)
		ASSERT_EQ(0, undo(self, variant));
}

/* semantics: 103, 104, 112, 115, 127, 129, 146, 147, 150.  The rest of the argument is not there. */
TEST_F(user_memory, missing)
{
	ASSERT_EQ(0, mprotect(self->border, getpagesize(), PROT_NONE));
	for (size_t n = 0; n <= variant->size; n++) {
		bool fault = n < variant->read || n < variant->written;

		make_argument(self, variant);
		memcpy(self->border - n, self->arg, n);
		point_to(self, variant, self->border - n);
		check(_metadata, self, variant, n, n >= variant->read, fault ? -EFAULT : variant->ok,
		      make_call(self));
	}
}

/* semantics: 103, 112, 127, 146; defect: B9.  A result that does not lie in front of the border cannot be written. */
TEST_F(user_memory, read_only)
{
	for (size_t n = 0; n <= variant->size; n++) {
		make_argument(self, variant);
		ASSERT_EQ(0, mprotect(self->border, getpagesize(), PROT_READ | PROT_WRITE));
		memcpy(self->border - n, self->arg, variant->size);
		ASSERT_EQ(0, mprotect(self->border, getpagesize(), PROT_READ));
		point_to(self, variant, self->border - n);
		check(_metadata, self, variant, n, true,
		      n < variant->written ? -EFAULT : variant->ok, make_call(self));
	}
}

/* What others do on the same device, or in the same group, while a call waits for its argument. */
static int use_meanwhile(void *arg)
{
	user_memory_t *self = arg;
	int fd, ret;

	if (self->emulated.fd >= 0)
		return device_info(self->emulated.fd);
	if (self->group >= 0)
		return group_flags(self->group) < 0 ? -EPROTO : 0;
	ret = device_info(self->s.fd);
	if (!ret)
		/* The device is open; its attachments can change. */
		return cdev_detach(self->s.fd) ?: attach(self);
	fd = cdev_open(&self->pci);
	if (fd < 0)
		return fd;
	ret = cdev_bind(fd, self->s.iommufd, NULL) ?: device_info(fd);
	close(fd);
	return ret;
}

/* ... and while a call waits to write its result: it has had its effect, but for this. */
static int look_meanwhile(void *arg)
{
	user_memory_t *self = arg;
	int fd, ret;

	if (self->emulated.fd >= 0 || self->group >= 0)
		return use_meanwhile(arg);
	if (self->cmd != VFIO_DEVICE_BIND_IOMMUFD)
		return device_info(self->s.fd);
	fd = cdev_open(&self->pci);
	if (fd < 0)
		return fd;
	ret = cdev_bind(fd, self->s.iommufd, NULL);
	close(fd);
	return ret == -EINVAL && device_info(self->s.fd) == -EINVAL ? 0 : -EPROTO;
}

/* Another thread does not wait for the call that stalls. */
static void use_beside(struct __test_metadata *_metadata, user_memory_t *self, struct worker *call,
		       int (*fn)(void *arg))
{
	struct worker beside;

	ASSERT_EQ(0, worker_start(&beside, fn, self));
	ASSERT_TRUE(worker_ends(&beside));
	ASSERT_EQ(0, worker_join(&beside));
	ASSERT_FALSE(worker_ended(call));
}

/*
 * semantics: 103, 104, 112, 115, 127, 129, 146, 147, 150; defect: B11.  Each part of an argument
 * that is long in coming, and of a result that is long in being written: nobody waits but the call.
 * In C the calls that need the lock of the set wait.
 */
TEST_F(user_memory, stalled)
{
	char *page = calloc(1, getpagesize());

	ASSERT_NE(NULL, page);
	for (size_t n = 0; n < variant->read; n += 4) {
		struct worker call;
		struct stall stall;

		make_argument(self, variant);
		ASSERT_EQ(0, stall_open_second(&stall));
		memcpy(stall.page - n, self->arg, n);
		memcpy(page, self->arg + n, variant->size - n);
		point_to(self, variant, stall.page - n);
		ASSERT_EQ(0, worker_start(&call, make_call, self));
		ASSERT_EQ(0, stall_wait(&stall));
		if (core_is_rust() || !variant->token)
			use_beside(_metadata, self, &call, use_meanwhile);
		if (variant->stage == ON_BOUND)
			ASSERT_EQ(0, cdev_detach(self->s.fd));
		ASSERT_EQ(0, stall_release(&stall, page));
		check(_metadata, self, variant, n, true, variant->ok, worker_join(&call));
		stall_close(&stall);
	}
	for (size_t n = 0; n < variant->written; n += 4) {
		struct worker call;
		struct stall stall;

		make_argument(self, variant);
		ASSERT_EQ(0, stall_open_second_write(&stall, self->arg + n, variant->size - n));
		memcpy(stall.page - n, self->arg, n);
		point_to(self, variant, stall.page - n);
		ASSERT_EQ(0, worker_start(&call, make_call, self));
		ASSERT_EQ(0, stall_wait(&stall));
		if (core_is_rust() || !variant->locked)
			use_beside(_metadata, self, &call, look_meanwhile);
		ASSERT_EQ(0, stall_release_write(&stall));
		check(_metadata, self, variant, n, true, variant->ok, worker_join(&call));
		stall_close(&stall);
	}
	free(page);
}

TEST_HARNESS_MAIN
