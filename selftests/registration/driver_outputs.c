// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the functions that drivers call leave in their output parameters when they fail, and
 * how often they warn.  The drivers are drivers/vfio_calls_main.c, testdrv/ and
 * drivers/vfio_testiommu.c.
 *
 * The core exports 41 functions.  The table below has the 23 that have an output parameter or a
 * warning.  The others have neither:
 *
 *   the answer is the result alone:
 *	vfio_file_iommu_group, vfio_file_is_group, vfio_file_has_dev, vfio_file_is_valid,
 *	vfio_file_enforced_coherent, vfio_iommufd_device_ictx, vfio_iommufd_get_dev_id,
 *	vfio_device_set_open_count, vfio_find_device_in_devset, vfio_device_try_get_registration
 *   there is no result, and no argument is wrong that the core could see:
 *	vfio_file_set_kvm, vfio_device_put_registration, vfio_unregister_iommu_driver,
 *	vfio_iommufd_emulated_unbind, vfio_virqfd_disable, vfio_virqfd_flush_thread
 *   the core in C crashes where ours returns or warns (driver_calls: nothing_to_undo):
 *	vfio_unregister_group_dev, vfio_iommufd_physical_unbind
 *
 * A removal that waits logs a message, which is no warning (unregister: holders_are_named).
 */
#include <sys/eventfd.h>

#include "lib/calls.h"
#include "lib/cdev.h"
#include "lib/emulated.h"
#include "lib/fault.h"
#include "lib/iommufd.h"
#include "lib/kmsg.h"
#include "lib/pages.h"
#include "lib/space.h"
#include "lib/sysfs.h"
#include "lib/test.h"
#include "lib/testdrv.h"

#define FUNCTIONS 23
#define PAGE 4096u

/* What an output parameter holds before the call.  No object of an iommufd has this number. */
#define UNTOUCHED 0x5a5a5a5au
/* The same of a state of migration, which testdrv sets. */
#define NO_STATE VFIO_DEVICE_STATE_NR
#define BYTE 0xa5

/* The devices of vfio_calls: a bound PCI device, a bound and an unbound emulated one, ... */
enum { BOUND, EMULATED, UNBOUND, IDLE, LACKING, LACKING_EMULATED, FREE };
/* ... those of testdrv. */
enum { OPEN, CLOSED, NO_UNMAP };

/* A page, the last that is mapped, and the last page of which the user lets devices only read. */
#define LAST (EMULATED_IOVA + (EMULATED_PAGES - 1) * PAGE)
#define READABLE (EMULATED_IOVA / 2)

#define DUPLICATE "cannot create duplicate filename"

/* What a call needs.  Without groups the core in C does not notice that a device is registered. */
#define IOMMUFD		(1 << 0)
#define PHYSICAL	(1 << 1)
#define FAULTS		(1 << 2)
#define CONTAINERS	(1 << 3)
#define GROUPS		(1 << 4)

typedef FIXTURE_DATA(driver_outputs) drivers_t;

struct row {
	const char *function, *what;
	/* Returns what the function returned, and in @left what is in the output parameter. */
	int (*call)(const drivers_t *d, const struct row *row, uint64_t *left);
	uint32_t needs;
	int device;
	uint32_t flags;
	uint64_t a, b;
	int result;
	uint64_t left;
	/* Of two calls. */
	int warnings;
	/* The warning comes once a boot, with the first call, which is not counted. */
	bool once;
	/* On the core in C the call would crash, or corrupt a list. */
	bool rust;
	/* What a warning says. */
	const char *text;
};

FIXTURE(driver_outputs) {
	int calls, space, log;
	int drv, other, fault, event;
	bool physical, iommufd;
	struct pci pci;
	uint32_t ioas;
};

/* ---- how each function is called ---- */

static int call_op(const drivers_t *d, const struct row *row, uint64_t *left)
{
	struct calls_args args = {
		.device = row->device, .a = row->a, .b = UNTOUCHED, .c = row->b,
	};
	int ret = calls_do(d->calls, CALLS_OP, &args);

	*left = args.b;
	return ret;
}

