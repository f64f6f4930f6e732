// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver that calls what vfio.ko exports, each function by itself, with arguments
 * and at times that a test chooses, and that says what it saw in its callbacks.  Its
 * devices have platform devices for parents, or the PCI device that it is bound to.
 */
#include <linux/cdev.h>
#include <linux/dcache.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/iommufd.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/pm_runtime.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>

#include "vfio_calls.h"

struct calls {
	struct vfio_device vdev;	/* first: the core frees it */
	struct slot *slot;
	u8 own[64];
};

struct slot {
	struct vfio_device_ops ops;
	struct calls *calls;
	struct device *parent;
	u32 flags;
	int init_error;
	bool registered;
	int references;			/* on its registration, that commands took */
	int set;			/* its number, 0: none that others can join */
	int fail[CALLS_FAILS];
	struct calls_seen seen[CALLS_WHENS];
};

static struct slot slots[CALLS_DEVICES];
static struct platform_device *platform[CALLS_PLATFORM];
static struct pci_dev *pci;
static char sets[CALLS_DEVICES];
static struct slot *making;
/* Of unregistering, which waits. */
static DEFINE_MUTEX(unregistering);
/* Of all commands but those that wait for others. */
static DEFINE_MUTEX(lock);

/* ---- what can be seen of a device ---- */

static int resumes, resume_error;

static struct device *parent_of(u64 nth)
{
	struct device *dev;

	if (nth == CALLS_PCI)
		return pci ? &pci->dev : NULL;
	if (nth == CALLS_SOFT_IOMMU) {
		dev = bus_find_device_by_name(&platform_bus_type, NULL, "vfio-calls.5");
		/* It is there until the test removes it. */
		put_device(dev);
		return dev;
	}
	return nth < CALLS_PLATFORM ? &platform[nth]->dev : NULL;
}

static u32 set_devices(struct vfio_device_set *set)
{
	struct vfio_device *vdev;
	u32 n = 0;

	list_for_each_entry(vdev, &set->device_list, dev_set_list)
		n++;
	return n;
}

/* Linux 7.2 does not mark such devices. */
static bool is_noiommu(struct vfio_device *vdev)
{
#if IS_ENABLED(CONFIG_IOMMUFD_NOIOMMU)
	return vdev->noiommu;
#else
	return false;
#endif
}

static u32 fields_of(struct vfio_device *vdev)
{
	u32 fields = 0;

	if (vdev->kvm)
		fields |= CALLS_KVM;
	if (vdev->open_count)
		fields |= CALLS_OPEN_COUNT;
	if (vdev->cdev_opened)
		fields |= CALLS_CDEV;
	if (vdev->iommufd_access)
		fields |= CALLS_ACCESS;
#if IS_ENABLED(CONFIG_IOMMUFD)
	if (vdev->iommufd_attached)
		fields |= CALLS_ATTACHED;
	if (vdev->iommufd_device)
		fields |= CALLS_IDEV;
	if (!ida_is_empty(&vdev->pasids))
		fields |= CALLS_PASIDS;
#endif
	if (vdev->precopy_info_v2)
		fields |= CALLS_PRECOPY;
	if (vdev->inode)
		fields |= CALLS_INODE;
	if (is_noiommu(vdev))
		fields |= CALLS_BARE;
	if (!IS_ERR_OR_NULL(vdev->debug_root))
		fields |= CALLS_DEBUG_ROOT;
	return fields;
}

