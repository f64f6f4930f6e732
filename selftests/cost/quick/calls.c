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

long attach(struct file *file, u32 pt)
{
	struct vfio_device_attach_iommufd_pt arg = { .argsz = sizeof(arg), .pt_id = pt };

	return file_ioctl(file, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &arg);
}

long detach(struct file *file)
{
	struct vfio_device_detach_iommufd_pt arg = { .argsz = sizeof(arg) };

	return file_ioctl(file, VFIO_DEVICE_DETACH_IOMMUFD_PT, &arg);
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