/* By an iommufd that does not own the device's group. */
static int call_bind(const drivers_t *d, const struct row *row, uint64_t *left)
{
	struct row with = *row;

	with.b = d->other;
	return call_op(d, &with, left);
}

static int call_bind_without_memory(const drivers_t *d, const struct row *row, uint64_t *left)
{
	struct row with = *row;
	bool hit = true;
	int ret = 0;

	with.b = d->space;
	for (int nth = 1; hit && !ret; nth++) {
		fault_arm(d->fault, nth);
		ret = call_op(d, &with, left);
		hit = fault_disarm(d->fault);
		/* What failed may be a debugging tool's, which does without. */
		if (!ret)
			calls_one(d->calls, CALLS_OP, row->device, CALLS_OP_EMULATED_UNBIND);
	}
	return ret;
}

/* Of a device, how many there are in its set. */
static uint64_t set_devices(const drivers_t *d, int device)
{
	return calls_seen(d->calls, device, CALLS_NOW).set_devices;
}

static int call_assign(const drivers_t *d, const struct row *row, uint64_t *left)
{
	int ret = calls_one(d->calls, CALLS_ASSIGN_SET, row->device, row->a);

	*left = set_devices(d, row->device);
	return ret;
}

static int call_alloc(const drivers_t *d, const struct row *row, uint64_t *left)
{
	int ret = calls_cmd(d->calls, CALLS_ALLOC, row->device, CALLS_SHORT, 0, 0);

	*left = calls_seen(d->calls, row->device, CALLS_IN_INIT).what;
	return ret;
}

static int call_register(const drivers_t *d, const struct row *row, uint64_t *left)
{
	int ret = calls_one(d->calls, CALLS_REGISTER, row->device, 0);

	*left = set_devices(d, row->device);
	return ret;
}

/* From state a to state b, of a device that has flags. */
static int call_next_state(const drivers_t *d, const struct row *row, uint64_t *left)
{
	struct testdrv_args args = {
		.slot = row->device, .flags = row->flags, .a = row->a, .b = row->b,
	};
	int ret = testdrv_do(d->drv, TESTDRV_NEXT_STATE, &args);

	*left = args.c;
	return ret;
}

static int call_combine(const drivers_t *d, const struct row *row, uint64_t *left)
{
	struct testdrv_range ranges[1] = { { 7, 9 } };
	struct testdrv_args args = { .a = row->a, .b = row->b, .ptr = (uintptr_t)ranges };
	int ret = testdrv_do(d->drv, TESTDRV_COMBINE, &args);

	*left = ranges[0].start << 8 | ranges[0].last;
	return ret;
}

static struct calls_args chain_args(const struct row *row, const struct calls_cap *list,
				    void *chain)
{
	return (struct calls_args){
		.flags = row->flags,
		.a = (uintptr_t)chain,
		.b = row->a,
		.c = row->b,
		.ptr = (uintptr_t)list,
	};
}

static const struct calls_cap caps[] = { { 1, 1, 16 }, { 2, 1, 200 } };
static const struct calls_cap caps_without_header[] = { { 1, 1, 16 }, { 2, 1, 0 } };

/* The second capability, without memory for it; is the chain empty? */
static int call_chain_without_memory(const drivers_t *d, const struct row *row, uint64_t *left)
{
	char chain[512];
	bool hit = true;
	int ret = 0;

	for (int nth = 2; hit && ret >= 0; nth++) {
		struct calls_args args = chain_args(row, caps, chain);

		fault_arm(d->fault, nth);
		ret = calls_do(d->calls, CALLS_CAPS, &args);
		hit = fault_disarm(d->fault);
		*left = args.c;
	}
	return ret;
}

static int call_chain_without_header(const drivers_t *d, const struct row *row, uint64_t *left)
{
	char chain[512];
	struct calls_args args = chain_args(row, caps_without_header, chain);
	int ret = calls_do(d->calls, CALLS_CAPS, &args);

	*left = args.c;
	return ret;
}

/* The first link of the chain. */
static int call_shift(const drivers_t *d, const struct row *row, uint64_t *left)
{
	union {
		struct vfio_info_cap_header first;
		char bytes[512];
	} chain = { .first.next = UNTOUCHED };
	struct calls_args args = chain_args(row, caps, &chain);
	int ret = calls_do(d->calls, CALLS_CAPS, &args);

	*left = chain.first.next;
	return ret;
}