static void look(struct slot *slot, struct vfio_device *vdev, enum calls_when when)
{
	struct calls *calls = container_of(vdev, struct calls, vdev);
	struct calls_seen *seen = &slot->seen[when];
	struct vfio_device_set *set = when == CALLS_IN_RELEASE ? NULL : vdev->dev_set;

	*seen = (struct calls_seen){
		.what = CALLS_CALLED,
		.index = vdev->index,
		.open_count = vdev->open_count,
		.pm_usage = atomic_read(&vdev->dev->power.usage_count),
		.pm_resumes = resumes,
		.fields = fields_of(vdev),
	};
	if (vdev->dev == slot->parent && vdev->ops == &slot->ops)
		seen->what |= CALLS_OWN_DEV;
	if (!memchr_inv(calls->own, 0, sizeof(calls->own)))
		seen->what |= CALLS_ZEROED;
	if (vfio_device_cdev_opened(vdev))
		seen->what |= CALLS_CDEV_OPENED;
	if (is_noiommu(vdev))
		seen->what |= CALLS_NOIOMMU;
	if (vdev->kvm)
		seen->what |= CALLS_HAS_KVM;
	if (vdev->inode) {
		seen->what |= CALLS_HAS_INODE;
		seen->magic = vdev->inode->i_sb->s_magic;
		strscpy(seen->fs, vdev->inode->i_sb->s_type->name);
	}
	if (set) {
		seen->what |= CALLS_HAS_SET;
		if (mutex_is_locked(&set->lock))
			seen->what |= CALLS_LOCKED;
		seen->set_devices = set_devices(set);
	}
	/* Before it is registered it has no name, and no number. */
	if (slot->registered) {
		strscpy(seen->name, dev_name(&vdev->device));
		seen->minor = MINOR(vdev->device.devt);
		if (!IS_ERR_OR_NULL(vdev->debug_root))
			snprintf(seen->debug, sizeof(seen->debug), "%pd", vdev->debug_root);
	}
}

static int calls_init(struct vfio_device *vdev)
{
	struct slot *slot = making;

	look(slot, vdev, CALLS_IN_INIT);
	container_of(vdev, struct calls, vdev)->slot = slot;
	if (slot->flags & CALLS_SET_IN_INIT) {
		int ret = vfio_assign_device_set(vdev, &sets[1]);

		if (ret)
			return ret;
		slot->set = 1;
	}
	return -slot->init_error;
}

static const struct vfio_device_ops probe_ops = { .name = "vfio-calls-probe" };

static void calls_release(struct vfio_device *vdev)
{
	struct slot *slot = container_of(vdev, struct calls, vdev)->slot;
	struct vfio_device *probe;
	int i;

	look(slot, vdev, CALLS_IN_RELEASE);
	for (i = 0; i < CALLS_DEVICES; i++) {
		struct vfio_device_set *set;

		if (&slots[i] == slot || !slots[i].calls || slots[i].set != slot->set ||
		    !slot->set)
			continue;
		set = slots[i].calls->vdev.dev_set;
		mutex_lock(&set->lock);
		if (vfio_find_device_in_devset(set, slot->parent))
			slot->seen[CALLS_IN_RELEASE].what |= CALLS_IN_SET;
		mutex_unlock(&set->lock);
	}
	probe = _vfio_alloc_device(sizeof(*probe), slot->parent, &probe_ops);
	if (IS_ERR(probe))
		return;
	slot->seen[CALLS_IN_RELEASE].free_index = probe->index;
	vfio_put_device(probe);
}

static struct slot *slot_of(struct vfio_device *vdev)
{
	return container_of(vdev, struct calls, vdev)->slot;
}

#if IS_ENABLED(CONFIG_IOMMUFD)
static int calls_bind(struct vfio_device *vdev, struct iommufd_ctx *ictx, u32 *id)
{
	struct slot *slot = slot_of(vdev);

	if (slot->fail[CALLS_FAIL_BIND])
		return -slot->fail[CALLS_FAIL_BIND];
	return slot->flags & CALLS_PHYSICAL ? vfio_iommufd_physical_bind(vdev, ictx, id) :
					      vfio_iommufd_emulated_bind(vdev, ictx, id);
}

static int calls_attach(struct vfio_device *vdev, u32 *pt_id)
{
	struct slot *slot = slot_of(vdev);

	if (slot->fail[CALLS_FAIL_ATTACH])
		return -slot->fail[CALLS_FAIL_ATTACH];
	return slot->flags & CALLS_PHYSICAL ? vfio_iommufd_physical_attach_ioas(vdev, pt_id) :
					      vfio_iommufd_emulated_attach_ioas(vdev, pt_id);
}
#else
/* Who binds and attaches is iommufd. */
#define calls_bind	NULL
#define calls_attach	NULL
#endif

static int calls_open(struct vfio_device *vdev)
{
	look(slot_of(vdev), vdev, CALLS_IN_OPEN);
	return -slot_of(vdev)->fail[CALLS_FAIL_OPEN];
}

static void calls_close(struct vfio_device *vdev)
{
	look(slot_of(vdev), vdev, CALLS_IN_CLOSE);
}

/* These need no power: a test sees whether the core gave them some. */
static ssize_t calls_read(struct vfio_device *vdev, char __user *buf, size_t count, loff_t *at)
{
	return 0;
}

