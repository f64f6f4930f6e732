// SPDX-License-Identifier: GPL-2.0-only
/* The model of devices: objects, classes, character devices. */
#include <linux/device/class.h>
#include <linux/miscdevice.h>
#include <linux/pm_runtime.h>

#include "quick.h"

/* Objects */

void kobject_init(struct kobject *kobj, const struct kobj_type *ktype)
{
	kref_init(&kobj->kref);
	INIT_LIST_HEAD(&kobj->entry);
	kobj->ktype = ktype;
}

struct kobject *kobject_get(struct kobject *kobj)
{
	if (kobj)
		kref_get(&kobj->kref);
	return kobj;
}

static void kobject_release(struct kref *kref)
{
	struct kobject *kobj = container_of(kref, struct kobject, kref);

	kobj->ktype->release(kobj);
}

void kobject_put(struct kobject *kobj)
{
	if (kobj)
		kref_put(&kobj->kref, kobject_release);
}

char *kobject_get_path(const struct kobject *kobj, gfp_t flags)
{
	char *path = allocate(64);

	snprintf(path, 64, "/devices/%s", kobj->name);
	return path;
}

/* Devices */

static void device_release(struct kobject *kobj)
{
	struct device *dev = kobj_to_dev(kobj);

	if (dev->release)
		dev->release(dev);
	else if (dev->class && dev->class->dev_release)
		dev->class->dev_release(dev);
}

static const struct kobj_type device_ktype = { .release = device_release };

void device_initialize(struct device *dev)
{
	kobject_init(&dev->kobj, &device_ktype);
	INIT_LIST_HEAD(&dev->dma_pools);
	spin_lock_init(&dev->devres_lock);
	INIT_LIST_HEAD(&dev->devres_head);
}

struct device *get_device(struct device *dev)
{
	return dev ? kobj_to_dev(kobject_get(&dev->kobj)) : NULL;
}

void put_device(struct device *dev)
{
	if (dev)
		kobject_put(&dev->kobj);
}

int dev_set_name(struct device *dev, const char *fmt, ...)
{
	va_list args;
	char *name = allocate(32);

	va_start(args, fmt);
	vsnprintf(name, 32, fmt, args);
	va_end(args);
	dev->kobj.name = name;
	return 0;
}

/* The kernel asks for the name of a node twice: for devtmpfs, and for the uevent. */
static void device_nodes(struct device *dev, umode_t *devtmpfs_mode)
{
	umode_t mode = 0;

	if (!dev->devt || !dev->class->devnode)
		return;
	dev->class->devnode(dev, devtmpfs_mode);
	dev->class->devnode(dev, &mode);
}

int device_add(struct device *dev)
{
	umode_t mode = 0;

	device_nodes(dev, &mode);
	get_device(dev);
	get_device(dev->parent);
	return 0;
}

void device_del(struct device *dev)
{
	device_nodes(dev, NULL);
	put_device(dev->parent);
	put_device(dev);
}

void device_unregister(struct device *dev)
{
	device_del(dev);
	put_device(dev);
}

static void device_create_release(struct device *dev)
{
}

struct device *device_create(const struct class *class, struct device *parent, dev_t devt, void *drvdata,
			     const char *fmt, ...)
{
	struct device *dev = allocate(sizeof(*dev));
	va_list args;
	char *name = allocate(32);

	device_initialize(dev);
	dev->devt = devt;
	dev->class = class;
	dev->parent = parent;
	dev->release = device_create_release;
	dev_set_drvdata(dev, drvdata);
	va_start(args, fmt);
	vsnprintf(name, 32, fmt, args);
	va_end(args);
	dev->kobj.name = name;
	return device_add(dev) ? ERR_PTR(-EINVAL) : dev;
}

int class_register(const struct class *class)
{
	return 0;
}

void class_unregister(const struct class *class)
{
}

int __pm_runtime_resume(struct device *dev, int flags)
{
	return 0;
}

int __pm_runtime_idle(struct device *dev, int flags)
{
	return 0;
}

/* Character devices */

#define MAJORS	4
/* The nodes of a crowd of devices, and of their groups */
#define CDEVS	(3 * 4096)

static const char *regions[MAJORS];
static struct cdev *cdevs[CDEVS];

int alloc_chrdev_region(dev_t *dev, unsigned int first, unsigned int count, const char *name)
{
	for (int i = 0; i < MAJORS; i++) {
		if (regions[i])
			continue;
		regions[i] = name;
		*dev = MKDEV(i + 1, first);
		return 0;
	}
	fail("too many regions");
}

void unregister_chrdev_region(dev_t dev, unsigned int count)
{
	regions[MAJOR(dev) - 1] = NULL;
}

dev_t find_region(const char *name)
{
	for (int i = 0; i < MAJORS; i++)
		if (regions[i] && !strcmp(regions[i], name))
			return MKDEV(i + 1, 0);
	fail("there is no such region");
}

struct cdev *find_cdev(dev_t devt)
{
	for (int i = 0; i < CDEVS; i++)
		if (cdevs[i] && cdevs[i]->dev == devt)
			return cdevs[i];
	fail("there is no such character device");
}

static void cdev_release(struct kobject *kobj)
{
	kobject_put(kobj->parent);
}

static const struct kobj_type cdev_ktype = { .release = cdev_release };

void cdev_init(struct cdev *cdev, const struct file_operations *fops)
{
	memset(cdev, 0, sizeof(*cdev));
	INIT_LIST_HEAD(&cdev->list);
	kobject_init(&cdev->kobj, &cdev_ktype);
	cdev->ops = fops;
}

void cdev_set_parent(struct cdev *cdev, struct kobject *kobj)
{
	cdev->kobj.parent = kobj;
}

int cdev_add(struct cdev *cdev, dev_t dev, unsigned int count)
{
	cdev->dev = dev;
	cdev->count = count;
	for (int i = 0; i < CDEVS; i++) {
		if (cdevs[i])
			continue;
		cdevs[i] = cdev;
		kobject_get(cdev->kobj.parent);
		return 0;
	}
	fail("too many character devices");
}

void cdev_del(struct cdev *cdev)
{
	for (int i = 0; i < CDEVS; i++)
		if (cdevs[i] == cdev)
			cdevs[i] = NULL;
	kobject_put(&cdev->kobj);
}

int cdev_device_add(struct cdev *cdev, struct device *dev)
{
	if (dev->devt) {
		cdev_set_parent(cdev, &dev->kobj);
		cdev_add(cdev, dev->devt, 1);
	}
	return device_add(dev);
}

void cdev_device_del(struct cdev *cdev, struct device *dev)
{
	device_del(dev);
	if (dev->devt)
		cdev_del(cdev);
}

/* Miscellaneous devices */

static struct miscdevice *miscs[4];

int misc_register(struct miscdevice *misc)
{
	for (int i = 0; i < ARRAY_SIZE(miscs); i++) {
		if (miscs[i])
			continue;
		miscs[i] = misc;
		return 0;
	}
	fail("too many miscellaneous devices");
}

void misc_deregister(struct miscdevice *misc)
{
	for (int i = 0; i < ARRAY_SIZE(miscs); i++)
		if (miscs[i] == misc)
			miscs[i] = NULL;
}

struct miscdevice *find_misc(const char *name)
{
	for (int i = 0; i < ARRAY_SIZE(miscs); i++)
		if (miscs[i] && !strcmp(miscs[i]->name, name))
			return miscs[i];
	fail("there is no such miscellaneous device");
}

/* Modules */

bool try_module_get(struct module *module)
{
	return true;
}

void module_put(struct module *module)
{
}
