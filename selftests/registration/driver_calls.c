// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the core does for drivers and for others in the kernel, each function called by
 * itself: chains of capabilities, arguments of interrupts, questions about files, the
 * operations that drivers hand on to iommufd, power.  The driver is drivers/vfio_calls_main.c.
 */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include "lib/calls.h"
#include "lib/cdev.h"
#include "lib/fault.h"
#include "lib/feature.h"
#include "lib/group.h"
#include "lib/iommufd.h"
#include "lib/kmsg.h"
#include "lib/noiommu.h"
#include "lib/space.h"
#include "lib/sysfs.h"
#include "lib/test.h"

FIXTURE(driver_calls) {
	int calls, space, log;
	struct pci pci;		/* on vfio-calls, if a test has put it there */
};

FIXTURE_SETUP(driver_calls)
{
	int ret = calls_open_all(&self->calls, &self->space, &self->log);

	if (self->calls == -ENOENT)
		SKIP(return, NO_CALLS);
	ASSERT_EQ(0, ret);
}

FIXTURE_TEARDOWN(driver_calls)
{
	EXPECT_EQ(0, calls_close(self->calls));
	if (self->pci.bdf[0])
		EXPECT_EQ(0, pci_to_vfio(&self->pci));
}

/* ---- capabilities ---- */

#define CAPS_MAX 4096

static int caps(int calls, uint32_t flags, const struct calls_cap *list, int n, uint64_t shift,
		void *chain, uint64_t *empty)
{
	struct calls_args args = {
		.flags = flags,
		.a = (uintptr_t)chain,
		.b = n,
		.c = shift,
		.ptr = (uintptr_t)list,
	};
	int ret = calls_do(calls, CALLS_CAPS, &args);

	if (empty)
		*empty = args.c;
	return ret;
}

/* semantics: 46, 47, 48.  A chain: where each link is, what it holds, how long it is. */
TEST_F(driver_calls, capabilities)
{
	static const struct calls_cap list[] = {
		{ 7, 1, 8 }, { 0xffff, 0xfffe, 9 }, { 3, 0, 16 }, { 7, 2, 31 }, { 1, 1, 100 },
	};
	static unsigned char chain[CAPS_MAX];

	for (int n = 1; n <= ARRAY_SIZE(list); n++) {
		for (uint32_t flags = 0; flags < 4; flags++) {
			const uint64_t shift = flags & CALLS_CAPS_SHIFT ? 64 : 0;
			int at = 0;

			memset(chain, 0x55, sizeof(chain));
			ASSERT_GT(caps(self->calls, flags, list, n, shift, chain, NULL), 0);
			for (int i = 0; i < n; i++) {
				struct vfio_info_cap_header *cap = (void *)(chain + at);
				const int body = at + sizeof(*cap), end = at + list[i].size;

				EXPECT_EQ(list[i].id, cap->id);
				EXPECT_EQ(list[i].version, cap->version);
				at = (end + 7) & ~7;
				EXPECT_EQ(i == n - 1 ? 0 : at + shift, cap->next);
				for (int j = body; j < at; j++) {
					bool copied = flags & CALLS_CAPS_BODY && j < end;

					EXPECT_EQ(copied ? 0xab : 0, chain[j]);
				}
			}
			EXPECT_EQ(0x55, chain[at]);
			EXPECT_EQ(at, caps(self->calls, flags, list, n, shift, chain, NULL));
		}
	}
}

/* semantics: 47.  Links have to be aligned. */
TEST_F(driver_calls, unaligned_shift)
{
	static const struct calls_cap list[] = { { 1, 1, 8 }, { 2, 1, 8 } };
	struct vfio_info_cap_header chain[2];

	kmsg_expect_warning(true, NULL);
	ASSERT_EQ(16, caps(self->calls, CALLS_CAPS_SHIFT, list, 2, 36, chain, NULL));
	EXPECT_TRUE(kmsg_warned(self->log));
	kmsg_expect_warning(false, NULL);
	EXPECT_EQ(8 + 36, chain[0].next);
	EXPECT_EQ(0, chain[1].next);
	ASSERT_EQ(16, caps(self->calls, CALLS_CAPS_SHIFT, list, 2, 40, chain, NULL));
	EXPECT_FALSE(kmsg_warned(self->log));
}