static long calls_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	look(slot_of(vdev), vdev, CALLS_IN_IOCTL);
	return -ENOTTY;
}

static const struct vfio_device_ops emulated_ops = {
	.name = "vfio-calls",
	.init = calls_init,
	.release = calls_release,
	.bind_iommufd = calls_bind,
	.unbind_iommufd = vfio_iommufd_emulated_unbind,
	.attach_ioas = calls_attach,
	.detach_ioas = vfio_iommufd_emulated_detach_ioas,
	.open_device = calls_open,
	.close_device = calls_close,
	.read = calls_read,
	.ioctl = calls_ioctl,
};

static struct file *calls_set_state(struct vfio_device *vdev, enum vfio_device_mig_state state)
{
	return ERR_PTR(-EINVAL);
}

static int calls_get_state(struct vfio_device *vdev, enum vfio_device_mig_state *state)
{
	*state = VFIO_DEVICE_STATE_RUNNING;
	return 0;
}

static int calls_data_size(struct vfio_device *vdev, unsigned long *length)
{
	*length = 0;
	return 0;
}

static const struct vfio_migration_ops mig_ops = {
	.migration_set_state = calls_set_state,
	.migration_get_state = calls_get_state,
	.migration_get_data_size = calls_data_size,
};

/* ---- its life ---- */

static int do_alloc(struct slot *slot, struct calls_args *args)
{
	struct device *parent = parent_of(args->a);
	struct vfio_device *vdev;
	size_t size;

	if (slot->calls)
		return -EBUSY;
	if (!parent)
		return -ENXIO;
	*slot = (struct slot){
		.ops = emulated_ops,
		.parent = parent,
		.flags = args->flags,
		.init_error = args->b,
	};
	if (args->flags & CALLS_PHYSICAL) {
		slot->ops.unbind_iommufd = vfio_iommufd_physical_unbind;
		slot->ops.detach_ioas = vfio_iommufd_physical_detach_ioas;
		slot->ops.pasid_attach_ioas = vfio_iommufd_physical_pasid_attach_ioas;
		slot->ops.pasid_detach_ioas = vfio_iommufd_physical_pasid_detach_ioas;
	}
	if (args->flags & CALLS_NO_BIND)
		slot->ops.bind_iommufd = NULL;
	if (args->flags & CALLS_NO_UNBIND)
		slot->ops.unbind_iommufd = NULL;
	if (args->flags & CALLS_NO_ATTACH)
		slot->ops.attach_ioas = NULL;
	if (args->flags & CALLS_NO_DETACH)
		slot->ops.detach_ioas = NULL;
	making = slot;
	size = args->flags & CALLS_SHORT ? sizeof(*vdev) - 1 : sizeof(struct calls);
	vdev = _vfio_alloc_device(size, parent, &slot->ops);
	if (IS_ERR(vdev))
		return PTR_ERR(vdev);
	slot->calls = container_of(vdev, struct calls, vdev);
	if (args->flags & CALLS_WITH_MIG) {
		vdev->mig_ops = &mig_ops;
		vdev->migration_flags = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_PRE_COPY;
	}
	return 0;
}

static int do_assign_set(struct slot *slot, u64 set)
{
	int ret;

	if (set >= CALLS_DEVICES)
		return -ENXIO;
	ret = vfio_assign_device_set(&slot->calls->vdev, set ? &sets[set] : NULL);
	if (!ret)
		slot->set = set;
	return ret;
}

static int do_register(struct slot *slot)
{
	int ret;

	if (slot->flags & CALLS_PHYSICAL)
		ret = vfio_register_group_dev(&slot->calls->vdev);
	else
		ret = vfio_register_emulated_iommu_dev(&slot->calls->vdev);
	slot->registered |= !ret;
	return ret;
}

static void do_unregister(struct slot *slot)
{
	mutex_lock(&unregistering);
	if (slot->registered)
		vfio_unregister_group_dev(&slot->calls->vdev);
	slot->registered = false;
	mutex_unlock(&unregistering);
}

static int do_reference(struct slot *slot, bool get)
{
	if (get) {
		if (!vfio_device_try_get_registration(&slot->calls->vdev))
			return 0;
		slot->references++;
		return 1;
	}
	if (!slot->references)
		return -ENXIO;
	slot->references--;
	vfio_device_put_registration(&slot->calls->vdev);
	return 0;
}

