// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VFIO driver with as little as the core lets it have: the four operations that
 * iommufd asks for, and nothing else.  What the core does on its own account, for
 * want of an operation or of a device set, can be seen on its devices.
 */
#include <linux/module.h>
#include <linux/pci.h>
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

static int bare_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct bare *bare;
	int ret;

	bare = vfio_alloc_device(bare, vdev, &pdev->dev, &bare_ops);
	if (IS_ERR(bare))
		return PTR_ERR(bare);
	dev_set_drvdata(&pdev->dev, bare);
	ret = vfio_register_group_dev(&bare->vdev);
	if (ret)
		vfio_put_device(&bare->vdev);
	return ret;
}

static void bare_remove(struct pci_dev *pdev)
{
	struct bare *bare = dev_get_drvdata(&pdev->dev);

	vfio_unregister_group_dev(&bare->vdev);
	vfio_put_device(&bare->vdev);
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
module_pci_driver(bare_driver);

MODULE_DESCRIPTION("A VFIO driver with no operations, for tests of the core");
MODULE_LICENSE("GPL");
