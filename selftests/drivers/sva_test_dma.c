// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA with a PASID, which no device of QEMU's issues: this is the engine that such a device
 * would have, and the IOMMU that its requests would pass.
 *
 * The engine belongs to a PCI device and does what that is set up for.  Its requests are
 * translated by VT-d's tables in memory, as the VT-d specification lays them out (chapter 9)
 * and as Linux has filled them in: root table, context table, PASID directory, PASID table,
 * page tables.  What Linux remembers of them is not asked.
 *
 * - Nothing is cached: no IOTLB, no device TLB, no paging-structure cache.  Each request walks
 *   all tables.  An invalidation that Linux forgets is therefore not noticed.
 * - An invalidation waits for requests in flight, as hardware drains them: a request is made
 *   with the lock of the invalidation queue held.  A translation that Linux takes away may be
 *   used by requests until the invalidation that follows has returned, and by none after.
 * - All requests are those of a user: a page of the supervisor's is out of reach, whatever
 *   SRE says, and WPE, which is about the supervisor's writes, is without meaning.
 * - A missing page is asked for by a page request (PRI), if the device has these and they are
 *   on.  A device that handles faults by itself has none here: the page stays missing.
 * - Faults are the result of the transfer.  VT-d's fault registers do not have them.
 */
#include <linux/bitfield.h>
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/pci.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "iommu.h"
#include "pasid.h"
#include "sva_test.h"
#include "sva_test_vtd.h"

#define TABLE_BITS	9
#define MAX_LEVELS	5
#define LARGE_LEVEL	2		/* pages of 1 GiB */
#define LARGE		BIT_ULL(7)	/* in both stages' entries */
#define TABLE_MASK	GENMASK_ULL(51, 12)

/* Scalable-mode tables of contexts: 32 bytes an entry, two tables a bus. */
#define SM_CONTEXT_BYTES	32
#define SM_CONTEXTS		128
#define SM_PRESENT		BIT_ULL(0)
#define SM_DEVICE_TLB		BIT_ULL(2)
#define SM_PASIDS		BIT_ULL(3)
#define SM_PAGE_REQUESTS	BIT_ULL(4)

/* How often a page is asked for that nobody answers for at once: a handler in user space. */
#define UNANSWERED	4
#define REQUEST_GROUPS	512
#define RESPONSE_CODE	QI_PGRP_RESP_CODE(0xf)

/* Who makes the requests. */
struct engine {
	struct pci_dev *pdev;
	struct intel_iommu *iommu;
	u32 pasid;
	void *buffer;		/* of one page: what was read and is to be written */
};

/* Page tables, and what their entries mean. */
struct stage {
	u64 root;
	int levels;
	bool first;
	u64 readable, writable;		/* all of these bits, at each level */
	u64 accessed, dirty;
};

/* The entries that a request was translated by. */
struct trail {
	u64 *slot[MAX_LEVELS];
	u64 entry[MAX_LEVELS];
	int count;
	u64 result;		/* physical address */
};

/* ---- from the device to its page tables ---- */

/* The words of an entry in a table at a physical address, or NULL where there can be no table. */
static u64 *slot_of(u64 table, unsigned int index, unsigned int bytes)
{
	u64 address = table + index * bytes;

	return pfn_valid(PHYS_PFN(address)) ? phys_to_virt(address) : NULL;
}

static u64 *context_of(const struct engine *engine)
{
	u64 root = readq(engine->iommu->reg + DMAR_RTADDR_REG);
	u8 devfn = engine->pdev->devfn;
	u64 *words, table;

	/* There are PASIDs in scalable mode alone. */
	if (!(root & DMA_RTADDR_SMT))
		return NULL;
	words = slot_of(root & VTD_PAGE_MASK, engine->pdev->bus->number, sizeof(struct root_entry));
	if (!words)
		return NULL;
	table = READ_ONCE(words[devfn / SM_CONTEXTS]);
	if (!(table & SM_PRESENT))
		return NULL;
	words = slot_of(table & VTD_PAGE_MASK, devfn % SM_CONTEXTS, SM_CONTEXT_BYTES);
	return words && READ_ONCE(words[0]) & SM_PRESENT ? words : NULL;
}