/* semantics: 46, 48.  Without memory for the next there is no chain at all. */
TEST_F(driver_calls, capabilities_without_memory)
{
	static const struct calls_cap list[] = { { 1, 1, 16 }, { 2, 1, 200 }, { 3, 1, 2000 } };
	int fault = fault_open(), failures;
	static char chain[CAPS_MAX];

	if (fault < 0)
		SKIP(return, "the kernel has no fault injection");
	for (uint32_t flags = 0; flags <= CALLS_CAPS_BODY; flags++) {
		bool hit = true;

		failures = 0;
		for (int nth = 1; hit; nth++) {
			uint64_t empty = 77;
			int ret;

			fault_arm(fault, nth);
			ret = caps(self->calls, flags, list, 3, 0, chain, &empty);
			hit = fault_disarm(fault);
			/* What fails may be a debugging tool's, which does without. */
			EXPECT_TRUE(ret == 2216 || (hit && ret == -ENOMEM));
			EXPECT_EQ(ret < 0, empty);
			failures += ret < 0;
			ASSERT_LT(nth, 100);
		}
		EXPECT_GE(failures, 2);
	}
	close(fault);
}

/* ---- interrupts ---- */

static int irqs(int calls, const struct vfio_irq_set *set, int64_t interrupts, int64_t indices,
		uint64_t *size)
{
	struct calls_args args = {
		.a = interrupts,
		.b = indices,
		.c = *size,
		.ptr = (uintptr_t)set,
	};
	int ret = calls_do(calls, CALLS_IRQS, &args);

	if (*size != ~0ULL)
		*size = args.c;
	return ret;
}

#define UNTOUCHED 77

/*
 * What is to come of it, in a type in which nothing overflows; *@size: whether the
 * size was written, and to what.
 */
static int expected_irqs(const struct vfio_irq_set *set, __int128 interrupts, __int128 indices,
			 uint64_t *size)
{
	__int128 start = set->start, count = set->count, each;
	bool has_size = *size != ~0ULL;

	if (set->argsz < 20 || set->index >= indices || count >= (__int128)UINT32_MAX - start ||
	    set->flags > 0x3f)
		return -EINVAL;
	if (has_size)
		*size = 0;
	if (start >= interrupts || start + count > interrupts)
		return -EINVAL;
	switch (set->flags & VFIO_IRQ_SET_DATA_TYPE_MASK) {
	case VFIO_IRQ_SET_DATA_NONE:
		return 0;
	case VFIO_IRQ_SET_DATA_BOOL:
		each = 1;
		break;
	case VFIO_IRQ_SET_DATA_EVENTFD:
		each = 4;
		break;
	default:
		return -EINVAL;
	}
	if (set->argsz - 20 < count * each || !has_size)
		return -EINVAL;
	*size = count * each;
	return 0;
}

static uint32_t digit(uint32_t *number, uint32_t base)
{
	uint32_t digit = *number % base;

	*number /= base;
	return digit;
}

/*
 * semantics: 49.  All combinations of values at the limits: accepted or not, and how
 * far a refusal got.  Actions do not exclude each other.
 */
TEST_F(driver_calls, interrupts)
{
	static const uint32_t argszs[] = { 0, 19, 20, 21, 24, 36, UINT32_MAX };
	static const uint32_t flags[] = {
		0x00, 0x01, 0x02, 0x04, 0x03, 0x07, 0x21, 0x3a, 0x3c, 0x40, 0x80000001,
	};
	static const uint32_t values[] = { 0, 1, 4, 5, UINT32_MAX - 5, UINT32_MAX - 1, UINT32_MAX };
	static const int interrupts[] = { 0, 1, 4, 5, INT32_MAX };
	int accepted = 0, refused = 0;
	uint32_t rest = 0;

	/* Counted through as the digits of a number are. */
	for (uint32_t i = 0; !rest; i++) {
		struct vfio_irq_set set;
		uint64_t size, want_size;
		int have, want, ret;

		rest = i;
		size = digit(&rest, 2) ? ~0ULL : UNTOUCHED;
		set.index = 3 * digit(&rest, 2);
		have = interrupts[digit(&rest, ARRAY_SIZE(interrupts))];
		set.count = values[digit(&rest, ARRAY_SIZE(values))];
		set.start = values[digit(&rest, ARRAY_SIZE(values))];
		set.flags = flags[digit(&rest, ARRAY_SIZE(flags))];
		set.argsz = argszs[digit(&rest, ARRAY_SIZE(argszs))];
		want_size = size;
		want = expected_irqs(&set, have, 3, &want_size);
		ret = irqs(self->calls, &set, have, 3, &size);
		if (ret != want || size != want_size) {
			TH_LOG("argsz %u flags %#x index %d start %u count %u of %d", set.argsz,
			       set.flags, set.index, set.start, set.count, have);
			ASSERT_EQ(want, ret);
			ASSERT_EQ(want_size, size);
		}
		accepted += !ret;
		refused += !!ret;
	}
	EXPECT_GT(accepted, 100);
	EXPECT_GT(refused, 10000);
}

/* ---- files ---- */

static int file(int calls, int device, int fd)
{
	return calls_one(calls, CALLS_FILE, device, fd);
}

