// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VFIO driver for the devices of iommufd's mock IOMMU (CONFIG_IOMMUFD_TEST), which are
 * made by an ioctl on an iommufd, have neither registers nor DMA, and are behind an
 * IOMMU that nests.  That IOMMU says what is attached where.
 *
 * Their bus matches every device with every driver, and has no name that is exported:
 * the first device has to be there when the module is loaded, and leads to its bus.
 */
#include <linux/device.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/vfio.h>

static char *device = "iommufd_mock0";
module_param(device, charp, 0444);
MODULE_PARM_DESC(device, "a mock device that is there");

/* There is nothing to ask of it: that is the device's answer, not the core's. */
static long mock_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	return -ENOTTY;
}

static const struct vfio_device_ops mock_ops = {
	.name = "vfio-mock",
	.ioctl = mock_ioctl,
	.bind_iommufd = vfio_iommufd_physical_bind,
	.unbind_iommufd = vfio_iommufd_physical_unbind,
	.attach_ioas = vfio_iommufd_physical_attach_ioas,
	.detach_ioas = vfio_iommufd_physical_detach_ioas,
	.pasid_attach_ioas = vfio_iommufd_physical_pasid_attach_ioas,
	.pasid_detach_ioas = vfio_iommufd_physical_pasid_detach_ioas,
};

struct mock {
	struct vfio_device vdev;
};

static int mock_probe(struct device *dev)
{
	struct mock *mock = vfio_alloc_device(mock, vdev, dev, &mock_ops);
	int ret;

	if (IS_ERR(mock))
		return PTR_ERR(mock);
	dev_set_drvdata(dev, mock);
	ret = vfio_register_group_dev(&mock->vdev);
	if (ret)
		vfio_put_device(&mock->vdev);
	return ret;
}

static int mock_remove(struct device *dev)
{
	struct mock *mock = dev_get_drvdata(dev);

	vfio_unregister_group_dev(&mock->vdev);
	vfio_put_device(&mock->vdev);
	return 0;
}

static struct device_driver mock_driver = {
	.name = "vfio-mock",
	.owner = THIS_MODULE,
	.probe = mock_probe,
	.remove = mock_remove,
};

/* The bus stays as long as iommufd.ko does, which vfio.ko holds and we hold that. */
static const struct bus_type *bus_of(const char *name)
{
	/* Where all devices are that have a name in /sys/devices. */
	struct kobject *kobj = kset_find_obj(platform_bus.kobj.kset, name);
	const struct bus_type *bus;

	if (!kobj)
		return NULL;
	bus = kobj_to_dev(kobj)->bus;
	kobject_put(kobj);
	return bus && !strcmp(bus->name, "iommufd_mock") ? bus : NULL;
}

static int __init mock_init(void)
{
	mock_driver.bus = bus_of(device);
	return mock_driver.bus ? driver_register(&mock_driver) : -ENODEV;
}
module_init(mock_init);

static void __exit mock_exit(void)
{
	driver_unregister(&mock_driver);
}
module_exit(mock_exit);

MODULE_DESCRIPTION("VFIO on iommufd's mock devices, for tests of the core");
MODULE_LICENSE("GPL");
