// SPDX-License-Identifier: GPL-2.0-only
/*
 * An IOMMU of one device, neither of which exists: what a real one cannot be asked to
 * lack, this one lacks when a test says so.  The device is a platform device that the
 * driver of vfio_calls.ko takes.  And a crowd of other such devices, all in one group,
 * which the driver of vfio_bare.ko takes.
 *
 * For machines without another IOMMU: it is offered all devices of which no firmware
 * says whose they are, as the first of its kind is.
 */
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/platform_device.h>

#include "vfio_calls.h"

static bool coherent = true, enforces, in_use;

/* DMA is coherent with the caches of the CPUs; whatever the device says of it. */
module_param(coherent, bool, 0644);
module_param(enforces, bool, 0644);

static struct platform_device *hardware, *client;
/* As many of them as there are, from the first on. */
static struct platform_device *crowd[1024];
static unsigned int crowded;
static struct iommu_device iommu;

static int soft_attach(struct iommu_domain *domain, struct device *dev, struct iommu_domain *old)
{
	return 0;
}

static const struct iommu_domain_ops domain_ops = {
	.attach_dev = soft_attach,
};

static struct iommu_domain identity_domain = {
	.type = IOMMU_DOMAIN_IDENTITY,
	.ops = &domain_ops,
};

static struct iommu_domain blocked_domain = {
	.type = IOMMU_DOMAIN_BLOCKED,
	.ops = &domain_ops,
};

static bool soft_capable(struct device *dev, enum iommu_cap cap)
{
	if (cap == IOMMU_CAP_CACHE_COHERENCY)
		return coherent;
	return cap == IOMMU_CAP_ENFORCE_CACHE_COHERENCY && enforces;
}

static struct iommu_device *soft_probe(struct device *dev)
{
	bool ours = client && dev == &client->dev;

	ours |= crowded < ARRAY_SIZE(crowd) && crowd[crowded] && dev == &crowd[crowded]->dev;
	return ours ? &iommu : ERR_PTR(-ENODEV);
}

static struct iommu_group *soft_group(struct device *dev)
{
	return client && dev == &client->dev ? generic_device_group(dev) :
					       generic_single_device_group(dev);
}

static const struct iommu_ops soft_ops = {
	.owner = THIS_MODULE,
	.capable = soft_capable,
	.probe_device = soft_probe,
	.device_group = soft_group,
	.default_domain = &identity_domain,
	.identity_domain = &identity_domain,
	.blocked_domain = &blocked_domain,
};

/* The device does DMA for somebody else: its domain is not the one it began with. */
static int set_in_use(const char *value, const struct kernel_param *param)
{
	bool before = in_use;
	int ret = param_set_bool(value, param);

	if (ret || in_use == before || !client)
		return ret;
	if (!in_use) {
		iommu_detach_device(&blocked_domain, &client->dev);
		return 0;
	}
	ret = iommu_attach_device(&blocked_domain, &client->dev);
	in_use = !ret;
	return ret;
}

static const struct kernel_param_ops in_use_ops = {
	.set = set_in_use,
	.get = param_get_bool,
};
module_param_cb(in_use, &in_use_ops, &in_use, 0644);

/* The device comes and goes: while it is there, it holds this module. */
static int set_present(const char *value, const struct kernel_param *param)
{
	bool wanted;
	int ret = kstrtobool(value, &wanted);

	if (ret || wanted == !!client)
		return ret;
	if (!wanted) {
		platform_device_unregister(client);
		client = NULL;
		in_use = false;
		return 0;
	}
	client = platform_device_alloc(CALLS_SOFT_IOMMU_NAME, CALLS_SOFT_IOMMU);
	ret = client ? platform_device_add(client) : -ENOMEM;
	if (ret) {
		platform_device_put(client);
		client = NULL;
	}
	return ret;
}

static const struct kernel_param_ops present_ops = {
	.set = set_present,
};
module_param_cb(present, &present_ops, NULL, 0200);

/* How many are in the crowd: they come and go at its end. */
static int set_crowd(const char *value, const struct kernel_param *param)
{
	unsigned int wanted;
	int ret = kstrtouint(value, 0, &wanted);

	if (ret || wanted > ARRAY_SIZE(crowd))
		return ret ? ret : -EINVAL;
	while (crowded > wanted)
		platform_device_unregister(crowd[--crowded]);
	while (crowded < wanted) {
		struct platform_device *next = platform_device_alloc("vfio-bare", crowded);

		/* Found by soft_probe(). */
		crowd[crowded] = next;
		ret = next ? platform_device_add(next) : -ENOMEM;
		if (ret) {
			crowd[crowded] = NULL;
			platform_device_put(next);
			return ret;
		}
		crowded++;
	}
	return 0;
}

static const struct kernel_param_ops crowd_ops = {
	.set = set_crowd,
	.get = param_get_uint,
};
module_param_cb(crowd, &crowd_ops, &crowded, 0644);

static int __init soft_init(void)
{
	struct platform_device_info info = {
		.name = "soft-iommu",
		.id = PLATFORM_DEVID_NONE,
	};
	int ret;

	hardware = platform_device_register_full(&info);
	if (IS_ERR(hardware))
		return PTR_ERR(hardware);
	ret = iommu_device_sysfs_add(&iommu, &hardware->dev, NULL, "soft-iommu");
	if (ret)
		goto err_hardware;
	ret = iommu_device_register(&iommu, &soft_ops, NULL);
	if (!ret)
		return 0;
	iommu_device_sysfs_remove(&iommu);
err_hardware:
	platform_device_unregister(hardware);
	return ret;
}
module_init(soft_init);

static void __exit soft_exit(void)
{
	while (crowded)
		platform_device_unregister(crowd[--crowded]);
	iommu_device_unregister(&iommu);
	iommu_device_sysfs_remove(&iommu);
	platform_device_unregister(hardware);
}
module_exit(soft_exit);

MODULE_DESCRIPTION("An IOMMU that is not there, for tests of the VFIO core");
MODULE_LICENSE("GPL");
