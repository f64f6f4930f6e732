// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM and VFIO: a virtual machine is told of a file, and the driver of the device is
 * told of the machine when the file is bound, which keeps the machine until the close.
 */
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "lib/cdev.h"
#include "lib/introspect.h"
#include "lib/iommufd.h"
#include "lib/kvm.h"
#include "lib/sysfs.h"
#include "lib/task.h"
#include "lib/test.h"

FIXTURE(kvm_file) {
	int iommufd, fd;
	struct observer o;
};

FIXTURE_SETUP(kvm_file)
{
	int ret = observer_open(&self->o, 0);

	self->iommufd = -1;
	self->fd = -1;
	if (ret == -ENOENT)
		SKIP(return, NO_OBSERVER);
	ASSERT_EQ(0, ret);
	self->iommufd = iommufd_open();
	ASSERT_GE(self->iommufd, 0);
	self->fd = testdrv_cdev(0);
	ASSERT_GE(self->fd, 0);
}

FIXTURE_TEARDOWN(kvm_file)
{
	EXPECT_EQ(0, observer_close(&self->o));
}

/* semantics: 19, 20, 43, 45, 108, 169, 171, 172.  The machine is known from bind to close. */
TEST_F(kvm_file, before_bind)
{
	uint64_t machine;

	ASSERT_EQ(0, machine_add(&self->o.vm, self->fd));
	/* Only noted. */
	EXPECT_EQ(0, observer_references(&self->o));
	ASSERT_EQ(0, cdev_bind(self->fd, self->iommufd, NULL));
	EXPECT_EQ(1, observer_references(&self->o));
	machine = observer_saw(&self->o, TESTDRV_OPEN);
	EXPECT_NE(0, machine);
	EXPECT_NE(NOT_CALLED, machine);
	/* KVM forgets the file, the file keeps the machine. */
	EXPECT_EQ(0, machine_del(&self->o.vm, self->fd));
	EXPECT_EQ(1, observer_references(&self->o));
	close_fd(&self->fd);
	EXPECT_EQ(machine, observer_saw(&self->o, TESTDRV_CLOSE));
	EXPECT_EQ(0, observer_references(&self->o));
}

/* semantics: 45, 108, 172.  Too late for this open; the file takes it all the same. */
TEST_F(kvm_file, after_bind)
{
	ASSERT_EQ(0, cdev_bind(self->fd, self->iommufd, NULL));
	EXPECT_EQ(0, observer_saw(&self->o, TESTDRV_OPEN));
	EXPECT_EQ(0, machine_add(&self->o.vm, self->fd));
	EXPECT_EQ(0, observer_references(&self->o));
	EXPECT_EQ(-EEXIST, machine_add(&self->o.vm, self->fd));
	EXPECT_EQ(0, machine_del(&self->o.vm, self->fd));
	close_fd(&self->fd);
	EXPECT_EQ(0, observer_saw(&self->o, TESTDRV_CLOSE));
	EXPECT_EQ(0, observer_references(&self->o));
}

/* semantics: 43, 172.  Which files are VFIO's, and each once. */
TEST_F(kvm_file, add_and_delete)
{
	int other = testdrv_cdev(0), event = eventfd(0, EFD_CLOEXEC), same = dup(self->fd);
	int vfio_users = module_users("vfio");

	ASSERT_GE(other, 0);
	ASSERT_GE(event, 0);
	ASSERT_GE(same, 0);
	EXPECT_EQ(-EBADF, machine_add(&self->o.vm, -1));
	EXPECT_EQ(-EINVAL, machine_add(&self->o.vm, event));
	EXPECT_EQ(-EINVAL, machine_add(&self->o.vm, self->iommufd));
	EXPECT_EQ(-EINVAL, machine_add(&self->o.vm, self->o.drv));
	EXPECT_EQ(-EINVAL, machine_add(&self->o.vm, self->o.vm.vm));
	EXPECT_EQ(-ENOENT, machine_del(&self->o.vm, self->fd));
	EXPECT_EQ(0, machine_add(&self->o.vm, self->fd));
	EXPECT_EQ(-EEXIST, machine_add(&self->o.vm, self->fd));
	EXPECT_EQ(-EEXIST, machine_add(&self->o.vm, same));
	/* Another file of the same device is another file. */
	EXPECT_EQ(0, machine_add(&self->o.vm, other));
	EXPECT_EQ(0, machine_del(&self->o.vm, same));
	EXPECT_EQ(-ENOENT, machine_del(&self->o.vm, self->fd));
	EXPECT_EQ(0, machine_del(&self->o.vm, other));
	EXPECT_EQ(vfio_users, module_users("vfio"));
	/* What has been taken back is not there at bind. */
	ASSERT_EQ(0, cdev_bind(self->fd, self->iommufd, NULL));
	EXPECT_EQ(0, observer_saw(&self->o, TESTDRV_OPEN));
	EXPECT_EQ(0, observer_references(&self->o));
	close(other);
	close(same);
	close(event);
}

