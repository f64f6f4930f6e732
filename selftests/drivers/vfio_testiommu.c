// SPDX-License-Identifier: GPL-2.0-only
/*
 * Drivers for containers that map nothing.  They note what the core called, and fail when
 * they are told to.  A test talks to them by the module's parameters:
 *
 *   register, unregister   number of a driver, -1: NULL; the errno is the core's
 *   open_error             one errno for each driver, 0: none
 *   attach_error           the errno of attach_group, once attach_good of them went well
 *   hold                   an ioctl HOLD waits as long as this is Y
 *   hold_attach            attach_group waits as long as this is Y
 *   hold_detach            detach_group waits as long as this is Y
 *   held                   how many are waiting
 *   log                    what was called; written to, it is empty again
 */
#include <linux/iommu.h>
#include <linux/moduleparam.h>
#include <linux/module.h>
#include <linux/wait.h>

/* The kernel's own, of drivers/vfio/. */
#include "vfio.h"

/*
 * 0 and 1 can do everything, 2 only what it must, 3 and 4 are none: they have one half of
 * a pair.
 */
#define DRIVERS		5

/* Extensions: all drivers have ANY, the n-th has OWN + n, and one is answered by an error. */
#define ANY		1000
#define OWN		1001
#define BROKEN		1099

/* An ioctl that returns its argument, and one that waits. */
#define ECHO		_IO(VFIO_TYPE, VFIO_BASE + 90)
#define HOLD		_IO(VFIO_TYPE, VFIO_BASE + 91)

static int open_error[DRIVERS];
module_param_array(open_error, int, NULL, 0600);
static int attach_error;
module_param(attach_error, int, 0600);
static int attach_good;
module_param(attach_good, int, 0600);
/* Has the device's driver unpin while the device is unregistered, as an unmap in that moment would. */
static bool unpin_late;
module_param(unpin_late, bool, 0600);
static bool hold, hold_attach, hold_detach;
static int held;
module_param(held, int, 0400);

static DECLARE_WAIT_QUEUE_HEAD(hold_wait);
static DEFINE_SPINLOCK(log_lock);
static char log[PAGE_SIZE - 1];
static size_t logged;

/* What open() hands out.  Never freed: a core that uses one too long does no harm. */
struct instance {
	int driver;
	bool live;
};

static struct instance instances[4096];
static int opened;

static __printf(1, 2) void note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	spin_lock(&log_lock);
	if (logged)
		logged += scnprintf(log + logged, sizeof(log) - logged, " ");
	logged += vscnprintf(log + logged, sizeof(log) - logged, format, args);
	spin_unlock(&log_lock);
	va_end(args);
}

/* Who is called, in the log: a dead instance is marked. */
static const char *who(void *data)
{
	static const char *const live[DRIVERS] = { "0", "1", "2", "3", "4" };
	struct instance *instance = data;

	return instance->live ? live[instance->driver] : "dead";
}

/* ---- the callbacks ---- */

static void *open_of(int driver, unsigned long arg)
{
	struct instance *instance;

	note("%d.open(%lu)", driver, arg);
	if (open_error[driver])
		return ERR_PTR(-open_error[driver]);
	if (opened == ARRAY_SIZE(instances))
		return ERR_PTR(-ENOSPC);
	instance = &instances[opened++];
	instance->driver = driver;
	instance->live = true;
	return instance;
}

static long check_of(int driver, unsigned long arg)
{
	if (arg == BROKEN)
		return -EBADSLT;
	return arg == ANY || arg == OWN + driver ? driver + 1 : 0;
}

static long wait_held(const bool *by)
{
	int ret;

	held++;
	ret = wait_event_killable(hold_wait, !READ_ONCE(*by));
	held--;
	return ret;
}

static long ioctl_of(int driver, void *data, unsigned int cmd, unsigned long arg)
{
	long ret = -ENOTTY;

	if (!data)
		return cmd == VFIO_CHECK_EXTENSION ? check_of(driver, arg) : -ENODATA;
	if (cmd == VFIO_CHECK_EXTENSION)
		return check_of(driver, arg);
	if (cmd == ECHO)
		ret = arg;
	if (cmd == HOLD) {
		ret = wait_held(&hold);
		note("%s.held", who(data));
	}
	return ret;
}

static void td_release(void *data)
{
	struct instance *instance = data;

	note("%s.release", who(data));
	instance->live = false;
}

static int td_attach(void *data, struct iommu_group *group, enum vfio_group_type type)
{
	note("%s.attach(%d,%d)", who(data), iommu_group_id(group), type);
	wait_held(&hold_attach);
	if (attach_good) {
		attach_good--;
		return 0;
	}
	return -attach_error;
}

static void td_detach(void *data, struct iommu_group *group)
{
	note("%s.detach(%d)", who(data), iommu_group_id(group));
	wait_held(&hold_detach);
}