/* The PASID's entry, if there is one and it is present. */
static u64 *entry_of(const struct engine *engine)
{
	u64 *words = context_of(engine), low, table;

	if (!words)
		return NULL;
	low = READ_ONCE(words[0]);
	/* Requests of a device that has a TLB of its own are refused where that is not foreseen. */
	if (!(low & SM_PASIDS) || !(low & SM_DEVICE_TLB))
		return NULL;
	/* Of the directory's size, the entry has log2, less 7. */
	if (engine->pasid >> PASID_PDE_SHIFT >= BIT(FIELD_GET(GENMASK_ULL(11, 9), low) + 7))
		return NULL;
	words = slot_of(low & VTD_PAGE_MASK, engine->pasid >> PASID_PDE_SHIFT,
			sizeof(struct pasid_dir_entry));
	if (!words)
		return NULL;
	table = READ_ONCE(words[0]);
	if (!(table & PASID_PTE_PRESENT))
		return NULL;
	words = slot_of(table & VTD_PAGE_MASK, engine->pasid & PASID_PTE_MASK,
			sizeof(struct pasid_entry));
	return words && READ_ONCE(words[0]) & PASID_PTE_PRESENT ? words : NULL;
}

/* 0, or why there are no page tables: the result of the transfer, or -errno. */
static int stage_of(const struct engine *engine, struct stage *stage)
{
	u64 *words = entry_of(engine);
	u64 low, third;

	if (!words)
		return SVA_TEST_DMA_NO_ENTRY;
	low = READ_ONCE(words[0]);
	third = READ_ONCE(words[2]);
	switch (FIELD_GET(GENMASK_ULL(8, 6), low)) {
	case PASID_ENTRY_PGTT_FL_ONLY:
		*stage = (struct stage){
			.root = third & TABLE_MASK,
			.levels = third & BIT_ULL(2) ? 5 : 4,
			.first = true,
			.readable = BIT_ULL(0) | BIT_ULL(2),	/* present, the user's */
			.writable = BIT_ULL(1),
			.accessed = BIT_ULL(5),
			.dirty = BIT_ULL(6),
		};
		return 0;
	case PASID_ENTRY_PGTT_SL_ONLY:
		*stage = (struct stage){
			.root = low & TABLE_MASK,
			/* AW: 1 is 39 bits of addresses. */
			.levels = FIELD_GET(GENMASK_ULL(4, 2), low) + 2,
			.readable = BIT_ULL(0),
			.writable = BIT_ULL(1),
			/* SSADE */
			.accessed = low & BIT_ULL(9) ? BIT_ULL(8) : 0,
			.dirty = low & BIT_ULL(9) ? BIT_ULL(9) : 0,
		};
		return stage->levels >= 3 && stage->levels <= MAX_LEVELS ? 0 : -EOPNOTSUPP;
	default:
		return -EOPNOTSUPP;
	}
}

/* ---- from an address to a page ---- */

static bool can_be_translated(const struct stage *stage, u64 address)
{
	int bits = PAGE_SHIFT + stage->levels * TABLE_BITS;

	/* The first stage's addresses are canonical, as the processor's. */
	if (stage->first)
		return sign_extend64(address, bits - 1) == address;
	return !(address >> bits);
}

static bool walk(const struct stage *stage, u64 address, bool write, struct trail *trail)
{
	/* The second stage has memory that can only be written. */
	u64 need = !write ? stage->readable :
		   stage->first ? stage->readable | stage->writable : stage->writable;
	u64 table = stage->root;

	trail->count = 0;
	if (!can_be_translated(stage, address))
		return false;
	for (int level = stage->levels - 1; level >= 0; level--) {
		int shift = PAGE_SHIFT + level * TABLE_BITS;
		u64 offset_mask = BIT_ULL(shift) - 1, entry;
		u64 *slot = slot_of(table, address >> shift & (BIT(TABLE_BITS) - 1), sizeof(u64));

		if (!slot)
			return false;
		entry = READ_ONCE(*slot);
		if ((entry & need) != need)
			return false;
		trail->slot[trail->count] = slot;
		trail->entry[trail->count++] = entry;
		table = entry & TABLE_MASK;
		if (!level || (level <= LARGE_LEVEL && entry & LARGE)) {
			trail->result = (table & ~offset_mask) | (address & offset_mask);
			return true;
		}
	}
	return false;
}

