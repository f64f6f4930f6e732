// SPDX-License-Identifier: GPL-2.0-only
/* The functions that drivers and KVM call. */
#include <linux/iommufd.h>

#include "quick.h"

#define MANY_PAGES	512
#define CAPABILITIES	32

static struct page *pages[MANY_PAGES];

/* The name of an operation by one of two ways.  It holds until the next call. */
static const char *by(const char *operation, const char *path)
{
	static char name[32];

	snprintf(name, sizeof(name), "%s_%s", operation, path);
	return name;
}

void count_memory(struct vfio_device *vdev, const char *path)
{
	static char data[MANY_PAGES * PAGE_SIZE];

	OPERATION(by("pin", path), ({ MEASURE(EXPECT(vfio_pin_pages(vdev, 0, 1, IOMMU_WRITE, pages), 1));
				     vfio_unpin_pages(vdev, 0, 1); }));
	OPERATION(by("unpin", path), ({ EXPECT(vfio_pin_pages(vdev, 0, 1, IOMMU_WRITE, pages), 1);
				       MEASURE(vfio_unpin_pages(vdev, 0, 1)); }));
	OPERATION(by("pin_many", path),
		  ({ MEASURE(EXPECT(vfio_pin_pages(vdev, 0, MANY_PAGES, IOMMU_WRITE, pages), MANY_PAGES));
		     vfio_unpin_pages(vdev, 0, MANY_PAGES); }));
	OPERATION(by("dma_rw", path), MEASURE(EXPECT(vfio_dma_rw(vdev, 0, data, 4, false), 0)));
	OPERATION(by("dma_rw_many", path), MEASURE(EXPECT(vfio_dma_rw(vdev, 0, data, sizeof(data), true), 0)));
}

static void add_capabilities(struct vfio_info_cap *caps)
{
	struct vfio_region_info_cap_type type = { .header = { .id = VFIO_REGION_INFO_CAP_TYPE, .version = 1 } };

	for (unsigned int i = 0; i < CAPABILITIES; i++)
		EXPECT(vfio_info_add_capability(caps, &type.header, sizeof(type)), 0);
}

static void count_capabilities(void)
{
	struct vfio_info_cap caps;

	OPERATION("add_capabilities", ({ caps = (struct vfio_info_cap){}; MEASURE(add_capabilities(&caps)); }));
	OPERATION("shift_capabilities", ({ caps = (struct vfio_info_cap){}; add_capabilities(&caps);
					   MEASURE(vfio_info_cap_shift(&caps, 64)); }));
}

static int handler(void *opaque, void *data)
{
	return 1;
}

static void thread(void *opaque, void *data)
{
}

static void count_virqfd(void)
{
	int eventfd = eventfd_open();
	struct virqfd *virqfd = NULL;

	OPERATION("virqfd_enable", ({ MEASURE(EXPECT(vfio_virqfd_enable(NULL, handler, thread, NULL, &virqfd, eventfd),
						     0));
				      vfio_virqfd_disable(&virqfd); }));
	OPERATION("virqfd_disable", ({ EXPECT(vfio_virqfd_enable(NULL, handler, thread, NULL, &virqfd, eventfd), 0);
				       MEASURE(vfio_virqfd_disable(&virqfd)); }));
	EXPECT(vfio_virqfd_enable(NULL, handler, thread, NULL, &virqfd, eventfd), 0);
	OPERATION("virqfd_event", MEASURE(eventfd_event()));
	OPERATION("virqfd_flush_thread", MEASURE(vfio_virqfd_flush_thread(&virqfd)));
	vfio_virqfd_disable(&virqfd);
	fd_close(eventfd);
}

/* KVM makes these calls when it is given a file, and when the file is taken away.  It does not use the VM. */
static void count_kvm(struct file *file, const char *kind)
{
	static char vm;
	struct kvm *kvm = (struct kvm *)&vm;

	OPERATION(by("kvm_add", kind), ({ MEASURE(({ EXPECT(vfio_file_is_valid(file), true);
						     vfio_file_set_kvm(file, kvm);
						     vfio_file_enforced_coherent(file); }));
					  vfio_file_set_kvm(file, NULL); }));
	OPERATION(by("kvm_del", kind), ({ vfio_file_set_kvm(file, kvm); MEASURE(vfio_file_set_kvm(file, NULL)); }));
}

/* Who owns a device that is reset with others */
static void count_owner(struct vfio_device *vdev)
{
	struct file *file = device_open_bound(vdev), *group;
	struct iommufd_ctx *ictx = vfio_iommufd_device_ictx(vdev), *other;
	int other_iommufd = iommufd_open();

	other = iommufd_ctx_from_fd(other_iommufd);
	OPERATION("own_device_id", MEASURE(EXPECT(vfio_iommufd_get_dev_id(vdev, ictx), DEVICE_ID)));
	OPERATION("foreign_device_id", MEASURE(EXPECT(vfio_iommufd_get_dev_id(vdev, other), -ENODEV)));
	OPERATION("set_open_count", MEASURE(EXPECT(vfio_device_set_open_count(vdev->dev_set), 1)));
	OPERATION("find_in_set", MEASURE(EXPECT(vfio_find_device_in_devset(vdev->dev_set, vdev->dev) == vdev, true)));
	file_close(file);
	iommufd_ctx_put(other);
	fd_close(other_iommufd);
	group = group_open(PHYSICAL_GROUP);
	OPERATION("file_is_group", MEASURE(EXPECT(vfio_file_is_group(group), true)));
	OPERATION("file_has_dev", MEASURE(EXPECT(vfio_file_has_dev(group, vdev), true)));
	file_close(group);
}

static void count_state(struct vfio_device *vdev)
{
	enum vfio_device_mig_state next;

	OPERATION("next_state", MEASURE(EXPECT(vfio_mig_get_next_state(vdev, VFIO_DEVICE_STATE_RUNNING,
								       VFIO_DEVICE_STATE_RESUMING, &next), 0)));
}

static void count_irqs(void)
{
	struct vfio_irq_set irqs = {
		.argsz = sizeof(irqs) + sizeof(u32), .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		.count = 1,
	};
	size_t size;

	OPERATION("check_irqs", MEASURE(EXPECT(vfio_set_irqs_validate_and_prepare(&irqs, 1, 1, &size), 0)));
}

void count_exports(struct vfio_device *vdev)
{
	struct file *file = device_open(vdev), *group = group_open(PHYSICAL_GROUP);

	count_kvm(file, "device");
	count_kvm(group, "group");
	file_close(group);
	file_close(file);
	count_owner(vdev);
	count_capabilities();
	count_virqfd();
	count_irqs();
	vdev->migration_flags = VFIO_MIGRATION_STOP_COPY;
	count_state(vdev);
}
