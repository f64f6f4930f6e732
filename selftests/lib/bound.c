// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "bound.h"
#include "core.h"
#include "sva.h"
#include "sva_test.h"

#define EXEC_PIPES "BOUND_CHILD_PIPES"

static int bind_itself(int fd, int control, const struct pci *pci)
{
	uint32_t pasid;
	int ret;

	if (fd < 0)
		return sva_test_bind(control, pci);
	ret = process_bind(fd, &pasid);
	return ret ? ret : (int)pasid;
}

static void answer(int to, int what)
{
	if (write(to, &what, sizeof(what)) != sizeof(what))
		_exit(1);
}

/* The life of the child, or of the program that it became: the file's number in @fd. */
static _Noreturn void obey(int from, int to, int fd, int control, const struct pci *pci)
{
	char what, text[64];
	int ret;

	while (read(from, &what, 1) == 1 && what != BOUND_END) {
		switch (what) {
		case BOUND_BIND:
			ret = bind_itself(fd, control, pci);
			/* What only it can know: the table is its own. */
			if (ret > 0 && control >= 0 && pci && !is_mine(control, pci, ret))
				ret = -EBADMSG;
			answer(to, ret);
			break;
		case BOUND_UNBIND:
			answer(to, fd < 0 ? sva_test_unbind(control, pci) : process_unbind(fd));
			break;
		case BOUND_ROOT:
			answer(to, sva_test_root(control) >> 12);
			break;
		case BOUND_CLOSE:
			answer(to, close(fd) ? -errno : 0);
			break;
		case BOUND_EXEC:
			/* Descriptors that the new program is to have. */
			snprintf(text, sizeof(text), "%d %d %d", dup(from), dup(to), dup(fd));
			setenv(EXEC_PIPES, text, 1);
			execl("/proc/self/exe", "bound_child", NULL);
			answer(to, -errno);
			break;
		default:
			answer(to, -EINVAL);
		}
	}
	_exit(0);
}

/* Run in the new program. */
static void __attribute__((constructor)) after_exec(void)
{
	const char *text = getenv(EXEC_PIPES);
	int from, to, fd;

	if (!text || sscanf(text, "%d %d %d", &from, &to, &fd) != 3)
		return;
	answer(to, 0);
	obey(from, to, fd, -1, NULL);
}

int bound_call(struct bound_child *child, char what)
{
	int ret;

	if (write(child->to, &what, 1) != 1 || read(child->from, &ret, sizeof(ret)) != sizeof(ret))
		return -EPIPE;
	return ret;
}

int bound_fork(struct bound_child *child, int fd, int control, const struct pci *pci, bool share)
{
	int to[2], from[2];

	*child = (struct bound_child){ -1, -1, -1, { -1, -1 } };
	if (pipe(to) || pipe(from))
		return -errno;
	child->to = to[1];
	child->from = from[0];
	child->pid = share ? syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0) : fork();
	if (!child->pid) {
		if (share) {
			/* The pipe does not end with the caller: it is open here, too. */
			prctl(PR_SET_PDEATHSIG, SIGKILL);
		} else {
			close(to[1]);
			close(from[0]);
		}
		obey(to[0], from[1], fd, control, pci);
	}
	if (share) {
		child->ends[0] = to[0];
		child->ends[1] = from[1];
	} else {
		close(to[0]);
		close(from[1]);
	}
	return child->pid < 0 ? -ECHILD : 0;
}

int bound_start(struct bound_child *child, int fd, int control, const struct pci *pci)
{
	int ret = bound_fork(child, fd, control, pci, false);

	return ret ? ret : bound_call(child, BOUND_BIND);
}

static int join(struct bound_child *child)
{
	int status;

	if (waitpid(child->pid, &status, 0) != child->pid)
		return -errno;
	close(child->to);
	close(child->from);
	close_fd(&child->ends[0]);
	close_fd(&child->ends[1]);
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGKILL ? 0 : -EPROTO;
	return WEXITSTATUS(status) ? -EPROTO : 0;
}

int bound_end(struct bound_child *child)
{
	return write(child->to, &(char){ BOUND_END }, 1) == 1 ? join(child) : -EPIPE;
}

int bound_kill(struct bound_child *child)
{
	kill(child->pid, SIGKILL);
	return join(child);
}