/*
 * Accessed in each entry, Dirty in that of the page.  False if one of them has changed since
 * the walk.
 */
static bool mark(const struct stage *stage, const struct trail *trail, bool write)
{
	for (int i = 0; i < trail->count; i++) {
		u64 old = trail->entry[i], new = old | stage->accessed;

		if (write && i == trail->count - 1)
			new |= stage->dirty;
		if (new == old ? READ_ONCE(*trail->slot[i]) != old :
				 !try_cmpxchg64(trail->slot[i], &old, new))
			return false;
	}
	return true;
}

/* Is it a page that can be used?  There are others: registers of devices, the kernel's own. */
static bool is_memory(u64 address)
{
	unsigned long pfn = PHYS_PFN(address);

	return pfn_valid(pfn) && (is_zero_pfn(pfn) || !PageReserved(pfn_to_page(pfn)));
}

/* A reference on the page, as get_user_pages_fast() takes one; NULL if it is being freed. */
static struct folio *hold(u64 address)
{
	struct page *page = pfn_to_page(PHYS_PFN(address));
	struct folio *folio = page_folio(page);

	return folio_try_get(folio) ? folio : NULL;
}

static int fault(bool write)
{
	return write ? SVA_TEST_DMA_FAULT_WRITE : SVA_TEST_DMA_FAULT_READ;
}

/*
 * One request, within a page: all of it, or nothing.  0; a result of the transfer; -ENOENT for
 * a page that is missing; -EAGAIN if the tables changed meanwhile.
 */
static int request(struct engine *engine, u64 address, unsigned int size, bool write)
{
	struct folio *folio = NULL;
	struct stage stage;
	struct trail trail;
	int ret;

	/*
	 * With interrupts off no page table of a process is freed (get_user_pages_fast() relies
	 * on it, too).  The lock makes invalidations wait: no page table of an iommufd's is
	 * freed either, nor is an entry given to somebody else, once it was seen here.
	 */
	scoped_guard(raw_spinlock_irqsave, &engine->iommu->qi->q_lock) {
		ret = stage_of(engine, &stage);
		if (ret)
			return ret;
		if (!walk(&stage, address, write, &trail))
			return -ENOENT;
		if (!is_memory(trail.result))
			return fault(write);
		folio = hold(trail.result);
		if (!folio)
			return -EAGAIN;
		/* The page may have become another's before the reference was taken. */
		if (page_folio(pfn_to_page(PHYS_PFN(trail.result))) != folio ||
		    !mark(&stage, &trail, write))
			ret = -EAGAIN;
		else if (write)
			memcpy(phys_to_virt(trail.result), engine->buffer, size);
		else
			memcpy(engine->buffer, phys_to_virt(trail.result), size);
	}
	folio_put(folio);
	return ret;
}

/* ---- page requests ---- */

struct page_request {
	struct engine *engine;
	u64 address;
	bool write;
	u32 group;
	bool sent;
	struct iommu_fault_param *param;
};

/* As the core's own, which is not exported: the handler's queue, held. */
static struct iommu_fault_param *get_fault_param(struct device *dev)
{
	struct iommu_fault_param *param;

	guard(rcu)();
	param = rcu_dereference(dev->iommu->fault_param);
	return param && refcount_inc_not_zero(&param->users) ? param : NULL;
}

static void put_fault_param(struct iommu_fault_param *param)
{
	if (refcount_dec_and_test(&param->users))
		kfree_rcu(param, rcu);
}