/* One interrupt of one index, from a on, with a size of the structure of b. */
static int call_irqs(const drivers_t *d, const struct row *row, uint64_t *left)
{
	struct vfio_irq_set set = {
		.argsz = row->b,
		.flags = VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_TRIGGER,
		.start = row->a,
		.count = 1,
	};
	struct calls_args args = { .a = 1, .b = 1, .c = UNTOUCHED, .ptr = (uintptr_t)&set };
	int ret = calls_do(d->calls, CALLS_IRQS, &args);

	*left = args.c;
	return ret;
}

/* b pages at a: how many were written to the array. */
static int call_pin(const drivers_t *d, const struct row *row, uint64_t *left)
{
	struct testdrv_args args = {
		.slot = row->device, .flags = row->flags, .a = row->a, .b = row->b,
	};
	int ret = testdrv_do(d->drv, TESTDRV_PIN, &args);

	*left = args.c;
	return ret;
}

static int call_unpin(const drivers_t *d, const struct row *row, uint64_t *left)
{
	*left = 0;
	return testdrv_cmd(d->drv, TESTDRV_UNPIN, row->device, 0, row->a, row->b);
}

/* b bytes at a: how many of the first, and no others, were written to the buffer. */
static int call_rw(const drivers_t *d, const struct row *row, uint64_t *left)
{
	static unsigned char data[2 * PAGE];
	uint64_t first = 0, all = 0;
	int ret;

	memset(data, BYTE, sizeof(data));
	ret = testdrv_rw(d->drv, row->device, row->flags, row->a, data, row->b);
	while (first < row->b && data[first] != BYTE)
		first++;
	for (uint64_t i = 0; i < row->b; i++)
		all += data[i] != BYTE;
	*left = first == all ? first : UNTOUCHED;
	return ret;
}

/* An eventfd (a: 1) or no file: is another virqfd in the slot? */
static int call_enable(const drivers_t *d, const struct row *row, uint64_t *left)
{
	struct testdrv_args args = {
		.slot = row->device,
		.flags = TESTDRV_WITH_HANDLER | row->flags,
		.a = row->a ? d->event : -1,
	};
	int ret = testdrv_do(d->drv, TESTDRV_ENABLE, &args);

	*left = args.c;
	return ret;
}

/* A driver of containers with half a pair, or (-1) none. */
static int call_iommu_driver(const drivers_t *d, const struct row *row, uint64_t *left)
{
	char text[8];

	(void)d;
	*left = 0;
	snprintf(text, sizeof(text), "%d", row->device);
	return sysfs_write("/sys/module/vfio_testiommu/parameters/register", text);
}

/* ---- the table ---- */

#define STOP_COPY VFIO_MIGRATION_STOP_COPY