static int td_pin(void *data, struct iommu_group *group, dma_addr_t iova, int npage,
		  int prot, struct page **pages)
{
	note("%s.pin(%d,%llx,%d,%d)", who(data), iommu_group_id(group), iova, npage, prot);
	return -EBADSLT;
}

static void td_unpin(void *data, dma_addr_t iova, int npage)
{
	note("%s.unpin(%llx,%d)", who(data), iova, npage);
}

static void td_register(void *data, struct vfio_device *vdev)
{
	note("%s.register(%s,%u)", who(data), dev_name(vdev->dev), vdev->open_count);
}

static void td_unregister(void *data, struct vfio_device *vdev)
{
	note("%s.unregister(%s,%u)", who(data), dev_name(vdev->dev), vdev->open_count);
	if (unpin_late)
		vfio_unpin_pages(vdev, PAGE_SIZE, 1);
}

static int td_rw(void *data, dma_addr_t iova, void *buffer, size_t count, bool write)
{
	note("%s.rw(%llx,%zu,%d)", who(data), iova, count, write);
	return -EBADSLT;
}

#define CALLBACKS(n)							\
static void *td_open_##n(unsigned long arg)				\
{									\
	return open_of(n, arg);						\
}									\
									\
static long td_ioctl_##n(void *data, unsigned int cmd, unsigned long arg) \
{									\
	return ioctl_of(n, data, cmd, arg);				\
}

CALLBACKS(0)
CALLBACKS(1)
CALLBACKS(2)

#define MUST(n)				\
	.name = "vfio-testiommu-" #n,	\
	.owner = THIS_MODULE,		\
	.open = td_open_##n,		\
	.release = td_release,		\
	.ioctl = td_ioctl_##n,		\
	.attach_group = td_attach,	\
	.detach_group = td_detach

#define MAY				\
	.pin_pages = td_pin,		\
	.unpin_pages = td_unpin,	\
	.dma_rw = td_rw

static const struct vfio_iommu_driver_ops drivers[DRIVERS] = {
	{
		MUST(0),
		MAY,
		.register_device = td_register,
		.unregister_device = td_unregister,
	},
	{
		MUST(1),
		MAY,
		.register_device = td_register,
		.unregister_device = td_unregister,
	},
	{ MUST(2) },
	{ MUST(2), MAY, .register_device = td_register },
	{ MUST(2), MAY, .unregister_device = td_unregister },
};

/* ---- the parameters ---- */

static int number_of(const char *text, int *driver)
{
	int ret = kstrtoint(text, 10, driver);

	return ret ? ret : *driver >= -1 && *driver < DRIVERS ? 0 : -ERANGE;
}

static const struct vfio_iommu_driver_ops *ops_of(int driver)
{
	return driver < 0 ? NULL : &drivers[driver];
}

static int set_register(const char *text, const struct kernel_param *kp)
{
	int driver, ret = number_of(text, &driver);

	return ret ? ret : vfio_register_iommu_driver(ops_of(driver));
}

static int set_unregister(const char *text, const struct kernel_param *kp)
{
	int driver, ret = number_of(text, &driver);

	if (!ret)
		vfio_unregister_iommu_driver(ops_of(driver));
	return ret;
}

static int set_hold(const char *text, const struct kernel_param *kp)
{
	int ret = param_set_bool(text, kp);

	wake_up_all(&hold_wait);
	return ret;
}

static int set_log(const char *text, const struct kernel_param *kp)
{
	spin_lock(&log_lock);
	logged = 0;
	log[0] = '\0';
	spin_unlock(&log_lock);
	return 0;
}

static int get_log(char *buffer, const struct kernel_param *kp)
{
	int size;

	spin_lock(&log_lock);
	size = scnprintf(buffer, PAGE_SIZE, "%s\n", log);
	spin_unlock(&log_lock);
	return size;
}

static const struct kernel_param_ops register_ops = { .set = set_register };
static const struct kernel_param_ops unregister_ops = { .set = set_unregister };
static const struct kernel_param_ops hold_ops = { .set = set_hold, .get = param_get_bool };
static const struct kernel_param_ops log_ops = { .set = set_log, .get = get_log };

module_param_cb(register, &register_ops, NULL, 0200);
module_param_cb(unregister, &unregister_ops, NULL, 0200);
module_param_cb(hold, &hold_ops, &hold, 0600);
module_param_cb(hold_attach, &hold_ops, &hold_attach, 0600);
module_param_cb(hold_detach, &hold_ops, &hold_detach, 0600);
module_param_cb(log, &log_ops, NULL, 0600);

/* All drivers are offered by writing to a parameter. */
static int __init testiommu_init(void)
{
	return 0;
}
module_init(testiommu_init);

static void __exit testiommu_exit(void)
{
	int i;

	for (i = 0; i < DRIVERS; i++)
		vfio_unregister_iommu_driver(&drivers[i]);
}
module_exit(testiommu_exit);

MODULE_DESCRIPTION("Drivers for VFIO containers that map nothing, for tests of the core");
MODULE_LICENSE("GPL");