/* semantics: 169, 171; defect: B24.  The machine's last user closes it. */
TEST_F(kvm_file, machine_closed_first)
{
	ASSERT_EQ(0, machine_add(&self->o.vm, self->fd));
	ASSERT_EQ(0, cdev_bind(self->fd, self->iommufd, NULL));
	EXPECT_EQ(0, observer_close_machine(&self->o, &self->fd));
}

/* semantics: 45, 172.  A machine that ended before the bind is none. */
TEST_F(kvm_file, machine_gone)
{
	ASSERT_EQ(0, machine_add(&self->o.vm, self->fd));
	machine_close(&self->o.vm);
	ASSERT_EQ(0, cdev_bind(self->fd, self->iommufd, NULL));
	EXPECT_EQ(0, observer_saw(&self->o, TESTDRV_OPEN));
	EXPECT_EQ(1, module_users("kvm"));
}

struct binder {
	int iommufd;
	bool stop;
};

static int bind_and_close(void *arg)
{
	struct binder *b = arg;
	int rounds = 0;

	while (!__atomic_load_n(&b->stop, __ATOMIC_ACQUIRE)) {
		int fd = testdrv_cdev(0), ret = cdev_bind(fd, b->iommufd, NULL);

		close(fd);
		/* The other side may have it just then. */
		if (ret && ret != -EINVAL)
			return ret;
		rounds += !ret;
	}
	return rounds;
}

/*
 * semantics: 45, 169, 170.  Machines that end while files that know them are being bound:
 * each is taken, or it is none any more.
 */
TEST_F(kvm_file, machines_race_with_bind)
{
	struct binder b = { .iommufd = self->iommufd };
	struct worker other, same;

	ASSERT_EQ(0, worker_start(&other, bind_and_close, &b));
	for (int i = 0; i < 60; i++) {
		struct bind_op op = { testdrv_cdev(0), self->iommufd };
		struct machine machine;

		ASSERT_GE(op.fd, 0);
		ASSERT_EQ(0, machine_open(self->o.kvm, &machine));
		ASSERT_EQ(0, machine_add(&machine, op.fd));
		/* The machine ends in the middle of the bind. */
		ASSERT_EQ(0, worker_start(&same, cdev_bind_op, &op));
		machine_close(&machine);
		worker_join(&same);
		EXPECT_TRUE(same.ret == 0 || same.ret == -EINVAL);
		close(op.fd);
	}
	__atomic_store_n(&b.stop, true, __ATOMIC_RELEASE);
	EXPECT_GE(worker_join(&other), 0);
	/* Of none of them anything is left. */
	EXPECT_EQ(0, observer_references(&self->o));
}

/* semantics: 172.  KVM holds the files that it was told of. */
TEST_F(kvm_file, file_closed_first)
{
	ASSERT_EQ(0, machine_add(&self->o.vm, self->fd));
	ASSERT_EQ(0, cdev_bind(self->fd, self->iommufd, NULL));
	testdrv_calls(self->o.drv, &self->o.calls);
	close_fd(&self->fd);
	EXPECT_EQ(0, testdrv_calls(self->o.drv, &self->o.calls));
	EXPECT_EQ(1, observer_references(&self->o));
	machine_close(&self->o.vm);
	EXPECT_NE(0, observer_saw(&self->o, TESTDRV_CLOSE));
	EXPECT_EQ(1, module_users("kvm"));
	EXPECT_EQ(1, module_users("kvm_amd"));
}

