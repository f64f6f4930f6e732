// SPDX-License-Identifier: GPL-2.0-only
// Compares the two declarations of the interface to container drivers: the declaration of the
// kernel, in a private header of drivers/vfio/, and the declaration of this project.
// scripts/checks/check-layout compiles this file, which is not part of the module.

#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/stddef.h>

/* The declaration of the kernel.  The declaration of this project follows, under other names. */
#include "vfio.h"

#define vfio_group_type			our_group_type
#define VFIO_IOMMU			OUR_IOMMU
#define VFIO_EMULATED_IOMMU		OUR_EMULATED_IOMMU
#define VFIO_NO_IOMMU			OUR_NO_IOMMU
#define vfio_iommu_driver_ops		our_iommu_driver_ops
#define vfio_register_iommu_driver	our_register_iommu_driver
#define vfio_unregister_iommu_driver	our_unregister_iommu_driver
#include "vfio_container.h"
#undef vfio_group_type
#undef VFIO_IOMMU
#undef VFIO_EMULATED_IOMMU
#undef VFIO_NO_IOMMU
#undef vfio_iommu_driver_ops
#undef vfio_register_iommu_driver
#undef vfio_unregister_iommu_driver

#define kernels(field)	(((struct vfio_iommu_driver_ops *)0)->field)
#define ours(field)	(((struct our_iommu_driver_ops *)0)->field)

#define SAME_PLACE(field)							\
	static_assert(offsetof(struct vfio_iommu_driver_ops, field) ==		\
		      offsetof(struct our_iommu_driver_ops, field))
#define SAME(field)								\
	SAME_PLACE(field);							\
	static_assert(__same_type(kernels(field), ours(field)))

SAME(name);
SAME(owner);
SAME(open);
SAME(release);
SAME(ioctl);
SAME_PLACE(attach_group);
SAME(detach_group);
SAME(pin_pages);
SAME(unpin_pages);
SAME(register_device);
SAME(unregister_device);
SAME(dma_rw);
SAME(group_iommu_domain);

/* Two enums are never the same type, so the rest of the function type is compared. */
#define ATTACH(type)	int (*)(void *, struct iommu_group *, enum type)
static_assert(__same_type(kernels(attach_group), ATTACH(vfio_group_type)));
static_assert(__same_type(ours(attach_group), ATTACH(our_group_type)));

/* These are all members: there is no padding between pointers. */
static_assert(sizeof(struct vfio_iommu_driver_ops) == 13 * sizeof(void *));
static_assert(sizeof(struct our_iommu_driver_ops) == 13 * sizeof(void *));

static_assert(sizeof(enum vfio_group_type) == sizeof(enum our_group_type));
static_assert((int)VFIO_IOMMU == (int)OUR_IOMMU);
static_assert((int)VFIO_EMULATED_IOMMU == (int)OUR_EMULATED_IOMMU);
static_assert((int)VFIO_NO_IOMMU == (int)OUR_NO_IOMMU);

#define FUNCTIONS(type, register, unregister)					\
	static_assert(__same_type(register, int (const struct type *)));	\
	static_assert(__same_type(unregister, void (const struct type *)))

FUNCTIONS(vfio_iommu_driver_ops, vfio_register_iommu_driver, vfio_unregister_iommu_driver);
FUNCTIONS(our_iommu_driver_ops, our_register_iommu_driver, our_unregister_iommu_driver);