/* The IOMMU ignores what PCI says of caches, on demand: bit 7 of Intel's capabilities. */
static bool iommu_enforces(void)
{
	char text[32];

	/* AMD's does always, VT-d if it has snoop control. */
	if (!access("/sys/class/iommu/ivhd0", F_OK))
		return true;
	return sysfs_read("/sys/class/iommu/dmar0/intel-iommu/ecap", text, sizeof(text)) > 0 &&
	       strtoull(text, NULL, 16) & 1 << 7;
}

/* semantics: 43, 44, 45, 53, 54, 55.  What KVM and vfio-pci ask about a file. */
TEST_F(driver_calls, files)
{
	int event = eventfd(0, EFD_CLOEXEC), null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fd[2], group[2], calls = self->calls;
	char path[64];

	if (!has_groups())
		SKIP(return, NO_GROUPS);
	EXPECT_EQ(CALLS_IS_COHERENT, file(calls, 0, event));
	EXPECT_EQ(CALLS_IS_COHERENT, file(calls, 0, null));
	EXPECT_EQ(CALLS_IS_COHERENT, file(calls, 0, self->space));
	EXPECT_EQ(CALLS_IS_COHERENT, file(calls, 0, calls));
	/* An emulated device has no IOMMU that would enforce anything. */
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, calls_emulated(calls, i, i));
		fd[i] = has_iommufd() ? calls_cdev(i) : -1;
		ASSERT_EQ(has_iommufd(), fd[i] >= 0);
	}
	for (int i = 0; i < 2; i++) {
		for (int j = 0; has_iommufd() && j < 2; j++)
			EXPECT_EQ(CALLS_IS_VALID, file(calls, i, fd[j]));
		snprintf(path, sizeof(path), "/dev/vfio/%d", calls_group(i));
		group[i] = open(path, O_RDWR | O_CLOEXEC);
		ASSERT_GE(group[i], 0);
	}
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(CALLS_IS_VALID | CALLS_IS_GROUP | CALLS_HAS_DEV, file(calls, i, group[i]));
		EXPECT_EQ(CALLS_IS_VALID | CALLS_IS_GROUP, file(calls, !i, group[i]));
		close(group[i]);
		if (has_iommufd()) {
			ASSERT_EQ(0, cdev_bind(fd[i], self->space, NULL));
		} else {
			fd[i] = calls_device(i, self->space);
			ASSERT_GE(fd[i], 0);
		}
		EXPECT_EQ(CALLS_IS_VALID, file(calls, i, fd[i]));
		close(fd[i]);
	}
	close(event);
	close(null);
}

/* Puts an edu of a group of two on vfio-calls, and its sibling on vfio-pci. */
static int take_pair(struct pci *pci, struct pci *sibling)
{
	int ret;

	if (pci_find_pair(EDU, pci, sibling))
		return -ENODEV;
	ret = pci_to_vfio(sibling);
	return ret ? ret : pci_to_driver(pci, CALLS_DRIVER);
}

/* semantics: 44, 55.  ... and of a group of two physical devices. */
TEST_F(driver_calls, files_of_physical_devices)
{
	const int coherent = iommu_enforces() ? CALLS_IS_COHERENT : 0;
	int fd, group, calls = self->calls;
	struct pci sibling;

	if (take_pair(&self->pci, &sibling))
		SKIP(return, "no two edu devices in one group");
	ASSERT_EQ(0, calls_physical(calls, 0, CALLS_PCI));
	ASSERT_EQ(0, calls_emulated(calls, 1, 0));
	group = group_open(&self->pci);
	ASSERT_GE(group, 0);
	if (!has_iommufd())
		ASSERT_EQ(0, space_set(group, self->space));
	fd = BY_SPACE(cdev_open(&self->pci), group_device(group, self->pci.bdf));
	ASSERT_GE(fd, 0);
	EXPECT_EQ(CALLS_IS_VALID | coherent, file(calls, 0, fd));
	EXPECT_EQ(CALLS_IS_VALID | CALLS_IS_GROUP | CALLS_HAS_DEV | coherent,
		  file(calls, 0, group));
	EXPECT_EQ(CALLS_IS_VALID | CALLS_IS_GROUP | coherent, file(calls, 1, group));
	/* The group of the other is there still; this one is not in it any more. */
	close(fd);
	EXPECT_EQ(0, calls_one(calls, CALLS_UNREGISTER, 0, 0));
	EXPECT_EQ(CALLS_IS_VALID | CALLS_IS_GROUP | coherent, file(calls, 1, group));
	close(group);
}

/* ---- registration and iommufd ---- */

