// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "core.h"
#include "kvm.h"

int kvm_open(void)
{
	int fd = module_file("ccp");

	/* A distribution's kvm_amd knows encrypted machines, and needs it. */
	if (fd >= 0) {
		close(fd);
		module_load("ccp");
	}
	if (module_load("irqbypass") || module_load("kvm") || module_load("kvm_amd"))
		return -ENOENT;
	return open_node("/dev/kvm");
}

int kvm_unload(void)
{
	static const char *const modules[] = { "kvm_amd", "kvm" };

	for (unsigned int i = 0; i < sizeof(modules) / sizeof(*modules); i++) {
		int ret = module_users(modules[i]);

		if (ret)
			return ret < 0 ? ret : -EBUSY;
		ret = module_unload(modules[i]);
		if (ret)
			return ret;
	}
	return 0;
}

int machine_open(int kvm, struct machine *m)
{
	struct kvm_create_device create = { .type = KVM_DEV_TYPE_VFIO };
	int ret;

	*m = (struct machine){ -1, -1 };
	m->vm = xioctl(kvm, KVM_CREATE_VM, NULL);
	if (m->vm < 0)
		return m->vm;
	ret = xioctl(m->vm, KVM_CREATE_DEVICE, &create);
	m->dev = ret ? -1 : (int)create.fd;
	return ret;
}

void machine_close(struct machine *m)
{
	if (m->dev >= 0)
		close(m->dev);
	if (m->vm >= 0)
		close(m->vm);
	*m = (struct machine){ -1, -1 };
}

static int machine_file(const struct machine *m, uint64_t what, int32_t fd)
{
	struct kvm_device_attr attr = {
		.group = KVM_DEV_VFIO_FILE,
		.attr = what,
		.addr = (uintptr_t)&fd,
	};

	return xioctl(m->dev, KVM_SET_DEVICE_ATTR, &attr);
}

int machine_add(const struct machine *m, int fd)
{
	return machine_file(m, KVM_DEV_VFIO_FILE_ADD, fd);
}

int machine_del(const struct machine *m, int fd)
{
	return machine_file(m, KVM_DEV_VFIO_FILE_DEL, fd);
}

int observer_open(struct observer *o, uint32_t flags)
{
	int ret;

	*o = (struct observer){ .drv = -1, .vm = { -1, -1 } };
	/* First: what is skipped leaves no driver behind. */
	o->kvm = kvm_open();
	if (o->kvm < 0)
		return o->kvm;
	o->drv = testdrv_open();
	if (o->drv < 0)
		return o->drv;
	ret = machine_open(o->kvm, &o->vm);
	if (ret)
		return ret;
	o->kvm_users = module_users("kvm");
	ret = testdrv_create(o->drv, 0, flags, 0, 0);
	testdrv_calls(o->drv, &o->calls);
	return ret;
}

int observer_close(struct observer *o)
{
	int ret = testdrv_close(o->drv);

	if (o->kvm >= 0 && !ret)
		ret = kvm_unload();
	return ret;
}

int observer_references(const struct observer *o)
{
	return module_users("kvm") - o->kvm_users;
}

uint64_t observer_saw(struct observer *o, int id)
{
	testdrv_calls(o->drv, &o->calls);
	return testdrv_first(&o->calls, 0, id)->arg[0];
}

int observer_close_machine(struct observer *o, int *fd)
{
	uint64_t machine = observer_saw(o, TESTDRV_OPEN), closed;
	int ret = 0;

	if (!machine)
		ret = wrong("the machine at the opening", machine, 1);
	machine_close(&o->vm);
	/* It lives on, and with it its module. */
	if (observer_references(o) != 1)
		ret = wrong("references to a machine without users", observer_references(o), 1);
	close_fd(fd);
	closed = observer_saw(o, TESTDRV_CLOSE);
	if (closed != machine)
		ret = wrong("the machine at the close", closed, machine);
	/* /dev/kvm is open. */
	if (module_users("kvm_amd") != 1)
		ret = wrong("users of kvm_amd", module_users("kvm_amd"), 1);
	if (module_users("kvm") != 1)
		ret = wrong("users of kvm", module_users("kvm"), 1);
	return ret;
}
