// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver of QEMU's edu for the inner guest.  Each file in the folder edu/ of the
 * device is a test: to read it is to run it, and it says "ok" or what went wrong.
 */
#include <linux/completion.h>
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/random.h>

#define EDU_ID		0x00
#define EDU_LIVE	0x04	/* reads back inverted */
#define EDU_FACTORIAL	0x08
#define EDU_STATUS	0x20
#define EDU_IRQ_STATUS	0x24
#define EDU_IRQ_RAISE	0x60
#define EDU_IRQ_ACK	0x64
#define EDU_DMA_SRC	0x80
#define EDU_DMA_DST	0x88
#define EDU_DMA_COUNT	0x90
#define EDU_DMA_CMD	0x98
#define EDU_BUFFER	0x40000
#define EDU_BUFFER_SIZE	4096

#define STATUS_COMPUTING	0x01
#define DMA_RUN			0x01
#define DMA_TO_RAM		0x02
#define DMA_IRQ			0x04
#define IRQ_OF_DMA		0x100

/* What takes so long has failed. */
#define PATIENCE	(120 * HZ)

/* Enough that an interrupt which is not armed again shows. */
#define INTERRUPTS	20

struct edu {
	struct pci_dev *pdev;
	void __iomem *bar;
	struct mutex lock;	/* one test at a time */
	struct completion irq;
	u32 irq_status;
};

static irqreturn_t edu_irq(int irq, void *data)
{
	struct edu *edu = data;
	u32 status = ioread32(edu->bar + EDU_IRQ_STATUS);

	if (!status)
		return IRQ_NONE;
	edu->irq_status = status;
	iowrite32(status, edu->bar + EDU_IRQ_ACK);
	complete(&edu->irq);
	return IRQ_HANDLED;
}

/* Each test returns what went wrong, or NULL. */

static const char *edu_mmio(struct edu *edu)
{
	unsigned long end = jiffies + PATIENCE;

	if (ioread32(edu->bar + EDU_ID) != 0x010000ed)
		return "the identification is not edu's";
	for (int i = 0; i < 8; i++) {
		u32 value = get_random_u32();

		iowrite32(value, edu->bar + EDU_LIVE);
		if (ioread32(edu->bar + EDU_LIVE) != ~value)
			return "the liveness register does not invert";
	}
	iowrite32(10, edu->bar + EDU_FACTORIAL);
	while (ioread32(edu->bar + EDU_STATUS) & STATUS_COMPUTING) {
		if (time_after(jiffies, end))
			return "the factorial does not end";
		cond_resched();
	}
	if (ioread32(edu->bar + EDU_FACTORIAL) != 3628800)
		return "the factorial is wrong";
	return NULL;
}

static const char *edu_interrupts(struct edu *edu)
{
	for (int i = 0; i < INTERRUPTS; i++) {
		/* The bit of DMA aside, edu does not care what is raised. */
		u32 value = (get_random_u32() & 0xff) | 0x1000;

		reinit_completion(&edu->irq);
		iowrite32(value, edu->bar + EDU_IRQ_RAISE);
		if (!wait_for_completion_timeout(&edu->irq, PATIENCE))
			return i ? "a later interrupt did not come" :
				   "the first interrupt did not come";
		if (edu->irq_status != value)
			return "the interrupt brought another status";
	}
	return NULL;
}

static const char *edu_transfer(struct edu *edu, u64 src, u64 dst, u32 count,
				u32 command)
{
	reinit_completion(&edu->irq);
	writeq(src, edu->bar + EDU_DMA_SRC);
	writeq(dst, edu->bar + EDU_DMA_DST);
	writeq(count, edu->bar + EDU_DMA_COUNT);
	writeq(command | DMA_RUN | DMA_IRQ, edu->bar + EDU_DMA_CMD);
	if (!wait_for_completion_timeout(&edu->irq, PATIENCE))
		return "the interrupt at the end of DMA did not come";
	if (edu->irq_status != IRQ_OF_DMA)
		return "the interrupt is not that of DMA";
	return NULL;
}

/* Memory to the device, and from there to other memory. */
static const char *edu_round_trip(struct edu *edu, void *buf, dma_addr_t dma,
				  u32 count)
{
	void *back = buf + EDU_BUFFER_SIZE;
	const char *wrong;

	get_random_bytes(buf, count);
	memset(back, 0, EDU_BUFFER_SIZE);
	wrong = edu_transfer(edu, dma, EDU_BUFFER, count, 0);
	if (wrong)
		return wrong;
	wrong = edu_transfer(edu, EDU_BUFFER, dma + EDU_BUFFER_SIZE, count,
			     DMA_TO_RAM);
	if (wrong)
		return wrong;
	if (memcmp(buf, back, count))
		return "DMA brought back other data";
	if (memchr_inv(back + count, 0, EDU_BUFFER_SIZE - count))
		return "DMA wrote more than it was told to";
	return NULL;
}