/* semantics: 80, 190.  A device is registered once. */
TEST_F(driver_calls, registered_twice)
{
	struct pci sibling;
	char path[64];
	int fd;

	if (take_pair(&self->pci, &sibling))
		SKIP(return, "no two edu devices in one group");
	ASSERT_EQ(0, calls_physical(self->calls, 0, CALLS_PCI));
	kmsg_expect_warning(true, NULL);
	ASSERT_EQ(0, calls_cmd(self->calls, CALLS_ALLOC, 1, CALLS_PHYSICAL, CALLS_PCI, 0));
	EXPECT_EQ(-EINVAL, calls_one(self->calls, CALLS_REGISTER, 1, 0));
	EXPECT_TRUE(kmsg_warned(self->log));
	kmsg_expect_warning(false, NULL);
	/* The first is none the worse for it. */
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", self->pci.bdf);
	fd = space_device(self->space, path, self->pci.bdf);
	EXPECT_GE(fd, 0);
	close(fd);
	EXPECT_EQ(0, calls_one(self->calls, CALLS_PUT, 0, 0));
	EXPECT_EQ(0, calls_one(self->calls, CALLS_REGISTER, 1, 0));
}

/* What there is to see of a device: its fields, its class device, its node, its group. */
struct state {
	struct calls_seen seen;
	dev_t node;
	bool in_class;
	int group;
};

static struct state state_of(int calls, const char *parent)
{
	struct state s = {
		.seen = calls_seen(calls, 0, CALLS_NOW),
		.group = sysfs_group(parent),
	};
	struct stat node;
	char path[128];

	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", s.seen.name);
	if (!stat(path, &node))
		s.node = node.st_rdev;
	snprintf(path, sizeof(path), "/sys/class/vfio-dev/%s/device", s.seen.name);
	s.in_class = !access(path, F_OK);
	return s;
}

static void same_state(struct __test_metadata *_metadata, const struct state *was,
		       const struct state *is)
{
	EXPECT_EQ(was->seen.what, is->seen.what);
	EXPECT_EQ(was->seen.fields, is->seen.fields);
	EXPECT_EQ(was->seen.index, is->seen.index);
	EXPECT_EQ(was->seen.minor, is->seen.minor);
	EXPECT_EQ(was->seen.open_count, is->seen.open_count);
	EXPECT_EQ(was->seen.references, is->seen.references);
	EXPECT_EQ(was->seen.set, is->seen.set);
	EXPECT_EQ(was->seen.set_devices, is->seen.set_devices);
	EXPECT_STREQ(was->seen.name, is->seen.name);
	EXPECT_STREQ(was->seen.debug, is->seen.debug);
	EXPECT_EQ(was->node, is->node);
	EXPECT_EQ(was->group, is->group);
	EXPECT_TRUE(is->in_class);
}

/*
 * Registers a device, and then the same object again and again: by the same function, by the other,
 * and by the other with devices without an IOMMU allowed; while it is closed, and while it is open.
 * All of that is refused, and changes nothing.  -EEXIST is what sysfs says.
 */
static void registered_again(struct __test_metadata *_metadata, int calls, int space,
			     uint32_t flags, int parent, const char *path, const char *name)
{
	const bool physical = flags & CALLS_PHYSICAL;
	/* Without groups it gets as far as ours lets it. */
	const int emulated = has_groups() ? -EEXIST : -EINVAL;
	const int results[2] = {
		physical ? -EINVAL : emulated,
		physical ? emulated : -EINVAL,
	};

	ASSERT_EQ(0, calls_cmd(calls, CALLS_ALLOC, 0, flags, parent, 0));
	for (int round = 0; round < 2; round++) {
		int fd = -1;

		ASSERT_EQ(0, calls_one(calls, CALLS_REGISTER, 0, 0));
		for (int k = 0; k < 6; k++) {
			const bool other = k % 3;
			struct state was, is;

			/*
			 * The core in C refuses the third call too, but by then an emulated device has
			 * the name and the flag of one without an IOMMU.
			 */
			if (k % 3 == 2 && (!core_is_rust() || !set_noiommu("Y")))
				continue;
			if (k == 3) {
				fd = space_device(space, path, name);
				ASSERT_GE(fd, 0);
			}
			was = state_of(calls, path);
			EXPECT_EQ(results[other], calls_cmd(calls, CALLS_REGISTER, 0,
							    other ? CALLS_OTHER_KIND : 0, 0, 0)) {
				TH_LOG("%s, %d", name, k);
			}
			is = state_of(calls, path);
			same_state(_metadata, &was, &is);
			set_noiommu("N");
		}
		close(fd);
		/* It can be opened, and go, and come again. */
		fd = space_device(space, path, name);
		EXPECT_GE(fd, 0);
		close(fd);
		EXPECT_EQ(0, calls_one(calls, CALLS_UNREGISTER, 0, 0));
		EXPECT_LT(space_device(space, path, name), 0);
		if (!physical)
			EXPECT_EQ(-ENOENT, sysfs_group(path));
		EXPECT_EQ(0, calls_one(calls, CALLS_GET_REGISTRATION, 0, 0));
	}
	EXPECT_EQ(0, calls_one(calls, CALLS_PUT, 0, 0));
}