/* semantics: 69, 169, 171.  A bind that fails keeps nothing, and can be tried again. */
TEST_F(kvm_file, failed_bind)
{
	static const int ids[] = { TESTDRV_BIND, TESTDRV_OPEN };

	ASSERT_EQ(0, machine_add(&self->o.vm, self->fd));
	for (int i = 0; i < 2; i++) {
		testdrv_fail(self->o.drv, 0, ids[i], EUCLEAN);
		EXPECT_EQ(-EUCLEAN, cdev_bind(self->fd, self->iommufd, NULL));
		EXPECT_EQ(0, observer_references(&self->o));
		testdrv_fail(self->o.drv, 0, ids[i], 0);
	}
	EXPECT_EQ(-EBADFD, cdev_bind(self->fd, self->o.drv, NULL));
	EXPECT_EQ(0, observer_references(&self->o));
	testdrv_calls(self->o.drv, &self->o.calls);
	ASSERT_EQ(0, cdev_bind(self->fd, self->iommufd, NULL));
	EXPECT_NE(0, observer_saw(&self->o, TESTDRV_OPEN));
	EXPECT_EQ(1, observer_references(&self->o));
}

/* defect: B3.  Another file that may not bind leaves the first one's machine alone. */
TEST_F(kvm_file, second_bind)
{
	int other = testdrv_cdev(0);
	uint64_t machine;

	ASSERT_GE(other, 0);
	ASSERT_EQ(0, machine_add(&self->o.vm, self->fd));
	ASSERT_EQ(0, cdev_bind(self->fd, self->iommufd, NULL));
	machine = observer_saw(&self->o, TESTDRV_OPEN);
	EXPECT_NE(0, machine);
	EXPECT_EQ(-EINVAL, cdev_bind(other, self->iommufd, NULL));
	EXPECT_EQ(BY_CORE(0, 1), observer_references(&self->o));
	/* KVM would keep it open. */
	EXPECT_EQ(0, machine_del(&self->o.vm, self->fd));
	close_fd(&self->fd);
	EXPECT_EQ(BY_CORE(0, machine), observer_saw(&self->o, TESTDRV_CLOSE));
	EXPECT_EQ(0, observer_references(&self->o));
	close(other);
}

/* defect: B3.  The same, with a machine that is the other file's. */
TEST_F(kvm_file, second_bind_of_machine)
{
	int other = testdrv_cdev(0);
	struct machine second;
	uint64_t machine;

	ASSERT_GE(other, 0);
	if (!core_is_rust()) {
		close(other);
		SKIP(return, "the core in C would lose a reference, and the machine never end");
	}
	ASSERT_EQ(0, machine_open(self->o.kvm, &second));
	ASSERT_EQ(0, machine_add(&self->o.vm, self->fd));
	ASSERT_EQ(0, machine_add(&second, other));
	ASSERT_EQ(0, cdev_bind(self->fd, self->iommufd, NULL));
	machine = observer_saw(&self->o, TESTDRV_OPEN);
	EXPECT_EQ(-EINVAL, cdev_bind(other, self->iommufd, NULL));
	EXPECT_EQ(1, observer_references(&self->o));
	close_fd(&self->fd);
	machine_close(&self->o.vm);
	EXPECT_EQ(machine, observer_saw(&self->o, TESTDRV_CLOSE));
	EXPECT_EQ(0, observer_references(&self->o));
	/* And now it is the other's turn. */
	ASSERT_EQ(0, cdev_bind(other, self->iommufd, NULL));
	testdrv_calls(self->o.drv, &self->o.calls);
	EXPECT_NE(0, testdrv_first(&self->o.calls, 0, TESTDRV_OPEN)->arg[0]);
	EXPECT_NE(machine, testdrv_first(&self->o.calls, 0, TESTDRV_OPEN)->arg[0]);
	close(other);
	machine_close(&second);
}

/* semantics: 45; defect: B25.  Of two machines the last one counts, and so does its end. */
TEST_F(kvm_file, two_machines)
{
	int other = testdrv_cdev(0);
	uint64_t first, machine;
	struct machine second;

	ASSERT_GE(other, 0);
	ASSERT_EQ(0, machine_open(self->o.kvm, &second));
	ASSERT_EQ(0, machine_add(&self->o.vm, self->fd));
	ASSERT_EQ(0, cdev_bind(self->fd, self->iommufd, NULL));
	first = observer_saw(&self->o, TESTDRV_OPEN);
	EXPECT_EQ(0, machine_del(&self->o.vm, self->fd));
	close(self->fd);
	self->fd = other;

	ASSERT_EQ(0, machine_add(&self->o.vm, other));
	ASSERT_EQ(0, machine_add(&second, other));
	ASSERT_EQ(0, cdev_bind(other, self->iommufd, NULL));
	machine = observer_saw(&self->o, TESTDRV_OPEN);
	EXPECT_NE(0, machine);
	EXPECT_NE(first, machine);
	EXPECT_EQ(0, machine_del(&self->o.vm, other));
	EXPECT_EQ(0, machine_del(&second, other));
	close(other);
	self->fd = testdrv_cdev(0);
	ASSERT_GE(self->fd, 0);

	ASSERT_EQ(0, machine_add(&self->o.vm, self->fd));
	ASSERT_EQ(0, machine_add(&second, self->fd));
	ASSERT_EQ(0, machine_del(&self->o.vm, self->fd));
	ASSERT_EQ(0, cdev_bind(self->fd, self->iommufd, NULL));
	EXPECT_EQ(0, observer_saw(&self->o, TESTDRV_OPEN));
	machine_close(&second);
}