static bool has_page_requests(const struct engine *engine)
{
	const u64 *context = context_of(engine);
	u16 control;

	if (!context || !(READ_ONCE(context[0]) & SM_PAGE_REQUESTS) || !engine->pdev->pri_cap)
		return false;
	return !pci_read_config_word(engine->pdev, engine->pdev->pri_cap + PCI_PRI_CTRL, &control) &&
	       control & PCI_PRI_CTRL_ENABLE;
}

/*
 * With the lock of the group held, under which PASIDs come and go: while there is an entry for
 * the PASID, its handler is there.
 */
static int send(struct device *dev, void *arg)
{
	struct page_request *r = arg;
	struct engine *engine = r->engine;
	struct iopf_fault event = {
		.fault = {
			.type = IOMMU_FAULT_PAGE_REQ,
			.prm = {
				.flags = IOMMU_FAULT_PAGE_REQUEST_PASID_VALID |
					 IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE,
				.pasid = engine->pasid,
				.grpid = r->group,
				.perm = r->write ? IOMMU_FAULT_PERM_WRITE : IOMMU_FAULT_PERM_READ,
				.addr = r->address & PAGE_MASK,
			},
		},
	};

	if (dev != &engine->pdev->dev || !has_page_requests(engine) || !entry_of(engine))
		return 0;
	r->param = get_fault_param(dev);
	r->sent = r->param && !iommu_report_device_fault(dev, &event);
	return 0;
}

/*
 * The response that the kernel has queued for the device: 0 is success; -ENOENT if there is none.
 * The queue remembers fewer responses than there are groups, so none is taken for another's.
 */
static int response_to(const struct page_request *r)
{
	const struct engine *engine = r->engine;
	struct q_inval *qi = engine->iommu->qi;
	const struct qi_desc *desc = qi->desc;
	u64 want = QI_PGRP_PASID(engine->pasid) | QI_PGRP_DID(pci_dev_id(engine->pdev)) |
		   QI_PGRP_PASID_P(1) | QI_PGRP_RESP_TYPE;

	guard(raw_spinlock_irqsave)(&qi->q_lock);
	for (int i = 0; i < QI_LENGTH; i++)
		if ((desc[i].qw0 & ~RESPONSE_CODE) == want && desc[i].qw1 == QI_PGRP_IDX(r->group))
			return FIELD_GET(RESPONSE_CODE, desc[i].qw0);
	return -ENOENT;
}

/*
 * Asks for the page that a request has missed, and waits for the handler: the response, or
 * -ENODEV if nobody was asked.
 */
static int request_page(struct engine *engine, u64 address, bool write)
{
	static atomic_t last_group;
	struct page_request r = {
		.engine = engine,
		.address = address,
		.write = write,
	};
	struct iommu_group *group = iommu_group_get(&engine->pdev->dev);

	if (!group)
		return -ENODEV;
	/* A number that the queue has no response to, from before this module was inserted. */
	do {
		r.group = (u32)atomic_inc_return(&last_group) % REQUEST_GROUPS;
	} while (response_to(&r) != -ENOENT);
	iommu_group_for_each_dev(group, &r, send);
	iommu_group_put(group);
	/* What iopf_queue_flush_dev() does, which wants the handler to stay. */
	if (r.sent)
		flush_workqueue(r.param->queue->wq);
	if (r.param)
		put_fault_param(r.param);
	return r.sent ? response_to(&r) : -ENODEV;
}

/* ---- transfers ---- */

/* Does the device send requests with PASIDs? */
static bool is_on(struct pci_dev *pdev)
{
	u16 command, ats, pasid;

	/* Capabilities that the device has, and answers: who is gone is all ones. */
	if (!pdev->ats_cap || !pdev->pasid_cap ||
	    pci_read_config_word(pdev, PCI_COMMAND, &command) || PCI_POSSIBLE_ERROR(command) ||
	    pci_read_config_word(pdev, pdev->ats_cap + PCI_ATS_CTRL, &ats) ||
	    pci_read_config_word(pdev, pdev->pasid_cap + PCI_PASID_CTRL, &pasid))
		return false;
	return command & PCI_COMMAND_MASTER && ats & PCI_ATS_CTRL_ENABLE &&
	       pasid & PCI_PASID_CTRL_ENABLE;
}