/* semantics: 39, 80, 190; defect: B14.  The same object again: its registration goes on as it was. */
TEST_F(driver_calls, same_object_twice)
{
	struct pci sibling;
	char path[64];

	if (!has_groups() && !core_is_rust())
		SKIP(return, "without groups the core in C adds a class device twice");
	if (take_pair(&self->pci, &sibling))
		SKIP(return, "no two edu devices in one group");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", self->pci.bdf);
	kmsg_expect_warning(true, NULL);
	registered_again(_metadata, self->calls, self->space, CALLS_PHYSICAL, CALLS_PCI, path,
			 self->pci.bdf);
	registered_again(_metadata, self->calls, self->space, 0, 0,
			 "/sys/devices/platform/vfio-calls.0", "vfio-calls.0");
	kmsg_expect_warning(false, NULL);
}

#define C_CRASHES "the core in C would crash, or lose something"

static int dev_id(int calls, int device, int iommufd, int *ictx)
{
	struct calls_args args = { .device = device, .a = iommufd };
	int ret = calls_do(calls, CALLS_DEV_ID, &args);

	*ictx = args.b;
	return ret;
}

/* semantics: 61, 62.  Whose is the device, and by which number? */
TEST_F(driver_calls, device_ids)
{
	int calls = self->calls, other, fd, sibling_fd, ictx;
	struct pci sibling;
	uint32_t devid;

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	if (take_pair(&self->pci, &sibling))
		SKIP(return, "no two edu devices in one group");
	other = iommufd_open();
	ASSERT_GE(other, 0);
	ASSERT_EQ(0, calls_physical(calls, 0, CALLS_PCI));
	EXPECT_EQ(-ENODEV, dev_id(calls, 0, self->space, &ictx));
	EXPECT_EQ(CALLS_NO_ICTX, ictx);

	/* The sibling's owner owns the group, and has no number for this one. */
	sibling_fd = cdev_open(&sibling);
	ASSERT_GE(sibling_fd, 0);
	ASSERT_EQ(0, cdev_bind(sibling_fd, self->space, NULL));
	EXPECT_EQ(-ENOENT, dev_id(calls, 0, self->space, &ictx));
	EXPECT_EQ(CALLS_NO_ICTX, ictx);
	EXPECT_EQ(-ENODEV, dev_id(calls, 0, other, &ictx));

	fd = cdev_open(&self->pci);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, cdev_bind(fd, self->space, &devid));
	EXPECT_EQ(devid, dev_id(calls, 0, self->space, &ictx));
	EXPECT_EQ(CALLS_THIS_ICTX, ictx);
	EXPECT_EQ(-ENODEV, dev_id(calls, 0, other, &ictx));
	EXPECT_EQ(CALLS_OTHER_ICTX, ictx);
	close(sibling_fd);
	EXPECT_EQ(devid, dev_id(calls, 0, self->space, &ictx));
	close(fd);
	EXPECT_EQ(-ENODEV, dev_id(calls, 0, self->space, &ictx));
	EXPECT_EQ(CALLS_NO_ICTX, ictx);

	/* An emulated device is an access, which is nobody's device. */
	ASSERT_EQ(0, calls_emulated(calls, 1, 0));
	fd = calls_cdev(0);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, cdev_bind(fd, self->space, NULL));
	EXPECT_EQ(-ENODEV, dev_id(calls, 1, self->space, &ictx));
	EXPECT_EQ(CALLS_NO_ICTX, ictx);
	close(fd);
	/* One without a group at all. */
	ASSERT_EQ(0, calls_cmd(calls, CALLS_ALLOC, 2, CALLS_PHYSICAL, 1, 0));
	ASSERT_EQ(0, calls_one(calls, CALLS_ASSIGN_SET, 2, 1));
	EXPECT_EQ(-ENODEV, dev_id(calls, 2, self->space, &ictx));
	close(other);
}

static int op(int calls, int device, int which, uint64_t pt, uint64_t pasid)
{
	struct calls_args args = { .device = device, .a = which, .b = pt, .c = pasid };

	return calls_do(calls, CALLS_OP, &args);
}

/* The id that the device gets when it is bound, or -errno. */
static int op_bind(int calls, int device, int which, int iommufd)
{
	struct calls_args args = { .device = device, .a = which, .c = iommufd };
	int ret = calls_do(calls, CALLS_OP, &args);

	return ret ? ret : (int)args.b;
}

