// SPDX-License-Identifier: GPL-2.0-only
/* Files, descriptors, inodes, and the pseudo file system of the core. */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/miscdevice.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>

#include "quick.h"

static struct file *files[64];
static struct super_block super;
static struct vfsmount mount = { .mnt_sb = &super };

struct file *file_make(const struct file_operations *fops, void *data)
{
	struct file *file = allocate(sizeof(*file));

	file_ref_init(&file->f_ref, 1);
	file->f_op = fops;
	file->f_mode = FMODE_READ | FMODE_WRITE | FMODE_OPENED;
	file->f_flags = O_RDWR;
	file->private_data = data;
	return file;
}

struct inode *alloc_anon_inode(struct super_block *sb)
{
	struct inode *inode = allocate(sizeof(*inode));

	inode->i_mapping = &inode->i_data;
	atomic_set(&inode->i_count, 1);
	return inode;
}

void iput(struct inode *inode)
{
}

int simple_pin_fs(struct file_system_type *type, struct vfsmount **mnt, int *count)
{
	*mnt = &mount;
	++*count;
	return 0;
}

void simple_release_fs(struct vfsmount **mnt, int *count)
{
	if (!--*count)
		*mnt = NULL;
}

struct file *node_open(dev_t devt)
{
	struct cdev *cdev = find_cdev(devt);
	struct inode *inode = alloc_anon_inode(&super);
	struct file *file = file_make(cdev->ops, NULL);

	kobject_get(&cdev->kobj);
	inode->i_rdev = devt;
	inode->i_cdev = cdev;
	file->f_inode = inode;
	file->f_mapping = inode->i_mapping;
	if (file->f_op->open(inode, file))
		fail("open");
	return file;
}

struct file *misc_open(const char *name)
{
	struct miscdevice *misc = find_misc(name);
	struct inode *inode = alloc_anon_inode(&super);
	struct file *file = file_make(misc->fops, misc);

	file->f_inode = inode;
	file->f_mapping = inode->i_mapping;
	if (file->f_op->open && file->f_op->open(inode, file))
		fail("open");
	return file;
}

void file_close(struct file *file)
{
	if (atomic_long_dec_return(&file->f_ref.refcnt) >= 0)
		return;
	if (file->f_op->release)
		file->f_op->release(file->f_inode, file);
	if (file->f_inode && file->f_inode->i_cdev)
		kobject_put(&file->f_inode->i_cdev->kobj);
}

void fput(struct file *file)
{
	file_close(file);
}

struct file *anon_inode_getfile_fmode(const char *name, const struct file_operations *fops, void *data, int flags,
				      fmode_t mode)
{
	struct inode *inode = alloc_anon_inode(&super);
	struct file *file = file_make(fops, data);

	file->f_mode |= mode;
	file->f_inode = inode;
	file->f_mapping = inode->i_mapping;
	return file;
}

int get_unused_fd_flags(unsigned int flags)
{
	/* A descriptor that is reserved points to no file. */
	for (int fd = 0; fd < ARRAY_SIZE(files); fd++) {
		if (files[fd])
			continue;
		files[fd] = ERR_PTR(-EBADF);
		return fd;
	}
	return -EMFILE;
}

void fd_install(unsigned int fd, struct file *file)
{
	files[fd] = file;
}

int fd_add(struct file *file)
{
	int fd = get_unused_fd_flags(0);

	fd_install(fd, file);
	return fd;
}

void fd_close(unsigned int fd)
{
	struct file *file = files[fd];

	files[fd] = NULL;
	file_close(file);
}

static struct file *fd_lookup(unsigned int fd)
{
	return fd < ARRAY_SIZE(files) && !IS_ERR(files[fd]) ? files[fd] : NULL;
}

/* One task has the descriptors, so no reference is taken. */
struct fd fdget(unsigned int fd)
{
	struct file *file = fd_lookup(fd);

	return file ? BORROWED_FD(file) : EMPTY_FD;
}

struct file *fget(unsigned int fd)
{
	struct file *file = fd_lookup(fd);

	return file ? get_file(file) : NULL;
}