static const struct row rows[] = {
	/* container.c */
	{
		"vfio_register_iommu_driver", "half a pair", call_iommu_driver, CONTAINERS,
		.device = 3, .result = -EINVAL, .warnings = 2,
	},
	{
		"vfio_register_iommu_driver", "NULL", call_iommu_driver, CONTAINERS,
		.device = -1, .result = -EINVAL, .rust = true,
	},
	/* iommufd.c */
	{
		"vfio_iommufd_physical_bind", "another's group", call_bind, PHYSICAL,
		.device = BOUND, .a = CALLS_OP_BIND, .result = -EPERM, .left = UNTOUCHED,
	},
	{
		"vfio_iommufd_physical_attach_ioas", "not bound", call_op, IOMMUFD,
		.device = UNBOUND, .a = CALLS_OP_ATTACH,
		.result = -EINVAL, .left = UNTOUCHED, .warnings = 2,
	},
	{
		"vfio_iommufd_physical_attach_ioas", "no such page table", call_op, PHYSICAL,
		.device = BOUND, .a = CALLS_OP_ATTACH, .result = -ENOENT, .left = UNTOUCHED,
	},
	{
		"vfio_iommufd_physical_detach_ioas", "not bound", call_op, IOMMUFD,
		.device = UNBOUND, .a = CALLS_OP_DETACH, .left = UNTOUCHED, .warnings = 2,
	},
	{
		"vfio_iommufd_physical_pasid_attach_ioas", "not bound", call_op, IOMMUFD,
		.device = UNBOUND, .a = CALLS_OP_ATTACH_PASID, .b = 5,
		.result = -EINVAL, .left = UNTOUCHED, .warnings = 2,
	},
	{
		"vfio_iommufd_physical_pasid_attach_ioas", "no such page table", call_op, PHYSICAL,
		.device = BOUND, .a = CALLS_OP_ATTACH_PASID, .b = 5,
		.result = -ENOENT, .left = UNTOUCHED,
	},
	{
		"vfio_iommufd_physical_pasid_attach_ioas", "no PASID", call_op, PHYSICAL,
		.device = BOUND, .a = CALLS_OP_ATTACH_PASID, .b = 1U << 31,
		.result = -ENOSPC, .left = UNTOUCHED,
	},
	{
		"vfio_iommufd_physical_pasid_detach_ioas", "not bound", call_op, IOMMUFD,
		.device = UNBOUND, .a = CALLS_OP_DETACH_PASID, .b = 5,
		.left = UNTOUCHED, .warnings = 2,
	},
	{
		"vfio_iommufd_emulated_bind", "no memory", call_bind_without_memory,
		IOMMUFD | FAULTS,
		.device = UNBOUND, .a = CALLS_OP_EMULATED_BIND,
		.result = -ENOMEM, .left = UNTOUCHED,
	},
	{
		"vfio_iommufd_emulated_attach_ioas", "no such IOAS", call_op, IOMMUFD,
		.device = EMULATED, .a = CALLS_OP_EMULATED_ATTACH,
		.result = -ENOENT, .left = UNTOUCHED,
	},
	{
		"vfio_iommufd_emulated_attach_ioas", "not bound", call_op, IOMMUFD,
		.device = UNBOUND, .a = CALLS_OP_EMULATED_ATTACH,
		.result = -EINVAL, .left = UNTOUCHED, .rust = true,
	},
	{
		"vfio_iommufd_emulated_detach_ioas", "not bound", call_op, IOMMUFD,
		.device = UNBOUND, .a = CALLS_OP_EMULATED_DETACH, .left = UNTOUCHED, .warnings = 2,
	},
	/* vfio_main.c; of a function without an output parameter, what is left of the device */
	{
		"vfio_assign_device_set", "no key", call_assign,
		.device = IDLE, .result = -EINVAL, .warnings = 2,
	},
	{
		"vfio_assign_device_set", "in a set already", call_assign,
		.device = UNBOUND, .a = 1,
		.result = -EINVAL, .left = 1, .warnings = 2, .rust = true,
	},
	{
		"_vfio_alloc_device", "too small", call_alloc,
		.device = FREE, .result = -EINVAL, .warnings = 2,
	},
	{
		"vfio_register_group_dev", "no callbacks", call_register, IOMMUFD,
		.device = LACKING, .result = -EINVAL, .warnings = 2,
	},
	{
		"vfio_register_group_dev", "registered already", call_register, PHYSICAL | GROUPS,
		.device = BOUND, .result = -EINVAL, .left = 1, .warnings = 2,
	},
	{
		"vfio_register_emulated_iommu_dev", "no callbacks", call_register, IOMMUFD,
		.device = LACKING_EMULATED, .result = -EINVAL, .warnings = 2,
	},
	{
		"vfio_register_emulated_iommu_dev", "registered already", call_register, GROUPS,
		.device = EMULATED, .result = -EEXIST, .left = 1, .warnings = 2, .text = DUPLICATE,
	},
	{
		"vfio_mig_get_next_state", "from no state", call_next_state,
		.device = CLOSED, .flags = STOP_COPY, .a = NO_STATE, .b = VFIO_DEVICE_STATE_STOP,
		.result = -EINVAL, .left = NO_STATE, .warnings = 2,
	},
	{
		"vfio_mig_get_next_state", "from a state that it has not", call_next_state,
		.device = CLOSED, .flags = STOP_COPY,
		.a = VFIO_DEVICE_STATE_PRE_COPY, .b = VFIO_DEVICE_STATE_STOP,
		.result = -EINVAL, .left = NO_STATE, .warnings = 2,
	},
	{
		"vfio_mig_get_next_state", "to a state that it has not", call_next_state,
		.device = CLOSED, .flags = STOP_COPY,
		.a = VFIO_DEVICE_STATE_STOP, .b = VFIO_DEVICE_STATE_PRE_COPY,
		.result = -EINVAL, .left = NO_STATE,
	},
	{
		"vfio_mig_get_next_state", "no way", call_next_state,
		.device = CLOSED, .flags = STOP_COPY | VFIO_MIGRATION_PRE_COPY,
		.a = VFIO_DEVICE_STATE_STOP_COPY, .b = VFIO_DEVICE_STATE_PRE_COPY,
		.result = -EINVAL, .left = VFIO_DEVICE_STATE_ERROR,
	},
	{
		"vfio_combine_iova_ranges", "no ranges", call_combine,
		.a = 0, .b = 1, .left = 7 << 8 | 9, .once = true,
	},
	{
		"vfio_combine_iova_ranges", "none to be left", call_combine,
		.a = 1, .b = 0, .result = 1, .left = 7 << 8 | 9, .once = true,
	},
	{
		"vfio_info_cap_add", "no memory", call_chain_without_memory, FAULTS,
		.a = 2, .result = -ENOMEM, .left = true,
	},
	{
		"vfio_info_cap_add", "no header", call_chain_without_header,
		.a = 2, .result = -EINVAL, .left = false, .rust = true,
	},
	{
		"vfio_info_cap_shift", "not aligned", call_shift,
		.flags = CALLS_CAPS_SHIFT, .a = 2, .b = 36,
		.result = 216, .left = 16 + 36, .warnings = 2,
	},
	{
		"vfio_info_cap_shift", "no chain", call_shift,
		.flags = CALLS_CAPS_SHIFT, .a = 0, .b = 40, .left = UNTOUCHED, .rust = true,
	},
	{
		"vfio_info_add_capability", "no memory", call_chain_without_memory, FAULTS,
		.flags = CALLS_CAPS_BODY, .a = 2, .result = -ENOMEM, .left = true,
	},
	{
		"vfio_set_irqs_validate_and_prepare", "too short", call_irqs,
		.a = 0, .b = 19, .result = -EINVAL, .left = UNTOUCHED,
	},
	{
		"vfio_set_irqs_validate_and_prepare", "no such interrupt", call_irqs,
		.a = 1, .b = 21, .result = -EINVAL, .left = 0,
	},
	{
		"vfio_set_irqs_validate_and_prepare", "no data", call_irqs,
		.a = 0, .b = 20, .result = -EINVAL, .left = 0,
	},
	{
		"vfio_pin_pages", "not open", call_pin,
		.device = CLOSED, .a = EMULATED_IOVA, .b = 1,
		.result = -EINVAL, .warnings = 2, .once = true,
	},
	{
		"vfio_pin_pages", "no pages", call_pin,
		.device = CLOSED, .a = EMULATED_IOVA, .b = 0, .result = -EINVAL,
	},
	{
		"vfio_pin_pages", "no callback", call_pin, IOMMUFD,
		.device = NO_UNMAP, .a = EMULATED_IOVA, .b = 1, .result = -EINVAL,
	},
	{
		"vfio_pin_pages", "nothing is there", call_pin, IOMMUFD,
		.device = OPEN, .a = EMULATED_IOVA - PAGE, .b = 2, .result = -ENOENT,
	},
	/* The core and iommufd leave a page that is not pinned any more. */
	{
		"vfio_pin_pages", "the second is not there", call_pin, IOMMUFD,
		.device = OPEN, .a = LAST, .b = 2, .result = -ENOENT, .left = 1,
	},
	{
		"vfio_pin_pages", "not writeable", call_pin, IOMMUFD,
		.device = OPEN, .flags = TESTDRV_PIN_WRITE, .a = READABLE, .b = 1, .result = -EPERM,
	},
	{
		"vfio_pin_pages", "too many", call_pin, IOMMUFD,
		.device = OPEN, .a = LAST, .b = 513, .result = -E2BIG, .rust = true,
	},
	{
		"vfio_unpin_pages", "not open", call_unpin,
		.device = CLOSED, .a = EMULATED_IOVA, .b = 1, .warnings = 2, .once = true,
	},
	{
		"vfio_unpin_pages", "no callback", call_unpin, IOMMUFD,
		.device = NO_UNMAP, .a = EMULATED_IOVA, .b = 1, .warnings = 2,
	},
	{
		"vfio_unpin_pages", "no pages", call_unpin, IOMMUFD,
		.device = OPEN, .a = EMULATED_IOVA, .b = 0, .warnings = 2,
	},
	{
		"vfio_dma_rw", "not open", call_rw,
		.device = CLOSED, .a = EMULATED_IOVA, .b = 8, .result = -EINVAL, .once = true,
	},
	{
		"vfio_dma_rw", "nothing is there", call_rw, IOMMUFD,
		.device = OPEN, .a = EMULATED_IOVA - PAGE, .b = 8, .result = -ENOENT,
	},
	/* What was there has been read. */
	{
		"vfio_dma_rw", "the second is not there", call_rw, IOMMUFD,
		.device = OPEN, .a = LAST, .b = 2 * PAGE, .result = -ENOENT, .left = PAGE,
	},
	{
		"vfio_dma_rw", "not writeable", call_rw, IOMMUFD,
		.device = OPEN, .flags = TESTDRV_RW_WRITE, .a = READABLE, .b = 8, .result = -EPERM,
	},
	/* virqfd.c */
	{
		"vfio_virqfd_enable", "no file", call_enable, .device = CLOSED, .result = -EBADF,
	},
	{
		"vfio_virqfd_enable", "a slot in use", call_enable,
		.device = OPEN, .a = 1, .result = -EBUSY,
	},
	{
		"vfio_virqfd_enable", "no slot", call_enable,
		.device = CLOSED, .flags = TESTDRV_NO_SLOT, .a = 1, .result = -EINVAL, .rust = true,
	},
};