/*
 * The same as request(), with pages that are not there yet.  A page that came may be gone again
 * before it is reached (a fork takes the right to write): it is asked for as often as it comes.
 */
static int reach(struct engine *engine, u64 address, unsigned int size, bool write)
{
	int ret, unanswered = 0;

	while (true) {
		if (!is_on(engine->pdev))
			return SVA_TEST_DMA_OFF;
		ret = request(engine, address, size, write);
		if (ret != -EAGAIN && ret != -ENOENT)
			return ret;
		if (fatal_signal_pending(current))
			return -EINTR;
		if (ret == -EAGAIN) {
			cond_resched();
			continue;
		}
		ret = request_page(engine, address, write);
		if (ret == -ENOENT ? ++unanswered > UNANSWERED : ret)
			return fault(write);
	}
}

static unsigned int to_end_of_page(u64 address)
{
	return PAGE_SIZE - offset_in_page(address);
}

static int transfer(struct engine *engine, struct sva_test_dma *args)
{
	bool from_memory = args->kind != SVA_TEST_DMA_WRITE, to_memory = args->kind != SVA_TEST_DMA_READ;
	int ret = 0;

	while (args->moved < args->size) {
		u64 from = args->from + args->moved, to = args->to + args->moved;
		unsigned int n = min3(args->size - args->moved, to_end_of_page(from),
				      to_end_of_page(to));

		args->address = from;
		if (from_memory)
			ret = reach(engine, from, n, false);
		else if (copy_from_user(engine->buffer, u64_to_user_ptr(from), n))
			ret = -EFAULT;
		if (ret)
			return ret;
		args->address = to;
		if (to_memory)
			ret = reach(engine, to, n, true);
		else if (copy_to_user(u64_to_user_ptr(to), engine->buffer, n))
			ret = -EFAULT;
		if (ret)
			return ret;
		args->moved += n;
	}
	args->address = 0;
	return SVA_TEST_DMA_DONE;
}

static int find_iommu(struct device *dev, void *arg)
{
	struct engine *engine = arg;
	struct device_domain_info *info;

	if (dev == &engine->pdev->dev) {
		info = sva_test_vtd_of(dev);
		engine->iommu = info ? info->iommu : NULL;
	}
	return 0;
}

int sva_test_dma(struct sva_test_dma *args)
{
	struct pci_dev *pdev __free(pci_dev_put) =
		pci_get_domain_bus_and_slot(args->device >> 16, args->device >> 8 & 0xff,
					    args->device & 0xff);
	void *buffer __free(kfree) = kmalloc(PAGE_SIZE, GFP_KERNEL);
	struct engine engine = { .pdev = pdev, .pasid = args->pasid, .buffer = buffer };
	struct iommu_group *group;
	u64 end;
	int ret;

	if (!buffer)
		return -ENOMEM;
	if (!pdev)
		return -ENXIO;
	if (!sva_test_is_qemus_vtd())
		return -ENODEV;
	if (args->kind < SVA_TEST_DMA_COPY || args->kind > SVA_TEST_DMA_WRITE ||
	    args->pasid >= PASID_MAX || check_add_overflow(args->from, args->size, &end) ||
	    check_add_overflow(args->to, args->size, &end))
		return -EINVAL;
	group = iommu_group_get(&pdev->dev);
	if (!group)
		return -ENXIO;
	/* The IOMMU stays; what its driver has of the device does not, but for the group's lock. */
	iommu_group_for_each_dev(group, &engine, find_iommu);
	iommu_group_put(group);
	if (!engine.iommu || !engine.iommu->qi)
		return -ENXIO;
	args->moved = 0;
	ret = transfer(&engine, args);
	if (ret < 0)
		return ret;
	args->result = ret;
	return 0;
}