static const char *edu_dma(struct edu *edu)
{
	static const u32 counts[] = { 4, 512, EDU_BUFFER_SIZE };
	const char *wrong = NULL;
	dma_addr_t dma;
	void *buf;

	buf = dma_alloc_coherent(&edu->pdev->dev, 2 * EDU_BUFFER_SIZE, &dma,
				 GFP_KERNEL);
	if (!buf)
		return "no memory";
	for (int i = 0; !wrong && i < ARRAY_SIZE(counts); i++)
		wrong = edu_round_trip(edu, buf, dma, counts[i]);
	/* A transfer that did not end may still write there. */
	if (!wrong)
		dma_free_coherent(&edu->pdev->dev, 2 * EDU_BUFFER_SIZE, buf, dma);
	return wrong;
}

static ssize_t run(struct device *dev, char *text, unsigned int irqs,
		   const char *(*test)(struct edu *edu))
{
	struct edu *edu = dev_get_drvdata(dev);
	const char *wrong;

	guard(mutex)(&edu->lock);
	if (irqs) {
		if (pci_alloc_irq_vectors(edu->pdev, 1, 1, irqs) != 1)
			return sysfs_emit(text, "there is no such interrupt\n");
		if (request_irq(pci_irq_vector(edu->pdev, 0), edu_irq, 0, "edu", edu)) {
			pci_free_irq_vectors(edu->pdev);
			return sysfs_emit(text, "the interrupt cannot be had\n");
		}
	}
	wrong = test(edu);
	if (irqs) {
		free_irq(pci_irq_vector(edu->pdev, 0), edu);
		pci_free_irq_vectors(edu->pdev);
	}
	return sysfs_emit(text, "%s\n", wrong ?: "ok");
}

static ssize_t mmio_show(struct device *dev, struct device_attribute *attr,
			 char *text)
{
	return run(dev, text, 0, edu_mmio);
}
static DEVICE_ATTR_ADMIN_RO(mmio);

static ssize_t intx_show(struct device *dev, struct device_attribute *attr,
			 char *text)
{
	return run(dev, text, PCI_IRQ_INTX, edu_interrupts);
}
static DEVICE_ATTR_ADMIN_RO(intx);

static ssize_t msi_show(struct device *dev, struct device_attribute *attr,
			char *text)
{
	return run(dev, text, PCI_IRQ_MSI, edu_interrupts);
}
static DEVICE_ATTR_ADMIN_RO(msi);

static ssize_t dma_show(struct device *dev, struct device_attribute *attr,
			char *text)
{
	return run(dev, text, PCI_IRQ_MSI, edu_dma);
}
static DEVICE_ATTR_ADMIN_RO(dma);

static struct attribute *edu_attrs[] = {
	&dev_attr_mmio.attr,
	&dev_attr_intx.attr,
	&dev_attr_msi.attr,
	&dev_attr_dma.attr,
	NULL
};

static const struct attribute_group edu_group = {
	.name = "edu",
	.attrs = edu_attrs,
};
__ATTRIBUTE_GROUPS(edu);

static int edu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct edu *edu;
	int ret;

	edu = devm_kzalloc(&pdev->dev, sizeof(*edu), GFP_KERNEL);
	if (!edu)
		return -ENOMEM;
	edu->pdev = pdev;
	mutex_init(&edu->lock);
	init_completion(&edu->irq);
	ret = pcim_enable_device(pdev);
	if (ret)
		return ret;
	edu->bar = pcim_iomap_region(pdev, 0, "edu");
	if (IS_ERR(edu->bar))
		return PTR_ERR(edu->bar);
	ret = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (ret)
		return ret;
	pci_set_master(pdev);
	pci_set_drvdata(pdev, edu);
	return 0;
}

static const struct pci_device_id edu_ids[] = {
	{ PCI_DEVICE(0x1234, 0x11e8) },
	{ }
};
MODULE_DEVICE_TABLE(pci, edu_ids);

static struct pci_driver edu_driver = {
	.name = "guest_edu",
	.id_table = edu_ids,
	.probe = edu_probe,
	.dev_groups = edu_groups,
};
module_pci_driver(edu_driver);

MODULE_DESCRIPTION("Tests of QEMU's edu from inside of a guest");
MODULE_LICENSE("GPL");