static void do_put(struct slot *slot)
{
	struct calls *calls = slot->calls;

	/* What a test that failed has left, and somebody may wait for. */
	while (slot->references)
		do_reference(slot, false);
	do_unregister(slot);
	slot->calls = NULL;
	if (calls)
		vfio_put_device(&calls->vdev);
}

/* ---- its set, its iommufd ---- */

static int do_find(struct slot *slot, struct device *parent)
{
	struct vfio_device_set *set = slot->calls->vdev.dev_set;
	struct vfio_device *found;

	mutex_lock(&set->lock);
	found = vfio_find_device_in_devset(set, parent);
	mutex_unlock(&set->lock);
	return found ? container_of(found, struct calls, vdev)->slot - slots : -ENOENT;
}

#if IS_ENABLED(CONFIG_IOMMUFD)
static int do_dev_id(struct slot *slot, struct calls_args *args)
{
	struct vfio_device *vdev = &slot->calls->vdev;
	struct iommufd_ctx *ictx = iommufd_ctx_from_fd(args->a), *own;
	int ret;

	if (IS_ERR(ictx))
		return PTR_ERR(ictx);
	mutex_lock(&vdev->dev_set->lock);
	own = vfio_iommufd_device_ictx(vdev);
	args->b = !own ? CALLS_NO_ICTX : own == ictx ? CALLS_THIS_ICTX : CALLS_OTHER_ICTX;
	ret = vfio_iommufd_get_dev_id(vdev, ictx);
	mutex_unlock(&vdev->dev_set->lock);
	iommufd_ctx_put(ictx);
	return ret;
}

static int do_op(struct slot *slot, struct calls_args *args)
{
	struct vfio_device *vdev = &slot->calls->vdev;
	u32 pt = args->b;
	int ret = 0;

	mutex_lock(&vdev->dev_set->lock);
	switch (args->a) {
	case CALLS_OP_ATTACH:
		ret = vfio_iommufd_physical_attach_ioas(vdev, &pt);
		break;
	case CALLS_OP_DETACH:
		vfio_iommufd_physical_detach_ioas(vdev);
		break;
	case CALLS_OP_ATTACH_PASID:
		ret = vfio_iommufd_physical_pasid_attach_ioas(vdev, args->c, &pt);
		break;
	case CALLS_OP_DETACH_PASID:
		vfio_iommufd_physical_pasid_detach_ioas(vdev, args->c);
		break;
	case CALLS_OP_EMULATED_UNBIND:
		vfio_iommufd_emulated_unbind(vdev);
		break;
	case CALLS_OP_EMULATED_DETACH:
		vfio_iommufd_emulated_detach_ioas(vdev);
		break;
	default:
		ret = -ENXIO;
	}
	mutex_unlock(&vdev->dev_set->lock);
	return ret;
}
#else
static int do_dev_id(struct slot *slot, struct calls_args *args)
{
	return -EOPNOTSUPP;
}

static int do_op(struct slot *slot, struct calls_args *args)
{
	return -EOPNOTSUPP;
}
#endif

/* ---- helpers that need no device ---- */

static int do_file(struct slot *slot, int fd)
{
	struct file *file = fget(fd);
	struct iommu_group *group;
	int ret = 0;

	if (!file)
		return -EBADF;
	group = IS_ENABLED(CONFIG_VFIO_GROUP) ? vfio_file_iommu_group(file) : NULL;
	if (group)
		iommu_group_put(group);
	/* Of a file that is none of VFIO's it takes no notice. */
	if (!vfio_file_is_valid(file))
		vfio_file_set_kvm(file, NULL);
	ret = (vfio_file_is_valid(file) ? CALLS_IS_VALID : 0) |
	      (vfio_file_enforced_coherent(file) ? CALLS_IS_COHERENT : 0) |
	      (vfio_file_is_group(file) ? CALLS_IS_GROUP : 0) |
	      (slot->calls && vfio_file_has_dev(file, &slot->calls->vdev) ? CALLS_HAS_DEV : 0) |
	      (group ? CALLS_HAS_IOMMU_GROUP : 0);
	fput(file);
	return ret;
}