/* semantics: 43, 45, 172.  A group is a file like others, which KVM keeps open. */
TEST_F(kvm_file, group)
{
	int group = testdrv_group(0), same;

	if (group == -ENOENT)
		SKIP(return, "a kernel without VFIO_GROUP");
	ASSERT_GE(group, 0);
	same = dup(group);
	EXPECT_EQ(-ENOENT, machine_del(&self->o.vm, group));
	EXPECT_EQ(0, machine_add(&self->o.vm, group));
	EXPECT_EQ(-EEXIST, machine_add(&self->o.vm, group));
	EXPECT_EQ(-EEXIST, machine_add(&self->o.vm, same));
	close(same);
	EXPECT_EQ(0, machine_add(&self->o.vm, self->fd));
	EXPECT_EQ(0, machine_del(&self->o.vm, group));
	EXPECT_EQ(0, machine_add(&self->o.vm, group));
	EXPECT_EQ(0, observer_references(&self->o));
	/* Open still, by KVM. */
	close(group);
	EXPECT_EQ(-EBUSY, testdrv_group(0));
	EXPECT_EQ(-EBUSY, cdev_bind(self->fd, self->iommufd, NULL));
	machine_close(&self->o.vm);
	EXPECT_EQ(0, cdev_bind(self->fd, self->iommufd, NULL));
	EXPECT_EQ(0, observer_saw(&self->o, TESTDRV_OPEN));
}

/* defect: B23.  A file whose device is gone is none of VFIO's any more. */
TEST_F(kvm_file, device_gone)
{
	int other = testdrv_cdev(0);

	ASSERT_GE(other, 0);
	if (!core_is_rust()) {
		close(other);
		SKIP(return, "the core in C waits until the files are closed");
	}
	ASSERT_EQ(0, machine_add(&self->o.vm, self->fd));
	ASSERT_EQ(0, testdrv_destroy(self->o.drv, 0));
	EXPECT_EQ(-EINVAL, machine_add(&self->o.vm, other));
	EXPECT_EQ(-ENODEV, cdev_bind(self->fd, self->iommufd, NULL));
	/* KVM can still take back what it has. */
	EXPECT_EQ(0, machine_del(&self->o.vm, self->fd));
	EXPECT_EQ(-EINVAL, machine_add(&self->o.vm, self->fd));
	EXPECT_EQ(0, observer_references(&self->o));
	close(other);
}

/* What fdinfo and "holders" say of a file of the device that is bound or not. */
static bool shown(int fd, bool bound, int kvm_devices, bool machine, pid_t pid)
{
	static const struct pci parent = { .bdf = TESTDRV_DEVICE };
	const char *found, *want;
	char lines[256], *line;

	snprintf(lines, sizeof(lines), "vfio-type: emulated\nvfio-access: cdev\nvfio-bound: %s\n",
		 bound ? "yes" : "no");
	line = lines + strlen(lines);
	if (kvm_devices)
		line += sprintf(line, "vfio-kvm-devices: %d\n", kvm_devices);
	if (machine)
		line += sprintf(line, "vfio-kvm-machine: held\n");
	if (!bound)
		line[-1] = '\0';
	found = core_lines(fd);
	want = core_lines_of("/sys/devices/platform/" TESTDRV_DEVICE, lines);
	/* Of one that is bound another line follows. */
	if (core_is_rust() && bound ? !!strncmp(want, found, strlen(want)) : !!strcmp(want, found)) {
		printf("# %s\n# is not: %s\n", found, want);
		return false;
	}
	if (strstr(found + strlen(want), "vfio-kvm"))
		return false;
	if (!has_debugfs())
		return true;
	found = holders(&parent);
	want = BY_CORE("none", holder_line_kvm(pid, "cdev", bound, kvm_devices, machine,
					       own_name()));
	if (!strcmp(want, found))
		return true;
	printf("# %s\n# is not: %s\n", found, want);
	return false;
}