/* A second bind takes the place of the first, whose object and page table are gone from the device. */
TEST_F(driver_calls, bound_twice)
{
	static const struct {
		uint32_t flags;
		int parent, bind;
	} kinds[] = {
		{ CALLS_PHYSICAL, CALLS_PCI, CALLS_OP_BIND },
		{ 0, 0, CALLS_OP_EMULATED_BIND },
	};
	const uint32_t both = CALLS_IDEV | CALLS_ACCESS;
	int calls = self->calls;
	struct pci sibling;

	if (!core_is_rust())
		SKIP(return, C_CRASHES);
	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	if (take_pair(&self->pci, &sibling))
		SKIP(return, "no two edu devices in one group");
	for (int i = 0; i < 2; i++) {
		const uint32_t field = i ? CALLS_ACCESS : CALLS_IDEV;
		uint32_t first, ioas, page_table;
		int fd, second;

		ASSERT_EQ(0, calls_cmd(calls, CALLS_ALLOC, i, kinds[i].flags, kinds[i].parent, 0));
		ASSERT_EQ(0, calls_one(calls, CALLS_REGISTER, i, 0));
		fd = i ? calls_cdev(0) : cdev_open(&self->pci);
		ASSERT_GE(fd, 0);
		ASSERT_EQ(0, cdev_bind(fd, self->space, &first));
		EXPECT_EQ(-EBUSY, iommufd_destroy(self->space, first));
		ASSERT_EQ(0, ioas_alloc(self->space, &ioas));
		page_table = ioas;
		ASSERT_EQ(0, cdev_attach(fd, &page_table));
		EXPECT_EQ(-EBUSY, iommufd_destroy(self->space, ioas));
		second = op_bind(calls, i, kinds[i].bind, self->space);
		ASSERT_GT(second, 0);
		EXPECT_NE((int)first, second);
		EXPECT_EQ(-ENOENT, iommufd_destroy(self->space, first));
		EXPECT_EQ(-EBUSY, iommufd_destroy(self->space, second));
		EXPECT_EQ(field, calls_seen(calls, i, CALLS_NOW).fields & both);
		page_table = ioas;
		EXPECT_EQ(0, cdev_attach(fd, &page_table));
		EXPECT_EQ(0, cdev_detach(fd));
		EXPECT_EQ(0, iommufd_destroy(self->space, ioas));
		close(fd);
		EXPECT_EQ(-ENOENT, iommufd_destroy(self->space, second));
		EXPECT_EQ(0, calls_seen(calls, i, CALLS_NOW).fields & both);
	}
	EXPECT_FALSE(kmsg_warned(self->log));
}

/* What is not registered, or not bound, is left alone. */
TEST_F(driver_calls, nothing_to_undo)
{
	int calls = self->calls;

	if (!core_is_rust())
		SKIP(return, C_CRASHES);
	ASSERT_EQ(0, calls_one(calls, CALLS_ALLOC, 0, 0));
	for (int i = 0; i < 2; i++) {
		for (int k = 0; k < 2; k++)
			EXPECT_EQ(0, calls_cmd(calls, CALLS_UNREGISTER, 0, CALLS_ANYWAY, 0, 0));
		EXPECT_EQ(0, calls_one(calls, CALLS_GET_REGISTRATION, 0, 0));
		ASSERT_EQ(0, calls_one(calls, CALLS_REGISTER, 0, 0));
		EXPECT_EQ(0, calls_one(calls, CALLS_UNREGISTER, 0, 0));
	}
	EXPECT_EQ(0, kmsg_count(self->log, "WARNING: "));
	if (has_iommufd()) {
		ASSERT_EQ(0, calls_one(calls, CALLS_REGISTER, 0, 0));
		kmsg_expect_warning(true, NULL);
		for (int k = 0; k < 2; k++)
			EXPECT_EQ(0, op(calls, 0, CALLS_OP_UNBIND, 0, 0));
		/* The device is not bound, so a PASID that is recorded all the same has no page table. */
		EXPECT_EQ(0, op(calls, 0, CALLS_OP_UNBIND_STRAY_PASID, 0, 7));
		EXPECT_EQ(3, kmsg_count(self->log, "WARNING: "));
		kmsg_expect_warning(false, NULL);
	}
}