/* ---- the case ---- */

/* An edu of a group of two on vfio-calls, its sibling on vfio-pci: the first device. */
static bool take_pair(drivers_t *d)
{
	struct pci sibling;

	return d->iommufd && !pci_find_pair(EDU, &d->pci, &sibling) && !pci_to_vfio(&sibling) &&
	       !pci_to_driver(&d->pci, CALLS_DRIVER) && !calls_physical(d->calls, BOUND, CALLS_PCI);
}

FIXTURE_SETUP(driver_outputs)
{
	const uint32_t lacks = CALLS_NO_BIND | CALLS_NO_DETACH;
	int ret = calls_open_all(&self->calls, &self->space, &self->log);
	uint64_t *words;

	self->drv = -1;
	if (self->calls == -ENOENT)
		SKIP(return, NO_CALLS);
	ASSERT_EQ(0, ret);
	self->drv = testdrv_open();
	if (self->drv == -ENOENT)
		SKIP(return, NO_TESTDRV);
	ASSERT_GE(self->drv, 0);
	if (has_containers())
		module_load("vfio_testiommu");
	self->iommufd = has_iommufd();
	self->fault = fault_open();
	self->event = eventfd(0, EFD_CLOEXEC);
	self->physical = take_pair(self);
	ASSERT_EQ(0, calls_emulated(self->calls, EMULATED, 0));
	ASSERT_EQ(0, calls_emulated(self->calls, UNBOUND, 1));
	ASSERT_EQ(0, calls_cmd(self->calls, CALLS_ALLOC, IDLE, 0, 2, 0));
	ASSERT_EQ(0, calls_cmd(self->calls, CALLS_ALLOC, LACKING, lacks | CALLS_PHYSICAL, 3, 0));
	ASSERT_EQ(0, calls_cmd(self->calls, CALLS_ALLOC, LACKING_EMULATED, lacks, 3, 0));
	ASSERT_EQ(0, testdrv_create(self->drv, OPEN, TESTDRV_WITH_UNMAP, 0, 0));
	ASSERT_EQ(0, testdrv_create(self->drv, CLOSED, TESTDRV_WITH_UNMAP, 0, 0));
	ASSERT_EQ(0, testdrv_create(self->drv, NO_UNMAP, 0, 0, 0));
	ASSERT_EQ(0, testdrv_cmd(self->drv, TESTDRV_ENABLE, OPEN, TESTDRV_WITH_HANDLER,
				 self->event, 0));
	if (!self->iommufd)
		return;
	self->other = iommufd_open();
	ASSERT_GE(self->other, 0);
	words = numbered_pages(EMULATED_PAGES);
	ASSERT_EQ(0, ioas_alloc(self->space, &self->ioas));
	ASSERT_EQ(0, ioas_map(self->space, self->ioas, words, EMULATED_PAGES * PAGE,
			      EMULATED_IOVA));
	ASSERT_EQ(0, ioas_map_readable(self->space, self->ioas, words, PAGE, READABLE));
	ASSERT_GE(testdrv_open_attached(OPEN, self->space, self->ioas), 0);
	ASSERT_GE(testdrv_open_attached(NO_UNMAP, self->space, self->ioas), 0);
	ASSERT_EQ(0, cdev_bind(calls_cdev(0), self->space, NULL));
	if (self->physical)
		ASSERT_EQ(0, cdev_bind(cdev_open(&self->pci), self->space, NULL));
}