/* D11, D12.  A file says which KVM devices hold it, and whether its device holds a machine. */
TEST_F(kvm_file, shown)
{
	const pid_t pid = getpid();
	struct machine second;

	ASSERT_EQ(0, machine_open(self->o.kvm, &second));
	EXPECT_TRUE(shown(self->fd, false, 0, false, pid));
	ASSERT_EQ(0, machine_add(&self->o.vm, self->fd));
	EXPECT_TRUE(shown(self->fd, false, 1, false, pid));
	ASSERT_EQ(-EEXIST, machine_add(&self->o.vm, self->fd));
	ASSERT_EQ(0, machine_add(&second, self->fd));
	EXPECT_TRUE(shown(self->fd, false, 2, false, pid));
	ASSERT_EQ(0, cdev_bind(self->fd, self->iommufd, NULL));
	EXPECT_TRUE(shown(self->fd, true, 2, true, pid));
	/* B25: none is noted any more, and the first holds the file still. */
	ASSERT_EQ(0, machine_del(&second, self->fd));
	EXPECT_TRUE(shown(self->fd, true, 1, true, pid));
	machine_close(&self->o.vm);
	EXPECT_TRUE(shown(self->fd, true, 0, true, pid));
	close_fd(&self->fd);

	/* One that is added too late has its device hold nothing, and one that failed neither. */
	self->fd = testdrv_cdev(0);
	ASSERT_EQ(0, cdev_bind(self->fd, self->iommufd, NULL));
	ASSERT_EQ(0, machine_add(&second, self->fd));
	EXPECT_TRUE(shown(self->fd, true, 1, false, pid));
	ASSERT_EQ(0, machine_del(&second, self->fd));
	EXPECT_TRUE(shown(self->fd, true, 0, false, pid));
	close_fd(&self->fd);
	self->fd = testdrv_cdev(0);
	ASSERT_EQ(0, machine_add(&second, self->fd));
	testdrv_fail(self->o.drv, 0, TESTDRV_OPEN, EUCLEAN);
	EXPECT_EQ(-EUCLEAN, cdev_bind(self->fd, self->iommufd, NULL));
	testdrv_fail(self->o.drv, 0, TESTDRV_OPEN, 0);
	EXPECT_TRUE(shown(self->fd, false, 1, false, pid));
	machine_close(&second);
	EXPECT_TRUE(shown(self->fd, false, 0, false, pid));
}

/* Is there a machine that the process has made?  KVM shows each in debugfs. */
static bool machine_of(pid_t pid)
{
	char pattern[64];
	glob_t found = {};
	int ret;

	snprintf(pattern, sizeof(pattern), "/sys/kernel/debug/kvm/%d-*", pid);
	ret = glob(pattern, 0, NULL, &found);
	globfree(&found);
	return !ret;
}

/*
 * D11, D12.  Whoever made machine and file has died; who was handed the file keeps the machine, and
 * can see it.
 */
TEST_F(kvm_file, kept_by_a_helper)
{
	int ends[2], fd;
	pid_t pid;

	close_fd(&self->fd);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	pid = fork();
	if (!pid) {
		struct machine vm;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fd = testdrv_cdev(0);
		if (machine_open(self->o.kvm, &vm) || machine_add(&vm, fd) ||
		    cdev_bind(fd, self->iommufd, NULL) || fd_send(ends[1], fd))
			_exit(1);
		pause();
	}
	close(ends[1]);
	fd = fd_receive(ends[0]);
	ASSERT_GE(fd, 0);
	EXPECT_TRUE(shown(fd, true, 1, true, pid));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_TRUE(shown(fd, true, 0, true, pid));
	EXPECT_EQ(1, observer_references(&self->o));
	EXPECT_EQ(!access("/sys/kernel/debug/kvm", F_OK), machine_of(pid));
	close(fd);
	EXPECT_EQ(0, observer_references(&self->o));
	EXPECT_FALSE(machine_of(pid));
	close(ends[0]);
}

TEST_HARNESS_MAIN