/* A driver that says that its device migrates and logs, and has none of the callbacks. */
TEST_F(driver_calls, operations_without_callbacks)
{
	struct vfio_device_feature_dma_logging_range range = { 0, 4096 };
	static uint64_t bitmap[512];
	union {
		struct vfio_device_feature head;
		struct {
			struct vfio_device_feature head;
			struct vfio_device_feature_mig_state data;
		} state;
		struct {
			struct vfio_device_feature head;
			struct vfio_device_feature_mig_data_size data;
		} size;
		struct {
			struct vfio_device_feature head;
			struct vfio_device_feature_dma_logging_control data;
		} control;
		struct {
			struct vfio_device_feature head;
			struct vfio_device_feature_dma_logging_report data;
		} report;
	} arg = { 0 };
	int fd;

	if (!core_is_rust())
		SKIP(return, C_CRASHES);
	ASSERT_EQ(0, calls_cmd(self->calls, CALLS_ALLOC, 0, CALLS_EMPTY_OPS, 0, 0));
	ASSERT_EQ(0, calls_one(self->calls, CALLS_REGISTER, 0, 0));
	fd = calls_device(0, self->space);
	ASSERT_GE(fd, 0);
	for (int i = 0; i < 2; i++) {
		arg.state.data.device_state = VFIO_DEVICE_STATE_STOP;
		EXPECT_EQ(-ENOTTY, device_feature(fd, (i ? GET : SET) |
						  VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
						  sizeof(arg.state.data), &arg));
	}
	EXPECT_EQ(-ENOTTY, device_feature(fd, GET | VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
					  sizeof(arg.size.data), &arg));
	arg.control.data = (struct vfio_device_feature_dma_logging_control){
		.page_size = 4096, .num_ranges = 1, .ranges = (uintptr_t)&range,
	};
	EXPECT_EQ(-ENOTTY, device_feature(fd, SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
					  sizeof(arg.control.data), &arg));
	EXPECT_EQ(-ENOTTY, device_feature(fd, SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, 0, &arg));
	arg.report.data = (struct vfio_device_feature_dma_logging_report){
		.length = 4096, .page_size = 4096, .bitmap = (uintptr_t)bitmap,
	};
	/* Without bitmaps the driver is not asked. */
	EXPECT_EQ(has_iova_bitmaps() ? -ENOTTY : -EOPNOTSUPP,
		  device_feature(fd, GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
				 sizeof(arg.report.data), &arg));
	close(fd);
	EXPECT_FALSE(kmsg_warned(self->log));
}

/* semantics: 65-68.  A physical device that is not bound has nothing to attach to. */
TEST_F(driver_calls, physical_operations_unbound)
{
	int calls = self->calls, fd;
	struct pci sibling;
	uint32_t ioas;

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	if (take_pair(&self->pci, &sibling))
		SKIP(return, "no two edu devices in one group");
	ASSERT_EQ(0, ioas_alloc(self->space, &ioas));
	ASSERT_EQ(0, calls_physical(calls, 0, CALLS_PCI));
	kmsg_expect_warning(true, NULL);
	EXPECT_EQ(-EINVAL, op(calls, 0, CALLS_OP_ATTACH, ioas, 0));
	EXPECT_TRUE(kmsg_warned(self->log));
	EXPECT_EQ(0, op(calls, 0, CALLS_OP_DETACH, 0, 0));
	EXPECT_TRUE(kmsg_warned(self->log));
	EXPECT_EQ(-EINVAL, op(calls, 0, CALLS_OP_ATTACH_PASID, ioas, 5));
	EXPECT_TRUE(kmsg_warned(self->log));
	EXPECT_EQ(0, op(calls, 0, CALLS_OP_DETACH_PASID, 0, 5));
	EXPECT_TRUE(kmsg_warned(self->log));
	kmsg_expect_warning(false, NULL);

	/* Bound and not attached, detaching is nothing to speak of. */
	fd = cdev_open(&self->pci);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, cdev_bind(fd, self->space, NULL));
	EXPECT_EQ(0, op(calls, 0, CALLS_OP_DETACH, 0, 0));
	EXPECT_EQ(0, op(calls, 0, CALLS_OP_DETACH_PASID, 0, 5));
	EXPECT_EQ(0, op(calls, 0, CALLS_OP_ATTACH, ioas, 0));
	EXPECT_FALSE(kmsg_warned(self->log));
	close(fd);
}

/* semantics: 70, 72.  The same of an emulated one, of which unbinding is no mistake. */
TEST_F(driver_calls, emulated_operations_unbound)
{
	int calls = self->calls, fd;

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	ASSERT_EQ(0, calls_emulated(calls, 0, 0));
	EXPECT_EQ(0, op(calls, 0, CALLS_OP_EMULATED_UNBIND, 0, 0));
	EXPECT_FALSE(kmsg_warned(self->log));
	kmsg_expect_warning(true, NULL);
	EXPECT_EQ(0, op(calls, 0, CALLS_OP_EMULATED_DETACH, 0, 0));
	EXPECT_TRUE(kmsg_warned(self->log));
	kmsg_expect_warning(false, NULL);
	fd = calls_cdev(0);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, cdev_bind(fd, self->space, NULL));
	EXPECT_EQ(0, op(calls, 0, CALLS_OP_EMULATED_DETACH, 0, 0));
	EXPECT_FALSE(kmsg_warned(self->log));
	close(fd);
}

/* ---- power ---- */

#define NO_IOCTL _IO('x', 1)