static int add_cap(struct vfio_info_cap *caps, const struct calls_cap *cap, bool body)
{
	struct vfio_info_cap_header *header;
	int ret;

	if (cap->size < sizeof(*header) || cap->size > PAGE_SIZE)
		return -ENXIO;
	if (!body) {
		header = vfio_info_cap_add(caps, cap->size, cap->id, cap->version);
		return PTR_ERR_OR_ZERO(header);
	}
	header = kmalloc(cap->size, GFP_KERNEL);
	if (!header)
		return -ENOMEM;
	memset(header, 0xab, cap->size);
	header->id = cap->id;
	header->version = cap->version;
	ret = vfio_info_add_capability(caps, header, cap->size);
	kfree(header);
	return ret;
}

static int do_caps(struct calls_args *args)
{
	struct calls_cap __user *from = u64_to_user_ptr(args->ptr);
	struct vfio_info_cap caps = {};
	struct calls_cap cap;
	int i, ret = 0;

	for (i = 0; i < args->b && !ret; i++) {
		if (copy_from_user(&cap, from + i, sizeof(cap)))
			ret = -EFAULT;
		else
			ret = add_cap(&caps, &cap, args->flags & CALLS_CAPS_BODY);
	}
	if (!ret && args->flags & CALLS_CAPS_SHIFT)
		vfio_info_cap_shift(&caps, args->c);
	args->c = !caps.buf && !caps.size;
	if (!ret && copy_to_user(u64_to_user_ptr(args->a), caps.buf, caps.size))
		ret = -EFAULT;
	kfree(caps.buf);
	return ret ? ret : caps.size;
}

static int do_irqs(struct calls_args *args)
{
	struct vfio_irq_set hdr;
	size_t size = args->c;
	int ret;

	if (copy_from_user(&hdr, u64_to_user_ptr(args->ptr), sizeof(hdr)))
		return -EFAULT;
	ret = vfio_set_irqs_validate_and_prepare(&hdr, args->a, args->b,
						 args->c == ~0ULL ? NULL : &size);
	args->c = size;
	return ret;
}

static int do_region(u64 major, u64 minor)
{
	int ret = register_chrdev_region(MKDEV(major, minor), 1, "vfio-calls");

	if (!ret)
		unregister_chrdev_region(MKDEV(major, minor), 1);
	return ret;
}

static int do_group(struct device *parent, bool add)
{
	struct iommu_group *group;
	int ret;

	if (!add) {
		iommu_group_remove_device(parent);
		return 0;
	}
	group = iommu_group_alloc();
	if (IS_ERR(group))
		return PTR_ERR(group);
	ret = iommu_group_add_device(group, parent);
	/* The device's from now on. */
	iommu_group_put(group);
	return ret;
}

/* ---- the parents ---- */

static int parent_suspend(struct device *dev)
{
	return 0;
}

static int parent_resume(struct device *dev)
{
	if (resume_error)
		return -resume_error;
	resumes++;
	return 0;
}

static const struct dev_pm_ops parent_pm = {
	RUNTIME_PM_OPS(parent_suspend, parent_resume, NULL)
};

static struct platform_driver parent_driver = {
	.driver = {
		.name = "vfio-calls",
		.pm = &parent_pm,
	},
	.driver_managed_dma = true,
};

static void put_all_of(struct device *parent)
{
	for (int i = 0; i < CALLS_DEVICES; i++)
		if (!parent || slots[i].parent == parent)
			do_put(&slots[i]);
}

static int do_pm(struct calls_args *args)
{
	for (int i = 0; i < CALLS_PLATFORM; i++) {
		/* What has failed once fails until it is told otherwise. */
		pm_runtime_disable(&platform[i]->dev);
		pm_runtime_set_suspended(&platform[i]->dev);
		pm_runtime_enable(&platform[i]->dev);
	}
	parent_driver.driver.pm = args->flags ? &parent_pm : NULL;
	resume_error = args->a;
	return 0;
}

static int calls_probe(struct pci_dev *dev, const struct pci_device_id *id)
{
	if (pci)
		return -EBUSY;
	pci = dev;
	return 0;
}

static void calls_remove(struct pci_dev *dev)
{
	put_all_of(&dev->dev);
	pci = NULL;
}

static const struct pci_device_id pci_table[] = {
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(PCI_ANY_ID, PCI_ANY_ID) },
	{}
};

static struct pci_driver calls_pci_driver = {
	.name = "vfio-calls",
	.id_table = pci_table,
	.probe = calls_probe,
	.remove = calls_remove,
	.driver_managed_dma = true,
};

/* ---- commands ---- */