FIXTURE_TEARDOWN(driver_outputs)
{
	/* All files, and with them the devices of the other driver. */
	EXPECT_EQ(0, testdrv_close(self->drv));
	self->calls = calls_open();
	EXPECT_EQ(0, calls_close(self->calls));
	if (self->pci.bdf[0])
		EXPECT_EQ(0, pci_to_vfio(&self->pci));
	if (module_loaded("vfio_testiommu"))
		EXPECT_EQ(0, module_unload("vfio_testiommu"));
}

/* Can the call be made here? */
static bool possible(const drivers_t *d, const struct row *row)
{
	const uint32_t there = (d->iommufd ? IOMMUFD : 0) | (d->physical ? PHYSICAL : 0) |
			       (d->fault >= 0 ? FAULTS : 0) | (has_groups() ? GROUPS : 0) |
			       (module_loaded("vfio_testiommu") ? CONTAINERS : 0);

	return !(row->needs & ~there) && (core_is_rust() || !row->rust);
}

/* How many functions the table has: the rows of one follow each other. */
static int functions(void)
{
	int n = 1;

	for (size_t i = 1; i < ARRAY_SIZE(rows); i++)
		n += !!strcmp(rows[i].function, rows[i - 1].function);
	return n;
}

/*
 * semantics: 32, 37, 41, 42, 46-52, 56, 58, 63, 65-69, 71, 72, 76, 80, 190.  The result, what
 * is left, and the warnings of two calls.
 */
