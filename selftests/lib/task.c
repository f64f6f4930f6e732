// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core.h"
#include "sysfs.h"
#include "task.h"

static int start(struct task *t, int (*fn)(void *arg), void *arg, bool alone)
{
	int ends[2];

	if (pipe(ends))
		return -errno;
	t->pid = fork();
	if (t->pid < 0)
		return -errno;
	if (!t->pid) {
		int ret, out = ends[1];

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (alone) {
			out = dup2(out, 3);
			close_range(4, ~0U, 0);
		} else {
			close(ends[0]);
		}
		ret = fn(arg);
		if (write(out, &ret, sizeof(ret)) != sizeof(ret))
			_exit(1);
		_exit(0);
	}
	close(ends[1]);
	t->pipe = ends[0];
	return 0;
}

int task_start(struct task *t, int (*fn)(void *arg), void *arg)
{
	return start(t, fn, arg, false);
}

int task_start_alone(struct task *t, int (*fn)(void *arg), void *arg)
{
	return start(t, fn, arg, true);
}

bool task_ended(struct task *t, int ms)
{
	struct pollfd p = { .fd = t->pipe, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

int task_join(struct task *t)
{
	int ret = -ETIMEDOUT;

	if (!task_ended(t, EVENT_MS))
		kill(t->pid, SIGKILL);
	else if (read(t->pipe, &ret, sizeof(ret)) != sizeof(ret))
		ret = -EPIPE;
	close(t->pipe);
	waitpid(t->pid, NULL, 0);
	return ret;
}

/*
 * Is the thread asleep in the kernel, with @where on its stack and, if @top is given, in a function
 * of @top?  This function does not read "stat": a reader of "stat" can become the last user of the
 * memory of a dying process, and then waits in place of that process.
 */
static bool sleeps_in(pid_t tid, const char *where, const char *top)
{
	char path[64], stack[4096], wchan[64], *end;

	snprintf(path, sizeof(path), "/proc/%d/wchan", tid);
	if (sysfs_read(path, wchan, sizeof(wchan)) <= 0 || !strcmp(wchan, "0"))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/stack", tid);
	if (sysfs_read(path, stack, sizeof(stack)) <= 0 || !strstr(stack, where))
		return false;
	end = strchr(stack, '\n');
	if (end)
		*end = '\0';
	return !top || strstr(stack, top);
}

/*
 * The wait of a removal for the users of a device.  In the same function it sleeps before,
 * while the node is taken away, and the device is not gone from there yet.
 */
#define REMOVAL "vfio_unregister_group_dev"
#define CORE "[vfio]"

static bool task_sleeps(struct task *t, const char *where, const char *top)
{
	for (int ms = 0; ms < EVENT_MS; ms += 10) {
		if (sleeps_in(t->pid, where, top))
			return true;
		if (task_ended(t, 10))
			return false;
	}
	return false;
}

bool task_sleeps_in(struct task *t, const char *where)
{
	return task_sleeps(t, where, NULL);
}

bool task_waits_for_users(struct task *t)
{
	return task_sleeps(t, REMOVAL, CORE);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	w->tid = gettid();
	w->ret = w->fn(w->arg);
	w->ended = true;
	return NULL;
}

int worker_start(struct worker *w, int (*fn)(void *arg), void *arg)
{
	w->tid = 0;
	w->ended = false;
	w->fn = fn;
	w->arg = arg;
	return -pthread_create(&w->thread, NULL, worker_main, w);
}

bool worker_ended(struct worker *w)
{
	return w->ended;
}

int worker_join(struct worker *w)
{
	pthread_join(w->thread, NULL);
	return w->ret;
}

bool worker_ends(struct worker *w)
{
	for (int ms = 0; ms < EVENT_MS && !worker_ended(w); ms += 10)
		poll(NULL, 0, 10);
	return worker_ended(w);
}

static bool worker_sleeps(struct worker *w, const char *where, const char *top)
{
	for (int ms = 0; ms < EVENT_MS && !w->ended; ms += 10) {
		if (w->tid && sleeps_in(w->tid, where, top))
			return true;
		poll(NULL, 0, 10);
	}
	return false;
}

bool worker_sleeps_in(struct worker *w, const char *where)
{
	return worker_sleeps(w, where, NULL);
}

bool worker_waits_for_users(struct worker *w)
{
	return worker_sleeps(w, REMOVAL, CORE);
}

int close_op(void *fd)
{
	return close(*(int *)fd) ? -errno : 0;
}

int fd_send(int sock, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(sock, &msg, 0) == 1 ? 0 : -errno;
}

int fd_receive(int sock)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	int fd;

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) != 1)
		return -errno;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg || cmsg->cmsg_type != SCM_RIGHTS)
		return -EPROTO;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	return fd;
}