/* The first device, open; by its own node it lets in nobody before it is bound. */
static int open_first(int space)
{
	int fd = has_iommufd() ? calls_cdev(0) : calls_device(0, space);

	if (fd < 0 || !has_iommufd())
		return fd;
	return xioctl(fd, NO_IOCTL, NULL) == -EINVAL ? cdev_bind(fd, space, NULL) ?: fd : -EPROTO;
}

/* Gives the parents' driver power management or not, and an errno for resuming. */
static int power(int calls, bool managed, int err)
{
	return calls_cmd(calls, CALLS_PM, 0, managed, err, 0);
}

/* semantics: 119, 122, 203.  Power for an ioctl, as long as it lasts, and for no other call. */
TEST_F(driver_calls, power)
{
	struct calls_seen seen;
	int fd, calls = self->calls;
	char byte;

	ASSERT_EQ(0, power(calls, true, 0));
	ASSERT_EQ(0, calls_emulated(calls, 0, 0));
	fd = open_first(self->space);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(0, read(fd, &byte, 1));
	seen = calls_seen(calls, 0, CALLS_NOW);
	EXPECT_EQ(0, seen.pm_resumes);
	EXPECT_EQ(0, seen.pm_usage);

	EXPECT_EQ(-ENOTTY, xioctl(fd, NO_IOCTL, NULL));
	seen = calls_seen(calls, 0, CALLS_IN_IOCTL);
	EXPECT_EQ(1, seen.pm_resumes);
	EXPECT_EQ(1, seen.pm_usage);
	EXPECT_EQ(0, calls_seen(calls, 0, CALLS_NOW).pm_usage);
	/* Given back whatever comes of the call. */
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_FEATURE, NULL));
	EXPECT_EQ(-EINVAL, xioctl(fd, VFIO_DEVICE_GET_REGION_INFO, NULL));
	if (has_iommufd()) {
		EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, NULL));
		EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, NULL));
		EXPECT_EQ(0, cdev_detach(fd));
	}
	EXPECT_EQ(0, calls_seen(calls, 0, CALLS_NOW).pm_usage);
	close(fd);
}

/* semantics: 119, 189, 203.  A device that does not wake up. */
TEST_F(driver_calls, power_fails)
{
	static const unsigned long cmds[] = {
		NO_IOCTL, VFIO_DEVICE_FEATURE, VFIO_DEVICE_GET_REGION_INFO,
		VFIO_DEVICE_ATTACH_IOMMUFD_PT, VFIO_DEVICE_DETACH_IOMMUFD_PT,
	};
	int fd, calls = self->calls;
	char byte, line[128];

	ASSERT_EQ(0, calls_emulated(calls, 0, 0));
	ASSERT_EQ(0, power(calls, true, EUCLEAN));
	/* Not needed before, nor to bind or to open. */
	fd = open_first(self->space);
	ASSERT_GE(fd, 0);
	EXPECT_FALSE(kmsg_wait(self->log, "resume", 0, NULL, 0));
	EXPECT_EQ(-EIO, xioctl(fd, NO_IOCTL, NULL));
	EXPECT_TRUE(kmsg_wait(self->log, "vfio: ", 0, line, sizeof(line)));
	EXPECT_STREQ("vfio-calls vfio-calls.0: vfio: runtime resume failed -117", line);
	for (size_t i = 0; i < ARRAY_SIZE(cmds); i++) {
		ASSERT_EQ(0, power(calls, true, EUCLEAN));
		EXPECT_EQ(-EIO, xioctl(fd, cmds[i], NULL));
		EXPECT_EQ(0, calls_seen(calls, 0, CALLS_NOW).pm_usage);
	}
	EXPECT_EQ(0, calls_seen(calls, 0, CALLS_IN_IOCTL).what);
	EXPECT_EQ(0, read(fd, &byte, 1));
	/* It wakes up after all. */
	ASSERT_EQ(0, power(calls, true, 0));
	EXPECT_EQ(-ENOTTY, xioctl(fd, NO_IOCTL, NULL));
	EXPECT_EQ(0, calls_seen(calls, 0, CALLS_NOW).pm_usage);
	close(fd);
}

/* semantics: 119.  A driver without power management is not bothered with it. */
TEST_F(driver_calls, no_power_management)
{
	struct calls_seen seen;
	int fd, calls = self->calls;

	ASSERT_EQ(0, calls_emulated(calls, 0, 0));
	fd = open_first(self->space);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, power(calls, false, EUCLEAN));
	EXPECT_EQ(-ENOTTY, xioctl(fd, NO_IOCTL, NULL));
	seen = calls_seen(calls, 0, CALLS_IN_IOCTL);
	EXPECT_EQ(0, seen.pm_usage);
	EXPECT_EQ(0, seen.pm_resumes);
	EXPECT_FALSE(kmsg_wait(self->log, "resume", 0, NULL, 0));
	close(fd);
}

TEST_HARNESS_MAIN
