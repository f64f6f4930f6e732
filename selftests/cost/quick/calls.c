// SPDX-License-Identifier: GPL-2.0-only
/* The system calls on files of devices. */
#include <linux/iommufd.h>
#include <linux/kstrtox.h>
#include <linux/seq_file.h>

#include "quick.h"

int iommufd;

long file_ioctl(struct file *file, unsigned int cmd, const void *arg)
{
	return file->f_op->unlocked_ioctl(file, cmd, (unsigned long)arg);
}

struct file *device_open(struct vfio_device *vdev)
{
	unsigned int minor;

	if (kstrtouint(dev_name(&vdev->device) + strlen("vfio"), 10, &minor))
		fail("the device has another name");
	return node_open(find_region("vfio-dev") | minor);
}

long bind_to(struct file *file, u32 argsz, int fd)
{
	struct vfio_device_bind_iommufd arg = { .argsz = argsz, .iommufd = fd };

	return file_ioctl(file, VFIO_DEVICE_BIND_IOMMUFD, &arg);
}

struct file *device_open_bound(struct vfio_device *vdev)
{
	struct file *file = device_open(vdev);

	EXPECT(bind_to(file, BIND_SIZE, iommufd), 0);
	return file;
}

static long attach_with(struct file *file, u32 pt, u32 flags, u32 pasid)
{
	struct vfio_device_attach_iommufd_pt arg = {
		.argsz = sizeof(arg), .flags = flags, .pt_id = pt, .pasid = pasid,
	};

	return file_ioctl(file, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &arg);
}

static long detach_with(struct file *file, u32 flags, u32 pasid)
{
	struct vfio_device_detach_iommufd_pt arg = {
		.argsz = sizeof(arg), .flags = flags, .pasid = pasid,
	};

	return file_ioctl(file, VFIO_DEVICE_DETACH_IOMMUFD_PT, &arg);
}

long attach(struct file *file, u32 pt)
{
	return attach_with(file, pt, 0, 0);
}

long detach(struct file *file)
{
	return detach_with(file, 0, 0);
}

long attach_pasid(struct file *file, u32 pasid, u32 pt)
{
	return attach_with(file, pt, VFIO_DEVICE_ATTACH_PASID, pasid);
}

long detach_pasid(struct file *file, u32 pasid)
{
	return detach_with(file, VFIO_DEVICE_DETACH_PASID, pasid);
}

long feature_probe(struct file *file)
{
	struct vfio_device_feature arg = {
		.argsz = sizeof(arg), .flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET | 0xfeff,
	};

	return file_ioctl(file, VFIO_DEVICE_FEATURE, &arg);
}

#define LOGGED	256

long logging_start(struct file *file)
{
	static struct vfio_device_feature_dma_logging_range ranges[LOGGED];
	struct {
		struct vfio_device_feature feature;
		struct vfio_device_feature_dma_logging_control control;
	} arg = {
		.feature = { .argsz = sizeof(arg),
			     .flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START },
		.control = { .page_size = PAGE_SIZE, .num_ranges = LOGGED, .ranges = (unsigned long)ranges },
	};

	for (unsigned int i = 0; i < LOGGED; i++) {
		ranges[i].iova = 2 * i * PAGE_SIZE;
		ranges[i].length = PAGE_SIZE;
	}
	return file_ioctl(file, VFIO_DEVICE_FEATURE, &arg);
}

long logging_stop(struct file *file)
{
	struct vfio_device_feature arg = {
		.argsz = sizeof(arg), .flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
	};

	return file_ioctl(file, VFIO_DEVICE_FEATURE, &arg);
}

long logging_report(struct file *file)
{
	static u64 bitmap[LOGGED * 2 / 64];
	struct {
		struct vfio_device_feature feature;
		struct vfio_device_feature_dma_logging_report report;
	} arg = {
		.feature = { .argsz = sizeof(arg),
			     .flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT },
		.report = { .iova = 0, .length = 2 * LOGGED * PAGE_SIZE, .page_size = PAGE_SIZE,
			    .bitmap = (unsigned long)bitmap },
	};

	return file_ioctl(file, VFIO_DEVICE_FEATURE, &arg);
}

const void *number(unsigned long value)
{
	return (const void *)value;
}

long file_read(struct file *file)
{
	loff_t pos = 0;
	u32 word;

	return file->f_op->read(file, (char __user *)&word, sizeof(word), &pos);
}

long file_write(struct file *file)
{
	loff_t pos = 0;
	u32 word = 0;

	return file->f_op->write(file, (const char __user *)&word, sizeof(word), &pos);
}

long file_mmap(struct file *file)
{
	static struct vm_area_struct vma;

	vma.vm_file = file;
	return file->f_op->mmap(file, &vma);
}

void file_fdinfo(struct file *file)
{
	static char text[4096];
	struct seq_file m = { .buf = text, .size = sizeof(text) };

	file->f_op->show_fdinfo(&m, file);
	if (!m.count)
		fail("fdinfo is empty");
}
