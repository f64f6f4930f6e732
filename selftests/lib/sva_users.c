// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <unistd.h>

#include "core.h"
#include "sva.h"
#include "sva_test.h"
#include "sva_users.h"

int sva_users_open(struct sva_users *u, enum machine_end machine_end, struct pci *a,
		   struct pci *b)
{
	*u = SVA_USERS_NONE;
	u->machine_end = machine_end;
	if (machine_end != NO_MACHINE) {
		u->kvm = kvm_open();
		if (u->kvm < 0) {
			u->lacks = "no KVM";
			return 1;
		}
	}
	u->control = sva_devices(a, b);
	if (no_sva_devices(u->control)) {
		u->lacks = NO_SVA_DEVICES;
		return 1;
	}
	return u->control < 0 ? u->control : 0;
}

int sva_users_end(struct sva_users *u)
{
	int ret = u->other.pid > 0 ? bound_kill(&u->other) : 0;

	u->other.pid = 0;
	u->pasid[OTHER] = 0;
	return ret;
}

bool sva_users_close(struct sva_users *u)
{
	machine_close(&u->machine);
	close_fd(&u->kvm);
	if (u->control < 0)
		return false;
	sva_test_close(u->control);
	u->control = -1;
	return true;
}

static int other_starts(struct sva_users *u, int file)
{
	return u->other.pid > 0 ? 0 : bound_fork(&u->other, file, u->control, u->told, true);
}

static int other_binds(struct sva_users *u, int file)
{
	int its = other_starts(u, file);

	if (!its)
		its = bound_call(&u->other, BOUND_BIND);
	if (its <= 0)
		return its;
	/* As long as it lives it has one PASID. */
	if (its == u->pasid[ME] || (u->pasid[OTHER] && its != u->pasid[OTHER]))
		return wrong("its PASID", its, u->pasid[OTHER]);
	u->pasid[OTHER] = its;
	return 0;
}

static int me_binds(struct sva_users *u, int file)
{
	uint32_t pasid;
	int ret = process_bind(file, &pasid);

	return !ret && pasid != u->pasid[ME] ? wrong("the PASID", pasid, u->pasid[ME]) : ret;
}

int sva_users_op(struct sva_users *u, int file, int op)
{
	int ret;

	switch (op) {
	case BIND:
		return me_binds(u, file);
	case UNBIND:
		return process_unbind(file);
	case ITS_BIND:
		return other_binds(u, file);
	case ITS_UNBIND:
		ret = other_starts(u, file);
		return ret ? ret : bound_call(&u->other, BOUND_UNBIND);
	case ITS_DEATH:
		return sva_users_end(u);
	default:
		return -EINVAL;
	}
}

int sva_users_add(struct sva_users *u, int file)
{
	int ret;

	if (u->machine_end == NO_MACHINE)
		return 0;
	ret = machine_open(u->kvm, &u->machine);
	return ret ? ret : machine_add(&u->machine, file);
}

int sva_users_close_file(struct sva_users *u, int file, int (*look)(const void *arg),
			 const void *arg)
{
	int ret = 0;

	if (u->machine_end == BEFORE_CLOSE)
		ret = machine_del(&u->machine, file);
	/* The number stays what the other process knows. */
	close(file);
	if (!ret && u->machine_end == AFTER_CLOSE)
		ret = look(arg);
	machine_close(&u->machine);
	return ret;
}

int keep_number(int *at, int fd)
{
	if (fd < 0 || *at < 0 || *at == fd) {
		*at = fd;
		return fd < 0 ? fd : 0;
	}
	dup2(fd, *at);
	close(fd);
	return 0;
}