static int do_device(unsigned int cmd, struct slot *slot, struct calls_args *args)
{
	if (!slot->calls)
		return -ENODEV;
	switch (cmd) {
	case CALLS_ASSIGN_SET:
		return do_assign_set(slot, args->a);
	case CALLS_REGISTER:
		return do_register(slot);
	case CALLS_PUT:
		do_put(slot);
		return 0;
	case CALLS_GET_REGISTRATION:
	case CALLS_PUT_REGISTRATION:
		return do_reference(slot, cmd == CALLS_GET_REGISTRATION);
	case CALLS_FIND:
		return do_find(slot, parent_of(args->a));
	case CALLS_DEV_ID:
		return do_dev_id(slot, args);
	case CALLS_OP:
		return do_op(slot, args);
	case CALLS_FAIL:
		if (args->a >= CALLS_FAILS)
			return -ENXIO;
		slot->fail[args->a] = args->b;
		return 0;
	}
	return -ENOTTY;
}

static int do_command(unsigned int cmd, struct slot *slot, struct calls_args *args)
{
	switch (cmd) {
	case CALLS_ALLOC:
		return do_alloc(slot, args);
	case CALLS_SEEN:
		if (args->a >= CALLS_WHENS)
			return -ENXIO;
		if (args->a == CALLS_NOW && slot->calls)
			look(slot, &slot->calls->vdev, CALLS_NOW);
		return copy_to_user(u64_to_user_ptr(args->ptr), &slot->seen[args->a],
				    sizeof(*slot->seen)) ? -EFAULT : 0;
	case CALLS_FILE:
		return do_file(slot, args->a);
	case CALLS_CAPS:
		return do_caps(args);
	case CALLS_IRQS:
		return do_irqs(args);
	case CALLS_PM:
		return do_pm(args);
	case CALLS_REGION:
		return do_region(args->a, args->b);
	case CALLS_GROUP:
		return args->a < CALLS_PLATFORM ? do_group(parent_of(args->a), args->flags) : -ENXIO;
	}
	return do_device(cmd, slot, args);
}

static long calls_control(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct calls_args __user *user = (void __user *)arg;
	struct calls_args args;
	int ret = 0;

	if (copy_from_user(&args, user, sizeof(args)))
		return -EFAULT;
	if (args.device >= CALLS_DEVICES)
		return -ENXIO;
	if (cmd == CALLS_UNREGISTER) {
		/* Waits for files that are closed, and references that are put. */
		do_unregister(&slots[args.device]);
		return 0;
	}
	mutex_lock(&lock);
	ret = do_command(cmd, &slots[args.device], &args);
	mutex_unlock(&lock);
	return copy_to_user(user, &args, sizeof(args)) ? -EFAULT : ret;
}

static const struct file_operations calls_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = calls_control,
};

static struct miscdevice calls_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "vfio-calls",
	.fops = &calls_fops,
};

static void remove_parents(void)
{
	for (int i = 0; i < CALLS_PLATFORM; i++) {
		if (IS_ERR_OR_NULL(platform[i]))
			continue;
		pm_runtime_disable(&platform[i]->dev);
		platform_device_unregister(platform[i]);
	}
	platform_driver_unregister(&parent_driver);
}

static int __init calls_module_init(void)
{
	int ret = platform_driver_register(&parent_driver);

	if (ret)
		return ret;
	for (int i = 0; i < CALLS_PLATFORM; i++) {
		platform[i] = platform_device_register_simple("vfio-calls", i, NULL, 0);
		ret = PTR_ERR_OR_ZERO(platform[i]);
		if (ret)
			goto err;
		pm_runtime_enable(&platform[i]->dev);
	}
	ret = pci_register_driver(&calls_pci_driver);
	if (ret)
		goto err;
	ret = misc_register(&calls_misc);
	if (!ret)
		return 0;
	pci_unregister_driver(&calls_pci_driver);
err:
	remove_parents();
	return ret;
}
module_init(calls_module_init);

/* Keeps the module going away, with its devices. */
static bool hold_exit;
module_param(hold_exit, bool, 0644);

static void __exit calls_module_exit(void)
{
	misc_deregister(&calls_misc);
	while (READ_ONCE(hold_exit))
		msleep(20);
	put_all_of(NULL);
	pci_unregister_driver(&calls_pci_driver);
	remove_parents();
}
module_exit(calls_module_exit);

MODULE_IMPORT_NS("IOMMUFD");
MODULE_DESCRIPTION("Calls of the VFIO core, one by one, for tests of it");
MODULE_LICENSE("GPL");