TEST_F(driver_outputs, failures)
{
	int done = 0;

	EXPECT_EQ(FUNCTIONS, functions());
	kmsg_expect_warning(true, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		const char *text = row->text ?: "WARNING: ";
		uint64_t left;

		if (!possible(self, row))
			continue;
		if (row->once)
			row->call(self, row, &left);
		ASSERT_LE(0, kmsg_count(self->log, text));
		for (int k = 0; k < 2; k++) {
			EXPECT_EQ(row->result, row->call(self, row, &left)) {
				TH_LOG("%s: %s", row->function, row->what);
			}
			EXPECT_EQ(row->left, left) {
				TH_LOG("%s: %s", row->function, row->what);
			}
		}
		EXPECT_EQ(row->warnings, kmsg_count(self->log, text)) {
			TH_LOG("%s: %s", row->function, row->what);
		}
		done++;
	}
	kmsg_expect_warning(false, NULL);
	TH_LOG("%d of %d rows", done, (int)ARRAY_SIZE(rows));
	EXPECT_GE(done, 15);
	/* What failed has left no PASID, and the device its file. */
	if (self->physical)
		EXPECT_EQ(CALLS_IDEV, calls_seen(self->calls, BOUND, CALLS_NOW).fields &
				      (CALLS_IDEV | CALLS_PASIDS | CALLS_ATTACHED));
}

TEST_HARNESS_MAIN
