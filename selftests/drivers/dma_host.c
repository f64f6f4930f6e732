// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two drivers of the host that take any PCI device that is given to them by name, and
 * leave it alone.  To the owner of a group's DMA it matters what they say of themselves:
 * the one leaves DMA to the kernel, as almost every driver does, the other manages it by
 * itself, which for a driver that starts none means that there is none.
 */
#include <linux/module.h>
#include <linux/pci.h>

static int host_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	return 0;
}

static struct pci_driver host_driver = {
	.name = "dma-host",
	.probe = host_probe,
};

static struct pci_driver managed_driver = {
	.name = "dma-managed",
	.probe = host_probe,
	.driver_managed_dma = true,
};

static int __init host_init(void)
{
	int ret = pci_register_driver(&host_driver);

	if (ret)
		return ret;
	ret = pci_register_driver(&managed_driver);
	if (ret)
		pci_unregister_driver(&host_driver);
	return ret;
}

static void __exit host_exit(void)
{
	pci_unregister_driver(&managed_driver);
	pci_unregister_driver(&host_driver);
}

module_init(host_init);
module_exit(host_exit);

MODULE_DESCRIPTION("Drivers of the host that use nothing, for tests of DMA ownership");
MODULE_LICENSE("GPL");
