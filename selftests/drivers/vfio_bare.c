// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VFIO driver with as little as the core lets it have: the four operations that
 * iommufd asks for, and nothing else.  What the core does on its own account, for
 * want of an operation or of a device set, can be seen on its devices.
 *
 * It takes PCI devices, and the crowd of soft_iommu.ko.
 */
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/vfio.h>

static const struct vfio_device_ops bare_ops = {
	.name = "vfio-bare",
	.bind_iommufd = vfio_iommufd_physical_bind,
	.unbind_iommufd = vfio_iommufd_physical_unbind,
	.attach_ioas = vfio_iommufd_physical_attach_ioas,
	.detach_ioas = vfio_iommufd_physical_detach_ioas,
};

struct bare {
	struct vfio_device vdev;
};

/* Devices that come from now on share a set, which they do not leave to the core. */
static bool one_set;
module_param(one_set, bool, 0644);

/* ... and have an operation that looks at their names, which the core would do. */
static bool match;
module_param(match, bool, 0644);

static int bare_match(struct vfio_device *vdev, char *name)
{
	return !strcmp(dev_name(vdev->dev), name);
}

static struct vfio_device_ops match_ops;

static int bare_add(struct device *dev)
{
	struct bare *bare;
	int ret = 0;

	bare = vfio_alloc_device(bare, vdev, dev, match ? &match_ops : &bare_ops);
	if (IS_ERR(bare))
		return PTR_ERR(bare);
	dev_set_drvdata(dev, bare);
	if (one_set)
		ret = vfio_assign_device_set(&bare->vdev, &one_set);
	if (!ret)
		ret = vfio_register_group_dev(&bare->vdev);
	if (ret)
		vfio_put_device(&bare->vdev);
	return ret;
}

static void bare_del(struct device *dev)
{
	struct bare *bare = dev_get_drvdata(dev);

	vfio_unregister_group_dev(&bare->vdev);
	vfio_put_device(&bare->vdev);
}

static int bare_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	return bare_add(&pdev->dev);
}

static void bare_remove(struct pci_dev *pdev)
{
	bare_del(&pdev->dev);
}

static int bare_platform_probe(struct platform_device *pdev)
{
	return bare_add(&pdev->dev);
}

static void bare_platform_remove(struct platform_device *pdev)
{
	bare_del(&pdev->dev);
}

static const struct pci_device_id bare_table[] = {
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(PCI_ANY_ID, PCI_ANY_ID) },
	{}
};

static struct pci_driver bare_driver = {
	.name = "vfio-bare",
	.id_table = bare_table,
	.probe = bare_probe,
	.remove = bare_remove,
	.driver_managed_dma = true,
};

static struct platform_driver bare_platform_driver = {
	.driver.name = "vfio-bare",
	.probe = bare_platform_probe,
	.remove = bare_platform_remove,
	.driver_managed_dma = true,
};

static int __init bare_init(void)
{
	int ret;

	match_ops = bare_ops;
	match_ops.match = bare_match;
	ret = pci_register_driver(&bare_driver);
	if (ret)
		return ret;
	ret = platform_driver_register(&bare_platform_driver);
	if (ret)
		pci_unregister_driver(&bare_driver);
	return ret;
}
module_init(bare_init);

static void __exit bare_exit(void)
{
	platform_driver_unregister(&bare_platform_driver);
	pci_unregister_driver(&bare_driver);
}
module_exit(bare_exit);

MODULE_DESCRIPTION("A VFIO driver with no operations, for tests of the core");
MODULE_LICENSE("GPL");
